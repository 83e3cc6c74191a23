"""How a device's threads may cover a nest: loops for the whole grid, loops for a team."""

from __future__ import annotations

from collections.abc import Iterator

from weft.ir.nodes import Var
from weft.ir.sizes import Size, size_vars
from weft.ir.types import scalar
from weft.lowering import loops as L
from weft.lowering.depends import Freedom, freedom
from weft.lowering.values import loads
from weft.lowering.visit import Facts, Stmts, blocks

Cover = tuple[list[tuple[Var, Size]], Stmts, frozenset[L.Buffer]]  # loops, one iteration, arrays added to

SMALL = 16  # iterations that are not worth sharing out among threads


def covering(facts: Facts, s: L.Loop) -> Cover | None:
    """How a grid may cover a nest: the loops it covers, what one iteration does, and the arrays it adds to; None if
    iterations depend on each other."""
    if s.reductions or s.extrema:
        return None
    free = freedom(facts, s)
    if free is None:
        return _turned(facts, s)
    domain: list[tuple[Var, Size]] = [(s.var, s.size)]
    shared = free.shared
    lets: Stmts = []
    body: Stmts = [*s.setup, *s.body, *released(s.setup)]
    while (inner := _next_loop(facts, body)) is not None:
        more, loop = inner
        if loop.reductions or loop.extrema or loop.setup or set(size_vars(loop.size)) & _given(domain, lets, more):
            break
        free = freedom(facts, loop)
        if free is None:
            break
        shared |= free.shared
        domain.append((loop.var, loop.size))
        lets += more
        body = loop.body
    return domain, [*lets, *body], shared


def _given(domain: list[tuple[Var, Size]], *lets: Stmts) -> set[Var]:
    return {v for v, _ in domain} | {x.var for some in lets for x in some}


def _turned(facts: Facts, s: L.Loop) -> Cover | None:
    """A sequential loop around an independent one, turned inside out where that means the same."""
    found = _next_loop(facts, s.body)
    if s.setup or found is None:
        return None
    lets, inner = found
    if (
        inner.reductions
        or inner.extrema
        or inner.setup
        or s.var in set(size_vars(inner.size))
        or _given([], lets) & set(size_vars(inner.size))
    ):
        return None
    free = freedom(facts, s, inner.var)
    if free is None or free.shared:
        return None
    domain = [(inner.var, inner.size)]
    body: Stmts = [*lets, *inner.body]
    while (deeper := _next_loop(facts, body)) is not None:
        more, loop = deeper
        varying = {s.var} | _given(domain, lets, more)
        if loop.reductions or loop.extrema or loop.setup or varying & set(size_vars(loop.size)):
            break
        free = freedom(facts, s, loop.var)
        if free is None or free.shared:
            break
        domain.append((loop.var, loop.size))
        body = [*body[:-1], *loop.body]
    loop = L.Loop(s.var, s.size, body, reverse=s.reverse, loc=s.loc)
    return domain, _in_register(loop) or [loop], frozenset()


def _in_register(s: L.Loop) -> Stmts | None:
    """A loop that accumulates into one element, which a variable holds meanwhile."""
    if not s.body or not isinstance(w := s.body[-1], L.Write) or w.combine is not None:
        return None
    lets, place = [x for x in s.body if isinstance(x, L.Let)], w.place
    if len(lets) != len(s.body) - 1 or {x.var for x in lets} & (at := {v for i in place.index for v in size_vars(i)}):
        return None
    reads = any(y.place.buffer is place.buffer for x in lets if x.expr is not None for y in loads(x.expr))
    if s.var in at or reads:
        return None
    match w.expr:
        case L.Combine(prim=p, left=L.Load(place=q), right=e) if q.index == place.index and q.buffer is place.buffer:
            if any(y.place.buffer is place.buffer for y in loads(e)):
                return None
            acc = Var(scalar(place.buffer.dtype), place.buffer.name or "s")
            step = L.Assign(acc, L.Combine(p, L.Ref(acc), e, w.expr.dtype))
            loop = L.Loop(s.var, s.size, [*lets, step], reverse=s.reverse, loc=s.loc)
            return [L.Let(acc, L.Load(place), mutable=True), loop, L.Write(place, L.Ref(acc))]
    return None


def _next_loop(facts: Facts, body: Stmts) -> tuple[Stmts, L.Loop] | None:
    """The loop at the end of a body, if all before it are names for pure expressions."""
    if not body or not isinstance(body[-1], L.Loop):
        return None
    lets = body[:-1]
    loop = body[-1]
    if not all(isinstance(x, L.Let) and not x.mutable and x.expr is not None for x in lets):
        return None
    written = {a.buffer for a in facts(loop).accesses if a.writes} if lets else set()
    if any(y.place.buffer in written for x in lets for y in loads(x.expr)):
        return None
    return lets, loop


def spread(facts: Facts, body: Stmts) -> Iterator[tuple[L.Loop, Freedom]]:
    """The loops that a team's threads may share out: the innermost wide ones."""
    for s in body:
        match s:
            case L.Loop():
                inner = list(spread(facts, s.body))
                if inner:
                    yield from inner
                elif (free := _shareable(facts, s)) is not None:
                    yield s, free
            case L.Forever() | L.Branch():
                for b in blocks(s):
                    yield from spread(facts, b)


def _shareable(facts: Facts, s: L.Loop) -> Freedom | None:
    if isinstance(s.size, int) and s.size < SMALL:
        return None
    if facts(s).kinds & {L.Gemm, L.Grow} or any(b.takes for b in facts(s).made):
        return None
    return freedom(facts, s)


def released(setup: Stmts) -> Stmts:
    """What gives back the memory that a loop's setup made."""
    return [L.Release(s.buffer) for s in setup if isinstance(s, L.Alloc) and s.buffer.home == "temp"]
