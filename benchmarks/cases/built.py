"""Ten functions as a user might export them: what `benchmarks/aot.py` builds."""

import math

import numpy as np

import weft

RATE = 0.1


@weft.export("f64 -> f64")
def line(x):
    """2 x + 1."""
    return 2.0 * x + 1.0


@weft.export("f64, f64 -> f64")
def anomaly(mean, eccentricity):
    """Kepler's equation by Newton's method."""
    x = mean
    step = 1.0
    while abs(step) > 1e-13:
        step = (x - eccentricity * math.sin(x) - mean) / (1.0 - eccentricity * math.cos(x))
        x -= step
    return x


slope = weft.export("f64, f64 -> f64")(weft.grad(anomaly))
anomalies = weft.export("f64[n], f64[n] -> f64[n]")(weft.vmap(anomaly))


@weft.export("f64[n, m], f64[m], f64[n] -> f64")
def loss(A, w, y):
    """Mean squares of a linear model under tanh."""
    r = np.tanh(A @ w) - y
    return np.mean(r * r)


loss_gradient = weft.export("f64[n, m], f64[m], f64[n] -> f64[m]")(weft.grad(loss, argnums=1))


@weft.export("f64[n, m], f64[n, m] -> None")
def jacobi(A, B):
    """One sweep of a five-point stencil, in place."""
    B[1:-1, 1:-1] = 0.2 * (A[1:-1, 1:-1] + A[1:-1, :-2] + A[1:-1, 2:] + A[2:, 1:-1] + A[:-2, 1:-1])
    A[:] = B


@weft.export("f32[n] -> f32[n]")
def selu(x):
    """A smooth rectifier."""
    return np.float32(1.05) * np.where(x > 0, x, np.float32(1.67) * np.exp(x) - np.float32(1.67))


@weft.export("f64[n], f64 -> None")
def settle(x, tolerance):
    """Relax until it rests."""
    while abs(x[-1] - x[0]) > tolerance:
        for i in range(1, x.size):
            x[i] += RATE * (x[i - 1] - x[i])


@weft.export("f64[n], f64[m] -> f64[n, m]")
def distances(x, y):
    """All distances between two sets of points of a line."""
    return np.abs(x[:, None] - y[None, :])
