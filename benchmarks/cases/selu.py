"""selu of a million float32."""

from __future__ import annotations

import numpy as np
import peers
from timing import Figure, alternate

import weft

ALPHA, SCALE = np.float32(1.6732632423543772), np.float32(1.0507009873554805)


def selu(x):
    """The example of JAX's own tutorial, for NumPy and weft."""
    return SCALE * np.where(x > 0, x, ALPHA * np.exp(x) - ALPHA)


def with_numba(numba, parallel):
    """The loop that Numba does best on."""

    @numba.njit(parallel=parallel)
    def f(x):
        out = np.empty_like(x)
        for i in numba.prange(x.size):
            v = x[i]
            out[i] = SCALE * (v if v > 0 else ALPHA * np.exp(v) - ALPHA)
        return out

    return f


def figures(quick: bool = False) -> list[Figure]:
    """Measure."""
    x = np.random.default_rng(0).normal(size=1_000_000).astype(np.float32)
    ours = weft.jit(selu)
    ways = {"weft": lambda: ours(x), "numpy": lambda: selu(x)}
    if numba := peers.numba():
        one, many = with_numba(numba, False), with_numba(numba, True)
        ways |= {"numba": lambda: one(x), "numba, parallel": lambda: many(x)}
    if jax := peers.jax():

        def with_jax(x):
            return SCALE * jax.numpy.where(x > 0, x, ALPHA * jax.numpy.exp(x) - ALPHA)

        theirs, y = jax.jit(with_jax), jax.numpy.asarray(x)
        ways["jax"] = lambda: theirs(y).block_until_ready()
    if module := peers.pythran():
        ways["pythran"] = lambda: module.selu(x)
    expected = selu(x)
    for name, f in ways.items():
        np.testing.assert_allclose(np.asarray(f()), expected, rtol=1e-5, atol=1e-6, err_msg=name)
    times = alternate(ways, turns=5 if quick else 25)
    missing = peers.missing("numba", "jax", "pythran")
    return [Figure("selu, 1e6 float32", times, missing=missing).beats("numba", "jax")]
