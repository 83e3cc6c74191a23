"""Which arrays and containers a merged value may be, and what must not happen to them.

A branch or a loop merges variables by value: what comes out is a new array or container. Python would have bound the
name to one of several objects that can still be seen under other names. Where both paths bind the same object, it is
kept. Otherwise writes to the merged array are refused, and so is reading it after one of the others was written; a
merged container that others may see is frozen.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from weft.frontend.frame import Frame, Maybe, StagedFunction, StagedMethod, State
from weft.frontend.trees import is_object
from weft.staged.loops import Loopable
from weft.staged.value import Cell, Staged


def ids(v: Any) -> tuple[Cell, ...]:
    """The arrays that a value may be."""
    if not isinstance(v, Staged) or v.cell is None:
        return ()
    return (v.cell, *[c for c, _ in v.cell.stale])


def same_object(x: Any, y: Any) -> bool:
    """Whether two staged values are certainly the same region of the same array."""
    return x.cell is not None and x.cell is y.cell and x.views == y.views


@dataclass
class Visible:
    """The arrays and containers that staged code can reach by some name, or its caller can."""

    cells: set[Cell]
    boxes: dict[int, Any]

    def box(self, obj: Any, s: State) -> bool:
        """Whether a container can be seen elsewhere."""
        return id(obj) in self.boxes or not s.owns(obj)


def visible(s: State) -> Visible:
    """What can be reached from the variables of all active functions."""
    found = Visible(set(s.arguments), {})
    todo: list[Any] = list(s.frames)
    frames: set[int] = set()
    while todo:
        v = todo.pop()
        if isinstance(v, Frame):
            if id(v) not in frames:
                frames.add(id(v))
                todo += [*v.locals.values(), v.enclosing]
        elif isinstance(v, Staged):
            found.cells.update(ids(v))
        elif isinstance(v, tuple):
            todo += v
        elif isinstance(v, list | set | dict):
            if id(v) not in found.boxes:
                found.boxes[id(v)] = v
                todo += v.values() if isinstance(v, dict) else v
        elif isinstance(v, Maybe):
            todo.append(v.value)
        elif isinstance(v, StagedFunction):
            todo += [v.frame, *v.defaults, *v.kw_defaults.values()]
        elif isinstance(v, StagedMethod):
            todo.append(v.fn)
        elif isinstance(v, functools.partial):
            todo += [v.func, *v.args, *v.keywords.values()]
        elif isinstance(v, types.MethodType):
            todo.append(v.__self__)
        elif isinstance(v, Loopable) or is_object(v, s):
            if id(v) not in found.boxes:
                found.boxes[id(v)] = v
                todo += vars(v).values()
    return found


@dataclass
class Merged:
    """One merged location: its new leaves and containers, and those of each path (None: no value there)."""

    leaves: list[Any]
    boxes: list[Any]
    sides: Sequence[tuple[list[Any], list[Any]] | None]
    label: str


Row = tuple[Any, list[Any], str]  # the merged thing, what it is on each path (None: nothing), a label


def rows(merged: Iterable[Merged], which: int) -> list[Row]:
    """The merged leaves (0) or containers (1), each beside what it is on every path."""
    out: list[Row] = []
    for m in merged:
        for i, new in enumerate((m.leaves, m.boxes)[which]):
            side = [s[which][i] if s is not None and i < len(s[which]) else None for s in m.sides]
            out.append((new, side, m.label))
    return out


def settle(merged: Sequence[Merged], mark: int, s: State) -> None:
    """Keep identities that all paths agree on, and forbid what would show the others to be lost."""
    arrays = [r for r in rows(merged, 0) if isinstance(r[0], Staged) and r[0].cell is not None]
    for new, sides, _ in arrays:
        first = sides[0]
        if first is not None and all(x is not None and same_object(first, x) for x in sides):
            new.cell, new.views = first.cell, first.views
    fresh = [r for r in arrays if r[0].cell is not None and r[0].cell.id >= mark and not r[0].views]
    seen = visible(s)
    pair_up(fresh)
    for new, sides, label in fresh:
        forbid(new.cell, [c for x in sides for c in ids(x) if c.id < mark], seen, label)
    freeze([r for r in rows(merged, 1)], seen, s)


def pair_up(arrays: Sequence[Row]) -> None:
    """Merged arrays that may be one another: one array if they are on every path, else not to be written."""
    for i, (a, xs, _) in enumerate(arrays):
        for b, ys, _ in arrays[:i]:
            if a.cell is b.cell:
                continue
            if all(x is not None and y is not None and same_object(x, y) for x, y in zip(xs, ys, strict=True)):
                a.cell = b.cell
            elif any(set(ids(x)) & set(ids(y)) for x, y in zip(xs, ys, strict=True)):
                entangle(a.cell, b.cell)


def entangle(a: Cell, b: Cell) -> None:
    """Two arrays that may be one: neither may be written."""
    a.stale = (*a.stale, (b, b.atom))
    b.stale = (*b.stale, (a, a.atom))


def forbid(cell: Cell, may_be: Iterable[Cell], seen: Visible, label: str) -> None:
    """A merged array that may be one of others: what those allow, and no writes while they can be seen."""
    for old in dict.fromkeys(may_be):
        if old is cell:
            continue
        if old.readonly and not cell.readonly:
            cell.readonly = old.readonly
        if old in seen.cells and all(c is not old for c, _ in cell.stale):
            cell.stale = (*cell.stale, (old, old.atom))
            cell.name = cell.name or old.name


def freeze(boxes: Sequence[Row], seen: Visible, s: State) -> None:
    """Merged containers that others may see must not be changed, nor may those others."""
    shared: dict[tuple[int, int], int] = {}
    for _, sides, _ in boxes:
        for k, x in enumerate(sides):
            if x is not None:
                shared[k, id(x)] = shared.get((k, id(x)), 0) + 1
    for new, sides, label in boxes:
        if all(x is new for x in sides):
            continue
        for k, x in enumerate(sides):
            if x is not None and x is not new and (seen.box(x, s) or shared[k, id(x)] > 1):
                why = (
                    f"a change to a {type(new).__name__} that may be one of several: {label} is bound to different"
                    " ones on different paths"
                )
                s.frozen[id(new)] = (new, why)
                s.frozen[id(x)] = (x, why)


__all__ = ["Merged", "entangle", "forbid", "freeze", "ids", "pair_up", "rows", "same_object", "settle", "visible"]
