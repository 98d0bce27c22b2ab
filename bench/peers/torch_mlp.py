"""The works of bench/mlp.model in PyTorch: torch_mlp.py WORK STEPS [compile]."""

import sys

import torch
from torch import nn
from works import WORKS, measure


def network(sizes, activation):
    layers = []
    for a, b in zip(sizes[:-1], sizes[1:]):
        layers += [nn.Linear(a, b), activation()]
    return nn.Sequential(*layers[:-1])


def main():
    work, steps = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(2)
    torch.manual_seed(0)
    sizes, batch = WORKS[work]
    x = torch.rand(batch, sizes[0])
    if work == "tiny":
        net, loss_of, y = network(sizes, nn.Tanh), nn.functional.mse_loss, torch.sin(3 * x)
    else:
        net, loss_of, y = network(sizes, nn.ReLU), nn.functional.cross_entropy, torch.randint(0, sizes[-1], (batch,))
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3)

    def loss_and_gradients(x, y):
        loss = loss_of(net(x), y)
        loss.backward()
        return loss

    if sys.argv[3:] == ["compile"]:
        forward = torch.compile(lambda x, y: loss_of(net(x), y))

        def loss_and_gradients(x, y):
            loss = forward(x, y)
            loss.backward()
            return loss

    def step():
        optimiser.zero_grad()
        loss = loss_and_gradients(x, y)
        optimiser.step()
        return loss.item()

    measure(step, steps)


main()
