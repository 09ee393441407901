# SPDX-License-Identifier: MIT
"""The networks in tinygrad: a step is captured once and replayed (TinyJit), on its back end for processors."""
import importlib.metadata
import os

os.environ.setdefault("DEV", "CPU")
os.environ.setdefault("TRAINING", "1")
from tinygrad import Tensor, TinyJit, nn  # noqa: E402

Tensor.training = True  # older versions look here

NAME = "tinygrad " + importlib.metadata.version("tinygrad")


def variants(net):
    return ["jit"]


def forward(parameters, x):
    for i, (weight, bias) in enumerate(parameters):
        x = x.conv2d(weight, bias) if weight.ndim == 4 else x.linear(weight.transpose(), bias)
        last = i + 1 == len(parameters)
        if not last and weight.ndim == 4 and parameters[i + 1][0].ndim == 2:
            x = x.mean((2, 3))
        elif not last:
            x = x.relu()
    return x


class Trainer:
    def __init__(self, start, net, variant, optimizer_name, threads):
        start, self.optimizer_name = start, optimizer_name
        self.x, self.y = Tensor(start.input).realize(), Tensor(start.target).realize()
        self.parameters = []
        for name, weight in start.parameters():
            if name.endswith(".weight"):
                pair = (weight, start[name.replace(".weight", ".bias")])
                self.parameters.append([Tensor(value).realize() for value in pair])
        flat = [p for pair in self.parameters for p in pair]
        optimizer = nn.optim.Adam(flat, lr=1e-3) if self.optimizer_name == "adam" else \
            nn.optim.SGD(flat, lr=0.01, momentum=0.9)

        def step():
            optimizer.zero_grad()
            self.x.grad = None  # newer versions differentiate by every tensor there is
            loss = forward(self.parameters, self.x).sparse_categorical_crossentropy(self.y)
            loss.backward()
            return loss.realize(*optimizer.schedule_step())  # together: the loss before the step

        self.run = TinyJit(step)

    def step(self, count):
        for _ in range(count):
            loss = self.run()
        return loss.item()
