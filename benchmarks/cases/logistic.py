"""`vmap` of a `while`: logistic growth to a threshold, over ten thousand lanes."""

from __future__ import annotations

import numpy as np
import peers
from timing import Figure, alternate

import weft

LANES = 10_000
LEVEL = 0.9


def grow(p, rate):
    """Steps until the population passes the level."""
    steps = 0
    while p < LEVEL:
        p = p + rate * p * (1.0 - p)
        steps += 1
    return p, steps


def with_numpy(p, rate):
    """All lanes at once, those that are done masked."""
    p, steps = p.copy(), np.zeros(p.size, dtype=int)
    active = p < LEVEL
    while active.any():
        p = np.where(active, p + rate * p * (1.0 - p), p)
        steps += active
        active = p < LEVEL
    return p, steps


def with_numba(numba, parallel):
    """A loop over lanes."""

    @numba.njit(parallel=parallel)
    def f(p, rate):
        out, counts = np.empty_like(p), np.empty(p.size, np.int64)
        for i in numba.prange(p.size):
            v, r, n = p[i], rate[i], 0
            while v < LEVEL:
                v = v + r * v * (1.0 - v)
                n += 1
            out[i], counts[i] = v, n
        return out, counts

    return f


def with_jax(jax, longest):
    """`vmap` of a `while_loop`, and of a scan of the longest lane's length with a mask."""
    np_ = jax.numpy

    def by_while(p, rate):
        def body(state):
            p, n = state
            return p + rate * p * (1.0 - p), n + 1

        return jax.lax.while_loop(lambda state: state[0] < LEVEL, body, (p, 0))

    def by_scan(p, rate):
        def body(state, _):
            p, n = state
            active = p < LEVEL
            return (np_.where(active, p + rate * p * (1.0 - p), p), n + active), None

        return jax.lax.scan(body, (p, 0), None, length=longest)[0]

    return jax.jit(jax.vmap(by_while)), jax.jit(jax.vmap(by_scan))


def ways_of(p, rate, ours, longest):
    """All ways of computing it, by name."""
    ways = {"weft": lambda: ours(p, rate), "numpy, masked": lambda: with_numpy(p, rate)}
    if numba := peers.numba():
        one, many = with_numba(numba, False), with_numba(numba, True)
        ways |= {"numba": lambda: one(p, rate), "numba, parallel": lambda: many(p, rate)}
    if jax := peers.jax():
        by_while, by_scan = with_jax(jax, longest)
        q, r = jax.numpy.asarray(p), jax.numpy.asarray(rate)
        ways["jax, while_loop"] = lambda: jax.block_until_ready(by_while(q, r))
        ways["jax, masked scan"] = lambda: jax.block_until_ready(by_scan(q, r))
    expected = [np.array(r) for r in zip(*[grow(*lane) for lane in zip(p.tolist(), rate.tolist())])]
    for name, f in ways.items():
        for got, wanted in zip(f(), expected, strict=True):
            np.testing.assert_allclose(np.asarray(got), wanted, rtol=1e-9, err_msg=name)
    return ways


def figures(quick: bool = False) -> list[Figure]:
    """Measure."""
    turns = 5 if quick else 15
    ours = weft.jit(weft.vmap(grow))
    rng = np.random.default_rng(0)
    p, rate = rng.uniform(0.0100, 0.0101, LANES), np.full(LANES, 0.1)
    longest = max(grow(*lane)[1] for lane in zip(p[:100].tolist(), rate[:100].tolist())) + 1
    equal = alternate(ways_of(p, rate, ours, longest), turns)
    one_long = rate.copy()
    one_long[LANES // 2] = 1e-4
    slowest = grow(float(p[LANES // 2]), 1e-4)[1]
    ways = ways_of(p, one_long, ours, slowest)
    uneven = alternate(ways, 3, least=0.0)
    uneven |= alternate({k: f for k, f in ways.items() if k.split(",")[0] in ("weft", "numba")}, turns)
    missing = peers.missing("numba", "jax")
    first = Figure(f"vmap of a while, {LANES} lanes of {longest - 1} steps", equal, missing=missing)
    second = Figure(f"the same, one lane of {slowest} steps", uneven, missing=missing)
    return [_against(first, "jax, masked scan", 1.0), _against(second, "jax, while_loop", 100.0)]


def _against(f: Figure, peer: str, factor: float) -> Figure:
    f.goal = f"{factor:g} × {peer}"
    f.met = f.seconds[peer] >= factor * f.ours if peer in f.seconds else None
    return f
