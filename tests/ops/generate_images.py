"""Writes images.model: what PyTorch computes for the operations of stdlib/images.model, and for their gradients, as weighted sums
of all elements. Run it by hand with PyTorch installed; tests do not need it.

    python3 tests/ops/generate_images.py > tests/ops/images.model
"""

import itertools

import torch
import torch.nn.functional as F


def numbers(shape, k):
    """Exact in both programs: a different one for each place, from −1 to 1."""
    n = 1
    for size in shape:
        n *= size
    return (((torch.arange(n, dtype=torch.int64) * 7919 + k * 104729) % 1009).double() / 504.5 - 1).reshape(shape)


def tied(shape, k):
    """The same with many that are equal."""
    return (numbers(shape, k) * 2).round() / 2


CASES = []    # what the script says, its operands (name: shape), what PyTorch says


def case(text, operands, function, make=numbers):
    CASES.append((text, operands, function, make))


def arguments(**options):
    """As the script writes them, those that are not the default."""
    def shown(value):
        return f'"{value}"' if isinstance(value, str) else str(value).replace("(", "[").replace(")", "]").lower()
    return "".join(f", {name}: {shown(value)}" for name, value in options.items())


def convolutions():
    spaces = {1: [9], 2: [6, 7], 3: [4, 5, 3]}
    for space, sizes in spaces.items():
        torch_conv = getattr(F, f"conv{space}d")
        grid = itertools.product([1, 2], [0, 1], [1, 2], [1, 2]) if space < 3 else [(1, 0, 1, 1), (2, 1, 1, 2), (1, 2, 2, 1)]
        for stride, padding, dilation, groups in grid:
            kernel = [2, 3, 2][:space]
            if any(n + 2 * padding < dilation * (k - 1) + 1 for n, k in zip(sizes, kernel)):
                continue
            options = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
            operands = {"x": [2, 4, *sizes], "w": [6, 4 // groups, *kernel], "b": [6]}
            case(f"conv{space}d(x, w, b{arguments(**options)})", operands, lambda n, f=torch_conv, o=options: f(n["x"], n["w"], n["b"], **o))
    case("conv2d(x, w, stride: [2, 1], padding: [1, 0], dilation: [1, 2])", {"x": [1, 2, 7, 6], "w": [3, 2, 3, 2]},
         lambda n: F.conv2d(n["x"], n["w"], None, (2, 1), (1, 0), (1, 2)))
    case('conv2d(x, w, padding: "same", dilation: [2, 1])', {"x": [1, 2, 5, 6], "w": [3, 2, 3, 2]},
         lambda n: F.conv2d(n["x"], n["w"], padding="same", dilation=(2, 1)))
    case('conv1d(x, w, padding: "same")', {"x": [2, 7], "w": [3, 2, 4]}, lambda n: F.conv1d(n["x"], n["w"], padding="same"))
    case('conv2d(x, w, b, padding: "valid")', {"x": [2, 5, 6], "w": [3, 2, 3, 2], "b": [3]},
         lambda n: F.conv2d(n["x"], n["w"], n["b"], padding="valid"))
    case("conv2d(x, w, padding: 1, groups: 4)", {"x": [3, 4, 9, 11], "w": [4, 1, 3, 3]}, lambda n: F.conv2d(n["x"], n["w"], padding=1, groups=4))
    case("conv2d(x, w, stride: 2, padding: 3)", {"x": [2, 3, 20, 18], "w": [8, 3, 7, 7]}, lambda n: F.conv2d(n["x"], n["w"], stride=2, padding=3))
    case("conv2d(x, w, stride: 2)", {"x": [2, 20, 13, 13], "w": [24, 20, 1, 1]}, lambda n: F.conv2d(n["x"], n["w"], stride=2))
    case("conv2d(x, w, padding: 1)", {"x": [5, 40, 7, 7], "w": [30, 40, 3, 3]}, lambda n: F.conv2d(n["x"], n["w"], padding=1))

    for space, sizes in {1: [5], 2: [4, 3], 3: [3, 2, 3]}.items():
        torch_conv = getattr(F, f"conv_transpose{space}d")
        for stride, padding, output_padding, groups, dilation in [(1, 0, 0, 1, 1), (2, 0, 0, 2, 1), (2, 1, 1, 1, 1), (3, 1, 2, 2, 1), (1, 1, 0, 1, 2),
                                                                  (2, 2, 1, 1, 2), (1, 1, 1, 1, 2), (2, 1, 2, 2, 3)]:
            options = dict(stride=stride, padding=padding, output_padding=output_padding, groups=groups, dilation=dilation)
            operands = {"x": [2, 4, *sizes], "w": [4, 6 // groups, *[3, 2, 3][:space]], "b": [6]}
            case(f"conv_transpose{space}d(x, w, b{arguments(**options)})", operands, lambda n, f=torch_conv, o=options: f(n["x"], n["w"], n["b"], **o))
    case("conv_transpose2d(x, w, stride: [1, 2], padding: [0, 1])", {"x": [4, 4, 3], "w": [4, 3, 2, 4]},
         lambda n: F.conv_transpose2d(n["x"], n["w"], stride=(1, 2), padding=(0, 1)))


def pooling():
    spaces = {1: [10], 2: [9, 8], 3: [5, 6, 5]}
    for space, sizes in spaces.items():
        x = {"x": [2, 3, *sizes]}
        largest, mean = getattr(F, f"max_pool{space}d"), getattr(F, f"avg_pool{space}d")
        for kernel, stride, padding, dilation, ceil_mode in [(2, None, 0, 1, False), (3, 2, 1, 1, False), (3, 2, 1, 1, True), (2, 3, 1, 2, True),
                                                             (3, 1, 0, 2, False), (2, 3, 0, 1, True)]:
            options = {"padding": padding, "dilation": dilation, "ceil_mode": ceil_mode} | ({} if stride is None else {"stride": stride})
            if space == 3 and dilation == 2 and kernel == 3:
                continue
            for make in (numbers, tied):
                case(f"max_pool{space}d(x, {kernel}{arguments(**options)})", x, lambda n, f=largest, k=kernel, o=options: f(n["x"], k, **o), make)
        for kernel, stride, padding, ceil_mode, include in [(2, None, 0, False, True), (3, 2, 1, False, True), (3, 2, 1, True, True), (3, 2, 1, True, False),
                                                            (2, 3, 1, True, False), (2, 3, 0, True, True)]:
            options = {"padding": padding, "ceil_mode": ceil_mode, "count_include_pad": include} | ({} if stride is None else {"stride": stride})
            case(f"avg_pool{space}d(x, {kernel}{arguments(**options)})", x, lambda n, f=mean, k=kernel, o=options: f(n["x"], k, **o))
        adaptive_mean, adaptive_largest = getattr(F, f"adaptive_avg_pool{space}d"), getattr(F, f"adaptive_max_pool{space}d")
        for size in (1, 3, 4):
            case(f"adaptive_avg_pool{space}d(x, {size})", x, lambda n, f=adaptive_mean, s=size: f(n["x"], s))
            case(f"adaptive_max_pool{space}d(x, {size})", x, lambda n, f=adaptive_largest, s=size: f(n["x"], s), tied)
    case("avg_pool2d(x, [2, 3], [1, 2], [1, 0], divisor_override: 5)", {"x": [3, 6, 7]},
         lambda n: F.avg_pool2d(n["x"], (2, 3), (1, 2), (1, 0), divisor_override=5))
    case("max_pool2d(x, [1, 3], [2, 1])", {"x": [2, 6, 7]}, lambda n: F.max_pool2d(n["x"], (1, 3), (2, 1)))
    case("adaptive_avg_pool2d(x, [none, 2])", {"x": [2, 6, 7]}, lambda n: F.adaptive_avg_pool2d(n["x"], (None, 2)))


def norms():
    parts = {"x": [4, 6, 5, 3], "w": [6], "b": [6]}
    mean, var = numbers([6], 7), numbers([6], 8).abs() + 0.5
    case("batch_norm(x, none, none, w, b, true)", parts, lambda n: F.batch_norm(n["x"], None, None, n["w"], n["b"], True))
    case("batch_norm(x, numbers([6], 7), numbers([6], 8).abs() + 0.5, w, b, eps: 0.01)", parts,
         lambda n: F.batch_norm(n["x"], mean, var, n["w"], n["b"], eps=0.01))
    case("batch_norm(x, training: true)", {"x": [7, 3]}, lambda n: F.batch_norm(n["x"], None, None, training=True))
    case("batch_norm(x, training: true)", {"x": [2, 3, 2, 3, 2]}, lambda n: F.batch_norm(n["x"], None, None, training=True))
    case("group_norm(x, 3, w, b)", parts, lambda n: F.group_norm(n["x"], 3, n["w"], n["b"]))
    case("group_norm(x, 2, eps: 0.1)", {"x": [3, 4, 5]}, lambda n: F.group_norm(n["x"], 2, eps=0.1))
    case("group_norm(x, 2)", {"x": [3, 8]}, lambda n: F.group_norm(n["x"], 2))
    case("instance_norm(x, weight: w, bias: b)", parts, lambda n: F.instance_norm(n["x"], weight=n["w"], bias=n["b"]))
    case("instance_norm(x, eps: 0.1)", {"x": [3, 4, 5]}, lambda n: F.instance_norm(n["x"], eps=0.1))
    case("instance_norm(x, numbers([6], 7), numbers([6], 8).abs() + 0.5, use_input_stats: false)", {"x": [4, 6, 5, 3]},
         lambda n: F.instance_norm(n["x"], mean, var, use_input_stats=False))


def resizing():
    spaces = {1: ([7], "linear"), 2: ([4, 5], "bilinear"), 3: ([3, 4, 2], "trilinear")}
    for space, (sizes, mode) in spaces.items():
        x = {"x": [2, 3, *sizes]}
        for options in [dict(scale_factor=2), dict(size=[9, 3, 4][:space]), dict(scale_factor=1.7), dict(scale_factor=0.6)]:
            for more in [dict(mode="nearest"), dict(mode=mode), dict(mode=mode, align_corners=True)]:
                case(f"interpolate(x{arguments(**options, **more)})", x, lambda n, o=options, m=more: F.interpolate(n["x"], **o, **m))
    for text, edges, shape in [("[1, 2]", (1, 2), [2, 3, 6]), ("[2, 1, 0, 3]", (2, 1, 0, 3), [2, 2, 5, 4]), ("[1, 0, 2, 1, 1, 1]", (1, 0, 2, 1, 1, 1), [1, 2, 4, 4, 3])]:
        for mode in ("constant", "reflect", "replicate", "circular"):
            case(f'pad(x, {text}, "{mode}")', {"x": shape}, lambda n, e=edges, m=mode: F.pad(n["x"], e, m))
    case("pad(x, [-1, 2, 1, -2], value: 1.5)", {"x": [2, 5, 4]}, lambda n: F.pad(n["x"], (-1, 2, 1, -2), value=1.5))


def weighted(t, k):
    return (t * numbers(list(t.shape), k)).sum().item()


def main():
    for family in (convolutions, pooling, norms, resizing):
        family()
    print('#! engines: eager interp')
    print('# Written by generate_images.py: values and gradients of PyTorch', torch.__version__.split("+")[0], "in f64, as weighted sums.")
    print("""
fn numbers(shape, k) {
    n = 1
    for size in shape { n = n * size }
    return (((arange(n) * 7919 + k * 104729) % 1009).to(f64) / 504.5 - 1).reshape(shape)
}
fn tied(shape, k) = round(numbers(shape, k) * 2) / 2
fn weighted(t, k) = (t * numbers(t.shape, k)).sum()
fn close(text: str, what: str, found, expected: float) {
    difference = abs(found.item() - expected)
    if not (difference <= 1e-9 * (1 + abs(expected))) { print(f"{text}: {what} is {found.item()}, not {expected}") }
}
fn check(text: str, f, operands, shape, value: float, gradients) {
    y = f(*operands)
    if y.shape != shape { print(f"{text}: the shape is {y.shape}, not {shape}") } else {
        close(text, "the value", weighted(y, 5), value)
        total = fn(*xs) = weighted(f(*xs), 5)
        (y, pull) = vjp(total, *operands)
        found = pull(ones([], dtype: f64))
        if len(operands) == 1 { found = [found] if type(found) == "tensor" else found }
        for k in range(len(operands)) { close(text, f"gradient {k}", weighted(found[k], 6), gradients[k]) }
    }
}
""")
    for text, operands, function, make in CASES:
        values = {name: make(shape, k + 1).requires_grad_() for k, (name, shape) in enumerate(operands.items())}
        y = function(values)
        gradients = torch.autograd.grad((y * numbers(list(y.shape), 5)).sum(), list(values.values()))
        made = ", ".join(f"{make.__name__}({shape}, {k + 1})" for k, shape in enumerate(operands.values()))
        sums = ", ".join(repr(weighted(g, 6)) for g in gradients)
        quoted = "'" + text + "'"
        print(f"check({quoted}, fn({', '.join(operands)}) = {text}, [{made}], {list(y.shape)}, {weighted(y, 5)!r}, [{sums}])")
    print(f'print("{len(CASES)} cases")')
    print(f"#> {len(CASES)} cases")


main()
