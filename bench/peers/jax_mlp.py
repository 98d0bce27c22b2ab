"""The works of bench/mlp.model in JAX with optax, the whole step under one jit: jax_mlp.py WORK STEPS."""

import sys

import jax
import jax.numpy as jnp
import optax
from works import WORKS, measure


def main():
    work, steps = sys.argv[1], int(sys.argv[2])
    sizes, batch = WORKS[work]
    key = jax.random.key(0)
    parameters = []
    for a, b in zip(sizes[:-1], sizes[1:]):
        key, one, two = jax.random.split(key, 3)
        bound = a**-0.5
        parameters.append(
            (jax.random.uniform(one, (a, b), minval=-bound, maxval=bound), jax.random.uniform(two, (b,), minval=-bound, maxval=bound))
        )
    key, one, two = jax.random.split(key, 3)
    x = jax.random.uniform(one, (batch, sizes[0]))
    y = jnp.sin(3 * x) if work == "tiny" else jax.random.randint(two, (batch,), 0, sizes[-1])
    activation = jnp.tanh if work == "tiny" else jax.nn.relu
    optimiser = optax.adamw(1e-3, weight_decay=1e-2)
    state = optimiser.init(parameters)

    def loss_of(parameters, x, y):
        for weight, bias in parameters[:-1]:
            x = activation(x @ weight + bias)
        weight, bias = parameters[-1]
        x = x @ weight + bias
        if work == "tiny":
            return jnp.mean((x - y) ** 2)
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(x, y))

    @jax.jit
    def train(parameters, state, x, y):
        loss, gradients = jax.value_and_grad(loss_of)(parameters, x, y)
        updates, state = optimiser.update(gradients, state, parameters)
        return optax.apply_updates(parameters, updates), state, loss

    def step():
        nonlocal parameters, state
        parameters, state, loss = train(parameters, state, x, y)
        return float(loss)

    measure(step, steps)


main()
