"""Helpers that declare primitives, and the rules that whole families share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import Atom, Lit, Op, lit
from weft.ir.primitive import REGISTRY, Elementwise, Primitive, register
from weft.ir.sizes import Shape, Size, same_shape
from weft.ir.types import SHORT, ArrayType, DType, f16, f32, is_inexact
from weft.primitives.samples import elementwise_samples

BOOL, INTEGER, FLOATING, COMPLEX = "b", "iu", "f", "c"
REAL = INTEGER + FLOATING
INEXACT = FLOATING + COMPLEX
NUMERIC = INTEGER + FLOATING + COMPLEX
ANY = BOOL + NUMERIC

Partials = Callable[..., Sequence[Any]]


def common_shape(name: str, types: Sequence[ArrayType]) -> Shape:
    """The shape of an elementwise result: scalars go with any shape, all others must agree."""
    shape: Shape = ()
    for t in types:
        if not t.shape:
            continue
        if shape and not same_shape(shape, t.shape):
            shapes = " ".join(shape_text(u.shape) for u in types)
            raise ValueError(f"operands could not be broadcast together with shapes {shapes} (in {name})")
        shape = shape or t.shape
    return shape


def types_text(types: Sequence[ArrayType]) -> str:
    """Types for an error message."""
    return ", ".join(map(repr, types))


def shape_text(shape: Shape) -> str:
    """A shape as NumPy prints it."""
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def check_dtypes(name: str, types: Sequence[ArrayType], kinds: str) -> DType:
    """The one dtype that all operands have, which must be of one of ``kinds``."""
    dtype = types[0].dtype
    if any(t.dtype != dtype for t in types):
        raise TypeError(f"{name}: operand dtypes differ ({types_text(types)})")
    if dtype.kind not in kinds:
        raise TypeError(f"{name}: not defined for dtype {dtype}")
    return dtype


def op_effect(op: Op) -> str:
    """The effect of this very operation: an access that is known to be in range cannot raise."""
    return "" if op.attrs.get("mode", "check") != "check" else op.prim.effect


# -- small emitters that several rules need --------------------------------------------------------------------------


def prim(name: str) -> Primitive:
    """The primitive of this name (families declared in other files)."""
    return REGISTRY[name]


def zeros(t: ArrayType) -> Atom:
    """A zero of type ``t``."""
    zero = lit(0, t.dtype)
    return prim("broadcast")(zero, shape=t.shape, dims=()) if t.shape else zero


def like(value: Any, a: Atom) -> Lit:
    """The scalar constant ``value`` of ``a``'s dtype."""
    return lit(value, a.type.dtype)


def fill_to(a: Atom, t: ArrayType) -> Atom:
    """A scalar broadcast to ``t``'s shape; anything else as it is."""
    return prim("broadcast")(a, shape=t.shape, dims=()) if t.shape and not a.type.shape else a


def sum_to(ct: Atom, t: ArrayType) -> Atom:
    """A cotangent summed to a scalar operand's type (the transpose of scalar broadcasting)."""
    if ct.type.shape and not t.shape:
        return prim("reduce_sum")(ct, axes=tuple(range(ct.type.rank)))
    return ct


def scaled(partial: Any, t: Atom) -> Atom | None:
    """``partial * t``; partial may also be None or 0 (no dependence), 1, -1, or a function of ``t``."""
    if callable(partial):
        return partial(t)  # type: ignore[no-any-return]
    if partial is None or (isinstance(partial, int | float) and partial == 0):
        return None
    if isinstance(partial, int | float):
        if partial == 1:
            return t
        if partial == -1:
            return prim("neg")(t)
        return prim("mul")(lit(partial, t.type.dtype), t)
    if isinstance(partial, Lit) and not partial.type.shape and partial.value == 1:
        return t
    return prim("mul")(partial, t)


def add_tangents(a: Atom | None, b: Atom | None) -> Atom | None:
    """The sum of two tangents, None being zero."""
    if a is None or b is None:
        return b if a is None else a
    return prim("add")(a, b)


def linear_jvp(op: Op, tangents: Sequence[Atom | None]) -> Sequence[Atom | None]:
    """The tangent rule of a linear primitive: itself, with zeros for the operands that have no tangent."""
    if all([t is None for t in tangents]) or not is_inexact(op.outs[0].type.dtype):
        return [None]
    return [op.prim(*[zeros(a.type) if t is None else t for a, t in zip(op.args, tangents, strict=True)], **op.attrs)]


def put_batch_first(x: Atom, axis: int) -> Atom:
    """``x`` with the batch axis moved from ``axis`` to the front."""
    if axis == 0:
        return x
    return prim("transpose")(x, perm=(axis, *[k for k in range(x.type.rank) if k != axis]))


def to_batched(x: Atom, batched: bool, size: Size) -> Atom:
    """``x`` with a leading batch axis."""
    return x if batched else prim("broadcast")(x, shape=(size, *x.type.shape), dims=tuple(range(1, x.type.rank + 1)))


# -- elementwise -----------------------------------------------------------------------------------------------------


def elementwise(
    name: str,
    kinds: str,
    *,
    numpy: Callable[..., Any],
    cpp: str | Callable[[Sequence[str], Sequence[DType], DType], str],
    partials: Partials | None = None,
    arity: int = 1,
    result: DType | Callable[[DType], DType] | None = None,
    needs: tuple[str, ...] = (),
    cost: int = 1,
    linear: bool = False,
    python: str | None = None,
    domain: tuple[float, float] = (-3.0, 3.0),
    samples: Callable[[], list[tuple[tuple[Any, ...], dict[str, Any]]]] | None = None,
) -> Primitive:
    """Declare an elementwise primitive whose operands share a dtype.

    Parameters
    ----------
    name
        The primitive's name.
    kinds
        The dtype kinds it takes (`REAL`, `FLOATING`, ...).
    numpy
        Its meaning.
    cpp
        The C++ expression: a format string over the operands, which come as primary expressions, or a function of
        ``(operands, operand dtypes, result dtype)``. In a string ``{T}`` is the result's C++ type name.
    partials
        ``partials(*operands, result) -> one partial derivative per operand``: an atom, a Python number, a function from
        the tangent (or cotangent) to its product with the partial, or None where the result does not depend on the
        operand differentiably. Absent for results that have no derivative.
    result
        The result's dtype, when it is not the operands'.
    needs
        Headers of ``csrc/kernels`` that the expression uses.
    cost
        Rough cost in additions; decides what is recomputed.
    python
        A format string for the unparser (operands come parenthesised as needed); absent: ``np.<numpy name>(...)``.
    domain
        Where the generated samples of floating operands lie.
    samples
        Samples instead of the generated ones.
    """

    def type_rule(*types: ArrayType) -> tuple[ArrayType, ...]:
        if len(types) != arity:
            raise TypeError(f"{name} takes {arity} operands, got {len(types)}")
        dtype = check_dtypes(name, types, kinds)
        out = result(dtype) if callable(result) else (result or dtype)
        return (ArrayType(out, common_shape(name, types)),)

    def meaning(*xs: Any) -> Any:
        with np.errstate(all="ignore"):
            return numpy(*xs)

    return register(
        Primitive(
            name=name,
            type_rule=type_rule,
            numpy=meaning,
            kind=Elementwise(format_cpp(cpp) if isinstance(cpp, str) else cpp, needs, cost),
            jvp=_elementwise_jvp(partials) if partials else None,
            vjp=_elementwise_vjp(partials) if partials else None,
            batch=elementwise_batch,
            linear=linear,
            inline_cheap=cost <= 2,
            python=_format_python(python) if python else _call_python(numpy),
            samples=samples or (lambda: elementwise_samples(kinds, arity, domain)),
        )
    )


def format_cpp(template: str) -> Callable[[Sequence[str], Sequence[DType], DType], str]:
    """The C++ expression of a format string over the operands; ``{T}`` is the result's type.

    C++ promotes small integers, so results of those types are cast back; float16 is computed in float.
    """

    def expr(operands: Sequence[str], dtypes: Sequence[DType], out: DType) -> str:
        if f16 in dtypes:
            operands = [f"((f32){x})" if d == f16 else x for x, d in zip(operands, dtypes, strict=True)]
            text = template.format(*operands, T=SHORT[f32 if out == f16 else out])
            return f"(f16)({text})" if out == f16 else text
        text = template.format(*operands, T=SHORT[out])
        small = out.kind in "biu" and out.itemsize < 4 and out in dtypes
        return f"({SHORT[out]})({text})" if small else text

    return expr


# Note [Python text]
# `Primitive.python` gets the operands as text and the attributes with every size as an int or as text. The unparser
# also passes ``attrs["types"]``, the operands' types with sizes likewise, which some texts need: `dot` for its ranks,
# `index` to print whole axes as ``:``, sums to keep the dtype of narrow integers, casts to drop imaginary parts.


def hinted_type(attrs: dict[str, Any], k: int = 0) -> ArrayType | None:
    """The type of operand ``k``, if the caller of a Python text gave it. See Note [Python text]."""
    types = attrs.get("types")
    return types[k] if types else None


def keep_dtype(attrs: dict[str, Any]) -> str:
    """The argument that stops NumPy's sums and products from widening narrow integers."""
    t = hinted_type(attrs)
    return f", dtype=np.{t.dtype.name}" if t and t.dtype.kind in "iu" and t.dtype.itemsize < 8 else ""


def _format_python(template: str) -> Callable[[Sequence[str], dict[str, Any]], str]:
    return lambda args, attrs: template.format(*args)


def _call_python(numpy: Callable[..., Any]) -> Callable[[Sequence[str], dict[str, Any]], str]:
    return lambda args, attrs: f"np.{numpy.__name__}({', '.join(args)})"


def _elementwise_jvp(partials: Partials) -> Callable[[Op, Sequence[Atom | None]], Sequence[Atom | None]]:
    def jvp(op: Op, tangents: Sequence[Atom | None]) -> Sequence[Atom | None]:
        if not is_inexact(op.outs[0].type.dtype):
            return [None]
        total: Atom | None = None
        for p, t in zip(partials(*op.args, op.outs[0]), tangents, strict=True):
            if t is not None:
                total = add_tangents(total, scaled(p, t))
        return [None if total is None else fill_to(total, op.outs[0].type)]

    return jvp


def _elementwise_vjp(
    partials: Partials,
) -> Callable[[Op, Sequence[Atom | None], Sequence[bool]], Sequence[Atom | None]]:
    def vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
        (ct,) = cts
        if ct is None or not is_inexact(op.outs[0].type.dtype):
            return [None] * len(op.args)
        found: list[Atom | None] = []
        for p, a, w in zip(partials(*op.args, op.outs[0]), op.args, wanted, strict=True):
            term = scaled(p, ct) if w and is_inexact(a.type.dtype) else None
            found.append(None if term is None else sum_to(term, a.type))
        return found

    return vjp


def elementwise_batch(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Any) -> Sequence[Atom]:
    """The batching rule of everything elementwise: operands are brought to the batched shape where ranks differ."""
    rank = max([a.type.rank - b for a, b in zip(args, batched, strict=True)])
    shape: Shape = (size,)
    for a, b in zip(args, batched, strict=True):
        if a.type.rank - b == rank:
            shape = (size, *a.type.shape[1 if b else 0 :])
    new: list[Atom] = []
    for a, b in zip(args, batched, strict=True):
        if b and a.type.rank - 1 < rank:
            a = prim("broadcast")(a, shape=shape, dims=(0,))
        elif not b and a.type.rank:
            a = prim("broadcast")(a, shape=shape, dims=tuple(range(1, rank + 1)))
        new.append(a)
    return [op.prim(*new, **op.attrs)]
