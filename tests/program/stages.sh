#!/bin/bash
# `tenon dump` at every stage of every example, in every form that the stage has. What is a graph reads back, by graph_from and by `tenon opt`, and prints
# as before, but for places in the script, which the text of a graph gives for people only.
tenon=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
fail() {
    echo "failed: $*"
    failed=1
}
# Text without places, blanks squeezed.
plain() { sed -E 's/ @([^ ]+:)?[0-9]+:[0-9]+//; s/ +/ /g; s/ $//; /^$/d' "$@"; }

graphs=0
for script in examples/*.model; do
    [ $script != examples/digits_cnn.model ] || continue    # each dump trains it, for seconds, and digits.model shows the same
    for stage in graph joint forward backward simplified fused loops; do
        "$tenon" dump --stage $stage "$script" >"$folder/dump" 2>"$folder/error" || fail "$script at stage $stage: $(<"$folder/error")"
        if [ ! -s "$folder/dump" ]; then
            # A step whose backward is part of its own graph has no halves.
            [ $stage = joint ] || [ $stage = backward ] || fail "$script has nothing at stage $stage"
            continue
        fi
        nodes=$(grep -c ' = .*(' "$folder/dump")
        if [ $script != examples/digits.model ] || [ $stage = fused ]; then    # each form trains it again
            "$tenon" dump --stage $stage --format json "$script" >"$folder/json" || fail "$script at stage $stage as json"
            [ "$(grep -c '"name": "[^"]*",$' "$folder/json")" -ge $nodes ] || fail "$script at stage $stage: json has fewer nodes than the text"
            ! command -v python3 >/dev/null || python3 -m json.tool "$folder/json" >/dev/null || fail "$script at stage $stage is no json"
            "$tenon" dump --stage $stage --format dot "$script" >"$folder/dot" || fail "$script at stage $stage as dot"
            [ "$(head -n 1 "$folder/dot")" = "digraph \"$stage\" {" ] && [ "$(tail -n 1 "$folder/dot")" = "}" ] || fail "$script at stage $stage is no dot"
            ! command -v dot >/dev/null || [ $nodes -gt 60 ] || dot -Tsvg "$folder/dot" -o "$folder/svg" 2>"$folder/error" || fail "$script at stage $stage is not drawn: $(<"$folder/error")"
        fi
        rm -f "$folder"/graph.*
        awk -v name="$folder/graph." '/^graph / { ++n } n { print > (name n) }' "$folder/dump"
        for graph in "$folder"/graph.*; do
            ((++graphs))
            { echo 'print(graph_from("""'; cat "$graph"; echo '"""))'; } >"$folder/read.model"
            "$tenon" run "$folder/read.model" >"$folder/again" 2>"$folder/error" || { fail "$script at stage $stage does not read back: $(<"$folder/error")"; continue; }
            plain "$graph" >"$folder/before"
            plain "$folder/again" | diff "$folder/before" - >"$folder/difference" ||
                fail "$script at stage $stage reads back different: $(head -n 9 "$folder/difference")"
            [ $stage != graph ] || "$tenon" opt --pass inline --pass simplify "$graph" >/dev/null || fail "$script: tenon opt"
        done
    done
    for stage in ast cuda; do
        [ -n "$("$tenon" dump --stage $stage "$script")" ] || fail "$script has nothing at stage $stage"
    done
    if [ -e "$(dirname "$tenon")/tenon_llvm.so" ]; then
        "$tenon" dump --stage llvm "$script" | grep -q '^define ' || fail "$script has no machine code at stage llvm"
        "$tenon" dump --stage asm "$script" | grep -q 'ret' || fail "$script has no machine code at stage asm"
    fi
    if "$tenon" dump --stage ptx "$script" >"$folder/ptx" 2>"$folder/error"; then
        grep -q '^\.visible \.entry' "$folder/ptx" || fail "$script has no entry at stage ptx"
    else
        grep -q 'PTX needs NVRTC.*cuda-nvrtc' "$folder/error" || fail "$script at stage ptx: $(<"$folder/error")"
    fi
    "$tenon" explain "$script" >"$folder/explained" || fail "tenon explain $script"
    grep -qE '^graph 1  ' "$folder/explained" || fail "tenon explain $script shows no graph"
    "$tenon" explain --format json "$script" >"$folder/json" || fail "tenon explain --format json $script"
    grep -q '"milliseconds": ' "$folder/json" || fail "tenon explain --format json $script has no times"
    ! command -v python3 >/dev/null || python3 -m json.tool "$folder/json" >/dev/null || fail "tenon explain $script is no json"
    ! grep -E '^  [a-z ]+ (fused|refused|saved|recomputed|reused)? *[^ ]+: *$' "$folder/explained" || fail "tenon explain $script leaves a reason empty"
done
refuse() { # MESSAGE OPTION...
    local message=$1
    shift
    "$tenon" dump "$@" examples/polynomial.model >"$folder/out" 2>"$folder/error"
    [ $? = 2 ] && grep -q "$message" "$folder/error" || fail "dump $*: $(<"$folder/error")"
}
refuse 'there is no stage `nothing`; there are ast, graph, .*, cuda, ptx' --stage nothing
refuse 'the stage `ast` has no form `dot`; it has text and json' --stage ast --format dot
refuse 'the stage `ptx` has no form `json`; it is text' --stage ptx --format json
refuse 'there is no format `svg`' --stage graph --format svg
[ $graphs -gt 30 ] || fail "only $graphs graphs were seen"
exit $failed
