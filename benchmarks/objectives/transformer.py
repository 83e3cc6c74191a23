"""A small transformer block: attention of four heads and two dense layers, each behind a normalisation."""

from __future__ import annotations

import numpy as np

from objectives import Objective, with_jax

LENGTH, WIDTH, HEADS = 128, 64, 4


def normalised(x, scale, shift):
    """Each row with mean zero and variance one, then scaled."""
    centred = x - np.mean(x, axis=-1, keepdims=True)
    variance = np.mean(centred * centred, axis=-1, keepdims=True)
    return scale * centred / np.sqrt(variance + 1e-5) + shift


def softmax(x):
    """Along the last axis."""
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def gelu(x):
    """The usual approximation by tanh."""
    return 0.5 * x * (1.0 + np.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))


def split(x, heads):
    """Rows of heads to heads of rows."""
    return x.reshape(x.shape[0], heads, x.shape[1] // heads).transpose(1, 0, 2)


def block(p, x, heads):
    """Attention, then the dense layers."""
    h = normalised(x, p["scale1"], p["shift1"])
    q, k, v = split(h @ p["wq"], heads), split(h @ p["wk"], heads), split(h @ p["wv"], heads)
    weights = softmax(q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1]))
    x = x + (weights @ v).transpose(1, 0, 2).reshape(x.shape) @ p["wo"]
    h = normalised(x, p["scale2"], p["shift2"])
    return x + gelu(h @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"]


def transformer(p, x, target):
    """The mean squared error of the block."""
    error = block(p, x, 4) - target
    return np.mean(error * error)


def for_jax(jax, p, x, target):
    """The same."""
    np_ = jax.numpy

    def norm(x, scale, shift):
        centred = x - np_.mean(x, axis=-1, keepdims=True)
        return scale * centred * jax.lax.rsqrt(np_.mean(centred * centred, axis=-1, keepdims=True) + 1e-5) + shift

    def heads(x):
        return x.reshape(x.shape[0], HEADS, -1).transpose(1, 0, 2)

    h = norm(x, p["scale1"], p["shift1"])
    q, k, v = heads(h @ p["wq"]), heads(h @ p["wk"]), heads(h @ p["wv"])
    weights = jax.nn.softmax(q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1]))
    x = x + (weights @ v).transpose(1, 0, 2).reshape(x.shape) @ p["wo"]
    h = norm(x, p["scale2"], p["shift2"])
    error = x + jax.nn.gelu(h @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"] - target
    return np_.mean(error * error)


def data():
    """Random weights of the usual size."""
    rng = np.random.default_rng(11)
    d = WIDTH
    p = {name: rng.normal(size=(d, d)) / np.sqrt(d) for name in ("wq", "wk", "wv", "wo")}
    p |= {"w1": rng.normal(size=(d, 4 * d)) / np.sqrt(d), "w2": rng.normal(size=(4 * d, d)) / np.sqrt(4 * d)}
    p |= {"b1": 0.1 * rng.normal(size=4 * d), "b2": 0.1 * rng.normal(size=d)}
    for k in (1, 2):
        p |= {f"scale{k}": 1.0 + 0.1 * rng.normal(size=d), f"shift{k}": 0.1 * rng.normal(size=d)}
    return p, *rng.normal(size=(2, LENGTH, d))


def objectives():
    """One size."""
    args = data()
    peer = with_jax(for_jax, (0, 1), *args)
    yield Objective(f"transformer block, {LENGTH} rows of {WIDTH}", transformer, args, (0, 1), peer, step=1e-4)
