"""Distributions of `weft.random`: JAX's values to rounding."""

from __future__ import annotations

import numpy as np
from recorded_cases import case

K = np.array([0, 42], np.uint32)
L = np.array([4026531840, 305419896], np.uint32)
A = np.array([[0.05, 0.4, 1.0, 2.5], [7.0, 30.0, 0.9, 150.0]])
M = np.array([1.0, -2.0, 0.5])
C = np.array([[2.0, 0.3, -0.1], [0.3, 1.0, 0.2], [-0.1, 0.2, 0.5]])
RATES = np.array([0.0, 0.1, 3.0, 9.99, 10.0, 55.5, 2000.0, np.nan])
SINGLE = {"rtol": 2e-5, "atol": 1e-6}
CLOSE = {"rtol": 1e-9, "atol": 1e-12}
PLAIN = ("cauchy", "exponential", "gumbel", "laplace", "logistic", "maxwell", "normal")


def plain(name, t, shape):
    """A distribution without parameters."""
    return lambda j, k: getattr(j.random, name)(k, shape, t)


CASES = [
    *[
        case(f"{name}_{t}_{len(s)}d", plain(name, t, s), K, vmap=True, **(SINGLE if t == "float32" else CLOSE))
        for name in PLAIN for t in ("float32", "float64") for s in ((), (9,), (2, 3))
    ],
    *[case(f"{name}_empty", plain(name, "float32", (0,)), K) for name in PLAIN],
    *[case(f"{name}_default", lambda j, k, name=name: getattr(j.random, name)(k), L, vmap=True) for name in PLAIN],
    case("normal_long", lambda j, k: j.random.normal(k, (5000,), "float32"), L, **SINGLE),
    case("normal_f16", lambda j, k: j.random.normal(k, (20,), "float16"), L, rtol=4e-3),
    case("normal_complex", lambda j, k: j.random.normal(k, (3, 2), "complex128"), K, vmap=True, **CLOSE),
    case("normal_complex64", lambda j, k: j.random.normal(k, (5,), "complex64"), K, **SINGLE),
    case("gumbel_high", lambda j, k: j.random.gumbel(k, (9,), mode="high"), K, **CLOSE),
    case("gumbel_highest", lambda j, k: j.random.gumbel(k, (9,), mode="highest"), K, **CLOSE),
    case("gumbel_highest_f32", lambda j, k: j.random.gumbel(k, (300,), "float32", "highest"), K, vmap=True, **SINGLE),
    case("gumbel_high_f32", lambda j, k: j.random.gumbel(k, (9,), "float32", mode="high"), K, **SINGLE),
    case(
        "truncated_normal", lambda j, a, b, k: j.random.truncated_normal(k, a, b),
        np.linspace(-2.0, 1.0, 6), np.asarray(2.0), K, grad=True, vmap=True, **CLOSE,
    ),
    case("truncated_normal_f32", lambda j, k: j.random.truncated_normal(k, -2, 2, (40,), "float32"), K, **SINGLE),
    case(
        "double_sided_maxwell", lambda j, a, b, k: j.random.double_sided_maxwell(k, a, b, (3,)),
        np.array([0.5, 1.0]), np.array([2.0, 3.0]), K, grad=True, vmap=True, **CLOSE,
    ),
    case("double_sided_maxwell_scalar", lambda j, k: j.random.double_sided_maxwell(k, 1.0, 2.0, (4,)), K, **CLOSE),
    case("pareto", lambda j, b, k: j.random.pareto(k, b), A, K, grad=True, vmap=True, **CLOSE),
    case("pareto_shape", lambda j, b, k: j.random.pareto(k, b, (3, 2, 4), "float32"), A.astype("f4"), K, **SINGLE),
    case("rayleigh", lambda j, b, k: j.random.rayleigh(k, b), A, K, grad=True, vmap=True, **CLOSE),
    case("lognormal", lambda j, b, k: j.random.lognormal(k, b), A[0], K, grad=True, vmap=True, **CLOSE),
    case("lognormal_default", lambda j, k: j.random.lognormal(k, shape=(4,)), K, **CLOSE),
    case(
        "triangular", lambda j, a, b, c, k: j.random.triangular(k, a, b, c, (5, 3)),
        M, M + 1.0, np.asarray(4.0), K, grad=True, vmap=True, **CLOSE,
    ),
    case("wald", lambda j, a, k: j.random.wald(k, a), A, K, grad=True, vmap=True, **CLOSE),
    case("weibull_min", lambda j, a, b, k: j.random.weibull_min(k, a, b, (2, 4)), A, A[0], K, grad=True, **CLOSE),
    # gamma and its kin
    case("gamma", lambda j, a, k: j.random.gamma(k, a), A, K, vmap=True, **CLOSE),
    case("gamma_scalar", lambda j, k: j.random.gamma(k, 2.0), K, vmap=True, **CLOSE),
    case("gamma_shape", lambda j, a, k: j.random.gamma(k, a, (3, 2, 4)), A, L, **CLOSE),
    case("gamma_empty", lambda j, k: j.random.gamma(k, np.ones((0, 3))), L),
    case("gamma_f32", lambda j, k: j.random.gamma(k, 0.7, (40,), "float32"), K, **SINGLE),
    case("gamma_grad", lambda j, a, k: j.random.gamma(k, a), A, K, grad=True, rtol=1e-6),
    case("loggamma", lambda j, a, k: j.random.loggamma(k, a), A, K, vmap=True, **CLOSE),
    case("loggamma_tiny", lambda j, a, k: j.random.loggamma(k, a), A * 1e-4, K, **CLOSE),
    case("loggamma_grad", lambda j, a, k: j.random.loggamma(k, a), A, L, grad=True, rtol=1e-6),
    case("beta", lambda j, a, b, k: j.random.beta(k, a, b), A, A[1], K, grad=True, vmap=True, rtol=1e-6),
    case("beta_shape", lambda j, k: j.random.beta(k, 2.0, 0.5, (9,), "float32"), K, **SINGLE),
    case("chisquare", lambda j, a, k: j.random.chisquare(k, a), A, K, grad=True, vmap=True, rtol=1e-6),
    case("f", lambda j, a, b, k: j.random.f(k, a, b), A, A + 3, K, grad=True, vmap=True, rtol=1e-6),
    case("t", lambda j, a, k: j.random.t(k, a), A, K, vmap=True, **CLOSE),
    case("t_shape", lambda j, k: j.random.t(k, 4.0, (3, 3)), K, **CLOSE),
    case("dirichlet", lambda j, a, k: j.random.dirichlet(k, a), A, K, grad=True, vmap=True, rtol=1e-6),
    case("dirichlet_shape", lambda j, a, k: j.random.dirichlet(k, a, (3, 2)), A, K, **CLOSE),
    case("generalized_normal", lambda j, k: j.random.generalized_normal(k, 1.5, (7,)), K, vmap=True, **CLOSE),
    case("ball", lambda j, k: j.random.ball(k, 3, shape=(4,)), K, vmap=True, **CLOSE),
    case("ball_p", lambda j, k: j.random.ball(k, 2, 1.0, (4,), "float32"), K, **SINGLE),
    # vectors and matrices
    case(
        "multivariate_normal", lambda j, m, c, k: j.random.multivariate_normal(k, m, c), M, C, K, grad=True, **CLOSE
    ),
    case("multivariate_normal_shape", lambda j, m, c, k: j.random.multivariate_normal(k, m, c, (4, 2)), M, C, K, **CLOSE),
    case(
        "multivariate_normal_batch", lambda j, m, c, k: j.random.multivariate_normal(k, m, c),
        np.stack([M, M + 1]), np.stack([C, 2 * C]), K, **CLOSE,
    ),
    case(
        "multivariate_normal_f32", lambda j, m, c, k: j.random.multivariate_normal(k, m, c, (5,)),
        M.astype("f4"), C.astype("f4"), K, **SINGLE,
    ),
    case("multivariate_normal_eigh", lambda j, m, c, k: abs(
        j.random.multivariate_normal(k, m, c, (5,), method="eigh") - m).sum(-1) * 0, M, C, K),
    case("orthogonal", lambda j, k: j.random.orthogonal(k, 4), K, vmap=True, **CLOSE),
    case("orthogonal_wide", lambda j, k: j.random.orthogonal(k, 2, (3,), m=4), K, **CLOSE),
    case("orthogonal_tall", lambda j, k: j.random.orthogonal(k, 4, (2,), "float32", 2), K, **SINGLE),
    case("orthogonal_complex", lambda j, k: j.random.orthogonal(k, 3, dtype="complex128"), K, **CLOSE),
    # counts
    case("poisson", lambda j, a, k: j.random.poisson(k, a, (5, 8)), RATES, K),
    case("poisson_rates", lambda j, a, k: j.random.poisson(k, a), RATES[:-1], L, vmap=True),
    case("poisson_few", lambda j, k: j.random.poisson(k, 2.5, (30,), "int32"), K, vmap=True),
    case("poisson_scalar", lambda j, k: j.random.poisson(k, 20.0), K, vmap=True),
    case(
        "binomial", lambda j, n, p, k: j.random.binomial(k, n, p, (3, 6)),
        np.array([0.0, 5.0, 40.0, 1000.0, 12.0, 1e6]), np.array([0.3, 0.5, 0.1, 0.7, 0.99, 1e-3]), K, vmap=True,
    ),
    case("binomial_edges", lambda j, n, p, k: j.random.binomial(k, n, p), np.array([5.0, 5, -1, np.nan, np.inf, 3, 4]),
         np.array([0.0, 1.0, 0.5, 0.5, 0.5, np.nan, -0.5]), K),
    case("binomial_scalar", lambda j, k: j.random.binomial(k, 10, 0.3, (9,), "float32"), K, vmap=True),
    case("multinomial", lambda j, p, k: j.random.multinomial(k, 50, p), np.array([0.2, 0.5, 0.3]), K),
    case(
        "multinomial_batch", lambda j, n, p, k: j.random.multinomial(k, n, p, shape=(2, 4)),
        np.array([95.0, 7.0]), np.array([0.1, 0.2, 0.3, 0.4]), K,
    ),
]  # fmt: skip
