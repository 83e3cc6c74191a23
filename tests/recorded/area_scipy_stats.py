"""`jax.scipy.stats`: every function of every distribution, with derivatives; ranks, modes, standard errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from recorded_cases import Case, case

X = np.array([-3.7, -1.2, -0.31, 0.04, 0.5, 1.37, 2.9, 6.5])
UP = np.array([0.04, 0.31, 0.5, 1.37, 2.9, 6.5, 14.2, 31.0])
UNIT = np.array([0.01, 0.1, 0.3, 0.5, 0.77, 0.95])
K = np.arange(6)
LOC, SCALE = {"loc": 0.3, "scale": 1.7}, {"scale": 1.7}


def family(
    name: str, functions: str, x: Any, *shapes: Any, options: dict[str, Any] | None = None, rtol: float = 1e-8,
    grad: bool = True,
) -> list[Case]:  # fmt: skip
    """A case for each of some functions of a distribution."""
    found = []
    for which in functions.split():

        def run(j: Any, v: Any, which: str = which) -> Any:
            return getattr(getattr(j.scipy.stats, name), which)(v, *shapes, **(options or {}))

        found.append(case(f"{name}_{which}", run, x, grad=grad, vmap=grad, rtol=rtol))
    return found


ALL = "pdf logpdf cdf logcdf sf logsf"
POINTS = np.array([[0.2, 0.3, 0.5], [0.6, 0.1, 0.3]]).T
COV = np.array([[2.0, 0.3], [0.3, 1.0]])
DATA = np.array([[3, 1, 3, 2], [1, 1, 2, 2], [3, 5, 3, 4]])
CASES = [
    *family("norm", ALL, X, options=LOC),
    *family("norm", "ppf isf", UNIT, options=LOC),
    *family("uniform", "pdf logpdf cdf", X, options=LOC),
    *family("uniform", "ppf", UNIT, options=LOC),
    *family("expon", ALL, X + 0.01, options=LOC),
    *family("expon", "ppf", UNIT, options=LOC),
    *family("gamma", ALL, UP, 2.3, options=SCALE),
    *family("beta", "pdf logpdf cdf sf", UNIT, 2.3, 0.7, options=SCALE, rtol=1e-7),
    *family("beta", "logcdf logsf", UNIT, 2.3, 0.7, rtol=1e-7),
    *family("t", "pdf logpdf", X, 3.5, options=LOC),
    *family("cauchy", ALL, X, options=LOC),
    *family("cauchy", "ppf isf", UNIT, options=LOC),
    *family("laplace", "pdf logpdf cdf", X, options=LOC),
    *family("logistic", "pdf logpdf cdf sf", X, options=LOC),
    *family("logistic", "ppf isf", UNIT, options=LOC),
    *family("chi2", "pdf logpdf cdf sf logcdf logsf", UP, 3.0, options=SCALE),
    *family("pareto", ALL, UP, 2.3, options={"loc": -1.1, "scale": 1.3}),
    *family("pareto", "ppf", UNIT, 2.3),
    *family("gumbel_r", ALL, X, options=LOC),
    *family("gumbel_l", "pdf logpdf cdf sf logsf", X[:7], options=LOC),
    *family("gumbel_l", "logcdf", X[:7], options=LOC),
    *family("gumbel_r", "ppf", UNIT, options=LOC, grad=False),
    *family("gumbel_l", "ppf", UNIT, options=LOC, grad=False),
    *family("gennorm", "pdf logpdf cdf", X, 1.7),
    *family("vonmises", "pdf logpdf", X, 1.7),
    *family("wrapcauchy", "pdf logpdf", UP[:6], 0.4),
    *family("truncnorm", "pdf logpdf cdf logcdf sf logsf", X, -1.5, 3.0, options=LOC, rtol=1e-6),
    *family("bernoulli", "pmf logpmf", K, 0.3, grad=False),
    *family("binom", "pmf logpmf", K, 5, 0.3, grad=False),
    *family("geom", "pmf logpmf", K, 0.3, grad=False),
    *family("nbinom", "pmf logpmf", K, 2.5, 0.3, grad=False),
    *family("poisson", "pmf logpmf cdf", K, 2.5, grad=False),
    *family("betabinom", "pmf logpmf", K, 5, 0.7, 2.0, grad=False),
    case("bernoulli_cdf", lambda j, k: j.scipy.stats.bernoulli.cdf(k, 0.3), np.array([-1.0, 0.0, 0.5, 1.0, 3.0])),
    case("bernoulli_ppf", lambda j, q: j.scipy.stats.bernoulli.ppf(q, 0.3), np.array([0.1, 0.7, 0.71, 1.5])),
    case("binom_p", lambda j, p: j.scipy.stats.binom.logpmf(K, 5, p[:, None]), UNIT, grad=True),
    case("nbinom_p", lambda j, p: j.scipy.stats.nbinom.logpmf(K, 2.5, p[:, None]), UNIT, grad=True),
    case("poisson_mu", lambda j, m: j.scipy.stats.poisson.logpmf(K, m[:, None]), UP, grad=True, rtol=1e-7),
    case("poisson_entropy", lambda j, m: j.scipy.stats.poisson.entropy(m), UP, rtol=1e-7),
    case("norm_scale", lambda j, s: j.scipy.stats.norm.logpdf(X, 0.3, s), UP, grad=True),
    case("gamma_shape", lambda j, a: j.scipy.stats.gamma.logpdf(UP, a, scale=2.0), UP[::-1].copy(), grad=True, rtol=1e-7),
    case("gamma_cdf_shape", lambda j, a: j.scipy.stats.gamma.cdf(2.0, a), UP[:5], grad=True, rtol=1e-6),
    case("dirichlet", lambda j, a: j.scipy.stats.dirichlet.logpdf(POINTS, a), np.array([0.7, 2.0, 3.5]), grad=True),
    case("dirichlet_pdf", lambda j, a: j.scipy.stats.dirichlet.pdf(POINTS[:2], a), np.array([0.7, 2.0, 3.5])),
    case("multinomial", lambda j, p: j.scipy.stats.multinomial.logpmf(np.array([1, 2, 0]), 3, p), np.array([0.2, 0.5, 0.3]), grad=True),
    case("multinomial_pmf", lambda j, p: j.scipy.stats.multinomial.pmf(np.array([1, 2, 0]), 3, p), np.array([0.2, 0.5, 0.3])),
    case("normal", lambda j, x, m: j.scipy.stats.multivariate_normal.logpdf(x, m, COV), X.reshape(4, 2), X[:2], grad=True, vmap=True),
    case("normal_cov", lambda j, c: j.scipy.stats.multivariate_normal.pdf(X[:2], X[2:4], c @ c.T), COV, grad=True, rtol=1e-7),
    case("normal_one", lambda j, x: j.scipy.stats.multivariate_normal.logpdf(x, X[:2], 0.7), X.reshape(4, 2), grad=True),
    case("normal_scalar", lambda j, x: j.scipy.stats.multivariate_normal.logpdf(x, 0.1, 0.7), X, grad=True),
    *[case(f"rankdata_{m}", lambda j, x, m=m: j.scipy.stats.rankdata(x, m), DATA) for m in ("average", "min", "max", "dense", "ordinal")],
    *[case(f"rankdata_{a}", lambda j, x, a=a: j.scipy.stats.rankdata(x, axis=a), DATA * 1.0) for a in (0, 1)],
    case("rankdata_nan", lambda j, x: j.scipy.stats.rankdata(x), np.array([1.0, np.nan, 0.0])),
    *[case(f"mode_{a}", lambda j, x, a=a: tuple(j.scipy.stats.mode(x, a)), DATA * 1.0) for a in (0, 1, None)],
    case("mode_kept", lambda j, x: tuple(j.scipy.stats.mode(x, 1, keepdims=True)), DATA * 1.0),
    *[case(f"sem_{a}", lambda j, x, a=a: j.scipy.stats.sem(x, a), DATA * 1.0, grad=True) for a in (0, 1, None)],
    *[
        case(f"kde_{m}", lambda j, x, m=m: j.scipy.stats.gaussian_kde(x, m)(X), UP, grad=True, rtol=1e-7)
        for m in (None, "silverman", 0.3)
    ],
    case("kde_2", lambda j, x, w: j.scipy.stats.gaussian_kde(x, weights=w).logpdf(COV), X.reshape(2, 4), UP[:4], grad=True, rtol=1e-7),
    case("kde_box", lambda j, x: j.scipy.stats.gaussian_kde(x).integrate_box_1d(0.0, 2.0), X, grad=True, rtol=1e-7),
    case("kde_gauss", lambda j, x: j.scipy.stats.gaussian_kde(x).integrate_gaussian(X[:2], COV), X.reshape(2, 4), rtol=1e-7),
    case("kde_kde", lambda j, x: j.scipy.stats.gaussian_kde(x).integrate_kde(j.scipy.stats.gaussian_kde(x[:, 1:] + 1)), X.reshape(2, 4), rtol=1e-7),
    case("sem_omit", lambda j, x: j.scipy.stats.sem(x, nan_policy="omit"), np.array([1.0, np.nan, 0.0, 2.0])),
]  # fmt: skip
