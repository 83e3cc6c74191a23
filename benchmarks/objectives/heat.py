"""The heat equation by explicit steps, where the source is wanted, and where the conductivity is.

The first is linear: its adjoint needs nothing of the forward run. The second multiplies the unknown by what it is
differentiated by, so that every step's field is needed again.
"""

from __future__ import annotations

import numpy as np

from objectives import Objective, with_jax

SIZE, STEPS, RATE = 250, 100, 0.2


def heat(u, source, steps, rate):
    """What of the heat is left, squared."""
    u = u.copy()
    for _ in range(steps):
        flow = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * u[1:-1, 1:-1]
        u[1:-1, 1:-1] += rate * flow + source[1:-1, 1:-1]
    return np.sum(u * u)


def conduction(u, k, steps, rate):
    """The same without a source, where the conductivity varies."""
    u = u.copy()
    for _ in range(steps):
        flow = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * u[1:-1, 1:-1]
        u[1:-1, 1:-1] += rate * k[1:-1, 1:-1] * flow
    return np.sum(u * u)


def heat_for_jax(jax, u, source, rate):
    """A scan of functional updates."""

    def step(u, _):
        flow = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * u[1:-1, 1:-1]
        return u.at[1:-1, 1:-1].add(rate * flow + source[1:-1, 1:-1]), None

    u, _ = jax.lax.scan(step, u, None, length=STEPS)
    return jax.numpy.sum(u * u)


def conduction_for_jax(jax, u, k, rate):
    """A scan of functional updates."""

    def step(u, _):
        flow = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * u[1:-1, 1:-1]
        return u.at[1:-1, 1:-1].add(rate * k[1:-1, 1:-1] * flow), None

    u, _ = jax.lax.scan(step, u, None, length=STEPS)
    return jax.numpy.sum(u * u)


def objectives():
    """Both."""
    rng = np.random.default_rng(6)
    u, source = rng.random((2, SIZE, SIZE))
    size = f"{SIZE}², {STEPS} steps"
    args = u, 0.01 * source
    yield Objective(
        f"heat {size}", heat, (*args, STEPS, RATE), (0, 1), with_jax(heat_for_jax, (0, 1), *args, RATE), step=1e-4
    )
    args = u, 0.5 + source
    yield Objective(
        f"heat {size}, conductivity", conduction, (*args, STEPS, RATE), (0, 1),
        with_jax(conduction_for_jax, (0, 1), *args, RATE), step=1e-4,
    )  # fmt: skip
