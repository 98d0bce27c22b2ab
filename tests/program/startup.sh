#!/bin/bash
# The start is lean: print(1) loads neither LLVM nor anything of CUDA. How long it takes is bench/run's to tell.
tenon=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
heavy='libLLVM|tenon_llvm|libcuda|libnvrtc'

# The dynamic linker itself tells what it opens, through dlopen too.
opened() { # SCRIPT OPTION...
    local script=$1
    shift
    rm -f "$folder"/opened.*
    LD_DEBUG=files LD_DEBUG_OUTPUT="$folder/opened" "$tenon" run "$@" "$script" >/dev/null || return 1
    cat "$folder"/opened.* | grep -oE "file=[^ ]*($heavy)[^ ]*" | sort -u
}

echo 'print(1)' >"$folder/one.model"
for engine in auto eager interp jit; do
    found=$(opened "$folder/one.model" --engine $engine) || { echo "failed: print(1) under $engine"; exit 1; }
    if [ -n "$found" ]; then
        echo "failed: print(1) under $engine opened $found"
        exit 1
    fi
done
# That the check sees what it looks for: machine code needs LLVM.
echo 'fn f(x) = sin(x) * 2; print(f(ones([3])).sum() > 0)' >"$folder/code.model"
if [ -e "$(dirname "$tenon")/tenon_llvm.so" ] && [ -z "$(opened "$folder/code.model" --engine jit)" ]; then
    echo "failed: a compiled kernel opened no LLVM, or the check does not see it"
    exit 1
fi
