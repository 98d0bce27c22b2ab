#!/bin/bash
# `tenon help NAME` and `:help NAME`: what each kind of name is told as, and what an unknown one may have meant.
tenon=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

# expect CODE PATTERN COMMAND...: an extended regular expression over both streams
expect() {
    code=$1 pattern=$2
    shift 2
    said=$("$@" 2>&1 </dev/null)
    got=$?
    if [ "$got" != "$code" ] || ! [[ $said =~ $pattern ]]; then
        printf 'failed: %s: exit %s, expected %s matching %s\n%s\n' "$*" "$got" "$code" "$pattern" "$said"
        failed=1
    fi
}

# A function of two kinds of values, a method, a block, a constant.
expect 0 'max\(\*values; key\?, default\?\).*smallest|max\(x, dim\?, keepdim\?\) .*function of tensor.*positions' "$tenon" help max
expect 0 '^text\.strip\(characters\?\)    \(method of str\)' "$tenon" help strip
expect 0 '^list\.append\(value\) .*method of list' "$tenon" help list.append
expect 0 '^dict\.pop\(key, default\?\)' "$tenon" help dict.pop
expect 0 '^no_grad \{ … \}    \(block\)' "$tenon" help no_grad
expect 0 'constant.*\(3|π' "$tenon" help pi
expect 0 'print\(\*values; sep\?, end\?\)    \(function; ends a captured graph\)' "$tenon" help print
# What belongs to a type: its methods.
expect 0 'str has:.*capitalize.*zfill' "$tenon" help str
expect 0 'dict has:.*setdefault' "$tenon" help dict
# The library: functions, models with their methods, modules.
expect 0 'softmax\(x: tensor, dim: int = -1\)    \(library, always in scope\).*along dim' "$tenon" help softmax
expect 0 'mse_loss.*reduction: "mean" over all elements' "$tenon" help mse_loss
expect 0 'Linear\(in_features: int, out_features: int, bias: bool = true\)    \(library: use std\.nn\)' "$tenon" help Linear
expect 0 'methods: step\(keep_grads: bool = false\)' "$tenon" help std.optim.SGD
expect 0 'ReLU\(\).*methods: forward\(x\) = relu\(x\)' "$tenon" help nn.ReLU
expect 0 'use std\.nn .*module.*std\.nn has:.*BatchNorm1d.*Linear' "$tenon" help std.nn
# The language, annotation keys, passes, ops, commands.
expect 0 'while c \{ … \}    \(statement\)' "$tenon" help while
expect 0 'a // b.*operator' "$tenon" help //
expect 0 'x\.requires_grad    \(field of a tensor\)' "$tenon" help requires_grad
expect 0 'annotate \{compile: bool\} \{ … \}    \(annotation key\).*read by: capture' "$tenon" help compile
expect 0 'annotate has:.*compile.*pp_stage' "$tenon" help annotate
expect 0 'tenon opt --pass simplify FILE    \(pass\)' "$tenon" help simplify
expect 0 'erfc    \(op of a graph\).*1 operand, elementwise' "$tenon" help erfc
expect 0 'tenon explain \[OPTION…\] FILE.*explain\(f, \*arguments' "$tenon" help explain
expect 0 'tenon run .*tenon help' "$tenon" help
# Several names; unknown ones.
expect 0 'sin\(x\).*cos\(x\)' "$tenon" help sin cos
expect 2 'nothing is called `sofmax`; did you mean `softmax`\?' "$tenon" help sofmax
expect 2 'nothing is called `str\.strpi`; did you mean `strip`\?' "$tenon" help str.strpi
expect 2 'nothing is called `concatenate`; `concatenate` is written `cat`' "$tenon" help concatenate
expect 2 'nothing is called `MultiheadAttention`; it is not there yet' "$tenon" help MultiheadAttention
expect 2 'sin\(x\).*nothing is called `qqqqqqqq`$' "$tenon" help sin qqqqqqqq

# The same at the prompt.
printf ':help strip\n:help sofmax\n:help\n1 + 2\n' >"$folder/typed"
said=$("$tenon" repl <"$folder/typed" 2>&1)
for expected in 'method of str' 'did you mean `softmax`?' ':graph f(x)' 3; do
    [[ $said == *"$expected"* ]] || { echo "failed: the prompt did not show: $expected"; echo "$said"; failed=1; }
done

# Fields told of are there.
fields=$("$tenon" help --markdown | sed -n '/^## Fields of tensors/,/^## /s/^- `x\.\([A-Za-z_]*\)`.*/\1/p')
{ echo 'x = ones([2, 3])'; for field in $fields; do echo "print(x.$field)"; done; } >"$folder/fields.model"
expect 0 '\[2, 3\]' "$tenon" run "$folder/fields.model"
exit $failed
