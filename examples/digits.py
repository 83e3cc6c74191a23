"""A classifier of handwritten digits: the model, its loss for one example, and the same gradient written by hand.

``python examples/digits.py`` prints, as JSON, how long a new process takes to the end of its first training step; the
demo and `benchmarks/coldstart.py` run it that way.
"""

from __future__ import annotations

import itertools
import json
import time

import numpy as np

import weft

SIZES = (64, 128, 64, 10)


def init(seed=0):
    """The parameters: a list of layers, each a dict."""
    rng = np.random.default_rng(seed)
    return [{"w": rng.normal(size=(n, m)) * np.sqrt(2.0 / n), "b": np.zeros(m)} for n, m in itertools.pairwise(SIZES)]


def logits(params, x):
    """The network's ten outputs for one image (or, by NumPy's broadcasting, for a batch of them)."""
    *hidden, last = params
    for layer in hidden:
        x = np.maximum(x @ layer["w"] + layer["b"], 0.0)
    return x @ last["w"] + last["b"]


def example_loss(params, x, label):
    """Cross entropy of one image."""
    z = logits(params, x)
    top = z.max()
    return np.log(np.sum(np.exp(z - top))) + top - z[label]


def loss(params, images, labels):
    """Mean cross entropy of a batch."""
    return weft.vmap(example_loss, in_axes=(None, 0, 0))(params, images, labels).mean()


step = weft.jit(weft.value_and_grad(loss))


def step_by_hand(params, images, labels):
    """What `step` computes, with backpropagation written out in NumPy."""
    n = len(labels)
    inputs, x = [], images
    for i, layer in enumerate(params):
        inputs.append(x)
        x = x @ layer["w"] + layer["b"]
        if i < len(params) - 1:
            x = np.maximum(x, 0.0)
    top = x.max(axis=1, keepdims=True)
    e = np.exp(x - top)
    total = e.sum(axis=1, keepdims=True)
    value = (np.log(total) + top).mean() - x[np.arange(n), labels].mean()
    d = e / total
    d[np.arange(n), labels] -= 1.0
    d /= n
    grads = []
    for x, layer in zip(reversed(inputs), reversed(params), strict=True):
        grads.append({"w": x.T @ d, "b": d.sum(axis=0)})
        d = (d @ layer["w"].T) * (x > 0.0)
    return value, grads[::-1]


def descend(params, velocity, grads, rate, momentum=0.9):
    """A step of gradient descent with momentum, in place."""
    for p, v, g in zip(params, velocity, grads, strict=True):
        for name in p:
            v[name] *= momentum
            v[name] -= rate * g[name]
            p[name] += v[name]


def shifted(images, rng):
    """Each image moved by at most one pixel in each direction, so that the network sees more than 1,347 images."""
    n = len(images)
    framed = np.zeros((n, 10, 10))
    framed[:, 1:-1, 1:-1] = images.reshape(n, 8, 8)
    rows = rng.integers(0, 3, n)[:, None, None] + np.arange(8)[:, None]
    columns = rng.integers(0, 3, n)[:, None, None] + np.arange(8)
    return framed[np.arange(n)[:, None, None], rows, columns].reshape(n, 64)


def accuracy(params, images, labels):
    """The fraction of images that are recognised."""
    return float((logits(params, images).argmax(axis=1) == labels).mean())


def first_step():
    """Seconds that the first call of `step` takes in this process, on made-up images."""
    rng = np.random.default_rng(0)
    params, images, labels = init(), rng.random((64, 64)), rng.integers(0, 10, 64)
    start = time.perf_counter()
    value, _ = step(params, images, labels)
    seconds = time.perf_counter() - start
    expected, _ = step_by_hand(params, images, labels)
    assert abs(value - expected) < 1e-9, (value, expected)
    return {"seconds": seconds, **step.cache_info()._asdict()}


if __name__ == "__main__":
    print(json.dumps(first_step()))
