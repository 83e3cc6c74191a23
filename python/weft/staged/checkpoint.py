"""Loops that are checkpointed: blocks of iterations, each of which a derivative computes again.

A loop of n iterations becomes loops nested ``levels`` deep, each of about ``n ** (1 / levels)`` iterations. The body of
every level but the innermost is one call that is rematerialised: its derivative keeps only what the loop carries at the
beginning of a block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from weft.errors import StagingError
from weft.ir.builder import Builder
from weft.ir.nodes import Atom, Block, Lit, Loc, Renamer, Var, lit
from weft.ir.outline import call_types, outline
from weft.ir.rules import Remat
from weft.ir.sizes import Size, dim
from weft.ir.types import f64, i64, scalar
from weft.staged.active import staging
from weft.staged.arith import prim
from weft.staged.loops import Loopable, loopable


class Checkpointed(Loopable):
    """What a checkpointed loop runs over. Outside compiled code it iterates as ``part`` does."""

    def __init__(self, part: Any, levels: int) -> None:
        self.part = part
        self.levels = levels

    def _part(self) -> Loopable:
        found = loopable(self.part)
        if found is None:
            raise StagingError(
                f"weft.checkpoint of a {type(self.part).__name__}: only loops over ranges and arrays are checkpointed",
                remedy="loop over `weft.checkpoint(range(n))`",
            )
        return found

    def trip(self) -> Size:
        return self._part().trip()

    def item(self, k: Any) -> Any:
        return self._part().item(k)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.part)

    def __len__(self) -> int:
        return super().__len__() if staging() else len(self.part)

    def __repr__(self) -> str:
        return f"<weft.checkpoint of {self.part!r}>"


def blocked(
    b: Builder, trip: Size, inits: Sequence[Atom], body: Block, levels: int, loc: Loc | None
) -> tuple[Var, ...]:
    """Emit a loop as nested loops over blocks.

    Parameters
    ----------
    b
        Where to.
    trip, inits, body
        As of `For`; nothing is collected.
    levels
        How deep the loops are nested; 1 is a plain loop.
    loc
        The user's loop.
    """
    if isinstance(trip, int) and trip <= 2:
        levels = 1
    first = _Blocks(b, body, loc)
    return first.loop(trip, trip, lit(0), tuple(inits), levels)


class _Blocks:
    """Emits the loops; all of them carry what ``body`` does."""

    def __init__(self, b: Builder, body: Block, loc: Loc | None) -> None:
        self.b = b
        self.body = body
        self.loc = loc

    def loop(self, trip: Size, most: Size, start: Atom, carries: tuple[Atom, ...], levels: int) -> tuple[Var, ...]:
        """``trip`` iterations (never more than ``most``) from ``start`` on."""
        b = self.b
        if levels == 1:
            k, *params = self.body.params
            counter, fresh = Var(scalar(i64), k.name), tuple([Var(p.type, p.name) for p in params])
            with b.scope((counter, *fresh)) as inner:
                here = counter if isinstance(start, Lit) else prim("add")(start, counter)
                copy = Renamer(dict(zip(self.body.params, (here, *fresh), strict=True)))
                inner.stmts += [copy.stmt(s) for s in self.body.stmts]
                inner.results = copy.all(self.body.results)
            return b.for_(trip, carries, inner)
        size = self.block_size(most, levels)
        count = self.size(prim("floordiv")(b.atom(trip + size - 1), b.atom(size)))
        counter, fresh = Var(scalar(i64), "block"), tuple([Var(p.type, p.name) for p in self.body.params[1:]])
        with b.scope((counter, *fresh)) as outer:
            done = prim("mul")(counter, b.atom(size))
            here = done if isinstance(start, Lit) else prim("add")(start, done)
            left = prim("minimum")(b.atom(size), prim("sub")(b.atom(trip), done))
            outer.results = self.call(here, left, size, fresh, levels - 1)
        return b.for_(count, carries, outer)

    def call(self, start: Atom, trip: Atom, most: Size, carries: tuple[Var, ...], levels: int) -> tuple[Var, ...]:
        """One block of iterations, as a function."""
        b = self.b
        lo, n = Var(scalar(i64), "start"), Var(scalar(i64), "n")
        params = tuple([Var(p.type, p.name) for p in carries])
        with b.scope((lo, n, *params)) as block:
            block.results = self.loop(dim(n), most, lo, params, levels)
        func, captured = outline("block", block, self.loc)
        args = (start, trip, *carries, *captured)
        return b.call(func, args, call_types(func, args), Remat())

    def block_size(self, most: Size, levels: int) -> Size:
        """About ``most ** ((levels - 1) / levels)``, rounded up, and at least 1."""
        if isinstance(most, int):
            size = round(most ** ((levels - 1) / levels))
            while size**levels < most ** (levels - 1):
                size += 1
            return max(size, 1)
        power = lit((levels - 1) / levels, f64)
        root = prim("ceil")(prim("pow")(prim("cast")(self.b.atom(most), dtype=f64), power))
        return self.size(prim("maximum")(prim("cast")(root, dtype=i64), lit(1)))

    @staticmethod
    def size(a: Atom) -> Size:
        return int(a.value) if isinstance(a, Lit) else dim(a)
