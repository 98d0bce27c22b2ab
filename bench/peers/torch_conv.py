"""The convolutions of bench/conv.model in PyTorch: torch_conv.py THREADS [BATCH]."""

import statistics
import sys
import time

import torch

torch.set_num_threads(int(sys.argv[1]))
BATCH = int(sys.argv[2]) if len(sys.argv) > 2 else 8
SHAPES = [
    (3, 224, 64, 7, 2), (64, 56, 64, 3, 1), (64, 56, 128, 3, 2), (64, 56, 128, 1, 2), (128, 28, 128, 3, 1), (128, 28, 256, 3, 2),
    (128, 28, 256, 1, 2), (256, 14, 256, 3, 1), (256, 14, 512, 3, 2), (256, 14, 512, 1, 2), (512, 7, 512, 3, 1),
]  # fmt: skip

for channels, size, outputs, kernel, stride in SHAPES:
    x, w = torch.rand(BATCH, channels, size, size), torch.rand(outputs, channels, kernel, kernel)
    geometry = ([stride] * 2, [kernel // 2] * 2, [1] * 2, False, [0] * 2, 1)
    with torch.no_grad():
        y = torch.convolution(x, w, None, *geometry)

        def gradient(wanted):
            return torch.ops.aten.convolution_backward(y, x, w, None, *geometry, wanted)

        works = {
            "forward": lambda: torch.convolution(x, w, None, *geometry),
            "data": lambda: gradient([True, False, False]),
            "kernel": lambda: gradient([False, True, False]),
        }
        operations = 2 * y.numel() * channels * kernel * kernel
        count = min(50, 1000000000 // operations + 1)
        for name, work in works.items():
            times = []
            for _ in range(9):
                begin = time.perf_counter()
                for _ in range(count):
                    work()
                times.append((time.perf_counter() - begin) / count)
            print(BATCH, channels, size, outputs, kernel, stride, name, 1e-9 * operations / statistics.median(times), flush=True)
