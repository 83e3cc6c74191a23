"""Staged control flow: what branches changed is merged, what loops change is carried.

Blocks run under a tracker (see `weft.staged.context`). A branch's changes are undone before the other branch runs, then
both are merged leaf by leaf. A loop's body is staged with its carries as parameters; when it changes a location that is
not carried yet, or a carry's type widens, it is staged again with what was learnt, until nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import gast
import numpy as np

from weft.errors import StagingError
from weft.frontend import expressions
from weft.frontend.canonical import PREFIX, assigned, names_read
from weft.frontend.frame import UNDEFINED, Frame, ListLoc, Maybe, State, Undefined, VarLoc
from weft.frontend.trees import (
    Leaf, Mismatch, Tree, describe, fit, flatten, is_leaf, join, leaf_types, rebuild, unflatten,
)  # fmt: skip
from weft.ir.nodes import Atom, Block, Lit, Var, lit
from weft.ir.sizes import Size, vars_of_type
from weft.ir.types import ArrayType, bool_, i64, scalar
from weft.staged import arith, indexing
from weft.staged.arith import prim
from weft.staged.context import Location, NeedsStatic
from weft.staged.value import Cell, Staged, lift, size_object, size_of, wrap

MAX_UNROLL = 4096


class Return:
    """A block ended by returning ``value``."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Raised:
    """A block ended by raising."""


RAISED = Raised()
Thunk = Callable[[], Any]


# -- assignment ------------------------------------------------------------------------------------------------------


def home(name: str, frame: Frame) -> Frame:
    """The frame whose variable a name is."""
    if name in frame.parsed.nonlocal_:
        f = frame.enclosing
        while f is not None:
            if name in f.parsed.local:
                return f
            f = f.enclosing
    elif name in frame.parsed.local:
        return frame
    raise StagingError(
        f"assignment to '{name}', a variable outside the compiled function",
        remedy="return the new value, or keep the state in an argument",
        loc=expressions.state().loc,
    )


def assign_name(name: str, value: Any, frame: Frame) -> None:
    """Bind a variable."""
    frame = home(name, frame)
    loc = VarLoc(frame, name)
    expressions.state().touch(loc)
    if not name.startswith(PREFIX):
        name_value(value, name)
    frame.locals[name] = value


def name_value(value: Any, name: str) -> None:
    """Give a new value's variable the user's name."""
    if isinstance(value, Staged):
        if value.cell is not None:
            if not value.views and not value.cell.name:
                value.cell.name = name
                if isinstance(value.cell.atom, Var) and not value.cell.atom.name:
                    value.cell.atom.name = name
        elif isinstance(value._atom, Var) and not value._atom.name:
            value._atom.name = name


def assign(target: Any, value: Any, frame: Frame) -> None:
    """Bind a target: a name, a pattern of them, an item, an attribute."""
    s = expressions.state()
    match target:
        case gast.Name():
            assign_name(target.id, value, frame)
        case gast.Tuple() | gast.List():
            unpack(target, value, frame)
        case gast.Subscript():
            x, key = expressions.evaluate(target.value, frame), expressions.evaluate(target.slice, frame)
            expressions.at(target, frame)
            set_item(x, key, value, target, frame)
        case gast.Attribute():
            x = expressions.evaluate(target.value, frame)
            expressions.at(target, frame)
            if isinstance(x, Staged):
                raise expressions.error(f"assigning to '.{target.attr}' of an array", target, frame, "make a new array")
            if not s.owns(x):
                raise expressions.error(
                    f"a write to attribute '{target.attr}' of an object that the compiled function did not make",
                    target, frame, "return the new value, or build a new object",
                )  # fmt: skip
            s.change(x)
            setattr(x, target.attr, value)
        case gast.Starred():
            assign(target.value, value, frame)
        case _:
            raise expressions.error(f"assignment to {type(target).__name__} is not compiled", target, frame)


def assign_quietly(target: Any, value: Any, frame: Frame) -> None:
    """Bind a comprehension's target: such variables are not seen outside, so nothing tracks them."""
    if isinstance(target, gast.Name):
        frame.locals[target.id] = value
        return
    items = static_items(value, target, frame)
    if len(items) != len(target.elts):
        raise ValueError(f"cannot unpack {len(items)} values into {len(target.elts)} names")
    for t, v in zip(target.elts, items, strict=True):
        assign_quietly(t, v, frame)


def unpack(target: Any, value: Any, frame: Frame) -> None:
    """``a, *b, c = value``."""
    items = static_items(value, target, frame)
    elts = target.elts
    star = next((i for i, e in enumerate(elts) if isinstance(e, gast.Starred)), None)
    if star is None:
        if len(items) != len(elts):
            few = "not enough" if len(items) < len(elts) else "too many"
            got = f", got {len(items)}" if len(items) < len(elts) else ""
            raise arith.op_error(ValueError, f"{few} values to unpack (expected {len(elts)}{got})")
        groups: list[Any] = items
    else:
        after = len(elts) - star - 1
        if len(items) < len(elts) - 1:
            raise arith.op_error(ValueError, f"not enough values to unpack (expected at least {len(elts) - 1})")
        middle = expressions.state().own(items[star : len(items) - after])
        groups = [*items[:star], middle, *items[len(items) - after :]]
    for e, v in zip(elts, groups, strict=True):
        assign(e, v, frame)


def set_item(x: Any, key: Any, value: Any, node: Any, frame: Frame) -> None:
    """``x[key] = value``."""
    s = expressions.state()
    if isinstance(x, Staged):
        indexing.setitem(x, key, value)
    elif isinstance(x, list):
        s.change(x)
        x[
            slice(*map(expressions._static_int, (key.start, key.stop, key.step)))
            if isinstance(key, slice)
            else key.__index__()
        ] = value
    elif isinstance(x, dict):
        s.change(x)
        x[expressions.hashable(key, node, frame)] = value
    elif isinstance(x, np.ndarray):
        raise expressions.error("a write to a captured array", node, frame, "pass the array as an argument")
    else:
        from weft.frontend.calls import call

        fn = getattr(type(x), "__setitem__", None)
        if fn is None:
            raise arith.op_error(TypeError, f"{type(x).__name__!r} object does not support item assignment")
        call(fn, (x, key, value), {})


def static_items(value: Any, node: Any, frame: Frame) -> list[Any]:
    """The items of something whose length is known (arrays: their rows, the length fixed under a guard)."""
    from weft.frontend import calls

    if isinstance(value, np.ndarray):
        value = lift(value)
    if isinstance(value, Staged):
        if not value.type.shape:
            raise arith.op_error(TypeError, "cannot unpack a scalar")
        return [value[i] for i in range(len(value))]  # type: ignore[index]
    if isinstance(value, calls.Loopable):
        n = expressions.state().fix(value.trip(), "the number of iterations is needed while staging")
        return [value.item(size_object(i)) for i in range(n)]
    if isinstance(value, dict):
        return list(value)
    if isinstance(value, Iterable):
        return list(value)
    raise arith.op_error(TypeError, f"{type(value).__name__!r} object is not iterable")


# -- merging ---------------------------------------------------------------------------------------------------------


@dataclass
class Content:
    """What a location holds at the end of a block: its structure, and the atoms of its leaves there."""

    tree: Tree
    atoms: list[Atom]
    leaves: list[Any]


def snapshot(loc: Location, raw: Any, s: State) -> Content:
    """The content of a location, with its leaves read now."""
    if isinstance(loc, Cell):
        return Content(Tree("leaf", None, (Leaf(raw.type, "np"),)), [raw], [raw])
    if isinstance(raw, Maybe):
        raw = UNDEFINED  # a value defined on some paths only stays so
    leaves: list[Any] = []
    tree = flatten(raw, s, leaves)
    return Content(tree, [v.atom for v in leaves], leaves)


def restore(loc: Location, tree: Tree, atoms: Sequence[Atom], s: State) -> None:
    """Give a location new content."""
    s.touch(loc)
    if isinstance(loc, Cell):
        loc.atom = atoms[0]
        if isinstance(loc.atom, Var) and not loc.atom.name:
            loc.atom.name = loc.name
        return
    value = rebuild(tree, atoms, s)
    if isinstance(loc, VarLoc) and not loc.name.startswith(PREFIX):
        name_value(value, loc.name)
    loc.set(value)


def existed(loc: Location, mark: int, s: State) -> bool:
    """Whether a location is older than a mark (a cell or container made since is of no concern outside)."""
    if isinstance(loc, Cell):
        return loc.id < mark
    if isinstance(loc, VarLoc):
        return loc.frame in s.frames or any(_encloses(f, loc.frame) for f in s.frames)
    return s.age(loc.obj) < mark  # type: ignore[attr-defined]


def _encloses(f: Frame | None, target: Frame) -> bool:
    while f is not None:
        if f is target:
            return True
        f = f.enclosing
    return False


def mark_now(s: State) -> int:
    """A moment, to tell what is made after it."""
    from weft.staged.value import _numbers

    n = next(_numbers)
    while next(s.clock) < n:
        pass
    return n


def reachable(cell: Cell, besides: Location, s: State) -> bool:
    """Whether an array can be seen through anything but the location ``besides`` (or by the caller)."""
    if cell in s.arguments:
        return True
    frames: list[Frame] = []
    for f in s.frames:
        g: Frame | None = f
        while g is not None and g not in frames:
            frames.append(g)
            g = g.enclosing
    for f in frames:
        for name, v in f.locals.items():
            if VarLoc(f, name) != besides and _holds(v, cell):
                return True
    return False


def _holds(v: Any, cell: Cell) -> bool:
    if isinstance(v, Staged):
        return v.cell is cell
    if isinstance(v, list | tuple | set):
        return any(_holds(x, cell) for x in v)
    if isinstance(v, dict):
        return any(_holds(x, cell) for x in v.values())
    return False


def alias_cells(contents: Sequence[Any], mark: int) -> list[Cell]:
    """The older arrays that a value bound differently on several paths may be."""
    return [v.cell for v in contents if isinstance(v, Staged) and v.cell is not None and v.cell.id < mark]


def settle_aliases(loc: Location, sides: Sequence[Content], mark: int, s: State) -> None:
    """After a merge by value: forbid what would show that the array has lost its identity."""
    if isinstance(loc, Cell):
        return
    merged: list[Any] = []
    flatten(loc.get(), s, merged)
    for i, m in enumerate(merged):
        if not isinstance(m, Staged) or m.cell is None:
            continue
        cells = alias_cells([side.leaves[i] for side in sides if i < len(side.leaves)], mark)
        stale = tuple((c, c.atom) for c in dict.fromkeys(cells) if c is not m.cell and reachable(c, loc, s))
        m.cell.stale = stale


def undef(t: ArrayType) -> Atom:
    """A value that is never used."""
    return prim("undef")(shape=t.shape, dtype=t.dtype) if t.shape else lit(0, t.dtype)  # type: ignore[no-any-return]


# -- branches --------------------------------------------------------------------------------------------------------


@dataclass
class Side:
    """One branch, staged."""

    block: Block
    result: Any
    raw: dict[Location, Any]
    contents: dict[Location, Content]


def run_side(thunk: Thunk, s: State, mark: int) -> Side:
    """Stage one branch and undo what it changed."""
    with s.builder.scope() as block, s.tracking() as t:
        result = thunk()
        raw = t.contents()
        keep = [loc for loc in raw if existed(loc, mark, s)]
        contents = {} if result is RAISED else {loc: snapshot(loc, raw[loc], s) for loc in keep}
    t.undo()
    return Side(block, result, {loc: raw[loc] for loc in keep}, contents)


def branch(pred: Staged, then: Thunk, orelse: Thunk, node: Any, frame: Frame) -> Any:
    """Stage both sides of a condition and merge them; returns the merged result of the thunks."""
    s = expressions.state()
    mark = mark_now(s)
    p = pred.atom
    a = run_side(then, s, mark)
    if a.result is RAISED:
        emit_raise(p, a.block, s, when=True)
        return orelse()
    b = run_side(orelse, s, mark)
    if b.result is RAISED:
        emit_raise(p, b.block, s, when=False)
        s.builder.splice(a.block)
        for loc, raw in a.raw.items():
            s.touch(loc)
            loc.set(raw)
        return a.result
    with s.builder.at(frame.parsed.loc(node)):
        return merge(p, a, b, mark, node, frame, s)


def emit_raise(p: Atom, block: Block, s: State, *, when: bool) -> None:
    """The side that raises: a check where it does nothing else."""
    only = block.stmts[0] if len(block.stmts) == 1 else None
    check = prim("check")
    if only is not None and getattr(only, "prim", None) is check and only.args[0] == lit(False, bool_):  # type: ignore[union-attr]
        fine = prim("logical_not")(p) if when else p
        check(fine, *only.args[1:], **only.attrs)  # type: ignore[union-attr]
        return
    empty = Block((), [], ())
    s.builder.if_(p, block if when else empty, empty if when else block)


def merge(p: Atom, a: Side, b: Side, mark: int, node: Any, frame: Frame, s: State) -> Any:
    """Emit the `If` and give every changed location its merged content."""
    plan: list[tuple[Location | None, Tree, Content, Content]] = []
    poisoned: list[tuple[Location, str]] = []
    for loc in dict.fromkeys([*a.raw, *b.raw]):
        if not isinstance(loc, Cell) and loc in a.raw and loc in b.raw and _same(a.raw[loc], b.raw[loc]):
            s.touch(loc)
            loc.set(a.raw[loc])
            continue
        x = a.contents.get(loc) or snapshot(loc, loc.get(), s)
        y = b.contents.get(loc) or snapshot(loc, loc.get(), s)
        if isinstance(loc, Cell) and x.atoms[0] == y.atoms[0]:
            s.touch(loc)
            loc.atom = x.atoms[0]
            continue
        internal = isinstance(loc, VarLoc) and loc.name.startswith(PREFIX)
        ux, uy = (isinstance(c.tree.fixed, Undefined) for c in (x, y))
        if (ux or uy) and not internal:
            if not (ux and uy):
                poisoned.append((loc, "it is assigned on one path only"))
            continue
        if ux or uy:
            plan.append((loc, (y if ux else x).tree, x, y))
            continue
        try:
            plan.append((loc, join(x.tree, y.tree, s), x, y))
        except Mismatch as e:
            # an error only if it is read
            poisoned.append((loc, f"it is {e} on the two paths of a condition (line {node.lineno})"))
    result: Any = None
    if a.result is not None or b.result is not None:
        plan.append((None, *_merge_results(a, b, node, frame, s)))
    outs = _emit_if(p, a, b, plan, s, node, frame)
    for (loc, tree, x, y), atoms in zip(plan, outs, strict=True):
        if loc is None:
            result = rebuild(tree, atoms, s)
            continue
        restore(loc, tree, atoms, s)
        settle_aliases(loc, (x, y), mark, s)
    for loc, why in poisoned:
        s.touch(loc)
        if isinstance(loc, VarLoc):
            loc.set(Undefined(why))
        else:
            raise expressions.error(f"{loc.label} is changed so that the two paths do not meet: {why}", node, frame)
    return Return(result) if isinstance(a.result, Return) else result


def _same(x: Any, y: Any) -> bool:
    if x is y:
        return True
    if isinstance(x, Staged) and isinstance(y, Staged):
        if x.cell is not None:
            return x.cell is y.cell and x.views == y.views
        return x._atom is not None and x._atom == y._atom and x.flavour == y.flavour
    return not isinstance(x, Staged) and not isinstance(y, Staged) and type(x) is type(y) and is_leaf(x) and _bits(x, y)


def _bits(x: Any, y: Any) -> bool:
    return not isinstance(x, np.ndarray) and lift(x).atom == lift(y).atom


def _merge_results(a: Side, b: Side, node: Any, frame: Frame, s: State) -> tuple[Tree, Content, Content]:
    """The joined structure of two results (returned values, or the values of a conditional expression)."""
    values = []
    for side in (a, b):
        r = side.result
        values.append(r.value if isinstance(r, Return) else r)
    contents = []
    for side, value in zip((a, b), values, strict=True):
        # leaves are read inside their own block; what the block changed must be in place meanwhile
        with s.builder.resume(side.block), s.tracking() as t:
            for loc, raw in side.raw.items():
                s.touch(loc)
                loc.set(raw)
            contents.append(snapshot(VarLoc(frame, PREFIX + "result"), value, s))
        t.undo()
    x, y = contents
    try:
        return join(x.tree, y.tree, s), x, y
    except Mismatch as e:
        what = "the values returned" if isinstance(a.result, Return) or isinstance(b.result, Return) else "the values"
        raise expressions.error(
            f"{what} on the two paths have types that do not join: {e}", node, frame,
            "give both paths values of the same structure, rank and sizes",
        ) from None  # fmt: skip


def _emit_if(
    p: Atom, a: Side, b: Side, plan: Sequence[tuple[Any, Tree, Content, Content]], s: State, node: Any, frame: Frame
) -> list[list[Atom]]:
    """Convert leaves inside their blocks, emit the `If`, return the outgoing atoms of each entry of the plan."""
    types = [[leaf.type for leaf in leaf_types(tree)] for _, tree, _, _ in plan]
    for side, k in ((a, 2), (b, 3)):
        with s.builder.resume(side.block):
            results: list[Atom] = []
            for entry, ts in zip(plan, types, strict=True):
                content = entry[k]
                if isinstance(content.tree.fixed, Undefined) or len(content.atoms) != len(ts):
                    results += [undef(t) for t in ts]
                else:
                    results += [fit(x, t) for x, t in zip(content.atoms, ts, strict=True)]
            side.block.results = tuple(results)
    for side in (a, b):
        inner = _bound(side.block)
        for (_loc, tree, _, _), ts in zip(plan, types, strict=True):
            for t in ts:
                if any(v in inner for v in vars_of_type(t)):
                    raise expressions.error(
                        f"an array whose size is computed inside one path of a condition leaves it ({describe(tree)})",
                        node, frame, "compute the size before the condition",
                    )  # fmt: skip
    # a leaf that is the same on both sides need not pass through
    flat = list(zip(a.block.results, b.block.results, strict=True))
    through = [i for i, (x, y) in enumerate(flat) if x != y]
    outer = {i: x for i, (x, y) in enumerate(flat) if x == y}
    a.block.results = tuple(flat[i][0] for i in through)
    b.block.results = tuple(flat[i][1] for i in through)
    if a.block.stmts or b.block.stmts or through:
        outs = s.builder.if_(p, a.block, b.block)
        for i, o in zip(through, outs, strict=True):
            o.type = [t for ts in types for t in ts][i]
            outer[i] = o
    grouped: list[list[Atom]] = []
    n = 0
    for ts in types:
        grouped.append([outer[n + i] for i in range(len(ts))])
        n += len(ts)
    return grouped


def _bound(block: Block) -> set[Var]:
    out = set(block.params)
    for stmt in block.stmts:
        out.update(stmt.outs)
    return out


def choose(test: Any, then: Thunk, orelse: Thunk, node: Any, frame: Frame) -> Any:
    """A conditional expression or statement: run the one side that is known, or stage both."""
    from weft.frontend.calls import truth_of

    t = arith.truth(test) if isinstance(test, Staged) else truth_of(test)
    if isinstance(t, Staged):
        return branch(t, then, orelse, node, frame)
    return then() if t else orelse()


def short_circuit(t: Staged, x: Any, rest: Thunk, conj: bool, node: Any, frame: Frame) -> Any:
    """``x and rest()`` (or ``or``): evaluated eagerly where that cannot be told, else a branch."""
    s = expressions.state()
    with s.builder.scope() as block, s.tracking() as tracker:
        y = rest()
        y_truth = arith.truth(y) if isinstance(y, Staged) else y
        quiet = not tracker.before and all(
            getattr(st, "prim", None) is not None and not st.prim.effect for st in block.stmts
        )  # type: ignore[union-attr]
    both_bool = isinstance(x, Staged) and x.dtype == bool_
    if quiet and both_bool and (isinstance(y_truth, bool) or (isinstance(y, Staged) and y.dtype == bool_)):
        s.builder.splice(block)
        if isinstance(y_truth, bool) and not isinstance(y, Staged):
            return (x if y_truth else False) if conj else (True if y_truth else x)
        return wrap(prim("bitand" if conj else "bitor")(t.atom, y.atom), "py")
    tracker.undo()
    return branch(t, rest if conj else lambda: x, (lambda: x) if conj else rest, node, frame)


# -- loops -----------------------------------------------------------------------------------------------------------


@dataclass
class Learnt:
    """What earlier stagings of a loop found: the names it carries, and that it must be unrolled."""

    names: dict[str, Tree | None]
    unroll: bool = False


class Carries:
    """The locations a loop carries, with the joined structure of each."""

    def __init__(self, s: State, frame: Frame, node: Any, mark: int) -> None:
        self.s = s
        self.frame = frame
        self.node = node
        self.mark = mark
        self.trees: dict[Location, Tree] = {}
        self.entry: dict[Location, Content] = {}
        self.maybe: set[Location] = set()
        self.key = (id(node), frame.serial if not s.trackers else id(frame.parsed))
        self.learnt: Learnt = s.memo.setdefault(("loop", id(node), id(frame.parsed)), Learnt({}))

    def guess(self, body: list[Any]) -> None:
        """Start with what the body names as changed."""
        bound, written = assigned(body)
        for name in sorted(bound | set(self.learnt.names)):
            loc = VarLoc(self.frame, name)
            if name in self.frame.parsed.local and name in self.frame.locals:
                self.add(loc)
            elif self.learnt.names.get(name) is not None:
                self.add(loc)
        for name in sorted(written):
            v = self.frame.locals.get(name)
            if isinstance(v, Staged) and v.cell is not None and name not in bound:
                self.add(v.cell)

    def add(self, loc: Location) -> None:
        """Carry a location from now on."""
        if loc in self.trees:
            return
        raw = loc.get()
        learnt = self.learnt.names.get(loc.name) if isinstance(loc, VarLoc) else None
        if isinstance(raw, Maybe):
            raw = UNDEFINED
        content = snapshot(loc, raw, self.s)
        if isinstance(content.tree.fixed, Undefined):
            if learnt is None:
                return
            self.maybe.add(loc)
            self.trees[loc] = learnt
        else:
            self.trees[loc] = content.tree
            if learnt is not None:
                try:
                    self.trees[loc] = join(content.tree, learnt, self.s)
                except Mismatch:
                    pass
        self.entry[loc] = content

    def types(self) -> list[ArrayType]:
        """The types of all carried leaves."""
        return [leaf.type for tree in self.trees.values() for leaf in leaf_types(tree)]

    def enter(self, params: Sequence[Var]) -> None:
        """Put parameters where the carried locations are."""
        rest = list(params)
        for loc, tree in self.trees.items():
            n = len(leaf_types(tree))
            mine, rest = rest[:n], rest[n:]
            if loc in self.maybe:
                self.s.touch(loc)
                if isinstance(loc, VarLoc) and not loc.name.startswith(PREFIX):
                    loc.set(UNDEFINED)
                else:
                    restore(loc, tree, mine, self.s)
                continue
            restore(loc, tree, mine, self.s)
            self.forbid(loc)

    def forbid(self, loc: Location) -> None:
        """A rebound array that others still see must not be written through this name inside the loop."""
        if isinstance(loc, Cell):
            return
        now: list[Any] = []
        flatten(loc.get(), self.s, now)
        for old, new in zip(self.entry[loc].leaves, now, strict=False):
            if isinstance(old, Staged) and old.cell is not None and isinstance(new, Staged) and new.cell is not None:
                if reachable(old.cell, loc, self.s):
                    new.cell.readonly = (
                        f"a write to an array through {loc.label}, which the loop binds to other arrays while the"
                        " first one can still be seen (by the caller, or under another name)"
                    )

    def learn(self, raw: dict[Location, Any], live: set[str]) -> tuple[bool, dict[Location, Content]]:
        """Look at what the body changed; True if it must be staged again."""
        s = self.s
        again = False
        contents: dict[Location, Content] = {}
        for loc, value in raw.items():
            if not existed(loc, self.mark, s):
                continue
            if loc not in self.trees:
                again = self._discovered(loc, value, live) or again
                continue
        for loc, tree in list(self.trees.items()):
            value = raw.get(loc, UNDEFINED if loc in self.maybe else loc.get())
            content = contents[loc] = snapshot(loc, value, s)
            if isinstance(content.tree.fixed, Undefined):
                if loc in self.maybe or (isinstance(loc, VarLoc) and loc.name.startswith(PREFIX)):
                    contents[loc] = Content(tree, [undef(x.type) for x in leaf_types(tree)], [])
                    continue
            try:
                joined = join(tree, content.tree, s)
            except Mismatch as e:
                raise StructureChanges(
                    f"{loc.label} is carried by the loop with types that do not join: {e} (before an iteration, and"
                    " after it)",
                    remedy="start it with a value of the structure, rank and sizes that the loop gives it",
                    loc=self.frame.parsed.loc(self.node),
                ) from None
            if joined != tree:
                self.trees[loc] = joined
                again = True
            if isinstance(loc, VarLoc) and loc.frame is self.frame:
                self.learnt.names[loc.name] = joined
        return again, contents

    def _discovered(self, loc: Location, value: Any, live: set[str]) -> bool:
        s = self.s
        before = s.trackers[-1].before.get(loc)
        if isinstance(before, Undefined):
            assert isinstance(loc, VarLoc)
            if loc.name not in live or isinstance(value, Undefined | Maybe):
                return False
            content = snapshot(loc, value, s)
            if any(v in _visible(s) for leaf in leaf_types(content.tree) for v in vars_of_type(leaf.type)):
                return False
            self.learnt.names[loc.name] = content.tree
            self.maybe.add(loc)
            self.trees[loc] = content.tree
            self.entry[loc] = Content(Tree("static", UNDEFINED, ()), [], [])
            return True
        self.pending.append(loc)
        return True

    pending: list[Location]

    def inits(self) -> list[Atom]:
        """The carries' start values, converted to their joined types."""
        out: list[Atom] = []
        for loc, tree in self.trees.items():
            content, leaves = self.entry[loc], leaf_types(tree)
            if isinstance(content.tree.fixed, Undefined):
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

    def leave(self, outs: Sequence[Atom], contents: dict[Location, Content], ran: Staged | None) -> None:
        """Give the carried locations their final content; ``ran``: whether the body ran at least once."""
        rest = list(outs)
        for loc, tree in self.trees.items():
            n = len(leaf_types(tree))
            mine, rest = rest[:n], rest[n:]
            restore(loc, tree, mine, self.s)
            if loc in self.maybe and isinstance(loc, VarLoc) and ran is not None and not loc.name.startswith(PREFIX):
                loc.set(Maybe(loc.get(), ran))
            elif loc not in self.maybe:
                settle_aliases(loc, (self.entry[loc], contents[loc]), self.mark, self.s)

    def params(self) -> list[Var]:
        """Fresh parameters for the carried leaves, named after what they carry."""
        out: list[Var] = []
        for loc, tree in self.trees.items():
            hint = loc.name if isinstance(loc, VarLoc | Cell) else ""
            out += [Var(leaf.type, hint.lstrip(PREFIX)) for leaf in leaf_types(tree)]
        return out


class StructureChanges(StagingError):
    """What a loop carries changes structure from one iteration to the next: such a loop can only be unrolled."""


def _visible(s: State) -> set[Var]:
    """Variables bound in the block under construction."""
    return _bound(s.builder.block)


def live_after(frame: Frame, node: Any) -> set[str]:
    """Names read in the function outside a loop (or by functions inside it): a safe set of what is live after it."""
    cached = getattr(node, "weft_live", None)
    if cached is None:
        inside = {id(n) for n in gast.walk(node)}
        cached = {
            n.id
            for n in gast.walk(frame.parsed.node)
            if isinstance(n, gast.Name) and isinstance(n.ctx, gast.Load) and id(n) not in inside
        }
        node.weft_live = cached
    return cached  # type: ignore[no-any-return]


def fixpoint(c: Carries, attempt: Callable[[], bool]) -> None:
    """Stage a loop's body until nothing new is learnt."""
    for _ in range(12):
        c.pending = []
        again = attempt()
        for loc in c.pending:
            c.add(loc)
        if not again:
            return
    raise expressions.error("the types of the loop's variables do not settle", c.node, c.frame)


def staged_for(
    trip: Size, body: Callable[[Staged], Any], node: Any, frame: Frame, *, names: list[Any], label: str = "i"
) -> None:
    """A loop of ``trip`` iterations; ``body(k)`` stages one."""
    s = expressions.state()
    c = Carries(s, frame, node, mark_now(s))
    c.guess(names)
    live = live_after(frame, node)
    done: list[Any] = []

    def attempt() -> bool:
        k = Var(scalar(i64), label)
        params = c.params()
        with s.builder.scope((k, *params)) as block, s.tracking() as t:
            c.enter(params)
            result = body(wrap(k, "py"))
            again, contents = c.learn(t.contents(), live)
            if result is RAISED and not again:
                contents = {
                    loc: Content(tree, [undef(x.type) for x in leaf_types(tree)], []) for loc, tree in c.trees.items()
                }
            if not again:
                block.results = tuple(c.results(contents))
        t.undo()
        if not again:
            done[:] = [block, contents]
        return again

    fixpoint(c, attempt)
    block, contents = done
    with s.builder.at(frame.parsed.loc(node)):
        inits = c.inits()
        outs = s.builder.for_(trip, inits, block)
        ran = arith.gt(size_object(trip), 0) if c.maybe else None
        if ran is not None and not isinstance(ran, Staged):
            ran = lift(ran)
        if ran is not None:
            ran = wrap(ran.atom, "py")
        c.leave(outs, contents, ran)


def staged_while(
    test: Thunk, body: Thunk, node: Any, frame: Frame, *, names: list[Any], when: Staged | None = None
) -> None:
    """A loop while ``test()``."""
    s = expressions.state()
    c = Carries(s, frame, node, mark_now(s))
    c.guess(names)
    live = live_after(frame, node)
    done: list[Any] = []

    def attempt() -> bool:
        params = c.params()
        with s.builder.scope(params) as cond, s.tracking() as t:
            c.enter(params)
            truth = expressions_truth(test())
            cond.results = (truth.atom if isinstance(truth, Staged) else lit(bool(truth), bool_),)
            changed = [loc for loc in t.before if existed(loc, c.mark, s) and loc not in c.trees]
        t.undo()
        if changed:
            raise expressions.error(
                f"the loop's condition changes {changed[0].label}", node, frame,
                "write `while True:` and `if not ...: break`",
            )  # fmt: skip
        params = c.params()
        with s.builder.scope(params) as block, s.tracking() as t:
            c.enter(params)
            body()
            again, contents = c.learn(t.contents(), live)
            if not again:
                block.results = tuple(c.results(contents))
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
        ran = arith.gt(wrap(outs[n], "py"), 0) if c.maybe else None
        c.leave(outs[:n], contents, ran)


def expressions_truth(x: Any) -> Any:
    """The truth of a condition."""
    from weft.frontend.calls import truth_of

    return arith.truth(x) if isinstance(x, Staged) else truth_of(x)


__all__ = [
    "RAISED", "ListLoc", "Lit", "NeedsStatic", "Raised", "Return", "assign", "branch", "choose", "names_read",
    "short_circuit", "size_of", "staged_for", "staged_while", "static_items", "unflatten",
]  # fmt: skip
