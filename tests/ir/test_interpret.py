"""The interpreter: every statement, sizes, effects, and that nothing is changed behind the caller's back."""

from __future__ import annotations

import numpy as np
import pytest
from tests.ir.util import build, run

from weft.ir.builder import Builder, current
from weft.ir.interpret import InterpretError, evaluate, interpret
from weft.ir.nodes import At, Block, Function, Gather, Op, Span, Var, lit
from weft.ir.primitive import REGISTRY
from weft.ir.sizes import dim
from weft.ir.types import ArrayType, bool_, f32, f64, i64, scalar
from weft.ir.verify import verify

P = REGISTRY
add, mul, index, store = P["add"], P["mul"], P["index"], P["store"]


def block(types, emit, names=()):
    """A block with parameters of these types; ``emit`` returns its results."""
    params = [Var(t, n) for t, n in zip(types, [*names, *[""] * len(types)])]
    with current().scope(params) as b:
        b.results = tuple([current().atom(r) for r in emit(*params)])
    return b


def function(types, emit, sizes=(), name="f", updates=None):
    params = tuple([Var(t) for t in types])
    with Builder() as b, b.scope(params) as body:
        body.results = tuple([b.atom(r) for r in emit(*params)])
    return verify(Function(name, body, tuple(sizes), updates or {}))


I, F = scalar(i64), scalar(f64)


def test_for_carries_and_collects():
    def emit(x):
        body = block([I, F], lambda k, s: (add(s, mul(x, P["cast"](k, dtype=f64))), s))
        return current().for_(4, (lit(1.0, f64),), body)

    total, before = run(emit, np.float64(2))
    assert total == 13 and type(total) is np.float64
    np.testing.assert_array_equal(before, [1, 1, 3, 7])


def test_reversed_for_stacks_at_its_position():
    def emit(x):
        body = block([I, I], lambda k, s: (add(mul(s, 10), k), k))
        return current().for_(4, (lit(0),), body, reverse=True)

    last, ks = run(emit, np.float64(0))
    assert last == 3210
    np.testing.assert_array_equal(ks, [0, 1, 2, 3])


def test_loops_that_do_not_run():
    n = Var(I, "n")

    def emit(x):
        b = current()
        loop = block([I, F], lambda k, s: (add(s, 1.0), P["broadcast"](s, shape=(2,), dims=())))
        final, rows = b.for_(dim(n) - 4, (lit(7.0, f64),), loop)
        (mapped,) = b.map_((dim(n) - 4, 3), (), block([I, I], lambda k, j: (add(k, j),)))
        return final, rows, mapped

    p = Var(ArrayType(f64, (dim(n),)))
    with Builder() as b, b.scope((p,)) as body:
        body.results = emit(p)
    f = verify(Function("f", body, ((n, 0, 0),)))
    final, rows, mapped = evaluate(f, np.zeros(4))
    assert final == 7 and rows.shape == (0, 2) and mapped.shape == (0, 3) and mapped.dtype == i64


def test_while_counts_and_collects():
    def emit(x):
        cond = block([F], lambda s: (P["lt"](s, 20.0),))
        body = block([F], lambda s: (mul(s, 2.0), P["make"](s, mul(s, 10.0), shape=(2,))))
        return current().while_((x,), cond, body)

    last, trip, rows = run(emit, np.float64(3))
    assert (last, trip) == (24, 3) and type(trip) is np.int64
    np.testing.assert_array_equal(rows, [[3, 30], [6, 60], [12, 120]])
    last, trip, rows = run(emit, np.float64(99))
    assert (last, trip) == (99, 0) and rows.shape == (0, 2)


def test_if_runs_one_branch():
    def emit(c, x):
        def raising():
            P["check"](lit(False, bool_), exc="RuntimeError", message="not this one")
            return (x,)

        return current().if_(c, block([], lambda: (mul(x, 2.0),)), block([], raising))

    assert run(emit, np.bool_(True), np.float64(4)) == [8]
    with pytest.raises(RuntimeError, match="not this one"):
        run(emit, np.bool_(False), np.float64(4))


def test_map_elements_and_accumulators():
    def emit(a):
        place = {"spec": (At(),), "mode": "fast"}

        def lane(i, j, total, counts):
            x = index(a, i, j, spec=(At(), At()), mode="fast")
            row = P["broadcast"](x, shape=(2,), dims=())
            return add(total, x), P["accum"](counts, x, j, **place), mul(x, x), row

        zeros = P["broadcast"](0.0, shape=(3,), dims=())
        body = block([I, I, F, ArrayType(f64, (3,))], lane)
        return current().map_((2, 3), (lit(0.5, f64), zeros), body)

    a = np.arange(6.0).reshape(2, 3)
    total, counts, squares, rows = run(emit, a)
    assert total == 15.5
    np.testing.assert_array_equal(counts, a.sum(axis=0))
    np.testing.assert_array_equal(squares, a * a)
    np.testing.assert_array_equal(rows, np.stack([a, a], axis=-1))


def test_call_binds_its_own_sizes():
    n = Var(I, "n")
    inner = function(
        [ArrayType(f64, (dim(n),))],
        lambda x: (P["concat"](x, x, axis=0), current().size_value(dim(n) * 2)),
        [(n, 0, 0)],
        "twice",
    )

    def emit(x, y):
        b = current()
        first = b.call(inner, (x,), (ArrayType(f64, (4,)), I))
        second = b.call(inner, (y,), (ArrayType(f64, (6,)), I))
        return *first, *second

    x, y = np.array([1.0, 2]), np.array([3.0, 4, 5])
    a, na, c, nc = run(emit, x, y)
    np.testing.assert_array_equal(a, [1, 2, 1, 2])
    np.testing.assert_array_equal(c, [3, 4, 5, 3, 4, 5])
    assert (na, nc) == (4, 6)


def test_sizes_from_values():
    # zeros(n) with a run-time n, a slice with run-time bounds, and a mask
    n = Var(I, "n")

    def emit(n, x):
        zeros = P["broadcast"](0.0, shape=(dim(n),), dims=())
        part = index(x, n, spec=(Span(dim(n)),), mode="check")
        count, where = P["mask_indices"](P["gt"](x, 2.5))
        found = index(x, where, spec=(Gather(),), mode="fast")
        assert found.type.shape == (dim(count),)
        return zeros, part, found, count

    x = Var(ArrayType(f64, (7,)))
    with Builder() as b, b.scope((n, x)) as body:
        body.results = emit(n, x)
    f = verify(Function("f", body))
    zeros, part, found, count = evaluate(f, 2, np.arange(7.0))
    np.testing.assert_array_equal(zeros, [0, 0])
    np.testing.assert_array_equal(part, [2, 3])
    np.testing.assert_array_equal(found, [3, 4, 5, 6])
    assert count == 4


def test_arrays_are_values():
    def emit(a):
        b = store(a, 9.0, 0, spec=(At(),), mode="check")
        c = P["accum"](b, 1.0, 0, spec=(At(),), mode="check")
        view = P["transpose"](P["reshape"](a, shape=(1, 3)), perm=(1, 0))
        return a, b, c, view, index(a, 0, spec=(Span(2),), mode="fast")

    x = np.array([1.0, 2, 3])
    a, b, c, view, part = run(emit, x)
    np.testing.assert_array_equal(x, [1, 2, 3])
    np.testing.assert_array_equal(b, [9, 2, 3])
    np.testing.assert_array_equal(c, [10, 2, 3])
    for r in (a, view, part):
        assert not np.shares_memory(r, x) and r.flags.writeable
    a[:] = 0  # the results are the caller's
    np.testing.assert_array_equal(part, [1, 2])


def test_updates_are_returned_not_written():
    f = function([ArrayType(f64, (3,))], lambda a: (store(a, 0.0, 1, spec=(At(),), mode="check"),), updates={0: 0})
    x = np.ones(3)
    (y,) = interpret(f)(x)
    np.testing.assert_array_equal(x, [1, 1, 1])
    np.testing.assert_array_equal(y, [1, 0, 1])


def test_effects_in_order(capsys):
    def emit(x, v):
        P["print"](x, v, text="x = {0}, v = {1}\n")

        def body(k, s):
            P["print"](k, text="{0}\n")
            return (add(s, x),)

        (s,) = current().for_(2, (x,), block([I, F], body))
        P["check"](P["lt"](s, 4.0), s, v, exc="ValueError", message="s is {0}, v[0] is {1[0]}")
        return s

    assert run(emit, np.float64(1), np.arange(2)) == [3]
    assert capsys.readouterr().out == "x = 1.0, v = [0 1]\n0\n1\n"
    with pytest.raises(ValueError, match=r"^s is 6.0, v\[0\] is 0$"):
        run(emit, np.float64(2), np.arange(2))


def test_effects_print_as_python_does(capsys):
    values = [np.float64(0.1), np.float32(0.1), np.int64(-3), np.bool_(True), np.complex128(1 + 2j), np.array([0.5, 1])]

    def emit(*xs):
        P["print"](*xs, text="|".join("{}" for _ in xs) + "\n")
        P["print"](xs[0], xs[1], text="{0!r} {0:.3f} {1!s}\n")  # print(x) is str(x), which for float32 is not "{x}"
        return xs[0]

    run(emit, *values)
    assert capsys.readouterr().out == f"0.1|{values[1]}|-3|True|(1+2j)|[0.5 1. ]\n0.1 0.100 0.1\n"


def test_dtypes_are_exact():
    (y,) = run(lambda x: mul(x, lit(2, f32)), np.arange(3, dtype=np.float32))
    assert y.dtype == f32
    (y,) = run(lambda x: add(x, x), np.int8(100))
    assert type(y) is np.int8 and y == -56
    (y,) = run(lambda x: P["reduce_sum"](x, axes=(0,)), np.ones(3, np.float32))
    assert type(y) is np.float32


def test_arguments_are_checked():
    n = Var(I, "n")
    f = function([ArrayType(f64, (dim(n),)), ArrayType(f64, (dim(n),)), F], lambda x, y, s: (add(x, y),), [(n, 0, 0)])
    np.testing.assert_array_equal(evaluate(f, np.ones(2), np.ones(2), 1)[0], [2, 2])
    with pytest.raises(TypeError, match="takes 3 arguments, got 1"):
        evaluate(f, np.ones(2))
    with pytest.raises(ValueError, match=r"has shape \(3,\), expected \(2,\)"):
        evaluate(f, np.ones(2), np.ones(3), 1)
    with pytest.raises(TypeError, match="is float32 of rank 1, expected f64"):
        evaluate(f, np.ones(2), np.ones(2, np.float32), 1)


def test_a_wrong_rule_is_caught():
    from weft.ir.primitive import Host, Primitive

    wrong = Primitive("wrong", lambda x: (x,), lambda x: np.asarray(x, np.float32), Host())
    out = Var(ArrayType(f64, (2,)))
    x = Var(ArrayType(f64, (2,)))
    f = Function("f", Block((x,), [Op(wrong, (x,), {}, (out,))], (out,)))
    with pytest.raises(InterpretError, match="wrong: result"):
        evaluate(f, np.ones(2))


def test_nested_control_flow_against_python():
    # Collatz lengths of a table, written in place, with an if inside a while inside a for
    def emit(table):
        def each(k, t):
            start = index(t, k, spec=(At(),), mode="fast")
            cond = block([I, I], lambda n, steps: (P["gt"](n, 1),))

            def step(n, steps):
                even = P["eq"](P["mod"](n, 2), 0)
                (m,) = current().if_(
                    even, block([], lambda: (P["floordiv"](n, 2),)), block([], lambda: (add(mul(n, 3), 1),))
                )
                return m, add(steps, 1)

            _, steps, _trip = current().while_((start, lit(0)), cond, block([I, I], step))
            return (store(t, steps, k, spec=(At(),), mode="fast"),)

        return current().for_(5, (table,), block([I, ArrayType(i64, (5,))], each))

    def length(n):
        return 0 if n <= 1 else 1 + length(n // 2 if n % 2 == 0 else 3 * n + 1)

    start = np.array([1, 6, 7, 27, 2])
    (got,) = run(emit, start)
    np.testing.assert_array_equal(got, [length(int(n)) for n in start])


def test_built_functions_verify():
    f = build([F, ArrayType(f64, (3,))], lambda x, v: mul(x, v))
    np.testing.assert_array_equal(evaluate(f, 2.0, np.arange(3.0))[0], [0, 2, 4])
