"""The source of ``orbit._compiled``: plain Python and NumPy, which also runs as it is."""

import math

import numpy as np

import weft

TOLERANCE = 1e-13


@weft.export("f64, f64 -> f64")
def anomaly(mean, eccentricity):
    """The eccentric anomaly of a planet: Kepler's equation, solved by Newton's method."""
    x = mean if eccentricity < 0.8 else math.pi
    step = 1.0
    while abs(step) > TOLERANCE:
        step = (x - eccentricity * math.sin(x) - mean) / (1.0 - eccentricity * math.cos(x))
        x -= step
    return x


def radius(mean, eccentricity):
    """The distance from the sun, in units of the semi-major axis."""
    return 1.0 - eccentricity * math.cos(anomaly(mean, eccentricity))


radial_speed = weft.export("f64, f64 -> f64")(weft.grad(radius))
anomalies = weft.export("f64[n], f64[n] -> f64[n]")(weft.vmap(anomaly))


@weft.export("f64[n, 2], f64[n, 2], f64, i64 -> None")
def drift(positions, velocities, dt, steps):
    """Move bodies around a sun of mass 1, in place (leapfrog)."""
    for _ in range(steps):
        for i in range(positions.shape[0]):
            x, y = positions[i, 0] + 0.5 * dt * velocities[i, 0], positions[i, 1] + 0.5 * dt * velocities[i, 1]
            pull = dt / (x * x + y * y) ** 1.5
            velocities[i, 0] -= pull * x
            velocities[i, 1] -= pull * y
            positions[i, 0] = x + 0.5 * dt * velocities[i, 0]
            positions[i, 1] = y + 0.5 * dt * velocities[i, 1]


@weft.export("f64[n, 2], f64[n, 2] -> f64[n]")
def energies(positions, velocities):
    """The energy of each body."""
    return 0.5 * np.sum(velocities**2, axis=1) - 1.0 / np.sqrt(np.sum(positions**2, axis=1))
