"""Loops: what a body changes and somebody still reads is carried; the body is staged until nothing new is learnt.

A variable is carried if liveness says that its value may be read in a later iteration or after the loop; the others
have no value after it. Arrays written in place, lists, dicts and attributes are carried wherever they are changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from weft.errors import StagingError
from weft.frontend import expressions
from weft.frontend.canonical import PREFIX, assigned
from weft.frontend.frame import UNDEFINED, Frame, Maybe, State, Undefined, VarLoc
from weft.frontend.identity import (
    Merged,
    Visible,
    entangle,
    forbid,
    freeze,
    ids,
    rows,
    same_object,
    settle,
    visible,
)  # fmt: skip
from weft.frontend.merge import (
    RAISED,
    Content,
    Thunk,
    bound,
    existed,
    mark_now,
    nothing,
    restore,
    running,
    snapshot,
    truth,
    undef,
)  # fmt: skip
from weft.frontend.trees import Mismatch, Tree, fit, join, leaf_types
from weft.ir.nodes import Atom, Var, lit
from weft.ir.sizes import Size, vars_of_type
from weft.ir.types import ArrayType, bool_, i64, scalar
from weft.staged import arith
from weft.staged.arith import prim
from weft.staged.checkpoint import blocked
from weft.staged.context import Location
from weft.staged.value import Cell, Staged, lift, size_object, wrap

Slot = tuple[Location, int]  # a leaf of a carried location


class StructureChanges(StagingError):
    """What a loop carries changes structure from one iteration to the next: such a loop can only be unrolled."""


class ConditionChanges(Exception):
    """A loop's condition changes variables: it must be evaluated as the last part of the body."""


class Carries:
    """The locations a loop carries, with the joined structure of each."""

    def __init__(self, s: State, frame: Frame, node: Any, body: list[Any]) -> None:
        self.s = s
        self.frame = frame
        self.node = node
        self.mark = mark_now()
        self.trees: dict[Location, Tree] = {}
        self.entry: dict[Location, Content] = {}
        self.given: dict[Location, Staged | None] = {}  # carried, but maybe without a value yet: whether there is one
        self.poisoned: dict[Location, str] = {}  # had a value before the loop that cannot be told; why
        self.lost: dict[Location, str] = {}  # have no value that could be carried; why
        self.dead: set[Location] = set()  # changed, and read by nobody
        self.now: dict[Location, Merged] = {}  # what the iteration being staged started with
        self.may_be: dict[Slot, set[Cell]] = {}  # older arrays that a carried one may be in later iterations
        self.tangled: set[frozenset[Slot]] = set()  # carried arrays that may be one another
        self.shared: set[Slot] = set()  # carried containers that others may see
        self.rebound: set[Slot] = set()  # arrays inside carried containers that are not always the same ones
        self.pending: list[Location] = []
        self.vary: Any = None
        self.live = getattr(node, "weft_head", None)
        names, written, augmented = assigned(body)
        arrays = {n for n in augmented if isinstance(v := frame.locals.get(n), Staged) and v.cell is not None}
        names, written = names | (augmented - arrays), written | arrays
        for name in sorted(names):
            if name in frame.parsed.local and name in frame.locals and self.is_live(VarLoc(frame, name)):
                self.add(VarLoc(frame, name))
        for name in sorted(written - names):
            v = frame.locals.get(name)
            if isinstance(v, Staged) and v.cell is not None:
                self.add(v.cell)

    def is_live(self, loc: Location) -> bool:
        """Whether a variable may be read by a later iteration or after the loop."""
        if not isinstance(loc, VarLoc) or loc.frame is not self.frame or self.live is None:
            return True
        return loc.name in self.live or loc.name.startswith((f"{PREFIX}at", f"{PREFIX}go"))

    def add(self, loc: Location) -> None:
        """Carry a location from now on."""
        if loc in self.trees:
            return
        raw = loc.get()
        if isinstance(raw, Undefined):
            return
        if isinstance(raw, Maybe):
            self.given[loc] = raw.defined
            raw = raw.value
        content = self.entry[loc] = snapshot(loc, raw, self.s)
        if content.missing:
            self.given.pop(loc, None)
            self.poisoned[loc] = content.missing.why
            return
        self.trees[loc] = content.tree

    def types(self) -> list[ArrayType]:
        """The types of all carried leaves."""
        return [leaf.type for tree in self.trees.values() for leaf in leaf_types(tree)]

    def params(self) -> list[Var]:
        """Fresh parameters for the carried leaves, named after what they carry."""
        out: list[Var] = []
        for loc, tree in self.trees.items():
            hint = loc.name if isinstance(loc, VarLoc | Cell) else ""
            out += [Var(leaf.type, hint.lstrip(PREFIX)) for leaf in leaf_types(tree)]
        return out

    # -- what varies between devices -------------------------------------------------------------------------------

    def begin(self, params: Sequence[Var]) -> None:
        """Take parameters for the carries, inside `shard_map`: of what they start as."""
        if self.s.varying is None:
            return
        starts: list[Any] = []
        names: list[Slot] = []
        for loc, tree in self.trees.items():
            content, n = self.entry[loc], len(leaf_types(tree))
            starts += [None] * n if content.missing or len(content.atoms) != n else content.atoms
            names += [(loc, k) for k in range(n)]
        if self.vary is None:
            self.vary = self.s.varying.loop()
        self.vary.begin(names, params, starts)

    def varies(self, results: Sequence[Atom]) -> bool:
        """Whether the body must be staged once more, as carries become other than they start."""
        return self.vary is not None and self.vary.again(results)

    # -- an iteration ----------------------------------------------------------------------------------------------

    def enter(self, params: Sequence[Var], later: Callable[[], Staged] | None = None) -> None:
        """Put parameters where the carried locations are; ``later()`` tells whether this is not the first iteration."""
        self.kept = {}
        self.now = self._put(params)
        for loc, given in self.given.items():
            if loc not in self.trees or not isinstance(loc, VarLoc) or loc.name.startswith(PREFIX):
                continue
            if loc in self.poisoned:
                loc.set(Undefined(self.poisoned[loc]))
                continue
            if later is None:
                loc.set(Undefined("it may not have a value yet in the loop's first iteration"))
                continue
            flag = later()
            loc.set(Maybe(loc.get(), flag if given is None else arith.bitor(flag, given)))
        for loc, why in self.lost.items():
            self.s.touch(loc)
            loc.set(Undefined(why))
        self._identify(self.now)

    def _put(self, atoms: Sequence[Atom]) -> dict[Location, Merged]:
        rest = list(atoms)
        out: dict[Location, Merged] = {}
        for loc, tree in self.trees.items():
            n = len(leaf_types(tree))
            mine, rest = rest[:n], rest[n:]
            out[loc] = restore(loc, tree, mine, self.s)
        return out

    def _identify(self, now: dict[Location, Merged]) -> None:
        """Arrays and containers that an iteration starts with: the same objects as at first, or others."""
        self.kept = {}
        for slot, new, first in self._slots(now):
            if self.trees[slot[0]].kind != "leaf" and slot not in self.rebound and ids(first):
                new.cell, new.views = first.cell, first.views
                self.kept[slot] = first
        seen = visible(self.s)
        slots = self._slots(now)
        for i, (slot, new, first) in enumerate(slots):
            for other, new2, first2 in slots[:i]:
                assert new.cell is not None and new2.cell is not None
                if frozenset({slot, other}) in self.tangled:
                    entangle(new.cell, new2.cell)
                elif first is not None and first2 is not None and same_object(first, first2):
                    new.cell = new2.cell
                elif set(ids(first)) & set(ids(first2)):
                    entangle(new.cell, new2.cell)
        for slot, new, first in slots:
            assert new.cell is not None
            older = [*ids(first), *self.may_be.get(slot, ())]
            if any(c in seen.cells for c in older) and not new.cell.readonly:
                new.cell.readonly = (
                    f"a write to an array through {slot[0].label}, which the loop binds to other arrays while the first"
                    " one can still be seen (by the caller, or under another name)"
                )
            forbid(new.cell, older, seen, slot[0].label)
        for loc, m in now.items():
            m.sides = [(self.entry[loc].leaves, self.entry[loc].boxes)]
        freeze(rows(now.values(), 1), seen, self.s)
        for loc, i in self.shared:
            box = now[loc].boxes[i]
            self.s.frozen[id(box)] = (box, f"a change to a {type(box).__name__} that others may see ({loc.label})")

    def _slots(self, now: dict[Location, Merged]) -> list[tuple[Slot, Staged, Any]]:
        out = []
        for loc, m in now.items():
            first = self.entry[loc].leaves
            for i, v in enumerate(m.leaves):
                if isinstance(v, Staged) and v.cell is not None and (loc, i) not in self.kept:
                    out.append(((loc, i), v, first[i] if i < len(first) else None))
        return out

    kept: dict[Slot, Any]

    # -- what an iteration did -------------------------------------------------------------------------------------

    def learn(self, raw: dict[Location, Any]) -> tuple[bool, dict[Location, Content]]:
        """Look at what the body changed; True if it must be staged again."""
        again = False
        contents: dict[Location, Content] = {}
        for loc, value in raw.items():
            if loc not in self.trees and loc not in self.lost and existed(loc, self.mark, self.s):
                again = self._discovered(loc, value) or again
        for loc, tree in list(self.trees.items()):
            if loc not in raw and loc not in self.now:
                continue  # discovered in this attempt
            content = contents[loc] = snapshot(loc, raw.get(loc, loc.get()), self.s)
            if content.missing:
                again = self._missing(loc, tree, content, contents) or again
                continue
            try:
                joined = join(tree, content.tree, self.s)
            except Mismatch as e:
                raise self._changes(loc, f"{e} (before an iteration, and after it)") from None
            if joined != tree:
                self.trees[loc] = joined
                again = True
        if not again:
            again = self._identities(contents)
        return again, contents

    def _changes(self, loc: Location, how: str) -> StructureChanges:
        return StructureChanges(
            f"{loc.label} is carried by the loop with types that do not join: {how}",
            remedy="start it with a value of the structure, rank and sizes that the loop gives it",
            loc=self.frame.parsed.loc(self.node),
        )

    def _missing(self, loc: Location, tree: Tree, content: Content, contents: dict[Location, Content]) -> bool:
        """A carried variable that has no certain value when an iteration ends."""
        if isinstance(loc, VarLoc) and loc.name.startswith(PREFIX):
            contents[loc] = Content(tree, [undef(x.type) for x in leaf_types(tree)], [])
            return False
        assert content.missing is not None
        if loc not in self.given:
            raise self._changes(loc, content.missing.why or "it is deleted")
        del self.trees[loc]
        self.lost[loc] = content.missing.why or "a loop that may not run assigns it"
        return True

    def _discovered(self, loc: Location, value: Any) -> bool:
        before = self.s.trackers[-1].before.get(loc)
        if not self.is_live(loc):
            self.dead.add(loc)
            return False
        if isinstance(before, Undefined) and before.why:
            self.poisoned.setdefault(loc, before.why)
        if not isinstance(before, Undefined) and loc not in self.poisoned:
            self.pending.append(loc)
            return True
        if isinstance(value, Undefined | Maybe):
            self.lost[loc] = (value.why if isinstance(value, Undefined) else "") or "a loop that may not run assigns it"
            return False
        content = snapshot(loc, value, self.s)
        inner = bound(self.s.builder.block)
        if content.missing or any(v in inner for leaf in leaf_types(content.tree) for v in vars_of_type(leaf.type)):
            self.lost[loc] = content.missing.why if content.missing else "its size is computed inside a loop"
            return False
        self.given[loc] = None
        self.trees[loc] = content.tree
        self.entry[loc] = nothing()
        return True

    def _identities(self, contents: dict[Location, Content]) -> bool:
        """Look at which arrays an iteration ends with; True if the next one would start with other identities."""
        again = False
        for slot, first in self.kept.items():
            if slot[0] in contents and not same_object(first, contents[slot[0]].leaves[slot[1]]):
                self.rebound.add(slot)
                again = True
        carried = {v.cell: slot for slot, v, _ in reversed(self._slots(self.now))}
        ends = [
            ((loc, i), v)
            for loc, c in contents.items()
            for i, v in enumerate(c.leaves)
            if isinstance(v, Staged) and v.cell is not None and (loc, i) not in self.kept
        ]
        starts = {slot: v for slot, v, _ in self._slots(self.now)}
        for n, (slot, v) in enumerate(ends):
            for other, w in ends[:n]:
                one = slot in starts and other in starts and starts[slot].cell is starts[other].cell
                if (one and not same_object(v, w)) or (not one and set(ids(v)) & set(ids(w))):
                    if frozenset({slot, other}) not in self.tangled:
                        self.tangled.add(frozenset({slot, other}))
                        again = True
            known = self.may_be.setdefault(slot, set())
            found: set[Cell] = set()
            for c in ids(v):
                if c.id < self.mark:
                    found.add(c)
                elif c in carried:
                    found |= self.may_be.get(carried[c], set())
                    found |= set(self._first(carried[c]))
            if not found <= known | set(self._first(slot)):
                known |= found
                again = True
        return self._shared_boxes(contents) or again

    def _first(self, slot: Slot) -> tuple[Cell, ...]:
        leaves = self.entry[slot[0]].leaves
        return ids(leaves[slot[1]]) if slot[1] < len(leaves) else ()

    def _shared_boxes(self, contents: dict[Location, Content]) -> bool:
        seen: Visible | None = None
        found: set[Slot] = set()
        where: dict[int, Slot] = {}
        for loc, c in contents.items():
            for i, box in enumerate(c.boxes):
                if id(box) in where:
                    found |= {(loc, i), where[id(box)]}
                where[id(box)] = (loc, i)
                if self.s.age(box) < self.mark:
                    seen = seen or visible(self.s)
                    found.add((loc, i))
        new = found - self.shared
        self.shared |= new
        return bool(new)

    # -- the loop itself -------------------------------------------------------------------------------------------

    def inits(self) -> list[Atom]:
        """The carries' start values, converted to their joined types."""
        out: list[Atom] = []
        for loc, tree in self.trees.items():
            content, leaves = self.entry[loc], leaf_types(tree)
            if content.missing:
                out += [undef(leaf.type) for leaf in leaves]
            else:
                out += [fit(a, leaf.type) for a, leaf in zip(content.atoms, leaves, strict=True)]
        return out

    def results(self, contents: dict[Location, Content]) -> list[Atom]:
        """The next carries, inside the body."""
        out: list[Atom] = []
        for loc, tree in self.trees.items():
            out += [fit(a, leaf.type) for a, leaf in zip(contents[loc].atoms, leaf_types(tree), strict=True)]
        return out

    def unreached(self) -> dict[Location, Content]:
        """Contents at the end of a body that always raises."""
        return {loc: Content(tree, [undef(x.type) for x in leaf_types(tree)], []) for loc, tree in self.trees.items()}

    def leave(self, outs: Sequence[Atom], contents: dict[Location, Content], ran: Callable[[], Any]) -> None:
        """Give the carried locations their final content; ``ran()``: whether the body ran at least once."""
        after = self._put(outs)
        for loc, m in after.items():
            first, last = self.entry[loc], contents[loc]
            m.sides = [None if c.missing else (c.leaves, c.boxes) for c in (first, last)]
        settle(list(after.values()), self.mark, self.s)
        seen = visible(self.s)
        for loc, m in after.items():
            for i, v in enumerate(m.leaves):
                if isinstance(v, Staged) and v.cell is not None and v.cell.id >= self.mark:
                    forbid(v.cell, self.may_be.get((loc, i), ()), seen, loc.label)
        starts = {(loc, i): v for loc, m in after.items() for i, v in enumerate(m.leaves)}
        for pair in self.tangled:
            a, b = (starts.get(slot) for slot in pair)
            if a is not None and b is not None and a.cell is not b.cell:
                entangle(a.cell, b.cell)
        for loc, i in self.shared:
            box = after[loc].boxes[i]
            self.s.frozen[id(box)] = (box, f"a change to a {type(box).__name__} that others may see ({loc.label})")
        for loc, given in self.given.items():
            if loc in self.trees and isinstance(loc, VarLoc) and not loc.name.startswith(PREFIX):
                flag = ran()
                if flag is True:
                    continue
                if loc in self.poisoned:
                    loc.set(Undefined(self.poisoned[loc]))
                    continue
                loc.set(Maybe(loc.get(), flag if given is None else arith.bitor(flag, given)))
        for loc in self.dead:
            self.s.touch(loc)
            loc.set(UNDEFINED)
        for loc, why in self.lost.items():
            self.s.touch(loc)
            loc.set(Undefined(why))


def fixpoint(c: Carries, attempt: Callable[[], bool]) -> None:
    """Stage a loop's body until nothing new is learnt."""
    for _ in range(24):
        c.pending = []
        again = attempt()
        for loc in c.pending:
            c.add(loc)
        if not again:
            return
    raise expressions.error("the types of the loop's variables do not settle", c.node, c.frame)


def counter(name: str) -> Var:
    """A loop's counter, the same on all devices inside `shard_map`."""
    s, k = expressions.state(), Var(scalar(i64), name)
    if s.varying is not None:
        s.varying.begin([k], [lit(0)])
    return k


def staged_for(
    trip: Size, body: Callable[[Staged], Any], node: Any, frame: Frame, *, names: list[Any], label: str = "i",
    levels: int = 1,
) -> None:  # fmt: skip
    """A loop of ``trip`` iterations; ``body(k)`` stages one. With more than one level it is checkpointed."""
    s = expressions.state()
    c = Carries(s, frame, node, names)
    done: list[Any] = []

    def attempt() -> bool:
        k, params = counter(label), c.params()
        c.begin(params)
        with s.builder.scope((k, *params)) as block, s.tracking() as t:
            c.enter(params, lambda: wrap(prim("gt")(k, lit(0)), "py"))
            result = running(lambda: body(wrap(k, "py")))
            again, contents = c.learn(t.contents())
            if result is RAISED and not again:
                contents = c.unreached()
            if not again:
                block.results = tuple(c.results(contents))
                again = c.varies(block.results)
        t.undo()
        if not again:
            done[:] = [block, contents]
        return again

    def first() -> None:
        """Stage the first iteration alone, to learn what it defines for the others."""
        params = c.params()
        c.begin(params)
        with s.builder.scope(params), s.tracking() as t:
            c.enter(params)
            running(lambda: body(wrap(lit(0), "py")))
            c.pending = []
            c.learn(t.contents())
        t.undo()
        for loc in c.pending:
            c.add(loc)

    with s.tracking() as t:
        try:
            fixpoint(c, attempt)
        except expressions.Unassigned:
            t.undo()
            first()
            fixpoint(c, attempt)
    block, contents = done
    with s.builder.at(frame.parsed.loc(node)):
        if levels > 1:
            outs = blocked(s.builder, trip, c.inits(), block, levels, frame.parsed.loc(node))
        else:
            outs = s.builder.for_(trip, c.inits(), block)
        c.leave(outs, contents, lambda: s.at_least(trip, 1) or _staged_bool(arith.gt(size_object(trip), 0)))


def _staged_bool(x: Any) -> Staged:
    v = lift(x)
    return wrap(v.atom, "py")


def staged_while(test: Thunk, body: Thunk, node: Any, frame: Frame, *, names: list[Any]) -> None:
    """A loop while ``test()``.

    Raises
    ------
    ConditionChanges
        The condition changes variables.
    """
    s = expressions.state()
    c = Carries(s, frame, node, names)
    done: list[Any] = []

    def attempt() -> bool:
        params = c.params()
        c.begin(params)
        with s.builder.scope(params) as cond, s.tracking() as t:
            c.enter(params)
            before = {loc: loc.get() for loc in t.before}
            go = running(test)
            if go is RAISED:
                raise ConditionChanges
            go = truth(go)
            cond.results = (go.atom if isinstance(go, Staged) else lit(bool(go), bool_),)
            changed = [loc for loc in t.before if existed(loc, c.mark, s) and not _unchanged(loc, before)]
        t.undo()
        if changed:
            raise ConditionChanges
        params = c.params()
        c.begin(params)
        with s.builder.scope(params) as block, s.tracking() as t:
            c.enter(params)
            result = running(body)
            again, contents = c.learn(t.contents())
            if result is RAISED and not again:
                contents = c.unreached()
            if not again:
                block.results = tuple(c.results(contents))
                again = c.varies(block.results)
        t.undo()
        if not again:
            done[:] = [cond, block, contents]
        return again

    fixpoint(c, attempt)
    cond, block, contents = done
    if cond.results == (lit(False, bool_),):
        return
    with s.builder.at(frame.parsed.loc(node)):
        outs = s.builder.while_(c.inits(), cond, block)
        n = len(c.types())
        c.leave(outs[:n], contents, lambda: _staged_bool(arith.gt(wrap(outs[n], "py"), 0)))


def _unchanged(loc: Location, before: dict[Location, Any]) -> bool:
    if loc not in before:
        return False
    now, then = loc.get(), before[loc]
    if isinstance(now, list) and isinstance(then, list):
        return len(now) == len(then) and all(x is y for x, y in zip(now, then, strict=True))
    if isinstance(now, dict) and isinstance(then, dict):
        return list(now) == list(then) and all(x is y for x, y in zip(now.values(), then.values(), strict=True))
    return now is then


__all__ = ["Carries", "ConditionChanges", "StructureChanges", "staged_for", "staged_while"]
