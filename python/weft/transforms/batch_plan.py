"""What lifting a loop over lanes will do: which variables are batched, and which statements stay per lane."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from weft.errors import StagingError
from weft.ir.nodes import (
    Atom,
    Block,
    Call,
    For,
    Function,
    If,
    Map,
    Op,
    Stmt,
    Var,
    While,
    free_vars,
    sub_blocks,
    vars_in_static,
    walk,
)  # fmt: skip
from weft.ir.primitive import Collective, Primitive


@dataclass(frozen=True)
class Region:
    """Statements of a block, among ``start..end`` (inclusive), that one loop over lanes will run; ``needed`` of their
    results are used after them. The others in that range do not depend on them and come before."""

    start: int
    end: int
    inside: tuple[Stmt, ...]
    needed: tuple[Var, ...]


CallFlags = Callable[[Call, tuple[bool, ...]], tuple[bool, ...]]


class Plan:
    """The batched variables of a function and the regions of its blocks, as a least fixpoint.

    A statement is *bound to its lane* when it cannot be lifted: a ``while`` whose condition depends on the lane, an
    ``if`` on a batched predicate (never a select, whose derivative would leak NaN from the arm not taken), sizes that
    are lane values, effects, primitives without a batching rule. A loop around such a statement is bound to its lane
    too, so that each lane runs its own loop. Everything batched grows only, which makes the iteration end.

    Communication over the mapped axis (``axis`` is its name) is never bound to a lane: all lanes take part in it.

    ``apart``: nothing is lifted, each lane is a device that runs the whole function. What matters then is which values
    differ between devices, and that these do not decide whether devices meet.
    """

    def __init__(
        self, f: Function, batched: Iterable[Var], call_flags: CallFlags, axis: str | None = None, apart: bool = False
    ) -> None:
        self.batched: set[Var] = set(batched)
        self._axis = axis
        self._apart = apart
        self._meets: dict[Stmt, bool] = {}
        self.bound: set[Stmt] = set()
        self.regions: dict[Block, tuple[Region, ...]] = {}
        self._call_flags = call_flags
        self._uses: dict[Block, dict[Var, int]] = {}
        self._free: dict[Stmt, list[Var]] = {}
        before = (-1, -1)
        while before != (now := (len(self.batched), len(self.bound))):
            before = now
            self._block(f.body)

    # -- questions -------------------------------------------------------------------------------------------------

    def is_batched(self, a: Atom) -> bool:
        """Whether an atom differs between lanes."""
        return isinstance(a, Var) and a in self.batched

    def ragged(self, static: Any) -> bool:
        """Whether a static value (a type, attributes, sizes) names a lane's value."""
        return any(v in self.batched for v in vars_in_static(static))

    def touched(self, s: Stmt) -> bool:
        """Whether a statement reads or yields anything batched, or the lanes communicate in it."""
        batched = any(v in self.batched for v in s.outs) or any(v in self.batched for v in self.free(s))
        return batched or self.meets(s)

    def meets(self, s: Stmt) -> bool:
        """Whether lanes communicate over the mapped axis in a statement."""
        if self._axis is None:
            return False
        found = self._meets.get(s)
        if found is None:
            inner = [b for b in sub_blocks(s)] if not isinstance(s, Call) else [s.func.body]
            found = self.is_meeting(s) or any([self.meets(t) for b in inner for t in b.stmts])
            self._meets[s] = found
        return found

    def is_meeting(self, s: Stmt) -> bool:
        """Whether a statement is an operation by which lanes communicate over the mapped axis."""
        return isinstance(s, Op) and isinstance(s.prim.kind, Collective) and s.attrs["axis"] == self._axis

    def free(self, s: Stmt) -> list[Var]:
        """The free variables of a statement."""
        found = self._free.get(s)
        if found is None:
            found = self._free[s] = free_vars(s)
        return found

    # -- propagation -----------------------------------------------------------------------------------------------

    def _mark(self, vs: Iterable[Var]) -> None:
        self.batched.update(vs)

    def _mark_like(self, targets: Sequence[Var], sources: Sequence[Atom]) -> None:
        self._mark(t for t, a in zip(targets, sources, strict=True) if self.is_batched(a))

    def _block(self, b: Block) -> None:
        for s in b.stmts:
            self._stmt(s)
        if not self._apart:
            self.regions[b] = self._find_regions(b)

    def _stmt(self, s: Stmt) -> None:
        bound = any(self.ragged(o.type) for o in s.outs)
        match s:
            case Op(prim=Primitive(kind=Collective(varies=varies))) if self.is_meeting(s):
                if varies(s.attrs):
                    self._mark(s.outs)
            case Op():
                stat = self.ragged(tuple(s.attrs.values()))
                if stat or bound or any(map(self.is_batched, s.args)):
                    self._mark(s.outs)
                    bound |= stat or s.prim.batch is None or s.prim.dependent_results > 0 or s.prim.effect == "io"
                    bound &= not self._apart
            case For():
                n = len(s.inits)
                carries = s.body.params[1:]
                self._mark_like(carries, s.inits)
                self._block(s.body)
                self._mark_like(carries, s.body.results[:n])
                self._mark_like(s.outs, (*carries, *s.body.results[n:]))
                bound |= self.ragged(s.trip) or self._binds(s.body)
            case While():
                n = len(s.inits)
                self._mark_like(s.body.params, s.inits)
                self._mark_like(s.cond.params, s.body.params)
                self._block(s.cond)
                self._block(s.body)
                self._mark_like(s.body.params, s.body.results[:n])
                self._mark_like(s.outs[:n], s.body.params)
                self._mark_like(s.outs[n + 1 :], s.body.results[n:])
                bound |= self.is_batched(s.cond.results[0]) or self._binds(s.cond) or self._binds(s.body)
            case If():
                bound |= self.is_batched(s.pred)
                for b in sub_blocks(s):
                    self._block(b)
                    self._mark_like(s.outs, b.results)
            case Map():
                self.alone(s)  # its iterations have no order, so nobody can wait in them
                # all results of a map share its index space, and with it the lane
                if any(v in self.batched for v in self.free(s)):
                    self._mark(s.outs)
                bound |= self.ragged(s.sizes)
            case Call():
                flags = tuple(map(self.is_batched, s.args))
                if any(flags) and not bound:
                    fixed = size_params(s.func)
                    bound |= any(flag and p in fixed for p, flag in zip(s.func.params, flags, strict=True))
                if (any(flags) or self.meets(s)) and not bound:
                    found = self._call_flags(s, flags)
                    self._mark(o for o, flag in zip(s.outs, found, strict=True) if flag)
            case _:
                raise TypeError(f"not a statement: {s!r}")
        if bound:
            self.alone(s)
            self.bound.add(s)
            self._mark(s.outs)

    def alone(self, s: Stmt) -> None:
        """Refuse a statement that each lane is to run by itself, if lanes communicate in it."""
        for t in walk_calls(s):
            if isinstance(t, Op) and self.is_meeting(t):
                raise StagingError(
                    f"{t.prim.name} over axis {self._axis!r} inside a loop or branch that each lane runs by itself (its"
                    " condition differs between lanes), so the lanes cannot meet there",
                    remedy="communicate before or after it, or make its condition the same for all lanes",
                    loc=t.loc,
                )

    def _binds(self, b: Block) -> bool:
        """Whether a block holds a statement that binds the loop around it to its lane."""
        return not self._apart and any(
            s in self.bound or (isinstance(s, If) and any(map(self._binds, sub_blocks(s)))) for s in b.stmts
        )

    # -- regions ---------------------------------------------------------------------------------------------------

    def _find_regions(self, b: Block) -> tuple[Region, ...]:
        stmts = b.stmts
        spans: list[list[int]] = []
        for i, s in enumerate(stmts):
            if s in self.bound:
                if spans and (i <= spans[-1][1] or self._joins(stmts[spans[-1][1] + 1 : i])):
                    spans[-1][1] = max(spans[-1][1], i)
                else:
                    spans.append([i, i])
                spans[-1][1] = max(spans[-1][1], self._reach(b, i, s))
        if not spans:
            return ()
        uses = self._last_uses(b)
        regions: list[Region] = []
        for start, end in spans:
            first = regions[-1].end + 1 if regions else 0
            start = self._grow_back(stmts, first, start, end)
            end = self._grow_on(stmts, start, end, stop=min([t[0] for t in spans if t[0] > end], default=len(stmts)))
            inside = self._inside(stmts[start : end + 1])
            for s in inside:
                self.alone(s)
            for s in inside:  # a loop within reach of a lane's shape: all its results come from the lane
                self._mark(s.outs)
            needed = [o for s in inside for o in s.outs if uses.get(o, -1) > end]
            regions.append(Region(start, end, inside, tuple(needed)))
        return tuple(regions)

    def _inside(self, stmts: Sequence[Stmt]) -> tuple[Stmt, ...]:
        """What of a range of statements belongs to the lane: what is bound to it, what depends on that, and scalars."""
        made: set[Var] = set()
        inside = []
        for s in stmts:
            if self.touched(s) and (s in self.bound or self._cheap(s) or not made.isdisjoint(self.free(s))):
                inside.append(s)
                made.update(s.outs)
        return tuple(inside)

    def _reach(self, b: Block, i: int, s: Stmt) -> int:
        """The last statement that uses a lane-shaped result of statement ``i``."""
        uses = self._last_uses(b)
        shaped = [uses.get(o, i) for o in s.outs if self.ragged(o.type)]
        return min(max([i, *shaped]), len(b.stmts) - 1)

    def _last_uses(self, b: Block) -> dict[Var, int]:
        found = self._uses.get(b)
        if found is None:
            found = self._uses[b] = {}
            for i, s in enumerate(b.stmts):
                for v in self.free(s):
                    found[v] = i
            for a in b.results:
                if isinstance(a, Var):
                    found[a] = len(b.stmts)
        return found

    def _cheap(self, s: Stmt) -> bool:
        """Whether a batched statement is scalar work of a lane, as well done within the lane. Communication is not,
        over whatever axis: where lanes of this one run by themselves, those of another could not meet."""
        return (
            isinstance(s, Op) and s.prim.effect != "io" and not isinstance(s.prim.kind, Collective)
            and all(not o.type.shape for o in s.outs)
        )  # fmt: skip

    def _joins(self, gap: Sequence[Stmt]) -> bool:
        return all(self._cheap(s) if self.touched(s) else not performs_io(s) for s in gap)

    def _grow_back(self, stmts: Sequence[Stmt], first: int, start: int, end: int) -> int:
        """Take in the scalar producers directly before a region, so that no array of them is stored."""
        wanted = {v for s in stmts[start : end + 1] for v in self.free(s)}
        for i in range(start - 1, first - 1, -1):
            s = stmts[i]
            if not self.touched(s) and not performs_io(s):
                continue
            if not (s.outs and self.touched(s) and self._cheap(s) and wanted.intersection(s.outs)):
                break
            wanted.update(self.free(s))
            start = i
        return start

    def _grow_on(self, stmts: Sequence[Stmt], start: int, end: int, stop: int) -> int:
        """Take in the scalar consumers directly after a region."""
        made = {o for s in stmts[start : end + 1] for o in s.outs}
        for i in range(end + 1, stop):
            s = stmts[i]
            if not self.touched(s) and not performs_io(s):
                continue
            if not (s.outs and self.touched(s) and self._cheap(s) and made.intersection(self.free(s))):
                break
            made.update(s.outs)
            end = i
        return end


def size_params(f: Function) -> set[Var]:
    """The parameters of a function that sizes inside it name: a lane's own number cannot be one of them."""
    found = {v for p in f.params for v in vars_in_static(p.type)}
    for s in walk(f.body):
        static = s.attrs.values() if isinstance(s, Op) else (s.trip,) if isinstance(s, For) else ()
        sizes = s.sizes if isinstance(s, Map) else ()
        found.update(vars_in_static((*static, *sizes, *[o.type for o in s.outs])))
        if isinstance(s, Call):
            inner = size_params(s.func)
            found.update([a for a, p in zip(s.args, s.func.params, strict=True) if p in inner and isinstance(a, Var)])
    return found.intersection(f.params)


def walk_calls(s: Stmt) -> Iterator[Stmt]:
    """A statement and all those inside it, also inside the functions it calls."""
    yield s
    for b in sub_blocks(s) if not isinstance(s, Call) else [s.func.body]:
        for t in b.stmts:
            yield from walk_calls(t)


def performs_io(s: Stmt) -> bool:
    """Whether running a statement may print."""
    if isinstance(s, Op):
        return s.prim.effect == "io"
    if isinstance(s, Call):
        return any(performs_io(t) for t in s.func.body.stmts)
    return any(performs_io(t) for b in sub_blocks(s) for t in b.stmts)


__all__ = ["Plan", "Region", "performs_io", "size_params"]
