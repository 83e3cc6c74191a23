"""Initialisers beyond what JAX recorded: orthogonality, complex weights, errors, examples, in compiled code."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

import weft
from weft import random
from weft.nn import initializers as init

KEY = random.key(3)


def test_examples():
    found = doctest.testmod(init)
    assert found.attempted and not found.failed


@pytest.mark.parametrize(("shape", "axis"), [((4, 4), -1), ((6, 3), -1), ((3, 6), -1), ((2, 3, 4), 0), ((2, 3, 4), 1)])
def test_orthogonal(shape, axis):
    q = np.moveaxis(np.asarray(init.orthogonal(2.0, axis)(KEY, shape)), axis, -1).reshape(-1, shape[axis])
    gram = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
    np.testing.assert_allclose(gram, 4 * np.eye(min(q.shape)), atol=1e-6)
    assert init.orthogonal()(KEY, (0, 3)).shape == (0, 3)


@pytest.mark.parametrize("lead", [(3,), (3, 4), (2, 3, 5)])
def test_delta_orthogonal(lead):
    w = np.array(init.delta_orthogonal()(KEY, (*lead, 2, 4)))
    at = tuple((n - 1) // 2 for n in lead)
    np.testing.assert_allclose(w[at] @ w[at].T, np.eye(2), atol=1e-6)
    w[at] = 0
    assert not w.any()


@pytest.mark.parametrize("distribution", ["normal", "uniform", "truncated_normal"])
def test_variance(distribution):
    for dtype in (np.float64, np.complex128):
        if distribution == "normal" and dtype == np.complex128:
            continue
        w = np.asarray(init.variance_scaling(2.0, "fan_in", distribution)(KEY, (200, 300), dtype))
        assert w.dtype == dtype and abs(w.mean()) < 1e-3
        np.testing.assert_allclose((np.abs(w) ** 2).mean(), 2 / 200, rtol=0.03)


def test_default_dtype_and_compiled():
    f = init.he_normal()
    assert f(KEY, (3, 2)).dtype == np.float64 and init.zeros(KEY, (2,)).dtype == np.float64
    np.testing.assert_allclose(weft.jit(lambda k: f(k, (3, 2)))(KEY), f(KEY, (3, 2)), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: init.he_normal()(KEY, (3,)), "give them 2 axes"),
        (lambda: init.variance_scaling(1.0, "fan", "normal"), "has the modes"),
        (lambda: init.variance_scaling(1.0, "fan_in", "gamma"), "has the distributions"),
        (lambda: init.orthogonal()(KEY, (3,)), "2 axes or more"),
        (lambda: init.delta_orthogonal()(KEY, (3, 2)), "3, 4 or 5 axes"),
        (lambda: init.delta_orthogonal()(KEY, (3, 3, 2)), "at least as many outputs"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
