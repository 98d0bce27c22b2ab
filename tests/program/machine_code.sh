#!/bin/bash
# Under the engine jit every kernel of a captured graph is machine code, in every script that does not ask for the
# interpreter, which runs none.
tenon=$1
if [ ! -e "$(dirname "$tenon")/tenon_llvm.so" ]; then
    echo "skipped: this build is without LLVM"
    exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
compiled=0
for script in examples/*.model tests/{annotate,autograd,capture,graphs,ops,stdlib}/*.model; do
    case $script in */_* | */no_compile.model | */engine_of_a_graph.model) continue ;; esac
    cp "$(dirname "$script")"/_*.model "$folder" 2>/dev/null # what scripts there use
    { cat "$script"; printf '\nprint("kernels", stats().kernels.llvm, stats().kernels.interp)\n'; } >"$folder/script.model"
    last=$("$tenon" run --engine jit "$folder/script.model" 2>"$folder/error" | tail -n 1)
    case $last in
        "kernels 0 0") ;; # nothing captured, or nothing but library calls since the last reset()
        "kernels "*" 0") ((++compiled)) ;;
        *)
            grep -q '^#! exit: [12]' "$script" && continue
            echo "failed: $script ends with '$last' $(head -n 3 "$folder/error")"
            failed=1
            ;;
    esac
done
echo "$compiled scripts ran machine code"
[ $compiled -gt 20 ] || failed=1
exit $failed
