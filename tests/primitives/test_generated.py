"""Tests generated from the declarations: types, derivatives and batching of every primitive on its own samples."""

from __future__ import annotations

import itertools
import zlib

import numpy as np
import pytest
from tests.ir.util import emit_op, local_primitives, run, type_of

import weft.primitives  # noqa: F401
from weft.ir.nodes import Var
from weft.ir.primitive import REGISTRY
from weft.ir.types import ArrayType, f64, i64, is_inexact, scalar
from weft.primitives.declare import zeros

NAMES = local_primitives()
PURE = [n for n in NAMES if REGISTRY[n].effect != "io" and n != "check"]


def cases(name):
    return REGISTRY[name].samples()


def as_values(result):
    return list(result) if isinstance(result, tuple) else [result]


def rng_for(name):
    return np.random.default_rng(zlib.crc32(name.encode()))


def random_like(rng, value):
    value = np.asarray(value)
    x = rng.standard_normal(value.shape)
    if value.dtype.kind == "c":
        x = x + 1j * rng.standard_normal(value.shape)
    return np.asarray(x).astype(value.dtype)[()]


def precise(operands):
    """Whether derivatives of these operands can be measured by differences."""
    inexact = [np.asarray(x).dtype for x in operands if is_inexact(np.asarray(x).dtype)]
    return bool(inexact) and all(d in (f64, np.dtype("c16")) for d in inexact)


@pytest.mark.parametrize("name", NAMES)
def test_has_samples_and_rules(name):
    prim = REGISTRY[name]
    assert prim.samples is not None and prim.samples()
    assert (prim.jvp is None) == (prim.vjp is None)


@pytest.mark.parametrize("name", PURE)
def test_type_rule_is_numpy_meaning(name):
    prim = REGISTRY[name]
    for operands, attrs in cases(name):
        before = [np.array(x) for x in operands]
        results = as_values(prim.numpy(*operands, **attrs))
        if prim.dependent_results:
            types = prim.type_rule(
                *map(type_of, operands), outs=[int(r) for r in results[: prim.dependent_results]], **attrs
            )
        else:
            types = prim.type_rule(*map(type_of, operands), **attrs)
        assert [type_of(r) for r in results] == list(types), (operands, attrs)
        for x, y in zip(operands, before):
            np.testing.assert_array_equal(x, y)  # operands are never changed


@pytest.mark.parametrize("name", PURE)
def test_interpreter_runs_it(name):
    prim = REGISTRY[name]
    for operands, attrs in cases(name)[:40]:
        got = run(lambda *xs: prim(*xs, **attrs), *operands)
        for g, w in zip(got, as_values(prim.numpy(*operands, **attrs)), strict=True):
            np.testing.assert_array_equal(g, w)


DIFFERENTIABLE = [n for n in NAMES if REGISTRY[n].jvp is not None]


#: Operands with respect to which there is no derivative, which a rule says.
WITHOUT = {
    "zeta": {0},
    "gammainc_da": {0},
    "betainc": {0, 1},
    "expn": {0},
    "hyp1f1": {0, 1},
    "hyp2f1": {0, 1, 2},
}


def inexact_places(name, operands):
    return [k for k, x in enumerate(operands) if is_inexact(np.asarray(x).dtype) and k not in WITHOUT.get(name, ())]


def inexact_results(results):
    return [r for r in as_values(results) if is_inexact(np.asarray(r).dtype)]


def difference(prim, operands, tangents, attrs, h=1e-6):
    """The central differences of the inexact results along ``tangents`` (None: not moved)."""

    def at(step):
        moved = [x if t is None else x + step * t for x, t in zip(operands, tangents)]
        return inexact_results(prim.numpy(*moved, **attrs))

    return [(up - down) / (2 * h) for up, down in zip(at(h), at(-h), strict=True)]


def jvp_of(prim, operands, tangents, attrs):
    n = len(operands)

    def emit(*xs):
        ts = iter(xs[n:])
        op = emit_op(prim, xs[:n], attrs)
        found = prim.jvp(op, [None if t is None else next(ts) for t in tangents])
        pairs = [(o, t) for o, t in zip(op.outs, found, strict=True) if is_inexact(o.type.dtype)]
        return [zeros(o.type) if t is None else t for o, t in pairs]

    return run(emit, *operands, *[t for t in tangents if t is not None])


def vjp_of(prim, operands, cts, attrs, wanted):
    """The cotangents of the wanted operands; ``cts`` has one entry per inexact result (None: zero)."""
    n = len(operands)

    def emit(*xs):
        op = emit_op(prim, xs[:n], attrs)
        given, each = iter(xs[n:]), iter(cts)
        mine = [next(given) if is_inexact(o.type.dtype) and next(each) is not None else None for o in op.outs]
        found = prim.vjp(op, mine, wanted)
        assert len(found) == n
        for c, a, w in zip(found, op.args, wanted):
            assert c is None or not w or c.type == a.type, (c, a, w)
        return [zeros(a.type) if c is None else c for c, a, w in zip(found, op.args, wanted) if w]

    return run(emit, *operands, *[c for c in cts if c is not None])


#: Complex factors are defined up to phases, which differences show: tests/primitives/test_decompositions.py has them.
UP_TO_PHASES = {"eigh", "svd"}


def differentiable_cases(name):
    for operands, attrs in cases(name):
        if not precise(operands) or refused(name, operands, attrs):
            continue
        outs = inexact_results(REGISTRY[name].numpy(*operands, **attrs))
        if outs and all(out.dtype.itemsize >= 8 and out.dtype != np.dtype("c8") for out in outs):
            yield operands, attrs, outs


def refused(name, operands, attrs):
    """Whether the derivative is refused: eigenvectors of a general matrix."""
    return name == "eig" and attrs["vectors"]


def activities(name, operands):
    places = inexact_places(name, operands)
    return {(p,) for p in places} | {tuple(places)}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_jvp_against_differences(name):
    prim, rng, count = REGISTRY[name], rng_for(name), 0
    for operands, attrs, outs in differentiable_cases(name):
        if name in UP_TO_PHASES and attrs["vectors"] and np.asarray(operands[0]).dtype.kind == "c":
            continue
        for active in activities(name, operands):
            tangents = [random_like(rng, x) if k in active else None for k, x in enumerate(operands)]
            found = jvp_of(prim, operands, tangents, attrs)
            for got, want, out in zip(found, difference(prim, operands, tangents, attrs), outs, strict=True):
                assert type_of(got) == type_of(out)
                np.testing.assert_allclose(got, want, rtol=2e-6, atol=2e-6, err_msg=f"{operands} {attrs} {active}")
            count += 1
    assert count


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_vjp_is_transposed_jvp(name):
    prim, rng = REGISTRY[name], rng_for(name)
    for operands, attrs, outs in differentiable_cases(name):
        for active in activities(name, operands):
            wanted = [k in active for k in range(len(operands))]
            tangents = [random_like(rng, x) if w else None for x, w in zip(operands, wanted)]
            ts = jvp_of(prim, operands, tangents, attrs)
            for some in {(True,) * len(outs), *[tuple(j == k for j in range(len(outs))) for k in range(len(outs))]}:
                cts = [random_like(rng, out) if on else None for out, on in zip(outs, some)]
                found = vjp_of(prim, operands, cts, attrs, wanted)
                left = sum(np.real(np.sum(np.asarray(c) * t)) for c, t in zip(cts, ts) if c is not None)
                right = sum(np.real(np.sum(np.asarray(c) * tangents[k])) for c, k in zip(found, active, strict=True))
                np.testing.assert_allclose(
                    left, right, rtol=1e-9, atol=1e-9, err_msg=f"{operands} {attrs} {active} {some}"
                )


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_derivatives_keep_the_dtype(name):
    prim, rng = REGISTRY[name], rng_for(name)
    for operands, attrs in cases(name):
        places = inexact_places(name, operands)
        outs = inexact_results(prim.numpy(*operands, **attrs))
        if not places or not outs or refused(name, operands, attrs):
            continue
        tangents = [random_like(rng, x) if k in places else None for k, x in enumerate(operands)]
        assert [type_of(t) for t in jvp_of(prim, operands, tangents, attrs)] == [type_of(out) for out in outs]
        wanted = [k in places for k in range(len(operands))]
        cts = [random_like(rng, out) for out in outs]
        for c, k in zip(vjp_of(prim, operands, cts, attrs, wanted), places, strict=True):
            assert type_of(c) == type_of(operands[k])


BATCHED = [n for n in NAMES if REGISTRY[n].batch is not None]
LANES = 3


#: Their operands are matrices whose structure matters: lanes differ by a factor.
MATRICES = {"adjugate", "cholesky", "det", "eig", "eigh", "pinv", "qr", "slogdet", "solve", "svd", "triangular_solve"}


def lanes_of(name, operands, k):
    """Three variations of operand k: rolled and, where they are not indices, changed."""
    x = np.asarray(operands[k])
    rows = [np.roll(x, lane) if x.shape and name not in MATRICES else x for lane in range(LANES)]
    if x.dtype.kind in "fc":
        rows = [r * (1 - 0.1 * lane) for lane, r in enumerate(rows)]
    return np.stack(rows).astype(x.dtype)


@pytest.mark.parametrize("name", BATCHED)
def test_batching_is_a_loop_over_lanes(name):
    prim, count = REGISTRY[name], 0
    for operands, attrs in cases(name):
        n = len(operands)
        combinations = [c for c in itertools.product((False, True), repeat=min(n, 5)) if any(c)]
        for batched in combinations:
            batched = batched + (False,) * (n - len(batched))
            args = [lanes_of(name, operands, k) if b else x for k, (x, b) in enumerate(zip(operands, batched))]
            if "spec" in attrs:
                args = vary_indices(prim, args, batched, attrs)

            def emit(*xs):
                op_args = [Var(type_of(x)) for x in operands]
                outs = prim.type_rule(*[a.type for a in op_args], **attrs)
                from weft.ir.nodes import Op

                op = Op(prim, tuple(op_args), attrs, tuple([Var(t) for t in outs]))
                return prim.batch(op, list(xs), list(batched), LANES)

            got = run(emit, *args)
            for lane in range(LANES):
                mine = [a[lane] if b else a for a, b in zip(args, batched)]
                want = as_values(prim.numpy(*mine, **attrs))
                for g, w in zip(got, want, strict=True):
                    assert g.dtype == w.dtype and g.shape == (LANES, *np.shape(w)), (operands, attrs, batched)
                    np.testing.assert_allclose(
                        g[lane], w, rtol=1e-6, atol=1e-7 * (name in MATRICES), err_msg=f"{operands} {attrs} {batched}"
                    )
            count += 1
    assert count


def vary_indices(prim, args, batched, attrs):
    """Batched indices move by one in each lane, in range: spans have room only where they leave some."""
    first = 2 if prim.name in ("store", "accum") else 1
    shape = np.shape(args[0])[int(batched[0]) :]
    new = list(args)
    for k, entry in enumerate(attrs["spec"]):
        at = first + k
        if not batched[at]:
            continue
        n, x = shape[k], np.asarray(args[at]).copy()
        for lane in range(LANES):
            if hasattr(entry, "size"):
                far = entry.step * max(entry.size - 1, 0)
                room = n - abs(far) if entry.size else 1
                x[lane] = (int(x[lane]) - max(-far, 0) + lane) % max(room, 1) + max(-far, 0)
            else:
                x[lane] = (x[lane] + lane + n) % (2 * n) - n
        new[at] = x
    return new


def test_batched_accesses_of_a_gather_between_spans():
    # lanes whose span starts differ and whose gathers repeat, against the loop: order of axes and of writes
    from weft.ir.nodes import At, Gather, Op, Span

    store = REGISTRY["store"]
    a = np.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    spec = (Span(2), Gather(), Span(3), At())
    starts, picks, seconds, at = 0, np.array([[0, 2, 0], [1, 1, 1]]), np.array([0, 1]), np.array([4, -1])
    v = np.random.default_rng(0).random((2, 2, 3, 3))
    attrs = {"spec": spec, "mode": "check"}

    def emit(a, v, p, s, t):
        types = [a.type, ArrayType(f64, (2, 3, 3)), scalar(i64), ArrayType(i64, (3,)), scalar(i64), scalar(i64)]
        op = Op(store, tuple([Var(x) for x in types]), attrs, (Var(a.type),))
        from weft.ir.nodes import lit

        return store.batch(op, [a, v, lit(starts), p, s, t], [False, True, False, True, True, True], 2)

    (got,) = run(emit, a, v, picks, seconds, at)
    for lane in range(2):
        want = a.copy()
        for k in range(2):
            for g in range(3):
                for j in range(3):
                    want[k, picks[lane, g], seconds[lane] + j, at[lane]] = v[lane, k, g, j]
        np.testing.assert_array_equal(got[lane], want)
