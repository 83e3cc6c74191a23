"""Triangular solves against dense ones."""

from __future__ import annotations

import itertools
import linecache

import numpy as np
import pytest

import weft
from weft.scipy import linalg

R = np.random.default_rng(0)
A = R.normal(size=(4, 4)) + 4 * np.eye(4)
C = A + 1j * R.normal(size=(4, 4))
B = R.normal(size=(4, 2))


def compiled(text):
    """The expression, of a and b, as a compiled function."""
    file, source = f"<scipy {text}>", f"def case(a, b):\n    return {text}\n"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    space = {"linalg": linalg}
    exec(compile(source, file, "exec"), space)
    return weft.jit(space["case"])


@pytest.mark.parametrize(("lower", "trans", "unit"), itertools.product((False, True), (0, 1, 2, "T"), (False, True)))
@pytest.mark.parametrize("a", [A, C], ids=["real", "complex"])
def test_solve_triangular(a, lower, trans, unit):
    full = np.tril(a) if lower else np.triu(a)
    if unit:
        np.fill_diagonal(full, 1)
    full = {0: full, 1: full.T, 2: full.conj().T, "T": full.T}[trans]
    for b in (B, B[:, 0]):
        want = np.linalg.solve(full, b)
        np.testing.assert_allclose(linalg.solve_triangular(a, b, trans, lower, unit), want, rtol=1e-12)
        f = compiled(f"linalg.solve_triangular(a, b, {trans!r}, {lower}, unit_diagonal={unit})")
        np.testing.assert_allclose(f(a, b), want, rtol=1e-12)


def test_stacks_and_large_systems():
    a = R.normal(size=(3, 4, 4)) + 4 * np.eye(4)
    np.testing.assert_allclose(linalg.solve_triangular(a, B, lower=True), np.linalg.solve(np.tril(a), B), rtol=1e-12)
    big = R.normal(size=(200, 200)) + 40 * np.eye(200)
    b = R.normal(size=200)
    np.testing.assert_allclose(linalg.solve_triangular(big, b), np.linalg.solve(np.triu(big), b), rtol=1e-10)
    np.testing.assert_allclose(linalg.solve_triangular(big, b, 1), np.linalg.solve(np.triu(big).T, b), rtol=1e-10)


def test_cho_solve():
    s = A @ A.T
    for lower in (True, False):
        c = np.linalg.cholesky(s, upper=not lower)
        f = compiled(f"linalg.cho_solve((a, {lower}), b)")
        np.testing.assert_allclose(f(c, B), np.linalg.solve(s, B), rtol=1e-10)
    h = C @ C.conj().T
    np.testing.assert_allclose(linalg.cho_solve((np.linalg.cholesky(h), True), B), np.linalg.solve(h, B), rtol=1e-10)
    g = weft.grad(lambda s: np.sum(linalg.cho_solve((np.linalg.cholesky(s), True), B[:, 0])))(s)
    x, y = np.linalg.solve(s, B[:, 0]), np.linalg.solve(s, np.ones(4))
    np.testing.assert_allclose(g + g.T, -(np.outer(x, y) + np.outer(y, x)), rtol=1e-9)


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ((np.triu(np.ones((2, 2)), 1), np.ones(2)), np.linalg.LinAlgError, "Singular matrix"),
        ((np.full((2, 2), np.nan), np.ones(2)), ValueError, "must not contain infs or NaNs"),
        ((np.eye(2), np.ones(3)), ValueError, "different numbers of rows"),
        ((np.eye(2), 1.0), ValueError, "give a vector or a matrix"),
        ((np.eye(2), np.ones(2), 5), weft.StagingError, "trans=0, 1 or 2"),
    ],
)
def test_errors(args, error, message):
    with pytest.raises(error, match=message):
        linalg.solve_triangular(*args)


def test_without_checks_nans_go_through():
    f = weft.jit(lambda a, b: linalg.solve_triangular(a, b, check_finite=False))
    assert np.isnan(f(np.eye(2), np.array([np.nan, 1.0]))[0])
