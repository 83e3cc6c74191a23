"""Densities estimated from data."""

from __future__ import annotations

import math
from typing import Any, Self

import weft.numpy as wnp
from weft.scipy.arguments import inexact, quiet
from weft.scipy.special import ndtr
from weft.scipy.sums import logsumexp
from weft.scipy.triangular import solve_triangular
from weft.tree_util import register_pytree_node_class

_LA: Any = wnp.linalg


@register_pytree_node_class
class gaussian_kde:
    """The density of data, as a sum of normal densities around the points.

    Parameters
    ----------
    dataset
        One row of numbers, or a row for each dimension.
    bw_method
        How wide the normal densities are: ``"scott"`` (None), ``"silverman"``, a factor, or a function of this object.
    weights
        Of the points.

    Examples
    --------
    >>> from weft.scipy import stats
    >>> bool(stats.gaussian_kde([-1.0, 1.0])(0.0)[0] > 0.2)
    True
    """

    def __init__(self, dataset: Any, bw_method: Any = None, weights: Any = None) -> None:
        (data,) = inexact(dataset)
        if data.dtype.kind == "c":
            raise NotImplementedError("gaussian_kde takes real data")
        self.dataset = wnp.atleast_2d(data)
        d, n = self.dataset.shape
        if weights is None:
            self.weights = wnp.full(n, 1.0, dtype=data.dtype) / n
        else:
            self.weights = wnp.asarray(weights, dtype=data.dtype)
            if self.weights.ndim != 1 or self.weights.shape[0] != n:
                raise ValueError("gaussian_kde: weights must be one number for each point")
            self.weights = self.weights / wnp.sum(self.weights)
        self.neff = 1 / wnp.sum(self.weights**2)
        if bw_method is None or isinstance(bw_method, str):
            if bw_method not in (None, "scott", "silverman"):
                raise ValueError(
                    f"gaussian_kde: bw_method is 'scott', 'silverman', a number or a function, not {bw_method!r}"
                )
            scaled = self.neff * (d + 2) / 4.0 if bw_method == "silverman" else self.neff
            factor = scaled ** (-1.0 / (d + 4))
        else:
            factor = bw_method(self) if callable(bw_method) else bw_method
        rest = self.dataset - wnp.sum(self.weights * self.dataset, 1, keepdims=True)
        spread = (self.weights * rest) @ rest.T / (1 - wnp.sum(self.weights**2))
        self.covariance = spread * factor**2
        self.inv_cov = _LA.inv(spread) / factor**2

    def tree_flatten(self) -> tuple[tuple[Any, ...], None]:
        """Its arrays."""
        return (self.neff, self.dataset, self.weights, self.covariance, self.inv_cov), None

    @classmethod
    def tree_unflatten(cls, aux_data: None, children: tuple[Any, ...]) -> Self:
        """One of these arrays."""
        made = cls.__new__(cls)
        made.neff, made.dataset, made.weights, made.covariance, made.inv_cov = children
        return made

    @property
    def d(self) -> Any:
        """The number of dimensions."""
        return self.dataset.shape[0]

    @property
    def n(self) -> Any:
        """The number of points."""
        return self.dataset.shape[1]

    def _logs(self, points: Any) -> Any:
        (x,) = inexact(points)
        x = wnp.atleast_2d(x)
        if x.shape[0] != self.d:
            if x.shape[0] != 1 or x.shape[1] != self.d:
                raise ValueError(f"the points have {x.shape[0]} dimensions, and the data {self.d}")
            x = wnp.reshape(x, (-1, 1))
        low = _LA.cholesky(self.covariance)
        a = solve_triangular(low, self.dataset, lower=True, check_finite=False)
        b = solve_triangular(low, x, lower=True, check_finite=False)
        far = wnp.sum((a[:, :, None] - b[:, None, :]) ** 2, 0)
        size = wnp.sum(wnp.log(wnp.diagonal(low))) + self.d * (0.5 * math.log(2 * math.pi))
        return logsumexp(-0.5 * far, axis=0, b=self.weights[:, None]) - size

    @quiet
    def logpdf(self, x: Any) -> Any:
        """The logarithm of the density at points, a row of coordinates for each dimension."""
        return self._logs(x)

    def evaluate(self, points: Any) -> Any:
        """The density at points, a row of coordinates for each dimension."""
        return wnp.exp(self.logpdf(points))

    def pdf(self, x: Any) -> Any:
        """The density at points: `evaluate`."""
        return self.evaluate(x)

    def __call__(self, points: Any) -> Any:
        """The density at points: `evaluate`."""
        return self.evaluate(points)

    @quiet
    def integrate_box_1d(self, low: Any, high: Any) -> Any:
        """The probability between two numbers, of data of one dimension."""
        if self.d != 1:
            raise ValueError("integrate_box_1d() is for data of one dimension")
        width = wnp.sqrt(self.covariance[0, 0])
        above, below = (high - self.dataset[0]) / width, (low - self.dataset[0]) / width
        return wnp.sum(self.weights * (ndtr(above) - ndtr(below)))

    @quiet
    def integrate_gaussian(self, mean: Any, cov: Any) -> Any:
        """The integral of the density times a normal one."""
        mean, cov = inexact(mean, cov)
        mean, cov = wnp.atleast_1d(mean), wnp.atleast_2d(cov)
        if mean.shape[0] != self.d or cov.shape[0] != self.d or cov.shape[1] != self.d:
            raise ValueError(f"mean and cov must have {self.d} dimensions")
        return wnp.sum(self.weights * wnp.exp(_normal_logs(self.covariance + cov, self.dataset - mean[:, None])))

    @quiet
    def integrate_kde(self, other: Any) -> Any:
        """The integral of the product of two densities."""
        if other.d != self.d:
            raise ValueError("the two densities have different dimensions")
        gaps = self.dataset[:, :, None] - other.dataset[:, None, :]
        logs = _normal_logs(self.covariance + other.covariance, wnp.reshape(gaps, (self.d, -1)))
        return wnp.sum(wnp.outer(self.weights, other.weights) * wnp.reshape(wnp.exp(logs), (self.n, other.n)))

    def resample(self, key: Any, shape: tuple[int, ...] = ()) -> Any:
        """Random points of the density: (dimensions, *shape)."""
        from weft import random

        one, two = random.split(key)
        at = random.choice(one, self.n, shape=shape, p=self.weights)
        zero = wnp.zeros(self.d, dtype=self.covariance.dtype)
        noise = random.multivariate_normal(two, zero, self.covariance, shape=shape, dtype=self.dataset.dtype)
        return self.dataset[:, at] + wnp.moveaxis(noise, -1, 0)

    def integrate_box(self, low_bounds: Any, high_bounds: Any, maxpts: Any = None) -> Any:
        """Not there."""
        raise NotImplementedError("only integrals in one dimension are there: integrate_box_1d")

    def set_bandwidth(self, bw_method: Any = None) -> None:
        """Not there."""
        raise NotImplementedError("the bandwidth does not change: make another gaussian_kde with bw_method=")


def _normal_logs(cov: Any, gaps: Any) -> Any:
    """Logarithms of the normal density of columns."""
    low = _LA.cholesky(cov)
    z = solve_triangular(low, gaps, lower=True, check_finite=False)
    size = wnp.sum(wnp.log(wnp.diagonal(low))) + gaps.shape[0] * (0.5 * math.log(2 * math.pi))
    return -0.5 * wnp.sum(z * z, 0) - size


__all__ = ["gaussian_kde"]
