"""Fusion: which values are computed in which nests of loops.

Roots (values with a place to go) are traced back to memory. Each value on the way is either computed where it is used
or gets a `Task`, a nest of its own: reductions must, and so does what would otherwise be computed repeatedly at a
price. Tasks are then scheduled one after the other, each fused as deeply into the nest before it as dependences
allow, and a task's result keeps only the axes that are not shared with all its readers: a scalar, a row or an array.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from weft.ir.nodes import Loc, Var
from weft.ir.primitive import Primitive
from weft.ir.sizes import Shape, Size, dim, map_size, same_shape, same_size, size_vars
from weft.ir.types import i64, scalar
from weft.lowering.loops import Buffer, Place
from weft.lowering.values import Idx, Node, Stored, Value, shape_of

if TYPE_CHECKING:
    from weft.lowering.state import Lowering

RECOMPUTE = 8  # additions that may be repeated per element before a value gets memory
UNKNOWN = 8  # how often a value is assumed to be repeated along an axis it does not have

REDUCTIONS = ("reduce", "arg")

PlaceOf = Callable[[Any, Idx], Place]


@dataclass(eq=False)
class Root:
    """A value to compute over ``shape``, and the place of each element (None: the value becomes a variable)."""

    value: Value
    shape: Shape
    place: PlaceOf | None = None
    combine: Primitive | None = None
    scattered: bool = False  # places may repeat: iterations are not independent
    loc: Loc | None = None


@dataclass(eq=False)
class Read:
    """A task's access to memory or to another task's result."""

    source: Buffer | Task
    index: Idx
    shape: Shape


@dataclass(eq=False)
class Task:
    """A value computed by a nest over ``loops``; for reductions some of them are ``reduced``."""

    value: Value
    loops: list[Var]
    sizes: list[Size]
    reduced: frozenset[int] = frozenset()
    root: Root | None = None
    reads: list[Read] = field(default_factory=list)
    flat_ok: bool = True
    path: list[LoopNode] = field(default_factory=list)
    cost: int = 1
    keep: bool = False  # its whole result is needed later
    # where the result is, once storage has been assigned
    scalar: Var | None = None
    buffer: Buffer | None = None
    depth: int = 0

    @property
    def index(self) -> Idx:
        """The result's index."""
        return tuple([dim(v) for k, v in enumerate(self.loops) if k not in self.reduced])

    @property
    def source(self) -> Idx:
        """The index of what is computed, or reduced. The axis that a position is sought in is the innermost loop."""
        index = tuple([dim(v) for v in self.loops])
        if isinstance(self.value, Node) and self.value.rule == "arg" and self.reduced:
            (axis,) = self.value.axes
            return (*index[:axis], index[-1], *index[axis:-1])
        return index

    @property
    def shape(self) -> Shape:
        """The result's shape."""
        return tuple([s for k, s in enumerate(self.sizes) if k not in self.reduced])

    @property
    def first_reduced(self) -> int:
        """The position of the first reduced loop, or the number of loops."""
        return min(self.reduced, default=len(self.loops))

    @property
    def in_memory(self) -> bool:
        """Whether partial results need memory: a kept loop stands inside a reduced one."""
        q = self.first_reduced
        return any(k not in self.reduced for k in range(q, len(self.loops)))

    def rename(self, names: dict[Var, Var]) -> None:
        """Use other loop variables."""

        def look(v: Var) -> Size | None:
            return dim(names[v]) if v in names else None

        self.loops = [names.get(v, v) for v in self.loops]
        for r in self.reads:
            r.index = tuple([map_size(s, look) for s in r.index])


@dataclass(eq=False)
class LoopNode:
    """A loop of a nest, with what stands in it."""

    var: Var
    size: Size
    items: list[LoopNode | Task] = field(default_factory=list)
    starts: list[Task] = field(default_factory=list)  # reductions that begin before this loop and end after it


def loop_vars(n: int) -> list[Var]:
    """Fresh loop variables."""
    return [Var(scalar(i64), "ijklmn"[k] if k < 6 else f"i{k}") for k in range(n)]


class _Fixed:
    """Stands in for a planner where only the buffer of a place is asked for."""

    def index_of(self, value: Value, index: Idx, wrap: Size | None) -> Size:
        return 0


class Planner:
    """Finds the tasks behind some roots and orders them into nests."""

    def __init__(self, lw: Lowering, roots: list[Root]) -> None:
        self.lw = lw
        self.roots = roots
        self.tasks: list[Task] = []
        self.task_of: dict[Node, Task] = {}
        self._contexts: dict[Node, dict[tuple[int, Idx], Task]] = {}
        self._heap: list[tuple[int, int, Node]] = []
        self._costs: dict[Node, int] = {}
        self._opaque: dict[Any, Var] = {}
        self._opaque_vars: set[Var] = set()
        self._task: Task | None = None
        self.groups: list[LoopNode | Task] = []

    def plan(self) -> list[LoopNode | Task]:
        """The nests, in order."""
        own: list[tuple[Task, Value]] = []
        old = set().union(*[self.lw.reads(r.value) for r in self.roots])
        for r in self.roots:
            value = self.lw.resolved(r.value)
            if isinstance(value, Node) and self._reduces_into(value, r):
                task = self._node_task(value, r)
            else:
                task = Task(value, loop_vars(len(r.shape)), list(r.shape), root=r)
            self.tasks.append(task)
            own.append((task, value))
            # what another root computes into memory that nobody reads yet is read from there
            if isinstance(value, Node) and r.combine is None and not r.scattered and value not in self.task_of:
                reduces = value.rule in REDUCTIONS and not task.reduced
                fresh = r.place is None or self._buffer(r) not in old
                if fresh and not reduces and same_shape(value.shape, r.shape):
                    self.task_of[value] = task
        for task, value in own:
            if isinstance(value, Node) and value.rule in REDUCTIONS and not task.reduced:
                self._visit(task, value, tuple([dim(v) for v in task.loops]))
            else:
                self._inside(task, value)
        while self._heap:
            _, _, node = heapq.heappop(self._heap)
            self._decide(node)
        self._schedule()
        self._storage()
        return self.groups

    # -- tasks -----------------------------------------------------------------------------------------------------

    def _reduces_into(self, node: Node, r: Root) -> bool:
        """Whether a reduction may accumulate where its root wants it: nobody else is read or written there."""
        if node.rule not in REDUCTIONS or r.combine is not None or r.scattered:
            return False
        if r.place is None:
            return True
        return self._buffer(r) not in self.lw.reads(node)

    @staticmethod
    def _buffer(r: Root) -> Buffer:
        assert r.place is not None
        return r.place(_Fixed(), tuple([dim(v) for v in loop_vars(len(r.shape))])).buffer

    def _node_task(self, node: Node, root: Root | None = None) -> Task:
        if node.rule == "arg":
            shape, (axis,) = shape_of(node.args[0]), node.axes
            sizes = [*shape[:axis], *shape[axis + 1 :], shape[axis]]
            return Task(node, loop_vars(len(sizes)), sizes, frozenset([len(sizes) - 1]), root)
        if node.rule == "reduce":
            shape = shape_of(node.args[0])
            return Task(node, loop_vars(len(shape)), list(shape), frozenset(node.axes), root)
        return Task(node, loop_vars(len(node.shape)), list(node.shape), root=root)

    def _inside(self, task: Task, value: Value) -> None:
        """Trace what a task reads."""
        index = task.source
        if isinstance(value, Node):
            task.cost += value.cost
            for a, i in self._children(task, value, index):
                self._visit(task, a, i)
        else:
            self._visit(task, value, index if shape_of(value) else ())

    def _children(self, task: Task, node: Node, index: Idx) -> list[tuple[Value, Idx]]:
        match node.rule:
            case "map":
                return [(a, index if shape_of(a) else ()) for a in node.args]
            case "reduce" | "arg":
                return [(node.args[0], index)]
            case "view":
                assert node.view is not None
                self._task = task
                return [node.view(self, index)]
            case "iota":
                whole = index == tuple(map(dim, task.loops)) and same_shape(node.shape, tuple(task.sizes))
                task.flat_ok = task.flat_ok and (whole or len(task.loops) <= 1)
                return []
        raise TypeError(f"no such rule: {node.rule}")

    def index_of(self, value: Value, index: Idx, wrap: Size | None) -> Size:
        """Stands for an index read from an integer array (see `weft.lowering.pull.Puller.index_of`)."""
        assert self._task is not None
        key = (id(value), index, self._task)
        if key not in self._opaque:
            self._opaque[key] = Var(scalar(i64), "g")
            self._opaque_vars.add(self._opaque[key])
            self._visit(self._task, value, index)
        return dim(self._opaque[key])

    def _visit(self, task: Task, value: Value, index: Idx) -> None:
        value = self.lw.resolved(value)
        match value:
            case Stored():
                task.reads.append(Read(value.buffer, index, value.shape))
            case Node():
                other = self.task_of.get(value)
                if other is not None:
                    task.reads.append(Read(other, index, value.shape))
                    return
                seen = self._contexts.get(value)
                if seen is None:
                    seen = self._contexts[value] = {}
                    heapq.heappush(self._heap, (-value.seq, id(value), value))
                seen.setdefault((id(task), index), task)

    def _decide(self, node: Node) -> None:
        contexts = self._contexts[node]
        must = node.rule in REDUCTIONS
        keep = not must and bool(node.shape) and self._cost(node) >= RECOMPUTE and self.lw.needed_later(node)
        if must or keep or self._repeats(node, contexts) > RECOMPUTE:
            task = self._node_task(node)
            task.keep = keep or (must and self.lw.needed_later(node))
            self.task_of[node] = task
            self.tasks.append(task)
            for (_, index), reader in contexts.items():
                reader.reads.append(Read(task, index, node.shape))
            self._inside(task, node)
            return
        for (_, index), reader in contexts.items():
            reader.cost += node.cost
            for a, i in self._children(reader, node, index):
                self._visit(reader, a, i)

    def _cost(self, node: Node) -> int:
        known = self._costs.get(node)
        if known is None:
            known = node.cost
            for a in node.args:
                a = self.lw.resolved(a)
                if isinstance(a, Node) and a.rule not in REDUCTIONS and a not in self.task_of:
                    known += self._cost(a)
            self._costs[node] = known
        return known

    def _repeats(self, node: Node, contexts: dict[tuple[int, Idx], Task]) -> int:
        """The additions per element that computing ``node`` where it is used would repeat."""
        if node.rule == "iota":
            return 0
        cost = self._cost(node)
        if not node.shape:
            return RECOMPUTE + 1 if len(contexts) > 1 and cost else 0
        total = (len(contexts) - 1) * cost
        for (_, index), task in contexts.items():
            used = {v for s in index for v in size_vars(s)}
            if used & self._opaque_vars:
                continue
            at = [k for k, v in enumerate(task.loops) if v in used]
            if any(task.loops[k] not in used for k in range(max(at, default=0))):
                total += UNKNOWN * cost
        return total

    # -- order and depth -------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        placed: set[Task] = set()
        todo = sorted(self.tasks, key=lambda t: (t.root is not None, t.value.seq if isinstance(t.value, Node) else 0))
        order = {id(r): k for k, r in enumerate(self.roots)}
        todo.sort(key=lambda t: order[id(t.root)] if t.root is not None else -1)
        while todo:
            ready = [t for t in todo if self._ready(t, todo)]
            if not ready:
                raise AssertionError("tasks depend on each other in a circle")
            depths = [(self._depth(t), t) for t in ready]
            depth, task = max(depths, key=lambda p: p[0])
            todo.remove(task)
            placed.add(task)
            self._place(task, depth)

    def _ready(self, task: Task, todo: list[Task]) -> bool:
        waiting = set(todo)
        if any(r.source in waiting and r.source is not task for r in task.reads):
            return False
        if task.root is None or task.root.place is None:
            return True
        target = self._target(task).buffer
        for other in todo:
            if other is task:
                continue
            if any(r.source is target for r in other.reads):
                # of two that read each other's targets, the first listed goes first
                theirs = self._target(other).buffer if other.root and other.root.place else None
                mutual = theirs is not None and any(r.source is theirs for r in task.reads)
                if not mutual or todo.index(other) < todo.index(task):
                    return False
        return True

    def _tail(self) -> list[LoopNode]:
        """The loops around the last statement of the last nest."""
        path: list[LoopNode] = []
        item = self.groups[-1] if self.groups else None
        while isinstance(item, LoopNode):
            path.append(item)
            item = item.items[-1]
        return path

    def _depth(self, task: Task) -> int:
        """How many loops of the last nest a task can share."""
        path = self._tail()
        if not path or not task.loops:
            return 0
        d = 0
        while d < min(len(path), len(task.loops)) and same_size(path[d].size, task.sizes[d]):
            d += 1
        related = d == len(path) == len(task.loops)
        sources = {id(r.source) for r in task.reads}
        for other in self._members(path[0]):
            common = 0
            while common < min(len(path), len(other.path)) and path[common] is other.path[common]:
                common += 1
            allowed = common
            for r in task.reads:
                if r.source is other:
                    related = True
                    allowed = min(allowed, self._same_leading(task, r.index, other.first_reduced))
                elif any(r.source is q.source for q in other.reads):
                    related = True
            allowed = min(allowed, self._anti(other, task, common))
            if id(other) in sources or allowed < common:
                d = min(d, allowed) if allowed < common else d
        return d if related else 0

    @staticmethod
    def _same_leading(task: Task, index: Idx, limit: int) -> int:
        n = 0
        while n < min(limit, len(index), len(task.loops)) and index[n] == dim(task.loops[n]):
            n += 1
        return n

    def _target(self, task: Task) -> Place:
        assert task.root is not None and task.root.place is not None
        self._task = task
        return task.root.place(self, task.index)

    def _anti(self, earlier: Task, task: Task, common: int) -> int:
        """How many loops may be shared although ``task`` overwrites what ``earlier`` reads."""
        if task.root is None or task.root.place is None:
            return common
        place = self._target(task)
        names = dict(zip(earlier.loops, task.loops, strict=False))

        def look(v: Var) -> Size | None:
            return dim(names[v]) if v in names else None

        for r in earlier.reads:
            if r.source is place.buffer:
                index = tuple([map_size(s, look) for s in r.index])
                if index != place.index or not same_shape(r.shape[1:], place.shape[1:]):
                    return 0
        return common

    def _members(self, item: LoopNode | Task) -> list[Task]:
        if isinstance(item, Task):
            return [item]
        return [t for i in item.items for t in self._members(i)]

    def _place(self, task: Task, depth: int) -> None:
        shared = self._tail()[:depth]
        task.rename({v: n.var for v, n in zip(task.loops, shared, strict=False)})
        fresh = [LoopNode(v, s) for v, s in zip(task.loops[depth:], task.sizes[depth:], strict=True)]
        task.path = shared + fresh
        inner: LoopNode | Task = task
        for n in reversed(fresh):
            n.items.append(inner)
            inner = n
        (shared[-1].items if shared else self.groups).append(inner)
        if task.reduced:
            task.path[task.first_reduced].starts.append(task)

    # -- storage ---------------------------------------------------------------------------------------------------

    def _storage(self) -> None:
        for task in self.tasks:
            if task.root is not None and task.root.place is not None:
                continue
            depth = len(task.shape) if not task.reduced else min(task.first_reduced, len(task.shape))
            for reader in self.tasks:
                if any(r.source is task for r in reader.reads):
                    common = 0
                    while common < min(len(task.path), len(reader.path)) and task.path[common] is reader.path[common]:
                        common += 1
                    depth = min(depth, common)
            task.depth = 0 if task.keep or task.root is not None else depth
            name = task.value.var.name if isinstance(task.value, Node) else ""
            if task.depth == len(task.shape) and not task.in_memory:
                dtype = self.lw.value_dtype(task.value)
                task.scalar = Var(scalar(dtype), name)


def flat_size(planner: Planner, group: LoopNode | Task, members: list[Task]) -> list[Var] | None:
    """The loops of a nest, if it can run over all its elements as one: every access is to the same position."""
    if not isinstance(group, LoopNode) or len(members[0].loops) < 2:
        return None
    loops = members[0].loops
    whole = tuple([dim(v) for v in loops])
    for t in members:
        if t.loops != loops or not t.flat_ok or (t.reduced and len(t.reduced) != len(loops)):
            return None
        if isinstance(t.value, Node) and t.value.rule == "arg":
            return None
        for r in t.reads:
            if r.index == ():
                continue
            if r.index != whole or not same_shape(r.shape, tuple(t.sizes)):
                return None
            if not isinstance(r.source, Buffer) and r.source.scalar is None and r.source.depth:
                return None
        if t.root is not None and t.root.place is not None and not t.reduced:
            p = planner._target(t)
            if p.index != whole or not same_shape(p.shape[1:], tuple(t.sizes[1:])):
                return None
    return loops


__all__ = ["LoopNode", "Planner", "Read", "Root", "Task", "flat_size"]
