"""Writes contractions.model: what PyTorch computes for einsum, tensordot and their kin, for the largest along a dimension, and
for their gradients, as literals. Run it by hand with PyTorch installed; tests do not need it.

    python3 tests/ops/generate_contractions.py > tests/ops/contractions.model
"""

import torch

torch.manual_seed(0)


def random(*shape):
    return (torch.randn(*shape, dtype=torch.float64) * 2).round(decimals=2)


NAMES = {
    "a": random(2, 3), "b": random(3, 4), "c": random(4, 2), "s": random(3, 3), "v": random(3), "u": random(4),
    "p": random(2, 3, 4), "q": random(2, 4, 3), "r": random(2, 3, 4), "w": random(2, 3, 2, 3), "one": random(1, 4), "n": random(2, 2, 2),
}  # fmt: skip

EQUATIONS = [
    ("i->", "v"), ("i->i", "v"), ("ij->ji", "a"), ("ij->j", "a"), ("ij", "a"), ("ji", "a"), ("ii", "s"), ("ii->i", "s"),
    ("...ii->...i", "s"), ("ijij->ij", "w"), ("ijij->", "w"), ("ijkj->ki", "w"), ("iii->i", "n"), ("ijk->kij", "p"),
    ("i,i->", "v v"), ("i,i->i", "v v"), ("i,j->ij", "v u"), ("i,j->ji", "v u"), ("i,j", "u v"), ("i,j->", "u v"),
    ("ij,jk->ik", "a b"), ("ij,jk", "a b"), ("ij,jk->ki", "a b"), ("ij,kj->ik", "a s"), ("ji,jk->ik", "b b"), ("ij,j->i", "a v"),
    ("j,jk->k", "v b"), ("ij,jk->", "a b"), ("ij,jk->k", "a b"), ("ij,ij->", "a a"), ("ij,ij->j", "a a"), ("ij,ij->ij", "a a"),
    ("bij,bjk->bik", "p q"), ("bij,bjk->kbi", "p q"), ("bij,bij->b", "p r"), ("bij,bij->bi", "p r"), ("bij,bij->", "p r"),
    ("bij,jk->bik", "p c"), ("bij,jk->kib", "p c"), ("bij,kij->bk", "p r"), ("bij,kji->bk", "p q"), ("bij,bkj->ik", "p r"),
    ("ibj,kbj->bik", "p r"), ("ibj,kbj->kib", "p r"), ("bij,b->ij", "p a[:, 0]"), ("bij,bi->bj", "p a"), ("hbi,hb->hbi", "p a"),
    ("ijk,ljm->iklm", "p p"), ("ijk,kl,lm->ijm", "p c a"), ("ij,jk,kl->il", "a b c"), ("ij,jk,kl->li", "a b c"),
    ("ij,jk,ki->", "a b c"), ("ij,ji,i->j", "s s v"), ("i,j,k->kij", "v u v"), ("ij,jk,kl,lm->im", "a b c a"),
    ("bij,bjk,bkl->bil", "p q p"), ("...ij,...jk->...ik", "p q"), ("...ij,jk->...ik", "p c"), ("i...,j...->ij...", "p r"),
    ("...,...->...", "p a[:, :, None]"), ("...i,...i", "p r"), ("b...,b...->...", "p r"), ("...i->...", "p"), ("...i->i", "p"),
    ("ij,kj->ik", "one c.T"), ("ij,ij->i", "one one"), ("ij,kj->ik", "one b"), ("ij,ik->jk", "one b"), ("bii,bi->b", "n a[:, :2]"),
    ("ijkl,klm->ijm", "w p"), ("Ab,bC->CA", "a b"), (" i j , j k -> i k ", "a b"),
]  # fmt: skip

KIN = [
    ("tensordot(p, b.T.contiguous(), 1)", lambda n: torch.tensordot(n["p"], n["b"].T.contiguous(), 1), "p b"),
    ("tensordot(a, b, 1)", lambda n: torch.tensordot(n["a"], n["b"], 1), "a b"),
    ("tensordot(a, b, 0)", lambda n: torch.tensordot(n["a"], n["b"], 0), "a b"),
    ("tensordot(p, p[0].T, dims: ([2, 1], [0, 1]))", lambda n: torch.tensordot(n["p"], n["p"][0].T, ([2, 1], [0, 1])), "p"),
    ("tensordot(p, q, ([1, -1], [2, 1]))", lambda n: torch.tensordot(n["p"], n["q"], ([1, -1], [2, 1])), "p q"),
    ("tensordot(p, r.permute(1, 2, 0))", lambda n: torch.tensordot(n["p"], n["r"].permute(1, 2, 0)), "p r"),
    ("dot(v, v * 2)", lambda n: torch.dot(n["v"], n["v"] * 2), "v"),
    ("vdot(v, s[0])", lambda n: torch.vdot(n["v"], n["s"][0]), "v s"),
    ("v @ s[1]", lambda n: n["v"] @ n["s"][1], "v s"),
    ("inner(a, s)", lambda n: torch.inner(n["a"], n["s"]), "a s"),
    ("inner(p, r)", lambda n: torch.inner(n["p"], n["r"]), "p r"),
    ("inner(v, a)", lambda n: torch.inner(n["v"], n["a"]), "v a"),
    ("inner(v[0], a)", lambda n: torch.inner(n["v"][0], n["a"]), "v a"),
    ("outer(v, u)", lambda n: torch.outer(n["v"], n["u"]), "v u"),
    ("ger(u, v)", lambda n: torch.ger(n["u"], n["v"]), "v u"),
    ("mv(a, v)", lambda n: torch.mv(n["a"], n["v"]), "a v"),
    ("vecdot(p, r)", lambda n: torch.linalg.vecdot(n["p"], n["r"]), "p r"),
    ("vecdot(p, r, 1)", lambda n: torch.linalg.vecdot(n["p"], n["r"], dim=1), "p r"),
    ("addmm(u, a, b)", lambda n: torch.addmm(n["u"], n["a"], n["b"]), "u a b"),
    ("addmm(u, a, b, beta: 0.5, alpha: -2)", lambda n: torch.addmm(n["u"], n["a"], n["b"], beta=0.5, alpha=-2), "u a b"),
    ("addmm(u * nan, a, b, beta: 0)", lambda n: torch.addmm(n["u"] * torch.nan, n["a"], n["b"], beta=0), "a b"),
    ("addmv(v, s, v, beta: 2)", lambda n: torch.addmv(n["v"], n["s"], n["v"], beta=2), "v s"),
    ("addr(b, v, u, alpha: 3)", lambda n: torch.addr(n["b"], n["v"], n["u"], alpha=3), "b v u"),
    ("baddbmm(s, p, q, beta: 0.5)", lambda n: torch.baddbmm(n["s"], n["p"], n["q"], beta=0.5), "s p q"),
    ("addbmm(s, p, q, alpha: 0.25)", lambda n: torch.addbmm(n["s"], n["p"], n["q"], alpha=0.25), "s p q"),
    ("multi_dot([a, b, c])", lambda n: torch.linalg.multi_dot([n["a"], n["b"], n["c"]]), "a b c"),
    ("multi_dot([v, b, c, a, v])", lambda n: torch.linalg.multi_dot([n["v"], n["b"], n["c"], n["a"], n["v"]]), "v b c a"),
    ("chain_matmul(a, b, c, a)", lambda n: torch.linalg.multi_dot([n["a"], n["b"], n["c"], n["a"]]), "a b c"),
    ("kron(a, c)", lambda n: torch.kron(n["a"], n["c"]), "a c"),
    ("kron(p, v)", lambda n: torch.kron(n["p"], n["v"]), "p v"),
    ("bilinear(a, c.T, p, v[:2])", lambda n: torch.nn.functional.bilinear(n["a"], n["c"].T, n["p"], n["v"][:2]), "a c p v"),
    ("p.diagonal()", lambda n: n["p"].diagonal(), "p"),
    ("p.diagonal(1, 1, 2)", lambda n: n["p"].diagonal(1, 1, 2), "p"),
    ("p.diagonal(offset: -1, dim1: 2, dim2: 0)", lambda n: n["p"].diagonal(-1, 2, 0), "p"),
    ("diag(v, -1)", lambda n: torch.diag(n["v"], -1), "v"),
    ("diag(s, 1)", lambda n: torch.diag(n["s"], 1), "s"),
    ("p.max(1)[0]", lambda n: n["p"].max(1)[0], "p"),
    ("p.min(-1, keepdim: true)[0]", lambda n: n["p"].min(-1, keepdim=True)[0], "p"),
    ("p.max(0)[0] * p.min(2)[0].sum()", lambda n: n["p"].max(0)[0] * n["p"].min(2)[0].sum(), "p"),
    ("p.max(1)[1].to(f64)", lambda n: n["p"].max(1)[1].double(), None),
    ("tensor([[1.0, 3, 3], [2, nan, 9], [nan, nan, 0]]).max(1)[1].to(f64)",
     lambda n: torch.tensor([[1.0, 3, 3], [2, torch.nan, 9], [torch.nan, torch.nan, 0]]).max(1)[1].double(), None),
    ("tensor([[1.0, 3, 3], [2, nan, 9], [nan, nan, 0]]).min(0)[1].to(f64)",
     lambda n: torch.tensor([[1.0, 3, 3], [2, torch.nan, 9], [torch.nan, torch.nan, 0]]).min(0)[1].double(), None),
]  # fmt: skip

def of(names, expression):
    """What the script says of the names, in Python."""
    return eval(expression, {"None": None}, names)


def einsum(equation, operands):
    names = operands.split(" ") if "[" not in operands else operands.replace("[:, ", "[:,").replace(":, ", ":,").split(" ")
    names = [name.replace(",", ", ") for name in names]
    shown = ", ".join(name.replace("None", "none") for name in names)
    wrt = list(dict.fromkeys(name.split("[")[0].split(".")[0] for name in names))
    return f'einsum("{equation}", {shown})', lambda n: torch.einsum(equation, *(of(n, name) for name in names)), " ".join(wrt)


def literal(t):
    return repr(t.tolist())


def main():
    print("# Written by generate_contractions.py: values and gradients as PyTorch " + torch.__version__.split("+")[0] + " computes them in float64.\n")
    print("fn near(found, expected) {")
    print("    wanted = tensor(expected, dtype: f64)")
    print("    assert found.shape == wanted.shape, f\"the shape is {found.shape}, not {wanted.shape}\"")
    print("    assert allclose(found, wanted, rtol: 1e-9, atol: 1e-10), f\"found {found}\\nnot {wanted}\"")
    print("}\n")
    for name, value in NAMES.items():
        print(f"{name} = tensor({literal(value)}, dtype: f64)")
    print("\n# A fixed cotangent: 1, 2, 3, … over the elements, by 10.")
    print("fn weigh(y) = (y * (arange(y.numel()).to(f64) + 1).reshape(y.shape)).sum() / 10\n")
    for expression, function, wrt in [einsum(*case) for case in EQUATIONS] + KIN:
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
