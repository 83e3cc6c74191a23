"""`custom_jvp` and `custom_vjp`: rules are used in every mode, order and batch, and what is wrong in them is said."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest

import weft

X = np.array([0.3, -1.2, 2.0, 0.7])
SCALE = 3.0


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setenv("WEFT_VERIFY", "1")
    monkeypatch.setattr("weft.api.warm.load", lambda t, signature: None)


class Pair(NamedTuple):
    a: np.ndarray
    b: float


# Rules that are wrong by a factor, so that it shows when they are not used.


@weft.custom_jvp
def sine(x):
    return np.sin(x)


@sine.defjvp
def sine_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return sine(x), SCALE * np.cos(x) * t


@weft.custom_vjp
def product(x, y):
    return np.sin(x) * y


def product_fwd(x, y):
    return product(x, y), (np.cos(x), y, np.sin(x))


def product_bwd(residuals, ct):
    c, y, s = residuals
    return SCALE * ct * c * y, ct * s


product.defvjp(product_fwd, product_bwd)


# -- forward rules ---------------------------------------------------------------------------------------------------


def test_the_rule_is_used_in_both_modes():
    assert sine(0.5) == math.sin(0.5)
    assert weft.jit(sine)(0.5) == math.sin(0.5)
    value, tangent = weft.jvp(sine, (0.5,), (2.0,))
    assert (value, tangent) == (math.sin(0.5), SCALE * math.cos(0.5) * 2.0)
    assert weft.grad(sine)(0.5) == SCALE * math.cos(0.5)
    np.testing.assert_allclose(weft.jacfwd(sine)(X), np.diag(SCALE * np.cos(X)))
    np.testing.assert_allclose(weft.jacrev(sine)(X), np.diag(SCALE * np.cos(X)))
    assert weft.linearize(sine, 0.5)[1](1.0) == SCALE * math.cos(0.5)


@pytest.mark.parametrize(
    ("f", "want"),
    [
        (weft.vmap(weft.grad(sine)), SCALE * np.cos(X)),
        (weft.jit(weft.vmap(weft.grad(weft.jit(sine)))), SCALE * np.cos(X)),
        (weft.grad(lambda x: np.sum(weft.vmap(sine)(x))), SCALE * np.cos(X)),
        (lambda x: weft.jvp(weft.vmap(sine), (x,), (np.ones(4),))[1], SCALE * np.cos(X)),
        (weft.vmap(lambda x: weft.jvp(sine, (x,), (1.0,))[1]), SCALE * np.cos(X)),
        (weft.vmap(weft.grad(weft.grad(sine))), -SCALE * np.sin(X)),
        (weft.vmap(weft.grad(weft.grad(weft.grad(sine)))), -SCALE * np.cos(X)),
        (weft.vmap(weft.grad(lambda x: weft.jvp(sine, (x,), (1.0,))[1])), -SCALE * np.sin(X)),
        (weft.grad(lambda x: np.sum(weft.vmap(weft.grad(sine))(x))), -SCALE * np.sin(X)),
        (weft.vmap(weft.vmap(weft.grad(sine), axis_size=2, in_axes=None), in_axes=0), SCALE * np.cos(X)[:, None]),
    ],
)
def test_in_any_order(f, want):
    # the second derivative of the rule: that of SCALE * cos(x) * t, whose cosine has no rule of its own
    np.testing.assert_allclose(f(X), np.broadcast_to(want, np.shape(f(X))), rtol=1e-12)


def test_inside_loops_branches_and_maps():
    def loop(x, n):
        for i in range(n):
            if x > 0.4:
                x = sine(x)
            else:
                x = x + sine(x) * 0.5
        return x

    def want(x, n):
        d = 1.0
        for _ in range(n):
            x, d = (
                (math.sin(x), d * SCALE * math.cos(x))
                if x > 0.4
                else (x + math.sin(x) * 0.5, d * (1 + SCALE * 0.5 * math.cos(x)))
            )
        return d

    for n in (0, 1, 5):
        assert weft.grad(loop)(0.3, n) == pytest.approx(want(0.3, n), rel=1e-13)
        assert weft.jvp(lambda x: loop(x, n), (0.3,), (1.0,))[1] == pytest.approx(want(0.3, n), rel=1e-13)
    got = weft.vmap(weft.grad(loop))(X, np.array([0, 1, 2, 3]))
    np.testing.assert_allclose(got, [want(x, n) for x, n in zip(X, range(4))])

    def until(x):
        while x < 3.0:
            x = x + 1.0 + 0.1 * sine(x)
        return x

    def slope(x):
        d = 1.0
        while x < 3.0:
            d *= 1 + 0.1 * SCALE * math.cos(x)
            x = x + 1.0 + 0.1 * math.sin(x)
        return d

    np.testing.assert_allclose(weft.vmap(weft.grad(until))(X), [slope(x) for x in X])
    np.testing.assert_allclose(weft.grad(lambda x: np.sum(weft.vmap(until)(x)))(X), [slope(x) for x in X])


def test_defjvps_and_structures():
    @weft.custom_jvp
    def f(p, y):
        return {"s": p.a * p.b, "t": (y, 2)}

    f.defjvps(
        lambda t, out, p, y: {"s": 10.0 * t.a * p.b + t.b * p.a, "t": (np.zeros_like(y), 0)},
        lambda t, out, p, y: {"s": 0.0 * p.a, "t": (5.0 * t, 0)},
    )
    out, tangent = weft.jvp(f, (Pair(X, 2.0), X), (Pair(np.ones(4), 1.0), X))
    np.testing.assert_allclose(out["s"], X * 2.0)
    assert out["t"][1] == 2
    np.testing.assert_allclose(tangent["s"], 20.0 + X)
    np.testing.assert_allclose(tangent["t"][0], 5.0 * X)
    assert tangent["t"][1].dtype == weft.dtypes.float0
    g = weft.grad(lambda p: np.sum(f(p, X)["s"]))(Pair(X, 2.0))
    np.testing.assert_allclose(g.a, np.full(4, 20.0))
    assert g.b == pytest.approx(X.sum())

    @weft.custom_jvp
    def half(x, y):
        return x * y

    half.defjvps(None, lambda t, out, x, y: t * x)
    assert weft.grad(half, argnums=(0, 1))(2.0, 3.0) == (0.0, 2.0)


def test_nondiff_arguments_and_keywords():
    @weft.custom_jvp
    def plain(x, n=2, *, k=1):
        return x

    with pytest.raises(TypeError, match="keyword-only"):
        weft.jit(lambda x: plain(x, k=2))(1.0)

    powers = weft.custom_jvp(lambda f, x, n=3: f(x) ** n, nondiff_argnums=(0, 2))

    @powers.defjvp
    def powers_jvp(f, n, primals, tangents):
        (x,), (t,) = primals, tangents
        return powers(f, x, n), 100.0 * n * f(x) ** (n - 1) * t

    assert weft.grad(lambda x: powers(math.sin, x))(0.5) == pytest.approx(300.0 * math.sin(0.5) ** 2)
    assert weft.grad(lambda x: powers(math.sin, x, n=2))(0.5) == pytest.approx(200.0 * math.sin(0.5))
    assert weft.grad(lambda x, n: powers(math.sin, x, n))(0.5, 4) == pytest.approx(400.0 * math.sin(0.5) ** 3)
    named = weft.custom_vjp(lambda x, n: x * n, nondiff_argnames=("n",))
    named.defvjp(lambda x, n: (x * n, None), lambda n, res, ct: (7.0 * n * ct,))
    assert weft.grad(named)(1.0, 2) == 14.0
    with pytest.raises(ValueError, match="not a parameter"):
        weft.custom_vjp(lambda x: x, nondiff_argnames="y")


# -- reverse rules ---------------------------------------------------------------------------------------------------


def test_the_reverse_rule():
    gx, gy = weft.grad(lambda x, y: np.sum(product(x, y)), argnums=(0, 1))(X, X + 1)
    np.testing.assert_allclose(gx, SCALE * np.cos(X) * (X + 1))
    np.testing.assert_allclose(gy, np.sin(X))
    value, pull = weft.vjp(product, 0.5, 2.0)
    assert value == math.sin(0.5) * 2.0
    assert pull(1.0) == (SCALE * math.cos(0.5) * 2.0, math.sin(0.5))
    second = weft.grad(weft.grad(product))(0.5, 2.0)
    assert second == pytest.approx(-SCALE * math.sin(0.5) * 2.0)  # the rules themselves are differentiated
    forward_over = weft.jvp(weft.grad(product), (0.5, 2.0), (1.0, 0.0))[1]
    assert forward_over == pytest.approx(second)
    np.testing.assert_allclose(weft.jit(product)(X, X), np.sin(X) * X)


def test_the_reverse_rule_batched():
    rows = np.stack([X, X + 1])
    want = SCALE * np.cos(rows) * X
    loss = lambda x, y: np.sum(product(x, y))  # noqa: E731
    np.testing.assert_allclose(weft.vmap(weft.grad(loss), in_axes=(0, None))(rows, X), want)
    shared = weft.grad(lambda x: np.sum(weft.vmap(product, in_axes=(None, 0))(x, rows)))(X)
    np.testing.assert_allclose(shared, SCALE * np.cos(X) * rows.sum(axis=0))
    twice = weft.grad(lambda x: np.sum(weft.vmap(weft.vmap(product), in_axes=(None, 0))(x, np.stack([rows] * 3))))(rows)
    np.testing.assert_allclose(twice, 3 * SCALE * np.cos(rows) * rows)
    second = weft.vmap(weft.grad(lambda x, y: np.sum(weft.grad(loss)(x, y))), in_axes=(0, None))(rows, X)
    np.testing.assert_allclose(second, -SCALE * np.sin(rows) * X)

    def steps(x, n):
        for _ in range(n):
            x = product(x, 2.0)
        return x

    def want_steps(x, n):
        d = 1.0
        for _ in range(n):
            d *= SCALE * math.cos(x) * 2.0
            x = math.sin(x) * 2.0
        return d

    got = weft.vmap(weft.grad(steps))(X, np.array([3, 0, 1, 2]))
    np.testing.assert_allclose(got, [want_steps(x, n) for x, n in zip(X, (3, 0, 1, 2))])


def test_none_is_zero_and_integers_have_none():
    @weft.custom_vjp
    def f(p, n, x):
        return p["w"] * x * n

    f.defvjp(
        lambda p, n, x: (f(p, n, x), (x, n)),
        lambda res, ct: ({"w": 10.0 * ct * res[0] * res[1], "b": None}, None, None),
    )
    loss = lambda p, x: np.sum(f(p, 3, x))  # noqa: E731
    g, gx = weft.grad(loss, argnums=(0, 1))({"w": 2.0, "b": X}, 5.0)
    assert (g["w"], gx) == (150.0, 0.0)
    np.testing.assert_array_equal(g["b"], np.zeros(4))


def test_what_a_rule_closes_over():
    weights = np.array([1.0, 2.0, 3.0, 4.0])

    @weft.custom_vjp
    def weighted(x):
        return np.sum(x * weights)

    weighted.defvjp(lambda x: (weighted(x), None), lambda res, ct: (ct * 10.0 * weights,))
    g = weft.grad(weighted)
    np.testing.assert_allclose(g(X), 10.0 * weights)
    weights[0] = 7.0
    np.testing.assert_allclose(g(X), 10.0 * weights)
    np.testing.assert_allclose(weft.vmap(g)(np.stack([X, X])), np.stack([10.0 * weights] * 2))
    inner = weft.checkpoint(lambda x: np.sum(np.sin(weighted(x) * x)))
    want = weft.grad(lambda x: np.sum(np.sin(weighted(x) * x)))(X)
    np.testing.assert_allclose(weft.grad(inner)(X), want)


def test_defined_inside_staged_code():
    @weft.jit
    def outer(w, k):
        @weft.custom_jvp
        def f(x):
            return x * k

        @f.defjvp
        def f_jvp(primals, tangents):
            return f(primals[0]), 5.0 * tangents[0] * k

        return weft.grad(f)(w)

    assert outer(2.0, 3.0) == 15.0

    def loss(x):
        k = x * 2.0

        @weft.custom_jvp
        def f(y):
            return y * 1.0

        f.defjvp(lambda p, t: (f(p[0]), t[0] * k))
        return f(x)

    with pytest.raises(TypeError, match="closes over a run-time value"):
        weft.grad(loss)(1.0)

    def rebound(x):
        k = 2.0

        @weft.custom_jvp
        def f(y):
            return y * 1.0

        f.defjvp(lambda p, t: (f(p[0]), t[0] * k))
        y = f(x)
        k = 3.0
        return y * k

    assert weft.grad(rebound)(1.0) == 6.0  # the rule is called with the call

    def written(x):
        k = np.zeros(2)

        @weft.custom_jvp
        def f(y):
            return y * 1.0

        f.defjvp(lambda p, t: (f(p[0]), t[0] * k[0]))
        y = f(x)
        k[0] = 3.0
        return y * k[0]

    with pytest.raises(TypeError, match="closes over a run-time value"):
        weft.grad(written)(1.0)


def test_a_new_rule_is_used_at_the_next_call():
    @weft.custom_jvp
    def f(x):
        return x * x

    f.defjvp(lambda p, t: (f(p[0]), t[0]))
    g = weft.grad(f)
    assert g(3.0) == 1.0
    f.defjvp(lambda p, t: (f(p[0]), 2.0 * t[0]))
    assert g(3.0) == 2.0


def test_methods_and_checkpointed_bodies():
    class Model:
        def __init__(self, k):
            self.k = k

        @weft.checkpoint
        def apply(self, x):
            return np.sum(np.sin(x) * self.k)

    np.testing.assert_allclose(weft.grad(lambda x: Model(2.0).apply(x))(X), 2.0 * np.cos(X))
    body = weft.checkpoint(lambda x: sine(sine(x)))
    assert weft.grad(body)(0.5) == pytest.approx(SCALE**2 * math.cos(math.sin(0.5)) * math.cos(0.5))
    assert weft.grad(weft.grad(body))(0.5) == pytest.approx(weft.grad(weft.grad(lambda x: sine(sine(x))))(0.5))


# -- refusals --------------------------------------------------------------------------------------------------------


def bad_jvp(rule, fun=lambda x: (x, x * 2)):
    f = weft.custom_jvp(fun)
    f.__name__ = "f"
    if rule is not None:
        f.defjvp(rule)
    return weft.grad(lambda x: np.sum(f(x)[0]))


def bad_vjp(fwd, bwd, fun=lambda x, y: x * y):
    f = weft.custom_vjp(fun)
    f.__name__ = "f"
    if fwd is not None:
        f.defvjp(fwd, bwd)
    return weft.grad(lambda x: np.sum(f(x, x)))


GOOD = lambda x, y: (x * y, x)  # noqa: E731


@pytest.mark.parametrize(
    ("g", "kind", "text"),
    [
        (bad_jvp(None), AttributeError, "No JVP defined for custom_jvp function f using defjvp"),
        (bad_jvp(lambda p, t: p[0]), TypeError, "must produce a pair .* but got float64|must produce a pair"),
        (bad_jvp(lambda p, t: (p[0], t[0])), TypeError, "structure of the function's output"),
        (bad_jvp(lambda p, t: ((p[0], p[0]), t[0])), TypeError, "equal container .pytree. structures"),
        (
            bad_jvp(lambda p, t: ((p[0], p[0]), (t[0], np.sum(t[0])))),
            TypeError,
            "equal shapes and dtypes, but got float64.4. and float64..",
        ),
        (bad_jvp(lambda p, t: ((p[0], p[0][:2]), (t[0], t[0]))), TypeError, "same shapes and dtypes as the function"),
        (bad_jvp(lambda p, t: ((p[0], p[0]), (t[0] * t[0], t[0]))), TypeError, "not linear in the tangents"),
        (bad_vjp(None, None), AttributeError, "No VJP defined for custom_vjp function f using defvjp"),
        (bad_vjp(lambda x, y: x * y, lambda r, ct: (ct, ct)), TypeError, "must produce a pair"),
        (bad_vjp(lambda x, y: ((x, y), x), lambda r, ct: (ct, ct)), TypeError, "structure of the function's output"),
        (bad_vjp(lambda x, y: (x[:2], x), lambda r, ct: (ct, ct)), TypeError, "same shapes and dtypes"),
        (bad_vjp(GOOD, lambda r, ct: ct), TypeError, "must produce a tuple of length equal to the number of arguments"),
        (
            bad_vjp(GOOD, lambda r, ct: (ct,)),
            TypeError,
            "must produce a tuple of length equal to the number of arguments",
        ),
        (bad_vjp(GOOD, lambda r, ct: (ct, np.sum(ct))), TypeError, r"at output\[1\] it produced"),
        (bad_vjp(GOOD, lambda r, ct: (ct, (ct,))), TypeError, r"at output\[1\] it produced"),
    ],
)
def test_wrong_rules(g, kind, text):
    with pytest.raises(kind, match=text) as info:
        g(X)
    assert "test_custom.py" in str(info.value)  # the line of the call


def test_forward_mode_of_a_reverse_rule():
    with pytest.raises(
        TypeError, match=r"can't apply forward-mode differentiation \(jvp\) to a custom_vjp function"
    ) as info:
        weft.jvp(lambda x: product(x, 2.0), (1.0,), (1.0,))
    assert "product(x, 2.0)" in str(info.value) and "custom_jvp" in str(info.value)


def test_closed_over_values_have_no_derivative():
    def loss(w, x):
        @weft.custom_jvp
        def f(y):
            return y * w

        f.defjvp(lambda p, t: (f(p[0]), t[0] * 2.0))
        return f(x)

    assert weft.grad(loss, argnums=1)(3.0, 4.0) == 2.0
    with pytest.raises(TypeError, match="with respect to a closed-over value") as info:
        weft.grad(loss)(3.0, 4.0)
    assert "remedy: pass the closed-over value" in str(info.value)
    with pytest.raises(TypeError, match="with respect to a closed-over value"):
        weft.jvp(loss, (3.0, 4.0), (1.0, 0.0))
    fixed = weft.custom_jvp(lambda x, y: x * y, nondiff_argnums=(1,))
    fixed.defjvp(lambda y, p, t: (fixed(p[0], y), t[0] * y))
    assert weft.grad(fixed)(2.0, 3.0) == 3.0
    with pytest.raises(TypeError, match="nondiff_argnums"):
        weft.grad(fixed, argnums=1)(2.0, 3.0)


def test_writing_an_argument():
    @weft.custom_jvp
    def f(x):
        x[0] = 1.0
        return x

    with pytest.raises(TypeError, match="writes an argument in place") as info:
        weft.jit(lambda x: f(x))(X.copy())
    assert "return that" in str(info.value)


def test_eager_calls_and_options():
    x = X.copy()
    assert sine(x) is not x
    assert weft.custom_jvp(lambda x, y=2: x * y)(3) == 6
    assert sine.__name__ == "sine" and "sine" in repr(sine)
    with pytest.raises(TypeError, match="callable"):
        weft.custom_jvp(3)
    with pytest.raises(NotImplementedError, match="symbolic_zeros"):
        sine.defjvp(sine_jvp, symbolic_zeros=True)
    with pytest.raises(NotImplementedError, match="optimize_remat"):
        product.defvjp(product_fwd, product_bwd, optimize_remat=True)
    with pytest.raises(TypeError, match="defjvps"):
        weft.custom_jvp(lambda n, x: x, nondiff_argnums=0).defjvps(None)
