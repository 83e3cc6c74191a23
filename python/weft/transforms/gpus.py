"""Collectives as GPUs have them: between arrays in their memory, and of the operations that their library knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from weft.ir.builder import Builder
from weft.ir.nodes import Atom, Block, For, Function, If, Map, Op, Stmt, Var, While, walk
from weft.ir.primitive import Collective
from weft.ir.sizes import Size
from weft.primitives.declare import prim
from weft.transforms.inline import Substitute

_REDUCTIONS = ("psum", "pmax", "pmin", "psum_scatter")
_WIDER = {"h": np.dtype(np.int32), "H": np.dtype(np.uint32)}


def for_gpus(f: Function, sizes: Mapping[str | None, Size]) -> Function:
    """``f`` with collectives that NCCL provides.

    Scalars become arrays of one element, since scalars lie with the host. Integers of 16 bits are reduced as wider
    ones, which gives the same bits. Extremes of floating-point numbers are those of gathered operands: NCCL's leave
    open what becomes of NaN.

    Parameters
    ----------
    f
        The function of one device, without calls.
    sizes
        The axes' sizes.
    """
    if not any([_is_meeting(s) for s in walk(f.body)]):
        return f
    return replace(f, body=_block(f.body, sizes))


def _is_meeting(s: Stmt) -> bool:
    return isinstance(s, Op) and isinstance(s.prim.kind, Collective) and bool(s.args)


def _block(b: Block, sizes: Mapping[str | None, Size]) -> Block:
    stmts: list[Stmt] = []
    names: dict[Var, Atom] = {}
    for s in b.stmts:
        if names:
            s = Substitute(names).stmt(s)
        match s:
            case Op() if _is_meeting(s):
                builder = Builder()
                builder.loc = s.loc
                with builder, builder.scope() as block:
                    found = _fitted(s, sizes)
                stmts.extend(block.stmts)
                names[s.outs[0]] = found
            case For() | Map():
                stmts.append(replace(s, body=_block(s.body, sizes)))
            case While():
                stmts.append(replace(s, cond=_block(s.cond, sizes), body=_block(s.body, sizes)))
            case If():
                stmts.append(replace(s, then=_block(s.then, sizes), orelse=_block(s.orelse, sizes)))
            case Op():
                stmts.append(s)
            case _:
                raise TypeError(f"not a statement of a function without calls: {s!r}")
    return Block(b.params, stmts, tuple([names.get(r, r) if isinstance(r, Var) else r for r in b.results]))


def _fitted(op: Op, sizes: Mapping[str | None, Size]) -> Atom:
    """The result of a collective by ones that GPUs have."""
    (x,), dtype = op.args, op.args[0].type.dtype
    if op.prim.name in _REDUCTIONS and dtype.char in _WIDER:
        wide = _fitted_like(op, [prim("cast")(x, dtype=_WIDER[dtype.char])], sizes)
        return prim("cast")(wide, dtype=dtype)  # type: ignore[no-any-return]
    if op.prim.name in ("pmax", "pmin") and dtype.kind == "f":
        gather = Op(prim("all_gather"), (x,), {**op.attrs, "size": sizes[op.attrs["axis"]]}, ())
        every = _fitted_like(gather, [x], sizes)
        assert isinstance(op.prim.kind, Collective)
        alone = replace(op, attrs={**op.attrs, "groups": None})
        return op.prim.kind.over(alone, [every], [True], every.type.shape[0])[0]
    if x.type.rank and op.outs[0].type.rank:
        return op.prim(x, **op.attrs)  # type: ignore[no-any-return]
    # as one of a batch of one
    assert op.prim.batch is not None
    batch = prim("reshape")(x, shape=(1, *x.type.shape))
    (found,) = op.prim.batch(op, [batch], [True], 1)
    return prim("reshape")(found, shape=tuple(found.type.shape[1:]))  # type: ignore[no-any-return]


def _fitted_like(op: Op, args: Sequence[Atom], sizes: Mapping[str | None, Size]) -> Atom:
    """The same of an operation on other operands."""
    types = op.prim.type_rule(*[a.type for a in args], **op.attrs)
    return _fitted(Op(op.prim, tuple(args), op.attrs, tuple([Var(t) for t in types])), sizes)


__all__ = ["for_gpus"]
