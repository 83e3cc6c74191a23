"""Elementwise arithmetic, powers, rounding and extrema.

Each states its partial derivatives once; both modes follow. C++ text may use the functions of
``csrc/kernels/scalar.h`` (``needs``), which give Python's and NumPy's meaning where C++'s differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import Atom, Lit, Op
from weft.ir.primitive import Elementwise, Primitive, register
from weft.ir.types import ArrayType, DType, is_complex, is_inexact, real_dtype
from weft.primitives.declare import (
    ANY,
    BOOL,
    FLOATING,
    INEXACT,
    NUMERIC,
    REAL,
    check_dtypes,
    elementwise,
    elementwise_batch,
    format_cpp,
    like,
    prim,
)  # fmt: skip
from weft.primitives.samples import Sample, dtypes, values

SCALAR = ("scalar.h",)

# -- the four operations ---------------------------------------------------------------------------------------------

add = elementwise(
    "add", ANY, arity=2, numpy=np.add, cpp="{0} + {1}", partials=lambda x, y, z: [1, 1], linear=True, python="{0} + {1}"
)
sub = elementwise(
    "sub", NUMERIC, arity=2, numpy=np.subtract, cpp="{0} - {1}", partials=lambda x, y, z: [1, -1], linear=True,
    python="{0} - {1}",
)  # fmt: skip
mul = elementwise(
    "mul", ANY, arity=2, numpy=np.multiply, cpp="{0} * {1}", partials=lambda x, y, z: [y, x], python="{0} * {1}"
)


def _fma(x: Any, y: Any, z: Any) -> Any:
    """``x * y + z``, rounded once: the inexact sum of the exact product is rounded to odd before it is cut."""
    x, y, z = map(np.asarray, (x, y, z))
    if x.dtype == np.float16:
        return _fma(*[v.astype(np.float32) for v in (x, y, z)]).astype(np.float16)
    if x.dtype == np.float32:
        wide = [v.astype(np.float64) for v in (x, y, z)]
        return _sum_to_odd(wide[0] * wide[1], wide[2]).astype(np.float32)
    high, low = _product(x, y)
    head, tail = _two_sum(z, low)
    head, middle = _two_sum(high, head)
    exact = head + _sum_to_odd(tail, middle)
    special = np.where(np.isinf(z) & np.isfinite(x) & np.isfinite(y), z, x * y + z)
    return np.where(np.isfinite(exact) & (exact != 0), exact, special)


def _two_sum(a: Any, b: Any) -> Any:
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def _product(x: Any, y: Any) -> Any:
    def halves(v: Any) -> Any:
        c = v * 134217729.0
        top = c - (c - v)
        return top, v - top

    p, (a, b), (c, d) = x * y, halves(x), halves(y)
    return p, ((a * c - p) + a * d + b * c) + b * d


def _sum_to_odd(a: Any, b: Any) -> Any:
    """The sum; where it is inexact, that neighbour of the exact sum whose last bit is set."""
    s, error = _two_sum(a, b)
    even = (np.ascontiguousarray(s).view(np.int64).reshape(np.shape(s)) & 1) == 0
    away = np.nextafter(s, np.where(error > 0, np.inf, -np.inf))
    return np.where(np.isfinite(error) & (error != 0) & even, away, s)


fma = elementwise(
    "fma", FLOATING, arity=3, numpy=_fma, cpp="fma({0}, {1}, {2})", needs=SCALAR, cost=2,
    partials=lambda x, y, z, w: [y, x, 1], python="{0} * {1} + {2}", domain=(0.5, 3),
)  # fmt: skip
div: Primitive = elementwise(
    "div", INEXACT, arity=2, numpy=np.divide, cpp="{0} / {1}", cost=4, python="{0} / {1}",
    partials=lambda x, y, z: [lambda t: div(t, y), lambda t: neg(div(mul(t, z), y))],
)  # fmt: skip


def _reciprocal_cpp(operands: Sequence[str], dtypes: Sequence[DType], out: DType) -> str:
    text = "reciprocal({0})" if is_complex(out) else "({T})1 / {0}"
    return format_cpp(text)(operands, dtypes, out)


reciprocal = elementwise(
    "reciprocal", INEXACT, numpy=np.reciprocal, cpp=_reciprocal_cpp, needs=SCALAR, cost=4, python="1 / {0}",
    domain=(0.5, 3), partials=lambda x, y: [lambda t: neg(mul(t, mul(y, y)))],
)  # fmt: skip
neg: Primitive = elementwise(
    "neg", NUMERIC, numpy=np.negative, cpp="-{0}", partials=lambda x, y: [-1], linear=True, python="-{0}"
)


def _floor_quotient(x: Atom, y: Atom) -> Any:
    return lambda t: neg(mul(t, floor(div(x, y))))


def _trunc_quotient(x: Atom, y: Atom) -> Any:
    return lambda t: neg(mul(t, trunc(div(x, y))))


floordiv = elementwise(
    "floordiv", REAL, arity=2, numpy=np.floor_divide, cpp="floordiv({0}, {1})", needs=SCALAR, cost=8,
    partials=lambda x, y, z: [0, 0], python="{0} // {1}",
)  # fmt: skip
mod = elementwise(
    "mod", REAL, arity=2, numpy=np.remainder, cpp="mod({0}, {1})", needs=SCALAR, cost=8,
    partials=lambda x, y, z: [1, _floor_quotient(x, y)], python="{0} % {1}",
)  # fmt: skip
fmod = elementwise(
    "fmod", REAL, arity=2, numpy=np.fmod, cpp="fmod({0}, {1})", needs=SCALAR, cost=8,
    partials=lambda x, y, z: [1, _trunc_quotient(x, y)],
)  # fmt: skip

# -- powers ----------------------------------------------------------------------------------------------------------


def _power(x: Any, y: Any) -> Any:
    """``x ** y``. Negative integer exponents give the quotient 1 / x**-y truncated (the caller checks for them)."""
    x, y = np.asarray(x), np.asarray(y)
    if y.dtype.kind != "i" or np.all(y >= 0):
        return np.power(x, y)[()]
    up = np.power(x, np.where(y < 0, y & 1, y).astype(y.dtype))
    return np.where((y < 0) & (np.abs(x) != 1), np.zeros((), x.dtype), up)[()]


def _power_x(x: Atom, y: Atom) -> Any:
    if isinstance(y, Lit) and y.value == 0:
        return 0

    def partial(t: Atom) -> Atom:
        if isinstance(y, Lit) and y.value == 2:
            return mul(t, mul(like(2, x), x))
        if isinstance(y, Lit):
            return mul(t, mul(y, pow_(x, like(y.value - 1, y))))
        # 0 * 0 ** -1 is to be 0; elsewhere the exponent stays y - 1, so that the rule is differentiable in y
        eq, one, zero = prim("eq"), like(1, y), like(0, y)
        singular = prim("bitand")(eq(y, zero), prim("bitor")(eq(x, like(0, x)), prim("ne")(x, x)))
        powers = pow_(x, prim("select")(singular, one, sub(y, one)))
        return mul(t, mul(y, prim("select")(singular, zero, powers)))

    return partial


def _power_y(x: Atom, y: Atom, z: Atom) -> Any:
    # log of a zero base is replaced by 0, so that 0 ** y with y >= 0 has derivative 0 and not nan
    return lambda t: mul(t, mul(prim("log")(prim("select")(prim("eq")(x, like(0, x)), like(1, x), x)), z))


def _power_samples() -> list[Sample]:
    found: list[Sample] = []
    for d in dtypes(NUMERIC):
        kind = d.kind
        base = values(d, (2, 3), domain=(0.2, 3))
        small = np.array([[0, 1, 2], [3, 1, 2]]).astype(d) if kind in "iu" else values(d, (2, 3), seed=1)
        found += [((base, small), {}), ((base, small[0, 2]), {}), ((base[0, 0], small), {})]
        found.append(((base[0, 1], small[1, 1]), {}))
    found.append(((np.array([0.3, 1.5]), np.array([0.0, -2.0])), {}))
    found.append(((np.array([2, -1, -1, 0, 1]), np.array([-1, -2, -3, -1, -5])), {}))
    return found


pow_ = elementwise(
    "pow", NUMERIC, arity=2, numpy=_power, cpp="pow({0}, {1})", needs=SCALAR, cost=40,
    partials=lambda x, y, z: [_power_x(x, y), _power_y(x, y, z)], python="{0} ** {1}", samples=_power_samples,
)  # fmt: skip

sqrt = elementwise(
    "sqrt", INEXACT, numpy=np.sqrt, cpp="sqrt({0})", needs=SCALAR, cost=6, domain=(0.1, 4),
    partials=lambda x, y: [lambda t: div(mul(t, like(0.5, x)), y)],
)  # fmt: skip
cbrt = elementwise(
    "cbrt", FLOATING, numpy=np.cbrt, cpp="cbrt({0})", needs=SCALAR, cost=20, domain=(0.1, 4),
    partials=lambda x, y: [lambda t: div(mul(t, like(1 / 3, x)), mul(y, y))],
)  # fmt: skip
hypot = elementwise(
    "hypot", FLOATING, arity=2, numpy=np.hypot, cpp="hypot({0}, {1})", needs=SCALAR, cost=20,
    partials=lambda x, y, z: [lambda t: mul(t, div(x, _or_one(z))), lambda t: mul(t, div(y, _or_one(z)))],
)  # fmt: skip


def _or_one(z: Atom) -> Atom:
    return prim("select")(prim("eq")(z, like(0, z)), like(1, z), z)


# -- signs, rounding -------------------------------------------------------------------------------------------------


def _abs_type(*types: ArrayType) -> tuple[ArrayType, ...]:
    dtype = check_dtypes("abs", types, ANY)
    return (ArrayType(real_dtype(dtype), types[0].shape),)


def _abs_direction(x: Atom, y: Atom) -> Atom:
    """conj(x) / |x|, 0 at 0."""
    return div(prim("conj")(x), prim("cast")(_or_one(y), dtype=x.type.dtype))


def _abs_jvp(op: Op, tangents: Sequence[Atom | None]) -> Sequence[Atom | None]:
    (x,), (y,), (t,) = op.args, op.outs, tangents
    if t is None or not is_inexact(x.type.dtype):
        return [None]
    if is_complex(x.type.dtype):
        return [prim("real")(mul(t, _abs_direction(x, y)))]
    return [mul(t, sign(x))]


def _abs_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    (x,), (y,), (ct,) = op.args, op.outs, cts
    if ct is None or not is_inexact(x.type.dtype):
        return [None]
    if is_complex(x.type.dtype):
        return [mul(prim("cast")(ct, dtype=x.type.dtype), _abs_direction(x, y))]
    return [mul(ct, sign(x))]


abs_ = register(
    Primitive(
        "abs", _abs_type, np.abs, Elementwise(format_cpp("abs({0})"), SCALAR), _abs_jvp, _abs_vjp, elementwise_batch,
        inline_cheap=True, python=lambda args, attrs: f"np.abs({args[0]})",
        samples=lambda: [((values(d, s),), {}) for d in dtypes(ANY) for s in ((2, 3), (), (0,))],
    )
)  # fmt: skip
sign = elementwise("sign", REAL, numpy=np.sign, cpp="sign({0})", needs=SCALAR, partials=lambda x, y: [0])
floor = elementwise("floor", FLOATING, numpy=np.floor, cpp="floor({0})", needs=SCALAR, partials=lambda x, y: [0])
ceil = elementwise("ceil", FLOATING, numpy=np.ceil, cpp="ceil({0})", needs=SCALAR, partials=lambda x, y: [0])
trunc = elementwise("trunc", FLOATING, numpy=np.trunc, cpp="trunc({0})", needs=SCALAR, partials=lambda x, y: [0])
rint = elementwise("rint", FLOATING, numpy=np.rint, cpp="rint({0})", needs=SCALAR, partials=lambda x, y: [0])


def _same_sign(x: Atom, y: Atom) -> Atom:
    return prim("eq")(prim("signbit")(x), prim("signbit")(y))


copysign = elementwise(
    "copysign", FLOATING, arity=2, numpy=np.copysign, cpp="copysign({0}, {1})", needs=SCALAR,
    partials=lambda x, y, z: [lambda t: prim("select")(_same_sign(x, y), t, neg(t)), None],
)  # fmt: skip

# -- extrema ---------------------------------------------------------------------------------------------------------


def _extreme_partials(better: str, skip_nan: bool) -> Any:
    """The tangent goes to the extreme operand, halves to both on a tie."""

    def side(x: Atom, y: Atom) -> Any:
        def partial(t: Atom) -> Atom:
            select, eq = prim("select"), prim("eq")
            wins = prim(better)(x, y)
            if skip_nan:
                wins = prim("bitor")(wins, prim("isnan")(y))
            tie = select(eq(x, y), mul(t, like(0.5, t)), like(0, t))
            return select(wins, t, tie)

        return partial

    return lambda x, y, z: [side(x, y), side(y, x)]


maximum = elementwise(
    "maximum", BOOL + REAL, arity=2, numpy=np.maximum, cpp="maximum({0}, {1})", needs=SCALAR,
    partials=_extreme_partials("gt", False),
)  # fmt: skip
minimum = elementwise(
    "minimum", BOOL + REAL, arity=2, numpy=np.minimum, cpp="minimum({0}, {1})", needs=SCALAR,
    partials=_extreme_partials("lt", False),
)  # fmt: skip
fmax = elementwise(
    "fmax", BOOL + REAL, arity=2, numpy=np.fmax, cpp="fmax({0}, {1})", needs=SCALAR,
    partials=_extreme_partials("gt", True),
)  # fmt: skip
fmin = elementwise(
    "fmin", BOOL + REAL, arity=2, numpy=np.fmin, cpp="fmin({0}, {1})", needs=SCALAR,
    partials=_extreme_partials("lt", True),
)  # fmt: skip
