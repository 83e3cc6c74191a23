"""The entry point: a function becomes a `Program`."""

from __future__ import annotations

from weft.ir.nodes import Function, Op, Var
from weft.ir.sizes import Shape
from weft.lowering import loops as L
from weft.lowering.contract import contracted
from weft.lowering.control import block, is_update, settle_twice
from weft.lowering.inplace import copy, settle
from weft.lowering.merge import merged
from weft.lowering.prepare import count_uses
from weft.lowering.raising import raised
from weft.lowering.state import Lowering
from weft.lowering.values import Stored, Value, loads
from weft.lowering.visit import Facts
from weft.transforms.dead import drop_dead
from weft.transforms.inline import inline_calls


def lower(f: Function) -> L.Program:
    """Lower a function to loop nests.

    Parameters
    ----------
    f
        The function.

    Returns
    -------
    Program
        Its ``meta`` has ``results``, a list with one dict per result: ``kind`` ("scalar", "array", or "leaf" for a
        result that is simply parameter ``param``), ``dtype``, ``rank``, and for an array written into a parameter's
        memory ``updates``; ``host``, the descriptions of the host functions by number (``kind`` "raise" with ``exc``
        and ``message``, "print" with ``text``, "host" with ``prim``, ``attrs``, ``symbols``, ``operands``);
        ``heavy``, whether it may run long; ``mutates``, the parameters whose memory it writes.
    """
    f = drop_dead(inline_calls(f))
    lw = Lowering(f)
    count_uses(f.body, lw.uses, lw.inner, 0, {})
    params: list[L.Buffer | Var] = []
    lw.push(f.body, "function")
    sizes = _sizes(lw, f)
    for k, p in enumerate(f.params):
        if p.type.shape:
            b = L.Buffer(p.name or f"x{k}", p.type.dtype, lw.shape(p.type.shape), "param", k)
            params.append(b)
            lw.param_buffers[p] = b
            lw.define(p, Stored(b, b.shape))
        else:
            params.append(p)
            lw.env[p] = L.Ref(p)
    results = _results(lw, f)
    block(lw, f.body)
    _finish(lw, f, results)
    body = contracted(merged(lw.frame.stmts))
    facts = Facts()
    raised(facts, body)
    meta = {
        "results": [_describe(lw, f, k) for k in range(len(f.results))],
        "host": lw.hosts,
        "heavy": lw.heavy or any(isinstance(s, L.Loop | L.Gemm | L.Routine | L.Copy) for s in body),
        "mutates": sorted(set(f.updates.values())),
    }
    return L.Program(f.name, params, sizes, body, meta, f.loc, facts)


def _sizes(lw: Lowering, f: Function) -> list[tuple[Var, int]]:
    """Where each size symbol stands in the table of all array parameters' sizes."""
    starts, total = [], 0
    for p in f.params:
        starts.append(total)
        total += p.type.rank
    found = []
    for v, k, axis in f.sizes:
        found.append((v, starts[k] + axis))
        lw.env[v] = L.Ref(v)
        lw.bounds[v] = None
        lw.least[v] = 2
    return found


def _describe(lw: Lowering, f: Function, k: int) -> dict[str, object]:
    r = f.results[k]
    what: dict[str, object] = {"dtype": r.type.dtype, "rank": r.type.rank}
    leaf = _leaf(f, k)
    if leaf is not None:
        return {"kind": "leaf", "param": leaf, **what}
    if not r.type.shape:
        return {"kind": "scalar", **what}
    if k in f.updates:
        return {"kind": "array", "updates": f.updates[k], **what}
    return {"kind": "array", **what}


def _leaf(f: Function, k: int) -> int | None:
    """The parameter that a result updates, where it is that parameter unchanged: nothing to write."""
    r = f.results[k]
    p = f.updates.get(k)
    return p if p is not None and r is f.params[p] else None


def _results(lw: Lowering, f: Function) -> dict[int, L.Buffer]:
    """Memory for the array results, preferred by the variables whose memory the results will take over."""
    found: dict[int, L.Buffer] = {}
    chain: dict[Var, L.Buffer] = {}
    for k, r in enumerate(f.results):
        if not r.type.shape or _leaf(f, k) is not None or k in f.updates:
            continue
        b = L.Buffer(_result_name(r, k), r.type.dtype, r.type.shape, "result", k)
        found[k] = b
        if isinstance(r, Var):
            chain.setdefault(r, b)
    for s in reversed(f.body.stmts):
        inits: tuple[object, ...] = ()
        if isinstance(s, Op):
            inits = (s.args[0],) if is_update(s) else ()
        else:
            inits = getattr(s, "inits", ())
        for o, i in zip(s.outs, inits, strict=False):
            if o in chain and isinstance(i, Var):
                chain.setdefault(i, chain[o])
    lw.prefer = chain
    return found


def _result_name(r: object, k: int) -> str:
    return (r.name if isinstance(r, Var) else "") or f"out{k}"


def _finish(lw: Lowering, f: Function, memory: dict[int, L.Buffer]) -> None:
    """Bring every result where the caller wants it."""
    settle_twice(lw, f.results)
    scalars: list[tuple[int, L.Expr]] = []
    values: list[Value] = []
    targets: list[L.Buffer] = []
    shapes: list[Shape] = []
    lw.force(*[lw.value(r) for r in f.results if not r.type.shape])
    for k, r in enumerate(f.results):
        if not r.type.shape:
            e = lw.scalar(r)
            scalars.append((k, lw.named(r) if any(True for _ in loads(e)) else e))
    for k, r in enumerate(f.results):
        if not r.type.shape or _leaf(f, k) is not None:
            continue
        shape = lw.shape(r.type.shape)
        if k in memory:
            b = memory[k]
            b.shape = shape
            value = lw.value(r)
            if b not in lw.taken:
                lw.emit(L.Alloc(b))
                lw.taken.add(b)
            elif b.moves:
                b = _home(lw, b, value, shape)
                if isinstance(value, Stored) and value.buffer is memory[k]:
                    continue
        else:
            p = f.params[f.updates[k]]
            b = lw.param_buffers[p]
        values.append(lw.value(r))
        targets.append(b)
        shapes.append(shape)
    settle(lw, values, targets, shapes, False)
    for k, e in scalars:
        lw.emit(L.Output(k, e))


def _home(lw: Lowering, b: L.Buffer, value: Value, shape: Shape) -> L.Buffer:
    """A result's own memory, although the pointer that held it has been exchanged: what is there is copied back."""
    home = L.Buffer(b.name + "_home", b.dtype, shape, "home", b.number)
    if isinstance(value, Stored) and value.buffer is b:
        copy(lw, home, b, shape, maybe_same=True)
    return home
