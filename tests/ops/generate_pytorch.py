"""Writes pytorch.model: what PyTorch computes for the operations of stdlib/ops.model and the tensor built-ins, and for their
gradients, as literals. Run it by hand with PyTorch installed; tests do not need it.

    python3 tests/ops/generate_pytorch.py > tests/ops/pytorch.model
"""

import torch
import torch.nn.functional as F

torch.manual_seed(0)
x = (torch.randn(3, 4, dtype=torch.float64) * 2).round(decimals=3)
y = (torch.randn(3, 4, dtype=torch.float64) * 2).round(decimals=3)
p = torch.rand(3, 4, dtype=torch.float64).round(decimals=3) * 0.9 + 0.05
q = torch.softmax(torch.randn(3, 4, dtype=torch.float64), -1).round(decimals=6)
v = torch.tensor([0.5, 2.0, 1.25, 0.75], dtype=torch.float64)
b = torch.tensor([0.1, -0.2, 0.3, 0.0], dtype=torch.float64)
m = torch.randn(4, 3, dtype=torch.float64).round(decimals=3)
c = torch.tensor([2, 0, 3])
ignored = torch.tensor([2, -100, 3])
NAMES = {"x": x, "y": y, "p": p, "q": q, "v": v, "b": b, "m": m, "c": c, "ignored": ignored}

# What the script says, what PyTorch says, with respect to what the gradient is taken (none: no gradient).
CASES = [
    ("relu6(x)", lambda n: F.relu6(n["x"]), "x"),
    ("leaky_relu(x)", lambda n: F.leaky_relu(n["x"]), "x"),
    ("leaky_relu(x, 0.3)", lambda n: F.leaky_relu(n["x"], 0.3), "x"),
    ("prelu(x, v)", lambda n: F.prelu(n["x"], n["v"]), "x v"),
    ("elu(x, alpha: 0.7)", lambda n: F.elu(n["x"], 0.7), "x"),
    ("selu(x)", lambda n: F.selu(n["x"]), "x"),
    ("celu(x, alpha: 1.3)", lambda n: F.celu(n["x"], 1.3), None),    # PyTorch rounds 1/alpha to f32 for the gradient
    ("softplus(x)", lambda n: F.softplus(n["x"]), "x"),
    ("softplus(x, beta: 2.0, threshold: 3.0)", lambda n: F.softplus(n["x"], 2.0, 3.0), "x"),
    ("log_sigmoid(x)", lambda n: F.logsigmoid(n["x"]), "x"),
    ("gelu(x)", lambda n: F.gelu(n["x"]), "x"),
    ('gelu(x, "tanh")', lambda n: F.gelu(n["x"], approximate="tanh"), "x"),
    ("silu(x)", lambda n: F.silu(n["x"]), "x"),
    ("mish(x)", lambda n: F.mish(n["x"]), "x"),
    ("softsign(x)", lambda n: F.softsign(n["x"]), "x"),
    ("hardtanh(x)", lambda n: F.hardtanh(n["x"]), "x"),
    ("hardsigmoid(x)", lambda n: F.hardsigmoid(n["x"]), None),      # and 1/6 here
    ("hardswish(x)", lambda n: F.hardswish(n["x"]), "x"),
    ("tanhshrink(x)", lambda n: F.tanhshrink(n["x"]), "x"),
    ("glu(x)", lambda n: F.glu(n["x"]), "x"),
    ("softmax(x)", lambda n: F.softmax(n["x"], -1), "x"),
    ("softmax(x, 0)", lambda n: F.softmax(n["x"], 0), "x"),
    ("log_softmax(x)", lambda n: F.log_softmax(n["x"], -1), "x"),
    ("logsumexp(x, 1)", lambda n: torch.logsumexp(n["x"], 1), "x"),
    ("logsumexp(x, 0, keepdim: true)", lambda n: torch.logsumexp(n["x"], 0, keepdim=True), "x"),
    ("mse_loss(x, y)", lambda n: F.mse_loss(n["x"], n["y"]), "x y"),
    ('mse_loss(x, y, "none")', lambda n: F.mse_loss(n["x"], n["y"], reduction="none"), "x"),
    ('l1_loss(x, y, "sum")', lambda n: F.l1_loss(n["x"], n["y"], reduction="sum"), "x"),
    ("huber_loss(x, y, delta: 1.5)", lambda n: F.huber_loss(n["x"], n["y"], delta=1.5), "x"),
    ("smooth_l1_loss(x, y, beta: 0.5)", lambda n: F.smooth_l1_loss(n["x"], n["y"], beta=0.5), "x"),
    ("cross_entropy(x, c)", lambda n: F.cross_entropy(n["x"], n["c"]), "x"),
    ('cross_entropy(x, c, reduction: "none")', lambda n: F.cross_entropy(n["x"], n["c"], reduction="none"), "x"),
    ('cross_entropy(x, c, reduction: "sum", weight: v)', lambda n: F.cross_entropy(n["x"], n["c"], n["v"], reduction="sum"), "x"),
    ("cross_entropy(x, c, weight: v)", lambda n: F.cross_entropy(n["x"], n["c"], n["v"]), "x"),
    ("cross_entropy(x, ignored)", lambda n: F.cross_entropy(n["x"], n["ignored"]), "x"),
    ("cross_entropy(x, ignored, weight: v, label_smoothing: 0.2)",
     lambda n: F.cross_entropy(n["x"], n["ignored"], n["v"], label_smoothing=0.2), "x"),
    ("cross_entropy(x, c, label_smoothing: 0.1)", lambda n: F.cross_entropy(n["x"], n["c"], label_smoothing=0.1), "x"),
    ("cross_entropy(x, q)", lambda n: F.cross_entropy(n["x"], n["q"]), "x q"),
    ("cross_entropy(x, q, weight: v, label_smoothing: 0.1)", lambda n: F.cross_entropy(n["x"], n["q"], n["v"], label_smoothing=0.1), "x"),
    ("cross_entropy(v, c[0])", lambda n: F.cross_entropy(n["v"], n["c"][0]), "v"),
    ("nll_loss(log_softmax(x), c)", lambda n: F.nll_loss(F.log_softmax(n["x"], -1), n["c"]), "x"),
    ("binary_cross_entropy(p, q)", lambda n: F.binary_cross_entropy(n["p"], n["q"]), "p"),
    ("binary_cross_entropy_with_logits(x, q)", lambda n: F.binary_cross_entropy_with_logits(n["x"], n["q"]), "x"),
    ("binary_cross_entropy_with_logits(x, q, pos_weight: v)",
     lambda n: F.binary_cross_entropy_with_logits(n["x"], n["q"], pos_weight=n["v"]), "x"),
    ('kl_div(log_softmax(x), q, "batchmean")', lambda n: F.kl_div(F.log_softmax(n["x"], -1), n["q"], reduction="batchmean"), "x"),
    ("linear(x, m.T, v[:3])", lambda n: F.linear(n["x"], n["m"].T, n["v"][:3]), "x m v"),
    ("layer_norm(x, [4], v, b)", lambda n: F.layer_norm(n["x"], [4], n["v"], n["b"]), "x v b"),
    ("layer_norm(x, [3, 4])", lambda n: F.layer_norm(n["x"], [3, 4]), "x"),
    ("rms_norm(x, [4], v)", lambda n: F.rms_norm(n["x"], [4], n["v"]), "x v"),
    ("normalize(x)", lambda n: F.normalize(n["x"]), "x"),
    ("cosine_similarity(x, y)", lambda n: F.cosine_similarity(n["x"], n["y"]), "x y"),
    ("scaled_dot_product_attention(x, y, q)", lambda n: F.scaled_dot_product_attention(n["x"], n["y"], n["q"]), "x y q"),
    ("scaled_dot_product_attention(x, y, q, is_causal: true)",
     lambda n: F.scaled_dot_product_attention(n["x"], n["y"], n["q"], is_causal=True), "x y"),
    ("scaled_dot_product_attention(x, y, q, mask: m[:3])",
     lambda n: F.scaled_dot_product_attention(n["x"], n["y"], n["q"], attn_mask=n["m"][:3]), "x y q m"),
    ("scaled_dot_product_attention(x, y, q, mask: m[0] < 0.3, scale: 0.7)",
     lambda n: F.scaled_dot_product_attention(n["x"], n["y"], n["q"], attn_mask=n["m"][:1] < 0.3, scale=0.7), "x y q"),
    ("embedding(c, m)", lambda n: F.embedding(torch.tensor([2, 0, 3]), n["m"]), "m"),
    # Built-in operations
    ("exp(x)", lambda n: torch.exp(n["x"]), "x"),
    ("expm1(x)", lambda n: torch.expm1(n["x"]), "x"),
    ("log(p)", lambda n: torch.log(n["p"]), "p"),
    ("log2(p)", lambda n: torch.log2(n["p"]), "p"),
    ("log1p(p)", lambda n: torch.log1p(n["p"]), "p"),
    ("sqrt(p)", lambda n: torch.sqrt(n["p"]), "p"),
    ("rsqrt(p)", lambda n: torch.rsqrt(n["p"]), "p"),
    ("sin(x)", lambda n: torch.sin(n["x"]), "x"),
    ("cos(x)", lambda n: torch.cos(n["x"]), "x"),
    ("tan(p)", lambda n: torch.tan(n["p"]), "p"),
    ("sinh(x)", lambda n: torch.sinh(n["x"]), "x"),
    ("cosh(x)", lambda n: torch.cosh(n["x"]), "x"),
    ("tanh(x)", lambda n: torch.tanh(n["x"]), "x"),
    ("asin(p)", lambda n: torch.asin(n["p"]), "p"),
    ("acos(p)", lambda n: torch.acos(n["p"]), "p"),
    ("atan(x)", lambda n: torch.atan(n["x"]), "x"),
    ("atan2(x, y)", lambda n: torch.atan2(n["x"], n["y"]), "x y"),
    ("erf(x)", lambda n: torch.erf(n["x"]), "x"),
    ("sigmoid(x)", lambda n: torch.sigmoid(n["x"]), "x"),
    ("relu(x)", lambda n: torch.relu(n["x"]), "x"),
    ("abs(x)", lambda n: torch.abs(n["x"]), "x"),
    ("square(x)", lambda n: torch.square(n["x"]), "x"),
    ("floor(x)", lambda n: torch.floor(n["x"]), "x"),
    ("round(x)", lambda n: torch.round(n["x"]), "x"),
    ("x % y", lambda n: n["x"] % n["y"], None),
    ("x // y", lambda n: n["x"] // n["y"], None),
    ("p ** x", lambda n: n["p"] ** n["x"], "p x"),
    ("x ** 3", lambda n: n["x"] ** 3, "x"),
    ("2 ** x", lambda n: 2 ** n["x"], "x"),
    ("1 / x - y / 3", lambda n: 1 / n["x"] - n["y"] / 3, "x y"),
    ("maximum(x, y)", lambda n: torch.maximum(n["x"], n["y"]), "x y"),
    ("minimum(x, 0.5)", lambda n: torch.clamp(n["x"], max=0.5), "x"),
    ("clamp(x, -1, 1)", lambda n: torch.clamp(n["x"], -1, 1), "x"),
    ("where(x > y, x, y * y)", lambda n: torch.where(n["x"] > n["y"], n["x"], n["y"] * n["y"]), "x y"),
    ("x.sum()", lambda n: n["x"].sum(), "x"),
    ("x.sum(0)", lambda n: n["x"].sum(0), "x"),
    ("x.sum([0, 1], keepdim: true)", lambda n: n["x"].sum((0, 1), keepdim=True), "x"),
    ("x.mean(1)", lambda n: n["x"].mean(1), "x"),
    ("x.var()", lambda n: n["x"].var(), "x"),
    ("x.var(1, keepdim: true)", lambda n: n["x"].var(1, keepdim=True), "x"),
    ("x.std(0)", lambda n: n["x"].std(0), "x"),
    ("x.prod(1)", lambda n: n["x"].prod(1), "x"),
    ("x.amax(1)", lambda n: n["x"].amax(1), "x"),
    ("x.amin(0, keepdim: true)", lambda n: n["x"].amin(0, keepdim=True), "x"),
    ("x.cumsum(1)", lambda n: n["x"].cumsum(1), "x"),
    ("x @ m", lambda n: n["x"] @ n["m"], "x m"),
    ("x @ v", lambda n: n["x"] @ n["v"], "x v"),
    ("v @ m", lambda n: n["v"] @ n["m"], "v m"),
    ("v @ b", lambda n: n["v"] @ n["b"], "v b"),
    ("x.T", lambda n: n["x"].T, "x"),
    ("x.reshape([2, 6])", lambda n: n["x"].reshape(2, 6), "x"),
    ("x[1:, ::2]", lambda n: n["x"][1:, ::2], "x"),
    ("x[..., none, 2]", lambda n: n["x"][..., None, 2], "x"),
    ("x[:, [3, 0]]", lambda n: n["x"][:, [3, 0]], "x"),
    ("x[x > 0]", lambda n: n["x"][n["x"] > 0], "x"),
    ("cat([x, y], 1)", lambda n: torch.cat([n["x"], n["y"]], 1), "x y"),
    ("stack([x, y], 1)", lambda n: torch.stack([n["x"], n["y"]], 1), "x y"),
    ("x.flip(1)", lambda n: n["x"].flip(1), "x"),
    ("x.gather(1, c.unsqueeze(1))", lambda n: n["x"].gather(1, torch.tensor([[2], [0], [3]])), "x"),
]


def literal(t):
    return repr(t.tolist()).replace("inf", "inf")


def main():
    print("# Written by generate_pytorch.py: values and gradients as PyTorch " + torch.__version__.split("+")[0] + " computes them in float64.\n")
    print("fn near(found, expected) {")
    print("    wanted = tensor(expected, dtype: f64)")
    print("    assert found.shape == wanted.shape, f\"the shape is {found.shape}, not {wanted.shape}\"")
    print("    assert allclose(found, wanted, rtol: 1e-9, atol: 1e-12), f\"found {found}\\nnot {wanted}\"")
    print("}\n")
    for name, value in NAMES.items():
        dtype = "i64" if value.dtype == torch.int64 else "f64"
        print(f"{name} = tensor({literal(value)}, dtype: {dtype})")
    # A fixed cotangent: 1, 2, 3, … over the elements, by 10.
    print("\nfn weigh(y) = (y * (arange(y.numel()).to(f64) + 1).reshape(y.shape)).sum() / 10\n")
    for expression, function, wrt in CASES:
        quoted = expression.replace('"', "'")
        print(f'test "{quoted}" {{')
        print(f"    near({expression}, {literal(function(NAMES))})")
        for name in (wrt or "").split():
            leaf = NAMES[name].clone().requires_grad_()
            result = function({**NAMES, name: leaf})
            weights = (torch.arange(result.numel(), dtype=torch.float64) + 1).reshape(result.shape)
            ((result * weights).sum() / 10).backward()
            print(f"    near(grad(fn({name}) = weigh({expression}))({name}), {literal(leaf.grad)})")
        print("}")


main()
