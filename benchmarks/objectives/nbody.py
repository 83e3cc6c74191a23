"""A hundred bodies that attract one another, ten leapfrog steps."""

from __future__ import annotations

import math

import numpy as np

from objectives import Objective, with_jax

BODIES, STEPS = 100, 10


def accelerations(pos, mass):
    """Newton's law with a softened distance."""
    acc = np.zeros_like(pos)
    for i in range(len(mass)):
        for j in range(len(mass)):
            dx, dy, dz = pos[j, 0] - pos[i, 0], pos[j, 1] - pos[i, 1], pos[j, 2] - pos[i, 2]
            square = dx * dx + dy * dy + dz * dz + 0.01
            pull = mass[j] / (square * math.sqrt(square))
            acc[i, 0] += pull * dx
            acc[i, 1] += pull * dy
            acc[i, 2] += pull * dz
    return acc


def nbody(pos, vel, mass, steps, dt):
    """The kinetic energy at the end."""
    pos, vel = pos.copy(), vel.copy()
    acc = accelerations(pos, mass)
    for _ in range(steps):
        vel += 0.5 * dt * acc
        pos += dt * vel
        acc = accelerations(pos, mass)
        vel += 0.5 * dt * acc
    return 0.5 * np.sum(mass[:, None] * vel * vel)


def for_jax(jax, pos, vel, mass, dt):
    """All pairs at once, in a scan over the steps."""
    np_ = jax.numpy

    def pulls(pos):
        d = pos[None, :, :] - pos[:, None, :]
        square = np_.sum(d * d, axis=2) + 0.01
        return np_.einsum("ij,ijk->ik", mass[None, :] / (square * np_.sqrt(square)), d)

    def step(state, _):
        pos, vel, acc = state
        vel = vel + 0.5 * dt * acc
        pos = pos + dt * vel
        acc = pulls(pos)
        return (pos, vel + 0.5 * dt * acc, acc), None

    (_, vel, _), _ = jax.lax.scan(step, (pos, vel, pulls(pos)), None, length=STEPS)
    return 0.5 * np_.sum(mass[:, None] * vel * vel)


def objectives():
    """One size."""
    rng = np.random.default_rng(7)
    pos, vel = rng.normal(size=(2, BODIES, 3))
    mass, dt = rng.uniform(0.5, 1.5, BODIES) / BODIES, 0.01
    peer = with_jax(for_jax, (0, 1, 2), pos, vel, mass, dt)
    yield Objective(f"N-body, {BODIES} bodies, {STEPS} steps", nbody, (pos, vel, mass, STEPS, dt), (0, 1, 2), peer)
