"""Every derivative rule emits code that is differentiable again: all four orders of two modes.

Forward over either rule is compared with differences of it, reverse over either with forward over it, transposed.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests.ir.util import build, emit_op, local_primitives, type_of
from tests.primitives.test_generated import UP_TO_PHASES, inexact_places, inexact_results, random_like, refused

import weft.primitives  # noqa: F401
from weft.ir.interpret import evaluate
from weft.ir.primitive import REGISTRY
from weft.ir.types import c128, f64, is_inexact
from weft.ir.verify import verify
from weft.primitives.declare import zeros
from weft.transforms.forward import jvp
from weft.transforms.reverse import vjp

NAMES = [n for n in local_primitives() if REGISTRY[n].jvp is not None]
PER_PRIMITIVE = 12


def cases(name):
    """Real samples first; then some complex ones."""
    for wanted, most in ((f64, PER_PRIMITIVE), (c128, 4)):
        count = 0
        for operands, attrs in REGISTRY[name].samples():
            inexact = {np.asarray(x).dtype for x in operands if is_inexact(np.asarray(x).dtype)}
            if wanted not in inexact or not inexact <= {f64, wanted} or refused(name, operands, attrs):
                continue
            if wanted == c128 and name in UP_TO_PHASES and attrs["vectors"]:
                continue
            outs = inexact_results(REGISTRY[name].numpy(*operands, **attrs))
            fine = outs and all(np.asarray(o).dtype in (f64, c128) and o.size for o in outs)
            if fine and count < most:
                count += 1
                yield operands, attrs, outs


#: Operands with respect to which there is a first derivative, and no second.
ONCE = {"gammainc": {0}, "gammaincc": {0}}


def marks(prim, operands):
    places = [k for k in inexact_places(prim.name, operands) if k not in ONCE.get(prim.name, ())]
    return [k in places for k in range(len(operands))]


def gradient_function(prim, operands, attrs, outs):
    """``(operands, cotangents) -> cotangents of the inexact operands``, by the rule for reverse mode."""
    n, wanted = len(operands), marks(prim, operands)

    def emit(*xs):
        op = emit_op(prim, xs[:n], attrs)
        given = iter(xs[n:])
        cts = prim.vjp(op, [next(given) if is_inexact(o.type.dtype) else None for o in op.outs], wanted)
        return [zeros(a.type) if c is None else c for c, a, w in zip(cts, op.args, wanted) if w]

    return build([*map(type_of, operands), *map(type_of, outs)], emit), outs


def tangent_function(prim, operands, attrs, outs):
    """``(operands, tangents of the inexact ones) -> tangents of the inexact results``, by the rule for forward mode."""
    n, active = len(operands), marks(prim, operands)
    moving = [x for x, on in zip(operands, active) if on]

    def emit(*xs):
        op = emit_op(prim, xs[:n], attrs)
        given = iter(xs[n:])
        found = prim.jvp(op, [next(given) if on else None for on in active])
        pairs = [(o, t) for o, t in zip(op.outs, found, strict=True) if is_inexact(o.type.dtype)]
        return [zeros(o.type) if t is None else t for o, t in pairs]

    return build([*map(type_of, operands), *map(type_of, moving)], emit), moving


def pairing(cts, tangents):
    return sum(np.real(np.sum(np.asarray(c) * t)) for c, t in zip(cts, tangents, strict=True))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rule", [gradient_function, tangent_function], ids=["reverse", "forward"])
def test_both_modes_over(name, rule):
    prim, rng = REGISTRY[name], np.random.default_rng(3)
    count = 0
    for operands, attrs, outs in cases(name):
        f, more = rule(prim, operands, attrs, outs)
        active = [*marks(prim, operands), *[True] * len(more)]
        args = [*operands, *[random_like(rng, x) for x in more]]
        tangents = [random_like(rng, a) for a, on in zip(args, active) if on]
        got = evaluate(verify(jvp(f, active)), *args, *tangents)[len(f.results) :]
        h = 1e-5

        def moved(step):
            ts = iter(tangents)
            return evaluate(f, *[a + step * next(ts) if on else a for a, on in zip(args, active)])

        where = f"{operands} {attrs}"
        for t, up, down in zip(got, moved(h), moved(-h), strict=True):
            want = (up - down) / (2 * h)
            scale = max(1.0, float(np.max(np.abs(want))) if want.size else 1.0)
            np.testing.assert_allclose(t, want, rtol=1e-5, atol=1e-6 * scale, err_msg=where)
        cts = [random_like(rng, t) for t in got]
        back = evaluate(verify(vjp(f, active)), *args, *cts)[len(f.results) :]
        left, right = pairing(cts, got), pairing(back, tangents)
        np.testing.assert_allclose(right, left, rtol=1e-8, atol=1e-8 * max(1.0, abs(left)), err_msg=where)
        count += 1
    assert count or name in ("conj", "imag", "real")
