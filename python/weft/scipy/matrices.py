"""Matrices of special forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.dtypes import default_complex, default_float
from weft.numpy.common import static_int
from weft.scipy.arguments import as_array, inexact, quiet


def block_diag(*arrs: Any) -> Any:
    """Matrices along the diagonal of one, zeros elsewhere.

    Examples
    --------
    >>> from weft.scipy import linalg
    >>> linalg.block_diag([[1.0]], [[2.0, 3.0]])
    Array([[1., 0., 0.],
           [0., 2., 3.]])
    """
    parts = [wnp.atleast_2d(as_array(a)) for a in (arrs or (np.zeros((1, 0)),))]
    dtype = wnp.result_type(*parts)
    if any(p.ndim > 2 for p in parts):
        raise ValueError("block_diag() wants matrices")
    rows = []
    for k, part in enumerate(parts):
        row = [
            part.astype(dtype) if j == k else wnp.zeros((part.shape[0], other.shape[1]), dtype)
            for j, other in enumerate(parts)
        ]
        rows.append(wnp.concatenate(row, axis=1))
    return wnp.concatenate(rows, axis=0)


def toeplitz(c: Any, r: Any = None) -> Any:
    """Constant diagonals: ``c`` is the first column, ``r`` the first row (the conjugate of ``c`` if None).

    Examples
    --------
    >>> from weft.scipy import linalg
    >>> linalg.toeplitz([1, 2], [1, 3])
    Array([[1, 3],
           [2, 1]])
    """
    c = wnp.atleast_1d(as_array(c))
    r = wnp.conj(c) if r is None else wnp.atleast_1d(as_array(r))
    m, n = c.shape[-1], r.shape[-1]
    lead = wnp.broadcast_shapes(c.shape[:-1], r.shape[:-1])
    column = wnp.broadcast_to(wnp.flip(c, -1), (*lead, m))
    row = wnp.broadcast_to(r[..., 1:], (*lead, n - 1))
    line = wnp.concatenate([column, row], axis=-1)
    return line[..., wnp.arange(m)[:, None] * -1 + (m - 1) + wnp.arange(n)[None, :]]


def circulant(c: Any) -> Any:
    """Each column is the one before, shifted down around: ``c`` is the first.

    Examples
    --------
    >>> from weft.scipy import linalg
    >>> linalg.circulant([1, 2])
    Array([[1, 2],
           [2, 1]])
    """
    c = wnp.atleast_1d(as_array(c))
    n = c.shape[-1]
    return c[..., (wnp.arange(n)[:, None] - wnp.arange(n)[None, :]) % n]


def hankel(c: Any, r: Any = None) -> Any:
    """Constant diagonals upwards: ``c`` is the first column, ``r`` the last row (zeros if None).

    Examples
    --------
    >>> from weft.scipy import linalg
    >>> linalg.hankel([1, 2], [9, 3])
    Array([[1, 2],
           [2, 3]])
    """
    c = as_array(c)
    r = wnp.zeros_like(c) if r is None else as_array(r)
    if c.ndim == 0 or r.ndim == 0:
        raise ValueError("hankel() wants vectors")
    m, n = c.shape[-1], r.shape[-1]
    lead = wnp.broadcast_shapes(c.shape[:-1], r.shape[:-1])
    line = wnp.concatenate([wnp.broadcast_to(c, (*lead, m)), wnp.broadcast_to(r[..., 1:], (*lead, n - 1))], axis=-1)
    return line[..., wnp.arange(m)[:, None] + wnp.arange(n)[None, :]]


def leslie(f: Any, s: Any) -> Any:
    """Leslie's matrix of fecundities ``f``, in the first row, and survivals ``s``, below the diagonal."""
    f, s = wnp.atleast_1d(as_array(f)), wnp.atleast_1d(as_array(s))
    dtype = wnp.result_type(f, s)
    if f.ndim != 1 or s.ndim != 1 or f.shape[0] != s.shape[0] + 1:
        raise ValueError("leslie() wants vectors, the first longer than the second by one")
    low = wnp.diag(s.astype(dtype), -1)
    first = wnp.arange(f.shape[0])[:, None] == 0
    return wnp.where(first, f.astype(dtype)[None, :], low)


@quiet
def companion(a: Any) -> Any:
    """The companion matrix of a polynomial, whose highest coefficient comes first."""
    (a,) = inexact(a)
    if a.ndim != 1:
        raise ValueError("companion() wants the coefficients of one polynomial")
    row = -a[1:] / a[0]
    first = wnp.arange(row.shape[0])[:, None] == 0
    return wnp.where(first, row[None, :], wnp.eye(row.shape[0], k=-1, dtype=a.dtype))


def fiedler(a: Any) -> Any:
    """``|a[i] - a[j]|``."""
    a = wnp.atleast_1d(as_array(a))
    return wnp.abs(a[..., :, None] - a[..., None, :])


@quiet
def fiedler_companion(a: Any) -> Any:
    """Fiedler's companion matrix of a polynomial, whose highest coefficient comes first: five diagonals."""
    (a,) = inexact(a)
    if a.ndim != 1:
        raise ValueError("fiedler_companion() wants the coefficients of one polynomial")
    n = int(a.shape[0]) - 1
    if n < 2:
        return -a[1:][None] / a[0] if n == 1 else wnp.zeros((0, 0), a.dtype)
    a = a / a[0]
    i, j = np.arange(n)[:, None], np.arange(n)[None, :]
    # ones at (0, 1) and on every second place two off the diagonal, coefficients beside them
    ones = ((i == j + 2) & (i % 2 == 1) & (i > 0)) | ((j == i + 2) & (i % 2 == 0)) | ((i == 1) & (j == 0))
    place = np.where((i == 0) & (j == 0), 1, 0)
    even = np.where((j == i - 1) & (i % 2 == 0) & (i > 0), i + 1, 0)
    odd = np.where((j == i + 1) & (i % 2 == 0), i + 2, 0)
    place = np.maximum(np.maximum(place, even), odd)
    return wnp.where(place > 0, -a[place], ones.astype(a.dtype))


def convolution_matrix(a: Any, n: int, mode: str = "full") -> Any:
    """The matrix whose product with a vector of length ``n`` is its convolution with ``a``.

    Examples
    --------
    >>> from weft.scipy import linalg
    >>> linalg.convolution_matrix([1, 2], 2)
    Array([[1, 0],
           [2, 1],
           [0, 2]])
    """
    n = static_int(n, "n")
    if n < 1:
        raise ValueError(f"convolution_matrix() wants n >= 1, not {n}")
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"convolution_matrix() has the modes 'full', 'same' and 'valid', not {mode!r}")
    a = as_array(a)
    if a.ndim == 0:
        raise ValueError("convolution_matrix() wants a vector")
    m = int(a.shape[-1])
    pad = [(0, 0)] * (a.ndim - 1) + [(0, n - 1)]
    whole = toeplitz(wnp.pad(a, pad), wnp.concatenate([a[..., :1], wnp.zeros((*a.shape[:-1], n - 1), a.dtype)], -1))
    cut = 0 if mode == "full" else min(m, n) - 1
    first = cut if mode == "valid" else cut // 2
    last = cut if mode == "valid" else cut - cut // 2
    return whole[..., first : m + n - 1 - last, :]


def dft(n: int, scale: str | None = None, *, dtype: Any = None) -> Any:
    """The matrix of the discrete Fourier transform; ``scale`` is None, ``"sqrtn"`` or ``"n"``."""
    if scale not in (None, "sqrtn", "n"):
        raise ValueError(f"dft(): scale is None, 'sqrtn' or 'n', not {scale!r}")
    n = static_int(n, "n")
    k = np.arange(n)
    with np.errstate(all="ignore"):
        found = np.exp(-2j * np.pi * (np.outer(k, k) % max(n, 1)) / n)
    found = found / {None: 1, "sqrtn": math.sqrt(n), "n": n}[scale]
    return wnp.asarray(found, dtype=default_complex() if dtype is None else dtype)


def hadamard(n: int, dtype: Any = int) -> Any:
    """Hadamard's matrix of a power of 2."""
    n = static_int(n, "n")
    if n < 1 or n & (n - 1):
        raise ValueError(f"hadamard() wants a power of 2, not {n}")
    found = np.ones((1, 1), dtype)
    while len(found) < n:
        found = np.block([[found, found], [found, -found]])
    return wnp.asarray(found)


def helmert(n: int, full: bool = False) -> Any:
    """Helmert's matrix; ``full`` adds its constant first row."""
    n = static_int(n, "n")
    if n < 1:
        raise ValueError(f"helmert() wants n >= 1, not {n}")
    i, j = np.arange(n)[:, None], np.arange(n)[None, :]
    size = np.sqrt(np.where(i == 0, n, i * (i + 1.0)))
    found = np.where(i == 0, 1, np.where(j < i, 1, np.where(j == i, -i, 0))) / size
    return wnp.asarray(found if full else found[1:], dtype=default_float())


def hilbert(n: int) -> Any:
    """``1 / (i + j + 1)``.

    Examples
    --------
    >>> from weft.scipy import linalg
    >>> linalg.hilbert(2)
    Array([[1.        , 0.5       ],
           [0.5       , 0.33333333]])
    """
    k = np.arange(static_int(n, "n"))
    return wnp.asarray(1 / (k[:, None] + k[None, :] + 1.0), dtype=default_float())


def invhilbert(n: int) -> Any:
    """The inverse of `hilbert`."""
    n = static_int(n, "n")

    def at(i: int, j: int) -> int:
        sides = math.comb(n + i, n - j - 1) * math.comb(n + j, n - i - 1)
        return int((-1) ** (i + j) * (i + j + 1) * sides * math.comb(i + j, i) ** 2)

    rows = [[at(i, j) for j in range(n)] for i in range(n)]
    return wnp.asarray(np.array(rows, float).reshape(n, n), dtype=default_float())


def _lower_pascal(n: int, sign: int) -> Any:
    return np.array([[sign ** (i - j) * math.comb(i, j) if j <= i else 0 for j in range(n)] for i in range(n)], object)


def _pascal(name: str, n: int, kind: str | None, sign: int) -> Any:
    kind = kind or "symmetric"
    if kind not in ("symmetric", "lower", "upper"):
        raise ValueError(f"{name}() has the kinds 'symmetric', 'lower' and 'upper', not {kind!r}")
    low = _lower_pascal(static_int(n, "n"), sign)
    whole = low @ low.T if sign > 0 else low.T @ low
    found = {"lower": low, "upper": low.T, "symmetric": whole}[kind]
    return wnp.asarray(found.astype(float), dtype=default_float())


def pascal(n: int, kind: str | None = None) -> Any:
    """Pascal's matrix of binomial coefficients: ``"symmetric"``, ``"lower"`` or ``"upper"``."""
    return _pascal("pascal", n, kind, 1)


def invpascal(n: int, kind: str | None = None) -> Any:
    """The inverse of `pascal`."""
    return _pascal("invpascal", n, kind, -1)


__all__ = [
    "block_diag", "circulant", "companion", "convolution_matrix", "dft", "fiedler", "fiedler_companion", "hadamard",
    "hankel", "helmert", "hilbert", "invhilbert", "invpascal", "leslie", "pascal", "toeplitz",
]  # fmt: skip
