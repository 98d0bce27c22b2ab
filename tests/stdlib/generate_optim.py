"""Writes optim.model: the parameters after five steps of each optimiser, as PyTorch computes them in float64.

    python3 tests/stdlib/generate_optim.py > tests/stdlib/optim.model
"""

import torch

CASES = [
    ("SGD", "lr: 0.1", lambda p: torch.optim.SGD(p, lr=0.1)),
    ("SGD", "lr: 0.05, momentum: 0.9", lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9)),
    ("SGD", "lr: 0.05, momentum: 0.9, nesterov: true", lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True)),
    ("SGD", "lr: 0.1, momentum: 0.5, weight_decay: 0.1", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5, weight_decay=0.1)),
    ("Adam", "lr: 0.1", lambda p: torch.optim.Adam(p, lr=0.1)),
    ("Adam", "lr: 0.1, betas: (0.8, 0.9), weight_decay: 0.1", lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.8, 0.9), weight_decay=0.1)),
    ("AdamW", "lr: 0.1", lambda p: torch.optim.AdamW(p, lr=0.1)),
    ("AdamW", "lr: 0.1, weight_decay: 0.5, eps: 1e-3", lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.5, eps=1e-3)),
]

HEAD = """# Written by generate_optim.py: parameters after five steps as PyTorch {version} computes them in float64.
use std.optim

model Curve {{
    param a = tensor([1.0, -2.0, 0.5], dtype: f64)
    param b = tensor(3.0, dtype: f64)
    fn forward() = (a ** 4 / 4 + b * a).sum() + b * b
}}

fn step(curve, opt) {{
    loss = curve()
    backward(loss)
    opt.step()
    return loss
}}

fn near(found, expected) {{
    assert allclose(found, tensor(expected, dtype: f64), rtol: 1e-10, atol: 1e-12), f"found {{found}}, not {{expected}}"
}}
"""


def main():
    print(HEAD.format(version=torch.__version__.split("+")[0]))
    for name, arguments, make in CASES:
        a = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
        b = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
        optimiser = make([a, b])
        for _ in range(5):
            optimiser.zero_grad()
            loss = (a**4 / 4 + b * a).sum() + b * b
            loss.backward()
            optimiser.step()
        print(f'test "{name}({arguments})" {{')
        print("    curve = Curve()")
        print(f"    opt = {name}(curve.parameters(), {arguments})")
        print("    for turn in range(5) { loss = step(curve, opt) }")
        print(f"    near(loss, {loss.item()!r})")
        print(f"    near(curve.a, {a.tolist()!r})")
        print(f"    near(curve.b, {b.item()!r})")
        print("    assert curve.a.grad is none, \"step consumes the gradients\"")
        print("}")
    print("""
test "gradients may be kept" {
    curve = Curve()
    opt = SGD(curve.parameters(), lr: 0.1)
    backward(curve())
    opt.step(keep_grads: true)
    near(curve.b.grad, 5.5)
    opt.zero_grad()
    assert curve.b.grad is none
}
test "parameters without a gradient stay as they are" {
    curve = Curve()
    opt = AdamW(curve.parameters(), lr: 0.1)
    backward((curve.a * 2).sum())
    opt.step()
    near(curve.b, 3.0)
}
test "a learning rate that changes" {
    curve = Curve()
    opt = SGD(curve.parameters(), lr: 0.1)
    step(curve, opt)
    opt.lr = 0.0
    before = curve.a.clone()
    step(curve, opt)
    near(curve.a, before.tolist())
}
test "nothing to optimise" {
    try { SGD([]) } catch e { message = e.message }
    assert "empty" in message, message
}""")


main()
