"""How a device's threads may cover a nest: loops for the whole grid, loops for a team."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from weft.ir.nodes import Var
from weft.ir.sizes import Size, size_vars
from weft.lowering import loops as L
from weft.lowering import visit
from weft.lowering.depends import Freedom, freedom
from weft.lowering.values import loads
from weft.lowering.visit import Stmts

SMALL = 16  # iterations that are not worth sharing out among threads


def covering(s: L.Loop) -> tuple[list[tuple[Var, Size]], Stmts, frozenset[L.Buffer]] | None:
    """How a grid may cover a nest: the loops it covers, what one iteration does, and the arrays it adds to; None if
    iterations depend on each other."""
    if s.reductions:
        return None
    free = freedom(s)
    if free is None:
        return _turned(s)
    domain: list[tuple[Var, Size]] = [(s.var, s.size)]
    shared = free.shared
    lets: Stmts = []
    body: Stmts = [*s.setup, *s.body, *released(s.setup)]
    while (inner := _next_loop(body)) is not None:
        more, loop = inner
        if loop.reductions or loop.setup or set(size_vars(loop.size)) & _given(domain, lets, more):
            break
        free = freedom(loop)
        if free is None:
            break
        shared |= free.shared
        domain.append((loop.var, loop.size))
        lets += more
        body = loop.body
    return domain, [*lets, *body], shared


def _given(domain: list[tuple[Var, Size]], *lets: Stmts) -> set[Var]:
    return {v for v, _ in domain} | {x.var for some in lets for x in some}


def _turned(s: L.Loop) -> tuple[list[tuple[Var, Size]], Stmts, frozenset[L.Buffer]] | None:
    """A sequential loop around an independent one, turned inside out where that means the same."""
    found = _next_loop(s.body)
    if s.setup or found is None:
        return None
    lets, inner = found
    if (
        inner.reductions
        or inner.setup
        or s.var in set(size_vars(inner.size))
        or _given([], lets) & set(size_vars(inner.size))
    ):
        return None
    free = freedom(s, inner.var)
    if free is None or free.shared:
        return None
    domain = [(inner.var, inner.size)]
    body: Stmts = [*lets, *inner.body]
    while (deeper := _next_loop(body)) is not None:
        more, loop = deeper
        if loop.reductions or loop.setup or set(size_vars(loop.size)) & ({s.var} | _given(domain, lets, more)):
            break
        free = freedom(s, loop.var)
        if free is None or free.shared:
            break
        domain.append((loop.var, loop.size))
        body = [*body[:-1], *loop.body]
    return domain, [L.Loop(s.var, s.size, body, reverse=s.reverse, loc=s.loc)], frozenset()


def _next_loop(body: Stmts) -> tuple[Stmts, L.Loop] | None:
    """The loop at the end of a body, if all before it are names for pure expressions."""
    if not body or not isinstance(body[-1], L.Loop):
        return None
    lets = body[:-1]
    loop = body[-1]
    if not all(isinstance(x, L.Let) and not x.mutable and x.expr is not None for x in lets):
        return None
    written = {a.buffer for x in visit.walk([loop]) for a in visit.accesses(x) if a.writes}
    if any(y.place.buffer in written for x in lets for y in loads(x.expr)):
        return None
    return lets, loop


def spread(body: Stmts) -> Iterator[tuple[L.Loop, Freedom]]:
    """The loops that a team's threads may share out: the innermost wide ones."""
    for s in body:
        match s:
            case L.Loop():
                inner = list(spread(s.body))
                if inner:
                    yield from inner
                elif (free := _shareable(s)) is not None:
                    yield s, free
            case L.Forever() | L.Branch():
                for b in visit.blocks(s):
                    yield from spread(b)


def _shareable(s: L.Loop) -> Freedom | None:
    if isinstance(s.size, int) and s.size < SMALL:
        return None
    if any(isinstance(x, L.Gemm) or allocates(x) for x in visit.walk([s])):
        return None
    return freedom(s)


def released(setup: Stmts) -> Stmts:
    return [L.Release(s.buffer) for s in setup if isinstance(s, L.Alloc) and s.buffer.home == "temp"]


def allocates(s: Any) -> bool:
    return isinstance(s, L.Grow) or (isinstance(s, L.Alloc) and s.buffer.home != "local")
