"""Calls with a rule, for every test program: rules that say what is so anyway change no derivative and no batch."""

from __future__ import annotations

import numpy as np
import pytest
from derivative_checks import check_both, check_jvp, directions, inexact
from ir_programs import PROGRAMS, P, at, c, for_
from test_unparse import VEC, N, build

from weft.errors import StagingError
from weft.ir.builder import Builder, current
from weft.ir.interpret import evaluate
from weft.ir.nodes import Block, Call, Function, Op, Renamer, Span, Var, walk
from weft.ir.outline import call_types, closed_call, outline, trimmed
from weft.ir.parse import ParseError, parse
from weft.ir.printer import to_text
from weft.ir.rules import CustomJVP, CustomVJP, Remat
from weft.ir.sizes import dim
from weft.ir.types import ArrayType, f64, i64, scalar
from weft.ir.verify import IRError, verify
from weft.transforms.batch import batch
from weft.transforms.forward import jvp
from weft.transforms.inline import drop_barriers, inline_calls
from weft.transforms.pipeline import optimise
from weft.transforms.reverse import remat_halves, vjp
from weft.transforms.simplify import simplify


def fixed_shapes(name):
    """Whether the shapes of a program's results follow from those of its arguments."""
    f = PROGRAMS[name]().f
    try:
        call_types(f, f.params)
    except ValueError:
        return False
    return True


NAMES = [name for name in PROGRAMS if fixed_shapes(name)]
RULES = {
    "remat": lambda f, active: Remat(),
    "remat saving dots": lambda f, active: Remat(lambda op: op.prim.name in ("dot", "mul")),
    "custom_jvp": lambda f, active: CustomJVP(f.name, active, lambda: jvp(f, active)),
    "custom_vjp": lambda f, active: CustomVJP(f.name, active, lambda: halves(f, active)),
}


def halves(f, active):
    """A reverse rule that keeps the arguments."""
    forward = Function(f"{f.name}_fwd", Block(f.params, f.body.stmts, (*f.results, *f.params)), f.sizes)
    g = Renamer().function(vjp(f, active))
    back = Function(f"{f.name}_bwd", Block(g.params, g.body.stmts, g.results[len(f.results) :]), g.sizes)
    return Renamer().function(forward), simplify(back)


def wrapped(p, rule):
    """The program as one call."""
    f = Renamer().function(p.f)
    f.updates = {}
    names = Renamer()
    sizes = tuple([(names.bind(v), k, axis) for v, k, axis in f.sizes])
    params = names.bind_all(f.params)
    with Builder() as b, b.scope(params) as body:
        body.results = b.call(f, params, call_types(f, params), RULES[rule](f, tuple(p.active)))
    return verify(Function(f"of_{f.name}", body, sizes))


def test_most_programs_are_covered():
    assert len(NAMES) > 0.9 * len(PROGRAMS)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", NAMES)
def test_derivatives(name, rule):
    p = PROGRAMS[name]()
    f = wrapped(p, rule)
    if rule == "custom_vjp":
        with pytest.raises(StagingError, match="can't apply forward-mode differentiation"):
            jvp(f, p.active)
        g, h = vjp(f, p.active), vjp(p.f, p.active)
        cts = [np.ones_like(r) for r in evaluate(p.f, *p.args) if np.asarray(r).dtype.kind in "fc"]
        for got, want in zip(evaluate(verify(g), *p.args, *cts), evaluate(h, *p.args, *cts), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)
    else:
        _, g = check_both(f, p.args, p.active)
    first = inline_calls(g)
    assert not any(isinstance(s, Call) for s in walk(first.body))
    done = optimise(g)
    assert not any(isinstance(s, Op) and s.prim.name == "barrier" for s in walk(done.body))


@pytest.mark.parametrize("rule", ["remat", "custom_jvp"])
@pytest.mark.parametrize("name", NAMES[::2])
def test_second_order(name, rule):
    p = PROGRAMS[name]()
    f = wrapped(p, rule)
    cts = [
        np.random.default_rng(3).normal(size=np.shape(r))
        for r in evaluate(p.f, *p.args)
        if np.asarray(r).dtype.kind == "f"
    ]
    g = vjp(f, p.active)
    check_both(g, (*p.args, *cts), (*p.active, *[True] * len(cts)), tol=2e-5)
    j = jvp(f, p.active)
    check_jvp(j, (*p.args, *directions(p.args, p.active)), inexact(j), tol=2e-5)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", NAMES[1::2])
def test_batches(name, rule):
    """A batch of the gradient, and the gradient of a batch."""
    p = PROGRAMS[name]()
    flags = list(p.active)
    if not any(flags):
        return
    f = wrapped(p, rule)
    lanes = [np.stack([a, np.asarray(a) * 1.01, np.asarray(a) * 0.99]) if on else a for a, on in zip(p.args, flags)]
    try:
        plain, out = batch(p.f, flags)
    except ValueError as e:
        with pytest.raises(ValueError, match="vmap"):
            batch(f, flags)
        assert "vmap" in str(e)
        return
    batched, out2 = batch(f, flags)
    verify(batched)
    rows = []
    for k in range(3):
        rows.append(evaluate(p.f, *[a[k] if on else a for a, on in zip(lanes, flags)]))
    for got, want, on in zip(evaluate(batched, *lanes), zip(*rows), out2, strict=True):
        np.testing.assert_allclose(got, np.stack(want) if on else want[0], rtol=1e-12, atol=1e-14)
    g, h = vjp(batched, flags), vjp(plain, flags)
    results = evaluate(plain, *lanes)
    cts = {
        k: np.random.default_rng(k).normal(size=np.shape(r))
        for k, r in enumerate(results)
        if np.asarray(r).dtype.kind == "f"
    }
    wide = {k: np.stack([ct] * 3) / 3 if out2[k] and not out[k] else ct for k, ct in cts.items()}
    got = evaluate(verify(g), *lanes, *wide.values())[len(results) :]
    want = evaluate(h, *lanes, *cts.values())[len(results) :]
    for x, y in zip(got, want, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-11, atol=1e-13)


# -- what is kept ------------------------------------------------------------------------------------------------------


def test_halves_of_what_is_computed_again():
    f = build([VEC], lambda x: [P.sin(P.exp(P.sin(x)))])
    forward, backward = remat_halves(f, (True,), (True,), None)
    assert forward is f and len(backward.params) == 2
    forward, backward = remat_halves(f, (True,), (True,), lambda op: op.prim.name == "exp")
    assert len(forward.results) == 2 and len(backward.params) == 3
    assert [s.prim.name for s in walk(backward.body) if isinstance(s, Op)].count("exp") == 0
    x = np.arange(3.0)
    y, e = evaluate(forward, x)
    (ct,) = evaluate(backward, x, e, np.ones(3))
    np.testing.assert_allclose(ct, np.cos(e) * e * np.cos(x))
    np.testing.assert_array_equal(y, np.sin(e))


def test_unused_operands_are_not_passed():
    """The derivative of a linear function needs nothing of its argument, so that nothing is saved for it."""
    inner = build([VEC, scalar(f64)], lambda x, k: [P.mul(x, k)])
    outer = build(
        [VEC, scalar(f64)],
        lambda x, k: for_(5, [x], lambda i, y: current().call(inner, [y, k], [y.type], Remat())),
    )
    g = vjp(outer, (True, False))
    calls = [s for s in walk(g.body) if isinstance(s, Call)]
    again = next(s for s in calls if s.rule.again)
    assert len(again.args) < 4
    kept, _ = trimmed(build([VEC, scalar(f64)], lambda x, k: [k]))
    assert len(kept.params) == 1


def test_barriers_keep_computations_apart():
    x = Var(ArrayType(f64, (dim(N),)), "x")
    inner = build([VEC], lambda v: [P.exp(v)])
    f = build([VEC], lambda v: [current().call(inner, [v], [v.type], r)[0] for r in (Remat(), Remat(again=True))])
    both = simplify(inline_calls(f))
    assert [s.prim.name for s in both.body.stmts if isinstance(s, Op)] == ["exp", "barrier", "exp"]
    clean = drop_barriers(both)
    assert [s.prim.name for s in clean.body.stmts if isinstance(s, Op)] == ["exp", "exp"]
    assert drop_barriers(clean) is clean
    assert x.type.rank == 1


# -- outlining ---------------------------------------------------------------------------------------------------------


def test_outlining():
    a = Var(ArrayType(f64, (dim(N),)), "a")
    y = Var(ArrayType(f64, (dim(N),)), "y")
    with Builder() as b, b.scope((y,)) as block:
        part = P.index(a, 1, spec=(Span(dim(N) - 1),), mode="fast")
        block.results = (P.mul(y, at(a, 0)), P.mul(part, P.cast(b.size_value(dim(N)), dtype=f64)))
    f, captured = outline("inner", block)
    verify(f)
    assert set(captured) == {a, N} and f.params[0].name == "y"
    first, second = evaluate(f, np.ones(4), *[np.arange(4.0) + 2 if v is a else 4 for v in captured])
    np.testing.assert_array_equal(first, np.full(4, 2.0))
    np.testing.assert_array_equal(second, (np.arange(1.0, 4.0) + 2) * 4)
    types = call_types(f, (y, *captured))
    assert types == (y.type, ArrayType(f64, (dim(N) - 1,)))
    open_function = Function("open", block)
    closed, args = closed_call(open_function, (y,))
    verify(closed)
    assert set(args) == {y, a, N} and closed_call(f, (y, *captured)) == (f, (y, *captured))


def test_results_of_a_size_computed_inside():
    n = Var(scalar(i64), "n")
    with Builder() as b, b.scope((n,)) as body:
        m = P.add(n, 1)
        body.results = (P.broadcast(c(1.0), shape=(dim(m),), dims=()),)
    with pytest.raises(ValueError, match="is computed inside it"):
        call_types(Function("f", body), (n,))


# -- text and the verifier ---------------------------------------------------------------------------------------------


def test_text():
    inner = build([VEC], lambda v: [P.exp(v)])
    f = build([VEC], lambda v: list(current().call(inner, [v], [v.type], Remat())))
    text = to_text(f)
    assert " = remat f(" in text
    again = parse(text, {"f": inner})
    assert to_text(again) == text
    assert isinstance(next(s for s in again.body.stmts if isinstance(s, Call)).rule, Remat)
    ruled = build([VEC], lambda v: list(current().call(inner, [v], [v.type], CustomVJP("f", (True,), lambda: None))))
    assert "custom_vjp f(" in to_text(ruled)
    with pytest.raises(ParseError, match="no text"):
        parse(to_text(ruled), {"f": inner})


def test_results_of_calls_are_verified():
    inner = build([VEC], lambda v: [P.exp(v)])
    with pytest.raises(IRError, match="results of the call"):
        verify(build([VEC], lambda v: list(current().call(inner, [v], [scalar(f64)]))))


def test_only_calls_without_a_rule_are_inlined_before_derivatives():
    inner = build([VEC], lambda v: [P.exp(v)])
    f = build([VEC], lambda v: [current().call(inner, [v], [v.type], r)[0] for r in (None, Remat())])
    rest = inline_calls(f, ruled=False)
    assert [type(s) for s in rest.body.stmts] == [Op, Call]
    dead = build([VEC], lambda v: (current().call(inner, [v], [v.type], Remat()), [v])[1])
    assert simplify(dead).body.stmts == []
