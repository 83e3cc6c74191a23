"""Distributions of real numbers."""

from __future__ import annotations

import math
from typing import Any

import weft.numpy as wnp
from weft.nn.activations import log1mexp
from weft.scipy.special import (
    betainc,
    betaln,
    expit,
    gammainc,
    gammaincc,
    gammaln,
    i0e,
    log_expit,
    log_ndtr,
    logit,
    ndtr,
    ndtri,
    xlog1py,
    xlogy,
)
from weft.scipy.stats.families import continuous

_LOG_2PI = math.log(2 * math.pi)

norm = continuous(
    "norm", "the normal distribution.",
    logpdf=lambda y: -0.5 * (y * y + _LOG_2PI),
    cdf=ndtr, sf=lambda y: ndtr(-y), logcdf=log_ndtr, logsf=lambda y: log_ndtr(-y),
    ppf=ndtri, isf=lambda q: -ndtri(q),
)  # fmt: skip
uniform = continuous(
    "uniform", "the uniform distribution from ``loc`` to ``loc + scale``.", lower=0.0, upper=1.0,
    logpdf=lambda y: y * 0, cdf=lambda y: y, sf=lambda y: 1 - y, ppf=lambda q: q, isf=lambda q: 1 - q,
)  # fmt: skip
expon = continuous(
    "expon", "the exponential distribution.", lower=0.0,
    logpdf=lambda y: -y, cdf=lambda y: -wnp.expm1(-y), logcdf=log1mexp, logsf=lambda y: -y,
    ppf=lambda q: -wnp.log1p(-q), isf=lambda q: -wnp.log(q),
)  # fmt: skip
gamma = continuous(
    "gamma", "the gamma distribution of shape ``a``.", ["a"], lower=0.0, valid=lambda a: a > 0,
    logpdf=lambda y, a: xlogy(a - 1, y) - y - gammaln(a),
    cdf=lambda y, a: gammainc(a, y), sf=lambda y, a: gammaincc(a, y),
)  # fmt: skip
chi2 = continuous(
    "chi2", "the chi-square distribution of ``df`` degrees of freedom.", ["df"], lower=0.0, valid=lambda df: df > 0,
    logpdf=lambda y, df: xlogy(df / 2 - 1, y / 2) - y / 2 - gammaln(df / 2) - math.log(2),
    cdf=lambda y, df: gammainc(df / 2, y / 2), sf=lambda y, df: gammaincc(df / 2, y / 2),
)  # fmt: skip
beta = continuous(
    "beta", "the beta distribution of shapes ``a`` and ``b``.", ["a", "b"], lower=0.0, upper=1.0,
    valid=lambda a, b: (a > 0) & (b > 0),
    logpdf=lambda y, a, b: xlogy(a - 1, y) + xlog1py(b - 1, -y) - betaln(a, b),
    cdf=lambda y, a, b: betainc(a, b, y), sf=lambda y, a, b: betainc(b, a, 1 - y),
)  # fmt: skip


def _t_tail(y: Any, df: Any) -> Any:
    return 0.5 * betainc(df / 2, 0.5, df / (df + y * y))


t = continuous(
    "t", "Student's t distribution of ``df`` degrees of freedom.", ["df"], valid=lambda df: df > 0,
    logpdf=lambda y, df: gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * wnp.log(math.pi * df)
    - (df + 1) / 2 * wnp.log1p(y * y / df),
    cdf=lambda y, df: wnp.where(y > 0, 1 - _t_tail(y, df), _t_tail(y, df)),
    sf=lambda y, df: wnp.where(y > 0, _t_tail(y, df), 1 - _t_tail(y, df)),
)  # fmt: skip
cauchy = continuous(
    "cauchy", "the Cauchy distribution.",
    logpdf=lambda y: -math.log(math.pi) - wnp.log1p(y * y),
    cdf=lambda y: wnp.arctan2(1.0, -y) / math.pi, sf=lambda y: wnp.arctan2(1.0, y) / math.pi,
    ppf=lambda q: wnp.tan(math.pi * q - math.pi / 2), isf=lambda q: wnp.tan(math.pi / 2 - math.pi * q),
)  # fmt: skip


def _laplace_cdf(y: Any) -> Any:
    part = 0.5 * wnp.exp(-wnp.abs(y))
    return wnp.where(y <= 0, part, 1 - part)


def _laplace_ppf(q: Any) -> Any:
    low = q < 0.5
    return wnp.where(low, wnp.log(2 * wnp.where(low, q, 0.5)), -wnp.log(2 * wnp.where(low, 0.5, 1 - q)))


laplace = continuous(
    "laplace", "the Laplace distribution.", logpdf=lambda y: -wnp.abs(y) - math.log(2), cdf=_laplace_cdf,
    sf=lambda y: _laplace_cdf(-y), ppf=_laplace_ppf, isf=lambda q: -_laplace_ppf(q),
)  # fmt: skip
logistic = continuous(
    "logistic", "the logistic distribution.",
    logpdf=lambda y: -2 * wnp.logaddexp(y / 2, -y / 2), cdf=expit, sf=lambda y: expit(-y), logcdf=log_expit,
    logsf=lambda y: log_expit(-y), ppf=logit, isf=lambda q: -logit(q),
)  # fmt: skip
pareto = continuous(
    "pareto", "the Pareto distribution of exponent ``b``.", ["b"], lower=1.0, valid=lambda b: b > 0,
    logpdf=lambda y, b: wnp.log(b) - (b + 1) * wnp.log(y),
    cdf=lambda y, b: -wnp.expm1(-b * wnp.log(y)), logsf=lambda y, b: -b * wnp.log(y),
    logcdf=lambda y, b: log1mexp(b * wnp.log(y)),
    ppf=lambda q, b: wnp.exp(-wnp.log1p(-q) / b), isf=lambda q, b: wnp.exp(-wnp.log(q) / b),
)  # fmt: skip
gumbel_r = continuous(
    "gumbel_r", "the Gumbel distribution of largest values.",
    logpdf=lambda y: -(y + wnp.exp(-y)), logcdf=lambda y: -wnp.exp(-y), sf=lambda y: -wnp.expm1(-wnp.exp(-y)),
    logsf=lambda y: log1mexp(wnp.exp(-y)), ppf=lambda q: -wnp.log(-wnp.log(q)),
    isf=lambda q: -wnp.log(-wnp.log1p(-q)),
)  # fmt: skip
gumbel_l = continuous(
    "gumbel_l", "the Gumbel distribution of smallest values.",
    logpdf=lambda y: y - wnp.exp(y), logsf=lambda y: -wnp.exp(y), cdf=lambda y: -wnp.expm1(-wnp.exp(y)),
    logcdf=lambda y: log1mexp(wnp.exp(y)), ppf=lambda q: wnp.log(-wnp.log1p(-q)), isf=lambda q: wnp.log(-wnp.log(q)),
)  # fmt: skip


def _gennorm_tail(y: Any, beta: Any) -> Any:
    return 0.5 * gammaincc(1 / beta, wnp.abs(y) ** beta)


gennorm = continuous(
    "gennorm", "the generalised normal distribution of exponent ``beta``.", ["beta"], valid=lambda beta: beta > 0,
    logpdf=lambda y, beta: wnp.log(0.5 * beta) - gammaln(1 / beta) - wnp.abs(y) ** beta,
    cdf=lambda y, beta: wnp.where(y > 0, 1 - _gennorm_tail(y, beta), _gennorm_tail(y, beta)),
    sf=lambda y, beta: wnp.where(y > 0, _gennorm_tail(y, beta), 1 - _gennorm_tail(y, beta)),
)  # fmt: skip
vonmises = continuous(
    "vonmises", "von Mises's distribution of concentration ``kappa``.", ["kappa"], valid=lambda kappa: kappa > 0,
    logpdf=lambda y, kappa: kappa * (wnp.cos(y) - 1) - wnp.log(2 * math.pi * i0e(kappa)),
)  # fmt: skip
wrapcauchy = continuous(
    "wrapcauchy", "the Cauchy distribution wrapped around the circle, of concentration ``c``.", ["c"],
    lower=0.0, upper=2 * math.pi, valid=lambda c: (c > 0) & (c < 1),
    logpdf=lambda y, c: wnp.log((1 - c) * (1 + c)) - _LOG_2PI - wnp.log(1 + c * c - 2 * c * wnp.cos(y)),
)  # fmt: skip


def _log_mass(a: Any, b: Any) -> Any:
    """The logarithm of the normal distribution's mass between a and b, from the tail that they lie in."""
    right, central = a > 0, (a <= 0) & (b > 0)
    low, high = wnp.where(right, -b, a), wnp.where(right, -a, b)
    far = log_ndtr(wnp.where(central, -1, low))
    near = log_ndtr(wnp.where(central, 0, high))
    tail = near + log1mexp(near - far)
    inner = wnp.log1p(-ndtr(wnp.where(central, a, -1)) - ndtr(wnp.where(central, -b, -1)))
    return wnp.where(central, inner, tail)


def _truncated_log_cdf(y: Any, a: Any, b: Any) -> Any:
    whole = _log_mass(a, b)
    found = _log_mass(a, y) - whole
    near = found > -0.1
    other = wnp.where(near, _log_mass(y, b) - whole, -1)
    return wnp.where(near, wnp.log1p(-wnp.exp(other)), found)


truncnorm = continuous(
    "truncnorm", "the normal distribution cut off at ``a`` and ``b`` (before location and scale).", ["a", "b"],
    lower=lambda a, b: a, upper=lambda a, b: b, valid=lambda a, b: a < b,
    logpdf=lambda y, a, b: -0.5 * (y * y + _LOG_2PI) - _log_mass(a, b),
    logcdf=_truncated_log_cdf, logsf=lambda y, a, b: _truncated_log_cdf(-y, -b, -a),
)  # fmt: skip

__all__ = [
    "beta", "cauchy", "chi2", "expon", "gamma", "gennorm", "gumbel_l", "gumbel_r", "laplace", "logistic", "norm",
    "pareto", "t", "truncnorm", "uniform", "vonmises", "wrapcauchy",
]  # fmt: skip
