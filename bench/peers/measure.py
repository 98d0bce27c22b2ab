"""How a peer is measured: what bench/_measure.model does, in Python."""

import sys
import time

import numpy


def shared(path):
    """The weights and the inputs that the Tenon script has written."""
    tensors = dict(numpy.load(path))
    inputs = {name: tensors.pop(name) for name in ("x", "y", "index") if name in tensors}
    return tensors, inputs


def measure(works, wait=lambda result: result):
    """works: a name and a step each, a function whose result `wait` waits for."""

    def first_element(result):
        return float(numpy.asarray(wait(result)).reshape(-1)[0])

    for name, step in works.items():
        print("first", name, first_element(step()), flush=True)
        step()
        print("third", name, first_element(step()), flush=True)
    print("ready", flush=True)
    for line in sys.stdin:
        name, milliseconds = line.split()
        step = works[name]
        times = []
        end = time.perf_counter() + 0.001 * float(milliseconds)
        while not times or time.perf_counter() < end:
            begin = time.perf_counter()
            wait(step())
            times.append(time.perf_counter() - begin)
        print("median", name, 1000 * sorted(times)[len(times) // 2], len(times), flush=True)
