"""Operators on Python scalars, NumPy scalars and arrays mean what Python and NumPy mean."""

import operator

import numpy as np
import pytest
from tests.staged.util import Staging, check

OPS = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "eq", "ne", "lt", "le", "gt", "ge"]
VALUES = [
    2.5,
    -1.5,
    3,
    -7,
    2,
    True,
    np.float32(1.5),
    np.int8(5),
    np.float64(-2.5),
    np.array([1.5, 2.0, -3.0]),
    np.array([3, 1, 2], "i4"),
    np.array([1.5, 2.5, 3.5], "f4"),
]


@pytest.mark.parametrize("name", OPS)
def test_binary(name):
    op = getattr(operator, name)
    for a in VALUES:
        for b in VALUES:
            try:
                with np.errstate(all="ignore"):
                    want = op(a, b)
            except (TypeError, ValueError, ZeroDivisionError):
                continue
            if isinstance(want, complex):
                continue
            if name == "pow" and isinstance(a, int) and isinstance(b, int) and isinstance(want, float):
                continue  # int ** negative int: a static type cannot depend on the sign
            check(lambda np, x, y: op(x, y), a, b)
            if not isinstance(b, np.ndarray):
                check(lambda np, x: op(x, b), a)


@pytest.mark.parametrize("name", ["and_", "or_", "xor", "lshift", "rshift"])
def test_bits(name):
    op = getattr(operator, name)
    for a, b in (
        (6, 3),
        (True, False),
        (np.array([6, 1]), 3),
        (np.array([True, False]), True),
        (5, np.array([1, 2], "i4")),
        (True, 3),
    ):
        check(lambda np, x, y: op(x, y), a, b)


@pytest.mark.parametrize("name", ["neg", "pos", "abs", "invert"])
def test_unary(name):
    op = getattr(operator, name)
    for a in (3, -2, True, np.array([1, -2]), np.int8(-5), *([] if name == "invert" else [2.5, np.array([1.5, -2.0])])):
        check(lambda np, x: op(x), a)


@pytest.mark.parametrize(
    "op, args",
    [
        (operator.truediv, (1.0, 0.0)),
        (operator.floordiv, (1, 0)),
        (operator.mod, (1, 0)),
        (operator.truediv, (1, 0)),
        (operator.pow, (0.0, -1.0)),
    ],
)
def test_python_numbers_divide_by_zero(op, args):
    s = Staging(lambda x, y: op(x, y), *args)
    with pytest.raises(ZeroDivisionError):
        s.run(*args)


def test_numpy_numbers_divide_by_zero():
    check(lambda np, x: x / 0, np.array([1.0, -1.0, 0.0]))
    check(lambda np, x: x // 0, np.array([1, 2]))
    check(lambda np, x, y: x / y, np.float64(1.0), np.float64(0.0))


def test_sizes_are_symbols():
    def f(x):
        n = x.shape[0]
        return x[: n - 1] + x[1:n] * (2 * n + 1)

    s = Staging(f, np.arange(5.0))
    assert not s.ctx.guards
    got, _ = s.run(np.arange(9.0))  # the same artifact serves another size
    np.testing.assert_array_equal(got, np.arange(8.0) + np.arange(1.0, 9.0) * 19)


def test_a_branch_on_a_size_is_a_guard():
    s = Staging(lambda x: x + 1 if x.shape[0] > 3 else x - 1, np.arange(5.0))
    assert [(g.kind, str(g.size)) for g in s.ctx.guards] and s.ctx.guards[0].kind == ">="


def test_equal_sizes_are_guarded():
    s = Staging(lambda x, y: x + y, np.ones(4), np.ones(4))
    assert [g.kind for g in s.ctx.guards] == ["=="]
    with pytest.raises(ValueError, match="could not be broadcast"):
        Staging(lambda x, y: x + y, np.ones(4), np.ones(3))


def test_overflowing_python_int():
    with pytest.raises(OverflowError):
        Staging(lambda x: x + 300, np.ones(3, "u1"))


def test_inplace_keeps_dtype():
    def f(np, x):
        x += 1
        x *= 2
        y = x[:2]
        y -= 3
        return y

    check(f, np.array([1, 2, 3], "i4"))
    with pytest.raises(TypeError, match="same_kind"):
        check(lambda np, x: x.__iadd__(0.5), np.array([1, 2]))
