"""Cumulative operations along an axis.

The derivatives of cumprod, cummax and cummin are linear recurrences ``z[j] = a[j] * z[j - 1] + c[j]``, emitted as
`For` loops: exact where elements are zero, and differentiable again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft.ir.builder import current
from weft.ir.nodes import At, Atom, Op, Span, Var, lit
from weft.ir.primitive import Loops, Primitive, register
from weft.ir.sizes import Size
from weft.ir.types import ArrayType, i64, scalar
from weft.primitives.declare import BOOL, NUMERIC, REAL, check_dtypes, keep_dtype, like, linear_jvp, prim
from weft.primitives.reduction import highest, lowest
from weft.primitives.samples import Sample, dtypes, values


def _type_rule(name: str, kinds: str) -> Callable[..., tuple[ArrayType, ...]]:
    def type_rule(x: ArrayType, *, axis: int, reverse: bool) -> tuple[ArrayType, ...]:
        check_dtypes(name, [x], kinds)
        if not 0 <= axis < x.rank:
            raise np.exceptions.AxisError(axis, x.rank)
        return (x,)

    return type_rule


def _meaning(accumulate: Any) -> Callable[..., Any]:
    def meaning(x: Any, *, axis: int, reverse: bool) -> Any:
        with np.errstate(all="ignore"):
            if reverse:
                return np.flip(accumulate(np.flip(x, axis), axis=axis, dtype=x.dtype), axis)
            return accumulate(x, axis=axis, dtype=x.dtype)

    return meaning


def _batch(op: Op, args: Sequence[Atom], batched: Sequence[bool], size: Size) -> Sequence[Atom]:
    return [op.prim(args[0], axis=op.attrs["axis"] + 1, reverse=op.attrs["reverse"])]


def _python(function: str) -> Callable[[Sequence[str], dict[str, Any]], str]:
    def python(args: Sequence[str], attrs: dict[str, Any]) -> str:
        x, axis, dtype = args[0], attrs["axis"], keep_dtype(attrs) if "cum" in function else ""
        if attrs["reverse"]:
            return f"np.flip({function}(np.flip({x}, {axis}), axis={axis}{dtype}), {axis})"
        return f"{function}({x}, axis={axis}{dtype})"

    return python


def _samples(kinds: str, zeros: bool = False) -> Callable[[], list[Sample]]:
    def samples() -> list[Sample]:
        found: list[Sample] = []
        for d in dtypes(kinds):
            for s, axis in (((4,), 0), ((3, 2), 0), ((2, 3), 1), ((0,), 0), ((2, 3, 2), 1)):
                found += [((values(d, s),), {"axis": axis, "reverse": r}) for r in (False, True)]
        if zeros:
            x = values("f8", (5,))
            x[1] = x[3] = 0
            found += [((x,), {"axis": 0, "reverse": r}) for r in (False, True)]
        return found

    return samples


# -- sum -------------------------------------------------------------------------------------------------------------


def _sum_vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
    ct = cts[0]
    return [None if ct is None else cumsum(ct, axis=op.attrs["axis"], reverse=not op.attrs["reverse"])]


cumsum = register(
    Primitive(
        "cumsum", _type_rule("cumsum", NUMERIC), _meaning(np.add.accumulate), Loops("cumsum"), linear_jvp, _sum_vjp,
        _batch, linear=True, python=_python("np.cumsum"), samples=_samples(NUMERIC),
    )
)  # fmt: skip

# -- linear recurrences ----------------------------------------------------------------------------------------------


def _row(x: Atom, axis: int, k: Atom) -> Atom:
    """``x`` at position ``k`` of an axis."""
    spec = tuple([At() if d == axis else Span(s) for d, s in enumerate(x.type.shape)])
    places = [k if d == axis else 0 for d in range(x.type.rank)]
    return prim("index")(x, *places, spec=spec, mode="fast")  # type: ignore[no-any-return]


def recurrence(a: Atom, c: Atom, axis: int, *, reverse: bool, before: bool) -> Atom:
    """The recurrence ``z[j] = a[j] * z[j - 1] + c[j]`` along an axis (downwards if ``reverse``).

    With ``before=False`` the coefficient multiplies what leaves position j: ``z[j] = c[j] + a[j - 1] * z[j - 1]``,
    the transpose of the opposite direction.
    """
    add, mul = prim("add"), prim("mul")
    b = current()
    kept = tuple([s for d, s in enumerate(c.type.shape) if d != axis])
    state = ArrayType(c.type.dtype, kept)
    zero: Atom = like(0, c)
    if kept:
        zero = prim("broadcast")(zero, shape=kept, dims=())
    k, h = Var(scalar(i64), "k"), Var(state, "z")
    with b.scope((k, h)) as body:
        here, coefficient = _row(c, axis, k), _row(a, axis, k)
        if before:
            z = add(mul(coefficient, h), here)
            body.results = (z, z)
        else:
            z = add(here, h)
            body.results = (mul(coefficient, z), z)
    _, stacked = b.for_(c.type.shape[axis], (zero,), body, reverse=reverse)
    if axis == 0:
        return stacked
    order = [*range(1, axis + 1), 0, *range(axis + 1, c.type.rank)]
    return prim("transpose")(stacked, perm=tuple(order))  # type: ignore[no-any-return]


def _shifted(op: Op, first: Any) -> Atom:
    """The result one position earlier; ``first`` before the first."""
    from weft.primitives.shape import spans

    (x,), axis, reverse = op.args, op.attrs["axis"], op.attrs["reverse"]
    shape = x.type.shape
    edge = prim("broadcast")(lit(first, x.type.dtype), shape=(*shape[:axis], 1, *shape[axis + 1 :]), dims=())
    padded = prim("concat")(x, edge, axis=axis) if reverse else prim("concat")(edge, x, axis=axis)
    starts = [int(reverse) if d == axis else 0 for d in range(len(shape))]
    return prim("index")(  # type: ignore[no-any-return]
        op.prim(padded, axis=axis, reverse=reverse), *starts, spec=spans(shape), mode="fast"
    )


Coefficients = Callable[[Op], tuple[Atom, Atom]]


def _rules(coefficients: Coefficients) -> tuple[Any, Any]:
    """jvp and vjp from ``(a, b)``, where the tangent obeys ``z[j] = a[j] * z[j - 1] + b[j] * t[j]``."""

    def jvp(op: Op, tangents: Sequence[Atom | None]) -> Sequence[Atom | None]:
        if tangents[0] is None:
            return [None]
        a, b = coefficients(op)
        c = prim("mul")(b, tangents[0])
        return [recurrence(a, c, op.attrs["axis"], reverse=op.attrs["reverse"], before=True)]

    def vjp(op: Op, cts: Sequence[Atom | None], wanted: Sequence[bool]) -> Sequence[Atom | None]:
        if cts[0] is None:
            return [None]
        a, b = coefficients(op)
        back = recurrence(a, cts[0], op.attrs["axis"], reverse=not op.attrs["reverse"], before=False)
        return [prim("mul")(b, back)]

    return jvp, vjp


def _product_coefficients(op: Op) -> tuple[Atom, Atom]:
    return op.args[0], _shifted(op, 1)


def _extreme_coefficients(better: str, identity: Callable[[Any], Any]) -> Coefficients:
    def coefficients(op: Op) -> tuple[Atom, Atom]:
        (x,) = op.args
        previous = _shifted(op, identity(x.type.dtype))
        select = prim("select")
        tie = select(prim("eq")(x, previous), like(0.5, x), like(0, x))
        new = select(prim(better)(x, previous), like(1, x), tie)
        return prim("sub")(like(1, x), new), new

    return coefficients


def _cumulative(
    name: str, kinds: str, accumulate: Any, python: str, coefficients: Coefficients, zeros: bool = False
) -> Primitive:
    jvp, vjp = _rules(coefficients)
    return register(
        Primitive(
            name, _type_rule(name, kinds), _meaning(accumulate), Loops(name), jvp, vjp, _batch, python=_python(python),
            samples=_samples(kinds, zeros),
        )
    )  # fmt: skip


cumprod = _cumulative("cumprod", NUMERIC, np.multiply.accumulate, "np.cumprod", _product_coefficients, zeros=True)
cummax = _cumulative(
    "cummax", BOOL + REAL, np.maximum.accumulate, "np.maximum.accumulate", _extreme_coefficients("gt", lowest)
)
cummin = _cumulative(
    "cummin", BOOL + REAL, np.minimum.accumulate, "np.minimum.accumulate", _extreme_coefficients("lt", highest)
)
