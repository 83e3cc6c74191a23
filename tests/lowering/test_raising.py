"""Loops that users wrote: which of them threads may share out, and which may be vectors."""

from __future__ import annotations

import numpy as np
import pytest

import weft
from weft.lowering import loops as L
from weft.lowering import lower
from weft.lowering.visit import walk

X, M = np.ones(9), np.ones((5, 7))


def loops(f, *args) -> list[tuple[bool, bool]]:
    """(parallel, vector) of each loop, outermost first."""
    return [
        (s.parallel, s.vector) for s in walk(lower(weft.jit(f).lower(*args).function).body) if isinstance(s, L.Loop)
    ]


def rows(x, y):
    for i in range(x.shape[0]):
        s = 0.0
        for j in range(x.shape[1]):
            s += x[i, j] * x[i, j]
        y[i] = s


def two_steps(steps, a, b):
    for _ in range(steps):
        for i in range(1, a.size - 1):
            b[i] = 0.5 * (a[i - 1] + a[i + 1])
        for i in range(1, a.size - 1):
            a[i] = b[i]


def matmul(a, b, c):
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            s = 0.0
            for k in range(a.shape[1]):
                s += a[i, k] * b[k, j]
            c[i, j] = s


def recurrence(x):
    for i in range(1, x.size):
        x[i] += x[i - 1]


def transposed_in_place(x):
    for i in range(x.shape[0]):
        for j in range(x.shape[0]):
            x[i, j] = x[j, i]


def gathered(x, at, y):
    for i in range(at.size):
        y[i] = x[at[i]]


def scattered(x, at, y):
    for i in range(at.size):
        y[at[i]] = x[i]


def checked(x, y):
    for i in range(x.size):
        if x[i] < 0:
            raise ValueError(i)
        y[i] = np.sqrt(x[i])


def printed(x, y):
    for i in range(x.size):
        print(i)
        y[i] = x[i]


SEQUENTIAL = (False, False)


@pytest.mark.parametrize(
    ("f", "args", "want"),
    [
        (rows, (M, np.ones(5)), [(True, False), SEQUENTIAL]),
        (two_steps, (3, X, X.copy()), [SEQUENTIAL, (False, True), (False, True)]),
        (matmul, (M, M.T.copy(), np.ones((5, 5))), [(True, False), SEQUENTIAL, SEQUENTIAL]),
        (recurrence, (X,), [SEQUENTIAL]),
        (transposed_in_place, (np.ones((4, 4)),), [SEQUENTIAL, SEQUENTIAL]),
        (scattered, (X, np.arange(9), X.copy()), [SEQUENTIAL]),
        (gathered, (X, np.arange(9), X.copy()), [SEQUENTIAL]),  # an index may be out of range: which one is first
        (checked, (X, X.copy()), [SEQUENTIAL]),
        (printed, (X, X.copy()), [SEQUENTIAL]),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_raising(f, args, want) -> None:
    assert loops(f, *args) == want


def test_a_loop_backwards_that_does_not_care_runs_forwards() -> None:
    def backwards(x, y):
        for i in reversed(range(x.size)):
            y[i] = 2.0 * x[i]

    (s,) = [s for s in lower(weft.jit(backwards).lower(X, X.copy()).function).body if isinstance(s, L.Loop)]
    assert (s.parallel, s.reverse) == (True, False)


@pytest.mark.parametrize("n", [2, 3, 50, 1000])
def test_values(n: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.normal(size=(n, 7)), rng.normal(size=(7, n))
    c, d = np.zeros((n, n)), np.zeros(n)
    weft.jit(matmul)(a, b, c)
    np.testing.assert_allclose(c, a @ b, rtol=1e-12, atol=1e-12)
    weft.jit(rows)(a, d)
    np.testing.assert_allclose(d, (a * a).sum(1), rtol=1e-12)
