"""The text form reads back to the same function."""

from __future__ import annotations

import numpy as np
import pytest

import weft
from weft.ir.interpret import evaluate
from weft.ir.parse import ParseError, parse
from weft.ir.printer import to_text
from weft.ir.verify import verify


def stencil(steps, a, b):
    for _ in range(1, steps):
        b[1:-1] = 0.5 * (a[:-2] + a[2:])
        a, b = b, a
    return a.sum() + b[::-2].sum()


def root(a):
    x = a
    while abs(x * x - a) > 1e-12:
        x = 0.5 * (x + a / x)
    return x


def mixed(x, n, flag):
    table = np.zeros((n, 3), dtype=np.float32)
    for i in range(n):
        if flag and x[i] > 0:
            table[i] = x[i]
        elif x[i] < -1e300:
            raise ValueError(f"too small: {x[i]}, {i}; {{really}}")
        else:
            table[i, 1] = np.inf if i == 2 else -0.0
    return table, x[x > 0], (x + 1j).imag


CASES = [
    (weft.jit(root), (2.0,)),
    (weft.grad(root), (2.0,)),
    (weft.vmap(weft.grad(root)), (np.array([2.0, 3.0]),)),
    (weft.grad(weft.grad(root)), (2.0,)),
    (weft.jit(lambda x: stencil(4, x.copy(), np.zeros_like(x))), (np.arange(7.0),)),
    (weft.grad(lambda x: stencil(4, x.copy(), np.zeros_like(x))), (np.arange(7.0),)),
    (weft.jit(mixed), (np.array([1.0, -2.0, 3.0, -4.0]), 4, True)),
]


@pytest.mark.parametrize(("fn", "args"), CASES)
def test_text_reads_back(fn, args) -> None:
    f = fn.lower(*args).function
    text = to_text(f)
    g = verify(parse(text))
    assert to_text(g) == text
    for x, y in zip(evaluate(f, *args), evaluate(g, *args), strict=True):
        assert np.asarray(x).dtype == np.asarray(y).dtype
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(x: f64):\n  yield y", r"line 2: unknown variable 'y'"),
        ("def f(x: f65):\n  yield x", r"line 1: not a type: 'f65'"),
        ("def f(x: f64):\n  y: f64 = nosuch(x)\n  yield y", "unknown primitive 'nosuch'"),
        ("def f(x: f64):\n  y: f64 = neg(x)", "a statement is missing"),
        ("hello", "a function begins with"),
    ],
)
def test_malformed_text(text: str, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        parse(text)
