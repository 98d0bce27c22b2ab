#!/bin/bash
# Exit codes, and what goes to which stream.
tenon=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failed=0

# expect CODE STDOUT-PATTERN STDERR-PATTERN COMMAND...: extended regular expressions over the whole output
expect() {
    code=$1 out=$2 err=$3
    shift 3
    "$@" >stdout 2>stderr </dev/null
    got=$?
    if [ "$got" != "$code" ] || ! [[ $(<stdout) =~ $out ]] || ! [[ $(<stderr) =~ $err ]]; then
        echo "failed: $*: exit $got, expected $code"
        sed 's/^/    stdout: /' stdout
        sed 's/^/    stderr: /' stderr
        failed=1
    fi
}

echo 'print("fine", args)' >good.model
echo 'fail("broken")' >bad.model
printf 'print("before")\nfn f(x) = x[5]\nf([1])\n' >stack.model
echo 'x = = 1' >invalid.model
printf 'x = 1 +* 2\ny = unknown(\nz = )\n' >several.model

expect 0 '^fine \["a", "--b"\]$' '^$' "$tenon" run good.model a --b
expect 1 '^$' 'error: broken' "$tenon" run bad.model
expect 1 '^before$' 'index 5 is out of range.*stack.model:2:11.*in f, called at stack.model:3:1' "$tenon" run stack.model
expect 2 '^$' 'error: .*invalid.model:1:5' "$tenon" run invalid.model
expect 2 '^$' 'several.model:1:.*several.model:' "$tenon" run several.model
expect 2 '^$' 'cannot open' "$tenon" run missing.model
expect 0 '^$' '^$' "$tenon" check good.model
expect 2 '^$' 'invalid.model:1:5' "$tenon" check good.model invalid.model
expect 2 '^$' 'there is no command `rnu`' "$tenon" rnu good.model
expect 2 '^$' 'has no option `--fast`' "$tenon" run --fast good.model
expect 2 '^$' 'there is no engine `fast`' "$tenon" run --engine fast good.model
expect 2 '^$' '--threads takes a number' "$tenon" run --threads none good.model
expect 2 '^$' 'which file' "$tenon" run
expect 0 'tenon run' '^$' "$tenon" --help
expect 0 '--engine' '^$' "$tenon" run --help
expect 0 '^tenon [0-9]' '^$' "$tenon" --version
expect 0 '^3$' '^$' bash -c "echo '1 + 2' | '$tenon' repl"
expect 0 '^3$' 'there is no name `y`' bash -c "printf 'y\n1 + 2\n' | '$tenon' repl"
expect 0 'call\(|Name|name' '^$' "$tenon" dump --stage ast good.model
expect 2 '^$' 'there is no stage' "$tenon" dump --stage nothing good.model

# Breaks and recompiles are told as they happen, with their reasons.
printf 'fn f(x) = sin(x)\nf(ones([10]))\nf(ones([12]))\nfn g(x) { y = sin(x); graph_break "reading"; return y }\ng(ones([2]))\n' >told.model
expect 0 '^$' 'told.model:3:1: compiled again in f: x.shape\[0\] was 10, now 12; symbolic.*told.model:4:23: graph break in g: graph_break: reading' \
    "$tenon" run --explain told.model

# Settings of golden files that are wrong, and an exit code that may be meant.
printf '#! engines: interpreter\nprint(1)\n#> 1\n' >setting.model
expect 1 'names an engine that is not there; there are `#! engines: interp jit`' '^$' "$tenon" test setting.model
printf '#! exit: one\nfail("x")\n' >setting.model
expect 1 'line 1: `#! exit: one` is no exit code' '^$' "$tenon" test setting.model
printf '#! tolerance: 1e-4x\nprint(1)\n#> 1\n' >setting.model
expect 1 'line 1: `#! tolerance: 1e-4x` is no positive number' '^$' "$tenon" test setting.model
expect 1 'the exit code is 1, not 0; is it meant\? `#! exit: 1` says so' '^$' "$tenon" test bad.model

# A golden file that fails, and is blessed.
printf 'print(1 + 1)\n#> 3\n' >golden.model
expect 1 '- 3.*\+ 2' '^$' "$tenon" test golden.model
expect 0 'blessed golden.model' '^$' "$tenon" test --bless golden.model
expect 0 '1 script passed' '^$' "$tenon" test golden.model
grep -q '^#> 2$' golden.model || { echo "failed: --bless wrote something else"; failed=1; }
printf 'test "one" { assert 1 == 1 }\ntest "two" { assert 1 == 2, "unequal" }\nprint("after")\n#> after\n' >blocks.model
expect 1 'test "two" failed.*unequal.*2 test blocks' '^$' "$tenon" test blocks.model


# Of a folder, what begins with `_` is left out; asked for by name it runs.
mkdir -p suite/_broken
echo 'print(1 +' >suite/_broken/bad.model
echo 'print(1 +' >suite/_used.model
printf 'print(2)\n#> 2\n' >suite/good.model
expect 0 '^1 script passed' '^$' "$tenon" test suite
expect 1 '1 failed' '^$' "$tenon" test suite/_broken

# Of a script that captures several functions, one function's graphs.
printf 'fn f(x) = sin(x)\nfn g(x) = cos(x)\nf(ones([3])); g(ones([3]))\n' >two.model
expect 0 '^graph g\(.*cos\(x\)[^}]*\}[[:space:]]*$' '^$' "$tenon" dump --function g two.model
expect 1 '^$' 'no graph is of a function `h`; there are f, g' "$tenon" dump --function h two.model
expect 2 '^$' 'the whole script' "$tenon" dump --stage ast --function f two.model

# Of a large graph explain tells a page, and everything with --all.
printf 'fn f(x) { for i in range(40) { x = softmax(x @ x) }; return x }\nf(ones([4, 4]))\n' >large.model
expect 0 'by line.*large.model:1 .*decided.*tenon explain --all FILE' '^$' "$tenon" explain large.model
[ "$("$tenon" explain large.model | wc -l)" -le 60 ] || { echo "failed: explain tells more than a page"; failed=1; }
[ "$("$tenon" explain --all large.model | wc -l)" -gt 120 ] || { echo "failed: explain --all leaves something out"; failed=1; }

exit $failed
