"""`jit`, `grad`, `value_and_grad`, `jvp`, `vjp`, `vmap`: arguments, results, and all of them in any order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

import weft


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setenv("WEFT_VERIFY", "1")
    monkeypatch.setattr("weft.api.warm.load", lambda t, signature: None)


def cube(x):
    return x * x * x


def loop(x, n):
    """x ** n by a loop with a write in place."""
    table = np.ones(n + 1)
    for i in range(n):
        table[i + 1] = table[i] * x
    return table[n]


def until(x):
    """Doubles until above ten: a power of two times x."""
    while x < 10.0:
        x = x * 2.0
    return x


class Point(NamedTuple):
    x: float
    y: float


@dataclass
class Params:
    w: np.ndarray
    b: float


# -- one transformation ----------------------------------------------------------------------------------------------


def test_grad():
    assert weft.grad(cube)(2.0) == 12.0
    assert type(weft.grad(cube)(2.0)) is float
    assert weft.grad(cube)(np.float32(2)).dtype == np.float32
    np.testing.assert_allclose(weft.grad(lambda x: np.sum(x**2))(np.arange(3.0)), [0, 2, 4])
    assert weft.grad(until)(3.0) == 4.0
    assert weft.grad(loop)(2.0, 5) == 80.0


def test_argnums():
    def f(x, y, z=3.0):
        return x * y * y * z

    assert weft.grad(f, argnums=1)(2.0, 5.0) == 60.0
    assert weft.grad(f, argnums=(1, 0))(2.0, 5.0) == (60.0, 75.0)
    assert weft.grad(f, argnums=[0])(2.0, 5.0) == (75.0,)
    assert weft.grad(f, argnums=-1)(2.0, 5.0, 1.0) == 50.0
    assert weft.grad(f)(2.0, 5.0, z=2.0) == 50.0
    assert weft.grad(f)(2.0, y=5.0) == 75.0


def test_structures():
    def f(p, q):
        return np.sum(p.w * p.b) + q[0]["a"] * q[1].x

    g = weft.grad(f, argnums=(0, 1))(Params(np.arange(3.0), 2.0), ({"a": 3.0}, Point(4.0, 5.0)))
    assert isinstance(g[0], Params)
    np.testing.assert_allclose(g[0].w, [2.0, 2.0, 2.0])
    assert g[0].b == 3.0
    assert g[1] == ({"a": 4.0}, Point(3.0, 0.0))
    assert isinstance(g[1][1], Point)


def test_value_and_grad_and_aux():
    assert weft.value_and_grad(cube)(2.0) == (8.0, 12.0)
    f = lambda x: (x * x, {"half": x / 2, "name": "f"})  # noqa: E731
    assert weft.grad(f, has_aux=True)(3.0) == (6.0, {"half": 1.5, "name": "f"})
    assert weft.value_and_grad(f, has_aux=True)(3.0) == ((9.0, {"half": 1.5, "name": "f"}), 6.0)


def test_gradients_leave_arguments_alone():
    def f(x):
        x[0] = 5.0
        return np.sum(x * x)

    x = np.arange(3.0)
    np.testing.assert_allclose(weft.grad(f)(x), [0.0, 2.0, 4.0])
    np.testing.assert_array_equal(x, np.arange(3.0))


def test_jvp():
    assert weft.jvp(cube, (2.0,), (1.0,)) == (8.0, 12.0)
    value, tangent = weft.jvp(lambda x, n: (np.sum(x * n), x), (np.arange(3.0), 2.0), (np.ones(3), 1.0))
    assert value[0] == 6.0
    assert tangent[0] == 9.0
    np.testing.assert_array_equal(tangent[1], np.ones(3))
    assert weft.jvp(lambda x: (x * x, 7), (3.0,), (1.0,), has_aux=True) == (9.0, 6.0, 7)


def test_vjp():
    value, pull = weft.vjp(lambda x, y: x * y, 2.0, 3.0)
    assert value == 6.0
    assert pull(2.0) == (6.0, 4.0)
    value, pull, aux = weft.vjp(lambda x: (x * x, "aux"), 3.0, has_aux=True)
    assert (value, pull(1.0), aux) == (9.0, (6.0,), "aux")
    value, pull = weft.vjp(lambda p: (p["a"] * 2, np.sum(p["b"] ** 2)), {"a": 1.0, "b": np.arange(3.0)})
    (g,) = pull((1.0, 2.0))
    assert g["a"] == 2.0
    np.testing.assert_allclose(g["b"], [0.0, 4.0, 8.0])

    @weft.jit
    def jacobian(x):
        y, pull = weft.vjp(lambda v: v * np.sum(v), x)
        return np.stack([pull(row)[0] for row in np.eye(3)])

    x = np.arange(1.0, 4.0)
    np.testing.assert_allclose(jacobian(x), np.eye(3) * x.sum() + x[:, None])


def test_vmap_axes():
    x, y = np.arange(6.0).reshape(2, 3), np.arange(3.0)
    np.testing.assert_allclose(weft.vmap(np.dot, in_axes=(0, None))(x, y), x @ y)
    np.testing.assert_allclose(weft.vmap(lambda c: np.sum(c), in_axes=1)(x), x.sum(axis=0))
    np.testing.assert_allclose(weft.vmap(lambda r: r * 2, out_axes=1)(x), (x * 2).T)
    np.testing.assert_allclose(weft.vmap(lambda r: r * 2, in_axes=-1, out_axes=-1)(x), x * 2)
    out = weft.vmap(lambda d, s: {"k": d["a"] * s, "n": d["b"]}, in_axes=({"a": 0, "b": None}, 0))(
        {"a": y, "b": 1.0}, y
    )
    np.testing.assert_allclose(out["k"], y * y)
    np.testing.assert_allclose(out["n"], np.ones(3))
    assert weft.vmap(lambda a, b: b, in_axes=(0, None), out_axes=None)(y, 5.0) == 5.0


def test_vmap_of_control_flow():
    x = np.array([0.3, 20.0, 1.0, 9.0])
    np.testing.assert_allclose(weft.vmap(until)(x), [until(v) for v in x])
    np.testing.assert_allclose(weft.vmap(loop, in_axes=(0, None))(x, 3), x**3)
    np.testing.assert_allclose(weft.vmap(lambda v: math.sqrt(v) if v > 1 else -v)(x), [-0.3, 20**0.5, -1.0, 3.0])
    counts = weft.vmap(lambda v, n: sum_to(v, n))(x, np.array([0, 3, 1, 2]))
    np.testing.assert_allclose(counts, [0.0, 60.0, 1.0, 18.0])


def sum_to(v, n):
    s = 0.0
    for _ in range(n):
        s += v
    return s


def test_vmap_writes_mapped_arguments():
    def f(row, k):
        row[0] = k
        row[1:] *= 2.0

    x = np.ones((3, 4))
    assert weft.vmap(f)(x, np.arange(3.0)) is None
    np.testing.assert_array_equal(x, np.array([[k, 2.0, 2.0, 2.0] for k in range(3)]))


# -- in any order ----------------------------------------------------------------------------------------------------

XS = np.array([0.5, 1.5, 4.0])


def poly(x):
    s = 0.0
    for k in range(1, 4):
        if k % 2 == 1:
            s += x**k / k
        else:
            s -= math.sin(x) * k
    while s < -2.0:
        s = s + 1.0
    return s


def first(x):
    return 1.0 - 2.0 * np.cos(x) + x**2


def second(x):
    return 2.0 * np.sin(x) + 2.0 * x


def third(x):
    return 2.0 * np.cos(x) + 2.0


@pytest.mark.parametrize(
    ("f", "want"),
    [
        (weft.jit(weft.vmap(poly)), poly),
        (weft.vmap(weft.jit(poly)), poly),
        (weft.vmap(weft.grad(poly)), first),
        (weft.jit(weft.vmap(weft.grad(poly))), first),
        (weft.vmap(weft.jit(weft.grad(weft.jit(poly)))), first),
        (weft.grad(lambda x: np.sum(weft.vmap(poly)(x))), first),
        (weft.jit(weft.grad(lambda x: weft.vmap(poly)(x).sum())), first),
        (weft.vmap(weft.grad(weft.grad(poly))), second),
        (weft.vmap(lambda x: weft.jvp(weft.grad(poly), (x,), (1.0,))[1]), second),
        (weft.vmap(weft.grad(lambda x: weft.jvp(poly, (x,), (1.0,))[1])), second),
        (weft.vmap(lambda x: weft.jvp(lambda y: weft.jvp(poly, (y,), (1.0,))[1], (x,), (1.0,))[1]), second),
        (weft.grad(lambda x: np.sum(weft.vmap(weft.grad(poly))(x))), second),
        (weft.vmap(lambda x: weft.vjp(weft.grad(poly), x)[1](1.0)[0]), second),
        (weft.vmap(weft.grad(weft.grad(weft.grad(poly)))), third),
        (weft.grad(lambda x: np.sum(weft.vmap(weft.grad(weft.grad(poly)))(x))), third),
    ],
)
def test_any_order(f, want):
    np.testing.assert_allclose(f(XS), [want(x) for x in XS], rtol=1e-9)


def test_nested_vmaps():
    outer = weft.vmap(weft.vmap(lambda a, b: a * b + until(a), in_axes=(None, 0)), in_axes=(0, None))
    got = outer(XS, np.arange(4.0))
    np.testing.assert_allclose(got, [[a * b + until(a) for b in np.arange(4.0)] for a in XS])
    hessian = weft.jit(weft.vmap(lambda row: weft.jvp(weft.grad(lambda v: np.sum(v) ** 3), (XS,), (row,))[1]))
    np.testing.assert_allclose(hessian(np.eye(3)), np.full((3, 3), 6 * XS.sum()))


def test_transformations_of_captured_values():
    scale = np.array([1.0, 2.0, 3.0])

    def loss(w):
        return weft.grad(lambda v: np.sum(v * v * scale * w))(scale)[0]

    assert weft.grad(loss)(2.0) == 2.0
    scale[0] = 5.0
    assert weft.grad(loss)(2.0) == 50.0


def test_training_step():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((20, 3)), np.array([1.0, -2.0, 0.5])
    y = x @ w

    def example_loss(params, xi, yi):
        return (xi @ params["w"] + params["b"] - yi) ** 2

    def loss(params, xs, ys):
        return np.mean(weft.vmap(example_loss, in_axes=(None, 0, 0))(params, xs, ys))

    @weft.jit
    def step(params, xs, ys):
        value, g = weft.value_and_grad(loss)(params, xs, ys)
        return value, {k: params[k] - 0.1 * g[k] for k in params}

    params = {"w": np.zeros(3), "b": 0.0}
    for _ in range(200):
        value, params = step(params, x, y)
    assert value < 1e-4
    np.testing.assert_allclose(params["w"], w, atol=0.05)
    step(params, x[:7], y[:7])
    assert step.cache_info().compilations <= 2


def test_jit_forms():
    @weft.jit
    def plain(x):
        return x + 1

    @weft.jit(static_argnums=1, donate_argnums=0)
    def with_options(x, n):
        return [x] * n

    assert plain(1) == 2
    assert with_options(1.0, 3) == [1.0, 1.0, 1.0]
    assert weft.jit(lambda *a, **k: a[0] + k["b"])(1, b=2) == 3
    assert plain.__name__ == "plain"
    assert plain.__wrapped__(1) == 2
    assert "plain" in repr(plain)
    with pytest.raises(TypeError, match="callable"):
        weft.jit(3)
    with pytest.raises(ValueError, match="not a parameter"):
        weft.jit(cube, static_argnames="nothing")
    info = plain.cache_info()
    assert (info.compilations, info.reasons) == (1, ("first call",))
    plain(2)
    assert plain.cache_info().hits == info.hits + 1
    plain.clear_cache()
    assert plain.cache_info().compilations == 0


def test_source_is_runnable():
    g = weft.grad(loop)
    g(2.0, 5)
    scope: dict = {"np": np}
    text = g.source
    exec(text, scope)
    made = next(v for k, v in scope.items() if callable(v) and getattr(v, "__module__", None) is None or "loop" in k)
    assert callable(made)
    assert "def " in text


def test_derivatives_of_weft_functions_are_weft_arrays():
    import weft.numpy as wnp

    for x in (1.0, np.ones(3)):
        assert isinstance(weft.grad(lambda x: wnp.sum(wnp.sin(x)))(x), weft.Array)
    assert isinstance(weft.grad(lambda x: x * x)(1.0), float)
    assert type(weft.grad(lambda x: np.sum(np.sin(x)))(np.ones(3))) is np.ndarray
    _, pull = weft.vjp(lambda x: wnp.sum(x * 2), np.ones(3))
    assert isinstance(pull(1.0)[0], weft.Array)


def test_functions_of_the_module_operator():
    import operator

    assert weft.jit(operator.add)(1.0, 2.0) == 3.0
    np.testing.assert_array_equal(weft.vmap(operator.mul)(np.arange(3.0), np.arange(3.0)), [0.0, 1.0, 4.0])
    np.testing.assert_array_equal(weft.jit(operator.matmul)(np.eye(2), np.ones(2)), [1.0, 1.0])
    assert weft.grad(operator.pow)(3.0, 2.0) == 6.0
    assert not weft.jit(operator.lt)(2.0, 1.0)
