"""Gauss-Seidel sweeps in place: every element is relaxed with neighbours that this sweep has, or has not, reached."""

from __future__ import annotations

import numpy as np

from objectives import Objective, with_jax

SIZE, SWEEPS = 100, 50


def gauss_seidel(A, source, sweeps):
    """The square of what the sweeps leave."""
    A = A.copy()
    n, m = A.shape
    for _ in range(sweeps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                A[i, j] = 0.25 * (A[i - 1, j] + A[i + 1, j] + A[i, j - 1] + A[i, j + 1] - source[i, j])
    return np.sum(A * A)


def for_jax(jax, A, source):
    """Scans over sweeps, rows and columns: what is carried is a row, then a number."""
    np_ = jax.numpy

    def sweep(A, _):
        def row(above, given):
            old, below, f = given

            def column(left, given):
                up, down, right, s = given
                new = 0.25 * (up + down + left + right - s)
                return new, new

            _, inner = jax.lax.scan(column, old[0], (above[1:-1], below[1:-1], old[2:], f[1:-1]))
            new = np_.concatenate([old[:1], inner, old[-1:]])
            return new, new

        _, rows = jax.lax.scan(row, A[0], (A[1:-1], A[2:], source[1:-1]))
        return np_.concatenate([A[:1], rows, A[-1:]]), None

    A, _ = jax.lax.scan(sweep, A, None, length=SWEEPS)
    return np_.sum(A * A)


def objectives():
    """One size."""
    rng = np.random.default_rng(5)
    A, source = rng.normal(size=(2, SIZE, SIZE))
    peer = with_jax(for_jax, (0, 1), A, source)
    yield Objective(f"Gauss-Seidel {SIZE}², {SWEEPS} sweeps", gauss_seidel, (A, source, SWEEPS), (0, 1), peer)
