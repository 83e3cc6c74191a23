"""Scheduling keeps values, and does what it is for: one gathering pass for the adjoint of a stencil."""

from __future__ import annotations

import numpy as np
import pytest

import weft
from weft.ir.interpret import evaluate
from weft.ir.nodes import For, Op, walk
from weft.ir.verify import verify
from weft.transforms.schedule import schedule
from weft.transforms.simplify import simplify


def five_points(steps, A, B):
    for _ in range(steps):
        B[1:-1, 1:-1] = 0.2 * (A[1:-1, 1:-1] + A[1:-1, :-2] + A[1:-1, 2:] + A[2:, 1:-1] + A[:-2, 1:-1])
        A[1:-1, 1:-1] = 0.2 * (B[1:-1, 1:-1] + B[1:-1, :-2] + B[1:-1, 2:] + B[2:, 1:-1] + B[:-2, 1:-1])
    return (A * A).sum()


def uneven(x):
    y = np.zeros_like(x)
    y[3:-1] = x[:-4] * 2.0 + x[1:-3] - x[4:] * x[3:-1]
    return (y**3).sum()


def counted(function, name):
    return sum(isinstance(s, Op) and s.prim.name == name for s in walk(function.body))


@pytest.mark.parametrize(
    ("f", "args", "argnums"),
    [
        (five_points, (3, np.random.default_rng(0).normal(size=(6, 5)), np.ones((6, 5))), (1, 2)),
        (five_points, (2, np.ones((3, 3)), np.random.default_rng(1).normal(size=(3, 3))), (1, 2)),
        (uneven, (np.random.default_rng(2).normal(size=9),), (0,)),
        (lambda t, A, B: five_points(2, A, B) * t, (2.0, np.ones((4, 6)), np.ones((4, 6))), (0, 1)),
    ],
)
def test_values_stay(f, args, argnums) -> None:
    plain = simplify(weft.grad(f, argnums=argnums).lower(*args).function)
    moved = verify(schedule(plain))
    for x, y in zip(evaluate(plain, *args), evaluate(moved, *args), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-12)


def test_a_stencils_adjoint_gathers_with_one_border() -> None:
    args = (3, np.ones((6, 5)), np.ones((6, 5)))
    f = weft.grad(five_points, argnums=1).lower(*args).function
    assert counted(f, "accum") == 2  # one for each statement of the loop, instead of five
    (backward,) = [s for s in walk(f.body) if isinstance(s, For) and s.reverse]
    assert len(backward.inits) == 3  # the two cotangents, and a border that both statements write


def test_nothing_to_do_changes_nothing() -> None:
    f = weft.jit(lambda x: x * 2.0).lower(1.0).function
    assert schedule(f) is f
