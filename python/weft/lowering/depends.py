"""Which loops have iterations that may run in any order and at the same time.

A test on affine indices: the iterations of a loop over ``v`` touch different elements of an array that they write, if
one axis is always indexed by the same expression in ``v`` and in nothing else that changes inside the loop. What only
adds to an array may meet in one place; such arrays are reported, for atomic operations or partial sums.
"""

from __future__ import annotations

from dataclasses import dataclass

from weft.ir.nodes import Var
from weft.ir.sizes import Dim, Size, map_size, size_vars
from weft.lowering import loops as L
from weft.lowering.visit import Access, Stmts, accesses, assigned, bound, made, walk


@dataclass(frozen=True, slots=True)
class Freedom:
    """Iterations are independent but for additions to the ``shared`` arrays."""

    shared: frozenset[L.Buffer]


def freedom(s: L.Loop, over: Var | None = None) -> Freedom | None:
    """Whether iterations of a loop, its declared reductions aside, are independent.

    Parameters
    ----------
    s
        The loop.
    over
        The variable of a loop inside ``s`` whose iterations are asked for instead, through all of ``s``: whether it
        may become the outermost loop.

    Returns
    -------
    Freedom or None
        None if they depend on each other, or it is not known.
    """
    v = over or s.var
    stmts: Stmts = [*s.setup, *s.body]
    inside = bound(stmts) | {s.var}
    totals = {a for x in walk([s]) if isinstance(x, L.Loop) for _, a in x.reductions}
    for x in walk(stmts):
        match x:
            case L.Output() | L.Repoint() | L.Routine():
                return None
            case L.Grow() if x.capacity not in inside:
                return None
        if not isinstance(x, L.Let | L.Loop) and any(a not in inside and a not in totals for a in assigned(x)):
            return None
    return _memory(stmts, v, inside)


def _memory(stmts: Stmts, v: Var, inside: set[Var]) -> Freedom | None:
    own = made(stmts)
    known = {
        x.var: x.expr.size
        for x in walk(stmts)
        if isinstance(x, L.Let) and not x.mutable and isinstance(x.expr, L.Index)
    }
    found: dict[L.Buffer, list[Access]] = {}
    for x in walk(stmts):
        for a in accesses(x):
            if a.buffer not in own:
                found.setdefault(a.buffer, []).append(a)
    shared = []
    for b, uses in found.items():
        if not any(a.writes for a in uses) or _apart(uses, v, inside, known):
            continue
        if not all(a.adds for a in uses):
            return None
        shared.append(b)
    return Freedom(frozenset(shared))


def _apart(uses: list[Access], v: Var, inside: set[Var], known: dict[Var, Size]) -> bool:
    """Whether one axis tells the iterations apart in every access."""
    first = uses[0]
    if not all(a.known and len(a.index) == len(first.index) and a.shape[1:] == first.shape[1:] for a in uses):
        return False
    exact = len(first.index) - max(a.whole for a in uses)
    for axis in range(exact):
        at = {_plain(a.index[axis], known) for a in uses}
        if len(at) > 1:
            continue
        (i,) = at
        if isinstance(i, Dim) and dict(i.terms).get(v) and not any(x in inside and x is not v for x in size_vars(i)):
            return True
    return False


def _plain(i: Size, known: dict[Var, Size]) -> Size:
    """An index with the variables that merely name other indices replaced by these."""
    for _ in range(4):
        if not any(v in known for v in size_vars(i)):
            break
        i = map_size(i, known.get)
    return i
