"""Kepler's equation for ten thousand orbits, each by Newton's method to the tolerance."""

from __future__ import annotations

import math

import numpy as np

from objectives import Objective

ORBITS, TOLERANCE, MOST = 10_000, 1e-12, 12


def anomaly(m, e):
    """``E`` with ``E - e sin E = m``."""
    E, step = m, 1.0
    while abs(step) > TOLERANCE:
        step = (E - e * math.sin(E) - m) / (1.0 - e * math.cos(E))
        E -= step
    return E


def kepler(m, e):
    """The sum of the distances from the focus."""
    total = 0.0
    for k in range(len(m)):
        total += 1.0 - e[k] * math.cos(anomaly(m[k], e[k]))
    return total


def with_jax(jax, m, e):
    """A `while_loop` for the value, which has no gradient; a scan that masks lanes that are done for both."""
    np_ = jax.numpy

    def newton(E, m, e):
        return (E - e * np_.sin(E) - m) / (1.0 - e * np_.cos(E))

    def by_while(m, e):
        def body(state):
            E, _ = state
            step = newton(E, m, e)
            return E - step, step

        return jax.lax.while_loop(lambda s: abs(s[1]) > TOLERANCE, body, (m, 1.0))[0]

    def by_scan(m, e):
        def body(state, _):
            E, step = state
            new = np_.where(abs(step) > TOLERANCE, newton(E, m, e), 0.0)
            return (E - new, new), None

        return jax.lax.scan(body, (m, 1.0), None, length=MOST)[0][0]

    def total(solve):
        return lambda m, e: np_.sum(1.0 - e * np_.cos(jax.vmap(solve)(m, e)))

    a, b = np_.asarray(m), np_.asarray(e)
    value, scan = jax.jit(total(by_while)), jax.jit(total(by_scan))
    both = jax.jit(jax.value_and_grad(total(by_scan), (0, 1)))
    return {
        "jax, while_loop": (lambda: jax.block_until_ready(value(a, b)), None),
        "jax, masked scan": (lambda: jax.block_until_ready(scan(a, b)), lambda: jax.block_until_ready(both(a, b))),
    }


def objectives():
    """One size."""
    rng = np.random.default_rng(8)
    m, e = rng.uniform(0.0, math.pi, ORBITS), rng.uniform(0.0, 0.7, ORBITS)
    stated = {"C++, stated": 5.3}

    def peer(jax):
        return with_jax(jax, m, e)

    yield Objective(f"Kepler by Newton, {ORBITS} orbits", kepler, (m, e), (0, 1), peer, stated)
