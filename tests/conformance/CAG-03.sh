#!/bin/bash
# CAG-03: reset between compiled backwards leaves nothing behind that is gone. In a process of its own, three times.
tenon=$1
script=$(mktemp --suffix=.model)
trap 'rm -f "$script"' EXIT
cat >"$script" <<'END'
w = randn([1000, 3000], requires_grad: true)
for turn in range(2) {
    x = randn([1000, 3000])
    w.grad = none
    compiled_backward { backward((x @ w.T).sum()) }
    assert stats().captures == 1
    assert allclose(w.grad[0], x.sum(0), rtol: 1e-3, atol: 1e-3)
    reset()
}
END
engines="interp"
[ -e "$(dirname "$tenon")/tenon_llvm.so" ] && engines="$engines jit"
for engine in $engines; do
    for turn in 1 2 3; do
        "$tenon" run --engine $engine "$script" || { echo "failed: exit code $? under $engine"; exit 1; }
    done
done
