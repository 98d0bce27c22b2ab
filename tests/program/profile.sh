#!/bin/bash
# `tenon run --profile` names the lines that the time of graphs went to, the same ones under every engine, and changes nothing
# else. Of a kernel's time every line that has a part of it gets its own.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/two.model" <<'SCRIPT'
fn f(x, w) {
    y = sin(x)
    z = y * exp(x)
    return z @ w
}
x = ones([64, 64])
for k in range(4) { r = f(x, x) }
print(r.shape)
SCRIPT
failed=0
complain() {
    echo "failed: $*"
    failed=1
}
for engine in eager interp jit; do
    if [ $engine = jit ] && [ ! -e "$(dirname "$1")/tenon_llvm.so" ]; then continue; fi
    out=$("$1" run --engine $engine --profile "$folder/two.model" 2> "$folder/told") || complain "$engine: exit code $?"
    [ "$out" = "[64, 64]" ] || complain "$engine printed $out"
    head -1 "$folder/told" | grep -Eq '^profile: [0-9.]+ ms of [0-9.]+ ms in the steps of graphs$' || complain "$engine: no first line"
    for line in 'two.model:2  y = sin\(x\)' 'two.model:3  z = y \* exp\(x\)' 'two.model:4  return z @ w'; do
        grep -Eq "^ +[0-9.]+ +[0-9.]+ +[48]  .*$line\$" "$folder/told" || complain "$engine: nothing of $line"
    done
    [ $failed = 0 ] || cat "$folder/told"
done
"$1" run --engine interp "$folder/two.model" 2>&1 | grep -q profile && complain "told without being asked"
exit $failed
