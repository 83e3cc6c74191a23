"""Densities and distribution functions, and summaries of data: the part of `scipy.stats` that JAX has.

Each distribution is a module of functions: ``norm.logpdf(x, loc=0, scale=1)``.
"""

from typing import Any

from weft.scipy.stats.continuous import (
    beta,
    cauchy,
    chi2,
    expon,
    gamma,
    gennorm,
    gumbel_l,
    gumbel_r,
    laplace,
    logistic,
    norm,
    pareto,
    t,
    truncnorm,
    uniform,
    vonmises,
    wrapcauchy,
)
from weft.scipy.stats.discrete import bernoulli, betabinom, binom, geom, nbinom, poisson
from weft.scipy.stats.multivariate import dirichlet, multinomial, multivariate_normal
from weft.scipy.stats.summary import ModeResult, mode, rankdata, sem

__all__ = [
    "ModeResult", "bernoulli", "beta", "betabinom", "binom", "cauchy", "chi2", "dirichlet", "expon", "gamma",
    "gaussian_kde", "gennorm", "geom", "gumbel_l", "gumbel_r", "laplace", "logistic", "mode", "multinomial",
    "multivariate_normal", "nbinom", "norm", "pareto", "poisson", "rankdata", "sem", "t", "truncnorm", "uniform",
    "vonmises", "wrapcauchy",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Kernel densities are imported when they are first named."""
    if name == "gaussian_kde":
        from weft.scipy.stats.density import gaussian_kde

        return gaussian_kde
    raise AttributeError(f"module 'weft.scipy.stats' has no attribute {name!r}")
