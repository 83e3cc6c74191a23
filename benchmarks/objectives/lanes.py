"""Ten thousand lanes of a `while`, which end at very different times: logistic growth to a threshold."""

from __future__ import annotations

import numpy as np
from cases.logistic import LEVEL

from objectives import Objective

LANES = 10_000


def time_to_grow(p, rate):
    """When the population passes the level, on a straight line through the last step."""
    t, before = 0.0, p
    while p < LEVEL:
        before = p
        p = p + rate * p * (1.0 - p)
        t += 1.0
    return t - (p - LEVEL) / (p - before)


def longest(p, rate):
    """The steps of the slowest lane."""
    p, steps = p.copy(), 0
    while (active := p < LEVEL).any():
        p, steps = np.where(active, p + rate * p * (1.0 - p), p), steps + 1
    return steps


def with_jax(jax, p, rate):
    """A `while_loop` for the value, which has no gradient; a scan of the slowest lane's length with a mask for both."""
    np_ = jax.numpy
    most = longest(p, rate)

    def body(state, rate):
        p, _, t = state
        return p + rate * p * (1.0 - p), p, t + 1.0

    def crossing(state):
        p, before, t = state
        return t - (p - LEVEL) / (p - before)

    def by_while(p, rate):
        return crossing(jax.lax.while_loop(lambda s: s[0] < LEVEL, lambda s: body(s, rate), (p, p, 0.0)))

    def by_scan(p, rate):
        def masked(state, _):
            active = state[0] < LEVEL
            return tuple(np_.where(active, a, b) for a, b in zip(body(state, rate), state)), None

        return crossing(jax.lax.scan(masked, (p, p, 0.0), None, length=most)[0])

    a, b = np_.asarray(p), np_.asarray(rate)
    value, scan = jax.jit(jax.vmap(by_while)), jax.jit(jax.vmap(by_scan))
    both = jax.jit(jax.vmap(jax.value_and_grad(by_scan, (0, 1))))
    return {
        "jax, while_loop": (lambda: jax.block_until_ready(value(a, b)), None),
        "jax, masked scan": (lambda: jax.block_until_ready(scan(a, b)), lambda: jax.block_until_ready(both(a, b))),
    }


def objectives():
    """Rates over a factor of fifty: from 16 steps to 750."""
    rng = np.random.default_rng(9)
    p, rate = rng.uniform(0.01, 0.02, LANES), np.exp(rng.uniform(np.log(0.01), np.log(0.5), LANES))
    stated = {"C++, stated": 8.5}

    def peer(jax):
        return with_jax(jax, p, rate)

    title = f"{LANES} uneven lanes of a while"
    yield Objective(title, time_to_grow, (p, rate), (0, 1), peer, stated, lanes=0, step=1e-8, rtol=1e-3)
