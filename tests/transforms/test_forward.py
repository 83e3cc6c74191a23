"""Forward mode: values, activity, shapes of the result, errors."""

from __future__ import annotations

import pytest
from derivative_checks import check_jvp
from ir_programs import PROGRAMS, P, for_

from weft.ir.builder import Builder
from weft.ir.interpret import evaluate
from weft.ir.nodes import Function, Op, Var, walk
from weft.ir.types import f64, i64, scalar
from weft.transforms.forward import jvp


@pytest.mark.parametrize("name", PROGRAMS)
def test_against_differences(name):
    p = PROGRAMS[name]()
    check_jvp(p.f, p.args, p.active)


def one(build, *types, names="xyz"):
    params = [Var(scalar(t), names[k]) for k, t in enumerate(types)]
    with Builder() as b, b.scope(params) as body:
        body.results = tuple([b.atom(r) for r in build(*params)])
    return Function("f", body)


def test_results_and_names():
    f = one(lambda x, n: [P.mul(x, x), n, P.cast(n, dtype=f64)], f64, i64)
    j = jvp(f, (True, False))
    assert [p.name for p in j.params] == ["x", "y", "x_t"]
    out = evaluate(j, 3.0, 4, 1.0)
    assert out == [9.0, 4, 4.0, 6.0, 0.0]  # no tangent for the integer result, zero for the inactive one


def test_inactive_carries_have_no_tangents():
    def build(x, y):
        return for_(4, [x, y], lambda k, a, b: [P.mul(a, b), P.sin(b)], names="ab")

    j = jvp(one(build, f64, f64), (True, False))
    (loop,) = [s for s in j.body.stmts if not isinstance(s, Op)]
    assert [p.name for p in loop.body.params] == ["k", "a", "b", "a_t"]


def test_no_tangents_at_all():
    f = one(lambda x: [P.mul(x, x)], f64)
    assert len(list(walk(jvp(f, (False,)).body))) == 1
    assert evaluate(jvp(f, (False,)), 3.0) == [9.0, 0.0]


def test_integer_parameter_is_refused():
    f = one(lambda n: [n], i64, names="n")
    with pytest.raises(TypeError, match="n of type i64 has no derivative"):
        jvp(f, (True,))
    with pytest.raises(ValueError, match="1 parameters"):
        jvp(f, (True, False))
