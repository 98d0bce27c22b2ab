"""The works of bench/mlp.model, and how a peer is timed: the same for all of them."""

import time

WORKS = {"tiny": ([1, 16, 16, 1], 32), "digits": ([64, 128, 10], 64)}  # layers, batch


def measure(step, steps):
    """Prints the losses of steps 1 and 100 when they are there, then the median milliseconds of `steps` more."""
    print("step 1", step(), flush=True)
    for _ in range(99):
        loss = step()
    print("step 100", loss, flush=True)
    times = []
    for _ in range(steps):
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    print("median", 1000 * sorted(times)[len(times) // 2], flush=True)
