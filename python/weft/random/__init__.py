"""Random numbers from explicit keys.

The generator is Threefry-2x32: what is drawn is a function of a key, the shape and the dtype, the same on all devices,
and for integers and uniform numbers the same bits as JAX draws.
"""

from weft.random.bits import bits, randint, threefry_bits, uniform
from weft.random.continuous import (
    cauchy,
    double_sided_maxwell,
    exponential,
    gumbel,
    laplace,
    logistic,
    lognormal,
    maxwell,
    normal,
    pareto,
    rademacher,
    rayleigh,
    triangular,
    truncated_normal,
    wald,
    weibull_min,
)
from weft.random.counts import binomial, multinomial, poisson
from weft.random.discrete import bernoulli, categorical, choice, geometric, permutation
from weft.random.gammas import beta, chisquare, dirichlet, f, gamma, loggamma, t
from weft.random.keys import (
    KeyArray,
    PRNGKey,
    clone,
    fold_in,
    key,
    key_data,
    key_dtype,
    key_impl,
    split,
    threefry,
    wrap_key_data,
)
from weft.random.matrices import ball, generalized_normal, multivariate_normal, orthogonal

__all__ = [
    "KeyArray", "PRNGKey", "ball", "bernoulli", "beta", "binomial", "bits", "categorical", "cauchy", "chisquare",
    "choice", "clone", "dirichlet", "double_sided_maxwell", "exponential", "f", "fold_in", "gamma",
    "generalized_normal", "geometric", "gumbel", "key", "key_data", "key_dtype", "key_impl", "laplace", "loggamma",
    "logistic", "lognormal", "maxwell", "multinomial", "multivariate_normal", "normal", "orthogonal", "pareto",
    "permutation", "poisson", "rademacher", "randint", "rayleigh", "split", "t", "threefry", "threefry_bits",
    "triangular", "truncated_normal", "uniform", "wald", "weibull_min", "wrap_key_data",
]  # fmt: skip
