"""Distributions of whole numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.scipy.special import betainc, betaln, entr, gammainc, gammaincc, gammaln, xlog1py, xlogy
from weft.scipy.stats.families import discrete


def _probability(p: Any) -> Any:
    return (p >= 0) & (p <= 1)


bernoulli = discrete(
    "bernoulli", "Bernoulli's distribution of probability ``p``.", ["p"], lower=0, upper=1, valid=_probability,
    logpmf=lambda k, p: xlogy(k, p) + xlog1py(1 - k, -p),
    cdf=lambda k, p: 1 - p, sf=lambda k, p: p, ppf=lambda q, p: wnp.where(q <= 1 - p, 0.0, 1.0),
)  # fmt: skip
binom = discrete(
    "binom", "the binomial distribution of ``n`` trials with probability ``p``.", ["n", "p"], lower=0,
    upper=lambda n, p: n, valid=lambda n, p: (n >= 0) & _probability(p),
    logpmf=lambda k, n, p: gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) + xlogy(k, p) + xlog1py(n - k, -p),
    cdf=lambda k, n, p: betainc(n - k, k + 1, 1 - p), sf=lambda k, n, p: betainc(k + 1, n - k, p),
)  # fmt: skip
geom = discrete(
    "geom", "the geometric distribution of probability ``p``.", ["p"], lower=1, valid=lambda p: (p > 0) & (p <= 1),
    logpmf=lambda k, p: xlog1py(k - 1, -p) + wnp.log(p),
    cdf=lambda k, p: -wnp.expm1(k * wnp.log1p(-p)), sf=lambda k, p: wnp.exp(k * wnp.log1p(-p)),
)  # fmt: skip
nbinom = discrete(
    "nbinom", "the negative binomial distribution of ``n`` successes with probability ``p``.", ["n", "p"], lower=0,
    valid=lambda n, p: (n > 0) & (p > 0) & (p <= 1),
    logpmf=lambda k, n, p: gammaln(k + n) - gammaln(n) - gammaln(k + 1) + xlogy(n, p) + xlog1py(k, -p),
    cdf=lambda k, n, p: betainc(n, k + 1, p), sf=lambda k, n, p: betainc(k + 1, n, 1 - p),
)  # fmt: skip
poisson = discrete(
    "poisson", "the Poisson distribution of mean ``mu``.", ["mu"], lower=0, valid=lambda mu: mu >= 0,
    logpmf=lambda k, mu: xlogy(k, mu) - gammaln(k + 1) - mu,
    cdf=lambda k, mu: gammaincc(k + 1, mu), sf=lambda k, mu: gammainc(k + 1, mu),
)  # fmt: skip
betabinom = discrete(
    "betabinom", "the beta-binomial distribution of ``n`` trials and shapes ``a`` and ``b``.", ["n", "a", "b"],
    lower=0, upper=lambda n, a, b: n, valid=lambda n, a, b: (n >= 0) & (a > 0) & (b > 0),
    logpmf=lambda k, n, a, b: betaln(k + a, n - k + b) - betaln(a, b) - wnp.log1p(n) - betaln(n - k + 1, k + 1),
)  # fmt: skip


def _poisson_entropy(mu: Any, loc: Any) -> Any:
    """A sum of 250 terms; from 100 on, the expansion."""
    small = mu < 100
    mean = wnp.where(small, mu, 1)[..., None]
    k = wnp.arange(250)
    near = wnp.sum(entr(wnp.exp(xlogy(k, mean) - gammaln(k + 1) - mean)), -1)
    far = wnp.where(small, 100, mu)
    y = 1 / far
    expansion = 0.5 * wnp.log(2 * math.pi * math.e * far) - y * (1 / 12 + y * (1 / 24 + y * (19 / 360 + y * 9 / 80)))
    return wnp.where(mu >= 0, wnp.where(small, near, expansion), np.nan) + 0 * loc


poisson.add("entropy", "", ["mu"], {"loc": 0}, _poisson_entropy)

__all__ = ["bernoulli", "betabinom", "binom", "geom", "nbinom", "poisson"]
