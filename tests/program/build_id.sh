#!/bin/bash
# A tenon_llvm.so of another build beside the program is an error, not a crash, and so is none at all; the engines that need none go on.
tenon=$1
module=$(dirname "$tenon")/tenon_llvm.so
if [ ! -e "$module" ]; then
    echo "skipped: this build is without LLVM"
    exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() {
    echo "failed: $*"
    exit 1
}
id=$("$tenon" --version | sed -nE 's/^tenon .*\(build ([0-9a-f]{16})\)$/\1/p')
[ -n "$id" ] || fail "no build in $("$tenon" --version)"
cp "$tenon" "$folder/tenon"
LC_ALL=C sed "s/$id/0123456789abcdef/g" "$module" >"$folder/tenon_llvm.so"
cmp -s "$module" "$folder/tenon_llvm.so" && fail "the module does not hold the program's number $id"
echo 'fn f(x) = x * 2 + 1; print(f(ones([3])).sum())' >"$folder/script.model"
"$folder/tenon" run --engine jit "$folder/script.model" >"$folder/out" 2>"$folder/error"
code=$?
[ $code = 1 ] || fail "exit code $code: $(<"$folder/error")"
grep -q "is of another build (0123456789abcdef) than this program ($id)" "$folder/error" || fail "$(<"$folder/error")"
for engine in auto interp eager; do
    [ "$("$folder/tenon" run --engine $engine "$folder/script.model" 2>&1)" = "tensor(9.)" ] || fail "engine $engine"
done
rm "$folder/tenon_llvm.so"
"$folder/tenon" run --engine jit "$folder/script.model" 2>"$folder/error"
code=$?
[ $code = 1 ] && grep -q 'there is no .*tenon_llvm.so' "$folder/error" || fail "without a module: exit code $code: $(<"$folder/error")"
cp "$module" "$folder/tenon_llvm.so"
[ "$("$folder/tenon" run --engine jit "$folder/script.model" 2>&1)" = "tensor(9.)" ] || fail "the module of this build"
