"""The functions whose CUDA text is kept under golden/. ``python tests/cuda/golden.py`` writes it anew: read the diff."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import numpy as np

import weft

GOLDEN = Path(__file__).resolve().parent / "golden"
RNG = np.random.default_rng(4)
ROW, TALL, WIDE = RNG.standard_normal(300), RNG.standard_normal((70, 5)), RNG.standard_normal((6, 90))
Case = tuple[Callable[..., Any], tuple[Any, ...]]
CASES: dict[str, Case] = {}


def case(*args: Any, name: str = "", by: Callable[..., Any] = lambda f: f) -> Callable[..., Any]:
    """Register a function, transformed."""

    def register(fn: Callable[..., Any]) -> Callable[..., Any]:
        CASES[name or fn.__name__] = by(fn), args
        return fn

    return register


def text_of(name: str) -> str:
    """The device text of a case, as on every machine."""
    fn, args = CASES[name]
    text = weft.jit(fn).inspect(*args, target="cuda").cuda
    assert text is not None
    return text.replace(f"{ROOT}/", "")


@case(ROW, ROW[::-1].copy(), 0.3)
def elementwise(x, y, a):
    return np.tanh(a * x + y) / (1.0 + x * x)


@case(TALL, TALL[:, 0].copy(), TALL[0].copy())
def broadcast(x, column, row):
    return x * column[:, None] + row


@case(WIDE)
def sum_rows(x):
    return np.sum(x, axis=1)


@case(WIDE)
def sum_columns(x):
    return np.sum(x, axis=0)


@case(ROW)
def sum_all(x):
    return np.sum(x * x)


@case(WIDE)
def softmax(x):
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


@case(ROW, np.array([3, -1, 299, 7]))
def gather(x, k):
    return 2.0 * x[k]


@case(ROW, np.array([3, 3, 299, 7]))
def scatter(x, k):
    y = np.zeros_like(x)
    for i in range(k.size):
        y[k[i]] += x[i]
    return y


@case(ROW, np.array([3, 3, 299, 7]), name="gather_gradient", by=weft.grad)
def squares(x, k):
    return np.sum(x[k] ** 2)


@case(WIDE, 10)
def stencil(x, steps):
    for _ in range(steps):
        x[1:-1, 1:-1] = 0.25 * (x[1:-1, 2:] + x[1:-1, :-2] + x[2:, 1:-1] + x[:-2, 1:-1])
    return x


@case(np.abs(ROW) + 0.5, name="lanes", by=weft.vmap)
def root(a):
    x = a
    while abs(x * x - a) > 1e-12:
        x = 0.5 * (x + a / x)
    return x


@case(ROW, 0.2)
def branch(x, limit):
    if np.max(x) > limit:
        y = x - limit
    else:
        y = x * limit
    return y + 1.0


@case(WIDE, WIDE.T.copy())
def matmul(a, b):
    return np.maximum(a @ b, 0.0)


@case(ROW, WIDE[0].copy(), name="gradient", by=lambda f: weft.grad(f, argnums=(0, 1)))
def convolution(x, w):
    total = 0.0
    for i in range(x.size - w.size + 1):
        total += np.tanh(np.sum(x[i : i + w.size] * w))
    return total


@case(RNG.standard_normal(50) + 1j * RNG.standard_normal(50))
def complex_numbers(z):
    return np.exp(z) / np.sqrt(z + 1j)


def main() -> None:
    """Write the texts anew."""
    GOLDEN.mkdir(exist_ok=True)
    for old in GOLDEN.glob("*.cu"):
        if old.stem not in CASES:
            old.unlink()
    for name in CASES:
        (GOLDEN / f"{name}.cu").write_text(text_of(name))


if __name__ == "__main__":
    main()
