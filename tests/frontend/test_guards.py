"""One artifact for many sizes; guards, restaging and its reasons; captured data and objects are never stale."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

import weft

RATE = 2.0
TABLE = np.array([1.0, 2.0, 3.0])
FLAG = True
NAME = "double"


def double(x):
    return 2 * x


def triple(x):
    return 3 * x


HELPER = double


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setenv("WEFT_VERIFY", "1")
    monkeypatch.setattr("weft.api.warm.load", lambda t, signature: None)


def compilations(f) -> int:
    return f.cache_info().compilations


# -- sizes -----------------------------------------------------------------------------------------------------------


def test_one_program_for_many_shapes():
    @weft.jit
    def normalised(a):
        for i in range(a.shape[0]):
            s = 0.0
            for j in range(a.shape[1]):
                s += a[i, j]
            a[i] = a[i] / s
        return np.sum(a, axis=1)

    for n in range(2, 40, 3):
        for m in (2, 3, 50):
            np.testing.assert_allclose(normalised(np.random.rand(n, m) + 1), np.ones(n))
    assert compilations(normalised) == 1


def test_sizes_zero_and_one():
    @weft.jit
    def total(x, y):
        return x + y, len(x), np.sum(x)

    for n in (5, 1, 0, 2, 7, 1, 0):
        x = np.arange(float(n))
        got = total(x, x)
        np.testing.assert_array_equal(got[0], x + x)
        assert got[1] == n
        assert got[2] == np.sum(x)
    assert compilations(total) == 3, total.cache_info()
    np.testing.assert_array_equal(total(np.ones(1), np.arange(4.0))[0], np.ones(1) + np.arange(4.0))
    assert compilations(total) == 4
    assert total.cache_info().reasons[0] == "first call"


def test_slices_guard_their_bounds():
    @weft.jit
    def middle(x):
        return x[2:-1] * 1.0, x[:10].copy(), x[-3:].copy()

    for n in (5, 6, 9, 30, 12, 2, 3, 4, 1, 0, 8):
        x = np.arange(float(n))
        for g, w in zip(middle(x), (x[2:-1], x[:10], x[-3:]), strict=True):
            np.testing.assert_array_equal(g, w)
    assert compilations(middle) <= 6, middle.cache_info()
    assert any("a slice stays within its array" in r for r in middle.cache_info().reasons)


def test_agreeing_sizes_are_guarded():
    @weft.jit
    def dot(a, x):
        return a @ x + np.sum(a * a)

    assert dot(np.ones((2, 3)), np.ones(3)).shape == (2,)
    assert dot(np.ones((4, 5)), np.ones(5)).shape == (4,)
    assert compilations(dot) == 1
    with pytest.raises(ValueError, match="matmul"):
        dot(np.ones((4, 5)), np.ones(4))
    assert dot(np.ones((3, 2)), np.ones(2)).shape == (3,)
    assert compilations(dot) == 1


def test_branch_on_a_size():
    @weft.jit
    def f(x):
        if x.shape[0] > 5:
            return x[5]
        return x[0] - 1.0

    for n in (8, 100, 3, 4, 6, 2):
        x = np.arange(float(n)) + 1
        assert f(x) == (x[5] if n > 5 else x[0] - 1)
    assert compilations(f) == 2
    assert "a Python branch on a size" in f.cache_info().reasons[1]


def test_numbers_needed_while_staging_are_fixed():
    @weft.jit
    def powers(x, n):
        return [x**k for k in range(n)]

    assert powers(2.0, 3) == [1.0, 2.0, 4.0]
    assert powers(3.0, 3) == [1.0, 3.0, 9.0]
    assert compilations(powers) == 1
    assert powers(2.0, 2) == [1.0, 2.0]
    assert compilations(powers) == 2
    assert "needed" in powers.cache_info().reasons[1]


def test_integers_are_run_time_values():
    @weft.jit
    def steps(x, n):
        for _ in range(n):
            x = x * 1.5
        return x

    for n in (3, 0, 100, -5, 1):
        assert steps(1.0, n) == pytest.approx(1.5 ** max(n, 0))
    assert compilations(steps) <= 2


def test_dtypes_and_structures_are_signatures():
    @weft.jit
    def f(x):
        return x * 2

    assert f(2) == 4
    assert type(f(2)) is int
    assert type(f(2.0)) is float
    assert f(np.float32(2)).dtype == np.float32
    assert f(np.zeros(3, np.float32)).dtype == np.float32
    assert f(np.zeros(3, np.int16)).dtype == np.int16
    assert f(True) == 2
    assert compilations(f) == 6


# -- captured --------------------------------------------------------------------------------------------------------


def test_globals_are_read_at_each_call(monkeypatch):
    @weft.jit
    def f(x):
        return x * RATE + TABLE[1] + (1.0 if FLAG else 0.0) + len(NAME)

    assert f(1.0) == 2.0 + 2.0 + 1.0 + 6
    monkeypatch.setitem(globals(), "RATE", 5.0)
    assert f(1.0) == 5.0 + 2.0 + 1.0 + 6
    assert compilations(f) == 1
    monkeypatch.setitem(globals(), "TABLE", np.array([0.0, 10.0, 0.0, 0.0]))
    assert f(1.0) == 5.0 + 10.0 + 1.0 + 6
    monkeypatch.setitem(globals(), "FLAG", False)
    assert f(1.0) == 5.0 + 10.0 + 6
    monkeypatch.setitem(globals(), "NAME", "no")
    assert f(1.0) == 5.0 + 10.0 + 2
    monkeypatch.setitem(globals(), "RATE", 3)
    assert f(1.0) == 3.0 + 10.0 + 2


def test_captured_arrays_changed_in_place():
    data = np.arange(100.0)

    @weft.jit
    def f(i):
        return data[i]

    assert f(3) == 3.0
    data[3] = 7.0
    assert f(3) == 7.0
    assert compilations(f) == 1


def test_captured_functions(monkeypatch):
    @weft.jit
    def f(x):
        return HELPER(x)

    assert f(1.0) == 2.0
    monkeypatch.setitem(globals(), "HELPER", triple)
    assert f(1.0) == 3.0
    assert compilations(f) == 2
    assert "captured" in f.cache_info().reasons[1]


def test_closure_cells():
    scale, fn = 2.0, double

    @weft.jit
    def f(x):
        return fn(x) * scale

    assert f(1.0) == 4.0
    scale = 10.0
    assert f(1.0) == 20.0
    assert compilations(f) == 1
    fn = triple
    assert f(1.0) == 30.0
    assert compilations(f) == 2


@dataclass
class Model:
    weight: float = 2.0
    sizes: list = field(default_factory=lambda: [1.0, 2.0])
    kind: str = "linear"


class Layer:
    bias = 1.0

    def __init__(self, w):
        self.w = w
        self.inner = Model()

    def __call__(self, x):
        return x @ self.w + self.bias * self.inner.weight

    @weft.jit
    def apply(self, x):
        return self(x) + len(self.inner.kind)


def test_attributes_of_captured_objects():
    model = Model()

    @weft.jit
    def f(x):
        return x * model.weight + model.sizes[0] + (1.0 if model.kind == "linear" else 2.0)

    assert f(1.0) == 4.0
    model.weight = 3.0
    assert f(1.0) == 5.0
    model.sizes[0] = 10.0
    assert f(1.0) == 14.0
    assert compilations(f) == 1
    model.kind = "cubic"
    assert f(1.0) == 15.0
    assert compilations(f) == 2
    model.sizes = [20.0]
    assert f(1.0) == 25.0


def test_objects_with_methods():
    layer = Layer(np.eye(2))
    f = weft.jit(lambda x: layer(x))
    np.testing.assert_allclose(f(np.ones(2)), [3.0, 3.0])
    layer.w = 2 * np.eye(2)
    np.testing.assert_allclose(f(np.ones(2)), [4.0, 4.0])
    layer.inner.weight = 0.0
    np.testing.assert_allclose(f(np.ones(2)), [2.0, 2.0])
    assert compilations(f) == 1
    layer.inner = Model(weight=1.0)
    np.testing.assert_allclose(f(np.ones(2)), [3.0, 3.0])


def test_class_attributes(monkeypatch):
    layer = Layer(np.eye(2))
    f = weft.jit(lambda x: layer(x))
    np.testing.assert_allclose(f(np.ones(2)), [3.0, 3.0])
    monkeypatch.setattr(Layer, "bias", 5.0)
    np.testing.assert_allclose(f(np.ones(2)), [11.0, 11.0])


def test_jit_on_methods():
    layer = Layer(np.eye(2))
    np.testing.assert_allclose(layer.apply(np.ones(2)), [9.0, 9.0])
    np.testing.assert_allclose(Layer(2 * np.eye(2)).apply(np.ones(2)), [10.0, 10.0])
    layer.w = 3 * np.eye(2)
    np.testing.assert_allclose(layer.apply(np.ones(2)), [11.0, 11.0])


def test_static_arguments():
    @weft.jit(static_argnames="mode")
    def f(x, mode="double"):
        return x * {"double": 2, "triple": 3}[mode]

    assert (f(1.0), f(1.0, "triple"), f(1.0, mode="triple"), f(1.0, mode="double")) == (2.0, 3.0, 3.0, 2.0)


def test_one_array_twice_and_overlaps():
    @weft.jit
    def shift(a, b):
        a[1:] = b[:-1]
        return a[0] + b[0]

    def python(a, b):
        a[1:] = b[:-1]
        return a[0] + b[0]

    x, y = np.arange(5.0), np.arange(5.0)
    assert shift(x, x) == python(y, y)
    np.testing.assert_array_equal(x, y)
    assert shift(x, np.ones(5)) == python(y, np.ones(5))
    np.testing.assert_array_equal(x, y)
    z = np.arange(6.0)
    with pytest.raises(ValueError, match="overlaps|memory"):
        shift(z[1:], z[:-1])


def test_learnt_types_do_not_leak_between_calls():
    def repeat(x, n):
        for _ in range(n):
            x = x * 2
        return x

    @weft.jit
    def f(a, b, n):
        return repeat(a, n), repeat(b, n), [repeat(v, n) for v in (1, 2.5, 3)]

    got = f(1.5, 3, 2)
    assert got == (6.0, 12, [4, 10.0, 12])
    assert [type(v) for v in (got[0], got[1], *got[2])] == [float, int, int, float, int]


def test_a_number_that_follows_from_sizes_is_known_and_they_are_guarded():
    @weft.jit
    def f(x):
        half = len(x) // 2
        return (1.0,) * max(half, 2), x.reshape(2, half)

    assert len(f(np.arange(8.0))[0]) == 4
    assert len(f(np.arange(6.0))[0]) == 3  # not the program of the first call
    assert f(np.arange(6.0))[1].shape == (2, 3)
    assert [r.split(":")[0] for r in f.cache_info().reasons] == ["first call", "guard failed"]


def test_a_number_that_a_loop_computes_is_not_known():
    @weft.jit
    def f(x):
        n = 0
        for i in range(len(x)):
            n = n + i // 2
        return (1.0,) * n

    with pytest.raises(weft.StagingError, match="only known at run time"):
        f(np.arange(5.0))


def test_derivatives_of_arrays_whose_sizes_became_numbers():
    def f(x):
        half = len(x) // 2
        y = np.sin(x[:half])
        z = y.reshape(half // 2, 2)
        return np.sum(np.where(z > 0, z, np.zeros((int(half // 2), 2))) * y.reshape(z.shape))

    x = np.linspace(0.1, 2.0, 8)
    want = np.zeros(8)
    want[:4] = np.sin(2 * x[:4])
    np.testing.assert_allclose(weft.grad(f)(x), want)
    np.testing.assert_allclose(weft.vmap(weft.grad(f))(np.stack([x, x]))[1], want)
