"""ADBench's hand tracking, the simple variant: a skinned hand of 544 vertices against 100 points.

Twenty-two bones: the wrist, the palm, and five fingers of four bones, of which the last three turn. Of the 26
parameters, three turn the hand, three move it, and each finger has four angles: two at its first joint, one at each of
the others. The gradient is that of the sum of the squared distances. The data have ADBench's sizes but are made up.
"""

from __future__ import annotations

import numpy as np

from objectives import Objective, with_jax

BONES, VERTICES, POINTS = 22, 544, 100


def rotation(r):
    """The matrix that turns about the axis ``r`` by its length."""
    square = np.sum(r * r)
    if square < 1e-20:
        return np.eye(3)
    angle = np.sqrt(square)
    x, y, z = r[0] / angle, r[1] / angle, r[2] / angle
    s, c = np.sin(angle), np.cos(angle)
    t = 1.0 - c
    return np.array(
        [
            [t * x * x + c, t * x * y - s * z, t * x * z + s * y],
            [t * x * y + s * z, t * y * y + c, t * y * z - s * x],
            [t * x * z - s * y, t * y * z + s * x, t * z * z + c],
        ]
    )


def joint(bend, spread):
    """The transformation of a joint: a bend about x after a spread about z."""
    sb, cb, ss, cs = np.sin(bend), np.cos(bend), np.sin(spread), np.cos(spread)
    return np.array(
        [
            [cs, -ss, 0.0, 0.0],
            [cb * ss, cb * cs, -sb, 0.0],
            [sb * ss, sb * cs, cb, 0.0],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def skinned(theta, parents, relative, inverses, base, weights):
    """Where the vertices are: each bone's transformation, mixed by its weights."""
    bones = len(parents)
    placed = np.empty((bones, 4, 4))
    positions = np.zeros((3, base.shape[1]))
    for b in range(bones):
        turned = relative[b]
        if b >= 2:
            finger, place = (b - 2) // 4, (b - 2) % 4
            if place == 1:
                turned = turned @ joint(theta[6 + 4 * finger], theta[7 + 4 * finger])
            elif place > 1:
                turned = turned @ joint(theta[6 + 4 * finger + place], 0.0)
        placed[b] = turned if parents[b] < 0 else placed[parents[b]] @ turned
        positions += weights[b] * ((placed[b] @ inverses[b])[:3] @ base)
    return rotation(theta[:3]) @ positions + theta[3:6][:, None]


def hand(theta, parents, relative, inverses, base, weights, pairs, points):
    """The sum of the squared distances of points from their vertices."""
    positions = skinned(theta, parents, relative, inverses, base, weights)
    error = points - positions[:, pairs]
    return np.sum(error * error)


PARENTS = np.array([-1, 0] + [p for f in range(5) for p in (1, 2 + 4 * f, 3 + 4 * f, 4 + 4 * f)])


def for_jax(jax, theta, relative, inverses, base, weights, pairs, points):
    """The bones unrolled, the skin in one product."""
    np_ = jax.numpy

    def turn(r):
        angle = np_.sqrt(r @ r)
        x, y, z = r / angle
        s, c = np_.sin(angle), np_.cos(angle)
        K = np_.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        return np_.eye(3) + s * K + (1.0 - c) * (K @ K)

    def bent(bend, spread):
        sb, cb, ss, cs = np_.sin(bend), np_.cos(bend), np_.sin(spread), np_.cos(spread)
        rows = [[cs, -ss, 0.0, 0.0], [cb * ss, cb * cs, -sb, 0.0], [sb * ss, sb * cs, cb, 0.0], [0.0, 0.0, 0.0, 1.0]]
        return np_.array(rows)

    placed = []
    for b in range(BONES):
        turned = relative[b]
        if b >= 2:
            finger, place = divmod(b - 2, 4)
            if place == 1:
                turned = turned @ bent(theta[6 + 4 * finger], theta[7 + 4 * finger])
            elif place > 1:
                turned = turned @ bent(theta[6 + 4 * finger + place], 0.0)
        placed.append(turned if PARENTS[b] < 0 else placed[PARENTS[b]] @ turned)
    T = np_.einsum("bij,bjk->bik", np_.stack(placed), inverses)[:, :3]
    positions = np_.einsum("bv,bik,kv->iv", weights, T, base)
    error = points - (turn(theta[:3]) @ positions + theta[3:6][:, None])[:, pairs]
    return np_.sum(error * error)


def data():
    """Bones at random places, vertices that belong to four of them."""
    rng = np.random.default_rng(3)
    relative = np.stack([np.eye(4)] * BONES)
    for b in range(BONES):
        relative[b, :3, :3] = rotation(0.3 * rng.normal(size=3))
        relative[b, :3, 3] = rng.normal(size=3)
    absolute = relative.copy()
    for b in range(1, BONES):
        absolute[b] = absolute[PARENTS[b]] @ relative[b]
    base = np.concatenate([rng.normal(size=(3, VERTICES)), np.ones((1, VERTICES))])
    weights = np.zeros((BONES, VERTICES))
    for v in range(VERTICES):
        weights[rng.choice(BONES, 4, replace=False), v] = rng.dirichlet(np.ones(4))
    pairs = rng.integers(VERTICES, size=POINTS)
    theta = 0.3 * rng.normal(size=26)
    return theta, PARENTS, relative, np.linalg.inv(absolute), base, weights, pairs, rng.normal(size=(3, POINTS))


def objectives():
    """One size."""
    theta, parents, *rest = args = data()
    stated = {"C++, stated": 0.72, "jax, stated": 1.1}
    peer = with_jax(for_jax, (0,), theta, *rest)
    yield Objective(f"hand, {VERTICES} vertices, {POINTS} points", hand, args, (0,), peer, stated)
