#!/bin/bash
# The same bits for 1, 2 and 4 threads: what the examples and the scripts print, on the interpreter and as machine code,
# and the elements of trained weights to the last bit.
tenon=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
engines="eager interp"
[ -e "$(dirname "$tenon")/tenon_llvm.so" ] && engines="$engines jit"

# Every bit of what training leaves behind, not the digits that are printed. Sizes are large enough to be split.
cat >"$folder/bits.model" <<'SCRIPT'
use std.nn, std.optim
seed(3)
net = Sequential(Linear(300, 257), gelu, LayerNorm(257), Linear(257, 10))
opt = AdamW(net.parameters(), lr: 1e-3)
fn step(net, opt, x, y) {
    loss = cross_entropy(net(x), y)
    backward(loss)
    opt.step()
    return loss
}
for turn in range(5) { loss = step(net, opt, randn([129, 300]), randint(0, 10, [129])) }
save(net, args[0])
x = randn([200001])
save({"loss": loss.detach(), "sum": x.sum(), "scan": x.cumsum(0), "softmax": softmax(reshape(x[:200000], [20, 10000]), 1),
      "columns": reshape(x[:200000], [1000, 200]).sum(0), "random": rand([70001]),
      "product": reshape(x[:160000], [400, 400]) @ reshape(x[:102800], [400, 257]),
      "convolution": conv2d(reshape(x[:50176], [4, 64, 14, 14]), reshape(x[:147456], [256, 64, 3, 3]), padding: 1),
      "turns": LSTM(40, 96)(reshape(x[:4000], [20, 5, 40]))[0].detach()}, args[1])
SCRIPT

for engine in $engines; do
    for threads in 1 2 4; do
        "$tenon" run --engine $engine --threads $threads "$folder/bits.model" "$folder/net.$threads.safetensors" \
            "$folder/values.$threads.safetensors" || { echo "failed: $engine with $threads threads"; exit 1; }
    done
    for threads in 2 4; do
        for what in net values; do
            cmp "$folder/$what.1.safetensors" "$folder/$what.$threads.safetensors" ||
                { echo "failed: $what differ between 1 and $threads threads on $engine"; failed=1; }
        done
    done
    cp "$folder/net.1.safetensors" "$folder/net.$engine"
    cp "$folder/values.1.safetensors" "$folder/values.$engine"
done
for engine in $engines; do
    for what in net values; do
        cmp "$folder/$what.eager" "$folder/$what.$engine" || { echo "failed: $what differ between eager and $engine"; failed=1; }
    done
done

# What scripts print, where they print neither times nor counters of threads.
for script in examples/*.model tests/ops/*.model tests/autograd/*.model tests/stdlib/*.model; do
    case $script in */compiled_kernels.model) continue ;; esac
    for threads in 1 2 4; do
        "$tenon" run --engine interp --threads $threads "$script" >"$folder/out.$threads" 2>&1
    done
    cmp "$folder/out.1" "$folder/out.2" && cmp "$folder/out.1" "$folder/out.4" || { echo "failed: $script"; failed=1; }
done
exit $failed
