"""The worked example of the architecture page."""

import numpy as np


def settle(x, rate):
    """Relax every element towards its left neighbour, in place; then measure."""
    for i in range(1, x.size):
        x[i] += rate * (x[i - 1] - x[i])
    return np.sum(x * x)


def settle_until(x, rate, tol):
    """The same, as often as it takes."""
    while abs(x[-1] - x[0]) > tol:
        for i in range(1, x.size):
            x[i] += rate * (x[i - 1] - x[i])
    return x[-1]
