"""Small emitters for stacks of matrices (the last two axes), from which the rules of linear algebra are written."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.ir.nodes import Atom, Gather, Span, lit
from weft.ir.sizes import Shape, Size, same_shape, same_size
from weft.ir.types import ArrayType, DType, c64, c128, f32, f64, i64, is_complex, real_dtype
from weft.primitives.declare import add_tangents, check_dtypes, like, prim, shape_text

#: What LAPACK computes in.
LAPACK = (f32, f64, c64, c128)


# -- types -----------------------------------------------------------------------------------------------------------


def check_matrices(name: str, *types: ArrayType) -> DType:
    """The one dtype of operands that are stacks of matrices with the same leading axes."""
    dtype = check_dtypes(name, types, "fc")
    if dtype not in LAPACK:
        raise TypeError(f"array type {dtype} is unsupported in linalg")
    for t in types:
        if t.rank < 2:
            raise np.linalg.LinAlgError(f"{t.rank}-dimensional array given. Array must be at least two-dimensional")
        if not same_shape(t.shape[:-2], types[0].shape[:-2]):
            raise ValueError(f"{name}: leading axes of {shape_text(types[0].shape)} and {shape_text(t.shape)} differ")
    return dtype


def check_square(name: str, *types: ArrayType) -> DType:
    """As `check_matrices`, where the first operand is square and the others have as many rows."""
    dtype = check_matrices(name, *types)
    n = types[0].shape[-1]
    if not same_size(types[0].shape[-2], n):
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")
    for t in types[1:]:
        if not same_size(t.shape[-2], n):
            raise ValueError(f"{name}: {shape_text(types[0].shape)} does not go with {shape_text(t.shape)}")
    return dtype


# -- arithmetic ------------------------------------------------------------------------------------------------------


def add(a: Atom, b: Atom) -> Atom:
    return prim("add")(a, b)  # type: ignore[no-any-return]


def sub(a: Atom, b: Atom) -> Atom:
    return prim("sub")(a, b)  # type: ignore[no-any-return]


def mul(a: Atom, b: Atom) -> Atom:
    return prim("mul")(a, b)  # type: ignore[no-any-return]


def neg(a: Atom) -> Atom:
    return prim("neg")(a)  # type: ignore[no-any-return]


def conj(a: Atom) -> Atom:
    """The complex conjugate; a real array itself."""
    return prim("conj")(a) if is_complex(a.type.dtype) else a


def real(a: Atom) -> Atom:
    """The real part; a real array itself."""
    return prim("real")(a) if is_complex(a.type.dtype) else a


def as_dtype(a: Atom, dtype: DType) -> Atom:
    """``a`` converted."""
    return a if a.type.dtype == dtype else prim("cast")(a, dtype=dtype)


def total(*terms: Atom | None) -> Atom | None:
    """The sum of those terms that are not None."""
    out: Atom | None = None
    for t in terms:
        out = add_tangents(out, t)
    return out


# -- matrices --------------------------------------------------------------------------------------------------------


def T(a: Atom) -> Atom:
    """The transpose of each matrix."""
    r = a.type.rank
    return prim("transpose")(a, perm=(*range(r - 2), r - 1, r - 2))  # type: ignore[no-any-return]


def H(a: Atom) -> Atom:
    """The conjugate transpose of each matrix."""
    return conj(T(a))


def mm(a: Atom, *others: Atom) -> Atom:
    """The product of matrices, from the left."""
    for b in others:
        r = a.type.rank
        lanes = tuple(range(r - 2))
        a = prim("dot")(a, b, contract=((r - 1,), (r - 2,)), batch=(lanes, lanes))
    return a


def number(n: Size, shape: Shape, axis: int) -> Atom:
    """The position along an axis, for every element."""
    return prim("broadcast")(prim("iota")(size=n, dtype=i64), shape=shape, dims=(axis,))  # type: ignore[no-any-return]


def compare(name: str, shape: Shape, offset: int = 0) -> Atom:
    """``row (name) column + offset`` for every element of matrices of this shape."""
    m, n = shape[-2:]
    row, column = number(m, (m, n), 0), number(n, (m, n), 1)
    mask = prim(name)(row, add(column, lit(offset)) if offset else column)
    return prim("broadcast")(mask, shape=shape, dims=(len(shape) - 2, len(shape) - 1)) if len(shape) > 2 else mask


def keep(mask: Atom, a: Atom, other: Any = 0) -> Atom:
    """``a`` where the mask holds, else a number."""
    return prim("select")(mask, a, like(other, a))  # type: ignore[no-any-return]


def tril(a: Atom, *, strict: bool = False) -> Atom:
    """The lower triangle; ``strict``: without the diagonal."""
    return keep(compare("gt" if strict else "ge", a.type.shape), a)


def triu(a: Atom, *, strict: bool = False) -> Atom:
    """The upper triangle; ``strict``: without the diagonal."""
    return keep(compare("lt" if strict else "le", a.type.shape), a)


def on_diagonal(a: Atom) -> Atom:
    """The matrices with everything off the diagonal zero."""
    return keep(compare("eq", a.type.shape), a)


def off_diagonal(a: Atom, fill: Any = 0) -> Atom:
    """The matrices with a number on the diagonal."""
    return keep(compare("ne", a.type.shape), a, fill)


def diagonal(a: Atom) -> Atom:
    """The diagonals of square matrices."""
    lead, n = a.type.shape[:-2], a.type.shape[-1]
    at = prim("iota")(size=n, dtype=i64)
    spec = (*[Span(s) for s in lead], Gather(), Gather())
    return prim("index")(a, *[lit(0)] * len(lead), at, at, spec=spec, mode="fast")  # type: ignore[no-any-return]


def trace(a: Atom) -> Atom:
    """The traces of square matrices."""
    r = a.type.rank
    return prim("reduce_sum")(on_diagonal(a), axes=(r - 2, r - 1))  # type: ignore[no-any-return]


def columns(v: Atom, shape: Shape) -> Atom:
    """Vectors as matrices whose column j is everywhere ``v[j]``."""
    r = len(shape)
    return prim("broadcast")(v, shape=shape, dims=(*range(r - 2), r - 1))  # type: ignore[no-any-return]


def rows(v: Atom, shape: Shape) -> Atom:
    """Vectors as matrices whose row i is everywhere ``v[i]``."""
    return prim("broadcast")(v, shape=shape, dims=tuple(range(len(shape) - 1)))  # type: ignore[no-any-return]


def diagonal_matrix(v: Atom, n: Size) -> Atom:
    """Vectors as the diagonals of square matrices."""
    return on_diagonal(rows(v, (*v.type.shape, n)))


def everywhere(s: Atom, shape: Shape) -> Atom:
    """A number for each matrix, in all its elements."""
    return prim("broadcast")(s, shape=shape, dims=tuple(range(len(shape) - 2))) if len(shape) > 2 else s


def eye_like(a: Atom) -> Atom:
    """Identity matrices of the shape of ``a``."""
    ones = prim("broadcast")(like(1, a), shape=a.type.shape, dims=())
    return on_diagonal(ones)


def imaginary_diagonal(a: Atom) -> Atom | None:
    """``i * imag`` of the diagonal; None for real matrices. It is its own transpose under Re(ct * t)."""
    if not is_complex(a.type.dtype):
        return None
    part = prim("imag")(on_diagonal(a))
    return prim("complex_")(like(0, part), part)  # type: ignore[no-any-return]


# -- Hermitian matrices given by one triangle --------------------------------------------------------------------------


def from_triangle(a: Atom, *, lower: bool) -> Atom:
    """The Hermitian matrix of which LAPACK reads one triangle (and of the diagonal the real part)."""
    strict = tril(a, strict=True) if lower else triu(a, strict=True)
    middle = as_dtype(real(on_diagonal(a)), a.type.dtype)
    return add(add(strict, H(strict)), middle)


def to_triangle(g: Atom, *, lower: bool) -> Atom:
    """The transpose of `from_triangle`: the cotangent of the triangle that is read."""
    both = add(g, H(g))
    strict = tril(both, strict=True) if lower else triu(both, strict=True)
    return add(strict, as_dtype(real(on_diagonal(g)), g.type.dtype))


# -- batching --------------------------------------------------------------------------------------------------------


def batch_leading(op: Any, args: Any, batched: Any, size: Size) -> Any:
    """The batching rule of primitives over leading axes: lanes are one more."""
    from weft.primitives.declare import to_batched

    out = op.prim(*[to_batched(a, b, size) for a, b in zip(args, batched, strict=True)], **op.attrs)
    return list(out) if isinstance(out, tuple) else [out]


# -- meanings --------------------------------------------------------------------------------------------------------


def real_type(t: ArrayType, shape: Shape) -> ArrayType:
    """The type of real results of a matrix's dtype."""
    return ArrayType(real_dtype(t.dtype), shape)
