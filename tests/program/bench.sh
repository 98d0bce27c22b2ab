#!/bin/bash
# The scripts that bench/run measures, small: the same results of the first and the third step on every engine, and an answer
# to each line of the standard input.
tenon=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
engines="eager interp"
[ -e "$(dirname "$tenon")/tenon_llvm.so" ] && engines="$engines jit"
failed=0
complain() {
    echo "failed: $*"
    failed=1
}

# SCRIPT WORK ROW…: the rows are what the work is asked for
while read -r script work rows; do
    for engine in $engines; do
        for row in $rows; do echo "$row 1"; done |
            "$tenon" run --engine "$engine" "bench/$script.model" "$work" "$folder/$engine.npz" >"$folder/out" ||
            complain "$script $work on $engine"
        grep -c '^median ' "$folder/out" | grep -qx "$(wc -w <<<"$rows")" || complain "$script $work on $engine: medians are missing"
        grep -v '^median ' "$folder/out" >"$folder/$engine"
        cmp "$folder/eager" "$folder/$engine" || complain "$script $work differs between eager and $engine"
    done
done <<'WORKS'
mlp tiny tiny
mlp digits digits
gpt small small
lstm small small
lstm small_encoder small_encoder
dlrm small small
bert small small
resnet small small
resnet small224 small224
resnet small224_inference small224_inference
kernels small softmax layer_norm column_sum transpose tanh_sigmoid gelu adam triad
conv small_conv 3x7-4x3-2-forward 3x7-4x3-2-data 3x7-4x3-2-kernel
attention small_attention 70-full-forward 70-full-both 70-causal-forward 70-causal-both
matmul small 16x24x32-nn 16x24x32-nt 16x24x32-tn
WORKS
exit $failed
