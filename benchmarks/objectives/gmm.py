"""The logarithm of the posterior of a Gaussian mixture, by loops and by matrices (ADBench, Srajer et al. 2018).

The inverse covariance of a component is ``Q.T @ Q``, where ``Q`` is lower triangular with a positive diagonal, given by
its logarithms and then the rows below the diagonal. Its prior is Wishart.
"""

from __future__ import annotations

import math

import numpy as np

from objectives import Objective, with_jax

SIZES = ((10, 25, 1000), (20, 50, 1000))
STATED = ({"C++, stated": 6.8, "jax, stated": 3.8}, {"C++, stated": 28.0, "jax, stated": 21.0})


def log_sum_exp(x):
    """Without overflow."""
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top)))


def log_gamma_distribution(a, d):
    """The logarithm of the multivariate gamma function."""
    out = 0.25 * d * (d - 1) * math.log(math.pi)
    for j in range(d):
        out += math.lgamma(a - 0.5 * j)
    return out


def wishart_constant(d, k, gamma, m):
    """What of the prior does not depend on the parameters."""
    n = d + m + 1
    return k * (n * d * (math.log(gamma) - 0.5 * math.log(2.0)) - log_gamma_distribution(0.5 * n, d))


def wishart(icf, diagonal, sums, gamma, m):
    """The logarithm of the prior, but for a constant."""
    d = diagonal.shape[1]
    total = 0.0
    for j in range(len(icf)):
        squares = np.sum(diagonal[j] ** 2) + np.sum(icf[j, d:] ** 2)
        total += 0.5 * gamma * gamma * squares - m * sums[j]
    return total


def gmm(alphas, means, icf, x, gamma, m, constant):
    """As the formula is written: for every point and component, the length of a triangular product."""
    n, d = x.shape
    k = len(alphas)
    diagonal = np.exp(icf[:, :d])
    sums = np.sum(icf[:, :d], axis=1)
    terms = np.empty(k)
    total = 0.0
    for i in range(n):
        for j in range(k):
            square = 0.0
            for r in range(d):
                s = diagonal[j, r] * (x[i, r] - means[j, r])
                for c in range(r):
                    s += icf[j, d + r * (r - 1) // 2 + c] * (x[i, c] - means[j, c])
                square += s * s
            terms[j] = alphas[j] + sums[j] - 0.5 * square
        total += log_sum_exp(terms)
    total += -0.5 * n * d * math.log(2.0 * math.pi) - n * log_sum_exp(alphas)
    return total + wishart(icf, diagonal, sums, gamma, m) - constant


def gmm_matrices(alphas, means, icf, x, gamma, m, constant):
    """As NumPy users write it: one matrix product for each component."""
    n, d = x.shape
    k = len(alphas)
    diagonal = np.exp(icf[:, :d])
    sums = np.sum(icf[:, :d], axis=1)
    rows, columns = np.tril_indices(d, -1)
    terms = np.empty((n, k))
    for j in range(k):
        Q = np.diag(diagonal[j])
        Q[rows, columns] = icf[j, d:]
        y = (x - means[j]) @ Q.T
        terms[:, j] = alphas[j] + sums[j] - 0.5 * np.sum(y * y, axis=1)
    top = np.max(terms, axis=1)
    total = np.sum(top + np.log(np.sum(np.exp(terms - top[:, None]), axis=1)))
    total += -0.5 * n * d * math.log(2.0 * math.pi) - n * log_sum_exp(alphas)
    return total + wishart(icf, diagonal, sums, gamma, m) - constant


def for_jax(jax, alphas, means, icf, x, gamma, m, constant):
    """All components at once, in one matrix product."""
    np_ = jax.numpy
    n, d = x.shape
    diagonal = np_.exp(icf[:, :d])
    sums = np_.sum(icf[:, :d], axis=1)
    rows, columns = np.tril_indices(d, -1)
    Q = jax.vmap(np_.diag)(diagonal).at[:, rows, columns].set(icf[:, d:])
    y = np_.einsum("kij,nj->nki", Q, x) - np_.einsum("kij,kj->ki", Q, means)
    terms = alphas + sums - 0.5 * np_.sum(y * y, axis=2)
    total = np_.sum(jax.nn.logsumexp(terms, axis=1)) - n * jax.nn.logsumexp(alphas)
    prior = np_.sum(0.5 * gamma * gamma * (np_.sum(diagonal**2, 1) + np_.sum(icf[:, d:] ** 2, 1)) - m * sums)
    return total - 0.5 * n * d * math.log(2.0 * math.pi) + prior - constant


def data(d, k, n):
    """Points of as many clusters, and parameters near none of them."""
    rng = np.random.default_rng(d)
    centres = rng.normal(size=(k, d))
    x = centres[rng.integers(k, size=n)] + 0.3 * rng.normal(size=(n, d))
    alphas, means = rng.normal(size=k), rng.normal(size=(k, d))
    icf = 0.3 * rng.normal(size=(k, d * (d + 1) // 2))
    return alphas, means, icf, x, 1.0, 0, wishart_constant(d, k, 1.0, 0)


def objectives():
    """Both forms in both sizes."""
    for size, stated in zip(SIZES, STATED):
        args = data(*size)
        title = "GMM d={} k={} n={}".format(*size)
        peer = with_jax(for_jax, (0, 1, 2), *args)
        yield Objective(title, gmm, args, (0, 1, 2), peer, stated)
        yield Objective(f"{title}, by matrices", gmm_matrices, args, (0, 1, 2), peer, stated)
