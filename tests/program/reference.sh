#!/bin/bash
# docs/reference.md is what `tenon help --markdown` writes, which in turn refuses where a row, a word of the language or a
# name of the library has no text.
tenon=$1
if ! "$tenon" help --markdown >"${TMPDIR:-/tmp}/reference.$$"; then
    echo "failed: something has no text; docs/extending.md tells where it belongs"
    exit 1
fi
trap 'rm -f "${TMPDIR:-/tmp}/reference.$$"' EXIT
if ! diff -u docs/reference.md "${TMPDIR:-/tmp}/reference.$$"; then
    echo "failed: docs/reference.md is stale: ./dev build reference"
    exit 1
fi
