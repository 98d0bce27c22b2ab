"""Writes dtypes.model: the dtypes of results as PyTorch has them, for every pair of dtypes.

    python3 tests/ops/generate_dtypes.py > tests/ops/dtypes.model
"""

import torch

NAMES = {"f64": torch.float64, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "i64": torch.int64,
         "i32": torch.int32, "i16": torch.int16, "i8": torch.int8, "u8": torch.uint8, "bool": torch.bool}
OF = {dtype: name for name, dtype in NAMES.items()}


def result(function, *dtypes):
    try:
        return OF[function(*[torch.ones(2, dtype=d) for d in dtypes]).dtype]
    except RuntimeError:
        return "none"


def main():
    print(f"# Written by generate_dtypes.py: dtypes of results as PyTorch {torch.__version__.split('+')[0]} has them; none where it refuses.")
    print("dtypes = {" + ", ".join(f'"{n}": {n}' for n in NAMES) + "}")
    binary = {
        "x + y": lambda x, y: x + y, "x * y": lambda x, y: x * y, "x / y": lambda x, y: x / y, "x // y": lambda x, y: x // y,
        "x == y": lambda x, y: x == y, "maximum(x, y)": torch.maximum, "where(x == x, x, y)": lambda x, y: torch.where(x == x, x, y),
    }
    for text, function in binary.items():
        print(f'\ntest "{text}" {{')
        print("    wanted = {")
        for a, x in NAMES.items():
            row = ", ".join(f'"{b}": "{result(function, x, y)}"' for b, y in NAMES.items())
            print(f'        "{a}": {{{row}}},')
        print("    }")
        print("    for (a, row) in wanted.items() {")
        print("        for (b, expected) in row.items() {")
        print("            if expected == \"none\" { continue }")
        print("            x = ones([2], dtype: dtypes[a])")
        print("            y = ones([2], dtype: dtypes[b])")
        print(f"            found = ({text}).dtype")
        print("            assert found == dtypes[expected], f\"{a} and {b} give {found}, not {expected}\"")
        print("        }\n    }\n}")
    unary = {
        "x + 1": lambda x: x + 1, "x + 1.5": lambda x: x + 1.5, "x / 2": lambda x: x / 2, "2 ** x": lambda x: 2**x,
        "x ** 2": lambda x: x**2, "exp(x)": torch.exp, "sqrt(x)": torch.sqrt, "x.sum()": lambda x: x.sum(), "x.prod()": lambda x: x.prod(),
        "x.mean()": lambda x: x.mean(), "x.cumsum(0)": lambda x: x.cumsum(0), "x.max()": lambda x: x.max(), "x.argmax()": lambda x: x.argmax(),
        "x.all()": lambda x: x.bool().all(),    # of u8 PyTorch makes u8, for old times' sake
        "relu(x)": torch.relu, "abs(x)": torch.abs, "-x": lambda x: -x, "x < 1": lambda x: x < 1,
        "floor(x)": torch.floor, "sigmoid(x)": torch.sigmoid,
    }
    for text, function in unary.items():
        row = ", ".join(f'"{a}": "{result(function, x)}"' for a, x in NAMES.items())
        print(f'\ntest "{text}" {{')
        print(f"    wanted = {{{row}}}")
        print("    for (a, expected) in wanted.items() {")
        print("        if expected == \"none\" { continue }")
        print("        x = ones([2], dtype: dtypes[a])")
        print(f"        found = ({text}).dtype")
        print("        assert found == dtypes[expected], f\"{a} gives {found}, not {expected}\"")
        print("    }\n}")


main()
