"""Ufuncs: values and dtypes as NumPy's, for arrays of every kind, scalars and weak numbers."""

import numpy as np
import pytest
from tests.staged.util import check

import weft.numpy.ufuncs as ufuncs

F = np.array([[0.3, -1.5, 2.0], [np.nan, 0.0, np.inf]])
POS = np.array([0.2, 0.7, 0.9])
I = np.array([[3, -2, 0], [7, 1, -5]])
DATA = {
    "f8": F,
    "f4": F.astype("f4"),
    "f2": np.array([0.5, -1.0, 2.0], "f2"),
    "i8": I,
    "i4": I.astype("i4"),
    "i2": I.astype("i2"),
    "u1": np.array([1, 200, 3], "u1"),
    "u8": np.array([1, 2, 30], "u8"),
    "?": np.array([True, False, True]),
    "c16": np.array([1 + 2j, -0.5j, 3]),
    "c8": np.array([1 + 2j, -0.5j, 3], "c8"),
}


def numpy_takes(uf, *xs):
    try:
        with np.errstate(all="ignore"):
            uf(*xs)
    except (TypeError, ValueError):
        return False
    return True


UNARY = [uf for uf in ufuncs.UFUNCS if uf.nin == 1]
BINARY = [uf for uf in ufuncs.UFUNCS if uf.nin == 2]


@pytest.mark.parametrize("uf", UNARY, ids=lambda u: u.__name__)
def test_unary(uf):
    for name, x in DATA.items():
        if uf is np.reciprocal and x.dtype.kind in "iu":
            x = x[x != 0]
        if not numpy_takes(uf, x):
            with pytest.raises(TypeError):
                check(lambda np, x: getattr(np, uf.__name__)(x), x)
            continue
        check(lambda np, x: getattr(np, uf.__name__)(x), x)
    for x in (0.5, 2, True):
        if numpy_takes(uf, x):
            check(lambda np, x: getattr(np, uf.__name__)(x), x)


@pytest.mark.parametrize("uf", BINARY, ids=lambda u: u.__name__)
def test_binary(uf):
    for name, x in DATA.items():
        y = np.ascontiguousarray(x[..., ::-1])
        if uf is np.power and x.dtype.kind == "i":
            y = np.abs(y)
        if uf in (np.left_shift, np.right_shift) and x.dtype.kind in "iu":
            y = (np.abs(y) % 5).astype(x.dtype)
        if uf is np.ldexp:
            y = np.array([1, 2, 3])
        pairs = [(x, y)]
        if not (uf.__name__ in ("power", "left_shift", "right_shift") and x.dtype.kind == "i"):
            pairs += [(x, y[..., 0]), (x[..., 1], y), (x, y[..., :1])] if x.ndim > 1 else [(x, y[0]), (x[1], y)]
        pairs += [(x, 2), (x, 2.0), (1, y), (x, True), (x, np.float32(2)), (x, np.int8(2))]
        for a, b in pairs:
            if not numpy_takes(uf, a, b):
                continue
            check(lambda np, a, b: getattr(np, uf.__name__)(a, b), a, b)


def test_static_numbers_are_weak():
    x = np.array([1, 2, 3], "f4")
    check(lambda np, x: np.add(x, 2.5), x)
    check(lambda np, x: np.power(x, 2), x)
    check(lambda np, x: np.power(x, -1.0), x)
    with pytest.raises(OverflowError):
        check(lambda np, x: np.add(x, 300), np.array([1, 2], "u1"))
    check(lambda np, x: np.less(x, 300), np.array([1, 2], "u1"))
    check(lambda np, x: np.equal(x, -1), np.array([1, 2], "u1"))


def test_out():
    def f(np, x, y):
        np.add(x, y, x)
        z = np.multiply(x, 2.0, out=x)
        z[0] = 5.0
        return z

    check(f, np.arange(3.0), np.ones(3))


def test_dtype_argument():
    check(lambda np, x: np.add(x, x, dtype=np.float32), np.array([1, 2], "i2"))
    check(lambda np, x: np.sqrt(x, dtype=np.float32), np.array([1, 2], "i2"))
