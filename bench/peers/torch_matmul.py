"""The products of bench/matmul.model in PyTorch: torch_matmul.py THREADS."""

import statistics
import sys
import time

import torch

torch.set_num_threads(int(sys.argv[1]))
SHAPES = [
    (64, 64, 64), (128, 128, 128), (256, 256, 256), (512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048),
    (64, 1024, 1024), (32, 768, 3072), (1024, 64, 1024), (1024, 1024, 64), (128, 768, 768), (512, 256, 1024),
]  # fmt: skip


def measure(shape, form, product, a, b):
    m, k, n = shape
    count = min(300, 400000000 // (m * k * n) + 1)
    times = []
    for _ in range(9):
        begin = time.perf_counter()
        for _ in range(count):
            product(a, b)
        times.append((time.perf_counter() - begin) / count)
    print(m, k, n, form, 2e-9 * m * k * n / statistics.median(times), flush=True)


for m, k, n in SHAPES:
    measure((m, k, n), "nn", lambda a, b: a @ b, torch.rand(m, k), torch.rand(k, n))
    measure((m, k, n), "nt", lambda a, b: a @ b.T, torch.rand(m, k), torch.rand(n, k))
    measure((m, k, n), "tn", lambda a, b: a.T @ b, torch.rand(k, m), torch.rand(k, n))
