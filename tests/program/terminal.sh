#!/bin/bash
# On a terminal: errors have colour, the REPL takes input of several lines, survives errors and Ctrl-C, and goes at Ctrl-D.
tenon=$1
command -v script >/dev/null || { echo "skipped: no script(1) here to make a terminal"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
fail() {
    echo "failed: $*"
    failed=1
}
escape=$'\e['

echo 'fail("broken")' >"$folder/bad.model"
TERM=xterm script -qec "exec '$tenon' run '$folder/bad.model'" /dev/null </dev/null >"$folder/colour"
grep -qF "$escape" "$folder/colour" || fail "an error on a terminal has no colour"
"$tenon" run "$folder/bad.model" 2>"$folder/plain"
grep -qF "$escape" "$folder/plain" && fail "an error in a pipe has colour"
grep -q 'error: broken' "$folder/plain" || fail "no error in a pipe"

export HOME=$folder TERM=dumb
type_in() {
    sleep 2
    printf 'fn f(x) {\n    return x + 40\n}\nf(2)\n'
    sleep 0.5
    printf 'nothing_of_this_name\n'
    sleep 0.5
    printf 'while true { }\n'
    sleep 2
    printf '\003'
    sleep 0.5
    printf 'f(3) + 1000\n'
    sleep 0.5
    printf 'grad(fn(x) = x ** 3)(tensor(2.0))\n'
    sleep 0.5
    printf 'fn pasted(x) {\n\n    y = x * 7\n\n    return y\n}\npasted(11)\nlen("naïve") * 111\n'
    sleep 0.5
    printf 'fn dropped(x) {\n'
    sleep 0.3
    printf '\004'
    sleep 0.3
    printf '600 + 66\n'
    sleep 0.3
    printf '\004'
    sleep 0.5
}
type_in | timeout 30 script -qec "exec '$tenon' repl" "$folder/session" >/dev/null
code=$?
[ $code = 0 ] || fail "the REPL ended with exit code $code"
for expected in '42' 'there is no name `nothing_of_this_name`' 'interrupted' '1043' 'tensor(12.)' '77' '555' '666'; do
    grep -qF -- "$expected" "$folder/session" || fail "the REPL did not show: $expected"
done
[ $failed = 0 ] || cat "$folder/session"
exit $failed
