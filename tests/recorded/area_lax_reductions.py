"""Reductions, cumulative operations and windows of lax."""

from __future__ import annotations

import numpy as np
from recorded_cases import case

X = np.sin(np.arange(12.0) * 1.7).reshape(3, 4)
T = np.sin(np.arange(30.0) * 1.3).reshape(2, 3, 5)
N = np.array([[5, 3, -4, 8], [7, 7, 1, 2], [-1, 0, 6, 6]], np.int32)
TIES = np.array([[1.0, 1.0, 0.0, 2.0, 2.0, 2.0], [1.0, 1.0, 3.0, 2.0, 3.0, 0.0], [0.0, 1.0, 3.0, 3.0, 1.0, 1.0]])
IMAGE = np.sin(np.arange(2 * 5 * 6 * 3) * 0.9).reshape(2, 5, 6, 3)


def windows(name, init, *args, **options):
    return lambda j, x: j.lax.reduce_window(x, init, getattr(j.lax, name), *args, **options)


CASES = [
    case("reduce", lambda j, x: [j.lax.reduce_sum(x, (0, 2)), j.lax.reduce_prod(x, (1,)), j.lax.reduce_max(x, (2, 0)), j.lax.reduce_min(x, (0, 1, 2))], T, grad=True, vmap=True),
    case("reduce_bits", lambda j, x: [j.lax.reduce_and(x, (0,)), j.lax.reduce_or(x, (1,)), j.lax.reduce_xor(x, (0, 1)), j.lax.reduce_and(x > 0, (1,)), j.lax.reduce_xor(x > 1, (0,))], N, vmap=True),
    case("reduce_known", lambda j, x: [j.lax.reduce(x, 0.5, j.lax.add, (0,)), j.lax.reduce(x, -np.inf, j.lax.max, (0, 1)), j.lax.reduce(x, 1.0, j.lax.mul, (1,)), j.lax.reduce(x, 0.1, j.lax.min, (1,))], X, grad=True, vmap=True),
    case("reduce_general", lambda j, x: j.lax.reduce(x, 1.0, lambda a, b: a * (1 + b) + b, (1,)), X),
    case("reduce_pairs", lambda j, x: j.lax.reduce((x, x * x), (0.0, -1.0), lambda a, b: (a[0] + b[0], j.lax.max(a[1], b[1])), (0,)), X),
    case("argmax", lambda j, x: [j.lax.argmax(x, 1, np.int32), j.lax.argmin(x, 0, np.int64)], TIES, vmap=True),
    case("cumulative", lambda j, x: [getattr(j.lax, n)(x, axis=k, reverse=r) for n in ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp") for k, r in ((0, False), (1, True))], X, grad=True, vmap=True),
    case("cumlogsumexp_inf", lambda j, x: [j.lax.cumlogsumexp(x), j.lax.cumlogsumexp(x, reverse=True)], np.array([-np.inf, -np.inf, 1.0, 800.0, -800.0])),
    case("cumsum_int", lambda j, x: [j.lax.cumsum(x, 1), j.lax.cummax(x, 0, True)], N.astype(np.int8)),
    case("max_pool", windows("max", -np.inf, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"), IMAGE, grad=True, vmap=True),
    case("max_pool_same", windows("max", -np.inf, (1, 3, 3, 1), (1, 2, 2, 1), "SAME"), IMAGE, grad=True, vmap=True),
    case("max_pool_ties", windows("max", -np.inf, (2, 3), (1, 1), "VALID"), TIES, grad=True),
    case("min_pool_ties", windows("min", np.inf, (2, 2), (1, 2), ((0, 1), (1, 0))), TIES, grad=True),
    case("max_pool_long", windows("max", -np.inf, (20,), (3,), "VALID"), np.sin(np.arange(40.0)), grad=True),
    case("sum_pool", windows("add", 0.0, (1, 2, 3, 1), (1, 1, 2, 1), "SAME"), IMAGE, grad=True, vmap=True),
    case("sum_pool_long", windows("add", 0.0, (20,), (3,), ((2, 3),)), np.sin(np.arange(40.0)), grad=True),
    case("sum_pool_start", windows("add", 1.5, (2,), (1,), "VALID"), np.arange(5.0)),
    case("prod_pool", windows("mul", 1.0, (2, 2), (1, 1), "VALID"), X),
    case("window_dilation", windows("add", 0.0, (2, 2), (1, 2), ((0, 0), (1, 1)), window_dilation=(2, 3)), X, grad=True),
    case("base_dilation", windows("max", -np.inf, (2, 2), (1, 1), "VALID", base_dilation=(2, 1)), X),
    case("window_general", lambda j, x: j.lax.reduce_window(x, 0.0, lambda a, b: a + b, (2, 2), (1, 1), "SAME"), X),
    case("window_int", windows("max", np.int32(-(2**31)), (2, 2), (1, 1), "SAME"), N),
    case("window_nan", windows("max", -np.inf, (2,), (1,), "VALID"), np.array([1.0, np.nan, 3.0, 2.0, np.nan])),
]  # fmt: skip
