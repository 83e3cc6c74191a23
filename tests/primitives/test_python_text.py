"""The Python text of every primitive means what the primitive means."""

from __future__ import annotations

import numpy as np
import pytest
from tests.ir.util import local_primitives, type_of

import weft.primitives  # noqa: F401
import weft.random
import weft.scipy.special as special
from weft.ir.nodes import At, Gather, Span
from weft.ir.primitive import REGISTRY
from weft.ir.types import ArrayType, f64, i64

# `store` and `accum` are statements in the unparser; check and print likewise
STATEMENTS = {"store", "accum", "check", "print"}
NAMES = [n for n in local_primitives() if n not in STATEMENTS]


def test_statements_have_no_text():
    assert {n for n, p in REGISTRY.items() if p.python is None} == STATEMENTS


@pytest.mark.parametrize("name", NAMES)
def test_text_means_the_same(name):
    prim = REGISTRY[name]
    for operands, attrs in prim.samples():
        if name == "make" and any(np.asarray(x).dtype not in (f64, i64, bool) for x in operands):
            continue  # the text of literals carries their dtype
        if name == "pow" and np.asarray(operands[1]).dtype.kind == "i" and np.min(operands[1]) < 0:
            continue  # the program raises before it comes to this
        names = [f"x{k}" for k in range(len(operands))]
        text = prim.python(names, {**attrs, "types": tuple(map(type_of, operands))})
        with np.errstate(all="ignore"):
            got = eval(text, {"np": np, "special": special, "random": weft.random, **dict(zip(names, operands))})
        want = prim.numpy(*operands, **attrs)
        if name == "mask_indices":
            want = want[1:]
        if name == "undef":
            assert got.shape == want.shape and got.dtype == want.dtype
            continue
        for g, w in zip(got, want, strict=True) if isinstance(want, tuple) else [(got, want)]:
            np.testing.assert_allclose(g, w, rtol=1e-6, err_msg=text)
            assert np.shape(g) == np.shape(w), text
            assert np.asarray(g).dtype == np.asarray(w).dtype, text


M = ArrayType(f64, (2, 2))


def text(name, *args, **attrs):
    return REGISTRY[name].python(args, attrs)


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (text("add", "x", "y"), "x + y"),
        (text("sin", "x"), "np.sin(x)"),
        (text("pow", "x", "2.0"), "x ** 2.0"),
        (text("cast", "x", dtype=np.dtype("f4")), "np.float32(x)"),
        (text("index", "x", "i", "0", spec=(At(), Span("n")), mode="check"), "x[i, :n]"),
        (
            text("index", "x", "i", "0", spec=(At(), Span("n")), mode="check", types=(ArrayType(f64, ("m", "n")),)),
            "x[i]",
        ),
        (text("index", "x", "1", "i", spec=(Span("n - 2"), At()), mode="check"), "x[1:1 + n - 2, i]"),
        (text("index", "x", "2", spec=(Span(3, 2),), mode="fast"), "x[2:8:2]"),
        (text("index", "x", "4", spec=(Span(3, -2),), mode="fast"), "np.flip(x[0:5:2], axis=0)"),
        (text("index", "x", "g", spec=(Gather(),), mode="check"), "x[g]"),
        (text("reduce_sum", "x", axes=(0,)), "np.sum(x, axis=0)"),
        (
            text("reduce_sum", "x", axes=(0,), types=(ArrayType(np.dtype("i1"), ("n",)),)),
            "np.sum(x, axis=0, dtype=np.int8)",
        ),
        (text("reduce_max", "x", axes=(0, 1)), "np.max(x, axis=(0, 1))"),
        (text("broadcast", "x", shape=("n", 3), dims=(0,)), "np.broadcast_to(x[:, None], (n, 3))"),
        (text("broadcast", "0.0", shape=("n",), dims=()), "np.full((n,), 0.0)"),
        (text("transpose", "x", perm=(1, 0)), "x.T"),
        (text("concat", "x", "y", axis=0), "np.concatenate([x, y], axis=0)"),
        (text("iota", size="n", dtype=i64), "np.arange(n)"),
        (text("make", "a", "b", "c", "d", shape=(2, 2)), "np.array([[a, b], [c, d]])"),
        (text("dot", "a", "b", contract=((1,), (0,)), batch=((), ()), types=(M, M)), "a @ b"),
        (text("select", "c", "a", "b"), "np.where(c, a, b)"),
    ],
)
def test_text_is_what_a_person_writes(got, want):
    assert got == want
