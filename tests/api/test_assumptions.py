"""Index checks that go because of what is assumed of sizes, and what happens when that does not hold."""

from __future__ import annotations

import numpy as np
import pytest

import weft

WHY = "indices stay within their arrays"


def add(x, y, z):
    for i in range(x.size):
        z[i] = x[i] + y[i]
    return z


def first(x, n):
    s = 0.0
    for i in range(n):
        s += x[i]
    return s


def test_checks_go_under_a_guard() -> None:
    t = weft.jit(add)
    assert "raise(" not in t.inspect(np.ones(4), np.ones(5), np.ones(6)).cpp
    guards = t.lower(np.ones(4), np.ones(5), np.ones(6)).guards
    assert guards == [(">=", 0, [(0, -1), (1, 1)], WHY), (">=", 0, [(0, -1), (2, 1)], WHY)]
    assert t.lower(np.ones(4), np.ones(3), np.ones(6)).guards == [(">=", 0, [(0, -1), (2, 1)], WHY)]


def test_a_call_for_which_it_does_not_hold_is_checked() -> None:
    t = weft.jit(add)
    x, y = np.arange(4.0), np.arange(5.0)
    np.testing.assert_array_equal(t(x, y, np.zeros(4)), 2 * x)
    with pytest.raises(IndexError, match="index 2 is out of bounds for axis 0 with size 2"):
        t(x, y[:2], np.zeros(4))
    z = np.zeros(4)
    with pytest.raises(IndexError, match="index 3 is out of bounds for axis 0 with size 3"):
        t(x, y, z[:3])
    np.testing.assert_array_equal(z, [0, 2, 4, 0])  # what came before the mistake was written, as in Python
    np.testing.assert_array_equal(t(x, y, np.zeros(9))[:4], 2 * x)


def test_integer_arguments_are_assumed_about_too() -> None:
    t = weft.jit(first)
    x = np.arange(6.0)
    assert [float(t(x, n)) for n in (6, 3, 0, -2)] == [15.0, 3.0, 0.0, 0.0]
    assert "raise(" not in t.inspect(x, 4).cpp
    with pytest.raises(IndexError):
        t(x, 7)
    assert float(t(x, 5)) == 10.0


def test_one_program_serves_all_sizes_that_fit() -> None:
    t = weft.jit(add)
    for n in range(2, 9):
        t(np.ones(n), np.ones(n + 1), np.ones(n + 2))
    assert t.cache_info().compilations + t.cache_info().loaded == 1


def test_gradients_lose_their_checks_as_well() -> None:
    def loss(x, w):
        s = 0.0
        for i in range(x.size):
            s += w[i] * x[i] ** 2
        return s

    t = weft.jit(weft.grad(loss, argnums=(0, 1)))
    x, w = np.arange(1.0, 5.0), np.arange(2.0, 7.0)
    gx, gw = t(x, w)
    np.testing.assert_allclose(gx, 2 * w[:4] * x)
    np.testing.assert_allclose(gw, [*x**2, 0.0])
    assert "raise(" not in t.inspect(x, w).cpp
    with pytest.raises(IndexError):
        t(x, w[:3])
