"""Elementwise functions that are not ufuncs: choices, rounding, tests of closeness, parts of complex numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import Atom, lit
from weft.ir.types import ArrayType, bool_, f64, is_complex, is_inexact, real_dtype
from weft.numpy.common import (
    Staged,
    array,
    astype,
    broadcast_shapes,
    broadcast_to,
    cast,
    emit,
    full,
    number,
    of,
    op_error,
    prim,
    result_dtype,
    select,
    static_bool,
    static_int,
    truth,
    value,
)  # fmt: skip
from weft.numpy.registry import implements
from weft.numpy.ufuncs import ufunc
from weft.staged.arith import weak_literal
from weft.staged.value import View, lift


def _np_where(condition: Any, x: Any = None, y: Any = None, /, *, size: Any = None, fill_value: Any = None) -> Any:
    from weft.numpy.search import np_nonzero

    if x is None and y is None:
        return np_nonzero(condition, size=size, fill_value=fill_value)
    return np.where(condition, x, y)


@implements(np.where, run=_np_where)
def where(condition: Any, x: Any = None, y: Any = None, /, *, size: Any = None, fill_value: Any = None) -> Any:
    """Elements of ``x`` where the condition holds, else of ``y``; with one argument, where it holds."""
    if x is None and y is None:
        from weft.numpy.search import nonzero

        return nonzero(condition, size=size, fill_value=fill_value)
    if x is None or y is None:
        raise op_error(ValueError, "either both or neither of x and y should be given")
    cond, a, b = truth(array(condition)), value(x), value(y)
    dtype = result_dtype(a, b)
    for raw in (x, y):
        weak_literal(raw, dtype)
    shape = broadcast_shapes("where", cond.sizes, a.sizes, b.sizes)
    parts = [broadcast_to(v, shape) for v in (cond.atom, cast(a.atom, dtype), cast(b.atom, dtype))]
    return of(prim("select")(*parts))


@implements(np.select)
def select_(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    """Elements of the first choice whose condition holds."""
    if len(condlist) != len(choicelist):
        raise op_error(ValueError, "list of cases must be same length as list of conditions")
    if not condlist:
        raise op_error(ValueError, "select with an empty condition list is not possible")
    dtype = result_dtype(*[value(c) for c in choicelist], value(default))
    out = array(default, dtype)
    for c, v in zip(reversed(condlist), reversed(choicelist), strict=True):
        out = where(c, array(v, dtype), out)
    return out


@implements(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """Elements limited to ``[min, max]``; either bound may be None."""
    low, high = a_min if min is None else min, a_max if max is None else max
    result: Any = array(a)
    if low is not None:
        result = ufunc(np.maximum, result, low)
    if high is not None:
        result = ufunc(np.minimum, result, high)
    return result


@implements(np.round, np.around)
def round_(a: Any, decimals: Any = 0, out: Any = None) -> Any:
    """Elements rounded to this many decimals, halves to even."""
    x, n = array(a), static_int(decimals, "decimals")
    if x.dtype == bool_:
        x = astype(x, np.float16)
    if not is_inexact(x.dtype):
        if n < 0:
            tens = array(10.0**-n, f64)
            return astype(ufunc(np.multiply, ufunc(np.rint, ufunc(np.divide, x, tens)), tens), x.dtype)
        return x
    if n == 0:
        return ufunc(np.rint, x)
    scale = array(10.0 ** abs(n), x.dtype)
    first, last = (np.multiply, np.divide) if n > 0 else (np.divide, np.multiply)
    return ufunc(last, ufunc(np.rint, ufunc(first, x, scale)), scale)


@implements(np.fix)
def fix(x: Any, out: Any = None) -> Any:
    """Elements rounded towards zero."""
    return ufunc(np.trunc, x)


@implements(np.isclose)
def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: Any = False) -> Any:
    """Whether ``abs(a - b) <= atol + rtol * abs(b)``, or they are equal."""
    x, y = value(a), value(b)
    if not is_inexact(y.dtype):
        y = astype(y, f64) if y.flavour != "py" else array(y, f64)
    y = y if y.flavour != "py" else array(y)
    near = ufunc(np.less_equal, abs(x - y), atol + rtol * abs(y)) & ufunc(np.isfinite, y)
    near = near | ufunc(np.equal, x, y)
    if static_bool(equal_nan, "equal_nan"):
        near = near | (ufunc(np.isnan, x) & ufunc(np.isnan, y))
    return near


@implements(np.allclose)
def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: Any = False) -> Any:
    """Whether all elements are close."""
    return _all(isclose(a, b, rtol, atol, equal_nan))


@implements(np.array_equal)
def array_equal(a1: Any, a2: Any, equal_nan: Any = False) -> Any:
    """Whether shapes and all elements agree."""
    x, y = array(a1), array(a2)
    ctx_equal = x.ndim == y.ndim and all(_decided(m, n) for m, n in zip(x.sizes, y.sizes, strict=True))
    if not ctx_equal:
        return of(lit(False, bool_))
    same = ufunc(np.equal, x, y)
    if static_bool(equal_nan, "equal_nan"):
        same = same | (ufunc(np.isnan, x) & ufunc(np.isnan, y))
    return _all(same)


@implements(np.array_equiv)
def array_equiv(a1: Any, a2: Any) -> Any:
    """Whether one array, repeated along axes, is the other."""
    x, y = array(a1), array(a2)
    for m, n in zip(reversed(x.sizes), reversed(y.sizes), strict=False):
        if m != 1 and n != 1 and not _decided(m, n):
            return of(lit(False, bool_))
    return _all(ufunc(np.equal, x, y))


def _decided(m: Any, n: Any) -> bool:
    from weft.numpy.common import current

    return current().decide("==", m - n, "np.array_equal compares shapes")


def _all(x: Staged) -> Staged:
    return emit("reduce_and", x, axes=tuple(range(x.ndim))) if x.sizes else x


@implements(np.nan_to_num)
def nan_to_num(x: Any, copy: Any = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """Elements with nan and infinities replaced by finite numbers."""
    a = array(x)
    if not is_inexact(a.dtype):
        return a
    if is_complex(a.dtype):
        parts = [nan_to_num(emit(p, a), True, nan, posinf, neginf) for p in ("real", "imag")]
        return emit("complex_", *parts)
    info = np.finfo(a.dtype)
    high = number(info.max, a) if posinf is None else array(posinf, a.dtype)
    low = number(info.min, a) if neginf is None else array(neginf, a.dtype)
    inf = emit("isinf", a)
    below = emit("lt", a, lit(0, a.dtype))
    bounded = where(inf, where(below, low, high), a)
    return where(emit("isnan", a), array(nan, a.dtype), bounded)


@implements(np.sinc)
def sinc(x: Any) -> Any:
    """``sin(pi x) / (pi x)``, 1 at zero."""
    a = array(x)
    a = a if is_inexact(a.dtype) else astype(a, f64)
    # near zero the quotient's derivatives lose their digits: its series
    near = emit("lt", emit("abs", a), lit(0.05, real_dtype(a.dtype)))
    y = emit("mul", select(near, number(1, a), a), lit(math.pi, a.dtype))
    z = emit("mul", select(near, a, number(0, a)), lit(math.pi, a.dtype))
    square, series = emit("mul", z, z), number(0, a)
    for k in reversed(range(1, 7)):
        term = number((-1) ** k / math.factorial(2 * k + 1), a)
        series = emit("mul", emit("add", series, term), square)
    return select(near, emit("add", series, number(1, a)), emit("div", emit("sin", y), y))


# -- complex numbers ---------------------------------------------------------------------------------------------------


class PartView(View):
    """The real or imaginary part of a complex array."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self, base: Atom) -> Atom:
        out: Atom = prim(self.name)(base)
        return out

    def put(self, base: Atom, value: Atom) -> Atom:
        re = value if self.name == "real" else prim("real")(base)
        im = value if self.name == "imag" else prim("imag")(base)
        out: Atom = prim("complex_")(re, im)
        return out


def _part(x: Any, name: str) -> Staged:
    v = lift(x) if not isinstance(x, list | tuple) else array(x)
    if is_complex(v.dtype):
        return v.viewed(PartView(name), ArrayType(real_dtype(v.dtype), v.sizes))
    if name == "real":
        return v
    return full(lit(0, v.dtype), v.sizes)


@implements(np.real)
def real(val: Any) -> Any:
    """The real part; of an array in memory, a view."""
    return _part(val, "real")


@implements(np.imag)
def imag(val: Any) -> Any:
    """The imaginary part; of a complex array in memory, a view."""
    return _part(val, "imag")


@implements(np.angle)
def angle(z: Any, deg: Any = False) -> Any:
    """The argument of complex numbers."""
    a = array(z)
    if is_complex(a.dtype):
        out = emit("arctan2", emit("imag", a), emit("real", a))
    else:
        a = a if is_inexact(a.dtype) else astype(a, f64)
        out = ufunc(np.arctan2, number(0, a), a)
    return emit("mul", out, lit(180 / math.pi, out.dtype)) if static_bool(deg, "deg") else out


@implements(np.iscomplex)
def iscomplex(x: Any) -> Any:
    """Whether the imaginary part is not zero."""
    a = array(x)
    if is_complex(a.dtype):
        return truth(emit("imag", a))
    return full(lit(False, bool_), a.sizes)


@implements(np.isreal)
def isreal(x: Any) -> Any:
    """Whether the imaginary part is zero."""
    return emit("logical_not", iscomplex(x))


@implements(np.isposinf)
def isposinf(x: Any, out: Any = None) -> Any:
    """Whether elements are plus infinity."""
    return ufunc(np.isinf, x) & ufunc(np.greater, x, 0)


@implements(np.isneginf)
def isneginf(x: Any, out: Any = None) -> Any:
    """Whether elements are minus infinity."""
    return ufunc(np.isinf, x) & ufunc(np.less, x, 0)


@implements(np.copyto)
def copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    """Write ``src`` into ``dst``, where a condition holds."""
    from weft.staged.indexing import setitem

    v = value(src)
    if v.flavour != "py" and not np.can_cast(v.dtype, dst.dtype, casting):
        raise op_error(TypeError, f"Cannot cast array data from {v.dtype!r} to {dst.dtype!r} with rule '{casting}'")
    if where is not True:
        v = select_where(where, array(v, dst.dtype), array(dst))
    setitem(dst, ..., v)


def select_where(cond: Any, a: Staged, b: Staged) -> Staged:
    """`where` of operands that share a dtype."""
    out: Staged = where(cond, a, b)
    return out
