"""`jax.scipy.special`: values and derivatives at ordinary points; values at special points."""

from __future__ import annotations

from typing import Any

import numpy as np
from recorded_cases import Case, case

X = np.array([-3.7, -1.2, -0.31, 0.04, 0.5, 1.37, 2.9, 6.5])
UP = np.array([0.04, 0.31, 0.5, 1.37, 2.9, 6.5, 14.2, 31.0])
UNIT = np.array([0.01, 0.1, 0.3, 0.5, 0.77, 0.95])
ODD = np.array([-np.inf, -2.0, 0.0, np.inf, np.nan])


def of(name: str, *args: Any, suffix: str = "", **options: Any) -> Case:
    """A call by name, with positional arguments."""

    def run(j: Any, *xs: Any) -> Any:
        return getattr(j.scipy.special, name)(*xs)

    return case(name + suffix, run, *args, **{"grad": True, "vmap": True, "rtol": 1e-9} | options)


A, B, C = np.array([0.3, 1.0, 2.5, 7.0, 30.0, 3.0]), np.array([0.7, 2.0, 1.0, 5.5, 12.0, 0.2]), UNIT
CASES = [
    *[of(n, X) for n in ("dawsn", "erf", "erfc", "expit", "i0", "i0e", "i1", "i1e", "log_ndtr", "ndtr", "fresnel", "sici")],
    of("erfcx", X, rtol=1e-8),
    *[of(n, UP) for n in ("digamma", "entr", "exp1", "expi", "gamma", "gammaln", "loggamma", "factorial")],
    of("spence", UP[[0, 1, 2, 4, 5, 6, 7]], rtol=1e-7),
    *[of(n, UNIT) for n in ("erfinv", "logit", "ndtri")],
    of("gammasgn", X, grad=False),
    of("boxcox", UP, np.linspace(-1, 1, 8)),
    of("boxcox1p", UP, np.linspace(-1, 1, 8)),
    of("boxcox", UP, np.zeros(8), suffix="_0", vmap=False),
    *[of(n, A, B) for n in ("beta", "betaln", "kl_div", "rel_entr", "xlogy", "xlog1py")],
    of("gammainc", A, B, rtol=1e-7),
    of("gammaincc", A, B, rtol=1e-7),
    of("gammainc", A, A * 1.3, suffix="_near", rtol=1e-7),
    case("betainc", lambda j, x: j.scipy.special.betainc(A, B, x), C, grad=True, rtol=1e-8),
    case("zeta", lambda j, q: j.scipy.special.zeta(3.0, q), UP, grad=True, vmap=True),
    *[case(f"polygamma_{n}", lambda j, x, n=n: j.scipy.special.polygamma(n, x), UP, grad=True, vmap=True, rtol=1e-7) for n in (0, 1, 2, 4)],
    *[case(f"expn_{n}", lambda j, x, n=n: j.scipy.special.expn(n, x), UP, grad=n > 0, vmap=True, rtol=1e-8) for n in (0, 1, 2, 5)],
    case("hyp1f1", lambda j, x: j.scipy.special.hyp1f1(0.7, 2.3, x), X, grad=True, vmap=True, rtol=1e-8),
    case("hyp2f1", lambda j, x: j.scipy.special.hyp2f1(0.7, 1.2, 2.3, x), X[2:5], grad=True, vmap=True, rtol=1e-8),
    of("poch", A, B, rtol=1e-8),
    of("owens_t", X, X[::-1].copy(), rtol=1e-7),
    case("comb", lambda j, n, k: j.scipy.special.comb(n, k), np.array([5, 10, 3, 4]), np.array([2, 5, 4, -1])),
    case("comb_again", lambda j, n: j.scipy.special.comb(n, 2, repetition=True), np.array([5.0, 3.5]), grad=True),
    case("bernoulli", lambda j: j.scipy.special.bernoulli(12), rtol=1e-5),
    case("multigammaln", lambda j, x: j.scipy.special.multigammaln(x, 3), UP[3:], grad=True, vmap=False),
    case("bessel_jn", lambda j, x: j.scipy.special.bessel_jn(x, v=3), X[X != 0], grad=True, vmap=False),
    case(
        "sph_harm_y", lambda j, n, m, t, p: j.scipy.special.sph_harm_y(n, m, t, p, n_max=3),
        np.array([0, 1, 2, 3, 3]), np.array([0, -1, 1, -3, 2]), np.linspace(0.2, 2.9, 5), np.linspace(-3, 3, 5),
    ),
    case("logsumexp", lambda j, x: j.scipy.special.logsumexp(x.reshape(2, 4), axis=0), X, grad=True),
    case("softmax", lambda j, x: j.scipy.special.softmax(x.reshape(2, 4), axis=(0, 1)), X, grad=True),
    case("log_softmax", lambda j, x: j.scipy.special.log_softmax(x.reshape(2, 4), axis=1), X, grad=True),
    *[of(n, ODD, suffix="_odd", grad=False, vmap=False) for n in (
        "dawsn", "entr", "erf", "erfc", "expit", "factorial", "gammaln", "log_ndtr", "logit", "ndtr",
        "sici",
    )],
    case("gammainc_odd", lambda j, x: j.scipy.special.gammainc(2.0, x), np.array([0.0, np.inf, np.nan, -1.0])),
    case("gammaincc_odd", lambda j, x: j.scipy.special.gammaincc(2.0, x), np.array([0.0, np.inf, np.nan, -1.0])),
    case("betainc_odd", lambda j, x: j.scipy.special.betainc(2.0, 3.0, x), np.array([0.0, 1.0, np.nan])),
    of("gammaln", UP.astype(np.float32), suffix="_f32", rtol=1e-5),
    of("gammainc", A.astype(np.float32), B.astype(np.float32), suffix="_f32", rtol=1e-4),
]  # fmt: skip
