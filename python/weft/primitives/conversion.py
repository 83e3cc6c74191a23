"""Casts, complex parts and selection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import Atom, Op
from weft.ir.primitive import Elementwise, Primitive, register
from weft.ir.types import SHORT, ArrayType, DType, c64, c128, f16, f32, f64, is_inexact, real_dtype
from weft.primitives.arithmetic import SCALAR
from weft.primitives.declare import (
    ANY,
    COMPLEX,
    FLOATING,
    check_dtypes,
    common_shape,
    elementwise_batch,
    format_cpp,
    hinted_type,
    like,
    prim,
    sum_to,
)  # fmt: skip
from weft.primitives.samples import dtypes, values

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


def _cast_python(args: Sequence[str], attrs: dict[str, Any]) -> str:
    dtype, t = np.dtype(attrs["dtype"]), hinted_type(attrs)
    x = f"np.real({args[0]})" if t and t.dtype.kind == "c" and dtype.kind not in "cb" else args[0]
    return f"np.{dtype.name}({x})"


cast = register(
    Primitive(
        "cast", _cast_type, _astype, Elementwise(_cast_cpp, SCALAR), _cast_jvp, _cast_vjp, elementwise_batch,
        linear=True, inline_cheap=True, python=_cast_python,
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
    "imag", COMPLEX, lambda x: np.imag(x)[()], "{0}.im", real_dtype, lambda ct: complex_(_zero(ct), prim("neg")(ct))
)
conj: Primitive = _linear_part("conj", COMPLEX, np.conj, "conj({0})", lambda d: d, lambda ct: conj(ct))


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
        sum_to(prim("neg")(imag(ct)), im.type) if wanted[1] else None,
    ]


complex_: Primitive = register(
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


# -- selection -------------------------------------------------------------------------------------------------------


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
        "select", _select_type, lambda c, a, b: np.asarray(np.where(c, a, b))[()],
        Elementwise(lambda xs, dtypes, out: f"select({xs[0]}, {xs[1]}, {xs[2]})"), _select_jvp, _select_vjp,
        elementwise_batch, linear=True, inline_cheap=True,
        python=lambda args, attrs: f"np.where({', '.join(args)})",
        samples=lambda: [
            ((values("?", r), values(d, s, seed=1), values(d, q, seed=2)), {})
            for d in dtypes(ANY)
            for r, s, q in (((2, 3),) * 3, ((),) * 3, ((3,), (), ()), ((), (3,), ()), ((), (), (3,)), ((3,), (3,), ()))
        ],
    )
)  # fmt: skip
