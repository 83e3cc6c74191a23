"""Which loops have iterations that may run in any order and at the same time.

A test on affine indices: the iterations of a loop over ``v`` touch different elements of an array that they write, if
one axis is always indexed by the same expression in ``v`` and in nothing else that changes inside the loop. What only
adds to an array may meet in one place; such arrays are reported, for atomic operations or partial sums.
"""

from __future__ import annotations

from dataclasses import dataclass

from weft.ir.nodes import Var
from weft.ir.sizes import Dim, Size, map_size
from weft.lowering import loops as L
from weft.lowering.visit import Access, Facts


@dataclass(frozen=True, slots=True)
class Freedom:
    """Iterations are independent but for additions to the ``shared`` arrays."""

    shared: frozenset[L.Buffer]


def freedom(facts: Facts, s: L.Loop, over: Var | None = None) -> Freedom | None:
    """Whether iterations of a loop, its declared reductions aside, are independent.

    Parameters
    ----------
    facts
        Summaries of the statements.
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
    all_ = facts(s)
    if all_.kinds & {L.Output, L.Repoint, L.Routine} or all_.given - all_.bound - all_.sums:
        return None
    v = over or s.var
    found: dict[L.Buffer, list[Access]] = {}
    for a in all_.accesses:
        if a.buffer not in all_.made:
            found.setdefault(a.buffer, []).append(a)
    shared = []
    for b, uses in found.items():
        if not any([a.writes for a in uses]) or tells_apart(uses, v, all_.bound, all_.names):
            continue
        if not all([a.adds for a in uses]):
            return None
        shared.append(b)
    return Freedom(frozenset(shared))


def tells_apart(uses: list[Access], v: Var, inside: set[Var], names: dict[Var, Size]) -> bool:
    """Whether one axis tells the iterations of the loop over ``v`` apart in every access.

    Parameters
    ----------
    uses
        All accesses to one array.
    v
        The loop's variable.
    inside, names
        The variables that begin to live in the loop, and those that merely name indices.
    """
    first = uses[0]
    rank, sizes = len(first.index), first.shape[1:]
    if not all([a.known and len(a.index) == rank and a.shape[1:] == sizes for a in uses]):
        return False
    for axis in range(rank - max([a.whole for a in uses])):
        i = _plain(first.index[axis], names)
        if not isinstance(i, Dim) or not any([x is v for x, _ in i.terms]):
            continue
        if any([x in inside and x is not v for x, _ in i.terms]):
            continue
        if all([_plain(a.index[axis], names) == i for a in uses]):
            return True
    return False


def _plain(i: Size, names: dict[Var, Size]) -> Size:
    """An index with the variables that merely name other indices replaced by these."""
    for _ in range(4):
        if isinstance(i, int) or not any([v in names for v, _ in i.terms]):
            break
        i = map_size(i, names.get)
    return i
