#!/bin/bash
# Graphs of as many ops as a script writes down or unrolls take no more stack than short ones: each in 256 KiB, which a
# frame an op would not fit in.
tenon=$1
[ -n "$TENON_SANITIZED" ] && { echo "skipped: sanitizers take more stack than this leaves"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
for n in 24000 100000; do
    cat >"$folder/unrolled.model" <<EOF
@compile(fullgraph: true)
fn f(x) {
    for i in range($n) { x = x + 1 }
    return x
}
print(f(ones([10])).sum().item())
EOF
    cat >"$folder/mapped.model" <<EOF
fn f(x) {
    for i in range($n) { x = x + 1 }
    return x
}
print(vmap(f)(ones([10])).sum().item())
EOF
    {
        echo 'fn f(x) {'
        yes '    x = x + 1' | head -$n
        printf '    return x\n}\nprint(f(ones([10])).sum().item())\n'
    } >"$folder/lines.model"
    for script in unrolled mapped lines; do
        for engine in interp jit; do
            [ $engine = jit ] && [ ! -e "$(dirname "$tenon")/tenon_llvm.so" ] && continue
            out=$(ulimit -s 256 && "$tenon" run --engine $engine "$folder/$script.model" 2>&1)
            [ "$out" = "$((n * 10 + 10)).0" ] && continue
            echo "failed: $n ops, $script under $engine: $(head -c 300 <<<"$out")"
            failed=1
        done
    done
    cat >"$folder/gradient.model" <<EOF
x = ones([10], requires_grad: true)
@compile(fullgraph: true)
fn f(x) {
    for i in range($n) { x = x * 1.0 + 1 }
    return x.sum()
}
f(x).backward()
print(x.grad.sum().item())
EOF
    out=$(ulimit -s 256 && "$tenon" run --engine interp "$folder/gradient.model" 2>&1)
    [ "$out" = 10.0 ] || { echo "failed: the gradient of $n ops: $(head -c 300 <<<"$out")"; failed=1; }
done
exit $failed
