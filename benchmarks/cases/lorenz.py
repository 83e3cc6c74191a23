"""Ten thousand Runge-Kutta steps of the Lorenz system on plain scalars, and their reverse mode."""

from __future__ import annotations

import numpy as np
import peers
from timing import Figure, alternate

import weft

STEPS = 10_000
POINT = (1.0, 1.0, 1.0, 10.0, 28.0, 8.0 / 3.0)
DT = 1e-3


def rates(x, y, z, sigma, rho, beta):
    """The system."""
    return sigma * (y - x), x * (rho - z) - y, x * y - beta * z


def lorenz(n, x, y, z, sigma, rho, beta, dt):
    """As anyone writes it."""
    for _ in range(n):
        a1, b1, c1 = rates(x, y, z, sigma, rho, beta)
        a2, b2, c2 = rates(x + 0.5 * dt * a1, y + 0.5 * dt * b1, z + 0.5 * dt * c1, sigma, rho, beta)
        a3, b3, c3 = rates(x + 0.5 * dt * a2, y + 0.5 * dt * b2, z + 0.5 * dt * c2, sigma, rho, beta)
        a4, b4, c4 = rates(x + dt * a3, y + dt * b3, z + dt * c3, sigma, rho, beta)
        x = x + dt / 6.0 * (a1 + 2.0 * a2 + 2.0 * a3 + a4)
        y = y + dt / 6.0 * (b1 + 2.0 * b2 + 2.0 * b3 + b4)
        z = z + dt / 6.0 * (c1 + 2.0 * c2 + 2.0 * c3 + c4)
    return x + y + z


def with_numba(numba):
    """The same text: Numba differentiates nothing."""
    scope = {"rates": numba.njit(rates)}
    import types

    return numba.njit(types.FunctionType(lorenz.__code__, scope))


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

    return jax.jit(run), jax.jit(jax.value_and_grad(run, range(6)))


def figures(quick: bool = False) -> list[Figure]:
    """Measure."""
    turns = 5 if quick else 25
    ours = weft.jit(lorenz)
    both = weft.jit(weft.value_and_grad(lorenz, argnums=(1, 2, 3, 4, 5, 6)))
    plain = {"weft": lambda: ours(STEPS, *POINT, DT)}
    reverse = {"weft": lambda: both(STEPS, *POINT, DT)}
    if numba := peers.numba():
        theirs = with_numba(numba)
        plain["numba"] = lambda: theirs(STEPS, *POINT, DT)
    if jax := peers.jax():
        run, gradient = with_jax(jax)
        plain["jax"] = lambda: run(*POINT, DT).block_until_ready()
        reverse["jax"] = lambda: jax.block_until_ready(gradient(*POINT, DT))
    if module := peers.pythran():
        plain["pythran"] = lambda: module.lorenz(STEPS, *POINT, DT)
    # The system is chaotic: rounding differs between compilers and grows, so results are compared over fewer steps
    # elsewhere, and here to the digits that survive 10 time units.
    for name, f in plain.items():
        np.testing.assert_allclose(float(f()), lorenz(STEPS, *POINT, DT), rtol=1e-6, err_msg=name)
    gradient_of_x = reverse["weft"]()[1]
    h = 1e-6
    for k, g in enumerate(gradient_of_x):
        up = [v + h * (i == k) for i, v in enumerate(POINT)]
        down = [v - h * (i == k) for i, v in enumerate(POINT)]
        slope = (lorenz(STEPS, *up, DT) - lorenz(STEPS, *down, DT)) / (2 * h)
        np.testing.assert_allclose(g, slope, rtol=1e-3, err_msg=str(k))
    if "jax" in reverse:
        np.testing.assert_allclose(gradient_of_x, np.array(reverse["jax"]()[1]), rtol=1e-6)

    missing = peers.missing("numba", "jax", "pythran")
    first = Figure(f"Lorenz, {STEPS} RK4 steps", alternate(plain, turns), missing=missing).beats("numba", "jax")
    second = Figure("Lorenz, value and gradient", alternate(reverse, turns), missing=peers.missing("jax"))
    return [first, second.times_at_most(3.0, first.ours, "the value")]
