#!/bin/bash
# print(1) starts quickly and loads neither LLVM nor the matrix library.
tenon=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
echo 'print(1)' >"$folder/one.model"
command -v strace >/dev/null || skip="the libraries it opens: no strace here"
if [ -z "$skip" ]; then
    strace -f -e trace=openat -o "$folder/trace" "$tenon" run "$folder/one.model" >/dev/null || skip="the libraries it opens: strace is not allowed here"
fi
if [ -z "$skip" ] && grep -qE 'libLLVM|tenon_llvm|libdnnl|libcuda' "$folder/trace"; then
    echo "failed: print(1) opened"
    grep -E 'libLLVM|tenon_llvm|libdnnl|libcuda' "$folder/trace"
    exit 1
fi
best=1000000000
for _ in 1 2 3 4 5 6 7 8 9 10; do
    begin=$(date +%s%N)
    "$tenon" run "$folder/one.model" >/dev/null || exit 1
    end=$(date +%s%N)
    [ $((end - begin)) -lt $best ] && best=$((end - begin))
done
echo "print(1) takes $((best / 1000)) µs at best"
if [ $best -gt 20000000 ] && ! nm "$tenon" 2>/dev/null | grep -q __asan_init; then
    echo "failed: more than 20 ms"
    exit 1
fi
if [ -n "$skip" ]; then
    echo "skipped: $skip"
    exit 77
fi
