"""Operations one by one on arrays of a GPU: each runs there, and gives what NumPy gives."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import weft
import weft.numpy as wnp

X = np.arange(1.0, 13.0).reshape(3, 4)


def same(got, want, device):
    """An array on a device with these values."""
    assert type(got) is weft.Array and got.device is device
    want = np.asarray(want)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-14)


@pytest.mark.parametrize(
    "op",
    [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow,
     operator.lt, operator.ge, operator.eq, operator.ne],
    ids=lambda op: op.__name__,
)  # fmt: skip
def test_operators(fake, gpu, op):
    a = weft.device_put(X, gpu)
    same(op(a, 2.5), op(X, 2.5), gpu)
    same(op(2.5, a), op(2.5, X), gpu)
    same(op(a, X[0]), op(X, X[0]), gpu)
    same(op(X[0], a), op(X[0], X), gpu)


def test_more_operators(fake, gpu):
    a, k = weft.device_put(X, gpu), weft.device_put(np.arange(6), gpu)
    same(a @ wnp.ones(4), X @ np.ones(4), gpu)
    same(a.T @ a, X.T @ X, gpu)
    same(-a, -X, gpu)
    same(abs(-a), X, gpu)
    same(~k, ~np.arange(6), gpu)
    same(k << 2, np.arange(6) << 2, gpu)
    same(k & 3 | 8, np.arange(6) & 3 | 8, gpu)
    same(k**2, np.arange(6) ** 2, gpu)
    same(divmod(a, 2.0)[1], X % 2.0, gpu)
    assert (a + 1).committed
    assert a.__add__(None) is NotImplemented


@pytest.mark.parametrize(
    "key",
    [0, -1, (1, 2), slice(1, None), (slice(None), 1), (slice(None, None, -1), slice(0, 4, 2)), ..., (..., None, 0),
     [2, 0], (np.array([2, 0]), slice(1, 3)), X > 5],
    ids=str,
)  # fmt: skip
def test_indexing(fake, gpu, key):
    same(weft.device_put(X, gpu)[key], X[key], gpu)


def test_updates(fake, gpu):
    a = weft.device_put(X, gpu)
    want = X.copy()
    want[1, 1:3] = 0
    same(a.at[1, 1:3].set(0.0), want, gpu)
    want = X.copy()
    want[0] += X[1]
    same(a.at[0].add(a[1]), want, gpu)
    same(wnp.zeros(3).at[1].set(weft.device_put(5.0, gpu)), [0.0, 5.0, 0.0], gpu)
    with pytest.raises(IndexError):
        a[7]


def test_methods(fake, gpu):
    a = weft.device_put(X, gpu)
    same(a.T, X.T, gpu)
    same(a.real, X, gpu)
    same(a.astype(np.float32), X.astype(np.float32), gpu)
    assert a.astype(float) is a
    same(a.reshape(4, 3), X.reshape(4, 3), gpu)
    same(a.reshape((2, -1)), X.reshape(2, -1), gpu)
    same(a.reshape(-1), X.reshape(-1), gpu)
    same(a.reshape(2, 6, order="F"), X.reshape(2, 6, order="F"), gpu)
    assert weft.device_put(np.zeros((0, 3)), gpu).reshape(3, 0).shape == (3, 0)
    for bad in ((5,), (-1, 5), (-1, -1), (-2, -6)):
        with pytest.raises(ValueError, match="reshape array|one unknown"):
            a.reshape(bad)
    same(a.transpose(1, 0), X.T, gpu)
    same(a.flatten(), X.flatten(), gpu)
    same(a.sum(axis=0), X.sum(axis=0), gpu)
    same(a.mean(axis=-1, keepdims=True), X.mean(axis=-1, keepdims=True), gpu)
    same(a.round(1), X.round(1), gpu)
    assert a.sum().item() == X.sum() and a.tolist() == X.tolist()
    assert [r.device for r in a] == [gpu] * 3


def test_functions(fake, gpu):
    a = weft.device_put(X, gpu)
    same(wnp.sin(a), np.sin(X), gpu)
    same(wnp.where(a > 5, a, 0.0), np.where(X > 5, X, 0.0), gpu)
    same(wnp.concatenate([a, wnp.ones((1, 4))]), np.concatenate([X, np.ones((1, 4))]), gpu)
    same(wnp.stack([a, a], axis=-1), np.stack([X, X], axis=-1), gpu)
    same(wnp.cumsum(a, axis=1), np.cumsum(X, axis=1), gpu)
    same(wnp.clip(a, 2, 5), np.clip(X, 2, 5), gpu)
    same(wnp.zeros_like(a), np.zeros_like(X), gpu)
    same(wnp.asarray(a, dtype=np.float32), X.astype(np.float32), gpu)
    same(wnp.einsum("ij,kj->ik", a, a), X @ X.T, gpu)
    same(wnp.var(a, ddof=1), np.var(X, ddof=1), gpu)
    same(wnp.linalg.norm(a), np.linalg.norm(X), gpu)
    assert wnp.ones(3).device.platform == "cpu"


def test_new_arrays_on_the_default_device(fake, gpu):
    with weft.default_device(gpu):
        for made in (
            wnp.zeros((2, 3)),
            wnp.arange(3.0),
            wnp.array([[1, 2], [3, 4]]),
            wnp.linspace(0, 1, 5),
            wnp.eye(2),
        ):
            assert made.device is gpu and not made.committed
        same(wnp.array([1.0, 2.0]) + 1, [2.0, 3.0], gpu)
        same(wnp.add(1.0, 2.0), 3.0, gpu)


def test_numpys_functions_bring_arrays_to_the_host(fake, gpu):
    a = weft.device_put(X, gpu)
    assert type(np.sin(a)) is np.ndarray
    np.testing.assert_array_equal(np.sin(a), np.sin(X))
    assert float(np.sum(a)) == X.sum()


def test_operations_are_compiled_once(fake, gpu):
    a = weft.device_put(X, gpu)
    a * 3.0
    loaded = fake.count("cuModuleLoadDataEx")
    for k in range(5):
        a * float(k)
        weft.device_put(np.ones((k + 2, 5)), gpu) * 2.0
    assert fake.count("cuModuleLoadDataEx") == loaded
