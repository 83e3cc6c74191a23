"""What a compiled program assumes of its sizes, so that index checks go: ``i < y.size`` in a loop over ``x.size``.

A program that indexes one array by the size of another needs a check at every access, and what has checks is neither
vectorised nor run by several threads. If the sizes of the call at hand are such that no check can fail, the program is
compiled without, under a guard; a call for which that is not so gets a program with checks. What is assumed is a
comparison of sizes and integer arguments that Python code itself would have relied on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weft.ir.nodes import Var
from weft.ir.sizes import Dim, Size, eval_size

if TYPE_CHECKING:
    from weft.frontend.stage import Program

MOST = 12  # guards of this kind; they are checked at every call


def assume(program: Program) -> None:
    """Settle a staged program's index checks where this call's sizes say that they cannot fail."""
    from weft.transforms.pipeline import optimise
    from weft.transforms.simplify import unsettled

    slots = _slots(program)
    numbers = _table(program)
    facts: list[Size] = []
    for _ in range(3):  # what one fact settles may leave another check alone
        new = [e for e in unsettled(program.function, facts) if _holds(e, slots, numbers)]
        new = [e for e in new if e not in facts][: MOST - len(facts)]
        if not new:
            break
        facts += new
    if not facts:
        return
    for e in facts:
        assert isinstance(e, Dim)
        terms = [(slots[v], c) for v, c in e.terms]
        program.guards.append((">=", e.const, terms, "indices stay within their arrays"))
        program.places.append(None)
    program.function = optimise(program.function, facts)


def _slots(program: Program) -> dict[Var, int]:
    """Where sizes and integer arguments stand in the runtime's table: all sizes, then the integers."""
    params = program.function.params
    starts, n = [], 0
    for p in params:
        starts.append(n)
        n += p.type.rank
    slots = {v: starts[k] + axis for v, k, axis in program.function.sizes}
    for p, leaf in zip(params, program.leaves, strict=True):
        if leaf.flavour == "py" and leaf.dtype == "i":
            slots[p] = n
            n += 1
    return slots


def _table(program: Program) -> list[int]:
    """The table for the call that was staged."""
    sizes = [n for leaf in program.leaves for n in leaf.shape]
    return sizes + [leaf.value for leaf in program.leaves if leaf.flavour == "py" and leaf.dtype == "i"]


def _holds(e: Size, slots: dict[Var, int], numbers: list[int]) -> bool:
    if not isinstance(e, Dim) or any(v not in slots for v, _ in e.terms):
        return False
    return eval_size(e, {v: numbers[slots[v]] for v, _ in e.terms}) >= 0
