"""Soft dynamic time warping of two series, by a table filled in place (Cuturi and Blondel 2017)."""

from __future__ import annotations

import math

import numpy as np

from objectives import Objective, with_jax

SIZE = 500


def soft_dtw(x, y, gamma):
    """The softest cost of an alignment."""
    n, m = len(x), len(y)
    R = np.full((n + 1, m + 1), 1e10)
    R[0, 0] = 0.0
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            a, b, c = -R[i - 1, j - 1] / gamma, -R[i - 1, j] / gamma, -R[i, j - 1] / gamma
            top = max(a, b, c)
            s = math.exp(a - top) + math.exp(b - top) + math.exp(c - top)
            R[i, j] = (x[i - 1] - y[j - 1]) ** 2 - gamma * (math.log(s) + top)
    return R[n, m]


def for_jax(jax, x, y, gamma):
    """A scan over the antidiagonals, each a vector."""
    np_ = jax.numpy
    n, m = SIZE, SIZE
    big = 1e10
    cost = (x[:, None] - y[None, :]) ** 2
    rows = np.arange(n)

    def step(carry, k):
        before, last = carry  # of the diagonals k - 2 and k - 1, by row, with row 0 of the table first
        j = k - rows - 2
        inside = (j >= 0) & (j < m)
        d = cost[rows, np_.clip(j, 0, m - 1)]
        three = np_.stack([before[:-1], last[:-1], last[1:]])
        soft = -gamma * jax.nn.logsumexp(-three / gamma, axis=0)
        new = np_.concatenate([np_.full(1, big), np_.where(inside, d + soft, big)])
        return (last, new), None

    first = np_.full(n + 1, big).at[0].set(0.0)
    (_, last), _ = jax.lax.scan(step, (first, np_.full(n + 1, big)), np_.arange(2, n + m + 1))
    return last[n]


def objectives():
    """One size."""
    rng = np.random.default_rng(4)
    x, y = np.cumsum(rng.normal(size=(2, SIZE)), axis=1) * 0.3
    args = x, y, 0.5
    stated = {"C++, stated": 13.0, "jax, stated": 41.0}
    yield Objective(f"soft-DTW {SIZE}²", soft_dtw, args, (0, 1), with_jax(for_jax, (0, 1), *args), stated)
