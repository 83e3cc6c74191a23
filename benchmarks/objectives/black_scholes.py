"""A million European calls by Black and Scholes, and five first-order greeks."""

from __future__ import annotations

import functools
import math

import numpy as np

from objectives import Objective, with_jax

OPTIONS = 1_000_000


def normal(x):
    """The cumulative normal distribution."""
    return 0.5 * (1.0 + math.erf(x / math.sqrt(2.0)))


def call(spot, strike, years, rate, volatility):
    """The price of a call."""
    spread = volatility * math.sqrt(years)
    d = (math.log(spot / strike) + (rate + 0.5 * volatility * volatility) * years) / spread
    return spot * normal(d) - strike * math.exp(-rate * years) * normal(d - spread)


def portfolio(spot, strike, years, rate, volatility):
    """The sum of all prices: its gradient are the greeks of each."""
    total = 0.0
    for k in range(len(spot)):
        total += call(spot[k], strike[k], years[k], rate[k], volatility[k])
    return total


def for_jax(jax, spot, strike, years, rate, volatility):
    """All at once, or one."""
    np_ = jax.numpy

    def normal(x):
        return 0.5 * (1.0 + jax.lax.erf(x / math.sqrt(2.0)))

    spread = volatility * np_.sqrt(years)
    d = (np_.log(spot / strike) + (rate + 0.5 * volatility * volatility) * years) / spread
    return np_.sum(spot * normal(d) - strike * np_.exp(-rate * years) * normal(d - spread))


def objectives():
    """As a sum over a loop, and each with its greeks."""
    rng = np.random.default_rng(10)
    spot, strike = rng.uniform(80.0, 120.0, (2, OPTIONS))
    args = spot, strike, rng.uniform(0.2, 2.0, OPTIONS), rng.uniform(0.0, 0.05, OPTIONS), rng.uniform(0.1, 0.5, OPTIONS)
    every = (0, 1, 2, 3, 4)
    stated = {"C++, stated": 27.0, "jax, stated": 179.0}
    peer = with_jax(for_jax, every, *args)

    def by_vmap(jax):
        inputs = jax.tree.map(jax.numpy.asarray, args)
        one = functools.partial(for_jax, jax)
        value, both = jax.jit(jax.vmap(one)), jax.jit(jax.vmap(jax.value_and_grad(one, every)))
        return {"jax": (lambda: jax.block_until_ready(value(*inputs)), lambda: jax.block_until_ready(both(*inputs)))}

    title = f"Black-Scholes, {OPTIONS} options"
    yield Objective(title, portfolio, args, every, peer, stated, step=1e-4)
    yield Objective(f"{title}, by vmap", call, args, every, by_vmap, stated, lanes=0, step=1e-4)
