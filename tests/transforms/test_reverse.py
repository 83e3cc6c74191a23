"""Reverse mode: values against forward mode, second order, and what is saved."""

from __future__ import annotations

import numpy as np
import pytest
from derivative_checks import check_both, directions, inexact
from ir_programs import PROGRAMS, P, at, c, for_, total
from test_unparse import VEC, N, build

from weft.ir.builder import Builder, current
from weft.ir.interpret import evaluate
from weft.ir.nodes import Block, For, Function, Op, Span, Var, While, walk
from weft.ir.printer import to_text
from weft.ir.sizes import dim
from weft.ir.types import ArrayType, f64, i64, scalar
from weft.ir.verify import verify
from weft.transforms.forward import jvp
from weft.transforms.reverse import split_vjp, vjp
from weft.transforms.simplify import simplify


@pytest.mark.parametrize("name", PROGRAMS)
def test_against_forward_mode(name):
    p = PROGRAMS[name]()
    check_both(p.f, p.args, p.active)


@pytest.mark.parametrize("name", PROGRAMS)
def test_second_order(name):
    p = PROGRAMS[name]()
    g = vjp(p.f, p.active)
    rng = np.random.default_rng(3)
    n = len(p.f.params)
    # results' sizes at the arguments
    primal = evaluate(p.f, *p.args)
    cts = [rng.normal(size=np.shape(r)) for r in primal if np.asarray(r).dtype.kind == "f"]
    assert len(g.params) == n + len(cts)
    check_both(g, (*p.args, *cts), (*p.active, *[True] * len(cts)), tol=2e-5)
    j = jvp(p.f, p.active)
    check_both(j, (*p.args, *directions(p.args, p.active)), inexact(j), tol=2e-5)


# -- what is saved -------------------------------------------------------------------------------------------------------


def saved(name):
    """The shapes, as text, of what the loops of a derivative save between forward and backward."""
    g = vjp(PROGRAMS[name]().f, PROGRAMS[name]().active)
    primal = len(PROGRAMS[name]().f.results)
    top = [s for s in g.body.stmts if isinstance(s, For | While)]
    found = []
    for s in top:
        n = len(s.inits) + isinstance(s, While)
        found += [o.type for o in s.outs[n:] if o not in g.results[:primal]]
    return [(str(t.dtype), t.rank) for t in found]


def test_a_linear_stencil_saves_nothing():
    assert saved("gauss_seidel") == []
    assert saved("jacobi") == []
    assert saved("dot_loop") == []


def test_a_recurrence_over_a_table_saves_scalars():
    """Two scalars for each of the three nested loops' steps: rank 3, where copies of the table would be rank 5."""
    assert saved("nonlinear_table") == [("float64", 3), ("float64", 3)]


def test_ragged_loops_save_scalars_in_padded_buffers():
    assert saved("triangle_table") == [("float64", 2), ("float64", 2)]
    # the inner loop's reads of x, and the quotient
    assert saved("forward_substitution") == [("float64", 1), ("float64", 2)]


def test_a_root_finder_inside_a_loop_saves_its_start_only():
    assert saved("while_in_for") == [("float64", 1)]


def test_cheap_values_are_recomputed():
    """``lorenz`` has seventy operations a step; what is saved is the state and what is multiplied."""
    assert len(saved("lorenz_rk4")) <= 12


def test_trip_counts_of_zero():
    for name, at_ in (("lorenz_rk4", 5), ("counted_while", 1), ("gauss_seidel", 1), ("if_for_while", 2)):
        p = PROGRAMS[name]()
        args = list(p.args)
        args[at_] = np.int64(-2 if name == "counted_while" else 0)
        check_both(p.f, args, p.active)


# -- the interface ---------------------------------------------------------------------------------------------------------


def test_parameters_and_results():
    p = PROGRAMS["several_arrays"]()
    g = vjp(p.f, (True, False, True))
    assert [q.name for q in g.params[:3]] == ["u", "v", "g"]
    assert len(g.params) == 3 + 3
    assert len(g.results) == 3 + 2
    h = vjp(p.f, (True, False, False), results=(False, False, True))
    assert len(h.params) == 4 and len(h.results) == 4
    full = evaluate(vjp(p.f, p.active), *p.args, np.zeros(6), np.zeros(6), 2.0)
    np.testing.assert_allclose(evaluate(h, *p.args, 2.0)[3], full[3])


def test_results_that_depend_on_nothing_give_zeros():
    f = build([scalar(f64), VEC, scalar(i64)], lambda x, y, n: [P.mul(x, x), n, c(3.0), P.stop_gradient(y)])
    g = verify(vjp(f, (True, True, False)))
    out = evaluate(g, 3.0, np.ones(2), 4, 1.0, 1.0, np.ones(2))
    assert out[4] == 6.0
    np.testing.assert_array_equal(out[5], np.zeros(2))


def test_errors():
    f = build([scalar(f64), scalar(i64)], lambda x, n: [P.mul(x, x), n])
    with pytest.raises(TypeError, match="has no derivative"):
        vjp(f, (True, True))
    with pytest.raises(TypeError, match="has no cotangent"):
        vjp(f, (True, False), results=(True, True))
    with pytest.raises(ValueError, match="2 results"):
        vjp(f, (True, False), results=(True,))


def test_the_function_is_not_modified():
    p = PROGRAMS["if_for_while"]()
    before = to_text(p.f)
    vjp(p.f, p.active)
    split_vjp(p.f, p.active)
    jvp(p.f, p.active)
    assert to_text(p.f) == before


def test_checks_run_forward_only():
    def make(x):
        P.check(P.gt(at(x, 0), c(0.0)), exc="ValueError", message="no")
        return for_(3, [c(0.0)], lambda k, s: [P.add(s, P.sin(at(x, k)))])

    g = simplify(vjp(build([VEC], make), (True,)))
    effects = [
        s for s in walk(g.body) if isinstance(s, Op) and (s.prim.name == "check" or s.attrs.get("mode") == "check")
    ]
    assert len(effects) == 2  # the check itself, and the read of x[k] where x may be shorter
    with pytest.raises(IndexError):
        evaluate(g, np.ones(2), 1.0)
    with pytest.raises(ValueError, match="no"):
        evaluate(g, -np.ones(3), 1.0)


def test_calls_are_inlined():
    m = Var(scalar(i64), "m")
    y = Var(ArrayType(f64, (dim(m),)), "y")
    with Builder() as b, b.scope((y,)) as body:
        body.results = (P.mul(total(P.sin(y)), P.cast(b.size_value(dim(m)), dtype=f64)),)
    inner = Function("inner", body, ((m, 0, 0),))

    def make(x):
        b = current()
        part = P.index(x, 1, spec=(Span(dim(N) - 1),), mode="fast")
        (s,) = b.call(inner, [P.mul(part, part)], [scalar(f64)])
        (t,) = b.call(inner, [x], [scalar(f64)])
        return [P.mul(s, t)]

    f = build([VEC], make)
    check_both(verify(f), (np.arange(1.0, 5.0),), (True,))


def test_recursion_is_refused():
    x = Var(scalar(f64), "x")
    f = Function("f", Block((x,), [], ()))
    with Builder() as b, b.scope((x,)) as body:
        body.results = b.call(f, [x], [scalar(f64)])
    f.body = body
    with pytest.raises(NotImplementedError, match="f calls itself"):
        vjp(f, (True,))


def test_third_order():
    f = build([scalar(f64)], lambda x: for_(3, [x], lambda k, a: [P.mul(a, P.sin(a))]))
    g = f
    for _ in range(2):
        g = simplify(vjp(g, inexact(g)))
    args = np.linspace(0.3, 1.1, len(g.params))
    check_both(verify(g), args, inexact(g), tol=1e-5)


def test_complex_values():
    def make(x, y):
        z = P.complex_(x, y)
        (w,) = for_(3, [z], lambda k, w: [P.mul(w, P.exp(z))])
        return [P.real(w), P.imag(P.mul(w, w))]

    check_both(build([scalar(f64), scalar(f64)], make), (0.3, 0.7), (True, True))


def test_code_size_of_second_order_is_bounded():
    """Each order multiplies the code by a small factor after simplification."""
    for name in ("lorenz_rk4", "nonlinear_table", "map_matvec"):
        f = simplify(PROGRAMS[name]().f)
        g = simplify(vjp(f, inexact(f)))
        h = simplify(vjp(g, inexact(g)))
        n0, n1, n2 = (len(list(walk(x.body))) for x in (f, g, h))
        assert n1 <= 4 * n0 and n2 <= 4 * n1, (name, n0, n1, n2)
