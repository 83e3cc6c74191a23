"""Derivatives at the points where conventions matter, and rules under symbolic sizes."""

from __future__ import annotations

import numpy as np
import pytest
from tests.ir.util import emit_op, run, type_of

import weft.primitives as primitives  # noqa: F401
from weft.ir.builder import Builder
from weft.ir.interpret import evaluate
from weft.ir.nodes import At, Function, Gather, Span, Var
from weft.ir.primitive import REGISTRY
from weft.ir.sizes import dim
from weft.ir.types import ArrayType, f64, i64, scalar
from weft.ir.verify import verify
from weft.primitives.declare import zeros


def gradients(name, *operands, ct=1.0, **attrs):
    """The cotangents of all inexact operands, from both modes where that is possible."""
    prim = REGISTRY[name]
    n = len(operands)
    out = prim.numpy(*operands, **attrs)
    ct = np.broadcast_to(np.asarray(ct, np.asarray(out).dtype), np.shape(out))[()]
    active = [np.asarray(x).dtype.kind in "fc" for x in operands]

    def backward(*xs):
        op = emit_op(prim, xs[:n], attrs)
        cts = prim.vjp(op, [xs[n]], active)
        return [zeros(a.type) if c is None else c for c, a, w in zip(cts, op.args, active) if w]

    return run(backward, *operands, ct)


def tangent(name, *operands, tangents, **attrs):
    prim = REGISTRY[name]
    n = len(operands)

    def forward(*xs):
        op = emit_op(prim, xs[:n], attrs)
        rest = iter(xs[n:])
        (t,) = prim.jvp(op, [None if t is None else next(rest) for t in tangents])
        return zeros(op.outs[0].type) if t is None else t

    return run(forward, *operands, *[t for t in tangents if t is not None])[0]


NAN, INF = np.nan, np.inf


@pytest.mark.parametrize(
    ("name", "operands", "want"),
    [
        ("abs", (0.0,), (0.0,)),
        ("abs", (-2.0,), (-1.0,)),
        ("abs", (0j,), (0j,)),
        ("abs", (3 + 4j,), (0.6 - 0.8j,)),
        ("sign", (2.0,), (0.0,)),
        ("floor", (2.5,), (0.0,)),
        ("maximum", (1.0, 1.0), (0.5, 0.5)),
        ("minimum", (1.0, 2.0), (1.0, 0.0)),
        ("minimum", (2.0, 2.0), (0.5, 0.5)),
        ("fmax", (NAN, 2.0), (0.0, 1.0)),
        ("fmin", (2.0, NAN), (1.0, 0.0)),
        ("pow", (0.0, 2.0), (0.0, 0.0)),
        ("pow", (0.0, 1.0), (1.0, 0.0)),
        ("pow", (0.0, 0.0), (0.0, 0.0)),
        ("pow", (0.0, 3.0), (0.0, 0.0)),
        ("pow", (NAN, 0.0), (0.0, NAN)),
        ("pow", (INF, 0.0), (0.0, INF)),
        ("pow", (-2.0, 3.0), (12.0, NAN)),
        ("pow", (-2.0, 0.0), (0.0, NAN)),
        ("pow", (5.0, 0.0), (0.0, np.log(5.0))),
        ("mod", (7.5, -2.0), (1.0, 4.0)),
        ("fmod", (-7.5, 2.0), (1.0, 3.0)),
        ("floordiv", (7.0, 2.0), (0.0, 0.0)),
        ("hypot", (0.0, 0.0), (0.0, 0.0)),
        ("hypot", (3.0, -4.0), (0.6, -0.8)),
        ("copysign", (3.0, -1.0), (-1.0, 0.0)),
        ("logaddexp", (-INF, 0.0), (0.0, 1.0)),
        ("logaddexp", (0.0, 0.0), (0.5, 0.5)),
        ("arctan2", (0.0, -2.0), (-0.5, -0.0)),
        ("real", (1 + 2j,), (1 + 0j,)),
        ("imag", (1 + 2j,), (-1j,)),
        ("cast", (2.0,), (1.0,)),
    ],
)
def test_conventions_of_scalars(name, operands, want):
    operands = [np.asarray(x)[()] for x in operands]
    attrs = {"dtype": np.dtype("f4")} if name == "cast" else {}
    np.testing.assert_allclose(gradients(name, *operands, **attrs), want, atol=1e-15)
    for k, w in enumerate(want):
        if np.asarray(w).dtype.kind == "f":
            one = [np.float64(1) if j == k else None for j in range(len(want))]
            np.testing.assert_allclose(tangent(name, *operands, tangents=one, **attrs), w, atol=1e-6)


def test_a_literal_exponent_has_a_plain_derivative():
    pow_ = REGISTRY["pow"]

    def emit(x, ct):
        from weft.ir.nodes import lit

        found = []
        for exponent in (2.0, 3.0, 1.0, 0.0, -1.0, 0.5):
            op = emit_op(pow_, (x, lit(exponent, f64)), {})
            found.append(pow_.vjp(op, [ct], [True, False])[0])
        assert found[3] is None
        return found[:3] + found[4:]

    got = run(emit, np.array([2.0, 0.25]), np.ones(2))
    x = np.array([2.0, 0.25])
    for g, w in zip(got, [2 * x, 3 * x**2, [1, 1], -(x**-2), 0.5 * x**-0.5]):
        np.testing.assert_allclose(g, w, rtol=1e-15)


def test_select_does_not_leak_from_the_other_branch():
    cond = np.array([True, False])
    bad = np.array([1.0, NAN])
    (a, b) = gradients("select", cond, bad, np.array([INF, 2.0]), ct=3.0)
    np.testing.assert_array_equal(a, [3, 0])
    np.testing.assert_array_equal(b, [0, 3])
    t = tangent("select", cond, bad, bad, tangents=[None, np.array([1.0, NAN]), np.array([INF, 5.0])])
    np.testing.assert_array_equal(t, [1, 5])


def test_reductions_share_among_ties():
    x = np.array([[3.0, 1, 3], [2, 2, 2]])
    (g,) = gradients("reduce_max", x, axes=(1,))
    np.testing.assert_allclose(g, [[0.5, 0, 0.5], [1 / 3] * 3])
    (g,) = gradients("reduce_min", x, axes=(0, 1))
    np.testing.assert_allclose(g, [[0, 1, 0], [0, 0, 0]])
    np.testing.assert_allclose(tangent("reduce_max", x, tangents=[np.arange(6.0).reshape(2, 3)], axes=(1,)), [1, 4])


def test_extremes_of_infinities_are_finite():
    (g,) = gradients("reduce_max", np.array([1.0, INF]), axes=(0,))
    np.testing.assert_array_equal(g, [0, 1])
    # the other elements' tangents never reach the result
    t = tangent("reduce_max", np.array([1.0, 2.0]), tangents=[np.array([NAN, 3.0])], axes=(0,))
    assert t == 3


@pytest.mark.parametrize("row", [[2.0, 0, 3], [0.0, 0, 3], [0.0, 0, 0], [1e-200, 1e-200, 1e200], [5.0]])
def test_products_with_zeros(row):
    x = np.array(row)
    want = [np.prod(np.delete(x, k)) for k in range(len(x))]
    np.testing.assert_allclose(gradients("reduce_prod", x, axes=(0,))[0], want)
    for reverse in (False, True):
        y = x[::-1] if reverse else x
        jac = np.array(
            [[np.prod(np.delete(y[: j + 1], i)) if i <= j else 0.0 for j in range(len(y))] for i in range(len(y))]
        )
        ct = np.arange(1.0, len(y) + 1)
        want = jac @ (ct[::-1] if reverse else ct)
        (g,) = gradients("cumprod", x, ct=ct, axis=0, reverse=reverse)
        np.testing.assert_allclose(g, want[::-1] if reverse else want)


def test_sort_sends_ties_to_their_own_places():
    (g,) = gradients("sort", np.array([2.0, 1.0, 2.0, NAN, 0.0]), ct=np.arange(5.0), axis=0)
    np.testing.assert_array_equal(g, [2, 1, 3, 4, 0])


def test_only_the_last_of_repeated_writes_counts():
    a, v = np.zeros(4), np.array([[1.0, 2, 3], [4, 5, 6]])
    i = np.array([[0, 2, 0], [-4, 3, 3]])
    attrs = {"spec": (Gather(),), "mode": "check"}
    ct = np.array([10.0, 20, 30, 40])
    ct_a, ct_v = gradients("store", a, v, i, ct=ct, **attrs)
    np.testing.assert_array_equal(ct_a, [0, 20, 0, 0])
    np.testing.assert_array_equal(ct_v, [[0, 30, 0], [10, 0, 40]])
    # a scalar written to repeated places counts once for each element it ends up in
    _, ct_s = gradients("store", a, np.float64(7), i, ct=ct, **attrs)
    assert ct_s == 10 + 30 + 40
    _, ct_s = gradients("accum", a, np.float64(7), i, ct=ct, **attrs)
    assert ct_s == 10 * 3 + 30 + 40 * 2


def test_repeated_writes_of_rows():
    a, v = np.zeros((3, 4, 2)), np.arange(12.0).reshape(3, 2, 2)
    attrs = {"spec": (Span(3), Gather(), Span(2)), "mode": "check"}
    ct = np.random.default_rng(0).random((3, 4, 2))
    _, ct_v = gradients("store", a, v, 0, np.array([1, 1]), 0, ct=ct, **attrs)
    np.testing.assert_array_equal(ct_v[:, 0], 0)
    np.testing.assert_array_equal(ct_v[:, 1], ct[:, 1])


# -- symbolic sizes --------------------------------------------------------------------------------------------------


def symbolic(shapes, emit):
    """A function of f64 arrays whose axes are named by letters (numbers stay numbers)."""
    symbols, sizes, params = {}, [], []
    for p, shape in enumerate(shapes):
        row = []
        for axis, s in enumerate(shape):
            if isinstance(s, str) and s not in symbols:
                symbols[s] = Var(scalar(i64), s)
                sizes.append((symbols[s], p, axis))
            row.append(dim(symbols[s]) if isinstance(s, str) else s)
        params.append(Var(ArrayType(f64, tuple(row)), f"x{p}"))
    with Builder() as b, b.scope(params) as block:
        block.results = tuple(emit({k: dim(v) for k, v in symbols.items()}, *params))
    return verify(Function("f", block, tuple(sizes)))


def both_modes(name, attrs):
    def emit(s, *xs):
        *operands, ct = xs
        prim = REGISTRY[name]
        made = {k: v(s) if callable(v) else v for k, v in attrs.items()}
        op = emit_op(prim, operands, made)
        (t,) = prim.jvp(op, operands)
        return [op.outs[0], t, *prim.vjp(op, [ct], [True] * len(operands))]

    return emit


@pytest.mark.parametrize(
    ("name", "attrs", "shapes", "n", "m"),
    [
        ("broadcast", {"shape": lambda s: (s["n"], s["m"]), "dims": (1,)}, [("m",), ("n", "m")], 3, 4),
        ("broadcast", {"shape": lambda s: (s["n"], s["m"]), "dims": (0, 1)}, [("n", 1), ("n", "m")], 3, 4),
        ("reshape", {"shape": lambda s: (s["m"], s["n"])}, [("n", "m"), ("m", "n")], 3, 4),
        ("concat", {"axis": 0}, [("n",), ("m",)], 3, 4),
        ("reduce_prod", {"axes": (0, 1)}, [("n", "m")], 3, 4),
        ("reduce_max", {"axes": (1,)}, [("n", "m"), ("n",)], 3, 4),
        ("cumprod", {"axis": 1, "reverse": True}, [("n", "m"), ("n", "m")], 3, 4),
        ("cummax", {"axis": 0, "reverse": False}, [("n", "m"), ("n", "m")], 3, 4),
        ("cumsum", {"axis": 0, "reverse": False}, [("n", "m"), ("n", "m")], 3, 4),
        ("sort", {"axis": 1}, [("n", "m"), ("n", "m")], 3, 4),
        ("dot", {"contract": ((1,), (0,)), "batch": ((), ())}, [("n", "m"), ("m", "n"), ("n", "n")], 3, 4),
        ("hypot", {}, [("n", "m"), ("n", "m"), ("n", "m")], 3, 4),
    ],
)
def test_rules_under_symbolic_sizes(name, attrs, shapes, n, m):
    rng = np.random.default_rng(0)
    prim = REGISTRY[name]
    numbers = {"n": n, "m": m}
    arity = len(shapes) - 1 if name not in ("concat", "reduce_prod") else len(shapes)
    if name == "concat":
        # the result's size is a sum, which no parameter can have: the result stands for its own cotangent
        def emit(s, x, y):
            op = emit_op(prim, (x, y), attrs)
            (t,) = prim.jvp(op, [x, y])
            return [op.outs[0], t, *prim.vjp(op, [op.outs[0]], [True, True])]

        f = symbolic(shapes, emit)
    else:
        f = symbolic([*shapes, ()] if name == "reduce_prod" else shapes, both_modes(name, attrs))
    args = [rng.random([numbers.get(s, s) for s in shape])[()] for shape in shapes]
    if name == "reduce_prod":
        args.append(np.float64(rng.random()))
    y, t, *cts = evaluate(f, *args)
    ct = y if name == "concat" else args[-1]
    operands = args[:arity]
    left = np.sum(ct * t)
    right = sum(np.sum(c * x) for c, x in zip(cts, operands, strict=True))
    np.testing.assert_allclose(left, right, rtol=1e-12)
    fixed = {k: v(numbers) if callable(v) else v for k, v in attrs.items()}
    h = 1e-6
    want = (
        prim.numpy(*[x * (1 + h) for x in operands], **fixed) - prim.numpy(*[x * (1 - h) for x in operands], **fixed)
    ) / (2 * h)
    np.testing.assert_allclose(t, want, rtol=1e-6, atol=1e-8)
    assert type_of(t) == type_of(y)


def test_winners_under_symbolic_sizes():
    store = REGISTRY["store"]

    def emit(s, a, v, ct):
        cast, add, iota = REGISTRY["cast"], REGISTRY["mul"], REGISTRY["iota"]
        i = add(iota(size=s["n"], dtype=i64), 0)  # every index is 0
        place = {"spec": (Gather(), Span(s["m"])), "mode": "wrap"}
        op = emit_op(store, (a, v, i, cast(0, dtype=i64)), place)
        return store.vjp(op, [ct], [True, True, False, False])[:2]

    f = symbolic([("k", "m"), ("n", "m"), ("k", "m")], emit)
    rng = np.random.default_rng(1)
    a, v, ct = rng.random((4, 3)), rng.random((5, 3)), rng.random((4, 3))
    ct_a, ct_v = evaluate(f, a, v, ct)
    want = ct.copy()
    want[0] = 0
    np.testing.assert_array_equal(ct_a, want)
    want = np.zeros((5, 3))
    want[4] = ct[0]
    np.testing.assert_array_equal(ct_v, want)


def test_integer_power():
    pow_ = REGISTRY["pow"].numpy
    base, exponent = np.array([2, -1, -1, 1, 0, 3, -3]), np.array([-1, -2, -3, -9, -1, 4, 3])
    np.testing.assert_array_equal(pow_(base, exponent), [0, 1, -1, 1, 0, 81, -27])


def test_access_in_range_has_no_effect():
    from weft.primitives.declare import op_effect

    def emit(a, i):
        checked = emit_op(REGISTRY["index"], (a, i), {"spec": (At(),), "mode": "check"})
        known = emit_op(REGISTRY["index"], (a, i), {"spec": (At(),), "mode": "wrap"})
        assert (op_effect(checked), op_effect(known)) == ("raise", "")
        return checked.outs[0]

    run(emit, np.zeros(3), np.int64(1))
