"""Writes vmap_pytorch.model: what torch.func.vmap computes in float64, alone and composed with gradients, as literals.
Run it by hand with PyTorch installed; tests do not need it.

    python3 tests/autograd/generate_vmap.py > tests/autograd/vmap_pytorch.model
"""

import torch
import torch.nn.functional as F
from torch.func import grad, jacrev, vmap

torch.manual_seed(1)


def numbers(*sizes):
    return torch.randn(*sizes, dtype=torch.float64).round(decimals=3)


DATA = {
    "x": numbers(4, 3), "y": numbers(3, 4), "z": numbers(4, 2, 3), "w": numbers(3, 2), "ws": numbers(4, 3, 2),
    "b": numbers(2), "s": numbers(4), "t": numbers(5, 3), "c": torch.tensor([1, 0, 1, 1]),
    "i": torch.tensor([[0, 2], [1, 1], [2, 0], [0, 1]]), "j": torch.tensor([2, 0]),
}


def nll(w, b, x, c):
    return F.cross_entropy(x @ w + b, c)


# What the script says, and what PyTorch says.
CASES = [
    ("vmap(fn(x) = x * 2 + 1)(x)", lambda d: vmap(lambda x: x * 2 + 1)(d.x)),
    ("vmap(fn(x, k) = x * k, in_dims: (0, 0))(x, s)", lambda d: vmap(lambda x, k: x * k)(d.x, d.s)),
    ("vmap(fn(x, y) = x + y, in_dims: (0, 1))(x, y)", lambda d: vmap(lambda x, y: x + y, in_dims=(0, 1))(d.x, d.y)),
    ("vmap(fn(x, y) = x + y, in_dims: (0, none))(x, t)", lambda d: vmap(lambda x, y: x + y, in_dims=(0, None))(d.x, d.t)),
    ("vmap(fn(x, y) = x - y, in_dims: (0, -1), out_dims: 1)(x, y)",
     lambda d: vmap(lambda x, y: x - y, in_dims=(0, -1), out_dims=1)(d.x, d.y)),
    ("vmap(fn(x, z) = z * x, out_dims: -1)(x, z)", lambda d: vmap(lambda x, z: z * x, out_dims=-1)(d.x, d.z)),
    ("vmap(fn(x) = x @ w + b)(x)", lambda d: vmap(lambda x: x @ d.w + d.b)(d.x)),
    ("vmap(fn(x, w) = x @ w)(x, ws)", lambda d: vmap(lambda x, w: x @ w)(d.x, d.ws)),
    ("vmap(fn(z, w) = z @ w, in_dims: (0, none))(z, w)", lambda d: vmap(lambda z, w: z @ w, in_dims=(0, None))(d.z, d.w)),
    ("vmap(fn(w) = t @ w)(ws)", lambda d: vmap(lambda w: d.t @ w)(d.ws)),
    ("vmap(fn(a, b) = (a * b).sum())(x, x)", lambda d: vmap(lambda a, b: (a * b).sum())(d.x, d.x)),
    ("vmap(fn(z) = z.sum(0))(z)", lambda d: vmap(lambda z: z.sum(0))(d.z)),
    ("vmap(fn(z) = z.mean(-1, keepdim: true))(z)", lambda d: vmap(lambda z: z.mean(-1, keepdim=True))(d.z)),
    ("vmap(fn(x) = softmax(x))(x)", lambda d: vmap(lambda x: F.softmax(x, -1))(d.x)),
    ("vmap(fn(x) = x.max())(x)", lambda d: vmap(lambda x: x.max())(d.x)),
    ("vmap(fn(x) = sort(x)[0])(x)", lambda d: vmap(lambda x: torch.sort(x)[0])(d.x)),
    ("vmap(fn(x) = argsort(x).to(f64))(x)", lambda d: vmap(lambda x: torch.argsort(x).to(torch.float64))(d.x)),
    ("vmap(fn(x) = argmax(x, 0).to(f64))(x)", lambda d: vmap(lambda x: torch.argmax(x, 0).to(torch.float64))(d.x)),
    ("vmap(fn(x) = cumsum(x, 0))(x)", lambda d: vmap(lambda x: torch.cumsum(x, 0))(d.x)),
    ("vmap(fn(z) = z.T)(z)", lambda d: vmap(lambda z: z.T)(d.z)),
    ("vmap(fn(z) = z.reshape(6))(z)", lambda d: vmap(lambda z: z.reshape(6))(d.z)),
    ("vmap(fn(z) = z[1, 0:2])(z)", lambda d: vmap(lambda z: z[1, 0:2])(d.z)),
    ("vmap(fn(x) = flip(x, [0]))(x)", lambda d: vmap(lambda x: torch.flip(x, [0]))(d.x)),
    ("vmap(fn(x) = cat([x, t[0]]))(x)", lambda d: vmap(lambda x: torch.cat([x, d.t[0]]))(d.x)),
    ("vmap(fn(x, k) = where(x > 0, x, k))(x, s)", lambda d: vmap(lambda x, k: torch.where(x > 0, x, k))(d.x, d.s)),
    ("vmap(fn(x) = index_select(x, 0, j))(x)", lambda d: vmap(lambda x: torch.index_select(x, 0, d.j))(d.x)),
    ("vmap(fn(i) = index_select(t, 1, i))(i)", lambda d: vmap(lambda i: torch.index_select(d.t, 1, i))(d.i)),
    ("vmap(fn(z, i) = index_select(z, 1, i))(z, i)", lambda d: vmap(lambda z, i: torch.index_select(z, 1, i))(d.z, d.i)),
    ("vmap(fn(x, i) = gather(x, 0, i))(x, i)", lambda d: vmap(lambda x, i: torch.gather(x, 0, i))(d.x, d.i)),
    ("vmap(fn(i) = gather(t[1], 0, i))(i)", lambda d: vmap(lambda i: torch.gather(d.t[1], 0, i))(d.i)),
    ("vmap(fn(x, i) = t[0].scatter_add(0, i, x[0:2]))(x, i)",
     lambda d: vmap(lambda x, i: d.t[0].scatter_add(0, i, x[0:2]))(d.x, d.i)),
    ("vmap(vmap(fn(a, b) = a * b + 1, in_dims: (none, 0)), in_dims: (0, none))(x, s)",
     lambda d: vmap(vmap(lambda a, b: a * b + 1, in_dims=(None, 0)), in_dims=(0, None))(d.x, d.s)),
    ("vmap(vmap(fn(z) = z ** 2, in_dims: 1))(z)", lambda d: vmap(vmap(lambda z: z ** 2, in_dims=1))(d.z)),
    ("vmap(grad(fn(x) = (x ** 3).sum()))(x)", lambda d: vmap(grad(lambda x: (x ** 3).sum()))(d.x)),
    ("vmap(grad(nll), in_dims: (none, none, 0, 0))(w, b, x, c)",
     lambda d: vmap(grad(nll), in_dims=(None, None, 0, 0))(d.w, d.b, d.x, d.c)),
    ('vmap(grad(nll, wrt: "b"), in_dims: (0, none, 0, 0))(ws, b, x, c)',
     lambda d: vmap(grad(nll, argnums=1), in_dims=(0, None, 0, 0))(d.ws, d.b, d.x, d.c)),
    ("grad(fn(x) = vmap(fn(r) = (r * r).sum() ** 2)(x).sum())(x)",
     lambda d: grad(lambda x: vmap(lambda r: (r * r).sum() ** 2)(x).sum())(d.x)),
    ("grad(fn(w) = vmap(fn(r) = tanh(r @ w).sum())(x).mean())(w)",
     lambda d: grad(lambda w: vmap(lambda r: torch.tanh(r @ w).sum())(d.x).mean())(d.w)),
    ("vmap(fn(x) = grad(fn(y) = grad(fn(z) = (z ** 4).sum())(y).sum())(x))(x)",
     lambda d: vmap(lambda x: grad(lambda y: grad(lambda z: (z ** 4).sum())(y).sum())(x))(d.x)),
    ("grad(fn(w) = (vmap(grad(fn(r, w) = sin(r @ w).sum()), in_dims: (0, none))(x, w) ** 2).sum())(w)",
     lambda d: grad(lambda w: (vmap(grad(lambda r, w: torch.sin(r @ w).sum()), in_dims=(0, None))(d.x, w) ** 2).sum())(d.w)),
    ("vmap(fn(u) = vjp(fn(v) = sin(v) * v, x[0])[1](u))(x)",
     lambda d: vmap(lambda u: torch.func.vjp(lambda v: torch.sin(v) * v, d.x[0])[1](u)[0])(d.x)),
    ("jacobian(fn(v) = tanh(v @ w), x[1])", lambda d: jacrev(lambda v: torch.tanh(v @ d.w))(d.x[1])),
    ("vmap(fn(v) = jacobian(fn(v) = tanh(v @ w), v))(x)",
     lambda d: vmap(lambda v: jacrev(lambda v: torch.tanh(v @ d.w))(v))(d.x)),
]


class Data:
    def __init__(self, tensors):
        self.__dict__.update(tensors)


def literal(t):
    dtype = "i64" if t.dtype == torch.int64 else "f64"
    return f"tensor({t.tolist()}, dtype: {dtype})"


print(f"# Written by generate_vmap.py: what torch.func of PyTorch {torch.__version__.split('+')[0]} computes in float64.")
print("""
fn near(found, expected) {
    wanted = tensor(expected, dtype: f64)
    assert found.shape == wanted.shape, f"the shape is {found.shape}, not {wanted.shape}"
    assert allclose(found, wanted, rtol: 1e-9, atol: 1e-12), f"found {found}\\nnot {wanted}"
}

fn nll(w, b, x, c) = cross_entropy((x @ w + b).unsqueeze(0), c.unsqueeze(0))
fn jacobian(f, x) = vmap(fn(u) = vjp(f, x)[1](u))(eye(f(x).numel(), dtype: f64))
""")
for name, value in DATA.items():
    print(f"{name} = {literal(value)}")
print()
for script, function in CASES:
    print(f'test "{script}" {{'.replace('wrt: "b"', "wrt: b"))
    print(f"    near({script}, {function(Data(DATA)).tolist()})")
    print("}")
