"""Elementwise arithmetic, rounding, extrema and complex parts.

Each states its partial derivatives once; both modes follow. C++ text may use the functions of
``csrc/kernels/scalar.h`` (``needs``), which give Python's and NumPy's meaning where C++'s differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import Atom, Lit, Op
from weft.ir.primitive import Elementwise, Primitive, register
from weft.ir.types import SHORT, ArrayType, DType, c64, c128, f16, f32, f64, is_complex, is_inexact, real_dtype
from weft.primitives.declare import (
    ANY, BOOL, COMPLEX, FLOATING, INEXACT, NUMERIC, REAL, check_dtypes, common_shape, elementwise, elementwise_batch,
    format_cpp, like, prim, sum_to,
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
div = elementwise(
    "div", INEXACT, arity=2, numpy=np.divide, cpp="{0} / {1}", cost=4, python="{0} / {1}",
    partials=lambda x, y, z: [lambda t: div(t, y), lambda t: neg(div(mul(t, z), y))],
)  # fmt: skip


def _reciprocal_cpp(operands: Sequence[str], dtypes: Sequence[DType], out: DType) -> str:
    text = "reciprocal({0})" if is_complex(out) else "({T})1 / {0}"
    return format_cpp(text)(operands, dtypes, out)


reciprocal = elementwise(
    "reciprocal", INEXACT, numpy=np.reciprocal, cpp=_reciprocal_cpp, needs=SCALAR, cost=4, python="1 / {0}", domain=(0.5, 3),
    partials=lambda x, y: [lambda t: neg(mul(t, mul(y, y)))],
)  # fmt: skip
neg = elementwise(
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
    def partial(t: Atom) -> Atom:
        if isinstance(y, Lit) and y.value == 2:
            return mul(t, mul(like(2, x), x))
        one, zero = like(1, y), like(0, y)
        if isinstance(y, Lit):
            less: Atom = like(y.value - 1 if y.value != 0 else 1, y)
        else:
            less = prim("select")(prim("eq")(y, zero), one, sub(y, one))
        return mul(t, mul(y, pow_(x, less)))

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
    return div(conj(x), cast(_or_one(y), dtype=x.type.dtype))


def _abs_jvp(op: Op, tangents: Sequence[Atom | None]) -> Sequence[Atom | None]:
    (x,), (y,), (t,) = op.args, op.outs, tangents
    if t is None or not is_inexact(x.type.dtype):
        return [None]
    return [real(mul(t, _abs_direction(x, y))) if is_complex(x.type.dtype) else mul(t, sign(x))]


def _abs_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    (x,), (y,), (ct,) = op.args, op.outs, cts
    if ct is None or not is_inexact(x.type.dtype):
        return [None]
    if is_complex(x.type.dtype):
        return [mul(cast(ct, dtype=x.type.dtype), _abs_direction(x, y))]
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

# -- dtypes and complex parts ----------------------------------------------------------------------------------------


def _astype(x: Any, dtype: DType) -> Any:
    x = np.asarray(x)
    if x.dtype.kind == "c" and dtype.kind not in "cb":
        x = x.real
    with np.errstate(all="ignore"):
        return x.astype(dtype)[()]


def _cast_cpp(operands: Sequence[str], dtypes: Sequence[DType], out: DType) -> str:
    (x,), (source,) = operands, dtypes
    if source == out:
        return x
    if out.kind == "b":
        return f"nonzero({x})" if source.kind == "c" else f"{x} != 0"
    if out.kind == "c":
        part = SHORT[real_dtype(out)]
        return f"to_{SHORT[out]}({x})" if source.kind == "c" else f"{SHORT[out]}{{({part}){x}, 0}}"
    if source.kind == "c":
        return f"({SHORT[out]}){x}.re" if out.kind == "f" else f"({SHORT[out]})({x}.re)"
    if out == f16 and source not in (f32, np.dtype(np.int8), np.dtype(np.uint8)):
        return f"to_f16({x})"
    return f"({SHORT[out]}){x}"


def _cast_type(x: ArrayType, *, dtype: DType) -> tuple[ArrayType, ...]:
    if np.dtype(dtype).kind not in ANY:
        raise TypeError(f"cast: not defined for dtype {dtype}")
    return (ArrayType(np.dtype(dtype), x.shape),)


def _cast_jvp(op: Op, tangents: Sequence[Atom | None]) -> Sequence[Atom | None]:
    t, out = tangents[0], op.outs[0].type.dtype
    return [None if t is None or not is_inexact(out) else cast(t, dtype=out)]


def _cast_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    # a cast between real and complex is its own transpose under Re(ct * t)
    ct, dtype = cts[0], op.args[0].type.dtype
    return [None if ct is None or not is_inexact(dtype) else cast(ct, dtype=dtype)]


cast = register(
    Primitive(
        "cast", _cast_type, _astype, Elementwise(_cast_cpp, SCALAR), _cast_jvp, _cast_vjp, elementwise_batch,
        linear=True, inline_cheap=True, python=lambda args, attrs: f"np.{np.dtype(attrs['dtype']).name}({args[0]})",
        samples=lambda: [
            ((values(d, s, domain=(0, 5) if e.kind == "u" else (-3, 3)),), {"dtype": e})
            for d in dtypes(ANY) for e in dtypes(ANY) for s in ((2, 3), ()) if not (d.kind == "i" and e.kind == "u")
        ],
    )
)  # fmt: skip


def _linear_part(
    name: str, kinds: str, meaning: Any, cpp: str, result: Any, transpose: Any, python: str | None = None
) -> Primitive:
    """A real-linear map of one complex operand."""

    def jvp(op: Op, tangents: Sequence[Atom | None]) -> Sequence[Atom | None]:
        return [None if tangents[0] is None else op.prim(tangents[0])]

    def vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
        return [None if cts[0] is None else transpose(cts[0])]

    def type_rule(x: ArrayType) -> tuple[ArrayType, ...]:
        return (x.with_dtype(result(check_dtypes(name, [x], kinds))),)

    return register(
        Primitive(
            name, type_rule, meaning, Elementwise(format_cpp(cpp), SCALAR), jvp, vjp, elementwise_batch, linear=True,
            inline_cheap=True, python=lambda args, attrs: (python or f"np.{name}({{0}})").format(*args),
            samples=lambda: [((values(d, s),), {}) for d in dtypes(kinds) for s in ((2, 3), ())],
        )
    )  # fmt: skip


def _zero(like_: Atom) -> Any:
    return prim("broadcast")(like(0, like_), shape=like_.type.shape, dims=()) if like_.type.shape else like(0, like_)


real = _linear_part("real", COMPLEX, lambda x: np.real(x)[()], "{0}.re", real_dtype, lambda ct: complex_(ct, _zero(ct)))
imag = _linear_part(
    "imag", COMPLEX, lambda x: np.imag(x)[()], "{0}.im", real_dtype, lambda ct: complex_(_zero(ct), neg(ct))
)
conj = _linear_part("conj", COMPLEX, np.conj, "conj({0})", lambda d: d, lambda ct: conj(ct))


def _complex_type(*types: ArrayType) -> tuple[ArrayType, ...]:
    dtype = check_dtypes("complex", types, FLOATING)
    if dtype not in (f32, f64):
        raise TypeError(f"complex: not defined for dtype {dtype}")
    return (ArrayType(c64 if dtype == f32 else c128, common_shape("complex", types)),)


def _complex(re: Any, im: Any) -> Any:
    out = np.empty(np.broadcast_shapes(np.shape(re), np.shape(im)), c64 if np.asarray(re).dtype == f32 else c128)
    out.real, out.imag = re, im
    return out[()]


def _complex_jvp(op: Op, tangents: Sequence[Atom | None]) -> Sequence[Atom | None]:
    re, im = tangents
    if re is None and im is None:
        return [None]
    x, y = [like(0, a) if t is None else t for a, t in zip(op.args, tangents, strict=True)]
    if not x.type.shape and not y.type.shape and op.outs[0].type.shape:
        x = prim("broadcast")(x, shape=op.outs[0].type.shape, dims=())
    return [complex_(x, y)]


def _complex_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    ct = cts[0]
    if ct is None:
        return [None, None]
    re, im = op.args
    return [
        sum_to(real(ct), re.type) if wanted[0] else None,
        sum_to(neg(imag(ct)), im.type) if wanted[1] else None,
    ]


complex_ = register(
    Primitive(
        "complex_", _complex_type, _complex,
        Elementwise(lambda xs, dtypes, out: f"{SHORT[out]}{{{xs[0]}, {xs[1]}}}", SCALAR), _complex_jvp, _complex_vjp,
        elementwise_batch, linear=True, inline_cheap=True,
        python=lambda args, attrs: f"{args[0]} + 1j * {args[1]}",
        samples=lambda: [
            ((values(d, s, seed=1), values(d, r, seed=2)), {})
            for d in dtypes(FLOATING) for s, r in (((2, 3), (2, 3)), ((), ()), ((3,), ()), ((), (3,)))
        ],
    )
)  # fmt: skip


def _select_type(cond: ArrayType, a: ArrayType, b: ArrayType) -> tuple[ArrayType, ...]:
    if cond.dtype.kind != "b":
        raise TypeError(f"select: the condition is {cond}, not bool")
    return (ArrayType(check_dtypes("select", [a, b], ANY), common_shape("select", [cond, a, b])),)


def _select_jvp(op: Op, tangents: Sequence[Atom | None]) -> Sequence[Atom | None]:
    cond, a, b = op.args
    _, ta, tb = tangents
    if ta is None and tb is None:
        return [None]
    out = op.outs[0].type
    xs = [like(0, x) if t is None else t for x, t in ((a, ta), (b, tb))]
    if out.shape and not any(x.type.shape for x in (cond, *xs)):
        xs[0] = prim("broadcast")(xs[0], shape=out.shape, dims=())
    return [select(cond, *xs)]


def _select_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    ct = cts[0]
    cond, a, b = op.args
    if ct is None or not is_inexact(a.type.dtype):
        return [None, None, None]
    zero = like(0, a)
    return [
        None,
        sum_to(select(cond, ct, zero), a.type) if wanted[1] else None,
        sum_to(select(cond, zero, ct), b.type) if wanted[2] else None,
    ]


select = register(
    Primitive(
        "select", _select_type, lambda c, a, b: np.where(c, a, b)[()],
        Elementwise(lambda xs, dtypes, out: f"{xs[0]} ? {xs[1]} : {xs[2]}"), _select_jvp, _select_vjp,
        elementwise_batch, linear=True, inline_cheap=True,
        python=lambda args, attrs: f"np.where({', '.join(args)})",
        samples=lambda: [
            ((values("?", r), values(d, s, seed=1), values(d, q, seed=2)), {})
            for d in dtypes(ANY)
            for r, s, q in (((2, 3),) * 3, ((),) * 3, ((3,), (), ()), ((), (3,), ()), ((), (), (3,)), ((3,), (3,), ()))
        ],
    )
)  # fmt: skip
