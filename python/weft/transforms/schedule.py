"""Putting array updates where memory is touched least.

The adjoint of a stencil adds one array to another at several offsets, after clearing what it read. As written that is
a pass over memory for each offset. Here such a chain becomes one pass that gathers from a copy with a border of zeros
(made once outside the loop around it), and a clearing waits until its result is needed, so that what was read before
it need not be copied.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from weft.ir.builder import Builder
from weft.ir.nodes import (
    Atom,
    Block,
    Call,
    For,
    Function,
    If,
    Lit,
    Map,
    Op,
    Span,
    Stmt,
    Var,
    While,
    atom_uses,
    free_vars,
    lit,
    sub_blocks,
)
from weft.ir.primitive import REGISTRY, Elementwise, Reindex
from weft.ir.sizes import Shape, vars_of_type
from weft.ir.types import ArrayType
from weft.primitives.declare import prim

LEAST = 3  # additions that are worth gathering


def schedule(f: Function) -> Function:
    """Gather chains of additions at several offsets, and clear arrays late."""
    if not any(_interesting(f.body)):
        return f
    body, kept = _block(f.body, None)
    assert not kept
    return Function(f.name, body, f.sizes, f.updates, f.loc)


def _interesting(b: Block) -> list[bool]:
    """Whether there is anything to do at all."""
    accum, store = REGISTRY["accum"], REGISTRY["store"]
    ops = [s for s in b.stmts if isinstance(s, Op)]
    found = [s.prim is accum or (s.prim is store and isinstance(s.args[1], Lit)) for s in ops]
    return found + [any(_interesting(x)) for s in b.stmts for x in sub_blocks(s)]


@dataclass
class Border:
    """A copy with a border of zeros that a loop carries along: its parameter, and its value after an iteration."""

    param: Var
    after: Var
    reach: list[int]


def _uses(s: Stmt) -> list[Var]:
    inner = [v for b in sub_blocks(s) for v in free_vars(b)]
    return [*atom_uses(s), *inner]


def _block(b: Block, bound: set[Var] | None) -> tuple[Block, list[Border]]:
    """A block scheduled; ``bound`` are the variables of the loop body that this is (None: not a loop's body)."""
    stmts: list[Stmt] = []
    for s in b.stmts:
        stmts += _inside(s)
    kept: list[Border] = []
    stmts = _gathered(stmts, b.results, bound, kept)
    return Block(b.params, _cleared_late(stmts), b.results), kept


def _inside(s: Stmt) -> list[Stmt]:
    """A statement with its blocks scheduled, after what its loop needs."""
    match s:
        case Op() | Call():
            return [s]
        case If():
            return [If(s.pred, _block(s.then, None)[0], _block(s.orelse, None)[0], s.outs, s.loc)]
        case While():
            return [While(s.inits, s.cond, _block(s.body, None)[0], s.outs, s.loc)]
        case Map():
            return [Map(s.sizes, s.inits, _block(s.body, None)[0], s.outs, s.loc)]
        case For():
            return _loop(s)
    raise TypeError(f"not a statement: {s!r}")


def _loop(s: For) -> list[Stmt]:
    bound = {*s.body.params, *[o for x in s.body.stmts for o in x.outs]}
    body, kept = _block(s.body, bound)
    if not kept:
        return [For(s.trip, s.inits, body, s.outs, s.reverse, s.loc)]
    n = len(s.inits)
    with Builder() as b, b.scope() as before:
        zeros = [prim("broadcast")(lit(0, k.param.type.dtype), shape=k.param.type.shape, dims=()) for k in kept]
    # equal borders are one value here, and must not become one buffer: each carry begins as its own
    body.params = (*body.params, *[k.param for k in kept])
    body.results = (*body.results[:n], *[k.after for k in kept], *body.results[n:])
    outs = (*s.outs[:n], *[Var(k.param.type) for k in kept], *s.outs[n:])
    return [*before.stmts, For(s.trip, (*s.inits, *zeros), body, outs, s.reverse, s.loc)]


# -- gathering -------------------------------------------------------------------------------------------------------


def _plain(s: Stmt) -> bool:
    """An addition of an array at a region whose start is known."""
    return (
        isinstance(s, Op)
        and s.prim is REGISTRY["accum"]
        and isinstance(s.args[1], Var)
        and bool(s.args[1].type.shape)
        and all([isinstance(e, Span) and e.step == 1 for e in s.attrs["spec"]])
        and all([isinstance(o, Lit) for o in s.args[2:]])
    )


def _gathered(stmts: list[Stmt], results: Sequence[Atom], bound: set[Var] | None, kept: list[Border]) -> list[Stmt]:
    count = Counter(v for s in stmts for v in _uses(s)) + Counter(r for r in results if isinstance(r, Var))
    by_out: dict[Var, list[Op]] = {}
    for s in stmts:
        if not _plain(s):
            continue
        assert isinstance(s, Op)
        before = by_out.get(s.args[0]) if isinstance(s.args[0], Var) else None
        last = before[-1] if before else None
        if last is not None and count[last.outs[0]] == 1 and last.args[1] is s.args[1]:
            chain = [*before, s]  # type: ignore[misc]
            del by_out[last.outs[0]]
        else:
            chain = [s]
        by_out[s.outs[0]] = chain
    chains = {c[-1]: c for c in by_out.values() if len(c) >= LEAST}
    if not chains:
        return stmts
    gone = {s for c in chains.values() for s in c}
    out: list[Stmt] = []
    for s in stmts:
        if isinstance(s, Op) and s in chains:
            out += _gather(chains[s], bound, kept)
        elif s not in gone:
            out.append(s)
    return out


def _gather(chain: list[Op], bound: set[Var] | None, kept: list[Border]) -> list[Stmt]:
    """One addition of the sum of shifted reads from a copy with a border of zeros."""
    first, last = chain[0], chain[-1]
    v = first.args[1]
    starts = [[int(o.value) for o in s.args[2:]] for s in chain]  # type: ignore[union-attr]
    low = [min(axis) for axis in zip(*starts, strict=True)]
    reach = [max(axis) - lo for axis, lo in zip(zip(*starts, strict=True), low, strict=True)]
    shape: Shape = v.type.shape
    padded = tuple([n + 2 * h for n, h in zip(shape, reach, strict=True)])
    region = tuple([n + h for n, h in zip(shape, reach, strict=True)])
    t = ArrayType(v.type.dtype, padded)
    outside = bound is not None and not any(w in bound for w in vars_of_type(t))
    with Builder() as b, b.scope() as block, b.at(last.loc):
        shared = next((k for k in kept if outside and k.param.type == t and k.reach == reach), None)
        if shared is not None:
            base: Atom = shared.after  # the same border, written anew
        elif outside:
            base = Var(t, "border")
        else:
            base = prim("broadcast")(lit(0, t.dtype), shape=padded, dims=())
        spec = tuple([Span(n) for n in shape])
        copy = prim("store")(base, v, *reach, spec=spec, mode="fast")
        copy.name = "bordered"
        total: Atom | None = None
        window = tuple([Span(n) for n in region])
        for at in starts:
            shift = [h - (a - lo) for h, a, lo in zip(reach, at, low, strict=True)]
            x = prim("index")(copy, *shift, spec=window, mode="fast")
            total = x if total is None else prim("add")(total, x)
        prim("accum")(first.args[0], total, *low, spec=window, mode="fast")
    made = block.stmts[-1]
    assert isinstance(made, Op)
    block.stmts[-1] = Op(made.prim, made.args, made.attrs, last.outs, last.loc)
    if shared is not None:
        shared.after = copy
    elif outside:
        assert isinstance(base, Var)
        kept.append(Border(base, copy, reach))
    return block.stmts


# -- clearing --------------------------------------------------------------------------------------------------------


def _cleared_late(stmts: list[Stmt]) -> list[Stmt]:
    """Stores of a constant moved down behind the last reader of what they overwrite, if their results are used later.

    Elementwise and reindexing operations are computed where they are used, so theirs are not yet reads.
    """
    store = REGISTRY["store"]
    out = list(stmts)
    for s in stmts:
        if not (isinstance(s, Op) and s.prim is store and isinstance(s.args[1], Lit) and s.attrs["mode"] != "check"):
            continue
        at = out.index(s)
        lazy = {s.args[0]}
        target = at
        for k, t in enumerate(out):
            used = set(_uses(t))
            if s.outs[0] in used:
                break
            if k == at or not used & lazy:
                continue
            if isinstance(t, Op) and isinstance(t.prim.kind, Elementwise | Reindex):
                lazy.update(t.outs)
            elif k > at:
                target = k
        out.insert(target + 1, s)
        del out[at]
    return out
