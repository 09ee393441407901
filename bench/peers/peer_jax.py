# SPDX-License-Identifier: MIT
"""The networks in JAX: one compiled function is a step; images as [N, H, W, C], which XLA likes best here."""
import os

os.environ["JAX_PLATFORMS"] = "cpu"
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

NAME = "JAX " + jax.__version__


def variants(net):
    return ["jit"]


def forward(parameters, x):
    for i, (weight, bias) in enumerate(parameters):
        if weight.ndim == 4:
            x = jax.lax.conv_general_dilated(x, weight, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        else:
            x = x @ weight
        x = x + bias
        last = i + 1 == len(parameters)
        if not last and weight.ndim == 4 and parameters[i + 1][0].ndim == 2:
            x = x.mean((1, 2))
        elif not last:
            x = jax.nn.relu(x)
    return x


def loss_of(parameters, x, y):
    scores = jax.nn.log_softmax(forward(parameters, x))
    return -jnp.take_along_axis(scores, y[:, None], 1).mean()


def momentum(p, g, state):
    v = 0.9 * state[0] + 0.01 * g
    return p - v, [v]


def adam(p, g, state):
    m, v, t = 0.9 * state[0] + 0.1 * g, 0.999 * state[1] + 0.001 * g * g, state[2] + 1
    rate = 1e-3 / (1 - 0.9**t)
    return p - rate * m / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), [m, v, t]


def step_with(update):
    def step(parameters, states, x, y):
        loss, gradients = jax.value_and_grad(loss_of)(parameters, x, y)
        flat, shape = jax.tree_util.tree_flatten(parameters)
        made = [update(p, g, s) for p, g, s in zip(flat, jax.tree_util.tree_leaves(gradients), states)]
        return jax.tree_util.tree_unflatten(shape, [p for p, _ in made]), [s for _, s in made], loss

    return jax.jit(step, donate_argnums=(0, 1))


class Trainer:
    def __init__(self, start, net, variant, optimizer_name, threads):
        start, self.is_adam = start, optimizer_name == "adam"
        self.update = step_with(adam if self.is_adam else momentum)
        x = start.input
        self.x = jnp.array(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x)
        self.y = jnp.array(start.target)
        self.parameters = []
        for name, weight in start.parameters():
            if name.endswith(".weight"):
                turned = weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T
                bias = start[name.replace(".weight", ".bias")]
                self.parameters.append((jnp.array(turned), jnp.array(bias)))
        zeros = [jnp.zeros_like(p) for p in jax.tree_util.tree_leaves(self.parameters)]
        self.states = [[z, z + 0, jnp.zeros(())] if self.is_adam else [z] for z in zeros]

    def step(self, count):
        for _ in range(count):
            self.parameters, self.states, loss = self.update(self.parameters, self.states, self.x, self.y)
        jax.block_until_ready(self.parameters)
        return float(loss)
