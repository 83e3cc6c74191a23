"""Random vectors and matrices."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

import weft.numpy as wnp
import weft.numpy.linalg
from weft.random.arguments import dims, dtype_of, shape_of, spread
from weft.random.bits import child
from weft.random.continuous import exponential_of, normal_of, rademacher_of
from weft.random.gammas import gamma_of
from weft.random.keys import Words, words_of

linalg: Any = weft.numpy.linalg  # its functions are made when it is imported


def multivariate_normal(
    key: Any, mean: Any, cov: Any, shape: Any = None, dtype: Any = None, method: str = "cholesky"
) -> Any:
    """Random vectors of a normal distribution with this mean and covariance.

    Parameters
    ----------
    key
        A random key.
    mean
        The means, of shape ``(..., n)``.
    cov
        The covariances, of shape ``(..., n, n)``.
    shape
        The leading axes of the result; if not given, those of the parameters.
    dtype
        A floating dtype; that of the parameters if not given.
    method
        How ``cov`` is factorised: "cholesky", or "svd" or "eigh" for a singular one.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.random.multivariate_normal(weft.random.PRNGKey(0), np.zeros(2), np.eye(2)).shape
    (2,)
    """
    words = words_of("multivariate_normal", key)
    if method not in ("svd", "eigh", "cholesky"):
        raise ValueError("method must be one of {'svd', 'eigh', 'cholesky'}")
    mean, cov = wnp.asarray(mean), wnp.asarray(cov)
    if len(dims(mean)) < 1:
        raise ValueError("multivariate_normal requires mean.ndim >= 1, got mean.ndim == 0")
    if len(dims(cov)) < 2:
        raise ValueError(f"multivariate_normal requires cov.ndim >= 2, got cov.ndim == {len(dims(cov))}")
    n = dims(mean)[-1]
    if dims(cov)[-2] != n or dims(cov)[-1] != n:
        raise ValueError(
            f"multivariate_normal requires cov.shape == (..., n, n) for n={n}, but got cov.shape == {dims(cov)}."
        )
    common = np.promote_types(np.promote_types(mean.dtype, cov.dtype), np.float16)
    if "f" not in (mean.dtype.kind, cov.dtype.kind):
        common = dtype_of("multivariate_normal", None)
    mean, cov = mean.astype(common), cov.astype(common)
    dtype = dtype_of("multivariate_normal", common if dtype is None else dtype)
    if shape is None:
        batch = dims(wnp.broadcast_arrays(mean[..., 0], cov[..., 0, 0])[0])
    else:
        batch = shape_of(shape)
        for part in (mean[..., 0], cov[..., 0, 0]):
            spread("multivariate_normal", part, batch)
    if method == "svd":
        u, s, _ = linalg.svd(cov)
        factor = u * wnp.sqrt(s[..., None, :])
    elif method == "eigh":
        w, v = linalg.eigh(cov)
        factor = v * wnp.sqrt(w[..., None, :])
    else:
        factor = linalg.cholesky(cov)
    samples = normal_of(words, (*batch, n), dtype)
    return mean + wnp.matmul(factor, samples[..., None])[..., 0]


def orthogonal(key: Any, n: int, shape: Any = (), dtype: Any = None, m: int | None = None) -> Any:
    """Random matrices with orthonormal rows or columns, uniformly distributed.

    Parameters
    ----------
    key
        A random key.
    n, m
        The numbers of rows and of columns (that of rows if not given).
    shape
        The leading axes of the result.
    dtype
        A floating or complex dtype; the default floating one if not given.

    Examples
    --------
    >>> import numpy as np, weft
    >>> q = weft.random.orthogonal(weft.random.PRNGKey(0), 3)
    >>> np.allclose(q @ q.T, np.eye(3))
    True
    """
    words, dtype = words_of("orthogonal", key), dtype_of("orthogonal", dtype, "fc")
    rows, columns = operator.index(n), operator.index(n if m is None else m)
    z = normal_of(words, (*shape_of(shape), max(rows, columns), min(rows, columns)), dtype)
    q, r = linalg.qr(z)
    d = wnp.diagonal(r, axis1=-2, axis2=-1)
    x = q * (wnp.sign(d) if dtype.kind == "f" else d / wnp.abs(d))[..., None, :]
    return wnp.matrix_transpose(x) if rows < columns else x


def generalized_normal(key: Any, p: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Random numbers with densities in proportion to ``exp(-abs(x)**p)``.

    Parameters
    ----------
    key
        A random key.
    p
        The exponent.
    shape
        The shape of the result.
    dtype
        A floating dtype; the default one if not given.

    Examples
    --------
    >>> import weft
    >>> key = weft.random.PRNGKey(0)
    >>> weft.random.generalized_normal(key, 1.5, (2,))
    Array([ 1.00520642, -1.6840824 ])
    """
    words, dtype = words_of("generalized_normal", key), dtype_of("generalized_normal", dtype)
    return _generalized_normal(words, p, shape_of(shape), dtype)


def _generalized_normal(words: Words, p: Any, shape: Any, dtype: Any) -> Any:
    g = gamma_of(child(words, 0), 1 / p, shape, dtype)
    return rademacher_of(child(words, 1), shape, dtype) * g ** (1 / p)


def ball(key: Any, d: int, p: Any = 2, shape: Any = (), dtype: Any = None) -> Any:
    """Random points, uniform in the unit ball of the p-norm.

    Parameters
    ----------
    key
        A random key.
    d
        The number of dimensions.
    p
        The exponent of the norm.
    shape
        The leading axes of the result.
    dtype
        A floating dtype; the default one if not given.

    Examples
    --------
    >>> import weft
    >>> weft.random.ball(weft.random.PRNGKey(0), 3, shape=(2,)).shape
    (2, 3)
    """
    words, dtype, sizes = words_of("ball", key), dtype_of("ball", dtype), shape_of(shape)
    g = _generalized_normal(child(words, 0), p, (*sizes, operator.index(d)), dtype)
    e = exponential_of(child(words, 1), sizes, dtype)
    return g / ((wnp.sum(wnp.abs(g) ** p, axis=-1) + e) ** (1 / p))[..., None]
