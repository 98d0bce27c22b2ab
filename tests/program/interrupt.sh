#!/bin/bash
# Ctrl-C ends a script with exit code 130 and its call stack; a `catch` does not see it.
tenon=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/spin.model" <<'SCRIPT'
fn spin(n) { while true { n += 1 } }
fn go(x) { try { spin(1) } catch e { print("caught") } }
print("started")
go(1)
SCRIPT
# Background jobs of a script ignore SIGINT unless job control is on.
set -m
"$tenon" run "$folder/spin.model" >"$folder/stdout" 2>"$folder/stderr" &
sleep 0.5
kill -INT $!
wait $!
code=$?
if [ $code != 130 ] || ! grep -q 'in spin, called at .*spin.model:2:18' "$folder/stderr" || ! grep -q '^started$' "$folder/stdout" ||
    grep -q caught "$folder/stdout"; then
    echo "failed: exit $code"
    cat "$folder/stdout" "$folder/stderr"
    exit 1
fi
