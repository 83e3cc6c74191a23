"""Loops that the program wrote in sequence although their iterations are independent: threads may share them out.

Array expressions are marked when their nests are made; this marks the loops around and between them, and those that the
user wrote. A loop in which something can fail stays sequential: Python says which iteration fails first.
"""

from __future__ import annotations

from weft.ir.nodes import Var
from weft.ir.primitive import Elementwise
from weft.ir.sizes import Size, size_vars
from weft.lowering import loops as L
from weft.lowering.depends import freedom
from weft.lowering.values import walk_expr
from weft.lowering.visit import Facts, Stmts, blocks, exprs, walk

_NOT_SHARED = {L.Fail, L.HostCall, L.Output, L.Repoint, L.Routine}


def raised(facts: Facts, stmts: Stmts) -> None:
    """Mark the independent loops among statements; changed as they stand."""
    _mark(facts, stmts, 0)


def _mark(facts: Facts, stmts: Stmts, depth: int, shared: bool = False) -> None:
    for s in stmts:
        match s:
            case L.Loop() if s.parallel:
                _set_up(s, facts(s).bound)
            case L.Loop() if s.vector:
                pass
            case L.Loop():
                nested = any(isinstance(x, L.Loop | L.Forever) for x in s.body)
                if not shared and (depth == 0 or nested) and _independent(facts, s):
                    s.parallel, s.reverse, (s.cost, s.inner) = True, False, _work(s, facts(s).bound)
                    s.vector = not nested and not facts(s).made
                    _set_up(s, facts(s).bound)
                    _mark(facts, s.body, depth + 1, True)
                    continue
                if not nested and not facts(s).made and _independent(facts, s):
                    s.vector, s.reverse = True, False
                _mark(facts, s.body, depth + 1, shared)
            case L.Forever() | L.Branch():
                inside = depth + 1 if isinstance(s, L.Forever) else depth
                for b in blocks(s):
                    _mark(facts, b, inside, shared)


def _independent(facts: Facts, s: L.Loop) -> bool:
    all_ = facts(s)
    if s.reductions or s.extrema or all_.kinds & _NOT_SHARED or all_.needs_host:
        return False
    if all(not a.writes or a.buffer in all_.made for a in all_.accesses):
        return False
    free = freedom(facts, s)
    return free is not None and not free.shared


def _set_up(s: L.Loop, inside: set[Var]) -> None:
    """Let a chunk of a loop make the memory that each iteration made for itself."""
    counts = {x.capacity for x in walk(s.body) if isinstance(x, L.Grow)}
    starts = [x for x in s.body if isinstance(x, L.Let) and x.var in counts and isinstance(x.expr, L.Index)]
    varying = inside - {x.var for x in starts}
    made = [
        x for x in s.body if isinstance(x, L.Alloc) and x.buffer.takes
        and varying.isdisjoint(v for n in x.buffer.shape for v in size_vars(n))
    ]  # fmt: skip
    moved = {x.buffer for x in made}
    s.setup = [*s.setup, *starts, *made]
    s.body = [
        x for x in s.body
        if x not in starts and x not in made and not (isinstance(x, L.Release) and x.buffer in moved)
    ]  # fmt: skip


def _work(s: L.Loop, inside: set[Var]) -> tuple[int, tuple[Size, ...]]:
    """What an iteration costs: a number of additions, times the sizes of the nest inside it that are known before."""
    inner: list[Size] = []
    body: Stmts = s.body
    while len(found := [x for x in body if isinstance(x, L.Loop)]) == 1 and inside.isdisjoint(size_vars(found[0].size)):
        inner.append(found[0].size)
        body = found[0].body
    return max(1, _cost(body)), tuple(inner)


def _cost(stmts: Stmts) -> int:
    total = 0
    for s in stmts:
        for e in exprs(s):
            for x in walk_expr(e):
                kind = x.prim.kind if isinstance(x, L.Apply) else None
                total += kind.cost if isinstance(kind, Elementwise) else 1
        inside = sum(_cost(b) for b in blocks(s))
        total += 16 * inside if isinstance(s, L.Loop | L.Forever) else inside
    return total
