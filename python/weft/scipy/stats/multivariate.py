"""Distributions of vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.scipy.arguments import as_array, inexact, quiet
from weft.scipy.special import gammaln, xlogy
from weft.scipy.stats.families import PACKAGE, Family
from weft.scipy.triangular import solve_triangular

_LA: Any = wnp.linalg
dirichlet = Family("dirichlet", "Dirichlet's distribution.")
multinomial = Family("multinomial", "the multinomial distribution.")
multivariate_normal = Family("multivariate_normal", "the normal distribution of vectors.")


def _of(family: Family) -> Any:
    def enter(f: Any) -> Any:
        name = f.__name__.rpartition("_")[2]
        f.__name__, f.__qualname__, f.__module__ = name, f"{family.title}.{name}", PACKAGE
        setattr(family, name, quiet(f))
        return f

    return enter


@_of(dirichlet)
def dirichlet_logpdf(x: Any, alpha: Any) -> Any:
    """The logarithm of the density of Dirichlet's distribution.

    Parameters
    ----------
    x
        Positive numbers whose sum along the first axis is 1; the last of them may be left out.
    alpha
        The concentrations, one for each.
    """
    x, alpha = inexact(x, alpha)
    if alpha.ndim != 1:
        raise ValueError(f"dirichlet.logpdf(): alpha must have one axis, not {alpha.ndim}")
    if x.shape[0] != alpha.shape[0]:
        if x.shape[0] + 1 != alpha.shape[0]:
            raise ValueError("dirichlet.logpdf(): x must be as long as alpha, or shorter by one")
        x = wnp.concatenate([x, 1 - wnp.sum(x, 0, keepdims=True)])
    alpha = wnp.reshape(alpha, (-1, *[1] * (x.ndim - 1)))
    inside = wnp.all(x > 0, axis=0) & (wnp.abs(wnp.sum(x, 0) - 1) < 1e-6)
    size = wnp.sum(gammaln(alpha)) - gammaln(wnp.sum(alpha))
    return wnp.where(inside, wnp.sum(xlogy(alpha - 1, wnp.where(x > 0, x, 1)), 0) - size, -np.inf)


@_of(dirichlet)
def dirichlet_pdf(x: Any, alpha: Any) -> Any:
    """The density of Dirichlet's distribution: see `dirichlet.logpdf`."""
    return wnp.exp(dirichlet_logpdf(x, alpha))


@_of(multinomial)
def multinomial_logpmf(x: Any, n: Any, p: Any) -> Any:
    """The logarithm of the probability of counts ``x`` (along the last axis) in ``n`` trials of probabilities ``p``."""
    x, n = as_array(x), as_array(n)
    if x.dtype.kind not in "iu" or n.dtype.kind not in "iu":
        raise ValueError(f"multinomial.logpmf(): x and n must be integers, not {x.dtype} and {n.dtype}")
    (p,) = inexact(p)
    y, count = x.astype(p.dtype), n.astype(p.dtype)
    found = gammaln(count + 1) + wnp.sum(xlogy(y, p) - gammaln(y + 1), -1)
    return wnp.where(wnp.sum(y, -1) == count, found, -np.inf)


@_of(multinomial)
def multinomial_pmf(x: Any, n: Any, p: Any) -> Any:
    """The probability of counts: see `multinomial.logpmf`."""
    return wnp.exp(multinomial_logpmf(x, n, p))


@_of(multivariate_normal)
def multivariate_normal_logpdf(x: Any, mean: Any, cov: Any, allow_singular: Any = None) -> Any:
    """The logarithm of the density of the normal distribution of vectors.

    Parameters
    ----------
    x
        Vectors along the last axis.
    mean
        Their mean.
    cov
        Their covariance matrix, or one variance for all.
    allow_singular
        Not there: None.
    """
    if allow_singular is not None:
        raise NotImplementedError("multivariate_normal.logpdf() has no allow_singular=: give a regular covariance")
    x, mean, cov = inexact(x, mean, cov)
    if not mean.ndim:
        return -0.5 * wnp.square(x - mean) / cov - 0.5 * (math.log(2 * math.pi) + wnp.log(cov))
    y, n = x - mean, mean.shape[-1]
    if not cov.ndim:
        size = n / 2 * (math.log(2 * math.pi) + wnp.log(cov))
        return -0.5 * wnp.sum(y * y, -1) / cov - size
    if cov.ndim < 2 or cov.shape[-1] != n or cov.shape[-2] != n:
        raise ValueError("multivariate_normal.logpdf(): cov must be a matrix of the mean's length")
    low = _LA.cholesky(cov)
    if cov.ndim == 2 and y.ndim > 1:
        flat = wnp.reshape(y, (-1, n))
        z = wnp.reshape(solve_triangular(low, flat.T, lower=True, check_finite=False).T, y.shape)
    else:
        z = solve_triangular(low, y[..., None], lower=True, check_finite=False)[..., 0] if y.ndim > 1 else (
            solve_triangular(low, y, lower=True, check_finite=False) if cov.ndim == 2 else
            solve_triangular(low, wnp.broadcast_to(y, (*cov.shape[:-2], n))[..., None], lower=True,
                             check_finite=False)[..., 0]
        )  # fmt: skip
    logs = wnp.sum(wnp.log(wnp.diagonal(low, axis1=-2, axis2=-1)), -1)
    return -0.5 * wnp.sum(z * z, -1) - n / 2 * math.log(2 * math.pi) - logs


@_of(multivariate_normal)
def multivariate_normal_pdf(x: Any, mean: Any, cov: Any) -> Any:
    """The density of the normal distribution of vectors: see `multivariate_normal.logpdf`."""
    return wnp.exp(multivariate_normal_logpdf(x, mean, cov))


__all__ = ["dirichlet", "multinomial", "multivariate_normal"]
