"""Every derivative rule emits code that is differentiable again: forward over reverse, against differences."""

from __future__ import annotations

import numpy as np
import pytest
from tests.ir.util import build, emit_op, type_of

import weft.primitives  # noqa: F401
from weft.ir.interpret import evaluate
from weft.ir.primitive import REGISTRY
from weft.ir.types import f64, is_inexact
from weft.ir.verify import verify
from weft.primitives.declare import zeros
from weft.transforms.forward import jvp

NAMES = sorted(n for n, p in REGISTRY.items() if p.jvp is not None)
PER_PRIMITIVE = 12


def cases(name):
    count = 0
    for operands, attrs in REGISTRY[name].samples():
        dtypes = [np.asarray(x).dtype for x in operands]
        out = np.asarray(REGISTRY[name].numpy(*operands, **attrs))
        inexact = [d for d in dtypes if is_inexact(d)]
        if inexact and all(d == f64 for d in inexact) and out.dtype == f64 and out.size and count < PER_PRIMITIVE:
            count += 1
            yield operands, attrs, out


def gradient_function(prim, operands, attrs, out):
    """``(operands, cotangent) -> cotangents of the inexact operands``."""
    n = len(operands)
    wanted = [is_inexact(np.asarray(x).dtype) for x in operands]

    def emit(*xs):
        op = emit_op(prim, xs[:n], attrs)
        cts = prim.vjp(op, [xs[n]], wanted)
        return [zeros(a.type) if c is None else c for c, a, w in zip(cts, op.args, wanted) if w]

    return build([*map(type_of, operands), type_of(out)], emit), [*wanted, True]


@pytest.mark.parametrize("name", NAMES)
def test_forward_over_reverse(name):
    prim, rng = REGISTRY[name], np.random.default_rng(3)
    for operands, attrs, out in cases(name):
        f, active = gradient_function(prim, operands, attrs, out)
        g = verify(jvp(f, active))
        args = [*operands, rng.standard_normal(out.shape)[()]]
        tangents = [rng.standard_normal(np.shape(a))[()] for a, w in zip(args, active) if w]
        got = evaluate(g, *args, *tangents)[len(f.results) :]
        h = 1e-5

        def moved(step):
            ts = iter(tangents)
            return evaluate(f, *[a + step * next(ts) if w else a for a, w in zip(args, active)])

        for t, up, down in zip(got, moved(h), moved(-h), strict=True):
            want = (up - down) / (2 * h)
            scale = max(1.0, float(np.max(np.abs(want))) if want.size else 1.0)
            np.testing.assert_allclose(t, want, rtol=1e-5, atol=1e-6 * scale, err_msg=f"{operands} {attrs}")
