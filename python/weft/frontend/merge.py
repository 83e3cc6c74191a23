"""Branches: both sides are staged from the same start, and what they changed is merged leaf by leaf."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from weft.errors import StagingError
from weft.frontend import expressions
from weft.frontend.assign import name_value
from weft.frontend.canonical import PREFIX
from weft.frontend.frame import UNDEFINED, Frame, Maybe, State, Undefined, VarLoc, numbers
from weft.frontend.identity import Merged, ids, settle
from weft.frontend.trees import (
    Leaf,
    Mismatch,
    Tree,
    describe,
    fit,
    flatten,
    is_leaf,
    join,
    leaf_types,
    unflatten,
)  # fmt: skip
from weft.ir.nodes import Atom, Block, Var, lit
from weft.ir.sizes import vars_of_type
from weft.ir.types import ArrayType, bool_
from weft.staged import arith
from weft.staged.arith import prim
from weft.staged.context import Location, Tracker
from weft.staged.value import Cell, Staged, join_flavours, lift, wrap


class Return:
    """A block ended by returning ``value``."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Raised:
    """A block ended by raising."""


class AlwaysRaises(Exception):
    """A function that raises on every path was called: what follows the call is never reached."""


RAISED = Raised()
Thunk = Callable[[], Any]


def running(thunk: Thunk) -> Any:
    """What a block ends with."""
    try:
        return thunk()
    except AlwaysRaises:
        return RAISED


# -- contents --------------------------------------------------------------------------------------------------------


@dataclass
class Content:
    """What a location holds at the end of a block: its structure, its leaves and containers, the leaves' atoms."""

    tree: Tree
    atoms: list[Atom]
    leaves: list[Any]
    boxes: list[Any] = field(default_factory=list)

    @property
    def missing(self) -> Undefined | None:
        """Why there is no value here."""
        return self.tree.fixed if isinstance(self.tree.fixed, Undefined) else None


def nothing(why: Undefined = UNDEFINED) -> Content:
    """The content of a location that holds no value."""
    return Content(Tree("static", why, ()), [], [])


def snapshot(loc: Location, raw: Any, s: State) -> Content:
    """The content of a location, with its leaves read now."""
    if isinstance(loc, Cell):
        return Content(Tree("leaf", None, (Leaf(raw.type, "np"),)), [raw], [raw])
    if isinstance(raw, Maybe):
        raw = Undefined("it is assigned in a loop that may not run")
    leaves: list[Any] = []
    boxes: list[Any] = []
    tree = flatten(raw, s, leaves, boxes)
    try:
        atoms = [v.atom for v in leaves]
    except StagingError as e:
        if not isinstance(loc, VarLoc):
            raise
        return nothing(Undefined(e.reason))  # an error only if it is read
    return Content(tree, atoms, leaves, boxes if isinstance(loc, VarLoc) else boxes[1:])


def restore(loc: Location, tree: Tree, atoms: Sequence[Atom], s: State, keep: dict[int, Any] | None = None) -> Merged:
    """Give a location new content; the containers numbered in ``keep`` are taken from there."""
    s.touch(loc)
    if isinstance(loc, Cell):
        loc.atom = atoms[0]
        if isinstance(loc.atom, Var) and not loc.atom.name:
            loc.atom.name = loc.name
        return Merged([], [], (), loc.label)
    inner = not isinstance(loc, VarLoc)
    value, m = remade(tree, atoms, s, loc.label, {k + inner: v for k, v in (keep or {}).items()})
    if inner:
        m.boxes = m.boxes[1:]
    elif not loc.name.startswith(PREFIX):  # type: ignore[attr-defined]
        name_value(value, loc.name)  # type: ignore[attr-defined]
    loc.set(value)
    return m


def remade(tree: Tree, atoms: Sequence[Atom], s: State, label: str, keep: dict[int, Any]) -> tuple[Any, Merged]:
    """A value from atoms, and its parts."""
    leaves = [wrap(a, leaf.flavour) for a, leaf in zip(atoms, leaf_types(tree), strict=True)]
    boxes: list[Any] = []
    value = unflatten(tree, iter(leaves), s, boxes, keep)
    return value, Merged(leaves, boxes, (), label)


def existed(loc: Location, mark: int, s: State) -> bool:
    """Whether a location is older than a mark (what was made since is of no concern outside)."""
    if isinstance(loc, Cell):
        return loc.id < mark
    if isinstance(loc, VarLoc):
        return loc.frame.serial < mark
    return s.age(loc.obj) < mark  # type: ignore[attr-defined]


def mark_now() -> int:
    """A moment, to tell what is made after it."""
    return next(numbers)


def undo_old(t: Tracker, mark: int, s: State) -> None:
    """Undo the changes to what is older than the mark; what was made since belongs to the block that made it."""
    for loc, content in t.before.items():
        if existed(loc, mark, s):
            loc.set(content)


def undef(t: ArrayType) -> Atom:
    """A value that is never used."""
    return prim("undef")(shape=t.shape, dtype=t.dtype) if t.shape else lit(0, t.dtype)  # type: ignore[no-any-return]


def bound(block: Block) -> set[Var]:
    """The variables bound directly in a block."""
    out = set(block.params)
    for stmt in block.stmts:
        out.update(stmt.outs)
    return out


# -- branches --------------------------------------------------------------------------------------------------------


@dataclass
class Side:
    """One branch, staged: its block, what it ended with, and what it left in the locations it changed."""

    block: Block
    result: Any
    raw: dict[Location, Any]
    contents: dict[Location, Content]


def run_side(thunk: Thunk, s: State, mark: int) -> Side:
    """Stage one branch and undo what it changed."""
    with s.builder.scope() as block, s.tracking() as t:
        result = running(thunk)
        raw = {loc: x for loc, x in t.contents().items() if existed(loc, mark, s)}
        contents = {} if result is RAISED else {loc: snapshot(loc, x, s) for loc, x in raw.items()}
    undo_old(t, mark, s)
    return Side(block, result, raw, contents)


def branch(pred: Staged, then: Thunk, orelse: Thunk, node: Any, frame: Frame) -> Any:
    """Stage both sides of a condition and merge them; returns the merged result of the thunks."""
    s = expressions.state()
    mark = mark_now()
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


Entry = tuple[Any, Tree, Content, Content]  # a location (None: the result), the joined structure, both contents


def merge(p: Atom, a: Side, b: Side, mark: int, node: Any, frame: Frame, s: State) -> Any:
    """Emit the `If` and give every changed location its merged content."""
    plan: list[Entry] = []
    poisoned: list[tuple[Location, str]] = []
    for loc in dict.fromkeys([*a.raw, *b.raw]):
        if not isinstance(loc, Cell) and loc in a.raw and loc in b.raw and same(a.raw[loc], b.raw[loc]):
            s.touch(loc)
            loc.set(a.raw[loc])
            continue
        x, y = end_of(a, loc, s), end_of(b, loc, s)
        if isinstance(loc, Cell) and x.atoms[0] == y.atoms[0]:
            s.touch(loc)
            loc.atom = x.atoms[0]
            continue
        if x.missing or y.missing:
            if isinstance(loc, VarLoc) and loc.name.startswith(PREFIX):
                plan.append((loc, (y if x.missing else x).tree, x, y))
            else:
                poisoned.append((loc, _why_missing(x.missing, y.missing)))
            continue
        try:
            plan.append((loc, join(x.tree, y.tree, s), x, y))
        except Mismatch as e:
            # an error only if it is read
            poisoned.append((loc, f"it is {e} on the two paths of a condition (line {node.lineno})"))
    if a.result is not None or b.result is not None:
        plan.append((None, *_merge_results(a, b, node, frame, s)))
    result = _place(plan, _emit_if(p, a, b, plan, s, node, frame), mark, s)
    for loc, why in poisoned:
        s.touch(loc)
        if not isinstance(loc, VarLoc):
            raise expressions.error(f"{loc.label} is changed so that the two paths do not meet: {why}", node, frame)
        loc.set(Undefined(why) if why else UNDEFINED)
    return Return(result) if isinstance(a.result, Return) or isinstance(b.result, Return) else result


def end_of(side: Side, loc: Location, s: State) -> Content:
    """What a location holds at the end of a branch, which may have changed an array that it names."""
    found = side.contents.get(loc)
    if found is not None:
        return found
    if isinstance(loc, Cell):
        return snapshot(loc, loc.get(), s)
    leaves: list[Any] = []
    raw = loc.get()
    if not isinstance(raw, Maybe | Undefined):
        flatten(raw, s, leaves)
    if not any(c in side.raw for v in leaves for c in ids(v)):
        return snapshot(loc, raw, s)
    return inside(side, lambda: snapshot(loc, raw, s), s)


def inside(side: Side, read: Callable[[], Content], s: State) -> Content:
    """Read something at the end of a branch: in its block, with what it changed in place meanwhile."""
    with s.builder.resume(side.block), s.tracking() as t:
        for loc, raw in side.raw.items():
            s.touch(loc)
            loc.set(raw)
        content = read()
    t.undo()
    return content


def _why_missing(x: Undefined | None, y: Undefined | None) -> str:
    found = [u.why for u in (x, y) if u is not None and u.why]
    if found:
        return found[0]
    return "" if x is not None and y is not None else "it is assigned on one path only"


def _place(plan: Sequence[Entry], outs: Sequence[Sequence[Atom]], mark: int, s: State) -> Any:
    """Put merged values where they belong; returns the merged result."""
    result: Any = None
    merged: list[Merged] = []
    for (loc, tree, x, y), atoms in zip(plan, outs, strict=True):
        keep = {i: v for i, (v, w) in enumerate(zip(x.boxes, y.boxes, strict=False)) if v is w and s.owns(v)}
        if loc is None:
            result, m = remade(tree, atoms, s, "the value", keep)
        else:
            m = restore(loc, tree, atoms, s, keep)
        m.sides = [None if c.missing else (c.leaves, c.boxes) for c in (x, y)]
        merged.append(m)
    settle(merged, mark, s)
    return result


def same(x: Any, y: Any) -> bool:
    """Whether both paths leave the same value."""
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
    contents = []
    for side in (a, b):
        value = side.result.value if isinstance(side.result, Return) else side.result
        loc = VarLoc(frame, PREFIX + "result")
        contents.append(inside(side, lambda loc=loc, value=value: snapshot(loc, value, s), s))  # type: ignore[misc]
    x, y = contents
    for c in contents:
        if c.missing and c.missing.why:
            raise expressions.error(c.missing.why, node, frame)
    if x.missing or y.missing:  # the value of a return that is not reached
        return (y if x.missing else x).tree, x, y
    try:
        return join(x.tree, y.tree, s), x, y
    except Mismatch as e:
        what = "the values returned" if isinstance(a.result, Return) or isinstance(b.result, Return) else "the values"
        raise expressions.error(
            f"{what} on the two paths have types that do not join: {e}", node, frame,
            "give both paths values of the same structure, rank and sizes",
        ) from None  # fmt: skip


def _emit_if(p: Atom, a: Side, b: Side, plan: Sequence[Entry], s: State, node: Any, frame: Frame) -> list[list[Atom]]:
    """Convert leaves inside their blocks, emit the `If`, return the outgoing atoms of each entry of the plan."""
    types = [[leaf.type for leaf in leaf_types(tree)] for _, tree, _, _ in plan]
    for side, k in ((a, 2), (b, 3)):
        with s.builder.resume(side.block):
            results: list[Atom] = []
            for entry, ts in zip(plan, types, strict=True):
                content: Content = entry[k]  # type: ignore[assignment]  # the second or third of four parts
                if content.missing:
                    results += [undef(t) for t in ts]
                else:
                    results += [fit(x, t) for x, t in zip(content.atoms, ts, strict=True)]
            side.block.results = tuple(results)
    for side in (a, b):
        inner = bound(side.block)
        for (_loc, tree, _, _), ts in zip(plan, types, strict=True):
            for t in ts:
                if any(v in inner for v in vars_of_type(t)):
                    raise expressions.error(
                        f"an array whose size is computed inside one path of a condition leaves it ({describe(tree)})",
                        node, frame, "compute the size before the condition",
                    )  # fmt: skip
    # a leaf that is the same on both sides need not pass through
    flat = list(zip(a.block.results, b.block.results, strict=True))
    all_types = [t for ts in types for t in ts]
    through = [i for i, (x, y) in enumerate(flat) if x != y]
    outer = {i: x for i, (x, y) in enumerate(flat) if x == y}
    a.block.results = tuple(flat[i][0] for i in through)
    b.block.results = tuple(flat[i][1] for i in through)
    if a.block.stmts or b.block.stmts or through:
        outs = s.builder.if_(p, a.block, b.block)
        for i, o in zip(through, outs, strict=True):
            o.type = all_types[i]
            outer[i] = o
    grouped: list[list[Atom]] = []
    n = 0
    for ts in types:
        grouped.append([outer[n + i] for i in range(len(ts))])
        n += len(ts)
    return grouped


# -- conditions ------------------------------------------------------------------------------------------------------


def truth(x: Any) -> Any:
    """The truth of a condition: a bool where it is known."""
    from weft.frontend.calls import truth_of

    return arith.truth(x) if isinstance(x, Staged) else truth_of(x)


def choose(test: Any, then: Thunk, orelse: Thunk, node: Any, frame: Frame) -> Any:
    """A conditional expression or statement: run the one side that is known, or stage both."""
    t = truth(test)
    if isinstance(t, Staged):
        return branch(t, then, orelse, node, frame)
    return then() if t else orelse()


def short_circuit(t: Staged, x: Any, rest: Thunk, conj: bool, node: Any, frame: Frame) -> Any:
    """``x and rest()`` (or ``or``): evaluated eagerly where that cannot be told, else a branch."""
    s = expressions.state()
    y: Any = None
    with s.builder.scope() as block, s.tracking() as tracker:
        quiet = isinstance(x, Staged) and x.dtype == bool_
        try:
            y = rest()
        except AlwaysRaises:
            quiet = False
        for st in block.stmts:
            p = getattr(st, "prim", None)
            quiet = quiet and p is not None and not p.effect
        quiet = quiet and not tracker.before and (isinstance(y, bool) or (isinstance(y, Staged) and y.dtype == bool_))
        if quiet and isinstance(y, Staged):
            known = arith.truth(y)  # a comparison of sizes is decided here, under its guard
            y = y if isinstance(known, Staged) else known
    if not quiet:
        tracker.undo()
        return branch(t, rest if conj else lambda: x, (lambda: x) if conj else rest, node, frame)
    s.builder.splice(block)
    if isinstance(y, Staged):
        return wrap(prim("bitand" if conj else "bitor")(t.atom, y.atom), join_flavours(x.flavour, y.flavour))
    if x.flavour != "py":
        y_ = wrap(lit(y, bool_), x.flavour)
        return x if y is conj else y_
    return x if y is conj else y


__all__ = [
    "RAISED", "AlwaysRaises", "Content", "Raised", "Return", "bound", "branch", "choose", "existed", "mark_now",
    "nothing", "restore", "running", "short_circuit", "snapshot", "truth", "undef", "undo_old",
]  # fmt: skip
