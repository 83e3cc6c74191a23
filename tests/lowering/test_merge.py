"""Neighbouring nests become one only where rows need their own rows alone."""

from __future__ import annotations

import numpy as np
import pytest

import weft


def move(A, B):
    B[1:-1] = 2.0 * A[1:-1]
    A[1:-1] = 0.0


def shifted(A, B):
    B[1:-1] = 2.0 * A[1:-1]
    A[:-2] = 0.0


def chained(A, B):
    B[1:-1] = 2.0 * A[1:-1]
    A[1:-1] = B[:-2]


def columns(A, B):
    B[:, 1:] = 2.0 * A[:, 1:]
    A[:, :-1] = B[:, 1:] + 1.0


@pytest.mark.parametrize(("f", "nests"), [(move, 1), (shifted, 2), (chained, 2), (columns, 1)])
def test_merging(f, nests) -> None:
    rng = np.random.default_rng(0)
    mine = [rng.normal(size=(300, 400)) for _ in range(2)]
    theirs = [x.copy() for x in mine]
    compiled = weft.jit(f)
    compiled(*mine)
    f(*theirs)
    for x, y in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(x, y)
    assert compiled.inspect(*mine).cpp.count("WEFT_CHUNK {") == nests
