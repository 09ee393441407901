# SPDX-License-Identifier: MIT
"""The networks in PyTorch: eager, channels-last (the one with images), and by torch.compile."""
import torch
from torch import nn

torch.set_flush_denormal(True)  # as nnc does: on batches that are learned, gradients become that small

NAME = "PyTorch " + torch.__version__.split("+")[0]


def variants(net):
    return ["eager"] + (["channels-last"] if net == "cnn" else []) + ["compile"]


class Mean(nn.Module):  # over the places of an image
    def forward(self, x):
        return x.mean((2, 3))


def layers(start):
    """A convolution or a linear layer for each weight; ReLU between, but for what stands before the mean."""
    weights = [(name, value) for name, value in start.parameters() if name.endswith(".weight")]
    for i, (name, weight) in enumerate(weights):
        layer = nn.Conv2d(*weight.shape[1::-1], weight.shape[2]) if weight.ndim == 4 else nn.Linear(*weight.shape[::-1])
        layer.weight.data = torch.tensor(weight)
        layer.bias.data = torch.tensor(start[name.replace(".weight", ".bias")])
        yield layer
        last = i + 1 == len(weights)
        if not last and weight.ndim == 4 and weights[i + 1][1].ndim == 2:
            yield Mean()
        elif not last:
            yield nn.ReLU()


def optimizer(name, parameters):
    make = {"adam": lambda **how: torch.optim.Adam(parameters, lr=1e-3, **how),
            "momentum": lambda **how: torch.optim.SGD(parameters, lr=0.01, momentum=0.9, **how)}[name]
    try:
        return make(fused=True)  # the fastest, where there is one for processors
    except (TypeError, RuntimeError):
        return make(foreach=True)


class Trainer:
    def __init__(self, start, net, variant, optimizer_name, threads):
        torch.set_num_threads(threads)
        start, self.variant, self.optimizer_name = start, variant, optimizer_name
        self.x, self.y = torch.tensor(start.input), torch.tensor(start.target).long()
        if variant == "channels-last":
            self.x = self.x.to(memory_format=torch.channels_last)
        self.model = nn.Sequential(*layers(start))
        if self.variant == "channels-last":
            self.model = self.model.to(memory_format=torch.channels_last)
        self.optimizer = optimizer(self.optimizer_name, list(self.model.parameters()))
        model, loss = self.model, nn.CrossEntropyLoss()
        self.loss = lambda x, y: loss(model(x), y)
        if self.variant == "compile":
            self.loss = torch.compile(self.loss)

    def step(self, count):
        for _ in range(count):
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.loss(self.x, self.y)
            loss.backward()
            self.optimizer.step()
        return loss.item()
