#!/bin/bash
# A script catches that memory runs out, for tensors and for host values, and goes on.
program=$1
nm "$program" 2>/dev/null | grep -q __asan_init && { echo "skipped: a sanitized program takes more memory"; exit 77; }
script=$(mktemp --suffix=.model)
trap 'rm -f "$script"' EXIT
cat >"$script" <<'END'
try { xs = []; while true { xs.append(zeros([1000000])) } } catch e { xs = none; print("caught", e.kind) }
try { xs = []; while true { xs.append([1, 2, 3, 4]) } } catch e { xs = none; print("caught", e.kind) }
try { d = {}; k = 0; while true { d[k] = str(k); k += 1 } } catch e { d = none; print("caught", e.kind) }
fn grow(x) { parts = []
    for i in range(1000000000) { parts.append("part " + str(i)) }
    return x + len(parts) }
for k in range(3) { try { grow(ones([2])) } catch e { print("caught", e.kind) } }
try { s = "x"; while true { s += s } } catch e { s = none; print("caught", e.kind) }
print("on")
END
for engine in eager interp auto; do
    said=$( (ulimit -v 400000; "$program" run --engine $engine --threads 1 "$script") 2>&1)
    [ "$said" = "$(printf 'caught memory\n%.0s' 1 2 3 4 5 6 7; echo on)" ] || { echo "$engine: $said"; exit 1; }
done
