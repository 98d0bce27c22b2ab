#!/bin/bash
# Ctrl-C ends whatever runs, soon, with the line and the calls that led there and exit code 130; a `catch` does not see it, and
# what was printed before is there. Each script prints `ready` and then works for much longer than it is given.
tenon=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
limit=${TENON_INTERRUPT_LIMIT:-3000} # ms: the machine may be busy. bench/interrupt.py tells how long it takes
has_jit=1
[ -e "$(dirname "$tenon")/tenon_llvm.so" ] || has_jit=0
mkfifo "$folder/silence"
exec 9<>"$folder/silence" # an input that says nothing
set -m # background jobs of a script ignore SIGINT unless job control is on

# ends NAME ENGINE PATTERN: stderr matches the pattern
ends() {
    local name=$1 engine=$2 pattern=$3 code began took
    [ "$engine" = jit ] && [ $has_jit = 0 ] && return
    : >"$folder/stdout"
    "$tenon" run --engine "$engine" --threads 2 "$folder/$name.model" "$folder" <&9 >"$folder/stdout" 2>"$folder/stderr" &
    local pid=$!
    for ((k = 0; k < 1000; ++k)); do
        grep -q ready "$folder/stdout" && break
        sleep 0.02
    done
    sleep 0.3
    began=$(date +%s%N)
    kill -INT $pid
    wait $pid 2>/dev/null
    code=$?
    took=$((($(date +%s%N) - began) / 1000000))
    if [ $code != 130 ] || ! grep -q '^ready$' "$folder/stdout" || grep -q 'caught\|after' "$folder/stdout" ||
        ! head -1 "$folder/stderr" | grep -qx interrupted || ! tr '\n' ' ' <"$folder/stderr" | grep -qE "$pattern" || ((took > limit)); then
        echo "failed: $name on $engine: exit $code after $took ms"
        sed 's/^/    /' "$folder/stdout" "$folder/stderr"
        failed=1
    fi
}

cat >"$folder/spin.model" <<'END'
fn spin(n) { while true { n += 1 } }
fn go(x) { try { spin(1) } catch e { print("caught") } }
print("ready")
go(1)
END
cat >"$folder/kernel.model" <<'END'
x = rand([40000000])
fn work(x) { for i in range(12) { x = sin(x) * 1.5 + cos(x) }
    return x }
work(x[:10]).sum().item()
print("ready")
while true { work(x).sum().item() }
END
cat >"$folder/product.model" <<'END'
x = rand([6000, 6000])
print("ready")
for i in range(10) { x = x @ x / 3000 }
print("after")
END
cat >"$folder/argsort.model" <<'END'
x = rand([30000000])
print("ready")
y = x.argsort()
print("after")
END
cat >"$folder/sort.model" <<'END'
xs = [(i * 7919) % 1000003 for i in range(9000000)]
print("ready")
ys = xs.sort()
print("after")
END
cat >"$folder/text.model" <<'END'
text = "ab" * 50000000
print("ready")
parts = text.replace("a", "abc").split("b")
print("after", len(parts))
END
cat >"$folder/compile.model" <<'END'
fn f(x) { for i in range(3000) { x = sin(x) + cos(x).sum() }
    return x }
print("ready")
y = f(ones([8]))
y.sum().item()
print("after")
END
cat >"$folder/save.model" <<'END'
x = rand([50000000])
print("ready")
while true { save({"x": x}, args[0] + "/large.npz") }
END
cat >"$folder/input.model" <<'END'
print("ready")
line = input()
print("after")
END
ends spin interp 'spin.model:1:14 .*in spin, called at [^ ]*spin.model:2:18 .*in go, called at [^ ]*spin.model:4:1'
for engine in eager interp jit; do ends kernel $engine 'kernel.model:[26]'; done
ends product interp 'product.model:3'
ends argsort interp 'argsort.model:3'
ends sort interp 'sort.model:3'
ends text interp 'text.model:3'
ends compile jit 'compile.model:[145]'
ends save interp 'save.model:3'
[ -z "$(ls "$folder" | grep tmp)" ] || { echo "failed: an interrupted save leaves $(ls "$folder" | grep tmp)"; failed=1; }
ends input interp 'input.model:2'
exit $failed
