"""The products of bench/matmul.model by oneDNN's sgemm or OpenBLAS's (NumPy's): blas_matmul.py matmul FILE onednn|openblas"""

import ctypes
import ctypes.util
import sys

import numpy
from measure import measure, shared
from shapes import FORMS, SHAPES

if not sys.argv[1:]:    # what the imports alone take
    sys.exit()


def onednn():
    library = ctypes.CDLL(ctypes.util.find_library("dnnl"))
    index, number, pointer = ctypes.c_int64, ctypes.c_float, ctypes.c_void_p
    library.dnnl_sgemm.argtypes = [ctypes.c_char] * 2 + [index] * 3 + [number, pointer, index, pointer, index, number, pointer, index]

    def product(form, m, k, n, x, y):
        c = numpy.empty((m, n), numpy.float32)
        call = [form[:1], form[1:], m, n, k, 1.0, x.ctypes.data, m if form[:1] == b"t" else k, y.ctypes.data]
        call += [k if form[1:] == b"t" else n, 0.0, c.ctypes.data, n]

        def run():
            library.dnnl_sgemm(*call)
            return c

        return run

    return product


def openblas():
    def product(form, m, k, n, x, y):
        x = x.reshape(k, m).T if form[:1] == b"t" else x.reshape(m, k)
        y = y.reshape(n, k).T if form[1:] == b"t" else y.reshape(k, n)
        c = numpy.empty((m, n), numpy.float32)
        return lambda: numpy.matmul(x, y, out=c)

    return product


def main():
    product = {"onednn": onednn, "openblas": openblas}[sys.argv[3]]()
    tensors, _ = shared(sys.argv[2])
    a, b = tensors["a"], tensors["b"]
    works = {}
    for m, k, n in SHAPES:
        for form in FORMS:
            works[f"{m}x{k}x{n}-{form}"] = product(form.encode(), m, k, n, a[: m * k], b[: k * n])
    measure(works)


main()
