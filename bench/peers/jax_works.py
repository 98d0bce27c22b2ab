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


# Convolutional networks have weights and running means; those are learned, these come back beside the result. Images have their
# channels last, which is what XLA's convolutions on a CPU are fastest with; kernels are given so in the beginning.
def convolution(w, p, x, stride=1):
    kernel = w[p + ".weight"]
    padding = [(size // 2, size // 2) for size in kernel.shape[:2]]
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def batch_norm(w, p, x, running):
    if running is None:    # evaluation
        mean, var = w[p + ".running_mean"], w[p + ".running_var"]
    else:
        mean = x.mean((0, 1, 2))
        var = jnp.square(x - mean).mean((0, 1, 2))
        count = x.size // x.shape[-1]
        for kind, value in (("mean", mean), ("var", var * (count / (count - 1)))):
            key = f"{p}.running_{kind}"
            running[key] = 0.9 * w[key] + 0.1 * value
    return (x - mean) * jax.lax.rsqrt(var + 1e-5) * w[p + ".weight"] + w[p + ".bias"]


def basic_block(w, p, x, stride, running):
    y = jax.nn.relu(batch_norm(w, p + ".bn1", convolution(w, p + ".conv1", x, stride), running))
    y = batch_norm(w, p + ".bn2", convolution(w, p + ".conv2", y), running)
    if p + ".downsample.0.weight" in w:
        x = batch_norm(w, p + ".downsample.1", convolution(w, p + ".downsample.0", x, stride), running)
    return jax.nn.relu(y + x)


def small_resnet(w, x, running):
    x = jax.nn.relu(batch_norm(w, "bn1", convolution(w, "conv1", x.transpose(0, 2, 3, 1)), running))
    for k in range(9):
        x = basic_block(w, f"blocks.{k}", x, 2 if k in (3, 6) else 1, running)
    return linear(w, "fc", x.mean((1, 2)))


def resnet18(w, x, running=None):
    x = jax.nn.relu(batch_norm(w, "bn1", convolution(w, "conv1", x.transpose(0, 2, 3, 1), 2), running))
    x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), [(0, 0), (1, 1), (1, 1), (0, 0)])
    for stage in range(1, 5):
        for k in range(2):
            x = basic_block(w, f"layer{stage}.{k}", x, 2 if stage > 1 and k == 0 else 1, running)
    return linear(w, "fc", x.mean((1, 2)))


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
OUTPUTS = {"encoder": encoder, "bert1x128": bert, "bert16x128": bert, "resnet224_inference": resnet18}


IMAGES = {"resnet32": small_resnet, "resnet224": resnet18}


def training_on_images(weights, inputs):
    optimiser = optax.sgd(0.01, momentum=0.9)
    running = {key: weights.pop(key) for key in list(weights) if ".running_" in key}
    state = optimiser.init(weights)

    def loss_of(weights, running, x, y):
        after = {}
        return cross_entropy(IMAGES[name](weights | running, x, after), y), after

    @partial(jax.jit, donate_argnums=(0, 1, 2))
    def train(weights, state, running, inputs):
        (loss, running), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights, running, **inputs)
        updates, state = optimiser.update(gradients, state, weights)
        return optax.apply_updates(weights, updates), state, running, loss

    def step():
        nonlocal weights, state, running
        weights, state, running, loss = train(weights, state, running, inputs)
        return loss

    return {name: step}


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
    if name.startswith("resnet"):
        weights = {key: value.transpose(2, 3, 1, 0) if value.ndim == 4 else value for key, value in weights.items()}
        weights = {key: value for key, value in weights.items() if not key.endswith(".num_batches_tracked")}
    works = training if name in LOSSES else training_on_images if name in IMAGES else kernels if name == "kernels" else inference
    measure(works(weights, inputs), jax.block_until_ready)


main()
