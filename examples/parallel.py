"""Many devices: ``python examples/parallel.py [picture.svg]``.

A convolution on every device at once, then a regression whose gradients are averaged over the devices. The CPU is
divided into virtual devices here; the same text runs with JAX after its imports are changed.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import NamedTuple

os.environ.setdefault("WEFT_CPU_DEVICES", "8")

import numpy as np

import weft
import weft.numpy as wnp


def title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


# A convolution


def convolve(x, w):
    output = []
    for i in range(1, len(x) - 1):
        output.append(wnp.dot(x[i - 1 : i + 2], w))
    return wnp.array(output)


def normalised(x, w):
    output = []
    for i in range(1, len(x) - 1):
        output.append(wnp.dot(x[i - 1 : i + 2], w))
    y = wnp.array(output)
    return y / weft.lax.psum(y, axis_name="p")


def convolutions() -> None:
    n = weft.local_device_count()
    title(f"A convolution on {n} devices")
    x = np.arange(5.0)
    w = np.array([2.0, 3.0, 4.0])
    print("one:   ", convolve(x, w))
    xs = np.arange(5.0 * n).reshape(-1, 5)
    ws = np.stack([w] * n)
    by_vmap = weft.vmap(convolve)(xs, ws)
    by_pmap = weft.pmap(convolve)(xs, ws)
    print("vmap:  ", by_vmap.shape, " pmap:", by_pmap.shape, " equal:", bool(wnp.allclose(by_vmap, by_pmap)))
    print("pieces on", len(by_pmap.devices()), "devices")
    shared = weft.pmap(convolve, in_axes=(0, None))(xs, w)
    print("with one filter for all:", bool(wnp.allclose(shared, by_pmap)))
    again = weft.pmap(convolve)(xs, weft.pmap(convolve)(xs, ws))  # feeding results back moves nothing
    print("twice: ", again.shape)
    found = weft.pmap(normalised, axis_name="p", in_axes=(0, None))(xs, w)
    print("normalised over the devices, the columns add up to:", found.sum(axis=0).round(12))


# A regression


class Params(NamedTuple):
    weight: weft.Array
    bias: weft.Array


LEARNING_RATE = 0.005


def init(seed: int) -> Params:
    rng = np.random.default_rng(seed)
    return Params(wnp.asarray(rng.normal()), wnp.asarray(rng.normal()))


def loss_fn(params: Params, xs, ys):
    prediction = params.weight * xs + params.bias
    return wnp.mean((prediction - ys) ** 2)


@functools.partial(weft.pmap, axis_name="devices")
def update(params: Params, xs, ys):
    loss, grads = weft.value_and_grad(loss_fn)(params, xs, ys)
    grads = weft.lax.pmean(grads, axis_name="devices")
    loss = weft.lax.pmean(loss, axis_name="devices")
    params = weft.tree.map(lambda p, g: p - g * LEARNING_RATE, params, grads)
    return params, loss


def regression(steps: int, picture: str | None) -> Params:
    n = weft.local_device_count()
    title("A line, fitted by all of them")
    rng = np.random.default_rng(0)
    xs = rng.normal(size=(128, 1))
    ys = 2.0 * xs - 1.0 + rng.normal(size=(128, 1)) * 0.1
    params = weft.tree.map(lambda p: wnp.stack([p] * n), init(1))  # a copy for each device
    x_parts, y_parts = (v.reshape(n, -1, 1) for v in (xs, ys))
    for step in range(steps + 1):
        params, loss = update(params, x_parts, y_parts)
        if step % 100 == 0:
            print(f"step {step:4d}   loss {float(loss[0]):.4f}")
    params = weft.device_get(weft.tree.map(lambda p: p[0], params))
    print(f"y = {float(params.weight):.2f} x + {float(params.bias):.2f}")
    if picture:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        plt.figure(figsize=(5, 3.5))
        plt.scatter(xs, ys, s=8, label="data")
        ends = np.array([xs.min(), xs.max()])
        plt.plot(ends, params.weight * ends + params.bias, c="C1", label="fit")
        plt.legend()
        plt.savefig(picture)
        print("picture:", picture)
    return params


def main(picture: str | None = None, steps: int = 1000) -> None:
    convolutions()
    regression(steps, picture)


if __name__ == "__main__":
    main(*sys.argv[1:2])
