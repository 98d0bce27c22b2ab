"""The works of this folder's scripts in PyTorch: torch_works.py NAME FILE [compile]"""

import math
import sys
from functools import partial

import torch
import torch.nn.functional as F
from measure import measure, shared
from torch import nn

if not sys.argv[1:]:    # what the imports alone take
    sys.exit()
name, path = sys.argv[1:3]
compiled = sys.argv[3:] == ["compile"]
if compiled:
    import torch._dynamo

    torch._dynamo.config.cache_size_limit = 64
maybe_compile = torch.compile if compiled else lambda f: f


class Perceptron(nn.Module):
    def __init__(self, sizes, activation=F.relu):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:]))
        self.activation = activation

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def attended(self, q, k, v, causal):
        b, t, d = q.shape
        q, k, v = (z.view(b, t, self.heads, d // self.heads).transpose(1, 2) for z in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.out(y.transpose(1, 2).reshape(b, t, d))


class GPTBlock(Attention):
    def __init__(self, width, heads):
        super().__init__(width, heads)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)

    def forward(self, x):
        x = x + self.attended(*self.qkv(self.norm1(x)).chunk(3, -1), causal=True)
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self, letters=256, width=384, heads=6, layers=6, context=256):
        super().__init__()
        self.token, self.position = nn.Embedding(letters, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(GPTBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, letters, bias=False)

    def forward(self, index):
        x = self.token(index) + self.position(torch.arange(index.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class BERTBlock(Attention):
    def __init__(self, width, heads):
        super().__init__(width, heads)
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-12), nn.LayerNorm(width, eps=1e-12)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x):
        x = self.norm1(x + self.attended(self.query(x), self.key(x), self.value(x), causal=False))
        return self.norm2(x + self.down(F.gelu(self.up(x))))


class BERT(nn.Module):
    def __init__(self, letters=30522, width=512, heads=8, layers=4):
        super().__init__()
        self.token, self.position, self.kind = nn.Embedding(letters, width), nn.Embedding(512, width), nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.blocks = nn.ModuleList(BERTBlock(width, heads) for _ in range(layers))

    def forward(self, x):
        length = x.shape[1]
        x = self.token(x) + self.position(torch.arange(length)) + self.kind(torch.zeros(length, dtype=torch.int64))
        x = self.norm(x)
        for block in self.blocks:
            x = block(x)
        return x


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(40, 256, num_layers=3, batch_first=True)
        self.head = nn.Linear(256, 256)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


class DLRM(nn.Module):
    def __init__(self, dense=13, tables=26, rows=10000, width=16):
        super().__init__()
        features = tables + 1
        self.bottom = Perceptron([dense, 512, 256, 64, width])
        self.embeddings = nn.ModuleList(nn.EmbeddingBag(rows, width, mode="sum") for _ in range(tables))
        self.top = Perceptron([width + features * (features - 1) // 2, 512, 256, 1])
        self.pairs = torch.tensor([i * features + j for i in range(features) for j in range(i)])

    def forward(self, x, index):
        x = F.relu(self.bottom(x))
        features = torch.stack([x] + [table(bag) for table, bag in zip(self.embeddings, index)], 1)
        products = torch.bmm(features, features.mT).flatten(1).index_select(1, self.pairs)
        return self.top(torch.cat([x, products], 1)).squeeze(1)


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        past = [nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)] if stride != 1 or inputs != outputs else []
        self.downsample = nn.Sequential(*past)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.downsample(x))


class SmallResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        widths = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
        self.blocks = nn.Sequential(*(BasicBlock(*width) for width in widths))
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = self.blocks(F.relu(self.bn1(self.conv1(x))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        for k, (inputs, outputs) in enumerate([(64, 64), (64, 128), (128, 256), (256, 512)]):
            stage = nn.Sequential(BasicBlock(inputs, outputs, 1 if k == 0 else 2), BasicBlock(outputs, outputs))
            setattr(self, f"layer{k + 1}", stage)
        self.fc = nn.Linear(512, 1000)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def kernels(inputs, weight, bias):
    x = inputs["x"]
    square = x.view(4096, 4096)
    p, to = torch.ones_like(x), torch.zeros_like(x)
    p.grad = x
    opt = torch.optim.Adam([p], lr=1e-3, fused=not compiled, foreach=False if compiled else None)
    update = maybe_compile(opt.step)

    def adam():
        update()
        return p

    run = {
        "triad": (lambda x: torch.add(x, p, alpha=3, out=to), x),
        "softmax": (lambda x: torch.softmax(x, 1), x),
        "layer_norm": (lambda x: F.layer_norm(x, x.shape[1:], weight, bias), x),
        "column_sum": (lambda x: x.sum(0), x),
        "transpose": (lambda x: x.T.contiguous(), square),
        "tanh_sigmoid": (lambda x: torch.tanh(x) * torch.sigmoid(x), x),
        "gelu": (F.gelu, x),
    }
    works = {name: (lambda f=maybe_compile(f), x=x: f(x)) for name, (f, x) in run.items()}
    return works | {"adam": adam}


def products(a, b):
    """The shapes and forms of bench/matmul.model"""
    from shapes import FORMS, SHAPES

    works = {}
    for m, k, n in SHAPES:
        sides = {"n": a[: m * k].view(m, k), "t": a[: m * k].view(k, m).T}, {"n": b[: k * n].view(k, n), "t": b[: k * n].view(n, k).T}
        for form in FORMS:
            works[f"{m}x{k}x{n}-{form}"] = lambda x=sides[0][form[0]], y=sides[1][form[1]]: x @ y
    return works


def convolutions(numbers):
    """The shapes of bench/conv.model: each tensor is the first of the numbers"""
    from shapes import BATCH, CONVOLUTIONS

    works = {}
    for channels, size, outputs, kernel, stride in CONVOLUTIONS:
        after = (size + 2 * (kernel // 2) - kernel) // stride + 1
        shapes = (BATCH, channels, size, size), (outputs, channels, kernel, kernel), (BATCH, outputs, after, after)
        x, w, y = (numbers[: math.prod(shape)].view(shape) for shape in shapes)
        geometry = ([stride] * 2, [kernel // 2] * 2, [1] * 2, False, [0] * 2, 1)

        def gradient(which, x=x, w=w, y=y, geometry=geometry):
            wanted = [which == k for k in range(3)]
            return torch.ops.aten.convolution_backward(y, x, w, None, *geometry, wanted)[which]

        shape = f"{channels}x{size}-{outputs}x{kernel}-{stride}"
        works[shape + "-forward"] = lambda x=x, w=w, geometry=geometry: torch.convolution(x, w, None, *geometry)
        works[shape + "-data"] = lambda gradient=gradient: gradient(0)
        works[shape + "-kernel"] = lambda gradient=gradient: gradient(1)
    return works


def attentions(numbers):
    """The forms of bench/attention.model: each of q, k and v is the first of a row of the numbers"""
    batch, heads, width = 4, 6, 64
    works = {}
    for length in (256, 1024, 4096):
        q, k, v = (row[: batch * heads * length * width].view(batch, heads, length, width) for row in numbers)
        leaves = [x.clone().requires_grad_() for x in (q, k, v)]
        for kind in ("full", "causal"):
            attended = partial(F.scaled_dot_product_attention, is_causal=kind == "causal")

            def forward(attended=attended, operands=(q, k, v)):
                with torch.no_grad():
                    return attended(*operands)

            works[f"{length}-{kind}-forward"] = forward
            works[f"{length}-{kind}-both"] = lambda attended=attended, x=leaves: torch.autograd.grad(attended(*x).sum(), x)[2]
    return works


def training(net, loss_of, inputs, lr):
    # The fused update is PyTorch's fastest on the CPU; compiled, the loss alone gains.
    kind = partial(torch.optim.SGD, momentum=0.9) if name.startswith("resnet") else torch.optim.AdamW
    opt = kind(net.parameters(), lr=lr, fused=True)
    loss_of = maybe_compile(loss_of)

    def step():
        opt.zero_grad()
        loss = loss_of(net, **inputs)
        loss.backward()
        opt.step()
        return loss.detach()

    return {name: step}


def inference(net, inputs):
    net = maybe_compile(net.eval())
    return {name: lambda: net(**inputs)}


def classified(net, x, y):
    return F.cross_entropy(net(x), y)


def mlp(sizes):
    return Perceptron(sizes), classified, 1e-3


TRAINED = {
    "tiny": lambda: (Perceptron([1, 16, 16, 1], torch.tanh), lambda net, x, y: F.mse_loss(net(x), y), 1e-3),
    "digits": lambda: mlp([64, 128, 10]),
    "mlp": lambda: mlp([784, 1024, 1024, 10]),
    "gpt": lambda: (GPT(), lambda net, x, y: F.cross_entropy(net(x).flatten(0, 1), y.flatten()), 3e-4),
    "lstm": lambda: (nn.LSTM(128, 256, num_layers=2, batch_first=True), lambda net, x, y: F.mse_loss(net(x)[0], y), 1e-3),
    "resnet32": lambda: (SmallResNet(), classified, 0.01),
    "resnet224": lambda: (ResNet18(), classified, 0.01),
    "dlrm": lambda: (DLRM(), lambda net, x, index, y: F.binary_cross_entropy_with_logits(net(x, index), y), 1e-3),
}
INFERRED = {"encoder": Encoder, "bert1x128": BERT, "bert16x128": BERT, "resnet224_inference": ResNet18}


def main():
    weights, inputs = ({key: torch.from_numpy(value) for key, value in part.items()} for part in shared(path))
    if name in TRAINED:
        net, loss_of, lr = TRAINED[name]()
        net.load_state_dict(weights)
        measure(training(net, loss_of, inputs, lr))
    elif name == "attention":
        measure(attentions(**weights))
    else:
        with torch.inference_mode():
            if name == "kernels":
                measure(kernels(inputs, **weights))
            elif name == "matmul":
                measure(products(**weights))
            elif name == "conv":
                measure(convolutions(**weights))
            else:
                net = INFERRED[name]()
                net.load_state_dict(weights)
                measure(inference(net, inputs))


main()
