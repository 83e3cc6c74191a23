"""A projectile with drag, stepped until it lands: a loop whose length depends on what is being fitted."""

from __future__ import annotations

import math

import numpy as np

import weft

DT = 0.002
GRAVITY = 9.81


def landing(speed, drag, angle):
    """How far a projectile flies; the last step is cut where it crosses the ground, so the result is smooth."""
    x, y = 0.0, 0.0
    x0, y0 = 0.0, 0.0
    vx, vy = speed * math.cos(angle), speed * math.sin(angle)
    steps = 0
    while y >= 0.0:
        if steps == 100_000:
            raise ValueError(f"the projectile is still flying after {steps} steps, at x = {x}")
        v = math.sqrt(vx * vx + vy * vy)
        vx, vy = vx - DT * drag * v * vx, vy - DT * (drag * v * vy + GRAVITY)
        x0, y0 = x, y
        x, y = x + DT * vx, y + DT * vy
        steps += 1
    return x0 + (x - x0) * y0 / (y0 - y)


def apex(speed, angle):
    """Wrong by construction: a projectile that is thrown downwards never turns, and then `top` does not exist."""
    y, vy = 0.0, speed * math.sin(angle)
    while y >= 0.0:
        if vy < 0.0:
            top = y
        vy -= DT * GRAVITY
        y += DT * vy
    return top


# The reverse-mode gradient with respect to speed and drag, for all angles at once: each lane's loop runs backwards
# as many steps as it ran forwards.
landings = weft.jit(weft.vmap(weft.value_and_grad(landing, argnums=(0, 1)), in_axes=(None, None, 0)))


def measured(seed=0):
    """Angles and the distances measured at them: the truth is (speed, drag) = (30, 0.012), the noise 10 cm."""
    rng = np.random.default_rng(seed)
    angles = np.radians(np.linspace(15.0, 75.0, 13))
    return angles, np.array([landing(30.0, 0.012, a) for a in angles]) + rng.normal(scale=0.1, size=angles.size)


def fit(angles, distances, speed=20.0, drag=0.001, steps=8):
    """Speed and drag by the Gauss-Newton method, whose matrix has those gradients as its rows.

    Yields
    ------
    tuple
        Speed, drag and the root mean square of what is left over, before each step.
    """
    for _ in range(steps):
        found, (by_speed, by_drag) = landings(speed, drag, angles)
        rest = distances - found
        yield speed, drag, float(np.sqrt(np.mean(rest**2)))
        change = np.linalg.lstsq(np.column_stack([by_speed, by_drag]), rest, rcond=None)[0]
        speed, drag = speed + float(change[0]), drag + float(change[1])
