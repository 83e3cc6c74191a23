"""Positions in row-major order, `arange(...).reshape(...)`, are computed where they are used."""

from __future__ import annotations

import numpy as np
import pytest

import weft

PROGRAMS = {
    "rows": lambda x: (x + np.arange(x.size).reshape(x.shape)).sum(axis=1),
    "all": lambda x: x * np.arange(x.size).reshape(x.shape),
    "narrow": lambda x: x + np.arange(x.size, dtype=np.uint8).reshape(x.shape),
    "columns": lambda x: x.T + np.arange(x.size).reshape(x.shape[1], x.shape[0]),
    "part": lambda x: np.arange(x.size).reshape(x.shape)[1:, ::2] * 1.0,
    "again": lambda x: x.ravel() + np.arange(x.size).reshape(x.shape).reshape(-1),
    "three": lambda x: np.arange(x.size * 2).reshape(2, *x.shape) + x,
    "places": lambda x: x.ravel()[np.arange(x.size).reshape(x.shape)[:, ::-1]],
    "scalar": lambda x: np.arange(x.size).reshape(x.shape)[1, 1] + x[0, 0],
    "ones": lambda x: np.arange(x.shape[0]).reshape(-1, 1) + np.arange(x.shape[1]).reshape(1, -1) + x,
    "written": lambda x: _written(x),
}


def _written(x):
    places = np.arange(x.size).reshape(x.shape)
    places[0] = 7
    return places + x


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("shape", [(3, 4), (5, 2), (2, 7)])
def test_values(name, shape):
    x = np.linspace(-1.0, 1.0, shape[0] * shape[1]).reshape(shape)
    np.testing.assert_allclose(weft.jit(PROGRAMS[name])(x), PROGRAMS[name](x), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("name", ["rows", "all", "columns", "three"])
def test_no_array_of_them_is_made(name):
    x = np.ones((30, 40))
    assert "scratch(ctx" not in weft.jit(PROGRAMS[name]).inspect(x).cpp


def test_one_loop_over_all_elements():
    text = weft.jit(lambda x: x * np.arange(1200).reshape(30, 40)).inspect(np.ones((30, 40))).cpp
    assert text.count("for (") == 1


def test_what_is_costly_is_computed_before_a_search():
    """A loop that looks for the largest element is not vectorised; what it compares is, in a loop of its own."""
    x = np.linspace(-1.0, 1.0, 60).reshape(4, 15)
    costly = weft.jit(
        lambda x: np.argmax(np.sin(x * 9.0) + np.log(x + 2.0) * np.cos(x) * np.exp(x) / np.tanh(x), axis=1)
    )
    np.testing.assert_array_equal(costly(x), costly.__wrapped__(x))
    assert "scratch(ctx" in costly.inspect(x).cpp
    cheap = weft.jit(lambda x: np.argmax(x * 2.0 + 1.0, axis=1))
    np.testing.assert_array_equal(cheap(x), cheap.__wrapped__(x))
    assert "scratch(ctx" not in cheap.inspect(x).cpp
