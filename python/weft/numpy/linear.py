"""Linear algebra with NumPy's names, results and errors, over stacks of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import _linalg as _results  # type: ignore[attr-defined]

from weft.ir.nodes import lit
from weft.ir.sizes import Shape, Size
from weft.ir.types import DType, c64, c128, f16, f32, f64, i32, i64, is_complex, real_dtype
from weft.numpy import products
from weft.numpy.common import (
    Staged,
    agree,
    array,
    astype,
    broadcast_shapes,
    broadcast_to,
    current,
    emit,
    number,
    of,
    op_error,
    prim,
    product,
    reshape,
    select,
    spread,
    static_bool,
    static_int,
    transpose,
    under,
    unsupported,
)  # fmt: skip
from weft.numpy.creation import eye, tril
from weft.numpy.norms import LINALG
from weft.numpy.reductions import any as any_
from weft.numpy.reductions import count_nonzero, max, sum
from weft.numpy.registry import implements
from weft.numpy.ufuncs import ufunc
from weft.staged.indexing import getitem

LinAlgError = np.linalg.LinAlgError

# -- arguments ---------------------------------------------------------------------------------------------------------


def _dtype(*xs: Staged) -> DType:
    """The dtype of results: float64 unless all are in single precision."""
    for x in xs:
        if x.dtype == f16:
            raise op_error(TypeError, "array type float16 is unsupported in linalg")
    single = all(real_dtype(x.dtype) == f32 for x in xs)
    if any(is_complex(x.dtype) for x in xs):
        return c64 if single else c128
    return f32 if single else f64


def inputs(*xs: Any) -> list[Staged]:
    """Arguments in the dtype that results have."""
    vs = [array(x) for x in xs]
    dtype = _dtype(*vs)
    return [astype(v, dtype) for v in vs]


def _stacked(x: Staged) -> Staged:
    if x.ndim < 2:
        raise op_error(LinAlgError, f"{x.ndim}-dimensional array given. Array must be at least two-dimensional")
    return x


def square(x: Staged) -> Staged:
    """``x`` as a stack of square matrices."""
    _stacked(x)

    def fail() -> None:
        raise op_error(LinAlgError, "Last 2 dimensions of the array must be square")

    agree(x.sizes[-2], x.sizes[-1], fail)
    return under(x, (*x.sizes[:-2], x.sizes[-1], x.sizes[-1]))


def _shorter(x: Staged, what: str) -> Size:
    """The shorter side of matrices."""
    m, n = [current().resolve(k) for k in x.sizes[-2:]]
    if m == n:
        return m
    return m if current().decide(">=", n - m, f"{what} needs to know which side of the matrix is shorter") else n


def _with_lead(x: Staged, lead: Shape, core: int) -> Staged:
    """``x`` with these leading axes before its last ``core`` ones."""
    return of(broadcast_to(x.atom, (*lead, *x.sizes[x.ndim - core :])))


def _adjoint(x: Staged) -> Staged:
    out = transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))
    return emit("conj", out) if is_complex(x.dtype) else out


def _several(name: str, x: Staged, **attrs: Any) -> Any:
    return [of(a) for a in prim(name)(x.atom, **attrs)]


# -- systems -----------------------------------------------------------------------------------------------------------


@implements(np.linalg.solve, module=LINALG)
def solve(a: Any, b: Any) -> Any:
    """``x`` with ``a @ x = b``; a one-dimensional ``b`` is one vector.

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> wnp.linalg.solve(wnp.array([[2.0, 0.0], [0.0, 4.0]]), wnp.array([2.0, 2.0]))
    Array([1. , 0.5])
    """
    x, y = inputs(a, b)
    x = square(x)
    vector = y.ndim == 1
    if y.ndim == 0:
        raise op_error(ValueError, "solve: Input operand 1 does not have enough dimensions")
    if vector:
        y = reshape(y, (y.sizes[0], 1))
    n, m = x.sizes[-1], y.sizes[-2]

    def fail() -> None:
        c = current()
        raise op_error(
            ValueError,
            "solve: Input operand 1 has a mismatch in its core dimension 0, with gufunc signature"
            f" {'(m,m),(m)->(m)' if vector else '(m,m),(m,n)->(m,n)'} (size {c.number(m)} is different from"
            f" {c.number(n)})",
        )

    agree(n, m, fail)
    y = under(y, (*y.sizes[:-2], n, y.sizes[-1]))
    lead = broadcast_shapes("solve", x.sizes[:-2], y.sizes[:-2])
    out = emit("solve", _with_lead(x, lead, 2), _with_lead(y, lead, 2))
    return reshape(out, out.sizes[:-1]) if vector else out


@implements(np.linalg.inv, module=LINALG)
def inv(a: Any) -> Any:
    """The inverse of square matrices.

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> wnp.linalg.inv(wnp.array([[2.0, 0.0], [0.0, 4.0]]))
    Array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    (x,) = inputs(a)
    x = square(x)
    return emit("solve", x, spread(astype(eye(of(_size(x.sizes[-1]))), x.dtype), x.sizes))


def _size(n: Size) -> Any:
    return current().builder.size_value(n)


@implements(np.linalg.tensorsolve, module=LINALG)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """``x`` with ``tensordot(a, x, x.ndim) = b``."""
    x, y = array(a), array(b)
    if axes is not None:
        order = list(range(x.ndim))
        for k in axes:
            order.remove(static_int(k, "axes"))
            order.append(static_int(k, "axes"))
        x = transpose(x, order)
    rest = x.sizes[y.ndim :]
    n, m = product(rest), product(x.sizes[: y.ndim])

    def fail() -> None:
        raise op_error(
            LinAlgError, "Input arrays must satisfy the requirement prod(a.shape[b.ndim:]) == prod(a.shape[:b.ndim])"
        )

    agree(m, n, fail)
    return reshape(solve(reshape(x, (m, n)), reshape(y, (m,))), rest)


@implements(np.linalg.tensorinv, module=LINALG)
def tensorinv(a: Any, ind: Any = 2) -> Any:
    """The inverse of the linear map that ``tensordot(a, x, ind)`` is."""
    x, k = array(a), static_int(ind, "ind")
    if k <= 0:
        raise op_error(ValueError, "Invalid ind argument.")
    flat = reshape(x, (product(x.sizes[:k]), product(x.sizes[k:])))
    return reshape(inv(flat), (*x.sizes[k:], *x.sizes[:k]))


@implements(np.linalg.cholesky, module=LINALG)
def cholesky(a: Any, /, *, upper: Any = False) -> Any:
    """The triangular factor of Hermitian positive definite matrices, of which one triangle is read.

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> wnp.linalg.cholesky(wnp.array([[4.0, 2.0], [2.0, 2.0]]))
    Array([[2., 0.],
           [1., 1.]])
    """
    (x,) = inputs(a)
    x = square(x)
    if static_bool(upper, "upper"):
        return _adjoint(emit("cholesky", _adjoint(x)))
    return emit("cholesky", x)


# -- determinants ------------------------------------------------------------------------------------------------------


@implements(np.linalg.det, module=LINALG)
def det(a: Any) -> Any:
    """The determinant; its derivative is exact at singular matrices too.

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> float(wnp.linalg.det(wnp.array([[2.0, 0.0], [0.0, 4.0]])))
    8.0
    """
    (x,) = inputs(a)
    return emit("det", square(x))


@implements(np.linalg.slogdet, module=LINALG)
def slogdet(a: Any) -> Any:
    """The sign of the determinant, and the logarithm of its absolute value.

    At a singular matrix it has no derivative: LinAlgError.
    """
    (x,) = inputs(a)
    return _results.SlogdetResult(*_several("slogdet", square(x)))


# -- eigenvalues -------------------------------------------------------------------------------------------------------


def _lower(UPLO: Any) -> bool:
    if not isinstance(UPLO, str) or UPLO.upper() not in ("L", "U"):
        raise op_error(ValueError, "UPLO argument must be 'L' or 'U'")
    return UPLO.upper() == "L"


@implements(np.linalg.eigh, module=LINALG)
def eigh(a: Any, UPLO: Any = "L") -> Any:
    """Eigenvalues in ascending order and eigenvectors of Hermitian matrices, of which one triangle is read.

    Eigenvectors of equal eigenvalues have no derivative: it comes out nan.

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> wnp.linalg.eigh(wnp.array([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    Array([1., 2.])
    """
    (x,) = inputs(a)
    return _results.EighResult(*_several("eigh", square(x), lower=_lower(UPLO), vectors=True))


@implements(np.linalg.eigvalsh, module=LINALG)
def eigvalsh(a: Any, UPLO: Any = "L") -> Any:
    """Eigenvalues of Hermitian matrices in ascending order."""
    (x,) = inputs(a)
    return emit("eigh", square(x), lower=_lower(UPLO), vectors=False)


def _general(name: str, a: Any) -> Staged:
    (x,) = inputs(a)
    x = square(x)
    if not is_complex(x.dtype):
        raise unsupported(
            f"np.linalg.{name} of a real matrix, whose results are real or complex as the values say",
            f"np.linalg.{name}(a.astype(complex)), or np.linalg.{name}h of a symmetric matrix"
            if name == "eig"
            else f"np.linalg.{name}(a.astype(complex)), or np.linalg.eigvalsh of a symmetric matrix",
        )
    return x


@implements(np.linalg.eig, module=LINALG)
def eig(a: Any) -> Any:
    """Eigenvalues and eigenvectors of complex matrices. The vectors have no derivative."""
    return _results.EigResult(*_several("eig", _general("eig", a), vectors=True, any_scale=False))


@implements(np.linalg.eigvals, module=LINALG)
def eigvals(a: Any) -> Any:
    """Eigenvalues of complex matrices."""
    return emit("eig", _general("eigvals", a), vectors=False, any_scale=False)


# -- singular values ---------------------------------------------------------------------------------------------------


@implements(np.linalg.svd, module=LINALG)
def svd(a: Any, full_matrices: Any = True, compute_uv: Any = True, hermitian: Any = False) -> Any:
    """The factors ``u, s, vh`` with ``a = u @ diag(s) @ vh``.

    Vectors that complete a basis have no derivative: give ``full_matrices=False`` for matrices that are not square.
    """
    (x,) = inputs(a)
    vectors, full = static_bool(compute_uv, "compute_uv"), static_bool(full_matrices, "full_matrices")
    if static_bool(hermitian, "hermitian"):
        return _svd_hermitian(square(x), vectors)
    k = _shorter(_stacked(x), "np.linalg.svd")
    full = full and x.sizes[-2:] != (k, k)
    if not vectors:
        return emit("svd", x, full=False, vectors=False, size=k)
    return _results.SVDResult(*_several("svd", x, full=full, vectors=True, size=k))


def _svd_hermitian(x: Staged, vectors: bool) -> Any:
    from weft.numpy.search import take_along_axis
    from weft.numpy.shape import flip
    from weft.numpy.sorting import argsort, sort

    if not vectors:
        return flip(sort(ufunc(np.absolute, eigvalsh(x))), -1)
    w, u = eigh(x)
    sign, size = ufunc(np.copysign, 1.0, w), ufunc(np.absolute, w)
    order = flip(argsort(size), -1)
    sign, size = take_along_axis(sign, order, -1), take_along_axis(size, order, -1)
    rows = (*order.sizes[:-1], 1, order.sizes[-1])
    u = take_along_axis(u, reshape(order, rows), -1)
    vh: Any = _adjoint(ufunc(np.multiply, u, reshape(sign, rows)))
    return _results.SVDResult(u, size, vh)


@implements(np.linalg.svdvals, module=LINALG)
def svdvals(x: Any, /) -> Any:
    """Singular values in descending order."""
    return svd(x, compute_uv=False)


@implements(np.linalg.pinv, module=LINALG)
def pinv(a: Any, rcond: Any = None, hermitian: Any = False, *, rtol: Any = np._NoValue) -> Any:
    """The pseudoinverse; singular values below ``rcond`` times the largest count as 0.

    Its derivative is that along matrices of the same rank.
    """
    (x,) = inputs(a)
    _stacked(x)
    if static_bool(hermitian, "hermitian"):
        x = square(x)
        x = ufunc(np.add, tril(x), _adjoint(tril(x, -1)))
    if rcond is None:
        rcond = 1e-15 if rtol is np._NoValue else _precision(x) if rtol is None else rtol
    elif rtol is not np._NoValue:
        raise op_error(ValueError, "`rtol` and `rcond` can't be both set.")
    cut = array(rcond, f64)
    return emit("pinv", x, spread(cut, x.sizes[:-2]))


def _precision(x: Staged) -> Staged:
    """The precision of a dtype times the longer side of matrices."""
    eps = float(np.finfo(real_dtype(x.dtype)).eps)
    longer = ufunc(np.maximum, *[of(_size(n)) for n in x.sizes[-2:]])
    return ufunc(np.multiply, astype(longer, f64), eps)


@implements(np.linalg.matrix_rank, module=LINALG)
def matrix_rank(A: Any, tol: Any = None, hermitian: Any = False, *, rtol: Any = None) -> Any:
    """How many singular values are above ``tol``."""
    if tol is not None and rtol is not None:
        raise op_error(ValueError, "`tol` and `rtol` can't be both set.")
    (x,) = inputs(A)
    if x.ndim < 2:
        raise unsupported("np.linalg.matrix_rank of a vector", "np.any(x != 0)")
    s = svd(x, compute_uv=False, hermitian=hermitian)
    if tol is None:
        part = astype(_precision(x), s.dtype) if rtol is None else _column(array(rtol))
        cut = ufunc(np.multiply, max(s, -1, keepdims=True, initial=0), part)
    else:
        cut = _column(array(tol))
    return count_nonzero(ufunc(np.greater, s, cut), -1)


def _column(x: Staged) -> Staged:
    return reshape(x, (*x.sizes, 1))


@implements(np.linalg.cond, module=LINALG)
def cond(x: Any, p: Any = None) -> Any:
    """The condition number: of the largest singular value over the smallest."""
    (v,) = inputs(x)
    _stacked(v)
    if isinstance(p, Staged) or p not in (None, 2, -2):
        raise unsupported(
            f"np.linalg.cond with p={p!r}", f"np.linalg.norm(x, {p!r}) * np.linalg.norm(np.linalg.inv(x), {p!r})"
        )
    if product(v.sizes[-2:]) == 0:
        raise op_error(LinAlgError, "cond is not defined on empty arrays")
    s = svdvals(v)
    first, last = getitem(s, (..., 0)), getitem(s, (..., -1))
    out = ufunc(np.divide, last, first) if p == -2 else ufunc(np.divide, first, last)
    given = any_(ufunc(np.isnan, v), (-2, -1))
    lost = ufunc(np.logical_and, ufunc(np.isnan, out), ufunc(np.logical_not, given))
    return select(lost, number(np.inf, out), array(out))


@implements(np.linalg.lstsq, module=LINALG)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """The least-squares solution of ``a @ x = b``, the residuals, the rank and the singular values of ``a``.

    The solution is the pseudoinverse's, whose derivative is that along matrices of the same rank.
    """
    x, y = inputs(a, b)
    vector = y.ndim == 1
    y = _column(y) if vector else y
    for v in (x, y):
        if v.ndim != 2:
            raise op_error(LinAlgError, f"{v.ndim}-dimensional array given. Array must be two-dimensional")

    def fail() -> None:
        raise op_error(LinAlgError, "Incompatible dimensions")

    agree(x.sizes[0], y.sizes[0], fail)
    y = under(y, (x.sizes[0], y.sizes[1]))
    cut = array(_precision(x) if rcond is None else rcond, f64)
    s = svdvals(x)
    found = products.matmul(emit("pinv", x, cut), y)
    bound = ufunc(np.multiply, astype(max(s, initial=0), f64), cut)
    rank = astype(count_nonzero(ufunc(np.greater, astype(s, f64), bound)), i32)
    out = reshape(found, found.sizes[:-1]) if vector else found
    return out, _residuals(x, y, found, rank), rank, s


def _residuals(x: Staged, y: Staged, found: Staged, rank: Staged) -> Staged:
    """Sums of squares for each column; none unless there are more rows than columns and the rank is full."""
    from weft.numpy.common import dim_or_int
    from weft.numpy.norms import _square as squares

    m, n = x.sizes
    dtype = real_dtype(x.dtype)
    if _shorter(x, "np.linalg.lstsq") == m:
        return of(prim("broadcast")(lit(0, dtype), shape=(0,), dims=()))
    gap = ufunc(np.subtract, y, products.matmul(x, found))
    total = sum(squares(gap), 0)
    full = ufunc(np.equal, astype(rank, i64), of(_size(n)))
    k = dim_or_int(select(full, of(_size(y.sizes[1])), number(0, astype(rank, i64))).atom)
    return getitem(total, slice(0, of(_size(k))))


# -- orthogonal and triangular factor ----------------------------------------------------------------------------------


@implements(np.linalg.qr, module=LINALG)
def qr(a: Any, mode: Any = "reduced") -> Any:
    """The factors ``q, r`` with ``a = q @ r``.

    Matrices with more columns than rows, and ``mode="complete"`` of those that are not square, have no derivative.
    """
    if mode not in ("reduced", "complete", "r"):
        if mode == "raw":
            raise unsupported("np.linalg.qr with mode='raw'", "mode='reduced'")
        raise op_error(ValueError, f"Unrecognized mode '{mode}'")
    (x,) = inputs(a)
    k = _shorter(_stacked(x), "np.linalg.qr")
    if mode == "r":
        return emit("qr", x, full=False, vectors=False, size=k)
    full = mode == "complete" and x.sizes[-2] != k
    return _results.QRResult(*_several("qr", x, full=full, vectors=True, size=k))
