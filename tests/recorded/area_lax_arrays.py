"""Arrangement, slices, gathers and scatters, sorting of lax."""

from __future__ import annotations

import numpy as np
from recorded_cases import case

X = np.linspace(-2.0, 2.0, 12).reshape(3, 4)
V = np.linspace(1.0, 3.0, 5)
T = np.sin(np.arange(24.0)).reshape(2, 3, 4)
I2 = np.array([[2], [0], [2], [5], [-1]])
PAIRS = np.array([[[0, 1], [2, 3]], [[1, 1], [0, 3]], [[2, 4], [-1, 0]]])
ROWS = np.sin(np.arange(20.0)).reshape(5, 4)


def numbers(j, *args):
    return j.lax.GatherDimensionNumbers(*args)


def scatter_numbers(j, *args):
    return j.lax.ScatterDimensionNumbers(*args)


def scattered(name, **options):
    return lambda j, x, v: getattr(j.lax, name)(x, I2, v, scatter_numbers(j, (1,), (0,), (0,)), **options)


CASES = [
    case("broadcast", lambda j, x: [j.lax.broadcast(x, (2, 1)), j.lax.broadcast_in_dim(x, (3, 2, 4), (0, 2)), j.lax.broadcast_to_rank(x, 4)], X, grad=True, vmap=True),
    case("reshape", lambda j, x: [j.lax.reshape(x, (2, 6)), j.lax.reshape(x, (6, 2), (1, 0)), j.lax.collapse(x, 0), j.lax.collapse(x, 1, 2)], X, grad=True, vmap=True),
    case("squeeze", lambda j, x: [j.lax.squeeze(x[:, None, :1], (1, -1)), j.lax.expand_dims(x, (0, 3)), j.lax.transpose(x, (1, 0)), j.lax.rev(x, (0, 1))], X, grad=True, vmap=True),
    case("iota", lambda j: [j.lax.iota(np.int32, 4), j.lax.broadcasted_iota(np.float32, (2, 3), 1), j.lax.full((2, 2), 7.0), j.lax.full_like(X, 1.5)]),
    case("joining", lambda j, x: [j.lax.concatenate([x, x * 2], 1), j.lax.stack([x, -x], 1), *j.lax.split(x, (1, 3), 1), *j.lax.unstack(x, 1), j.lax.tile(x, (2, 1))], X, grad=True, vmap=True),
    case("pad", lambda j, x: [j.lax.pad(x, 9.0, ((1, 2, 0), (0, 1, 2))), j.lax.pad(x, 0.5, ((-1, 1, 1), (2, -2, 0))), j.lax.pad(x, x[0, 0], ((0, 0, 1), (-1, -1, 0)))], X, grad=True, vmap=True),
    case("pad_away", lambda j, x: [j.lax.pad(x, 9.0, ((-4, 2, 0),)), j.lax.pad(x, 9.0, ((3, -6, 0),)), j.lax.pad(x, 9.0, ((-5, 0, 0),)), j.lax.pad(x, 9.0, ((1, -3, 2),))], V, grad=True),
    case("slice", lambda j, x: [j.lax.slice(x, (0, 1), (3, 4), (2, 2)), j.lax.slice_in_dim(x, 1, -1, axis=1), j.lax.slice_in_dim(x, None, None, 2), j.lax.index_in_dim(x, -1, 1), j.lax.index_in_dim(x, 0, 0, keepdims=False)], X, grad=True, vmap=True),
    case("dynamic_slice", lambda j, x, i: [j.lax.dynamic_slice(x, (i, 1), (2, 2)), j.lax.dynamic_slice(x, (0, i), (1, 3)), j.lax.dynamic_slice_in_dim(x, i, 2, 1), j.lax.dynamic_index_in_dim(x, i, 0, False)], X, np.array(2), grad=True),
    case("dynamic_slice_negative", lambda j, x: [j.lax.dynamic_slice(x, (-2, -9), (2, 2)), j.lax.dynamic_slice(x, np.array([7, -1]), (2, 2))], X, grad=True, vmap=True),
    case("dynamic_slice_lanes", lambda j, x, i: j.lax.dynamic_slice(x, (i[0], i[1]), (2, 2)), X, np.array([2, 0]), vmap=True),
    case("dynamic_update", lambda j, x, u: [j.lax.dynamic_update_slice(x, u, (2, -1)), j.lax.dynamic_update_slice_in_dim(x, u[:, :1] * np.ones((2, 4)), 1, 0), j.lax.dynamic_update_index_in_dim(x, u[0, 0] * np.ones(4), 1, 0)], X, X[:2, :2] * 3, grad=True, vmap=True),
    case("gather_rows", lambda j, x: [j.lax.gather(x, I2, numbers(j, (1,), (0,), (0,)), (1, 4)), j.lax.gather(x, I2, numbers(j, (1,), (0,), (0,)), (1, 4), mode="clip"), j.lax.gather(x, I2, numbers(j, (0,), (1,), (1,)), (3, 1), mode="fill", fill_value=7.0)], X, vmap=True),
    case("gather_clip", lambda j, x: j.lax.gather(x, I2, numbers(j, (1,), (0,), (0,)), (1, 4), mode="clip"), X, grad=True),
    case("gather_fill", lambda j, x: j.lax.gather(x, I2, numbers(j, (1,), (0,), (0,)), (1, 4), mode="fill", fill_value=1.0), X, grad=True),
    case("gather_windows", lambda j, x: j.lax.gather(x, PAIRS, numbers(j, (2, 3), (), (0, 1)), (2, 3), mode="clip"), X, grad=True, vmap=True),
    case("gather_swapped", lambda j, x: j.lax.gather(x, PAIRS, numbers(j, (0,), (1,), (1, 0)), (2, 1), mode="clip"), X, grad=True),
    case("gather_batched", lambda j, x: j.lax.gather(x, np.array([[[1], [2]], [[0], [9]]]), numbers(j, (2,), (1,), (1,), (0,), (0,)), (1, 1, 4), mode="clip"), T, grad=True),
    case("gather_one", lambda j, x: j.lax.gather(x, np.array([2, 1]), numbers(j, (), (0, 1), (0, 1)), (1, 1), mode="clip"), X, grad=True, vmap=True),
    case("scatter_one", lambda j, x: j.lax.scatter_add(x, np.array([2, 1]), x[0, 0], scatter_numbers(j, (), (0, 1), (0, 1)), mode="clip"), X, grad=True, vmap=True),
    case("gather_int", lambda j, x: j.lax.gather(x, I2, numbers(j, (1,), (0,), (0,)), (1, 4), mode="fill"), np.arange(12, dtype=np.int32).reshape(3, 4)),
    case("index_take", lambda j, x: [j.lax.index_take(x, (np.array([2, 0]),), (0,)), j.lax.index_take(x, (np.array([2, 0]), np.array([1, 3])), (0, 1))], X, grad=True),
    *[case(n, scattered(n), X, ROWS, grad=True, vmap=n != "scatter_mul") for n in ("scatter_add", "scatter_sub")],
    *[case(n, scattered(n, mode="clip"), X, ROWS) for n in ("scatter_mul", "scatter_min", "scatter_max")],
    *[case(n + "_drop", scattered(n), X, ROWS) for n in ("scatter_mul", "scatter_min", "scatter_max")],
    case("scatter_set", lambda j, x, v: j.lax.scatter(x, np.array([[2], [7], [0]]), v[:3], scatter_numbers(j, (1,), (0,), (0,)), unique_indices=True), X, ROWS, grad=True, vmap=True),
    case("scatter_windows", lambda j, x: j.lax.scatter_add(x, PAIRS, np.ones((3, 2, 2, 3)), scatter_numbers(j, (2, 3), (), (0, 1))), X, grad=True),
    case("scatter_clip", lambda j, x: j.lax.scatter_add(x, PAIRS, np.ones((3, 2, 2, 3)), scatter_numbers(j, (2, 3), (), (0, 1)), mode="clip"), X),
    case("scatter_batched", lambda j, x, v: j.lax.scatter_add(x, np.array([[[1], [2]], [[0], [9]]]), v, scatter_numbers(j, (2,), (1,), (1,), (0,), (0,))), T, T[:, :2] * 2, grad=True),
    case("scatter_apply", lambda j, x: j.lax.scatter_apply(x, np.array([[2], [0], [7]]), lambda v: v * v + 1.0, scatter_numbers(j, (1,), (0,), (0,)), update_shape=(3, 4), unique_indices=True), X),
    case("sort", lambda j, x: [j.lax.sort(x), j.lax.sort(x, 0), *j.lax.sort((x[:, ::-1], x), num_keys=1)], np.cos(X * 7), grad=True, vmap=True),
    case("sort_keys", lambda j, a, x: [*j.lax.sort((a, x, -x), num_keys=2), *j.lax.sort_key_val(a, x, 0)], np.array([[2, 1, 2, 1], [0, 0, 0, 0], [3, 1, 2, 0]]), np.cos(X * 7), vmap=True),
    case("sort_nan", lambda j, x: [j.lax.sort(x), *j.lax.top_k(x, 3)], np.array([3.0, np.nan, -np.inf, 1.0, np.inf, np.nan])),
    case("top_k", lambda j, x: [*j.lax.top_k(x, 2), *j.lax.top_k(x, 3, axis=0)], np.cos(X * 7), grad=True, vmap=True),
    case("top_k_ties", lambda j, x: j.lax.top_k(x, 4), np.array([3, 1, 3, 2, 3], np.int8)),
    case("approx_k", lambda j, x: [*j.lax.approx_max_k(x, 2), *j.lax.approx_min_k(x, 2)], np.cos(X * 7)),
    case("dot", lambda j, a, b: [j.lax.dot(a, b.T), j.lax.dot(a[0], b[1]), j.lax.dot(a, b[0]), j.lax.batch_matmul(a[None], b.T[None])], X, np.cos(X), grad=True, vmap=True),
    case("dot_general", lambda j, a, b: [j.lax.dot_general(a, b, (((2, 1), (2, 1)), ((), ()))), j.lax.dot_general(a, b, (((1,), (1,)), ((0, 2), (0, 2)))), j.lax.dot_general(a, b, (((), ()), ((0,), (0,))))], T, np.cos(T), grad=True, vmap=True),
    case("dot_preferred", lambda j, a: j.lax.dot(a, a.T, preferred_element_type=np.int32), (X * 50).astype(np.int8)),
    case("fft", lambda j, x: [j.lax.fft(j.lax.complex(x, x * 2), "FFT", (4,)), j.lax.fft(j.lax.complex(x, x), j.lax.FftType.IFFT, (3, 4)), j.lax.fft(x, "RFFT", (4,)), j.lax.fft(j.lax.complex(x, x * 0.5)[:, :3], "IRFFT", (4,))], X, vmap=True),
]  # fmt: skip
