#!/bin/bash
# Every graph of every script, before and after each pass: its structure holds, and its text reads back equal.
exec "$1" test --verify --engine interp examples tests/annotate tests/autograd tests/capture tests/ops tests/stdlib
