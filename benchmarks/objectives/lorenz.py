"""A hundred thousand Runge-Kutta steps of the Lorenz system on plain scalars.

The program is that of ``cases/lorenz.py``; its time is short, since the derivative of a chaotic system grows without
bound.
"""

from __future__ import annotations

from cases.lorenz import lorenz, rates

from objectives import Objective

STEPS, DT = 100_000, 2e-5


def with_jax(jax):
    """The loop as `scan`, the only form that JAX differentiates in reverse."""

    def run(x, y, z, sigma, rho, beta, dt):
        def step(state, _):
            x, y, z = state
            a1, b1, c1 = rates(x, y, z, sigma, rho, beta)
            a2, b2, c2 = rates(x + 0.5 * dt * a1, y + 0.5 * dt * b1, z + 0.5 * dt * c1, sigma, rho, beta)
            a3, b3, c3 = rates(x + 0.5 * dt * a2, y + 0.5 * dt * b2, z + 0.5 * dt * c2, sigma, rho, beta)
            a4, b4, c4 = rates(x + dt * a3, y + dt * b3, z + dt * c3, sigma, rho, beta)
            x = x + dt / 6.0 * (a1 + 2.0 * a2 + 2.0 * a3 + a4)
            y = y + dt / 6.0 * (b1 + 2.0 * b2 + 2.0 * b3 + b4)
            z = z + dt / 6.0 * (c1 + 2.0 * c2 + 2.0 * c3 + c4)
            return (x, y, z), None

        (x, y, z), _ = jax.lax.scan(step, (x, y, z), None, length=STEPS)
        return x + y + z

    args = (1.0, 1.0, 1.0, 10.0, 28.0, 8.0 / 3.0, DT)
    value, both = jax.jit(run), jax.jit(jax.value_and_grad(run, range(6)))
    return {"jax": (lambda: jax.block_until_ready(value(*args)), lambda: jax.block_until_ready(both(*args)))}


def objectives():
    """One size."""
    args = (STEPS, 1.0, 1.0, 1.0, 10.0, 28.0, 8.0 / 3.0, DT)
    stated = {"C++, stated": 4.8, "jax, stated": 568.0}
    yield Objective(f"Lorenz, {STEPS} RK4 steps", lorenz, args, (1, 2, 3, 4, 5, 6), with_jax, stated, step=1e-4)
