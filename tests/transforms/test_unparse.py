"""The Python unparser: what it prints runs and computes what the interpreter does; golden texts of a few functions."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest
from ir_programs import PROGRAMS, P, at, c, for_, full, if_, map_, put, row, while_

from weft.ir.builder import Builder
from weft.ir.interpret import evaluate
from weft.ir.nodes import Function, Gather, Span, Var, lit
from weft.ir.sizes import dim
from weft.ir.types import ArrayType, f32, f64, i64, scalar
from weft.ir.unparse import to_python
from weft.transforms.forward import jvp
from weft.transforms.reverse import vjp
from weft.transforms.simplify import simplify


def randoms(rng, like):
    return [np.asarray(rng.normal(size=np.shape(a)))[()] for a in like if np.asarray(a).dtype.kind == "f"]


def check_text(f, args):
    """Run the text of ``f`` beside the interpreter."""
    source = to_python(f, "g")
    space = {"np": np}
    exec(source, space)
    given = [np.array(a)[()] for a in args]
    with np.errstate(all="ignore"):
        out = space["g"](*given)
    out = (out,) if len(f.results) == 1 else out
    for a, b in zip(given, args):
        np.testing.assert_array_equal(a, b, err_msg=f"an argument is changed by\n{source}")
    for got, want, t in zip(out, evaluate(f, *args), f.types, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13, err_msg=source)
        assert np.shape(got) == np.shape(want)
        assert not t.shape or got.dtype == t.dtype
    return source


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("clean", [False, True], ids=["raw", "simplified"])
def test_programs_and_their_derivatives(name, clean):
    p = PROGRAMS[name]()
    rng = np.random.default_rng(1)
    tidy = simplify if clean else (lambda f: f)
    check_text(tidy(p.f), p.args)
    g = vjp(p.f, p.active)
    args = (*p.args, *randoms(rng, evaluate(p.f, *p.args)))
    check_text(tidy(g), args)
    on = tuple([q.type.dtype.kind == "f" for q in g.params])
    check_text(tidy(jvp(g, on)), (*args, *randoms(rng, args)))
    check_text(tidy(vjp(g, on)), (*args, *randoms(rng, evaluate(g, *args))))


def text_of(name, order):
    p = PROGRAMS[name]()
    f = p.f if order == 0 else vjp(p.f, p.active)
    return to_python(simplify(f))


def test_golden_loop():
    assert text_of("dot_loop", 1) == textwrap.dedent("""\
        def dot_loop_vjp(x, y, ct):
            n = len(x)
            s = 0.0
            for k in range(n):
                s += x[k] * y[k]
            s_ct = s * ct
            s_ct1 = s_ct + s_ct
            x_ct = np.zeros(n)
            y_ct = np.zeros(n)
            for k1 in reversed(range(n)):
                y_ct[k1] += x[k1] * s_ct1
                x_ct[k1] += y[k1] * s_ct1
            return s * s, x_ct, y_ct
        """)


def test_golden_while():
    assert text_of("newton_sqrt", 0) == textwrap.dedent("""\
        def newton_sqrt(a):
            x = a
            while np.abs(x * x - a) > 1e-12:
                x = 0.5 * (x + a / x)
            return x
        """)


def test_golden_swap_and_stencil():
    assert "a, b = b + 0.1, a * b" in text_of("swap", 0)
    source = text_of("gauss_seidel", 0)
    assert "A[k + 1, k1 + 1] = 0.2 * (" in source
    assert source.count("copy()") == 1  # the argument, once
    assert "B[1:n - 1, 1:m - 1] = 0.2 * (A[1:n - 1, 1:m - 1]" in text_of("jacobi", 0)


def build(types, make, names="xyzw"):
    params = [Var(t, names[k]) for k, t in enumerate(types)]
    with Builder() as b, b.scope(params) as body:
        body.results = tuple([b.atom(r) for r in make(*params)])
    sizes = tuple(
        [(s.var, k, axis) for k, t in enumerate(types) for axis, s in enumerate(t.shape) if not isinstance(s, int)]
    )
    seen, kept = set(), []
    for v, k, axis in sizes:
        if v not in seen:
            seen.add(v)
            kept.append((v, k, axis))
    return Function("f", body, tuple(kept))


N = Var(scalar(i64), "n")
VEC = ArrayType(f64, (dim(N),))


def test_old_value_still_needed_is_copied():
    def make(x):
        y = put(x, c(1.0), 0)
        z = put(x, c(2.0), 1)
        return [P.add(P.add(x, y), z), y]

    check_text(build([VEC], make), (np.arange(4.0),))


def test_view_read_before_the_write():
    """A slice taken before its array is overwritten keeps the old values."""

    def make(x):
        x = put(x, c(7.0), 0)
        head = P.index(x, 0, spec=(Span(2),), mode="fast")
        x = put(x, c(9.0), 1)
        return [P.mul(head, P.index(x, 0, spec=(Span(2),), mode="fast")), P.add(head, c(1.0)), x]

    check_text(build([VEC], make), (np.arange(4.0),))


def test_carry_that_starts_as_an_argument_used_later():
    def make(x):
        (y,) = for_(3, [x], lambda k, y: [put(y, P.add(at(y, k), at(x, 0)), k)], names="y")
        return [P.sub(y, x), x]

    check_text(build([VEC], make), (np.arange(1.0, 5.0),))


def test_two_carries_from_one_array():
    def make(x):
        a, b = for_(2, [x, x], lambda k, a, b: [put(b, at(a, 0), 1), put(a, at(b, 1), 0)], names="ab")
        return [a, b]

    check_text(build([VEC], make), (np.arange(1.0, 5.0),))


def test_duplicated_next_array():
    def make(x, y):
        def body(k, a, b):
            new = put(a, at(b, k), P.add(k, 1))
            return [new, new]

        return for_(2, [x, y], body, names="ab")

    check_text(build([VEC, VEC], make), (np.arange(4.0), np.arange(4.0) * 3))


def test_branches_that_write_or_not():
    def make(x, y):
        pred = P.gt(at(x, 0), at(y, 0))
        a, b = if_(pred, lambda: [put(x, c(5.0), 1), y], lambda: [x, put(y, at(x, 2), 1)])
        return [P.add(a, x), b]

    f = build([VEC, VEC], make)
    check_text(f, (np.arange(4.0), np.ones(4)))
    check_text(f, (np.arange(4.0) + 3, np.ones(4)))


def test_places():
    def make(x, i):
        y = P.store(x, P.index(x, 3, spec=(Span(3, -1),), mode="fast"), 1, spec=(Span(3),), mode="fast")
        y = P.store(y, P.index(x, 0, spec=(Span(2),), mode="fast"), 3, spec=(Span(2, -2),), mode="fast")
        y = P.accum(y, P.index(x, i, spec=(Gather(),), mode="check"), i, spec=(Gather(),), mode="check")
        return [P.accum(y, c(2.0), 0, spec=(Span(2, 2),), mode="fast"), y]

    m = Var(scalar(i64), "m")
    f = build([VEC, ArrayType(i64, (dim(m),))], make, names="xi")
    check_text(f, (np.arange(4.0) ** 2, np.array([1, 1, 3, 0, 1])))


def test_literals_and_dtypes():
    def make(x):
        y = P.mul(x, lit(0.1, f32))
        return [
            y, P.cast(y, dtype=f64), P.add(at(x, 0), lit(-2.5, f32)),
            full(lit(np.nan, f64), 2), full(lit(-0.0, f64), 2), full(lit(3, np.dtype(np.int32)), 2),
        ]  # fmt: skip

    n = Var(scalar(i64), "n")
    f = build([ArrayType(f32, (dim(n),))], make)
    source = check_text(f, (np.arange(3, dtype=np.float32),))
    assert "np.nan" in source


def test_checks_and_prints(capsys):
    def make(x):
        P.check(P.lt(x, c(3.0)), x, exc="ValueError", message="too big: {0}")
        P.print(x, text="x = {0}\n")
        return [P.mul(x, x)]

    source = to_python(build([scalar(f64)], make), "g")
    space = {"np": np}
    exec(source, space)
    assert space["g"](2.0) == 4.0
    assert capsys.readouterr().out == "x = 2.0\n"
    with pytest.raises(ValueError, match=r"too big: 4\.0"):
        space["g"](4.0)


def test_maps_over_two_axes():
    m = Var(scalar(i64), "m")

    def make(A):
        def lane(i, j):
            return [], [P.mul(at(A, i, j), P.cast(P.add(i, j), dtype=f64)), row(A, i)]

        return map_(A.type.shape, [], lane)

    f = build([ArrayType(f64, (dim(N), dim(m)))], make)
    check_text(f, (np.arange(6.0).reshape(2, 3),))


def test_while_whose_condition_has_statements():
    def make(x):
        def cond(y):
            (s,) = for_(2, [c(0.0)], lambda k, s: [P.add(s, at(y, k))])
            return P.lt(s, c(50.0))

        y, trip = while_([x], cond, lambda y: [P.mul(y, c(2.0))])
        return [y, trip]

    source = check_text(build([VEC], make), (np.arange(1.0, 4.0),))
    assert "while True:" in source


def test_calls_are_refused():
    inner = build([scalar(f64)], lambda x: [P.sin(x)])
    x = Var(scalar(f64), "x")
    with Builder() as b, b.scope((x,)) as body:
        body.results = b.call(inner, [x], [scalar(f64)])
    with pytest.raises(NotImplementedError, match="inline it first"):
        to_python(Function("f", body))
