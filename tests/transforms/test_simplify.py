"""Simplification: the same results bit by bit, less to do, and each kind of rewrite."""

from __future__ import annotations

import time

import numpy as np
import pytest
from derivative_checks import inexact
from ir_programs import PROGRAMS, P, at, c, for_, full, if_, put, row, while_
from test_unparse import VEC, N, build, randoms

from weft.ir.interpret import evaluate
from weft.ir.nodes import At, For, If, Op, Span, Var, lit, walk
from weft.ir.printer import to_text
from weft.ir.sizes import dim
from weft.ir.types import ArrayType, bool_, f64, i64, scalar
from weft.ir.verify import verify
from weft.transforms.forward import jvp
from weft.transforms.reverse import vjp
from weft.transforms.simplify import simplify

S = scalar(f64)
I = scalar(i64)


def check_same(f, args):
    """The simplified function gives the same bits; returns it."""
    before = to_text(f)
    s = verify(simplify(f), after="simplify")
    assert to_text(f) == before  # the input is not modified
    for a, b in zip(evaluate(f, *args), evaluate(s, *args), strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    return s


def ops(f, name=None):
    return [s for s in walk(f.body) if isinstance(s, Op) and name in (None, s.prim.name)]


def count(f, kind):
    return sum([isinstance(s, kind) for s in walk(f.body)])


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_and_their_derivatives(name):
    p = PROGRAMS[name]()
    rng = np.random.default_rng(1)
    check_same(p.f, p.args)
    g = vjp(p.f, p.active)
    args = (*p.args, *randoms(rng, evaluate(p.f, *p.args)))
    check_same(g, args)
    check_same(jvp(g, inexact(g)), (*args, *randoms(rng, args)))
    twice = check_same(vjp(g, inexact(g)), (*args, *randoms(rng, evaluate(g, *args))))
    assert to_text(simplify(twice)) == to_text(twice)


# -- algebra -----------------------------------------------------------------------------------------------------------


def results(f):
    return simplify(f).results


def test_exact_identities():
    f = build([S], lambda x: [P.mul(x, c(1.0)), P.sub(x, c(0.0)), P.neg(P.neg(x)), P.div(x, c(1.0)), P.add(x, c(-0.0))])
    assert all([r is f.params[0] for r in results(f)])


def test_inexact_identities_are_left():
    f = build([S], lambda x: [P.add(x, c(0.0)), P.mul(x, c(0.0)), P.sub(x, x), P.sub(x, c(-0.0))])
    assert len(ops(simplify(f))) == 4
    for value in (-0.0, 0.0, np.nan, np.inf):
        check_same(f, (value,))


def test_integer_identities():
    f = build([I], lambda n: [P.add(n, 0), P.sub(P.add(n, 3), 3), P.sub(n, n), P.mul(n, 0), P.add(P.add(n, 1), 1)])
    s = check_same(f, (5,))
    assert s.results[0] is s.results[1] is f.params[0]
    assert [r.value for r in s.results[2:4]] == [0, 0]
    assert len(ops(s)) == 1


def test_select_and_cast():
    def make(x, y):
        p = P.lt(x, y)
        return [P.select(p, x, x), P.select(lit(False, bool_), x, y), P.cast(x, dtype=f64)]

    f = build([S, S], make)
    x, y = f.params
    assert list(results(f)) == [x, y, x]


def test_shapes_compose():
    m = Var(I, "m")

    def make(A):
        n_, m_ = A.type.shape
        return [
            P.transpose(P.transpose(A, perm=(1, 0)), perm=(1, 0)),
            P.reshape(P.reshape(A, shape=(m_, n_)), shape=(n_, m_)),
            P.broadcast(A, shape=(n_, m_), dims=(0, 1)),
        ]

    f = build([ArrayType(f64, (dim(N), dim(m)))], make)
    s = check_same(f, (np.arange(6.0).reshape(2, 3),))
    assert all([r is f.params[0] for r in s.results])


def test_reads_of_what_is_known():
    def make(x, i):
        a = at(full(x, 5), 3, mode="fast")
        b = at(P.iota(size=5, dtype=i64), i, mode="fast")
        d = at(P.make(x, c(2.0), shape=(2,)), 1, mode="fast")
        e = at(put(full(c(0.0), 5), x, i), i)
        return [a, b, d, e]

    f = build([S, I], make)
    s = check_same(f, (1.5, 2))
    assert s.results[0] is f.params[0]
    assert s.results[1] is f.params[1]
    assert s.results[2].value == 2.0
    assert len(ops(s, "index")) == 1  # the last is checked: it may raise


def test_row_of_a_row():
    m = Var(I, "m")

    def make(A):
        return for_(
            A.type.shape[0],
            [c(0.0)],
            lambda k, s: [P.add(s, at(P.index(A, k, 0, spec=(At(), Span(dim(m))), mode="fast"), 1, mode="fast"))],
        )

    f = build([ArrayType(f64, (dim(N), dim(m)))], make)
    s = check_same(f, (np.arange(6.0).reshape(2, 3),))
    assert len(ops(s, "index")) == 1


def test_row_of_an_array_written_later_stays():
    m = Var(I, "m")

    def make(A):
        r = row(A, 0)
        A = P.store(A, c(9.0), 0, 1, spec=(At(), At()), mode="fast")
        return [at(r, 1, mode="fast"), A]

    f = build([ArrayType(f64, (dim(N), dim(m)))], make)
    assert len(ops(check_same(f, (np.ones((2, 2)),)), "index")) == 2


# -- sharing, hoisting, dead code ----------------------------------------------------------------------------------------


def test_sharing_across_scopes():
    def make(x):
        a = P.sin(x)
        return [a, *for_(3, [x], lambda k, y: [P.mul(y, P.add(a, P.sin(x)))])]

    f = build([S], make)
    f.body.stmts[1].body.stmts.insert(0, Op(ops(f, "sin")[0].prim, (f.params[0],), {}, (Var(S),)))
    assert len(ops(simplify(f), "sin")) == 1


def test_hoisting():
    def make(x, y):
        return for_(3, [x], lambda k, a: for_(4, [a], lambda j, b: [P.mul(b, P.sin(y))]))

    s = check_same(build([S, S], make), (1.0, 2.0))
    assert s.body.stmts[0].prim.name == "sin"


def test_nothing_leaves_a_branch_or_a_checked_read_its_loop():
    def make(x, y):
        def body(k, a):
            (v,) = if_(P.gt(a, c(2.0)), lambda: [P.exp(y)], lambda: [a])
            return [P.add(v, at(x, 7))]

        return for_(0, [y], body) + for_(dim(N) - 2, [y], body)

    f = build([VEC, S], make)
    s = check_same(f, (np.arange(2.0), 1.0))  # the loops do not run, so nothing raises
    assert isinstance(s.body.stmts[0], For)
    with pytest.raises(IndexError):
        evaluate(s, np.arange(3.0), 1.0)


def test_dead_carries_collects_and_results():
    def make(x):
        def body(k, a, b, d):
            (u, v) = if_(P.gt(a, c(0.0)), lambda: [P.sin(a), P.cos(a)], lambda: [a, a])
            return [u, P.add(b, d), P.mul(d, b)], [v, b]

        a, b, d, vs, bs = for_(3, [x, x, x], body)
        return [a]

    f = build([S], make)
    s = check_same(f, (0.5,))
    (loop,) = s.body.stmts
    assert len(loop.inits) == 1 and len(loop.outs) == 1
    assert len(ops(s, "cos")) == 0 and len(ops(s, "mul")) == 0


def test_raising_and_printing_stay():
    def make(x):
        P.check(P.gt(x, c(0.0)), x, exc="ValueError", message="no")
        for_(2, [x], lambda k, a: [P.print(k, text="{0}\n") or a])
        return [c(1.0)]

    s = simplify(build([S], make))
    assert len(ops(s, "check")) == 1 and len(ops(s, "print")) == 1


# -- control flow of known outcome -----------------------------------------------------------------------------------------


def test_literal_predicate_and_equal_results():
    def make(x):
        (a,) = if_(lit(True, bool_), lambda: [P.sin(x)], lambda: [P.cos(x)])
        b, d = if_(P.gt(x, c(0.0)), lambda: [x, P.exp(x)], lambda: [x, c(1.0)])
        return [a, b, d]

    f = build([S], make)
    s = check_same(f, (0.3,))
    assert count(s, If) == 1
    assert s.results[1] is f.params[0]


def test_predicate_is_known_inside():
    def make(x):
        p = P.gt(x, c(0.0))
        return if_(p, lambda: if_(p, lambda: [P.sin(x)], lambda: [P.cos(x)]), lambda: [P.select(p, x, c(2.0))])

    s = check_same(build([S], make), (0.3,))
    assert count(s, If) == 1 and not ops(s, "cos") and not ops(s, "select")


def test_loops_that_run_once_or_never():
    def make(x):
        (a,) = for_(0, [x], lambda k, a: [P.sin(a)])
        b, rows = for_(1, [x], lambda k, b: ([P.mul(b, P.cast(P.add(k, 2), dtype=f64))], [P.exp(b)]))
        return [a, b, rows]

    s = check_same(build([S], make), (0.3,))
    assert count(s, For) == 0


def test_invariant_carries():
    def make(x, y):
        a, b, d = for_(3, [x, y, c(2.0)], lambda k, a, b, d: [P.add(a, b), b, c(2.0)])
        return [a, b, d]

    f = build([S, S], make)
    s = check_same(f, (1.0, 2.0))
    (loop,) = s.body.stmts
    assert len(loop.inits) == 1
    assert s.results[1] is f.params[1] and s.results[2].value == 2.0


# -- ranges ------------------------------------------------------------------------------------------------------------


def modes(f):
    return [s.attrs["mode"] for s in ops(simplify(f)) if "mode" in s.attrs]


def loop_reads(trip, *offsets):
    def make(x):
        return for_(trip, [c(0.0)], lambda k, s: [P.add(s, at(x, o(k))) for o in offsets][-1:])

    return build([VEC], make)


@pytest.mark.parametrize(
    ("trip", "index", "mode"),
    [
        (dim(N), lambda k: k, "fast"),
        (dim(N) - 1, lambda k: P.add(k, 1), "fast"),
        (dim(N), lambda k: P.add(k, 1), "check"),
        (dim(N), lambda k: P.sub(k, 1), "check"),
        (dim(N) - 2, lambda k: P.add(P.add(k, 1), 1), "fast"),
        (dim(N) - 2, lambda k: P.add(P.add(k, 1), 2), "check"),
        (dim(N), lambda k: P.sub(P.sub(N, 1), k), "fast"),
        (dim(N), lambda k: P.sub(N, k), "check"),
        (dim(N) + 1, lambda k: k, "check"),
        (5, lambda k: k, "check"),
        (2, lambda k: k, "fast"),  # sizes of parameters are at least 2
        (7, lambda k: P.mod(k, N), "fast"),
        (dim(N) - 1, lambda k: P.minimum(P.mul(k, 2), P.sub(N, 1)), "fast"),
    ],
)
def test_bounds_checks_of_counters(trip, index, mode):
    assert modes(loop_reads(trip, index)) == [mode]


def test_triangular_loops():
    def make(A):
        return for_(dim(N), [c(0.0)], lambda i, s: for_(dim(i), [s], lambda j, t: [P.add(t, at(A, P.sub(i, 1), j))]))

    assert modes(build([ArrayType(f64, (dim(N), dim(N)))], make)) == ["fast"]


def test_counters_of_while_loops():
    def make(x):
        return while_([lit(0), c(0.0)], lambda i, s: P.lt(i, N), lambda i, s: [P.add(i, 1), P.add(s, at(x, i))])[1:2]

    assert modes(build([VEC], make)) == ["fast"]


def test_conditions_of_branches():
    def make(x, i):
        inside = P.bitand(P.ge(i, 0), P.lt(i, N))
        return if_(inside, lambda: [at(x, i)], lambda: [at(x, i)])

    assert modes(build([VEC, I], make)) == ["fast", "check"]


def test_speed():
    p = PROGRAMS["lorenz_rk4"]()
    g = vjp(p.f, p.active)
    f = vjp(g, inexact(g))
    n = len(list(walk(f.body)))
    simplify(f)
    best = min(_timed(f) for _ in range(3))
    assert n > 500
    assert best < 0.1  # about 10 ms on one core


def _timed(f):
    start = time.perf_counter()
    simplify(f)
    return time.perf_counter() - start


def test_variables_of_the_function_around():
    """Inner functions name variables of the staging around them; hoisting takes those as known everywhere."""
    outer = Var(scalar(f64), "outer")
    f = build([scalar(f64)], lambda x: list(for_(3, [x], lambda k, a: [P.add(a, P.exp(outer))])))
    g = simplify(f)
    assert [s.prim.name for s in g.body.stmts if isinstance(s, Op)] == ["exp"]
