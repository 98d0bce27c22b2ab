"""Prints what tests/stdlib/vision.model expects of ResNet-18, computed by PyTorch in f64. Run it by hand; tests do not need it."""

import torch
import torch.nn.functional as F


def numbers(shape, k, scale=1.0):
    n = 1
    for size in shape:
        n *= size
    return ((((torch.arange(n, dtype=torch.int64) * 7919 + k * 104729) % 1009).double() / 504.5 - 1) * scale).reshape(shape)


def blocks():
    inputs = 64
    for stage, outputs in enumerate((64, 128, 256, 512), 1):
        for k in range(2):
            yield f"layer{stage}.{k}", inputs, outputs, 2 if stage > 1 and k == 0 else 1
            inputs = outputs


def parameters():
    def norm(name, size):
        return [(f"{name}.weight", [size]), (f"{name}.bias", [size])]

    shapes = [("conv1.weight", [64, 3, 7, 7]), *norm("bn1", 64)]
    for name, inputs, outputs, stride in blocks():
        shapes += [(f"{name}.conv1.weight", [outputs, inputs, 3, 3]), *norm(f"{name}.bn1", outputs)]
        shapes += [(f"{name}.conv2.weight", [outputs, outputs, 3, 3]), *norm(f"{name}.bn2", outputs)]
        if stride != 1:
            shapes += [(f"{name}.downsample.0.weight", [outputs, inputs, 1, 1]), *norm(f"{name}.downsample.1", outputs)]
    shapes += [("fc.weight", [10, 512]), ("fc.bias", [10])]
    made = {}
    for k, (name, shape) in enumerate(shapes):
        fan = 1
        for size in shape[1:]:
            fan *= size
        value = numbers(shape, k, (3 / fan) ** 0.5) if len(shape) > 1 else numbers(shape, k, 0.1) + (1 if name.endswith("weight") else 0)
        made[name] = value.requires_grad_()
    return made


def resnet(p, x):
    def norm(name, x):
        return F.batch_norm(x, None, None, p[f"{name}.weight"], p[f"{name}.bias"], True)

    x = F.max_pool2d(F.relu(norm("bn1", F.conv2d(x, p["conv1.weight"], None, 2, 3))), 3, 2, 1)
    for name, _, _, stride in blocks():
        y = F.relu(norm(f"{name}.bn1", F.conv2d(x, p[f"{name}.conv1.weight"], None, stride, 1)))
        y = norm(f"{name}.bn2", F.conv2d(y, p[f"{name}.conv2.weight"], None, 1, 1))
        if stride != 1:
            x = norm(f"{name}.downsample.1", F.conv2d(x, p[f"{name}.downsample.0.weight"], None, stride))
        x = F.relu(y + x)
    return F.linear(F.adaptive_avg_pool2d(x, 1).flatten(1), p["fc.weight"], p["fc.bias"])


weights = parameters()
scores = resnet(weights, numbers([4, 3, 64, 48], 100))
print("scores", scores.detach()[:, :3].tolist())
(scores * numbers([4, 10], 101)).sum().backward()
for name in ("conv1.weight", "bn1.bias", "layer2.0.downsample.0.weight", "layer4.1.conv2.weight"):
    print(name, (weights[name].grad * numbers(list(weights[name].shape), 102)).sum().item())
