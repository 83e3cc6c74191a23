"""Factorisations and what is solved by them."""

from __future__ import annotations

from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.api.written import written
from weft.scipy.arguments import as_array, inexact, quiet
from weft.scipy.lanes import over
from weft.scipy.triangular import cho_solve, solve_triangular

_LA: Any = wnp.linalg


def _adjoint(a: Any) -> Any:
    return wnp.conj(wnp.swapaxes(a, -1, -2)) if a.dtype.kind == "c" else wnp.swapaxes(a, -1, -2)


def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The determinant: `weft.numpy.linalg.det`."""
    return _LA.det(*inexact(a))


def inv(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The inverse: `weft.numpy.linalg.inv`."""
    return _LA.inv(*inexact(a))


def cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """Cholesky's factor: the upper one by default, as SciPy has it.

    Examples
    --------
    >>> from weft.scipy import linalg
    >>> linalg.cholesky([[4.0, 2.0], [2.0, 2.0]])
    Array([[2., 1.],
           [0., 1.]])
    """
    found = _LA.cholesky(*inexact(a))
    return found if lower else _adjoint(found)


def cho_factor(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Any, bool]:
    """Cholesky's factor, and which triangle it is: what `cho_solve` takes."""
    return cholesky(a, lower), lower


def eigh(
    a: Any, b: Any = None, lower: bool = True, eigvals_only: bool = False, overwrite_a: bool = False,
    overwrite_b: bool = False, turbo: bool = True, eigvals: Any = None, type: int = 1, check_finite: bool = True,
) -> Any:  # fmt: skip
    """Eigenvalues, and eigenvectors, of Hermitian matrices.

    Parameters
    ----------
    a
        The matrices.
    b
        Positive definite ones: ``a @ v = w * b @ v`` is solved.
    lower
        Which triangle of ``a`` is read.
    eigvals_only
        Leave the eigenvectors out.
    overwrite_a, overwrite_b, turbo, check_finite
        Without effect.
    eigvals, type
        Not there: None and 1.

    Examples
    --------
    >>> from weft.scipy import linalg
    >>> linalg.eigh([[2.0, 0.0], [0.0, 1.0]], eigvals_only=True)
    Array([1., 2.])
    """
    if eigvals is not None or type != 1:
        raise NotImplementedError(
            "eigh() gives all eigenvalues of type 1: slice them, and leave out eigvals= and type="
        )
    if b is None:
        (a,) = inexact(a)
        found = _LA.eigvalsh(a, "L" if lower else "U") if eigvals_only else _LA.eigh(a, "L" if lower else "U")
        return found if eigvals_only else tuple(found)
    a, b = inexact(a, b)
    if not lower:
        a, b = _adjoint(a), _adjoint(b)
    a = wnp.tril(a) + _adjoint(wnp.tril(a, -1))
    low = _LA.cholesky(b)
    half = solve_triangular(low, a, lower=True, check_finite=False)
    inner = solve_triangular(low, _adjoint(half), lower=True, check_finite=False)
    if eigvals_only:
        return _LA.eigvalsh(inner)
    w, v = _LA.eigh(inner)
    return w, solve_triangular(low, v, 2, lower=True, check_finite=False)


@quiet
def eigh_tridiagonal(
    d: Any, e: Any, *, eigvals_only: bool = False, select: str = "a", select_range: Any = None, tol: Any = None,
    key: Any = None,
) -> Any:  # fmt: skip
    """Eigenvalues, and eigenvectors, of a Hermitian matrix with the diagonal ``d`` and ``e`` beside it.

    Parameters
    ----------
    d, e
        The diagonals.
    eigvals_only
        Leave the eigenvectors out.
    select, select_range
        ``"a"``: all; ``"i"``: those whose numbers are from the first to the second in the range.
    tol, key
        Without effect.

    Examples
    --------
    >>> from weft.scipy import linalg
    >>> linalg.eigh_tridiagonal([2.0, 1.0], [0.0], eigvals_only=True)
    Array([1., 2.])
    """
    if select not in ("a", "i"):
        raise NotImplementedError(
            f"eigh_tridiagonal() has select='a' and 'i': with {select!r}, how many there are depends on values"
        )
    d, e = inexact(d, e)
    a = wnp.diag(d) + wnp.diag(e, -1) + wnp.diag(wnp.conj(e), 1)
    chosen = slice(None) if select == "a" else slice(int(select_range[0]), int(select_range[1]) + 1)
    if eigvals_only:
        return _LA.eigvalsh(a)[chosen]
    w, v = _LA.eigh(a)
    return w[chosen], v[:, chosen]


@quiet
def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, overwrite_a: bool = False, check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:  # fmt: skip
    """Singular values, and vectors: `weft.numpy.linalg.svd` as a tuple."""
    (a,) = inexact(a)
    found = _LA.svd(a, full_matrices, compute_uv)
    return tuple(found) if compute_uv else found


@quiet
def qr(
    a: Any, overwrite_a: bool = False, lwork: Any = None, mode: str = "full", pivoting: bool = False,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    """Factors ``q`` with orthogonal columns and ``r`` upper triangular.

    Parameters
    ----------
    a
        Matrices.
    overwrite_a, lwork, check_finite
        Without effect.
    mode
        ``"full"``, ``"economic"``, or ``"r"``, which gives a tuple of ``r`` alone.
    pivoting
        Not there: False.
    """
    if pivoting:
        raise NotImplementedError("qr() has no pivoting: NumPy has none")
    if mode not in ("full", "economic", "r"):
        raise ValueError(f"qr() has the modes 'full', 'economic' and 'r', not {mode!r}")
    (a,) = inexact(a)
    if mode == "r":
        q, r = _LA.qr(a, "complete")
        return (r,)
    q, r = _LA.qr(a, "complete" if mode == "full" else "reduced")
    return q, r


@quiet
def qr_multiply(
    a: Any, c: Any, mode: str = "right", pivoting: bool = False, conjugate: bool = False, overwrite_a: bool = False,
    overwrite_c: bool = False,
) -> Any:  # fmt: skip
    """``c @ q`` (mode ``"right"``) or ``q @ c``, and ``r``, of ``a = q @ r``."""
    if pivoting:
        raise NotImplementedError("qr_multiply() has no pivoting: NumPy has none")
    if mode not in ("right", "left"):
        raise ValueError(f"qr_multiply() has the modes 'right' and 'left', not {mode!r}")
    a, c = inexact(a, c)
    q, r = _LA.qr(a)
    q = wnp.conj(q) if conjugate else q
    if c.ndim == 1:
        return (q @ c if mode == "left" else c @ q), r
    return (q @ c if mode == "left" else c @ q), r


_ASSUMED = {"gen": False, "general": False, "sym": False, "her": False, "pos": True, "positive definite": True}


@quiet
def solve(
    a: Any, b: Any, lower: bool = False, overwrite_a: bool = False, overwrite_b: bool = False, debug: bool = False,
    check_finite: bool = True, assume_a: str = "gen",
) -> Any:  # fmt: skip
    """``x`` with ``a @ x = b``.

    Parameters
    ----------
    a, b
        Square matrices, and vectors or matrices.
    lower
        For symmetric and positive definite ones, which triangle is read.
    overwrite_a, overwrite_b, debug, check_finite
        Without effect.
    assume_a
        ``"gen"``, ``"sym"``, ``"her"``, or ``"pos"``, which is solved by Cholesky's factor.

    Examples
    --------
    >>> from weft.scipy import linalg
    >>> linalg.solve([[2.0, 0.0], [0.0, 4.0]], [1.0, 1.0])
    Array([0.5 , 0.25])
    """
    if assume_a not in _ASSUMED:
        raise ValueError(f"solve(): assume_a is one of {', '.join(_ASSUMED)}, not {assume_a!r}")
    a, b = inexact(a, b)
    if assume_a not in ("gen", "general"):
        half = wnp.tril(a) if lower else _adjoint(wnp.triu(a))
        strict = wnp.tril(half, -1)
        a = half + (wnp.swapaxes(strict, -1, -2) if assume_a == "sym" else _adjoint(strict))
    if _ASSUMED[assume_a]:
        return cho_solve((_LA.cholesky(a), True), b, check_finite=False)
    if b.ndim == 1 and a.ndim > 2:
        return _LA.solve(a, b[:, None])[..., 0]
    return _LA.solve(a, b)


# -- LU ----------------------------------------------------------------------------------------------------------------


@written()
def _eliminated(a: Any) -> Any:
    """Both factors in one matrix, and the row that each row was swapped with."""
    m, n = a.shape
    count = min(m, n)
    lu = np.array(a)
    pivots = np.zeros(count, np.int32)
    for k in range(count):
        p = k + np.argmax(np.abs(lu[k:, k]))
        pivots[k] = p
        row = lu[k].copy()
        lu[k] = lu[p]
        lu[p] = row
        top = lu[k, k]
        if top != 0:
            for i in range(k + 1, m):
                factor = lu[i, k] / top
                lu[i, k] = factor
                for j in range(k + 1, n):
                    lu[i, j] -= factor * lu[k, j]
    return lu, pivots


@written()
def _permutation(pivots: Any, rows: Any) -> Any:
    """Which row of the matrix stands where after the swaps."""
    order = np.arange(rows.shape[0])
    for k in range(pivots.shape[0]):
        p = pivots[k]
        here = order[k]
        order[k] = order[p]
        order[p] = here
    return order


def _order(pivots: Any, rows: Any) -> Any:
    return as_array(_permutation(pivots, rows))


@quiet
def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Any, Any]:
    """Both triangular factors in one matrix, and the row that each row was swapped with: what `lu_solve` takes.

    Examples
    --------
    >>> from weft.scipy import linalg
    >>> linalg.lu_factor([[1.0, 2.0], [2.0, 2.0]])[0]
    Array([[2. , 2. ],
           [0.5, 1. ]])
    """
    (a,) = inexact(a)
    found, pivots = over(_eliminated, 2, a)
    return as_array(found), as_array(pivots)


@quiet
def lu(a: Any, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """``p``, ``l`` and ``u`` with ``a = p @ l @ u``: a permutation, unit lower and upper triangular matrices.

    Parameters
    ----------
    a
        Matrices.
    permute_l
        Give ``p @ l`` and ``u``.
    overwrite_a, check_finite
        Without effect.
    """
    (a,) = inexact(a)

    def one(a: Any) -> Any:
        found, pivots = lu_factor(a)
        order = _order(pivots, a[:, 0])
        m, n = a.shape
        real = np.zeros((), a.dtype).real.dtype
        p = (wnp.arange(m)[:, None] == order[None, :]).astype(real)
        low = wnp.tril(found, -1)[:, : pivots.shape[0]] + wnp.eye(m, pivots.shape[0], dtype=a.dtype)
        up = wnp.triu(found)[: pivots.shape[0]]
        return (p.astype(a.dtype) @ low, up) if permute_l else (p, low, up)

    return over(one, 2, a)


@quiet
def lu_solve(
    lu_and_piv: tuple[Any, Any], b: Any, trans: int = 0, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    """``x`` with ``a @ x = b`` (``trans=1``: with the transpose; 2: the adjoint), given `lu_factor` of ``a``.

    Examples
    --------
    >>> from weft.scipy import linalg
    >>> linalg.lu_solve(linalg.lu_factor([[2.0, 0.0], [0.0, 4.0]]), [1.0, 1.0])
    Array([0.5 , 0.25])
    """
    if trans not in (0, 1, 2):
        raise ValueError(f"lu_solve(): trans is 0, 1 or 2, not {trans!r}")
    found, pivots = lu_and_piv
    found, b = inexact(found, b)
    order = _order(pivots, found[:, 0])
    if trans == 0:
        y = solve_triangular(found, b[order], lower=True, unit_diagonal=True, check_finite=False)
        return solve_triangular(found, y, check_finite=False)
    y = solve_triangular(found, b, trans, check_finite=False)
    y = solve_triangular(found, y, trans, lower=True, unit_diagonal=True, check_finite=False)
    return y[wnp.argsort(order)]


# -- others ------------------------------------------------------------------------------------------------------------


@quiet
def polar(a: Any, side: str = "right", *, method: Any = None, eps: Any = None, max_iterations: Any = None) -> Any:
    """``u`` with orthogonal columns (or rows) and ``p`` positive with ``a = u @ p``, or ``a = p @ u`` from the left.

    Parameters
    ----------
    a
        Matrices.
    side
        ``"right"`` or ``"left"``: where ``p`` stands.
    method, eps, max_iterations
        Without effect: it is computed from singular vectors.
    """
    if side not in ("right", "left"):
        raise ValueError(f"polar(): side is 'right' or 'left', not {side!r}")
    (a,) = inexact(a)
    left, values, right = _LA.svd(a, full_matrices=False)
    values = values.astype(a.dtype)[..., None, :]
    p = _adjoint(right) * values @ right if side == "right" else left * values @ _adjoint(left)
    return left @ right, p


@quiet
def solve_sylvester(A: Any, B: Any, C: Any, *, method: Any = None, tol: Any = None) -> Any:
    """``x`` with ``A @ x + x @ B = C``, as one linear system: for small matrices.

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> from weft.scipy import linalg
    >>> linalg.solve_sylvester(wnp.eye(2), wnp.eye(2), wnp.eye(2))
    Array([[0.5, 0. ],
           [0. , 0.5]])
    """
    a, b, c = inexact(A, B, C)
    m, n = c.shape[-2], c.shape[-1]
    if a.shape[-1] != m or a.shape[-2] != m or b.shape[-1] != n or b.shape[-2] != n:
        raise ValueError("solve_sylvester(): A and B must be square, with as many rows as C has rows and columns")
    if max(a.ndim, b.ndim, c.ndim) > 2:
        raise NotImplementedError("solve_sylvester() takes one system: use weft.vmap for more")
    whole = wnp.kron(a, wnp.eye(n, dtype=a.dtype)) + wnp.kron(wnp.eye(m, dtype=a.dtype), b.T)
    return wnp.reshape(_LA.solve(whole, wnp.ravel(c)), (m, n))


__all__ = [
    "cho_factor", "cho_solve", "cholesky", "det", "eigh", "eigh_tridiagonal", "inv", "lu", "lu_factor", "lu_solve",
    "polar", "qr", "qr_multiply", "solve", "solve_sylvester", "svd",
]  # fmt: skip
