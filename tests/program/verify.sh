#!/bin/bash
# Every graph of every script, as captured and after each pass: its structure holds, its text reads back equal, and its first
# run, replayed op by op, gives the bits that the engine gives.
failed=0
for engine in interp jit; do
    if [ $engine = jit ] && [ ! -e "$(dirname "$1")/tenon_llvm.so" ]; then
        echo "left out: this build is without LLVM"
        continue
    fi
    "$1" test --verify --engine $engine examples tests/annotate tests/autograd tests/capture tests/graphs tests/ops tests/stdlib || failed=1
done
exit $failed
