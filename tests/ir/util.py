"""Small functions built around primitives, and ways of running them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import weft.primitives  # noqa: F401
from weft.ir.builder import Builder
from weft.ir.interpret import evaluate
from weft.ir.nodes import Atom, Function, Op, Var
from weft.ir.primitive import REGISTRY, Collective, Host, Primitive
from weft.ir.types import ArrayType
from weft.ir.verify import verify


def local_primitives() -> list[str]:
    """The primitives that mean something for one lane alone, of themselves (callbacks mean what the user says), and
    whose derivatives do: that of ``pvary`` is a sum over lanes."""
    local = {n: p for n, p in REGISTRY.items() if not isinstance(p.kind, Collective) and n != "pvary"}
    return sorted(n for n, p in local.items() if p.kind != Host("callback"))


def type_of(value: Any) -> ArrayType:
    """The type of a NumPy value."""
    value = np.asarray(value)
    return ArrayType(value.dtype, value.shape)


def build(types: Sequence[ArrayType], emit: Callable[..., Any], name: str = "f") -> Function:
    """A verified function whose body ``emit(*parameters)`` emits; it returns its results."""
    params = tuple([Var(t, f"x{k}") for k, t in enumerate(types)])
    with Builder() as b, b.scope(params) as block:
        results = emit(*params)
        block.results = tuple(results) if isinstance(results, tuple | list) else (results,)
    return verify(Function(name, block))


def run(emit: Callable[..., Any], *args: Any) -> list[Any]:
    """What the function that ``emit`` builds gives for NumPy arguments (of fixed sizes)."""
    return evaluate(build([type_of(a) for a in args], emit), *args)


def emit_op(prim: Primitive, args: Sequence[Atom], attrs: dict[str, Any]) -> Op:
    """Emit an operation, never shared or folded, and return its statement."""
    from weft.ir.builder import current

    b = current()
    b._known[-1].clear()
    b.op_outs(prim, tuple(args), attrs)
    op = b.block.stmts[-1]
    assert isinstance(op, Op) and op.prim is prim
    return op
