"""Products of arrays: every arrangement of axes, every dtype, by the library or by fused loops."""

from __future__ import annotations

import numpy as np
import pytest

import weft

SHAPES = {"A": (5, 7), "B": (7, 4), "v": (7,), "u": (5,), "T": (3, 5, 7), "U": (3, 7, 4), "E": (0, 7)}

PRODUCTS = {
    "matrix": lambda A, B: A @ B,
    "matrix-vector": lambda A, v: A @ v,
    "vector-matrix": lambda u, A: u @ A,
    "inner": lambda v: v @ v,
    "outer": lambda u, v: np.outer(u, v),
    "transposed left": lambda A: A.T @ A,
    "transposed right": lambda A: A @ A.T,
    "batched": lambda T, U: T @ U,
    "shared right": lambda T, B: T @ B,
    "einsum rows": lambda T, A: np.einsum("bij,ij->b", T, A),
    "einsum batch transposed": lambda T: np.einsum("bij,bkj->bik", T, T),
    "einsum middle": lambda T: np.einsum("bij,bik->bjk", T, T),
    "einsum odd order": lambda T, A: np.einsum("bij,ik->kjb", T, A),
    "two axes": lambda T, A: np.tensordot(T, A, axes=([1, 2], [0, 1])),
    "crossed axes": lambda T: np.tensordot(T, T, axes=([1, 2], [1, 2])),
    "of expressions": lambda A, B: (A + A) @ (B * 2),
    "empty": lambda E, v: E @ v,
    "in a loop": lambda A, v: sum([A @ (v * k) for k in range(3)]),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128, np.int64])
@pytest.mark.parametrize("name", PRODUCTS)
def test_products(name: str, dtype: type) -> None:
    f = PRODUCTS[name]
    rng = np.random.default_rng(0)
    names = f.__code__.co_varnames[: f.__code__.co_argcount]
    args = [(rng.normal(size=SHAPES[k]) * 5).astype(dtype) for k in names]
    got, want = weft.jit(f)(*args), f(*args)
    assert np.asarray(got).dtype == np.asarray(want).dtype
    np.testing.assert_allclose(
        got, want, rtol=1e-4 if dtype is np.float32 else 1e-12, atol=1e-3 if dtype is np.float32 else 1e-12
    )


def test_what_calls_the_library() -> None:
    a, v = np.ones((50, 60)), np.ones(60)
    square = weft.jit(lambda a: a @ a.T).inspect(a)
    assert square.cpp.count("ctx->gemm(ctx, 12, 0, 1, ") == 1
    assert "transpose" not in square.ir
    rows = weft.jit(lambda a, v: np.tanh(a @ v)).inspect(a, v)
    inner = weft.jit(lambda v: v @ v).inspect(v)
    assert "gemm(ctx, 12" not in rows.cpp + inner.cpp


@pytest.mark.parametrize("shape", [(4, 1, 5), (4, 1, 1), (4, 2, 1), (2, 1, 3, 4), (5, 1)])
def test_a_row_total_over_an_axis_of_size_one(shape: tuple[int, ...]) -> None:
    """What is read at a literal place of a row's own memory is read inside the row's loop."""

    def shares(s):
        return s / np.sum(s, axis=-1, keepdims=True)

    s = np.arange(1.0, 1.0 + np.prod(shape)).reshape(shape)
    np.testing.assert_allclose(weft.jit(shares)(s), shares(s), rtol=1e-14)
