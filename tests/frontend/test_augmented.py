"""``x op= y`` writes an array in place and binds a number anew, also when loops carry both."""

from __future__ import annotations

import numpy as np
import pytest

import weft


def alternating(steps, A, B):
    for _ in range(steps):
        B[1:-1, 1:-1] = 0.2 * A[1:-1, 1:-1]
        A += B
        A *= 0.5
    return A.sum()


def mixed(x, n):
    y = np.zeros_like(x)
    s = 0.0
    for i in range(n):
        y += x * i
        s += y[0]
    while s > 100.0:
        y /= 2.0
        s -= y.sum()
    return y, s


def through_a_view(A):
    r = A[1]
    for _ in range(3):
        r += A[0]
        A[2] -= r
    return A


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (alternating, (3, np.linspace(0, 1, 20).reshape(4, 5), np.ones((4, 5)))),
        (mixed, (np.arange(1.0, 5.0), 6)),
        (through_a_view, (np.arange(12.0).reshape(3, 4),)),
    ],
)
def test_augmented_assignment(f, args) -> None:
    mine, theirs = ([a.copy() if isinstance(a, np.ndarray) else a for a in args] for _ in range(2))
    want, got = f(*theirs), weft.jit(f)(*mine)
    for x, y in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(x, y)
    for x, y in zip(
        got if isinstance(got, tuple) else (got,), want if isinstance(want, tuple) else (want,), strict=True
    ):
        np.testing.assert_allclose(x, y)
