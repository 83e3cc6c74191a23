"""Functions of `jax.lax.linalg`: factorisations of stacks of matrices."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.api.written import looped
from weft.lax.control import fori_loop, scan
from weft.lax.operands import array, error, same_dtype, text
from weft.lax.products import matched
from weft.lax.regions import apply, is_staged
from weft.numpy.common import array_of
from weft.numpy.linear import square

_np: Any = wnp.linalg


def _matrix(name: str, x: Any, square: bool = False) -> Any:
    x = array(x)
    if x.ndim < 2:
        raise error(ValueError, f"{name}: the argument must have at least two axes, got shape {text(x)}")
    if x.dtype.kind not in "fc":
        raise error(
            TypeError, f"{name} does not accept dtype {x.dtype}. Accepted dtypes are floating, complexfloating."
        )
    return x


def _adjoint(x: Any) -> Any:
    return wnp.conj(wnp.swapaxes(x, -1, -2)) if x.dtype.kind == "c" else wnp.swapaxes(x, -1, -2)


def cholesky(x: Any, *, symmetrize_input: bool = True) -> Any:
    """The lower triangular factor ``L`` of a positive definite matrix ``L @ L.H``.

    Parameters
    ----------
    x
        A stack of matrices.
    symmetrize_input
        Factorise the mean of the matrix and its adjoint; else only the lower triangle is read.
    """
    x = _matrix("cholesky", x)
    return _np.cholesky((x + _adjoint(x)) / 2 if symmetrize_input else x)


def eigh(
    x: Any, *, lower: bool = True, symmetrize_input: bool = True, sort_eigenvalues: bool = True,
    subset_by_index: tuple[int, int] | None = None, implementation: Any = None,
) -> tuple[Any, Any]:  # fmt: skip
    """Eigenvectors and eigenvalues of Hermitian matrices.

    Parameters
    ----------
    x
        A stack of matrices.
    lower
        Which triangle is read.
    symmetrize_input
        Use the mean of the matrix and its adjoint.
    sort_eigenvalues
        Accepted for compatibility: they are always in ascending order.
    subset_by_index
        The first eigenvalue that is wanted, and the one before which to stop.
    implementation
        Accepted as None only.

    Returns
    -------
    v, w
        The eigenvectors as columns, and the eigenvalues (the other order than NumPy's).
    """
    x = _matrix("eigh", x)
    w, v = _np.eigh((x + _adjoint(x)) / 2 if symmetrize_input else x, UPLO="L" if lower else "U")
    if subset_by_index is not None:
        lo, hi = subset_by_index
        w, v = w[..., lo:hi], v[..., lo:hi]
    return v, w


def eig(
    x: Any, *, compute_left_eigenvectors: bool = True, compute_right_eigenvectors: bool = True,
    enable_eigvec_derivs: bool = False, implementation: Any = None, use_magma: Any = None,
) -> list[Any]:  # fmt: skip
    """Eigenvalues and right eigenvectors of general matrices.

    Parameters
    ----------
    x
        A stack of matrices.
    compute_left_eigenvectors
        Must be False: `eig` of the adjoint gives the left eigenvectors.
    compute_right_eigenvectors
        Whether to give the right ones.
    enable_eigvec_derivs, implementation, use_magma
        Accepted for compatibility.
    """
    if compute_left_eigenvectors:
        raise NotImplementedError(
            "eig: left eigenvectors are not computed; pass compute_left_eigenvectors=False, and take those of"
            " x.conj().mT"
        )
    w, v = _np.eig(_matrix("eig", x))
    return [w, v] if compute_right_eigenvectors else [w]


def svd(
    x: Any, *, full_matrices: bool = True, compute_uv: bool = True, subset_by_index: Any = None, algorithm: Any = None
) -> Any:
    """Singular values and vectors.

    Parameters
    ----------
    x
        A stack of matrices.
    full_matrices
        Give square matrices of singular vectors.
    compute_uv
        Give ``(U, s, Vh)``; else ``s`` alone.
    subset_by_index
        The first singular value that is wanted, and the one before which to stop (with ``full_matrices=False``).
    algorithm
        Accepted for compatibility.
    """
    found = _np.svd(_matrix("svd", x), full_matrices=full_matrices and compute_uv, compute_uv=compute_uv)
    u, s, vh = found if compute_uv else (found, found, found)
    if subset_by_index is not None:
        if full_matrices and compute_uv:
            raise error(ValueError, "full_matrices and subset_by_index cannot both be set")
        lo, hi = subset_by_index
        s = s[..., lo:hi]
        u, vh = (u[..., lo:hi], vh[..., lo:hi, :]) if compute_uv else (s, s)
    return (u, s, vh) if compute_uv else s


def qr(x: Any, *, pivoting: bool = False, full_matrices: bool = True, use_magma: Any = None) -> tuple[Any, Any]:
    """An orthogonal and an upper triangular factor.

    Parameters
    ----------
    x
        A stack of matrices.
    pivoting
        Must be False.
    full_matrices
        Give a square orthogonal factor.
    use_magma
        Accepted for compatibility.
    """
    if pivoting:
        raise NotImplementedError("qr with pivoting=True is not available: leave the columns in their order")
    q, r = _np.qr(_matrix("qr", x), mode="complete" if full_matrices else "reduced")
    return q, r


def triangular_solve(
    a: Any, b: Any, *, left_side: bool = False, lower: bool = False, transpose_a: bool = False,
    conjugate_a: bool = False, unit_diagonal: bool = False,
) -> Any:  # fmt: skip
    """``x`` with ``op(a) @ x = b``, or ``x @ op(a) = b``, for triangular matrices.

    Parameters
    ----------
    a
        A stack of triangular matrices; the other triangle is not read.
    b
        The right-hand sides: a stack of matrices, or a stack of vectors.
    left_side
        The matrix stands left of the unknown; else right of it.
    lower
        The lower triangle is meant.
    transpose_a, conjugate_a
        ``op`` transposes, conjugates.
    unit_diagonal
        The diagonal is taken as ones and not read.

    Examples
    --------
    >>> import numpy as np, weft
    >>> a = np.array([[2.0, 0.0], [1.0, 1.0]])
    >>> weft.lax.linalg.triangular_solve(a, np.array([[2.0], [3.0]]), left_side=True, lower=True).tolist()
    [[1.0], [2.0]]
    """
    a, b = same_dtype("triangular_solve", (a, b))
    a = _matrix("triangular_solve", a)
    if conjugate_a:
        a = wnp.conj(a)
    if b.ndim == a.ndim - 1:
        b = wnp.expand_dims(b, -1 if left_side else -2)
        out = triangular_solve(
            a, b, left_side=left_side, lower=lower, transpose_a=transpose_a, unit_diagonal=unit_diagonal
        )
        return wnp.squeeze(out, -1 if left_side else -2)
    if is_staged(a):
        a = square(array_of(a))

    def fail() -> None:
        raise error(ValueError, f"triangular_solve: incompatible shapes {text(a)} and {text(b)}")

    side = b.ndim - (2 if left_side else 1)
    pairs = [(a.ndim - 1, side), *[(k, k) for k in range(a.ndim - 2)]]
    if a.ndim != b.ndim:
        fail()
    a, b = matched(a, b, pairs, fail)
    if not left_side:  # x op(a) = b is op(a)^T x^T = b^T
        b = wnp.swapaxes(b, -1, -2)
    x = apply(
        "triangular_solve",
        a,
        b,
        lower=bool(lower),
        trans=bool(transpose_a) == bool(left_side),
        unit=bool(unit_diagonal),
    )
    return x if left_side else wnp.swapaxes(x, -1, -2)


def lu(x: Any) -> tuple[Any, Any, Any]:
    """Triangular factors with row exchanges.

    Parameters
    ----------
    x
        A stack of matrices.

    Returns
    -------
    lu, pivots, permutation
        Both factors in one matrix, the row that each row was exchanged with, and the rows' order after all exchanges.
    """
    from weft.scipy.linalg import lu_factor

    x = _matrix("lu", x)
    found, pivots = lu_factor(x)
    pivots = pivots.astype(np.int32)
    return found, pivots, lu_pivots_to_permutation(pivots, x.shape[-2])


@looped("permutation_size")
def lu_pivots_to_permutation(pivots: Any, permutation_size: int) -> Any:
    """The permutation that a factorisation's row exchanges make.

    Parameters
    ----------
    pivots
        For each row the row that it was exchanged with: a stack of integer vectors.
    permutation_size
        The number of rows.
    """
    p, n = array(pivots), operator.index(permutation_size)
    rows = wnp.broadcast_to(wnp.arange(n).astype(np.int32), (*p.shape[:-1], n))

    def exchange(k: Any, at: Any) -> Any:
        j = wnp.take_along_axis(p, wnp.full((*p.shape[:-1], 1), k), axis=-1).astype(np.int64)
        here, there = at[..., k][..., None], wnp.take_along_axis(at, j, axis=-1)
        i = wnp.arange(n)
        return wnp.where(i == k, there, wnp.where(i == j, here, at))

    return fori_loop(0, int(p.shape[-1]), exchange, rows)


@looped()
def householder_product(a: Any, taus: Any) -> Any:
    """The product of Householder reflections, as `qr` in LAPACK stores them.

    Parameters
    ----------
    a
        Matrices whose columns have the reflections' vectors below the diagonal.
    taus
        Their factors.
    """
    a, t = same_dtype("householder_product", (a, taus))
    m, n = int(a.shape[-2]), int(a.shape[-1])
    k = int(t.shape[-1])
    q = wnp.broadcast_to(wnp.eye(m, n, dtype=a.dtype), a.shape)
    i = np.arange(m)
    for j in reversed(range(k)):
        v = wnp.where(i == j, np.ones((), a.dtype), wnp.where(i > j, a[..., :, j], np.zeros((), a.dtype)))
        row = wnp.matmul(wnp.conj(v)[..., None, :] if a.dtype.kind == "c" else v[..., None, :], q)
        q = q - t[..., j, None, None] * v[..., :, None] * row
    return q


@looped("perturb_singular")
def tridiagonal_solve(dl: Any, d: Any, du: Any, b: Any, *, perturb_singular: bool = False) -> Any:
    """``x`` with ``T @ x = b`` for tridiagonal matrices, without pivoting.

    Parameters
    ----------
    dl, d, du
        The lower, main and upper diagonals, all as long; the first of ``dl`` and the last of ``du`` are not read.
    b
        The right-hand sides: matrices.
    perturb_singular
        Must be False.
    """
    if perturb_singular:
        raise NotImplementedError("tridiagonal_solve with perturb_singular=True is not available")
    dl, d, du, b = same_dtype("tridiagonal_solve", (dl, d, du, b))
    if b.ndim != d.ndim + 1:
        raise error(ValueError, f"tridiagonal_solve: b must have one axis more than d, got {text(b)} and {text(d)}")
    rows = [wnp.moveaxis(v, -1, 0) for v in (dl, d, du)] + [wnp.moveaxis(b, -2, 0)]

    def down(carry: Any, row: Any) -> Any:
        upper, right = carry
        low, main, up, rhs = row
        pivot = main - low * upper
        new = (up / pivot, (rhs - low[..., None] * right) / pivot[..., None])
        return new, new

    zero = wnp.zeros_like(rows[1][0]), wnp.zeros_like(rows[3][0])
    first = wnp.concatenate([wnp.zeros_like(rows[0][:1]), rows[0][1:]])
    _, (upper, right) = scan(down, zero, (first, *rows[1:]))

    def back(x: Any, row: Any) -> Any:
        up, rhs = row
        x = rhs - up[..., None] * x
        return x, x

    last = wnp.concatenate([upper[:-1], wnp.zeros_like(upper[:1])])
    _, found = scan(back, zero[1], (last, right), reverse=True)
    return wnp.moveaxis(found, 0, -2)


def symmetric_product(
    a_matrix: Any, c_matrix: Any, *, alpha: float = 1.0, beta: float = 0.0, symmetrize_output: bool = False
) -> Any:
    """``alpha * A @ A.T + beta * C``.

    Parameters
    ----------
    a_matrix, c_matrix
        Stacks of matrices.
    alpha, beta
        Numbers.
    symmetrize_output
        Accepted for compatibility: the result is symmetric.
    """
    a, c = same_dtype("symmetric_product", (a_matrix, c_matrix))
    return alpha * (a @ wnp.swapaxes(a, -1, -2)) + beta * c


@looped()
def cholesky_update(r_matrix: Any, w_vector: Any) -> Any:
    """The upper triangular factor of ``R.T @ R + w w.T``.

    Parameters
    ----------
    r_matrix
        An upper triangular matrix.
    w_vector
        A vector.
    """
    r, w = same_dtype("cholesky_update", (r_matrix, w_vector))
    n = int(r.shape[-1])
    i = wnp.arange(n)

    def rotate(k: Any, carry: Any) -> Any:
        r, w = carry
        row = r[k]
        x, y = row[k], w[k]
        length = wnp.hypot(x, y)
        length_ = wnp.where(length == 0, wnp.ones_like(length), length)
        c, s = wnp.where(length == 0, 1.0, x / length_), y / length_
        new = wnp.where(i >= k, c * row + s * w, row)
        w = wnp.where(i >= k, c * w - s * row, w)
        return r.at[k].set(new), w

    return fori_loop(0, n, rotate, (r, w))[0]
