"""The programs whose gradients are measured, at sizes for tests."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from tests.programs.harness import program
from tests.programs.numeric import arr

BENCHMARKS = str(Path(__file__).resolve().parents[2] / "benchmarks")

sys.path.insert(0, BENCHMARKS)
try:
    from objectives import black_scholes, bundle, gauss_seidel, gmm, hand, heat, kepler, lanes, lstm, nbody, transformer
finally:
    sys.path.remove(BENCHMARKS)


def mixture(d, k, n):
    args = arr(k), arr(k, d, seed=1), 0.3 * arr(k, d * (d + 1) // 2, seed=2), arr(n, d, seed=3)
    return *args, 1.0, 0, gmm.wishart_constant(d, k, 1.0, 0)


for form in (gmm.gmm, gmm.gmm_matrices):
    program(lambda: [mixture(3, 2, 5), mixture(2, 1, 1), mixture(1, 3, 2)], grad=(0, 1, 2))(form)


def cameras(n, points, seen):
    rng = np.random.default_rng(n)
    where = np.array([0.0, 0.0, -5.0]) + 0.3 * rng.normal(size=(n, 3))
    parts = 0.2 * rng.normal(size=(n, 3)), where, rng.uniform(0.8, 1.2, (n, 1)), 0.1 * rng.normal(size=(n, 4))
    weights, features = rng.uniform(0.5, 1.5, seen), 0.3 * rng.normal(size=(seen, 2))
    by, of = rng.integers(n, size=seen), rng.integers(points, size=seen)
    return np.concatenate(parts, axis=1), rng.normal(size=(points, 3)), weights, features, by, of


program(lambda: [cameras(2, 3, 4), cameras(1, 1, 1)], grad=(0, 1, 2))(bundle.bundle)


def text(layers, bits, length):
    letters = (arr(length, bits) > 0.2).astype(float)
    return arr(layers, 2, 4, bits), arr(3, bits, seed=1), arr(layers, 2, bits, seed=2), letters


program(lambda: [text(2, 3, 4), text(1, 2, 2)], grad=(0, 1, 2))(lstm.lstm)


def bones(vertices, points):
    n = 6
    parents = np.array([-1, 0, 1, 2, 3, 4])
    relative, inverses = arr(n, 4, 4) * 0.5 + np.eye(4), arr(n, 4, 4, seed=1) * 0.5 + np.eye(4)
    base, weights = arr(4, vertices, seed=2), np.abs(arr(n, vertices, seed=3))
    pairs = np.arange(points) * 7 % vertices
    return 0.3 * arr(10, seed=4), parents, relative, inverses, base, weights, pairs, arr(3, points, seed=5)


program(lambda: [bones(5, 3), bones(2, 4)], grad=(0,))(hand.hand)

program(lambda: [(arr(4, 5), arr(4, 5, seed=1), 2), (arr(3, 3), arr(3, 3), 1), (arr(2, 2), arr(2, 2), 3)],
        grad=(0, 1), second=True, vmap=(0, None, None))(gauss_seidel.gauss_seidel)  # fmt: skip

for form in (heat.heat, heat.conduction):
    program(lambda: [(arr(4, 5), arr(4, 5, seed=1), 3, 0.2), (arr(2, 3), arr(2, 3), 1, 0.1)], grad=(0, 1, 3),
            vmap=(0, 0, None, None))(form)  # fmt: skip

program(lambda: [(arr(3, 3), arr(3, 3, seed=1), np.array([0.5, 1.0, 0.2]), 2, 0.1), (arr(1, 3), arr(1, 3), np.ones(1), 1, 0.1)],
        grad=(0, 1, 2, 4), vmap=(0, 0, None, None, None))(nbody.nbody)  # fmt: skip

program(lambda: [(np.array([0.3, 1.5, 3.0]), np.array([0.1, 0.6, 0.3])), (np.ones(1), np.zeros(1))], grad=(0, 1),
        vmap=(0, None))(kepler.kepler)  # fmt: skip

program(lambda: [(0.1, 0.5), (0.02, 0.1), (0.85, 2.0)], grad=(0, 1), second=True, vmap=(0, 0))(lanes.time_to_grow)


def block(length, width):
    square = {name: 0.5 * arr(width, width, seed=k) for k, name in enumerate(("wq", "wk", "wv", "wo"))}
    dense = {"w1": arr(width, 2 * width), "w2": arr(2 * width, width), "b1": arr(2 * width), "b2": arr(width)}
    scales = {f"{name}{k}": arr(width, seed=k) for name in ("scale", "shift") for k in (1, 2)}
    return {**square, **dense, **scales}, arr(length, width, seed=7), arr(length, width, seed=8)


program(lambda: [block(3, 4), block(1, 8)], grad=(0, 1))(transformer.transformer)


def options(n):
    rng = np.random.default_rng(n)
    spot, strike = rng.uniform(80.0, 120.0, (2, n))
    return spot, strike, rng.uniform(0.2, 2.0, n), rng.uniform(0.0, 0.05, n), rng.uniform(0.1, 0.5, n)


program(lambda: [options(3), options(1)], grad=(0, 1, 2, 3, 4), second=True, vmap=(0, None, None, None, None))(
    black_scholes.portfolio
)
