#!/bin/bash
# What comes from files, paths and scripts is shown in messages as text: control characters as escapes, whole to its end, whatever
# is in it. And a path with a NUL in it is no path.
tenon=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failed=0
esc=$'\e'
control=$'[\x01-\x08\x0b-\x1f\x7f]'

# shows PATTERN COMMAND...: stderr has the pattern (a fixed text) and no control character
shows() {
    local pattern=$1
    shift
    "$@" >stdout 2>stderr </dev/null
    if ! grep -qF -- "$pattern" stderr || LC_ALL=C grep -qa "$control" stderr || ! tr -d '\0' <stderr | cmp -s - stderr; then
        echo "failed: $*"
        cat -v stderr
        failed=1
    fi
}

safetensors() { # FILE HEADER
    { printf "\\x$(printf %02x $((${#2} % 256)))\\x$(printf %02x $((${#2} / 256)))\\0\\0\\0\\0\\0\\0"; printf '%s' "$2"; head -c 4 /dev/zero; } >"$1"
}
safetensors name.safetensors '{"a\u001b[2J":{"dtype":"F32","shape":[3],"data_offsets":[0,4]}}'
safetensors dtype.safetensors '{"a":{"dtype":"\u001b[31mF9","shape":[1],"data_offsets":[0,4]}}'
echo 'load(args[0])' >load.model
shows '\x1b[2J' "$tenon" run load.model name.safetensors
shows '\x1b[31mF9' "$tenon" run load.model dtype.safetensors
shows 'no\x1b[2J.npy' "$tenon" run load.model "no${esc}[2J.npy"
shows 'no\x1b[2J.model' "$tenon" run "no${esc}[2J.model"
shows '--\x1b[2J' "$tenon" run "--${esc}[2J" load.model
printf 'x = 1 +\n' >"bad${esc}[2J.model"
shows 'bad\x1b[2J.model:2:' "$tenon" run "bad${esc}[2J.model"
printf 'fail("a\\u0000b\\u001b[2J\\u202ec")\n' >fail.model
shows 'a\x00b\x1b[2J\u202ec' "$tenon" run fail.model
shows 'fail.model:1:1' "$tenon" run fail.model

cat >paths.model <<'END'
fn refused(f) {
    try { f() } catch e { return e.kind }
    return "taken"
}
x = ones([2])
print(refused(fn() = save(x, "made\u0000.npy")), refused(fn() = save({"x": x}, "made\u0000.npz")),
      refused(fn() = save({"x": x}, "made\u0000.safetensors")), refused(fn() = write_text("made\u0000", "text")))
print(refused(fn() = load("paths.model\u0000.npy")), refused(fn() = read_text("paths.model\u0000")),
      exists("paths.model\u0000"), exists("paths.model"), env("HOME\u0000", "none"))
print(refused(fn() = save({"x\u0000": x}, "names.npz")))
END
said=$("$tenon" run paths.model 2>&1)
expected='io io io io
io io false true none
io'
[ "$said" = "$expected" ] && [ ! -e made ] && [ ! -e names.npz ] || { echo "failed: paths: $said"; ls; failed=1; }
exit $failed
