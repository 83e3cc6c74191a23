"""Bundle adjustment of ADBench's first size: the squared residuals of all observations, and their sparse Jacobian.

A camera is a rotation vector, a centre, a focal length, a principal point and two coefficients of radial distortion. An
observation has a weight, which a second residual draws to one. The gradient is that of half the sum of all squares;
the Jacobian has, for each observation, three rows over its camera, point and weight.
"""

from __future__ import annotations

import functools

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


def residuals(camera, point, w, feature):
    """Of one observation: where it is seen against where it should be, and its weight against one."""
    error = w * (project(camera, point) - feature)
    return np.array([error[0], error[1], 1.0 - w * w])


def one_for_jax(jax, camera, point, w, feature):
    """The residuals of one observation."""
    np_ = jax.numpy
    r, x = camera[:3], point - camera[3:6]
    square = r @ r
    angle = np_.sqrt(np_.where(square > 0.0, square, 1.0))
    axis = r / angle
    cos, sin = np_.cos(angle), np_.sin(angle)
    full = x * cos + np_.cross(axis, x) * sin + axis * (axis @ x) * (1.0 - cos)
    seen = np_.where(square > 0.0, full, x + np_.cross(r, x))
    flat = seen[:2] / seen[2]
    square = flat @ flat
    bent = flat * (1.0 + camera[9] * square + camera[10] * square * square)
    error = w * (camera[6] * bent + camera[7:9] - feature)
    return np_.array([error[0], error[1], 1.0 - w * w])


def for_jax(jax, cameras, points, weights, features, by, of):
    """Mapped over the observations."""
    rows = jax.vmap(functools.partial(one_for_jax, jax))(cameras[by], points[of], weights, features)
    return 0.5 * jax.numpy.sum(rows * rows)


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
    """One size, both derivatives."""
    args = data()
    title = f"bundle adjustment, {OBSERVATIONS} observations"
    stated = {"C++, stated": 9.4, "jax, stated": 40.0}
    yield Objective(title, bundle, args, (0, 1, 2), with_jax(for_jax, (0, 1, 2), *args), stated)

    cameras, points, weights, features, by, of = args
    lanes = cameras[by], points[of], weights, features

    def by_rows(jax):
        inputs = jax.tree.map(jax.numpy.asarray, lanes)
        one = functools.partial(one_for_jax, jax)
        value, rows = jax.jit(jax.vmap(one)), jax.vmap(jax.jacrev(one, (0, 1, 2)))
        both = jax.jit(lambda *a: (jax.vmap(one)(*a), rows(*a)))
        return {"jax": (lambda: jax.block_until_ready(value(*inputs)), lambda: jax.block_until_ready(both(*inputs)))}

    yield Objective(f"{title}, by rows", residuals, lanes, (0, 1, 2), by_rows, stated, lanes=0, jacobian=True)
