"""vmap by loop lifting, against a Python loop over lanes in the interpreter."""

import itertools

import numpy as np
import pytest
from ir_programs import PROGRAMS, P, at, c, for_, if_, map_, put, row, size, total, while_

from weft.ir.builder import Builder
from weft.ir.interpret import evaluate
from weft.ir.nodes import At, Call, Function, Gather, Map, Op, Span, Var, lit, walk
from weft.ir.sizes import dim
from weft.ir.types import ArrayType, bool_, f64, i64, scalar
from weft.ir.verify import verify
from weft.transforms.batch import batch


def function(types, emit, sizes=(), updates=None):
    """A function of parameters of these types; ``emit`` gets them and gives the results."""
    params = tuple([Var(t, f"x{k}") for k, t in enumerate(types)])
    with Builder() as b, b.scope(params) as body:
        body.results = tuple([b.atom(r) for r in emit(*params)])
    return verify(Function("f", body, tuple(sizes), updates or {}))


S, I = scalar(f64), scalar(i64)


def vector(n):
    return ArrayType(f64, (n,))


def lanes_of(args, flags, lanes, seed=0):
    """Arguments for the batched function: every lane different where batched; integers stay small."""
    rng = np.random.default_rng(seed)
    out = []
    for a, flag in zip(args, flags):
        a = np.asarray(a)
        if not flag:
            out.append(a[()])
        elif a.dtype.kind == "f":
            out.append(a + np.abs(rng.normal(size=(lanes, *a.shape))) * 0.3)
        elif a.dtype.kind == "b":
            out.append(rng.integers(0, 2, size=(lanes, *a.shape)).astype(bool))
        else:
            out.append(rng.integers(0, a + 1, size=(lanes, *a.shape)).astype(a.dtype))
    return out


def lane(args, flags, k):
    return [a[k] if flag else a for a, flag in zip(args, flags)]


def by_loop(f, args, flags, lanes):
    rows = [evaluate(f, *lane(args, flags, k)) for k in range(lanes)]
    return [np.stack([np.asarray(r) for r in column]) for column in zip(*rows)]


def check(f, args, flags, lanes=3, *, size=None, exact=False):
    """Batch and compare; returns the batched function."""
    g, out_flags = batch(f, flags, size=size)
    verify(g, after="batch")
    got = evaluate(g, *args)
    want = by_loop(f, args, flags, lanes)
    assert len(got) == len(out_flags) == len(want)
    for x, y, flag in zip(got, want, out_flags):
        y = y if flag else y[0]
        assert np.asarray(x).dtype == y.dtype
        if exact or y.dtype.kind != "f":
            np.testing.assert_array_equal(x, y)
        else:
            np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-12)
    return g


def kinds(f):
    """The statements at the top of a function that are not plain operations."""
    return [type(s).__name__ for s in f.body.stmts if not isinstance(s, Op)]


# -- every program, every combination of mapped arguments ---------------------------------------------------------------


def combinations(n):
    return [flags for flags in itertools.product((False, True), repeat=n) if any(flags)]


RAGGED = {("masked", (True,))}
ALL = [(name, flags) for name, make in PROGRAMS.items() for flags in combinations(len(make().args))]


@pytest.mark.parametrize("name, flags", ALL, ids=lambda v: v if isinstance(v, str) else "".join("-b"[f] for f in v))
def test_programs(name, flags):
    p = PROGRAMS[name]()
    if (name, flags) in RAGGED:
        with pytest.raises(ValueError, match="depends on the lane"):
            batch(p.f, flags)
        return
    check(p.f, lanes_of(p.args, flags, 3), flags)


TWICE = [
    "straight", "newton_sqrt", "counted_while", "collatz_flags", "gauss_seidel", "several_arrays", "while_in_for",
    "if_for_while", "collects", "rows_loop", "gather", "if_top", "map_matvec", "map_accumulate", "map_rows", "map_in_for",
]  # fmt: skip


@pytest.mark.parametrize("name", TWICE)
def test_nested(name):
    p = PROGRAMS[name]()
    n = len(p.args)
    choices = [tuple(True for _ in range(n)), tuple(k == 0 for k in range(n)), tuple(k == n - 1 for k in range(n))]
    for inner, outer in itertools.product(choices, repeat=2):
        g, inner_out = batch(p.f, inner)
        args = lanes_of(lanes_of(p.args, inner, 3, 1), outer, 2, 2)
        check(g, args, outer, 2)


@pytest.mark.parametrize("size", [0, 1, 2])
@pytest.mark.parametrize("name", TWICE)
def test_fixed_number_of_lanes(name, size):
    p = PROGRAMS[name]()
    flags = tuple(True for _ in p.args)
    if size:
        check(p.f, lanes_of(p.args, flags, size), flags, size, size=size)
        return
    g, out = batch(p.f, flags, size=0)
    verify(g, after="batch")
    got = evaluate(g, *lanes_of(p.args, flags, 0))
    want = evaluate(p.f, *p.args)
    assert all(out) and [np.shape(x) for x in got] == [(0, *np.shape(y)) for y in want]


# -- structure: what is lifted stays lifted -------------------------------------------------------------------------------


def test_matvec_becomes_matmul():
    n, m = Var(I, "n"), Var(I, "m")
    f = function(
        [ArrayType(f64, (dim(n), dim(m))), vector(dim(m))],
        lambda A, x: [P.tanh(P.dot(A, x, contract=((1,), (0,)), batch=((), ())))],
        [(n, 0, 0), (m, 0, 1)],
    )
    g = check(f, [np.arange(12.0).reshape(3, 4), np.arange(20.0).reshape(5, 4)], (False, True), 5)
    assert kinds(g) == []
    assert [s.prim.name for s in g.body.stmts].count("dot") == 1


def structure(name, flags):
    p = PROGRAMS[name]()
    return batch(p.f, flags)[0]


def test_a_loop_that_all_run_alike_stays_a_loop():
    g = structure("rows_loop", (False, True))
    assert kinds(g) == ["For"]
    assert not any(isinstance(s, Map) for s in walk(g.body))
    assert kinds(structure("lorenz_rk4", (True,) * 5 + (False,))) == ["For"]


def test_a_while_of_each_lane_is_a_map_and_takes_in_its_scalars():
    g = structure("newton_sqrt", (True,))
    assert kinds(g) == ["Map"] and len(g.body.stmts) == 1
    g = structure("lorenz_rk4", (False,) * 5 + (True,))
    assert kinds(g) == ["Map"]


def test_an_unbatched_while_stays():
    g = structure("counted_while", (True, False))
    assert "While" in kinds(g) and "Map" not in kinds(g)


def test_one_map_of_loops_not_a_loop_of_maps():
    for flags in [(True, False), (True, True), (False, True)]:
        g = structure("while_in_for", flags)
        if flags[0]:
            assert kinds(g) == ["Map"]
    assert kinds(structure("if_for_while", (True, False, False))) == ["Map"]


def test_a_map_gets_the_lane_as_its_first_index():
    g = structure("map_rows", (True,))
    (m,) = [s for s in g.body.stmts if isinstance(s, Map)]
    assert len(m.sizes) == 2


def test_nothing_batched_is_left_alone():
    g = structure("straight", (False, True))
    f = function([S, S], lambda x, y: [P.sin(x), P.mul(x, y)])
    g, out = batch(f, (False, True))
    assert out == (False, True)
    assert g.results[0].type == S
    g, out = batch(f, (False, True), force=True)
    assert out == (True, True)
    np.testing.assert_array_equal(evaluate(verify(g), 2.0, np.ones(3))[0], np.sin([2.0] * 3))


def test_regions_are_apart_where_arrays_are_between():
    """A product between two branches stays one product of matrices."""

    def emit(A, x):
        (y,) = if_(P.gt(total(x), c(0.0)), lambda: [x], lambda: [P.neg(x)])
        y = P.dot(A, y, contract=((1,), (0,)), batch=((), ()))
        return if_(P.gt(total(y), c(1.0)), lambda: [P.exp(y)], lambda: [y])

    f = function([ArrayType(f64, (3, 3)), vector(3)], emit)
    rng = np.random.default_rng(0)
    g = check(f, [rng.normal(size=(3, 3)), rng.normal(size=(6, 3))], (False, True), 6)
    assert kinds(g) == ["Map", "Map"]
    assert [s.prim.name for s in g.body.stmts if isinstance(s, Op)].count("dot") == 1


def test_scalars_between_two_branches_are_taken_in():
    def emit(x):
        (y,) = if_(P.gt(x, c(0.0)), lambda: [P.log(x)], lambda: [P.neg(x)])
        return if_(P.gt(P.mul(y, c(2.0)), c(1.0)), lambda: [P.exp(y)], lambda: [P.sin(y)])

    g = check(function([S], emit), [np.linspace(-2, 2, 7)], (True,), 7)
    assert kinds(g) == ["Map"] and len(g.body.stmts) == 1


def test_an_if_never_becomes_a_select():
    g = check(
        function([S], lambda x: if_(P.gt(x, c(0.0)), lambda: [P.sqrt(x)], lambda: [c(0.0)])),
        [np.array([-1.0, 4.0])], (True,), 2,
    )  # fmt: skip
    assert not any(isinstance(s, Op) and s.prim.name == "select" for s in walk(g.body))


def test_unbatched_work_is_done_once():
    """Work that all lanes share leaves the map, even when it stands between lane-bound statements."""

    def emit(x, w):
        (y,) = if_(P.gt(x, c(0.0)), lambda: [x], lambda: [P.neg(x)])
        shared = P.exp(P.sin(w))
        return if_(P.gt(y, shared), lambda: [P.mul(y, shared)], lambda: [y])

    g = check(function([S, S], emit), [np.linspace(-3, 3, 5), 0.3], (True, False), 5)
    assert [s.prim.name for s in g.body.stmts if isinstance(s, Op)] == ["sin", "exp"]
    assert kinds(g) == ["Map"]


# -- shapes of a lane ---------------------------------------------------------------------------------------------------


def test_sizes_that_are_lane_values():
    def emit(n, x):
        k = P.add(n, 2)
        z = P.broadcast(x, shape=(dim(k),), dims=())
        z = P.mul(z, P.cast(P.iota(size=dim(k), dtype=i64), dtype=f64))
        s = P.reduce_sum(z, axes=(0,))
        return [s, P.mul(s, x)]

    g = check(function([I, S], emit), [np.array([0, 3, 1, 5]), np.array([1.0, 2.0, 3.0, 4.0])], (True, True), 4)
    assert kinds(g) == ["Map"]
    check(function([I, S], emit), [np.array([0, 3, 1, 5]), 2.0], (True, False), 4)


def test_masks():
    def emit(x, y):
        count, idx = P.mask_indices(P.gt(x, c(0.0)))
        picked = P.index(y, idx, spec=(Gather(),), mode="fast")
        z = P.exp(y)
        return [total(P.mul(picked, picked)), z, P.mul(c(2.0), P.cast(count, dtype=f64))]

    f = function([vector(4), vector(4)], emit)
    rng = np.random.default_rng(3)
    g = check(f, [rng.normal(size=(5, 4)), rng.normal(size=(5, 4))], (True, True), 5)
    assert "exp" in [s.prim.name for s in g.body.stmts if isinstance(s, Op)], "array work outside the region is lifted"
    check(f, [rng.normal(size=(5, 4)), rng.normal(size=4)], (True, False), 5)
    check(f, [rng.normal(size=4), rng.normal(size=(5, 4))], (False, True), 5)


def test_a_loop_within_reach_of_a_lanes_shape():
    """A loop between a mask and the mask's last use joins the region; its unbatched carry is asked for outside."""

    def emit(x):
        count, idx = P.mask_indices(P.gt(x, c(0.0)))
        picked = P.index(x, idx, spec=(Gather(),), mode="fast")
        first = total(picked)
        i, s = for_(3, [lit(0), first], lambda k, i, s: [P.add(i, k), P.add(s, at(x, k))], names=["i", "s"])
        return [P.add(s, P.reduce_max(P.add(picked, s), axes=(0,))), i, P.mul(i, i)]

    f = function([vector(4)], emit)
    g = check(f, [np.abs(np.random.default_rng(1).normal(size=(5, 4)))], (True,), 5)
    assert kinds(g) == ["Map"] and g.results[1].type.rank == 1


def test_mask_inside_a_branch_that_all_take():
    def emit(p, x):
        def yes():
            count, idx = P.mask_indices(P.gt(x, c(0.0)))
            return [total(P.index(x, idx, spec=(Gather(),), mode="fast")), P.cast(count, dtype=f64)]

        return if_(p, yes, lambda: [total(x), c(-1.0)])

    f = function([scalar(bool_), vector(4)], emit)
    x = np.random.default_rng(1).normal(size=(5, 4))
    for p in (True, False):
        g = check(f, [np.bool_(p), x], (False, True), 5)
        assert kinds(g) == ["If"]


def test_ragged_results_are_refused():
    f = function([I], lambda n: [P.broadcast(c(0.0), shape=(dim(n),), dims=())])
    with pytest.raises(ValueError, match="depends on the lane"):
        batch(f, (True,))


def test_a_mapped_size_of_an_argument_is_refused():
    n = Var(I, "n")
    x = Var(vector(dim(n)), "x")
    with Builder() as b, b.scope((n, x)) as body:
        body.results = (total(x),)
    with pytest.raises(ValueError, match="n is mapped, but it is also the size of x"):
        batch(Function("f", body), (True, False))


# -- loops ---------------------------------------------------------------------------------------------------------------


def test_carries_become_batched_one_after_the_other():
    def emit(x):
        return for_(6, [c(0.0), c(1.0), c(2.0), c(3.0)], lambda k, a, b, d, e: [b, d, P.add(e, x), a])

    check(function([S], emit), [np.arange(4.0)], (True,), 4)


def test_an_unbatched_carry_stays_unbatched():
    def emit(x):
        return for_(4, [c(1.0), x], lambda k, i, s: [P.mul(i, c(2.0)), P.add(s, i)])

    g = check(function([S], emit), [np.arange(4.0)], (True,), 4)
    assert g.results[0].type == S


def test_collected_values():
    def emit(x, w):
        def body(k, s):
            s = P.add(s, x)
            return [s], [s, P.mul(w, P.cast(k, dtype=f64)), P.mul(w, s)]

        return for_(3, [c(0.0)], body, reverse=True)

    f = function([S, vector(2)], emit)
    g = check(f, [np.arange(4.0), np.arange(2.0)], (True, False), 4)
    assert g.results[2].type.shape == (3, 2), "collected alike by all lanes"
    check(f, [1.0, np.arange(8.0).reshape(4, 2)], (False, True), 4)
    check(f, [np.arange(4.0), np.arange(8.0).reshape(4, 2)], (True, True), 4)


def test_while_collects():
    def emit(n, x):
        def body(i, s):
            return [P.add(i, 1), P.mul(s, x)], [s, i]

        i, s, trip, ss, ii = while_([lit(0), c(1.0)], lambda i, s: P.lt(i, n), body)
        return [s, trip, total(ss), P.reduce_sum(ii, axes=(0,))]

    f = function([I, S], emit)
    g = check(f, [np.int64(3), np.arange(4.0)], (False, True), 4)
    assert "While" in kinds(g)
    g = check(f, [np.array([0, 2, 5]), np.arange(3.0)], (True, True), 3)
    assert kinds(g) == ["Map"]
    check(f, [np.array([0, 2, 5]), 1.5], (True, False), 3)


def test_stores_at_batched_places():
    def emit(a, i, v):
        a = put(a, v, i)
        a = P.accum(a, v, P.mod(i, lit(3)), spec=(At(),), mode="check")
        return [a, at(a, i)]

    f = function([vector(3), I, S], emit)
    args = [np.arange(6.0).reshape(2, 3), np.array([2, -1]), np.array([5.0, 7.0])]
    for flags in combinations(3):
        check(f, [a if flag else a[0] for a, flag in zip(args, flags)], flags, 2)


def test_in_place_rows():
    def emit(A, i):
        A = P.store(A, P.mul(row(A, i), c(2.0)), i, 0, spec=(At(), Span(4)), mode="check")
        return [A]

    f = function([ArrayType(f64, (3, 4)), I], emit)
    A = np.random.default_rng(0).normal(size=(5, 3, 4))
    check(f, [A, np.array([0, 1, 2, 0, 1])], (True, True), 5)
    check(f, [A[0], np.array([0, 1, 2, 0, 1])], (False, True), 5)


# -- maps with accumulators ------------------------------------------------------------------------------------------------


def test_map_accumulator_of_each_lane():
    def emit(x, h):
        def body(i, acc, s):
            v = at(x, i)
            return [P.accum(acc, P.mul(v, v), P.mod(i, 2), spec=(At(),), mode="fast"), P.add(s, v)], [P.sin(v)]

        return map_([size(x)], [h, c(1.0)], body)

    f = function([vector(5), vector(2)], emit)
    x, h = np.random.default_rng(0).normal(size=(3, 5)), np.random.default_rng(1).normal(size=(3, 2))
    for flags in combinations(2):
        check(f, [a if flag else a[0] for a, flag in zip((x, h), flags)], flags, 3)


# -- calls -----------------------------------------------------------------------------------------------------------------


def test_calls():
    n, m = Var(I, "n"), Var(I, "n")
    inner = function(
        [vector(dim(n)), S],
        lambda x, s: [P.mul(x, s), *if_(P.gt(s, c(0.0)), lambda: [total(x)], lambda: [s])], [(n, 0, 0)],
    )  # fmt: skip

    def emit(x, s):
        from weft.ir.builder import current

        y, t = current().call(inner, [x, s], [vector(dim(m)), S])
        z, u = current().call(inner, [y, c(2.0)], [vector(dim(m)), S])
        return [P.add(z, t), u]

    f = function([vector(dim(m)), S], emit, [(m, 0, 0)])
    x, s = np.random.default_rng(0).normal(size=(3, 4)), np.array([1.0, -1.0, 0.5])
    for flags in combinations(2):
        args = [a if flag else a[0] for a, flag in zip((x, s), flags)]
        g = check(f, args, flags)
        check(f, args, flags, size=3)
        assert all(isinstance(t, Op | Call) for t in g.body.stmts)
    g, out = batch(f, (True, True))
    check(g, [np.stack([x, x + 1]), np.stack([s, -s])], (True, True), 2)


# -- effects ---------------------------------------------------------------------------------------------------------------


def test_the_first_failing_lane_raises_with_its_payload():
    def emit(x):
        P.check(P.gt(x, c(0.0)), x, exc="ValueError", message="got {0}")
        return [P.log(x)]

    f = function([S], emit)
    check(f, [np.array([1.0, 2.0])], (True,), 2)
    g = verify(batch(f, (True,))[0])
    with pytest.raises(ValueError, match="got -2.0"):
        evaluate(g, np.array([1.0, -2.0, -3.0]))


def test_checks_inside_what_all_lanes_run():
    def emit(n, x):
        def body(k, s):
            P.check(P.lt(s, c(100.0)), s, k, exc="ValueError", message="{0} at {1}")
            return [P.mul(s, x)]

        return for_(dim(n), [c(1.0)], body)

    f = function([I, S], emit)
    check(f, [np.int64(3), np.array([1.0, 2.0])], (False, True), 2)
    g = verify(batch(f, (False, True))[0])
    with pytest.raises(ValueError, match="100.0 at 2"):
        evaluate(g, 5, np.array([1.0, 10.0]))

    def branch(p, x):
        def yes():
            P.check(P.gt(x, c(0.0)), exc="ValueError", message="no")
            return []

        if_(p, yes, lambda: [])
        return [P.sqrt(x)]

    f = function([scalar(bool_), S], branch)
    g = verify(batch(f, (False, True))[0])
    np.testing.assert_array_equal(evaluate(g, np.bool_(False), np.array([4.0, -1.0]))[0], [2.0, np.nan])
    with pytest.raises(ValueError, match="no"):
        evaluate(g, np.bool_(True), np.array([4.0, -1.0]))


def test_prints_come_lane_after_lane(capsys):
    def emit(x, w):
        P.print(w, text="shared {0}\n")
        P.print(x, text="lane {0}\n")
        y = P.mul(x, c(2.0))
        P.print(y, text="twice {0}\n")
        return [y]

    f = function([S, S], emit)
    g = verify(batch(f, (True, False))[0])
    capsys.readouterr()
    (y,) = evaluate(g, np.array([1.0, 2.0]), 5.0)
    np.testing.assert_array_equal(y, [2.0, 4.0])
    assert capsys.readouterr().out.split("\n")[:-1] == ["shared 5.0", "lane 1.0", "twice 2.0", "lane 2.0", "twice 4.0"]
    assert kinds(g) == ["For"]
    h = verify(batch(g, (True, False))[0])
    evaluate(h, np.array([[1.0, 2.0], [3.0, 4.0]]), 5.0)
    assert capsys.readouterr().out.split("\n")[1:-1:2] == [f"lane {k}.0" for k in (1, 2, 3, 4)]


def test_out_of_bounds_in_a_lane():
    f = function([vector(3), I], lambda x, i: [at(x, i)])
    for flags in combinations(2):
        x, i = np.arange(6.0).reshape(2, 3), np.array([1, 3])
        args = [x if flags[0] else x[0], i if flags[1] else i[1]]
        with pytest.raises(IndexError, match="index 3 is out of bounds for axis . with size 3"):
            evaluate(verify(batch(f, flags)[0]), *args)


# -- in place ----------------------------------------------------------------------------------------------------------------


def test_updates():
    f = function([vector(3), S], lambda a, v: [P.mul(a, v)], updates={0: 0})
    g, out = batch(f, (True, True))
    assert g.updates == {0: 0} and out == (True,)
    g, out = batch(f, (True, False))
    assert g.updates == {0: 0}
    with pytest.raises(ValueError, match="every lane would write the same array"):
        batch(f, (False, True))
    same = function([vector(3), S], lambda a, v: [P.mul(a, c(2.0)), v], updates={0: 0})
    g, out = batch(same, (False, True), force=True)
    assert out == (False, True), "the same for all lanes: written once"
    constant = function([vector(3)], lambda a: [P.broadcast(c(0.0), shape=(3,), dims=())], updates={0: 0})
    g, out = batch(constant, (True,))
    assert out == (True,)
    np.testing.assert_array_equal(evaluate(verify(g), np.ones((2, 3)))[0], np.zeros((2, 3)))


# -- sizes -------------------------------------------------------------------------------------------------------------------


def test_lanes_as_many_as_an_axis():
    """The number of lanes is a size the function has already."""
    n = Var(I, "n")
    f = function([vector(dim(n)), S], lambda x, s: [P.mul(x, s)], [(n, 0, 0)])
    g, _ = batch(f, (False, True), size=dim(n))
    verify(g)
    assert len(g.sizes) == 1
    np.testing.assert_array_equal(
        evaluate(g, np.arange(3.0), np.arange(3.0))[0], np.outer(np.arange(3.0), np.arange(3.0))
    )
    own = Var(I, "batch")
    g, _ = batch(f, (True, False), size=dim(own))
    assert g.sizes[0] == (own, 0, 0)
    verify(g)
    with pytest.raises(ValueError, match="no argument is mapped"):
        batch(f, (False, False))
    g, out = batch(f, (False, False), size=4, force=True)
    assert evaluate(verify(g), np.arange(3.0), 2.0)[0].shape == (4, 3)


def test_a_closure_and_the_sizes_around_it():
    """Free variables are shared by the lanes, and the number of lanes may be any size of the function around."""
    n = Var(I, "n")
    x, w = Var(vector(dim(n)), "x"), Var(S, "w")
    p = Var(S, "p")
    with Builder() as b, b.scope((x, w)) as body:
        with b.scope((p,)) as inner:
            (y,) = if_(P.gt(p, w), lambda: [P.mul(p, w)], lambda: [P.add(p, at(x, 0))])
            inner.results = (y,)
        lifted, flags = batch(Function("inner", inner), (True,), size=dim(n) - 1)
        assert flags == (True,) and lifted.sizes == ()
        rows = P.index(x, 1, spec=(Span(dim(n) - 1),), mode="fast")
        from weft.ir.nodes import Renamer

        renamer = Renamer({lifted.params[0]: rows})
        for s in lifted.body.stmts:
            b.append(renamer.stmt(s))
        body.results = renamer.all(lifted.results)
    f = verify(Function("f", body, ((n, 0, 0),)))
    v = np.array([5.0, 1.0, 3.0, 2.0])
    np.testing.assert_array_equal(evaluate(f, v, 2.0)[0], [6.0, 6.0, 7.0])


# -- derivatives compose -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in PROGRAMS if n not in ("masked",)])
def test_batched_gradients(name):
    """vmap of the reverse-mode derivative."""
    from weft.transforms.reverse import vjp

    p = PROGRAMS[name]()
    g = vjp(p.f, p.active)
    primal = evaluate(p.f, *p.args)
    rng = np.random.default_rng(5)
    cts = [rng.normal(size=np.shape(r)) for r in primal if np.asarray(r).dtype.kind == "f"]
    args = [*p.args, *cts]
    flags = tuple(np.asarray(a).dtype.kind == "f" for a in args)
    check(g, lanes_of(args, flags, 2), flags, 2)
