"""NumPy's universal functions: dtypes as NumPy resolves them, broadcasting, one body each over converted operands."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import Atom, Lit, lit
from weft.ir.types import DType, bool_, is_complex, is_inexact, is_integer
from weft.numpy.common import Staged, broadcast_shapes, broadcast_to, cast, current, op_error, prim, unsupported, value
from weft.numpy.registry import ENTRIES, Entry, enter
from weft.staged.arith import result_dtype, weak_literal
from weft.staged.compare import compare, integer_dtypes, ordered
from weft.staged.value import wrap

Body = Callable[..., Any]

_WEAK: dict[str, type] = {"i": int, "f": float, "c": complex}


def loop_dtypes(uf: np.ufunc, vs: Sequence[Staged], dtype: Any = None) -> tuple[DType, ...]:
    """The operand and result dtypes that NumPy computes with: Python scalars are weak among others."""
    weak = any(v.flavour != "py" for v in vs)
    types = [_WEAK.get(v.dtype.kind, v.dtype) if weak and v.flavour == "py" else v.dtype for v in vs]
    slots: Any = (*types, *[None] * uf.nout)
    try:
        if dtype is None:
            return uf.resolve_dtypes(slots)
        wanted: Any = (None,) * uf.nin + (np.dtype(dtype),) * uf.nout
        return uf.resolve_dtypes(slots, signature=wanted)
    except TypeError as e:
        raise op_error(TypeError, str(e)) from None


def apply(uf: np.ufunc, body: Body, xs: Sequence[Any], dtype: Any = None) -> Any:
    """The ufunc's result: operands converted and broadcast, the body's atoms converted to the result dtypes."""
    vs = [value(x) for x in xs]
    dtypes = loop_dtypes(uf, vs, dtype)
    ins, outs = dtypes[: uf.nin], dtypes[uf.nin :]
    mixed = None
    if outs[0] == bool_ and uf.nin == 2:
        mixed = integer_dtypes(vs[0], vs[1], result_dtype(*vs))
    if mixed is not None:
        ins = mixed
    else:
        for x, d in zip(xs, ins, strict=True):
            weak_literal(x, d)
    shape = broadcast_shapes(uf.__name__, *[v.sizes for v in vs])
    atoms = [broadcast_to(cast(v.atom, d), shape) for v, d in zip(vs, ins, strict=True)]
    results = body(*atoms)
    if uf.nout == 1:
        return wrap(cast(results, outs[0]), "weft")
    return tuple([wrap(cast(r, d), "weft") for r, d in zip(results, outs, strict=True)])


def _define(uf: np.ufunc, body: Body, doc: str) -> Callable[..., Any]:
    """Enter a ufunc into the tables."""

    def run(xs: Sequence[Any], where: Any, dtype: Any) -> Any:
        if where is not True:
            raise unsupported(
                f"np.{uf.__name__} with where=", f"use np.where(cond, np.{uf.__name__}(...), other), or give out="
            )
        return apply(uf, body, xs, dtype)

    impl: Callable[..., Any]
    if uf.nin == 1 and uf.nout == 1:

        def impl(x: Any, /, out: Any = None, *, where: Any = True, dtype: Any = None) -> Any:
            return run((x,), where, dtype)

    elif uf.nin == 1:

        def impl(x: Any, /, out1: Any = None, out2: Any = None, *, out: Any = None, where: Any = True) -> Any:
            if out1 is not None or out2 is not None:
                raise unsupported(f"np.{uf.__name__} with positional outputs", "use the results")
            return run((x,), where, None)

    else:

        def impl(x1: Any, x2: Any, /, out: Any = None, *, where: Any = True, dtype: Any = None) -> Any:
            return run((x1, x2), where, dtype)

    impl.__name__ = uf.__name__
    impl.__doc__ = doc
    entry = Entry(uf.__name__, impl, uf)
    enter(entry, (uf,))
    return impl


# -- bodies ------------------------------------------------------------------------------------------------------------


def _prim(name: str) -> Body:
    return lambda *xs: prim(name)(*xs)


def _unless(test: Callable[[DType], bool], otherwise: Any, name: str) -> Body:
    """The primitive, except for dtypes where the result is plain."""

    def body(x: Atom) -> Atom:
        out: Atom = otherwise(x) if test(x.type.dtype) else prim(name)(x)
        return out

    return body


def _same(x: Atom) -> Atom:
    return x


def _constant(result: bool) -> Body:
    def body(x: Atom) -> Atom:
        out: Atom = lit(result, bool_)
        return prim("broadcast")(out, shape=x.type.shape, dims=()) if x.type.shape else out  # type: ignore[no-any-return]

    return body


def _exact(dtype: DType) -> bool:
    return not is_inexact(dtype)


def _scaled(factor: float) -> Body:
    return lambda x: prim("mul")(x, lit(factor, x.type.dtype))


def _logic(name: str) -> Body:
    return lambda *xs: prim(name)(*[cast(x, bool_) for x in xs])


def _rint(x: Atom) -> Any:
    if not is_complex(x.type.dtype):
        return prim("rint")(x)
    return prim("complex_")(prim("rint")(prim("real")(x)), prim("rint")(prim("imag")(x)))


def _sign(x: Atom) -> Any:
    if not is_complex(x.type.dtype):
        return prim("sign")(x)
    size = prim("abs")(x)
    zero = prim("eq")(size, lit(0, size.type.dtype))
    unit = prim("div")(x, cast(prim("select")(zero, lit(1, size.type.dtype), size), x.type.dtype))
    return prim("select")(zero, lit(0, x.type.dtype), unit)


def _power(x: Atom, y: Atom) -> Any:
    if isinstance(y, Lit) and not is_complex(y.type.dtype):
        n = float(y.value)
        if is_integer(y.type.dtype) and n < 0:
            raise op_error(ValueError, "Integers to negative integer powers are not allowed.")
        if n == 1:
            return x
        if n == 2:
            return prim("mul")(x, x)
        if n == 0.5:
            return prim("sqrt")(x)
    elif y.type.dtype.kind == "i":
        fine = prim("ge")(y, lit(0, y.type.dtype))
        if y.type.shape:
            fine = prim("reduce_and")(fine, axes=tuple(range(y.type.rank)))
        prim("check")(fine, exc="ValueError", message="Integers to negative integer powers are not allowed.")
    return prim("pow")(x, y)


def _logaddexp2(x: Atom, y: Atom) -> Any:
    d = x.type.dtype
    same = prim("eq")(x, y)
    gap = prim("select")(same, lit(0, d), prim("sub")(x, y))
    more = _scaled(1 / math.log(2))(prim("log1p")(prim("exp2")(prim("neg")(prim("abs")(gap)))))
    return prim("add")(prim("maximum")(x, y), prim("select")(same, lit(1, d), more))


def _heaviside(x: Atom, h: Atom) -> Any:
    d = x.type.dtype
    step = cast(prim("gt")(x, lit(0, d)), d)
    at_zero = prim("select")(prim("eq")(x, lit(0, d)), h, step)
    return prim("select")(prim("isnan")(x), x, at_zero)


def _reciprocal(x: Atom) -> Any:
    if _exact(x.type.dtype):
        one = prim("eq")(x if x.type.dtype.kind == "u" else prim("abs")(x), lit(1, x.type.dtype))
        return prim("select")(one, x, lit(0, x.type.dtype))
    return prim("reciprocal")(x)


def _modf(x: Atom) -> Any:
    whole = prim("trunc")(x)
    d = x.type.dtype
    rest = prim("select")(prim("isinf")(x), lit(0, d), prim("sub")(x, whole))
    return prim("copysign")(rest, x), whole


def _ldexp(x: Atom, e: Atom) -> Any:
    return prim("mul")(x, prim("exp2")(cast(e, x.type.dtype)))


def _frexp(x: Atom) -> Any:
    return prim("mantissa")(x), prim("exponent")(x)


def _spacing(x: Atom) -> Any:
    d = x.type.dtype
    away: Atom = lit(math.inf, d)
    if d != np.dtype(np.float16):  # NumPy looks upwards there, also from negative numbers
        away = prim("select")(prim("lt")(x, lit(0, d)), lit(-math.inf, d), away)
    gap = prim("sub")(prim("nextafter")(x, away), x)
    return prim("select")(prim("isfinite")(x), gap, lit(math.nan, d))


def _lcm(x: Atom, y: Atom) -> Any:
    d = x.type.dtype
    common = prim("gcd")(x, y)
    none = prim("eq")(common, lit(0, d))
    part = prim("floordiv")(_abs(x), prim("select")(none, lit(1, d), common))
    return prim("mul")(part, _abs(y))


def _bitwise_count(x: Atom) -> Any:
    d = x.type.dtype
    return prim("popcount")(cast(_abs(x), np.dtype(f"u{d.itemsize}")))


def _divmod(x: Atom, y: Atom) -> Any:
    return prim("floordiv")(x, y), prim("mod")(x, y)


def _abs(x: Atom) -> Any:
    return x if x.type.dtype.kind in "bu" else prim("abs")(x)


def _lifted(name: str) -> Body:
    """A function of real or complex operands that has a primitive for complex ones only."""
    return _unless(lambda d: not is_complex(d), _same, name)


def _nan(x: Atom) -> Any:
    return prim("bitor")(prim("isnan")(prim("real")(x)), prim("isnan")(prim("imag")(x)))


def _extreme(name: str, better: str) -> Body:
    """The larger or smaller operand; of complex numbers by their real parts, then by their imaginary ones."""

    def body(x: Atom, y: Atom) -> Any:
        if not is_complex(x.type.dtype):
            return prim(name)(x, y)
        first = prim("bitor")(ordered(better, x, y), _nan(y if name in ("fmax", "fmin") else x))
        if name in ("fmax", "fmin"):
            return prim("select")(first, x, y)
        second = prim("bitand")(_nan(y), prim("logical_not")(_nan(x)))
        return prim("select")(second, y, prim("select")(first, x, y))

    return body


def _compare(name: str) -> Body:
    return lambda x, y: compare(name, x, y)


def _floordiv(x: Atom, y: Atom) -> Any:
    if is_complex(x.type.dtype):
        raise op_error(TypeError, "ufunc 'floor_divide' not supported for complex operands")
    return prim("floordiv")(x, y)


_FUNCTIONS = (
    "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "exp",
    "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt",
)  # fmt: skip

_TABLE: list[tuple[np.ufunc, Body, str]] = [
    *[(getattr(np, n), _prim(n), f"Elementwise {n} of ``x``.") for n in _FUNCTIONS],
    *[
        (getattr(np, n), _unless(_exact, _same, n), f"``x`` rounded to a whole number: {n}.")
        for n in ("floor", "ceil", "trunc")
    ],
    (np.rint, _rint, "``x`` rounded to the nearest whole number, halves to even."),
    (np.absolute, _abs, "The absolute value, of complex numbers the modulus."),
    (np.fabs, _prim("abs"), "The absolute value as a floating number."),
    (np.negative, _prim("neg"), "``-x``."),
    (np.positive, _same, "A copy of ``x``."),
    (np.square, lambda x: prim("mul")(x, x), "``x * x``."),
    (np.reciprocal, _reciprocal, "``1 / x``; for integers the whole quotient."),
    (np.sign, _sign, "-1, 0 or 1; for complex numbers ``x / abs(x)``."),
    (np.conjugate, _lifted("conj"), "The complex conjugate."),
    (np.deg2rad, _scaled(math.pi / 180), "Degrees as radians."),
    (np.radians, _scaled(math.pi / 180), "Degrees as radians."),
    (np.rad2deg, _scaled(180 / math.pi), "Radians as degrees."),
    (np.degrees, _scaled(180 / math.pi), "Radians as degrees."),
    (np.isnan, _unless(_exact, _constant(False), "isnan"), "Whether elements are nan."),
    (np.isinf, _unless(_exact, _constant(False), "isinf"), "Whether elements are infinite."),
    (np.isfinite, _unless(_exact, _constant(True), "isfinite"), "Whether elements are neither infinite nor nan."),
    (np.signbit, _prim("signbit"), "Whether the sign bit is set."),
    (np.invert, _unless(lambda d: d == bool_, lambda x: prim("logical_not")(x), "invert"), "Bits inverted, ``~x``."),
    (np.logical_not, _logic("logical_not"), "Whether elements are zero."),
    (np.modf, _modf, "The fractional and the whole part, each with the sign of ``x``."),
    (np.frexp, _frexp, "Mantissas in [0.5, 1) and exponents: ``x = mantissa * 2**exponent``."),
    (np.spacing, _spacing, "The distance to the next number away from zero, with the sign of ``x``."),
    (np.bitwise_count, _bitwise_count, "How many bits of ``abs(x)`` are set."),
    (np.nextafter, _prim("nextafter"), "The next number after ``x1`` towards ``x2``."),
    (np.gcd, _prim("gcd"), "The greatest common divisor, not negative."),
    (np.lcm, _lcm, "The least common multiple, not negative."),
    (np.add, _prim("add"), "``x1 + x2``."),
    (np.subtract, _prim("sub"), "``x1 - x2``."),
    (np.multiply, _prim("mul"), "``x1 * x2``."),
    (np.divide, _prim("div"), "The true quotient ``x1 / x2``."),
    (np.floor_divide, _floordiv, "The quotient rounded down, ``x1 // x2``."),
    (np.remainder, _prim("mod"), "The remainder with the sign of ``x2``, ``x1 % x2``."),
    (np.fmod, _prim("fmod"), "The remainder with the sign of ``x1``."),
    (np.divmod, _divmod, "``(x1 // x2, x1 % x2)``."),
    (np.power, _power, "``x1 ** x2``."),
    (np.float_power, _power, "``x1 ** x2`` in float64 or complex128."),
    (np.maximum, _extreme("maximum", "ge"), "The larger element; nan if either is nan."),
    (np.minimum, _extreme("minimum", "le"), "The smaller element; nan if either is nan."),
    (np.fmax, _extreme("fmax", "ge"), "The larger element, ignoring nan."),
    (np.fmin, _extreme("fmin", "le"), "The smaller element, ignoring nan."),
    (np.arctan2, _prim("arctan2"), "The angle of the point ``(x2, x1)``."),
    (np.hypot, _prim("hypot"), "``sqrt(x1**2 + x2**2)`` without overflow."),
    (np.copysign, _prim("copysign"), "``x1`` with the sign of ``x2``."),
    (np.logaddexp, _prim("logaddexp"), "``log(exp(x1) + exp(x2))`` without overflow."),
    (np.logaddexp2, _logaddexp2, "``log2(2**x1 + 2**x2)`` without overflow."),
    (np.heaviside, _heaviside, "The step function: 0, ``x2`` at zero, 1."),
    (np.ldexp, _ldexp, "``x1 * 2**x2``."),
    *[
        (getattr(np, n), _compare(p), f"``x1 {s} x2``.")
        for n, p, s in (
            ("equal", "eq", "=="), ("not_equal", "ne", "!="), ("less", "lt", "<"), ("less_equal", "le", "<="),
            ("greater", "gt", ">"), ("greater_equal", "ge", ">="),
        )
    ],
    (np.logical_and, _logic("bitand"), "Whether both are nonzero."),
    (np.logical_or, _logic("bitor"), "Whether either is nonzero."),
    (np.logical_xor, _logic("bitxor"), "Whether exactly one is nonzero."),
    (np.bitwise_and, _prim("bitand"), "``x1 & x2``."),
    (np.bitwise_or, _prim("bitor"), "``x1 | x2``."),
    (np.bitwise_xor, _prim("bitxor"), "``x1 ^ x2``."),
    (np.left_shift, _prim("shl"), "``x1 << x2``."),
    (np.right_shift, _prim("shr"), "``x1 >> x2``."),
]  # fmt: skip

#: The implementation of each ufunc.
UFUNCS: dict[np.ufunc, Callable[..., Any]] = {uf: _define(uf, body, doc) for uf, body, doc in _TABLE}


def ufunc(uf: np.ufunc, *xs: Any) -> Any:
    """Apply a ufunc's implementation."""
    return UFUNCS[uf](*xs)


__all__ = ["ENTRIES", "UFUNCS", "apply", "current", "loop_dtypes", "ufunc"]
