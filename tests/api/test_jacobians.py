"""`jacfwd`, `jacrev`, `hessian`, `hvp`, `linearize`, complex gradients, float0: structures and values are JAX's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import weft
from weft.dtypes import float0

X = np.array([0.3, 1.2, -0.7])
A = np.arange(6.0).reshape(2, 3) + 0.5
BOTH = pytest.mark.parametrize("jac", [weft.jacfwd, weft.jacrev])


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setenv("WEFT_VERIFY", "1")
    monkeypatch.setattr("weft.api.warm.load", lambda t, signature: None)


@dataclass
class Params:
    w: np.ndarray
    b: float


def f(x):
    return np.sin(x) * np.sum(x)


def jacobian_of_f(x):
    return np.diag(np.cos(x) * x.sum()) + np.sin(x)[:, None]


# -- Jacobians -------------------------------------------------------------------------------------------------------


@BOTH
def test_values_in_any_order(jac):
    np.testing.assert_allclose(jac(f)(X), jacobian_of_f(X), rtol=1e-14)
    np.testing.assert_allclose(weft.jit(jac(f))(X), jacobian_of_f(X), rtol=1e-14)
    rows = np.stack([X, X + 1.0])
    np.testing.assert_allclose(weft.vmap(jac(f))(rows), [jacobian_of_f(x) for x in rows], rtol=1e-14)
    whole = jac(weft.vmap(f))(rows)
    assert whole.shape == (2, 3, 2, 3)
    np.testing.assert_allclose(whole[1, :, 1], jacobian_of_f(rows[1]), rtol=1e-14)
    np.testing.assert_array_equal(whole[1, :, 0], np.zeros((3, 3)))
    trace = weft.grad(lambda x: np.trace(jac(f)(x)))(X)
    want = -np.sin(X) * X.sum() + np.cos(X).sum() + np.cos(X)
    np.testing.assert_allclose(trace, want, rtol=1e-12)


@BOTH
def test_structures(jac):
    def g(p, q):
        return {"a": p.w @ q, "s": (np.sum(p.w**2) * p.b, [q])}

    out = jac(g, argnums=(0, 1))(Params(A, 2.0), X)
    at_p, at_q = out["a"]
    assert isinstance(at_p, Params)
    np.testing.assert_allclose(at_p.w, np.einsum("ik,j->ikj", np.eye(2), X), rtol=1e-14)
    np.testing.assert_array_equal(at_p.b, np.zeros(2))
    np.testing.assert_allclose(at_q, A)
    s, (q,) = out["s"]
    np.testing.assert_allclose(s[0].w, 4.0 * A)
    assert s[0].b == pytest.approx(np.sum(A**2))
    np.testing.assert_array_equal(s[1], np.zeros(3))
    assert q[0].w.shape == (3, 2, 3) and q[0].b.shape == (3,)
    np.testing.assert_array_equal(q[1], np.eye(3))
    one = jac(g)(Params(A, 2.0), X)
    np.testing.assert_allclose(one["a"].w, at_p.w)
    assert isinstance(jac(g, argnums=[1])(Params(A, 2.0), X)["a"], tuple)


@BOTH
def test_scalars_sizes_and_aux(jac):
    assert jac(lambda x: x * x)(3.0) == 6.0
    assert type(jac(lambda x: x * x)(3.0)) is float
    assert jac(f)(np.float32(0.5)).dtype == np.float32
    assert jac(f)(np.zeros(0)).shape == (0, 0)
    np.testing.assert_allclose(jac(f)(np.ones(1)), [[np.cos(1.0) + np.sin(1.0)]])
    found, aux = jac(lambda x: (f(x), {"n": x.size, "x": x, "s": "text"}), has_aux=True)(X)
    np.testing.assert_allclose(found, jacobian_of_f(X), rtol=1e-14)
    assert aux["n"] == 3 and aux["s"] == "text"
    np.testing.assert_array_equal(aux["x"], X)
    g = weft.jit(jac(f))
    for n in (2, 3, 5, 8):
        g(np.ones(n))
    assert g.cache_info().compilations <= 2


@BOTH
def test_control_flow(jac):
    def table(x, n):
        t = np.ones(n + 1)
        for i in range(n):
            t[i + 1] = t[i] * x[i % x.size] if i % 2 == 0 else t[i] + x[0]
        return t

    eps = 1e-6
    want = np.stack([(table(X + eps * e, 5) - table(X - eps * e, 5)) / (2 * eps) for e in np.eye(3)], axis=-1)
    np.testing.assert_allclose(jac(table)(X, 5), want, rtol=1e-8, atol=1e-9)


def test_hessians():
    def loss(p):
        return p["a"] * np.sum(np.sin(p["x"])) * p["a"]

    h = weft.hessian(loss)({"a": 2.0, "x": X})
    assert h["a"]["a"] == pytest.approx(2 * np.sin(X).sum())
    np.testing.assert_allclose(h["a"]["x"], 4 * np.cos(X))
    np.testing.assert_allclose(h["x"]["a"], 4 * np.cos(X))
    np.testing.assert_allclose(h["x"]["x"], np.diag(-4 * np.sin(X)))
    both = weft.hessian(lambda x, y: np.sum(x * y * y), argnums=(0, 1))(X, 2 * X)
    np.testing.assert_allclose(both[0][1], np.diag(4 * X))
    np.testing.assert_allclose(both[1][1], np.diag(2 * X))
    for outer in (weft.jacfwd, weft.jacrev):
        for inner in (weft.jacfwd, weft.jacrev, weft.grad):
            got = outer(inner(lambda x: np.sum(f(x) ** 2)))(X)
            np.testing.assert_allclose(got, weft.hessian(lambda x: np.sum(f(x) ** 2))(X), rtol=1e-12, atol=1e-14)
    got = weft.jit(weft.vmap(weft.hessian(lambda x: np.sum(np.sin(x)))))(np.stack([X, -X]))
    np.testing.assert_allclose(got, [np.diag(-np.sin(X)), np.diag(np.sin(X))], atol=1e-15)
    value, aux = weft.hessian(lambda x: (np.sum(x**3), "aux"), has_aux=True)(X)
    np.testing.assert_allclose(value, np.diag(6 * X))
    assert aux == "aux"


def test_hvp():
    loss = lambda x: np.sum(f(x) ** 2)  # noqa: E731
    want = weft.hessian(loss)(X) @ A[0]
    np.testing.assert_allclose(weft.hvp(loss, (X,), (A[0],)), want, rtol=1e-12)
    np.testing.assert_allclose(weft.jit(lambda x, v: weft.hvp(loss, (x,), (v,)))(X, A[0]), want, rtol=1e-12)
    np.testing.assert_allclose(weft.jvp(weft.grad(loss), (X,), (A[0],))[1], want, rtol=1e-12)
    np.testing.assert_allclose(weft.grad(lambda x: weft.grad(loss)(x) @ A[0])(X), want, rtol=1e-12)
    gx, gy = weft.hvp(lambda x, y: np.sum(x * x * y), (X, X), (A[0], A[1]))
    np.testing.assert_allclose(gx, 2 * X * A[0] + 2 * X * A[1])
    np.testing.assert_allclose(gy, 2 * X * A[0])


# -- linearize ---------------------------------------------------------------------------------------------------------


def test_linearize():
    value, along = weft.linearize(lambda x, n: (f(x) * n, 3), X, 2.0)
    np.testing.assert_allclose(value[0], f(X) * 2.0)
    want = jacobian_of_f(X) @ A[0] * 2.0 + f(X) * 0.5
    tangent = along(A[0], 0.5)
    np.testing.assert_allclose(tangent[0], want, rtol=1e-13)
    assert tangent[1].dtype == float0

    @weft.jit
    def both(x, d):
        def steps(x):
            for _ in range(4):
                x = x + 0.1 * np.sin(x)
            return {"x": x, "s": np.sum(x)}

        y, along = weft.linearize(steps, x)
        return y, along(d), along(2.0 * d)

    y, one, two = both(X, A[0])
    want = weft.jvp(lambda x: both(x, A[0])[0], (X,), (A[0],))[1]
    np.testing.assert_allclose(one["x"], want["x"], rtol=1e-13)
    np.testing.assert_allclose(two["s"], 2 * want["s"], rtol=1e-13)
    value, along, aux = weft.linearize(lambda x: (x * x, "aux"), 3.0, has_aux=True)
    assert (value, along(1.0), aux) == (9.0, 6.0, "aux")
    g = weft.grad(lambda x: np.sum(weft.linearize(f, x)[1](A[0])))(X)
    np.testing.assert_allclose(g, weft.grad(lambda x: np.sum(weft.jvp(f, (x,), (A[0],))[1]))(X), rtol=1e-12)


def test_linearize_where_sizes_were_found_equal():
    w, y, x = np.arange(1.0, 4.0), np.array([2.0, -1.0, 0.5]), np.arange(12.0).reshape(4, 3)
    both = weft.jit(lambda w, y: weft.linearize(lambda w, y: np.sin(w) * y, w, y)[1](y, w))
    np.testing.assert_allclose(both(w, y), np.cos(w) * y * y + np.sin(w) * w)
    np.testing.assert_allclose(weft.jit(lambda w, x: weft.linearize(lambda w: w * x[1], w)[1](w))(w, x), w * x[1])
    np.testing.assert_allclose(weft.jit(lambda w, x: weft.linearize(lambda x: w * x[1], x)[1](x))(w, x), w * x[1])


def test_linearize_evaluates_once():
    def both(x, d):
        def steps(x):
            for _ in range(50):
                x = x + 0.1 * np.sin(x)
            return x

        y, along = weft.linearize(steps, x)
        return y, along(d), along(2.0 * d)

    from weft.ir.nodes import Op, walk

    program = weft.jit(both).lower(X, X)
    sines = [s for s in walk(program.function.body) if isinstance(s, Op) and s.prim.name == "sin"]
    assert len(sines) == 1


# -- complex numbers -----------------------------------------------------------------------------------------------------


def along_axes(h, z, eps=1e-6):
    """df/dx - i df/dy."""
    dx = (h(z + eps) - h(z - eps)) / (2 * eps)
    dy = (h(z + 1j * eps) - h(z - 1j * eps)) / (2 * eps)
    return dx - 1j * dy


@pytest.mark.parametrize(
    "h",
    [
        lambda z: z.real**2 * z.imag,
        lambda z: abs(z) ** 2,
        lambda z: abs(z * z - 1.0),
        lambda z: np.real(np.exp(z) * np.conj(z)),
        lambda z: np.imag(np.sqrt(z)),
        lambda z: np.real(z**3 / (z + 2.0)),
    ],
)
def test_gradients_of_real_functions_of_complex_arguments(h):
    z = 0.7 - 0.4j
    assert weft.grad(h)(z) == pytest.approx(along_axes(h, z), rel=1e-7)
    rows = np.array([z, 2 * z, -z])
    np.testing.assert_allclose(weft.vmap(weft.grad(h))(rows), [along_axes(h, v) for v in rows], rtol=1e-7)
    np.testing.assert_allclose(weft.jacrev(weft.vmap(h))(rows), np.diag([along_axes(h, v) for v in rows]), rtol=1e-7)


def test_complex_linear_maps():
    z = 1 + 2j
    assert weft.grad(lambda z: z**3, holomorphic=True)(z) == pytest.approx(3 * z**2)
    assert weft.jvp(lambda z: z * z, (z,), (1j,)) == (z * z, 2 * z * 1j)
    assert weft.vjp(lambda z: z * z, z)[1](1.0 + 0j) == (2 * z,)  # transposed, not conjugated
    assert weft.vjp(np.conj, z)[1](1j) == (-1j,)
    assert weft.vjp(np.imag, z)[1](1.0) == (-1j,)
    zs = np.array([z, 0.5 - 1j])
    for jac in (weft.jacfwd, weft.jacrev):
        np.testing.assert_allclose(jac(lambda z: z * z * z, holomorphic=True)(zs), np.diag(3 * zs**2), rtol=1e-13)
    np.testing.assert_allclose(weft.hessian(lambda z: np.sum(z**3), holomorphic=True)(zs), np.diag(6 * zs), rtol=1e-13)
    np.testing.assert_allclose(weft.jacfwd(lambda x: x * 1j)(X), np.eye(3) * 1j)


# -- integers ------------------------------------------------------------------------------------------------------------


def test_derivatives_with_respect_to_integers():
    n = np.arange(3)
    g = weft.grad(lambda x, n, b: np.sum(x * n) * (2 if b else 3), argnums=(0, 1, 2), allow_int=True)(2.0, n, True)
    assert g[0] == 6.0
    assert g[1].dtype == float0 and g[1].shape == (3,)
    assert g[2].dtype == float0 and g[2].shape == ()
    ct = weft.vjp(lambda x, n: x * n, 2.0, n)[1](np.ones(3))
    assert ct[1].dtype == float0 and ct[1].shape == (3,)
    value, tangent = weft.jvp(lambda x, n: (x * n[1], n), (2.0, n), (1.0, np.zeros(3, float0)))
    assert tangent[0] == 1.0 and tangent[1].dtype == float0 and tangent[1].shape == (3,)
    j = weft.jacrev(lambda x, n: x * n[0], argnums=(0, 1), allow_int=True)(X, n)
    assert j[1].shape == (3, 3) and j[1].dtype == float0
    out = weft.jacfwd(lambda x: {"n": x.size, "x": x})(X)
    assert out["n"].shape == (3,) and out["n"].dtype == float0
    first, _ = weft.jit(lambda x, n: weft.grad(lambda x, n: np.sum(x * n), (0, 1), allow_int=True)(x, n))(X, n)
    np.testing.assert_array_equal(first, n)
    inside = weft.jit(lambda x, n: weft.jvp(lambda x, n: x * n, (x, n), (x, weft.vjp(lambda n: 1.0 * n, n)[1](1.0)[0])))
    assert inside(3.0, 2) == (6.0, 6.0)


# -- registered containers -------------------------------------------------------------------------------------------


class Point:
    """A container that is no dataclass, with a part that is no leaf."""

    def __init__(self, x, y, name):
        self.x, self.y, self.name = x, y, name


weft.tree_util.register_pytree_node(Point, lambda p: ((p.x, p.y), p.name), lambda name, c: Point(*c, name))


@weft.custom_vjp
def scaled(p):
    return p.x * p.y


scaled.defvjp(lambda p: (scaled(p), p), lambda p, ct: (Point(10.0 * ct * p.y, None, p.name),))


def test_registered_containers():
    p = Point(2.0, 3.0, "p")
    g = weft.grad(lambda p: p.x**2 * p.y)(p)
    assert type(g) is Point and (g.x, g.y, g.name) == (12.0, 4.0, "p")
    value, tangent = weft.jvp(lambda p: Point(p.x * p.y, p.x, "out"), (p,), (Point(1.0, 0.0, "p"),))
    assert (value.x, value.name, tangent.x, tangent.y) == (6.0, "out", 3.0, 1.0)
    rows = weft.vmap(lambda p: Point(p.x * p.y, p.y, p.name))(Point(X, X + 1.0, "rows"))
    np.testing.assert_allclose(rows.x, X * (X + 1.0))
    h = weft.hessian(lambda p: p.x**2 * p.y)(p)
    assert (h.x.x, h.x.y, h.y.x, h.y.y) == (6.0, 4.0, 4.0, 0.0)
    g = weft.grad(lambda x: scaled(Point(x, 2.0, "q")))(3.0)
    assert g == 20.0
    g = weft.grad(scaled)(p)
    assert (g.x, g.y) == (30.0, 0.0)

    def steps(p, n):
        for _ in range(n):
            p = Point(p.x * p.y, p.y + 1.0, p.name)
        return p.x

    g = weft.grad(steps)(p, 3)
    assert (g.x, g.y) == (60.0, 2.0 * (3 * 9 + 6 * 3 + 2))
    with pytest.raises(TypeError, match="changes|a change to a Point"):
        weft.jit(lambda p: setattr(p, "x", 1.0))(p)
