"""The works of this folder's scripts in JAX, the whole step under one jit: jax_works.py NAME FILE"""

import sys
from functools import partial

import jax
import jax.numpy as jnp
import optax
from measure import measure, shared

jax.devices()
if not sys.argv[1:]:    # what the imports alone take
    sys.exit()
name, path = sys.argv[1:3]


# Weights are a dict of the names that they have in the script; p is what the names of a layer begin with.
def linear(w, p, x):
    y = x @ w[p + ".weight"].T
    return y + w[p + ".bias"] if p + ".bias" in w else y


def norm(w, p, x, eps=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + eps) * w[p + ".weight"] + w[p + ".bias"]


def perceptron(w, p, x, activation=jax.nn.relu):
    count = sum(key.startswith(p + "layers.") and key.endswith(".weight") for key in w)
    for i in range(count):
        x = linear(w, f"{p}layers.{i}", x)
        x = activation(x) if i + 1 < count else x
    return x


def attention(w, p, q, k, v, heads, causal):
    b, t, d = q.shape
    y = jax.nn.dot_product_attention(*(z.reshape(b, t, heads, d // heads) for z in (q, k, v)), is_causal=causal)
    return linear(w, p + ".out", y.reshape(b, t, d))


def feed_forward(w, p, x):
    return linear(w, p + ".down", jax.nn.gelu(linear(w, p + ".up", x), approximate=False))


def gpt(w, index, layers=6, heads=6):
    x = w["token.weight"][index] + w["position.weight"][: index.shape[1]]
    for i in range(layers):
        p = f"blocks.{i}"
        qkv = jnp.split(linear(w, p + ".qkv", norm(w, p + ".norm1", x)), 3, -1)
        x = x + attention(w, p, *qkv, heads, causal=True)
        x = x + feed_forward(w, p, norm(w, p + ".norm2", x))
    return linear(w, "head", norm(w, "norm", x))


def bert(w, x, layers=4, heads=8):
    x = w["token.weight"][x] + w["position.weight"][: x.shape[1]] + w["kind.weight"][0]
    x = norm(w, "norm", x, 1e-12)
    for i in range(layers):
        p = f"blocks.{i}"
        qkv = [linear(w, f"{p}.{part}", x) for part in ("query", "key", "value")]
        x = norm(w, p + ".norm1", x + attention(w, p, *qkv, heads, causal=False), 1e-12)
        x = norm(w, p + ".norm2", x + feed_forward(w, p, x), 1e-12)
    return x


def lstm(w, p, x, layers):
    x = x.swapaxes(0, 1)
    for i in range(layers):
        u = x @ w[f"{p}weight_ih_l{i}"].T + w[f"{p}bias_ih_l{i}"] + w[f"{p}bias_hh_l{i}"]
        back = w[f"{p}weight_hh_l{i}"].T

        def cell(state, u, back=back):
            h, c = state
            i, f, g, o = jnp.split(u + h @ back, 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        nothing = jnp.zeros((x.shape[1], back.shape[0]))
        _, x = jax.lax.scan(cell, (nothing, nothing), u)
    return x.swapaxes(0, 1)


def encoder(w, x):
    return linear(w, "head", lstm(w, "lstm.", x, 3)[:, -1])


def dlrm(w, x, index):
    x = jax.nn.relu(perceptron(w, "bottom.", x))
    features = jnp.stack([x] + [w[f"embeddings.{i}.weight"][bag].sum(1) for i, bag in enumerate(index)], 1)
    count = features.shape[1]
    pairs = jnp.array([i * count + j for i in range(count) for j in range(i)])
    products = (features @ features.swapaxes(1, 2)).reshape(x.shape[0], -1)[:, pairs]
    return perceptron(w, "top.", jnp.concatenate([x, products], 1))[:, 0]


def cross_entropy(scores, y):
    return optax.softmax_cross_entropy_with_integer_labels(scores, y).mean()


def mean_square(x, y):
    return jnp.square(x - y).mean()


LOSSES = {
    "tiny": lambda w, x, y: mean_square(perceptron(w, "", x, jnp.tanh), y),
    "digits": lambda w, x, y: cross_entropy(perceptron(w, "", x), y),
    "mlp": lambda w, x, y: cross_entropy(perceptron(w, "", x), y),
    "gpt": lambda w, x, y: cross_entropy(gpt(w, x), y),
    "lstm": lambda w, x, y: mean_square(lstm(w, "", x, 2), y),
    "dlrm": lambda w, x, index, y: optax.sigmoid_binary_cross_entropy(dlrm(w, x, index), y).mean(),
}
RATES = {"gpt": 3e-4}
OUTPUTS = {"encoder": encoder, "bert1x128": bert, "bert16x128": bert}


def training(weights, inputs):
    optimiser = optax.adamw(RATES.get(name, 1e-3), weight_decay=1e-2)
    state = optimiser.init(weights)

    @partial(jax.jit, donate_argnums=(0, 1))
    def train(weights, state, inputs):
        loss, gradients = jax.value_and_grad(LOSSES[name])(weights, **inputs)
        updates, state = optimiser.update(gradients, state, weights)
        return optax.apply_updates(weights, updates), state, loss

    def step():
        nonlocal weights, state
        weights, state, loss = train(weights, state, inputs)
        return loss

    return {name: step}


def inference(weights, inputs):
    run = jax.jit(OUTPUTS[name])
    return {name: lambda: run(weights, **inputs)}


def kernels(weights, inputs):
    x = inputs["x"]
    square, p = x.reshape(4096, 4096), jnp.ones_like(x)
    runs = {
        "softmax": (lambda x: jax.nn.softmax(x, 1), x),
        "layer_norm": (lambda x, w: norm(w, "", x), x, {"." + key: value for key, value in weights.items()}),
        "column_sum": (lambda x: x.sum(0), x),
        "transpose": (lambda x: x.T, square),
        "tanh_sigmoid": (lambda x: jnp.tanh(x) * jax.nn.sigmoid(x), x),
        "gelu": (partial(jax.nn.gelu, approximate=False), x),
    }
    optimiser = optax.adam(1e-3)
    state = optimiser.init(p)

    @partial(jax.jit, donate_argnums=(0, 1))
    def update(p, state, g):
        updates, state = optimiser.update(g, state, p)
        return optax.apply_updates(p, updates), state

    def adam():
        nonlocal p, state
        p, state = update(p, state, x)
        return p

    to = jnp.zeros_like(x)

    @partial(jax.jit, donate_argnums=0)
    def into(to, x, p):
        return x + 3 * p

    def triad():
        nonlocal to
        to = into(to, x, p)
        return to

    works = {name: (lambda f=jax.jit(f), operands=operands: f(*operands)) for name, (f, *operands) in runs.items()}
    return works | {"triad": triad, "adam": adam}


def main():
    weights, inputs = ({key: jnp.asarray(value) for key, value in part.items()} for part in shared(path))
    works = training if name in LOSSES else kernels if name == "kernels" else inference
    measure(works(weights, inputs), jax.block_until_ready)


main()
