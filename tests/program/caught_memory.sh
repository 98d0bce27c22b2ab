# A script catches that memory runs out, for tensors and for host values, and goes on.
program=$1
nm "$program" 2>/dev/null | grep -q __asan_init && { echo "skipped: a sanitized program takes more memory"; exit 77; }
script=$(mktemp --suffix=.model)
trap 'rm -f "$script"' EXIT
cat > "$script" <<'END'
try { xs = []; while true { xs.append(zeros([1000000])) } } catch e { xs = none; print("caught", e.kind) }
try { xs = []; while true { xs.append([1, 2, 3, 4]) } } catch e { xs = none; print("caught", e.kind) }
try { d = {}; k = 0; while true { d[k] = str(k); k += 1 } } catch e { d = none; print("caught", e.kind) }
print("on")
END
said=$( (ulimit -v 300000; "$program" run --engine interp --threads 1 "$script") 2>&1 )
[ "$said" = "$(printf 'caught memory\ncaught memory\ncaught memory\non')" ] || { echo "$said"; exit 1; }
