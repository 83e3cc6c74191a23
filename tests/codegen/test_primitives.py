"""Every primitive on its own samples: compiled code against its NumPy meaning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.codegen.harness import Compiled
from tests.ir.util import local_primitives

import weft.primitives  # noqa: F401
from weft.ir.builder import Builder
from weft.ir.nodes import Block, Function, Op, Var
from weft.ir.primitive import REGISTRY
from weft.ir.types import ArrayType, f16
from weft.ir.verify import verify

FLAGS = "-std=gnu++17 -O1 -fPIC -fwrapv -fno-math-errno -ffp-contract=off -fno-exceptions -w".split()
EFFECTS = {"check", "print"}  # nothing to compare: test_statements has them
NAMES = [n for n in local_primitives() if REGISTRY[n].samples is not None and n not in EFFECTS]


def one_function(name: str) -> tuple[Function, list[Any], list[Any]]:
    """A function that applies a primitive to all its samples, with the arguments and the results wanted."""
    prim = REGISTRY[name]
    params: list[Var] = []
    args: list[Any] = []
    wanted: list[Any] = []
    ops: list[Op] = []
    results: list[Var] = []
    for operands, attrs in prim.samples():
        types = [ArrayType(np.asarray(x).dtype, np.shape(x)) for x in operands]
        if any(t.dtype == f16 for t in types):
            continue
        try:
            with np.errstate(all="ignore"):
                want = prim.numpy(*operands, **attrs)
        except (IndexError, ValueError, TypeError):
            continue
        mine = [Var(t, f"x{len(params) + k}") for k, t in enumerate(types)]
        with Builder() as b, b.scope(mine) as block:
            outs = b.op_outs(prim, tuple(mine), attrs)
        if not block.stmts:
            continue
        (op,) = block.stmts
        if any(o.type.dtype == f16 for o in outs):
            continue
        params += mine
        args += operands
        ops.append(op)
        results += outs
        wanted += want if isinstance(want, tuple) else [want]
    return verify(Function(name, Block(tuple(params), ops, tuple(results)))), args, wanted


@pytest.mark.parametrize("name", NAMES)
def test_primitive(name: str) -> None:
    f, args, wanted = one_function(name)
    assert f.results
    got = Compiled(f, FLAGS)(*args)
    for k, (g, w) in enumerate(zip(got, wanted, strict=True)):
        w = np.asarray(w)
        g = np.asarray(g)
        assert g.dtype == w.dtype
        assert g.shape == w.shape
        single = w.dtype in (np.float32, np.complex64)
        np.testing.assert_allclose(g, w, rtol=3e-6 if single else 1e-13, atol=1e-6 if single else 1e-14, err_msg=str(k))
