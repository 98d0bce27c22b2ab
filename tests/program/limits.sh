#!/bin/bash
# What the system refuses (memory, threads, the size of a file, room for output) is an error that a script can catch or that ends it
# with exit code 1: never a signal, and nothing is left behind.
tenon=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failed=0
sanitized=0
nm "$tenon" 2>/dev/null | grep -q __asan_init && sanitized=1

# The size of a file: the old one stays.
cat >save.model <<'END'
x = ones([1000000])
try { save(args[0].endswith("npy") ? x : {"a": x}, args[0]) } catch e { print("caught", e.kind) }
END
sed -i 's/args\[0\].endswith("npy") ? x : {"a": x}/x/' save.model
for kind in safetensors npz npy; do
    echo old >f.$kind
    (ulimit -f 100; "$tenon" run save.model f.$kind >out 2>err)
    code=$?
    [ $code = 0 ] && [ "$(<out)" = "caught io" ] && [ "$(<f.$kind)" = old ] && [ "$(ls | grep -c tmp)" = 0 ] ||
        { echo "failed: saving .$kind beyond the limit of a file's size: exit $code: $(cat out err; ls)"; failed=1; }
done

# The standard output: nothing that is lost counts as success.
if [ -w /dev/full ]; then
    echo 'print(1)' >one.model
    for command in "run one.model" "dump --stage ast one.model" "test one.model" "--help" "run --help" "--version"; do
        "$tenon" $command >/dev/full 2>err
        [ $? = 1 ] && grep -q 'cannot write to the standard output' err || { echo "failed: tenon $command on a full device: $(<err)"; failed=1; }
    done
    echo '1 + 1' | "$tenon" repl >/dev/full 2>err && { echo "failed: tenon repl on a full device"; failed=1; }
fi

# What was printed reaches a pipe at once, and stays when the process is killed.
mkfifo pipe
printf 'print("first")\nprint("half", end: "")\nwhile true { }\n' >endless.model
"$tenon" run endless.model >pipe &
pid=$!
exec 8<pipe
IFS= read -r -t 20 line <&8
IFS= read -r -t 1 -n 4 half <&8
kill -9 $pid
wait $pid 2>/dev/null
exec 8<&-
[ "$line$half" = firsthalf ] || { echo "failed: a pipe got '$line' and '$half'"; failed=1; }

# Memory, at every stage of a run.
if [ $sanitized = 0 ]; then
    cat >train.model <<'END'
use std.nn
use std.optim
m = Linear(20, 20)
opt = SGD(m.parameters(), lr: 0.01)
x = randn([50, 20])
fn step(m, x) { loss = m(x).square().mean()
    loss.backward()
    return loss }
for i in range(20) { step(m, x); opt.step(); opt.zero_grad() }
print("trained")
END
    ends=0
    for ((mb = 16; mb <= 400; mb += mb < 64 ? 1 : 7)); do
        for engine in interp auto; do
            (ulimit -c 0; ulimit -v $((mb * 1024)); "$tenon" run --engine $engine --threads 2 train.model >out 2>err)
            code=$?
            case $code in
                0) ends=1 ;;
                1 | 2 | 127) ;;
                *) echo "failed: $engine with $mb MiB ends with $code: $(<err)"; failed=1 ;;
            esac
        done
    done
    [ $ends = 1 ] || { echo "failed: 400 MiB are not enough: $(<err)"; failed=1; }
    err=$( (ulimit -v 1000000; "$tenon" run --threads 1024 train.model) 2>&1)
    case $err in *"this is a bug"*) echo "failed: too many threads are called a bug: $err"; failed=1 ;; esac
fi
exit $failed
