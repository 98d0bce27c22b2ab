#!/usr/bin/env python3
"""How long Ctrl-C takes, from the signal to the end of the process: bench/interrupt.py PATH_TO_TENON [RUNS]

Each work runs for much longer than it is given; the signal comes at different times of it. Prints the median and the longest.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORKS = {
    "a loop of the script": ("interp", "n = 0\nprint('ready')\nwhile true { n += 1 }"),
    "a kernel, op by op": (
        "eager",
        "x = rand([60000000])\nprint('ready')\nwhile true { x = sin(x) }",
    ),
    "a kernel, interpreted": (
        "interp",
        "x = rand([60000000])\nfn f(x) { for i in range(60) { x = sin(x) * 1.5 + cos(x) }\n    return x.sum() }\nprint('ready')\nwhile true { f(x).item() }",
    ),
    "a kernel, machine code": (
        "jit",
        "x = rand([60000000])\nfn f(x) { for i in range(60) { x = sin(x) * 1.5 + cos(x) }\n    return x.sum() }\nf(x[:10]).item()\nprint('ready')\nwhile true { f(x).item() }",
    ),
    "a matrix product": ("interp", "x = rand([9000, 9000])\nprint('ready')\nwhile true { y = x @ x }"),
    "argsort of a tensor": ("interp", "x = rand([40000000])\nprint('ready')\nwhile true { y = x.argsort() }"),
    "machine code being made": (
        "jit",
        "fn f(x) { for i in range(3000) { x = sin(x) + cos(x).sum() }\n    return x }\nprint('ready')\nf(ones([8])).sum().item()\nwhile true { }",
    ),
    "sort of a list": ("interp", "xs = [(i * 7919) % 1000003 for i in range(3000000)]\nprint('ready')\nwhile true { ys = sorted(xs) }"),
    "replace and split of a str": (
        "interp",
        "text = 'ab' * 50000000\nprint('ready')\nwhile true { parts = text.replace('a', 'abc').split('b') }",
    ),
    "saving .safetensors": ("interp", "x = rand([100000000])\nprint('ready')\nwhile true { save({'x': x}, args[0] + '/x.safetensors') }"),
    "saving .npz": ("interp", "x = rand([100000000])\nprint('ready')\nwhile true { save({'x': x}, args[0] + '/x.npz') }"),
    "waiting for input": ("interp", "print('ready')\nwhile true { line = input() }"),
}


def interrupt(program, engine, text, folder, delay):
    script = folder / "work.model"
    script.write_text(text.replace("'", '"') + "\n")
    process = subprocess.Popen(
        [program, "run", "--engine", engine, "--threads", "2", script, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    if process.stdout.readline() != b"ready\n":
        raise RuntimeError(process.stderr.read().decode())
    time.sleep(delay)
    begin = time.perf_counter()
    process.send_signal(signal.SIGINT)
    process.wait()
    took = time.perf_counter() - begin
    told = process.stderr.read().decode()
    if process.returncode != 130 or "work.model:" not in told:
        raise RuntimeError(f"exit {process.returncode}: {told}")
    return took * 1e3


def main():
    program = Path(sys.argv[1]).resolve()
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print(f"{'':32}{'median, ms':>12}{'longest, ms':>13}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for work, (engine, text) in WORKS.items():
            if engine == "jit" and not (program.parent / "tenon_llvm.so").exists():
                continue
            times = [interrupt(program, engine, text, folder, 0.3 + 0.13 * k) for k in range(runs)]
            print(f"{work:32}{statistics.median(times):12.0f}{max(times):13.0f}", flush=True)


if __name__ == "__main__":
    main()
