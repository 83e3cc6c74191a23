"""Functions whose derivatives people read: `tests/golden` has the text of each.

``python tests/docs/derivative_texts.py`` writes the texts anew; read them before they are committed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import weft

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "derivatives"
X, M = np.linspace(0.1, 0.9, 6), np.linspace(-1.0, 1.0, 12).reshape(3, 4)


def root(a):
    x = a
    while abs(x * x - a) > 1e-12:
        x = 0.5 * (x + a / x)
    return x


def smoothed(x, rate):
    for i in range(1, x.size):
        x[i] += rate * (x[i - 1] - x[i])
    return np.sum(x * x)


def horner(c, x):
    value = 0.0
    for k in range(c.size):
        value = value * x + c[k]
    return value


def cross_entropy(w, x, label):
    scores = w @ x
    return np.log(np.sum(np.exp(scores))) - scores[label]


def huber(x, delta):
    total = 0.0
    for v in x:
        if abs(v) <= delta:
            total += 0.5 * v * v
        else:
            total += delta * (abs(v) - 0.5 * delta)
    return total


def diffusion(u, steps, rate):
    for _ in range(steps):
        u[1:-1] = u[1:-1] + rate * (u[:-2] - 2.0 * u[1:-1] + u[2:])
    return np.sum(u * u)


def pendulum(angle, speed, length, steps, dt):
    for _ in range(steps):
        speed = speed - dt * 9.81 / length * np.sin(angle)
        angle = angle + dt * speed
    return angle


def layer(w, b, x):
    return np.sum(np.tanh(x @ w + b))


def distances(p, q):
    return np.sum(np.sqrt(np.sum((p - q) ** 2, axis=1)))


def gathered(table, at):
    return np.sum(table[at] ** 3)


CASES = {
    "root": (root, 0, (2.0,)),
    "smoothed": (smoothed, 0, (X, 0.5)),
    "horner": (horner, (0, 1), (X, 0.3)),
    "cross_entropy": (cross_entropy, 0, (M, X[:4], 1)),
    "huber": (huber, 0, (X, 0.4)),
    "diffusion": (diffusion, 0, (X, 5, 0.1)),
    "pendulum": (pendulum, (0, 1, 2), (0.3, 0.0, 1.0, 50, 0.01)),
    "layer": (layer, (0, 1), (M.T, X[:3], M)),
    "distances": (distances, 0, (M, M[::-1] + 0.1)),
    "gathered": (gathered, 0, (X, np.array([0, 2, 2, 5]))),
}


def text(name: str) -> str:
    """The derivative as Python."""
    fn, argnums, args = CASES[name]
    args = tuple(a.copy() if isinstance(a, np.ndarray) else a for a in args)
    return weft.jit(weft.grad(fn, argnums)).inspect(*args).python


def main() -> None:
    """Write all texts."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name in CASES:
        (GOLDEN / f"{name}.py").write_text(text(name))


if __name__ == "__main__":
    main()
