#!/bin/bash
# The same bits with AVX2 and with AVX-512, on every engine and for one thread and three; an instruction set that is none, or that
# this processor lacks, is an error of the command line.
tenon=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
engines="eager interp"
[ -e "$(dirname "$tenon")/tenon_llvm.so" ] && engines="$engines jit"

# Every bit of what training and products leave behind.
cat >"$folder/bits.model" <<'SCRIPT'
use std.nn, std.optim
seed(7)
net = Sequential(Linear(130, 97), gelu, LayerNorm(97), Linear(97, 10))
opt = AdamW(net.parameters(), lr: 1e-3)
fn step(net, opt, x, y) {
    loss = cross_entropy(net(x), y)
    backward(loss)
    opt.step()
    return loss
}
for turn in range(4) { loss = step(net, opt, randn([65, 130]), randint(0, 10, [65])) }
save(net, args[0])

fn heads(q, k, v) = softmax(q @ transpose(k, -2, -1) * 0.25, -1) @ v
values = {"loss": loss.detach(), "heads": heads(randn([3, 33, 16]), randn([3, 33, 16]), randn([3, 33, 16]))}
for dtype in [f32, f64, f16, bf16] {
    a = randn([70, 600]).to(dtype)
    b = randn([600, 130]).to(dtype)
    values[f"{dtype} nn"] = a @ b
    values[f"{dtype} nt"] = a @ (b.T.clone()).T
    values[f"{dtype} tn"] = (a.T.clone()).T @ b
    values[f"{dtype} row"] = a[0:1] @ b
    values[f"{dtype} column"] = a @ b[:, 0:1]
    x = randn([3001]).to(dtype)
    values[f"{dtype} chain"] = tanh(x) * sigmoid(x) + exp(x) / (1 + x * x) + sin(100 * x)
    values[f"{dtype} sum"] = x.sum()
}
for dtype in [i64, i32, u8] { values[f"{dtype}"] = randint(0, 200, [40, 70]).to(dtype) @ randint(0, 200, [70, 50]).to(dtype) }
save(values, args[1])
SCRIPT

run() { # NAME OPTION...
    local name=$1
    shift
    "$tenon" run "$@" "$folder/bits.model" "$folder/net.$name.safetensors" "$folder/values.$name.safetensors" ||
        { echo "failed: $*"; exit 1; }
}
: >"$folder/nothing.model"
run expected --engine eager --threads 1 --isa avx2
sets=avx2
if "$tenon" run --isa avx512 "$folder/nothing.model" 2>"$folder/said"; then
    sets="avx2 avx512"
else
    [ $? = 2 ] && grep -q 'no AVX-512' "$folder/said" || { echo "failed: avx512 is refused with: $(<"$folder/said")"; failed=1; }
fi
for engine in $engines; do
    for isa in $sets; do
        for threads in 1 3; do
            run found --engine "$engine" --threads $threads --isa $isa
            for what in net values; do
                cmp "$folder/$what.expected.safetensors" "$folder/$what.found.safetensors" ||
                    { echo "failed: $what differ on $engine with $isa and $threads threads"; failed=1; }
            done
        done
    done
done

"$tenon" run --isa sse2 "$folder/bits.model" 2>"$folder/said"
[ $? = 2 ] && grep -q 'there are avx2 and avx512' "$folder/said" || { echo "failed: sse2 is refused with: $(<"$folder/said")"; failed=1; }
# Machine code is made of what was asked for.
if [[ $engines = *jit ]]; then
    echo 'fn f(x) = x * 2 + 1; print(f(ones([100])).sum())' >"$folder/code.model"
    "$tenon" dump --stage asm --isa avx2 "$folder/code.model" | grep -q zmm && { echo "failed: AVX-512 in code for AVX2"; failed=1; }
    [[ $sets = *avx512 ]] && ! "$tenon" dump --stage asm --isa avx512 "$folder/code.model" | grep -q zmm &&
        { echo "failed: no AVX-512 in code for it"; failed=1; }
fi
exit $failed
