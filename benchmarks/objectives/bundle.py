"""Bundle adjustment of ADBench's first size: the squared residuals of all observations.

A camera is a rotation vector, a centre, a focal length, a principal point and two coefficients of radial distortion. An
observation has a weight, which a second residual draws to one. The gradient is that of half the sum of all squares.
"""

from __future__ import annotations

import numpy as np

from objectives import Objective, with_jax

CAMERAS, POINTS, OBSERVATIONS = 49, 7776, 31843


def rotate(r, x):
    """Rodrigues' formula: ``x`` turned about the axis ``r`` by its length."""
    square = np.sum(r * r)
    if square > 0.0:
        angle = np.sqrt(square)
        axis = r / angle
        return x * np.cos(angle) + np.cross(axis, x) * np.sin(angle) + axis * (axis @ x) * (1.0 - np.cos(angle))
    return x + np.cross(r, x)


def project(camera, point):
    """Where a camera sees a point."""
    seen = rotate(camera[:3], point - camera[3:6])
    flat = seen[:2] / seen[2]
    square = flat @ flat
    bent = flat * (1.0 + camera[9] * square + camera[10] * square * square)
    return camera[6] * bent + camera[7:9]


def bundle(cameras, points, weights, features, by, of):
    """Half the sum of all squared residuals."""
    total = 0.0
    for k in range(len(weights)):
        w = weights[k]
        error = w * (project(cameras[by[k]], points[of[k]]) - features[k])
        slack = 1.0 - w * w
        total += 0.5 * (error @ error + slack * slack)
    return total


def for_jax(jax, cameras, points, weights, features, by, of):
    """Mapped over the observations."""
    np_ = jax.numpy

    def turned(r, x):
        square = r @ r
        safe = np_.where(square > 0.0, square, 1.0)
        angle = np_.sqrt(safe)
        axis = r / angle
        cos, sin = np_.cos(angle), np_.sin(angle)
        full = x * cos + np_.cross(axis, x) * sin + axis * (axis @ x) * (1.0 - cos)
        return np_.where(square > 0.0, full, x + np_.cross(r, x))

    def half_square(camera, point, w, feature):
        seen = turned(camera[:3], point - camera[3:6])
        flat = seen[:2] / seen[2]
        square = flat @ flat
        bent = flat * (1.0 + camera[9] * square + camera[10] * square * square)
        error = w * (camera[6] * bent + camera[7:9] - feature)
        slack = 1.0 - w * w
        return 0.5 * (error @ error + slack * slack)

    return np_.sum(jax.vmap(half_square)(cameras[by], points[of], weights, features))


def data():
    """Cameras that look at a cloud of points from a little off."""
    rng = np.random.default_rng(1)
    cameras = np.concatenate(
        [
            0.2 * rng.normal(size=(CAMERAS, 3)),
            np.array([0.0, 0.0, -5.0]) + 0.3 * rng.normal(size=(CAMERAS, 3)),
            rng.uniform(0.8, 1.2, (CAMERAS, 1)),
            0.1 * rng.normal(size=(CAMERAS, 2)),
            0.05 * rng.normal(size=(CAMERAS, 2)),
        ],
        axis=1,
    )
    points, weights = rng.normal(size=(POINTS, 3)), rng.uniform(0.5, 1.5, OBSERVATIONS)
    by, of = rng.integers(CAMERAS, size=OBSERVATIONS), rng.integers(POINTS, size=OBSERVATIONS)
    features = 0.3 * rng.normal(size=(OBSERVATIONS, 2))
    return cameras, points, weights, features, by, of


def objectives():
    """One size."""
    args = data()
    title = f"bundle adjustment, {OBSERVATIONS} observations"
    stated = {"C++, stated": 9.4, "jax, stated": 40.0}
    yield Objective(title, bundle, args, (0, 1, 2), with_jax(for_jax, (0, 1, 2), *args), stated)
