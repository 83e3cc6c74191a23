"""What implementations share: snapshots of arguments, axes, sizes and small emitters."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from weft.errors import StagingError
from weft.ir.nodes import Atom, Gather, Lit, Span, lit
from weft.ir.sizes import Dim, Shape, Size, dim, same_size
from weft.ir.types import DType, bool_, i64
from weft.staged.arith import (
    broadcast_shapes,
    broadcast_to,
    cast,
    check_sizes,
    op_error,
    prim,
    result_dtype,
    retyped,
    shape_text,
)  # fmt: skip
from weft.staged.context import current
from weft.staged.sequence import to_array
from weft.staged.value import Staged, lift, size_object, size_of, wrap

AxisError = np.exceptions.AxisError


def emit(name: str, *args: Any, **attrs: Any) -> Staged:
    """The value of a primitive applied to values (or numbers), as an immutable array."""
    return wrap(prim(name)(*[a.atom if isinstance(a, Staged) else a for a in args], **attrs), "weft")


def of(atom: Atom) -> Staged:
    """An atom as an immutable array."""
    return wrap(atom, "weft")


def value(x: Any) -> Staged:
    """An argument's content now, as an immutable array; Python scalars stay weak."""
    v = to_array(x, flavour="weft") if isinstance(x, list | tuple) else lift(x)
    return v if v.flavour != "np" else of(v.atom)


def array(x: Any, dtype: Any = None) -> Staged:
    """As `value`, with Python scalars made arrays of NumPy's default dtype; converted to ``dtype`` if one is given."""
    v = value(x)
    atom = v.atom if dtype is None else cast(v.atom, np.dtype(dtype))
    return v if atom is v.atom and v.flavour == "weft" else of(atom)


array_of = array


def astype(x: Staged, dtype: Any) -> Staged:
    """``x`` converted to ``dtype``."""
    return x if x.dtype == dtype else of(cast(x.atom, np.dtype(dtype)))


def common(*xs: Any, dtype: Any = None) -> list[Staged]:
    """Arguments converted to their common dtype."""
    vs = [value(x) for x in xs]
    dtype = dtype or result_dtype(*vs)
    return [array(v, dtype) for v in vs]


def number(x: Any, like: Staged) -> Staged:
    """A Python number as a scalar of another value's dtype."""
    return of(lit(x, like.dtype))


def truth(x: Staged) -> Staged:
    """``x != 0`` as bools."""
    return x if x.dtype == bool_ else emit("ne", x, lit(0, x.dtype))


def select(cond: Staged, a: Staged, b: Staged) -> Staged:
    """Elements of ``a`` where ``cond``, else of ``b``; scalars go with any shape."""
    return emit("select", cond, a, b)


def away_from_zero(x: Staged, root: Any) -> Staged:
    """``root(x)`` of what is not negative, where 0 stays 0 and has derivative 0."""
    zero = emit("eq", x, number(0, x))
    return select(zero, number(0, x), root(select(zero, number(1, x), x)))


# -- axes --------------------------------------------------------------------------------------------------------------


def static_int(x: Any, what: str) -> int:
    """A number that has to be known while staging."""
    if isinstance(x, Staged):
        return int(x)
    try:
        return operator.index(x)
    except TypeError:
        raise op_error(TypeError, f"{what} must be an integer, not {type(x).__name__}") from None


def static_bool(x: Any, what: str) -> bool:
    """A flag that has to be known while staging."""
    if isinstance(x, Staged) and not isinstance(x.atom, Lit):
        raise StagingError(f"{what} must be known while staging", remedy=f"write {what}=True or False")
    return bool(x)


def axis_of(axis: Any, ndim: int) -> int:
    """An axis counted from the front."""
    k = static_int(axis, "axis")
    if not -ndim <= k < ndim:
        raise op_error(AxisError, f"axis {k} is out of bounds for array of dimension {ndim}")
    return k % ndim


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes of a reduction: None means all."""
    if axis is None:
        return tuple(range(ndim))
    axes = [axis_of(a, ndim) for a in (axis if isinstance(axis, list | tuple) else (axis,))]
    if len(set(axes)) != len(axes):
        raise op_error(ValueError, "duplicate value in 'axis'")
    return tuple(sorted(axes))


def kept(sizes: Shape, axes: Iterable[int]) -> Shape:
    """A shape with ones where axes were reduced."""
    gone = set(axes)
    return tuple([1 if k in gone else s for k, s in enumerate(sizes)])


# -- sizes -------------------------------------------------------------------------------------------------------------


def product(sizes: Iterable[Size]) -> Size:
    """The product of sizes: a number, an affine size, or a run-time value."""
    k, factors = 1, []
    for s in sizes:
        s = current().resolve(s)
        if isinstance(s, int):
            k *= s
        else:
            factors.append(s)
    if not factors or k == 0:
        return k
    total: Size = factors[0]
    b = current().builder
    if len(factors) > 1:
        a = b.size_value(total)
        for s in factors[1:]:
            a = prim("mul")(a, b.size_value(s))
        total = dim(a)  # type: ignore[arg-type]
        current().products[a] = tuple(factors)  # type: ignore[index]
    return total * k


def factors_of(sizes: Iterable[Size]) -> tuple[int, list[Size]]:
    """Sizes as a number times symbols that are not known to be products."""
    k = 1
    found: list[Size] = []
    stack = [current().resolve(s) for s in sizes]
    while stack:
        s = stack.pop()
        if isinstance(s, int):
            k *= s
            continue
        c = _content(s)
        s = s if c == 1 else Dim(s.const // c, tuple([(v, n // c) for v, n in s.terms]))
        k *= c
        known = current().products.get(s.var) if s.var is not None else None
        if known:
            stack.extend([current().resolve(t) for t in known])
        else:
            found.append(s)
    return k, found


def _content(s: Dim) -> int:
    return int(np.gcd.reduce([s.const, *[c for _, c in s.terms]]))


def quotient(whole: Iterable[Size], part: Iterable[Size], fail: Any) -> Size:
    """The size that makes ``part`` times it equal ``whole``; ``fail()`` raises when there is none.

    Symbols cancel; what is left is divided at run time, under a check.
    """
    k, have = factors_of(whole)
    n, used = factors_of(part)
    if n == 0:
        fail()
    left: list[Size] = []
    for s in used:
        if s in have:
            have.remove(s)
        else:
            left.append(s)
    if not left and (k % n == 0 or not have):
        if k % n:
            fail()
        return product([k // n, *have])
    b = current().builder
    total, divisor = b.size_value(product([k, *have])), b.size_value(product([n, *left]))
    q = prim("floordiv")(total, divisor)
    check(
        emit("eq", prim("mul")(q, divisor), total), ValueError, "cannot reshape array of size {} into rows of {}",
        total, divisor,
    )  # fmt: skip
    return dim_or_int(q)


def count(sizes: Iterable[Size], dtype: DType = i64) -> Staged:
    """The number of elements, as a scalar of ``dtype``."""
    return of(cast(current().builder.size_value(product(sizes)), dtype))


def check(pred: Staged, kind: type[Exception], message: str, *payload: Any) -> None:
    """Raise at run time unless ``pred``."""
    a = pred.atom
    if isinstance(a, Lit):
        if not a.value:
            values = [p.value if isinstance(p, Lit) else p for p in payload]
            raise op_error(kind, message.format(*values))
        return
    prim("check")(a, *payload, exc=kind.__name__, message=message)


def new_size(x: Any) -> Size:
    """A size of a new array: negative ones are refused, at run time if need be."""
    n = size_of(x)
    if isinstance(n, int):
        if n < 0:
            raise op_error(ValueError, "negative dimensions are not allowed")
    elif not current().at_least(n, 0):
        v = current().builder.size_value(n)
        check(emit("ge", v, lit(0)), ValueError, "negative dimensions are not allowed")
    return n


def dim_or_int(a: Atom) -> Size:
    """An i64 atom as a size."""
    return int(a.value) if isinstance(a, Lit) else dim(a)


def shape_of(shape: Any) -> Shape:
    """The shape that an int or a sequence of ints gives."""
    if isinstance(shape, list | tuple):
        return tuple([new_size(s) for s in shape])
    if isinstance(shape, np.ndarray):
        return tuple([new_size(int(s)) for s in shape])
    return (new_size(shape),)


def agree(a: Size, b: Size, fail: Any) -> None:
    """Make sure that two sizes are equal (no broadcasting); ``fail()`` raises."""
    ctx = current()
    a, b = ctx.resolve(a), ctx.resolve(b)
    if a == b:
        return
    m, n = ctx.number(a), ctx.number(b)
    if m is not None and n is not None:
        if m != n or not ctx.decide("==", a - b, "shapes that are used together agree"):
            fail()
        return
    check_sizes(a, b, "sizes {} and {} do not agree")


def under(x: Staged, shape: Shape) -> Staged:
    """``x`` under another name of its shape (sizes that a check has shown to be equal)."""
    if all(same_size(a, b) for a, b in zip(x.sizes, shape, strict=True)):
        return x
    return of(retyped(x.atom, shape))


def nonempty(x: Staged, axes: Sequence[int], message: str) -> None:
    """Refuse a reduction without identity over no elements."""
    for a in axes:
        n = x.sizes[a]
        if n == 0:
            raise op_error(ValueError, message)
        if not current().at_least(n, 1):
            v = current().builder.size_value(n)
            check(emit("gt", v, lit(0)), ValueError, message)


# -- arrangement -------------------------------------------------------------------------------------------------------


def full(fill: Atom, shape: Shape) -> Staged:
    """A scalar everywhere."""
    return of(prim("broadcast")(fill, shape=shape, dims=()) if shape else fill)


def iota(n: Size, dtype: DType = i64) -> Staged:
    """0, 1, ... n - 1."""
    return emit("iota", size=n, dtype=dtype)


def spread(x: Staged, shape: Shape) -> Staged:
    """``x`` with exactly this shape (a scalar is filled in)."""
    return full(x.atom, shape) if not x.sizes else of(broadcast_to(x.atom, shape))


def along(x: Staged, axis: int, rank: int) -> Staged:
    """A one-dimensional array standing along ``axis`` among ``rank`` axes."""
    shape: list[Size] = [1] * rank
    shape[axis] = x.sizes[0]
    return reshape(x, tuple(shape))


def reshape(x: Staged, shape: Shape) -> Staged:
    """The same elements, row-major, in a shape known to have as many."""
    return x if x.sizes == shape else emit("reshape", x, shape=shape)


def gather(x: Staged, indices: Staged, axis: int, mode: str = "check") -> Staged:
    """``x`` read at an integer array along one axis."""
    if not indices.sizes:
        row = gather(x, reshape(indices, (1,)), axis, mode)
        return reshape(row, (*x.sizes[:axis], *x.sizes[axis + 1 :]))
    spec = tuple([Gather() if k == axis else Span(n) for k, n in enumerate(x.sizes)])
    operands = [cast(indices.atom, i64) if k == axis else lit(0) for k in range(x.ndim)]
    return emit("index", x, *operands, spec=spec, mode=mode)


def transpose(x: Staged, perm: Sequence[int]) -> Staged:
    """The axes in another order."""
    perm = tuple(perm)
    return x if perm == tuple(range(x.ndim)) else emit("transpose", x, perm=perm)


def move(x: Staged, source: int, to: int) -> Staged:
    """One axis moved."""
    perm = [k for k in range(x.ndim) if k != source]
    perm.insert(to, source)
    return transpose(x, perm)


def unsupported(what: str, remedy: str = "") -> StagingError:
    """The error for what weft does not compile."""
    return StagingError(what, remedy=remedy, loc=current().loc)


__all__ = [
    "AxisError",
    "Dim",
    "Shape",
    "Size",
    "Staged",
    "agree",
    "along",
    "array",
    "array_of",
    "astype",
    "away_from_zero",
    "axes_of",
    "axis_of",
    "broadcast_shapes",
    "broadcast_to",
    "cast",
    "check",
    "common",
    "count",
    "current",
    "dim_or_int",
    "emit",
    "factors_of",
    "full",
    "gather",
    "iota",
    "kept",
    "lift",
    "lit",
    "move",
    "new_size",
    "nonempty",
    "number",
    "of",
    "op_error",
    "prim",
    "product",
    "quotient",
    "reshape",
    "result_dtype",
    "select",
    "shape_of",
    "shape_text",
    "size_object",
    "size_of",
    "spread",
    "static_bool",
    "static_int",
    "transpose",
    "truth",
    "under",
    "unsupported",
    "value",
    "wrap",
]  # fmt: skip
