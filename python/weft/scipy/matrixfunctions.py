"""The exponential of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.api.written import written
from weft.lax import stop_gradient
from weft.scipy.arguments import inexact, quiet
from weft.scipy.lanes import over
from weft.scipy.triangular import solve_triangular

#: The coefficients of Padé's approximations, and the norm up to which each is exact.
_SINGLE = (17297280.0, 8648640.0, 1995840.0, 277200.0, 25200.0, 1512.0, 56.0, 1.0)
_DOUBLE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
    10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
_LA: Any = wnp.linalg
_NORMS = {4: 3.925724783138660, 8: 5.371920351148152}


def _approximation(a: Any, width: int) -> tuple[Any, Any]:
    """The odd and the even part of Padé's approximation."""
    b: tuple[float, ...] = _SINGLE if width == 4 else _DOUBLE
    one, square = wnp.eye(a.shape[-1], dtype=a.dtype), a @ a
    powers = [one, square]
    for _ in range(2):
        powers.append(powers[-1] @ square)
    if width == 4:
        odd = b[7] * powers[3] + b[5] * powers[2] + b[3] * powers[1] + b[1] * one
        return a @ odd, b[6] * powers[3] + b[4] * powers[2] + b[2] * powers[1] + b[0] * one
    high = b[13] * powers[3] + b[11] * powers[2] + b[9] * powers[1]
    odd = powers[3] @ high + b[7] * powers[3] + b[5] * powers[2] + b[3] * powers[1] + b[1] * one
    high = b[12] * powers[3] + b[10] * powers[2] + b[8] * powers[1]
    return a @ odd, powers[3] @ high + b[6] * powers[3] + b[4] * powers[2] + b[2] * powers[1] + b[0] * one


@written()
def _squared(r: Any, count: Any) -> Any:
    """``r`` squared so many times."""
    for _ in range(count):
        r = r @ r
    return r


@quiet
def expm(A: Any, *, upper_triangular: bool = False, max_squarings: int = 16) -> Any:
    """The exponential of square matrices.

    Parameters
    ----------
    A
        Matrices.
    upper_triangular
        Only these triangles are there; solves become cheaper.
    max_squarings
        Where more are needed the result is nan.

    Examples
    --------
    >>> from weft.scipy import linalg
    >>> linalg.expm([[0.0, 1.0], [0.0, 0.0]])
    Array([[1., 1.],
           [0., 1.]])
    """
    (a,) = inexact(A)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ValueError("expm() wants square matrices")
    if a.ndim > 2:
        return over(lambda m: expm(m, upper_triangular=upper_triangular, max_squarings=max_squarings), 2, a)
    width = np.zeros((), a.dtype).real.itemsize
    size = stop_gradient(wnp.max(wnp.sum(wnp.abs(a), axis=0), initial=0))
    fine = wnp.isfinite(size)
    count = wnp.ceil(wnp.log2(wnp.where(fine & (size > _NORMS[width]), size, _NORMS[width]) / _NORMS[width]))
    odd, even = _approximation(a / wnp.exp2(count), width)
    left, right = even - odd, even + odd
    low = solve_triangular(left, right, check_finite=False) if upper_triangular else _LA.solve(left, right)
    found = _squared(low, wnp.minimum(count, max_squarings).astype(np.int64))
    return wnp.where((count <= max_squarings) & fine, found, np.nan)


@quiet
def expm_frechet(A: Any, E: Any, *, method: Any = None, compute_expm: bool = True) -> Any:
    """The exponential of ``A``, and its derivative in the direction ``E`` (or that alone).

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> from weft.scipy import linalg
    >>> linalg.expm_frechet(wnp.zeros((2, 2)), wnp.eye(2), compute_expm=False)
    Array([[1., 0.],
           [0., 1.]])
    """
    a, e = inexact(A, E)
    if a.ndim < 2 or a.ndim != e.ndim or any(m != n for m, n in zip(a.shape, e.shape, strict=True)):
        raise ValueError("expm_frechet() wants two stacks of square matrices of one shape")
    n = a.shape[-1]
    # the exponential of [[a, e], [0, a]] has both
    above = wnp.concatenate([a, e], axis=-1)
    below = wnp.concatenate([wnp.zeros_like(a), a], axis=-1)
    found = expm(wnp.concatenate([above, below], axis=-2))
    moved = found[..., :n, n:]
    return (found[..., :n, :n], moved) if compute_expm else moved


__all__ = ["expm", "expm_frechet"]
