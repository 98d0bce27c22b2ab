#!/bin/bash
# Files as scripts see them: saved and loaded again; cut short or hostile they are errors, without a crash and in little memory.
tenon=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
cat >"$folder/save.model" <<'SCRIPT'
values = {"a": arange(6, dtype: f32).reshape([2, 3]), "b": tensor([1, -2]), "c": tensor(true)}
save(values, args[0])
again = load(args[0])
for name in ["a", "b", "c"] { assert (again[name] == values[name]).all() and again[name].dtype == values[name].dtype, name }
SCRIPT
echo 'load(args[0])' >"$folder/load.model"
nm "$tenon" 2>/dev/null | grep -q __asan_init || ulimit -v 4000000

# refuses FILE: load fails with an error that names the file.
refuses() {
    "$tenon" run "$folder/load.model" "$1" >/dev/null 2>"$folder/error"
    code=$?
    if [ $code != 1 ] || ! grep -qF "$(basename "$1")" "$folder/error"; then
        echo "failed: loading $1 ($2) exits with $code: $(<"$folder/error")"
        failed=1
    fi
}

for kind in safetensors npz; do
    whole=$folder/whole.$kind
    "$tenon" run "$folder/save.model" "$whole" || { echo "failed: $kind does not come back"; failed=1; }
    [ "$(ls "$folder" | grep -c "^whole\.$kind")" = 1 ] || { echo "failed: saving $kind leaves other files behind"; failed=1; }
    size=$(stat -c %s "$whole")
    for ((length = 0; length < size; length += size / 20 + 1)); do
        head -c $length "$whole" >"$folder/cut.$kind"
        refuses "$folder/cut.$kind" "cut to $length bytes"
    done
done
hostile=$folder/hostile.safetensors
printf '\xff\xff\xff\xff\xff\xff\xff\x7f{}' >"$hostile"
refuses "$hostile" "a header of 2^63 bytes"
header='{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}'
{ printf "\\x$(printf %x ${#header})\\0\\0\\0\\0\\0\\0\\0"; printf '%s' "$header"; printf '\0\0\0\0'; } >"$hostile"
refuses "$hostile" "a shape that overflows"
header='{"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}}'
{ printf "\\x$(printf %x ${#header})\\0\\0\\0\\0\\0\\0\\0"; printf '%s' "$header"; } >"$hostile"
refuses "$hostile" "more elements than bytes"
{ printf '\x04\0\0\0\0\0\0\0'; printf '[[[['; } >"$hostile"
refuses "$hostile" "no object"

# A file that cannot be written keeps what it held.
echo precious >"$folder/kept.safetensors"
if [ "$(id -u)" != 0 ]; then
    chmod a-w "$folder"
    "$tenon" run "$folder/save.model" "$folder/kept.safetensors" 2>/dev/null && { echo "failed: saved where it may not"; failed=1; }
    chmod u+w "$folder"
fi
"$tenon" run "$folder/save.model" "$folder/no/such/folder.npz" 2>/dev/null && { echo "failed: saved into no folder"; failed=1; }
[ "$(<"$folder/kept.safetensors")" = precious ] || { echo "failed: a failed save has changed the file"; failed=1; }
exit $failed
