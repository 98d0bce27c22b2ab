#!/bin/bash
# Scripts under `--compiled-backward`, where every backward is captured and compiled by itself, print what they print without.
# Left out are those that print counters or what was compiled, which are others then; `differs` is the list of known differences.
counts="capture/frozen_parameter capture/grad_none_and_set capture/one_compilation graphs/dropout graphs/explain
    graphs/peak graphs/saved_bytes graphs/unseen_writes stdlib/training_step"
# Second derivatives under vmap are compared to the bit with those of single examples, which are sums in another order here.
differs="autograd/checkpoint_orders autograd/second_of_regions autograd/second_of_scans"
failed=0
for engine in interp jit; do
    if [ $engine = jit ] && [ ! -e "$(dirname "$1")/tenon_llvm.so" ]; then
        echo "left out: this build is without LLVM"
        continue
    fi
    scripts=()
    for script in examples/*.model tests/{annotate,autograd,capture,graphs,stdlib}/*.model; do
        name=${script#tests/}
        [[ " ${counts//$'\n'/ } $differs " == *" ${name%.model} "* ]] || scripts+=("$script")
    done
    "$1" test --compiled-backward --engine $engine "${scripts[@]}" || failed=1
done
exit $failed
