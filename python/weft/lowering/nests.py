"""Planned tasks to loops: expressions for elements, what is invariant hoisted, storage for intermediate results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weft.ir.nodes import Var, lit
from weft.ir.primitive import REGISTRY, Primitive, Reduce
from weft.ir.sizes import Shape, Size, dim, size_vars
from weft.ir.types import bool_, i64, scalar
from weft.lowering.fuse import REDUCTIONS, LoopNode, Planner, Root, Task, flat_size, loop_vars
from weft.lowering.loops import (
    Apply,
    Assign,
    Branch,
    Buffer,
    Builtin,
    Combine,
    Const,
    Expr,
    Index,
    Let,
    Load,
    Loop,
    Place,
    Product,
    Ref,
    Stmt,
    Write,
)  # fmt: skip
from weft.lowering.values import Idx, Node, Stored, Value, is_expr, is_simple, sub_exprs

if TYPE_CHECKING:
    from weft.lowering.state import Lowering

LONG = 24  # operations in one printed expression


def compute(lw: Lowering, roots: list[Root]) -> None:
    """Emit the nests that compute ``roots``, and remember where their values are."""
    _Emitter(lw, Planner(lw, roots)).run()


def element(lw: Lowering, value: Value, index: Idx) -> Expr:
    """One element of a value, outside any nest."""
    e = _Emitter(lw, None)
    return e.finish(e.pull(value, index))


class _Emitter:
    def __init__(self, lw: Lowering, planner: Planner | None) -> None:
        self.lw = lw
        self.planner = planner
        self.lists: list[list[Stmt]] = [lw.stmts]
        self.level_of: dict[Var, int] = {}
        self.made_at: dict[Buffer, int] = {}  # the innermost loop in which a part of an array is computed
        self.memo: dict[Any, Expr] = {}
        self.named: dict[int, tuple[Expr, Expr, int]] = {}  # id -> (expression kept alive, its name, level)
        self.hints: dict[int, str] = {}
        self.flat: tuple[Idx, Idx, Shape] | None = None
        self.setup: list[Stmt] | None = None
        self.current: Task | None = None
        self.acc: dict[Task, Var] = {}  # accumulators of reductions
        self.best: dict[Task, Var] = {}  # extrema of those that find positions

    # -- nests -----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        assert self.planner is not None
        groups = self.planner.plan()
        for group in groups:
            self.group(group)
        for t in self.planner.tasks:
            if (t.root is None and not t.keep) or not isinstance(t.value, Node):
                continue
            if t.scalar is not None:
                self.lw.set_done(t.value, Ref(t.scalar))
            elif t.buffer is not None:
                self.lw.set_done(t.value, Stored(t.buffer, t.value.shape))

    def group(self, group: LoopNode | Task) -> None:
        assert self.planner is not None
        members = self.planner._members(group)
        self.flat = None
        self.setup = [] if isinstance(group, LoopNode) else None
        loops = flat_size(self.planner, group, members)
        if loops is not None:
            sizes = tuple(members[0].sizes)
            if all(isinstance(s, int) for s in sizes):
                total: Size = 1
                for s in sizes:
                    total = total * s  # type: ignore[operator]
            else:
                count = Var(scalar(i64), "count")
                self.lw.emit(Let(count, Product(sizes)))
                total = dim(count)
            v = Var(scalar(i64), "i")
            self.flat = (tuple([dim(x) for x in loops]), (dim(v),), (total,))
            node = LoopNode(v, total, list(members), [t for t in members if t.reduced])
            group = node
        for t in members:
            if t.scalar is None and (t.root is None or t.root.place is None):
                self._give_buffer(t)
        self.item(group, 0)

    def _give_buffer(self, t: Task) -> None:
        shape = t.shape[t.depth :]
        name = t.value.var.name if isinstance(t.value, Node) else ""
        dtype = self.lw.value_dtype(t.value)
        if t.depth and self.setup is not None:
            t.buffer = self.lw.new_inner(dtype, shape, name, self.setup)
            self.made_at[t.buffer] = t.depth - 1
        else:
            t.buffer = self.lw.new_buffer(dtype, shape, name, t.value.var if isinstance(t.value, Node) else None)

    def item(self, item: LoopNode | Task, level: int) -> None:
        if isinstance(item, Task):
            self.leaf(item)
            return
        for t in item.starts:
            self.start(t, item)
        body: list[Stmt] = []
        self.lists.append(body)
        self.level_of[item.var] = level
        for i in item.items:
            self.item(i, level + 1)
        self.lists.pop()
        members = [t for i in item.items for t in self.planner._members(i)] if self.planner else []
        loop = self._loop(item, body, level, members)
        self.lists[-1].append(loop)
        for t in item.starts:
            self.end(t)

    def _loop(self, item: LoopNode, body: list[Stmt], level: int, members: list[Task]) -> Loop:
        reducing = [t for t in members if self._reduced_by(t, item)]
        plain = [t for t in reducing if t.scalar is not None or not t.in_memory]
        position = any(isinstance(t.value, Node) and t.value.rule == "arg" for t in reducing)
        scattered = any(t.root is not None and t.root.scattered for t in members)
        leaf = all(isinstance(i, Task) for i in item.items)
        loop = Loop(item.var, item.size, body)
        loop.vector = leaf and not position and not scattered and (len(plain) == len(reducing))
        loop.parallel = (
            level == 0 and not position and not scattered and len(plain) == len(reducing) and self.lw.parallel_ok
        )
        loop.reductions = [(t.value.prim, self.acc[t]) for t in plain if not position]  # type: ignore[union-attr,misc]
        for t in reducing:
            if t in self.best and isinstance(t.value, Node) and t.value.prim is not None:
                loop.extrema.append((t.value.prim, self.best[t], self.acc[t]))
        if level == 0:
            assert self.setup is not None
            loop.setup = self.setup
            loop.cost = sum(t.cost for t in members)
            longest = max(members, key=lambda t: len(t.path))
            loop.inner = () if self.flat else tuple([n.size for n in longest.path[1:]])
        loop.loc = next((t.value.loc for t in members if isinstance(t.value, Node) and t.value.loc), None)
        return loop

    def _reduced_by(self, t: Task, item: LoopNode) -> bool:
        if not t.reduced:
            return False
        return bool(self.flat) or t.path.index(item) in t.reduced

    # -- reductions ------------------------------------------------------------------------------------------------

    def start(self, t: Task, item: LoopNode) -> None:
        node = t.value
        assert isinstance(node, Node) and node.prim is not None
        kind = node.prim.kind
        assert isinstance(kind, Reduce)
        if node.rule == "arg":
            self._start_position(t, node)
            return
        first = Const(lit(kind.init(node.dtype), node.dtype).value, node.dtype)
        if not t.in_memory:
            acc = t.scalar or Var(scalar(node.dtype), node.var.name or "s")
            self.acc[t] = acc
            self.level_of[acc] = len(self.lists) - 2
            self.lists[-1].append(Let(acc, first, mutable=True))
            return
        # partial results in memory: the kept loops inside the first reduced one are run once to set them
        kept = [k for k in range(t.first_reduced, len(t.loops)) if k not in t.reduced]
        fresh = loop_vars(len(kept))
        index = tuple([dim(v) for k, v in enumerate(t.loops) if k not in t.reduced and k < t.first_reduced])
        index += tuple([dim(v) for v in fresh])
        inner: list[Stmt] = [Write(self.target(t, index), first)]
        for n, (v, k) in enumerate(reversed(list(zip(fresh, kept, strict=True)))):
            inner = [Loop(v, t.sizes[k], inner, vector=n == 0)]
        self.lists[-1].extend(inner)

    def end(self, t: Task) -> None:
        if t.in_memory or t.scalar is not None:
            return
        self.lists[-1].append(self._write(t, self.target(t, t.index), Ref(self.acc[t])))

    def _start_position(self, t: Task, node: Node) -> None:
        """An argmax keeps the extremum and its position."""
        source = self.lw.value_dtype(node.args[0])
        best, where = Var(scalar(source), "best"), t.scalar or Var(scalar(node.dtype), node.var.name or "at")
        self.acc[t] = where
        self.best[t] = best
        self.level_of[where] = len(self.lists) - 2
        self.lists[-1].append(Let(where, Const(lit(0, node.dtype).value, node.dtype), mutable=True))
        self.lists[-1].append(Let(best, Const(lit(0, source).value, source), mutable=True))

    # -- leaves ----------------------------------------------------------------------------------------------------

    def target(self, t: Task, index: Idx) -> Place:
        """Where element ``index`` of a task's result is."""
        if t.root is not None and t.root.place is not None:
            return self._flat_place(t.root.place(self, index))
        assert t.buffer is not None
        return self._flat_place(Place(t.buffer, index[t.depth :], t.shape[t.depth :]))

    def _flat_place(self, p: Place) -> Place:
        if self.flat and p.index == self.flat[0]:
            return Place(p.buffer, self.flat[1], self.flat[2])
        return p

    def _write(self, t: Task, place: Place, e: Expr) -> Write:
        loc = t.root.loc if t.root is not None else None
        return Write(place, e, t.root.combine if t.root is not None else None, loc)

    def leaf(self, t: Task) -> None:
        self.current = t
        whole = t.source
        value = self.lw.resolved(t.value) if not isinstance(t.value, Node) else t.value
        if isinstance(value, Node) and (t.reduced or value.rule not in REDUCTIONS):
            own = self._inside(value, whole)
        elif isinstance(value, Node):
            own = self.pull(value, whole)
        else:
            own = self.pull(value, whole if isinstance(value, Stored) else ())
        if not t.reduced:
            if t.scalar is not None:
                e = self.finish(own)
                self._let(t.scalar, e)
            else:
                place = self.target(t, t.index)
                self.lists[-1].append(self._write(t, place, self.finish(own)))
                self._forget_loads(place.buffer)
            return
        node = t.value
        assert isinstance(node, Node) and node.prim is not None
        if node.rule == "arg":
            best, where = self.best[t], self.acc[t]
            (axis,) = t.reduced
            e = self.finish(own)
            if not isinstance(e, Ref):
                v = Var(scalar(e.dtype), "x")
                self._let(v, e)
                e = Ref(v)
            self.lists[-1].append(_better(node.prim, e, best, where, dim(t.loops[axis])))
            return
        e = self.finish(own)
        if t.in_memory:
            place = self.target(t, t.index)
            e = Combine(node.prim, Load(place), e, node.dtype)
            self.lists[-1].append(Write(place, e))
        else:
            acc = self.acc[t]
            self.lists[-1].append(Assign(acc, Combine(node.prim, Ref(acc), e, node.dtype)))

    def _forget_loads(self, b: Buffer) -> None:
        """Expressions remembered as text that read ``b`` are stale once it is written."""
        from weft.lowering.values import loads

        stale = [k for k, e in self.memo.items() if any(x.place.buffer is b for x in loads(e))]
        for k in stale:
            del self.memo[k]

    # -- elements --------------------------------------------------------------------------------------------------

    def pull(self, value: Value, index: Idx) -> Expr:
        """The expression for one element."""
        value = self.lw.resolved(value)
        if isinstance(value, Stored):
            return Load(self._flat_place(Place(value.buffer, index, value.shape)))
        if not isinstance(value, Node):
            return value
        task = self.planner.task_of.get(value) if self.planner is not None else None
        if task is not None and task is not self.current:
            if task.scalar is not None:
                return Ref(task.scalar)
            return Load(self.target(task, index))
        return self._inside(value, index)

    def _inside(self, node: Node, index: Idx) -> Expr:
        key = (node, index)
        e = self.memo.get(key)
        if e is None:
            e = self._element(node, index)
            if not is_simple(e):
                self.memo[key] = e
                if node.var.name:
                    self.hints.setdefault(id(e), node.var.name)
        return e

    def _element(self, node: Node, index: Idx) -> Expr:
        match node.rule:
            case "map":
                args = tuple([self.pull(a, index if self.lw.rank(a) else ()) for a in node.args])
                assert node.prim is not None
                return self.lw.apply(node.prim, args, node.dtype)
            case "view":
                assert node.view is not None
                value, inner = node.view(self, index)
                return self.pull(value, inner)
            case "iota":
                return self._order(node, index)
            case "reduce" | "arg":
                if self.current is not None and self.current.value is node:
                    return self.pull(node.args[0], index)
                self.lw.force(node)
                return self.pull(node, index)
        raise TypeError(f"no such rule: {node.rule}")

    def _order(self, node: Node, index: Idx) -> Expr:
        """The place of an index in row-major order."""
        if self.flat and index == self.flat[0]:
            return self.lw.cast_index(self.flat[1][0], node.dtype)
        place: Expr = Index(index[0])
        for n, k in zip(node.shape[1:], index[1:], strict=True):
            rows = self.lw.apply(REGISTRY["mul"], (place, Index(n)), i64)
            place = self.lw.apply(REGISTRY["add"], (rows, Index(k)), i64)
        return place if node.dtype == i64 else self.lw.apply(REGISTRY["cast"], (place,), node.dtype)

    def index_of(self, value: Value, index: Idx, wrap: Size | None) -> Size:
        """An index read from an integer array, negative ones counted from the end of an axis of size ``wrap``."""
        key = ("index", value if is_expr(value) or isinstance(value, Node) else id(value), index, wrap)
        known = self.memo.get(key)
        if known is None:
            e = self.lw.as_i64(self.pull(value, index))
            if wrap is not None:
                e = Builtin("wrap", (e, Index(wrap)), i64)
            counts: dict[int, int] = {}
            self._count(e, counts)
            e, level, _ = self._shape(e, counts)
            if isinstance(e, Index):
                return e.size
            v = Var(scalar(i64), "at")
            self.level_of[v] = level
            self.lists[level + 1].append(Let(v, e))
            known = self.memo[key] = Ref(v)
        assert isinstance(known, Ref)
        return dim(known.var)

    # -- placing expressions ---------------------------------------------------------------------------------------

    def level(self, e: Expr) -> int:
        """The innermost loop on which an expression itself depends (-1: none), its arguments aside."""
        match e:
            case Ref():
                return self.level_of.get(e.var, -1)
            case Index():
                return max([self.level_of.get(v, -1) for v in size_vars(e.size)], default=-1)
            case Load():
                known = self.made_at.get(e.place.buffer, -1)
                return max(
                    [known, *[self.level_of.get(v, -1) for s in (*e.place.index, *e.place.shape) for v in size_vars(s)]]
                )
        return -1

    def _let(self, v: Var, e: Expr) -> None:
        """Name an expression in the innermost loop body."""
        self.level_of[v] = len(self.lists) - 2
        self.lists[-1].append(Let(v, e))

    def finish(self, e: Expr) -> Expr:
        """``e`` ready to print here: shared and long parts are named, what does not change in a loop before it."""
        counts: dict[int, int] = {}
        self._count(e, counts)
        return self._shape(e, counts)[0]

    def _count(self, e: Expr, counts: dict[int, int]) -> None:
        counts[id(e)] = counts.get(id(e), 0) + 1
        if counts[id(e)] == 1:
            for s in sub_exprs(e):
                self._count(s, counts)

    def _shape(self, e: Expr, counts: dict[int, int]) -> tuple[Expr, int, int]:
        """The expression to print for ``e``, its level and its weight."""
        known = self.named.get(id(e))
        if known is not None and known[2] < len(self.lists) - 1 and known[0] is e:
            return known[1], known[2], 0
        if is_simple(e):
            return e, self.level(e), 0 if not isinstance(e, Index) else 1
        args = [self._shape(s, counts) for s in sub_exprs(e)]
        level = max([self.level(e), *[a[1] for a in args]])
        kept = []
        for s, (text, at, w) in zip(sub_exprs(e), args, strict=True):
            if at < level and not is_simple(text):
                text = self._name(s, text, at)
            kept.append(text)
            args[len(kept) - 1] = (text, at, 0 if isinstance(text, Ref) else w)
        out = _rebuilt(e, tuple(kept))
        size = 1 + sum(a[2] for a in args)
        if counts[id(e)] > 1 or size > LONG:
            return self._name(e, out, level), level, 0
        return out, level, size

    def _name(self, e: Expr, out: Expr, level: int) -> Expr:
        v = Var(scalar(out.dtype), self.hints.get(id(e), "t"))
        self.level_of[v] = level
        self.lists[level + 1].append(Let(v, out))
        self.named[id(e)] = (e, Ref(v), level)
        return Ref(v)


def _rebuilt(e: Expr, args: tuple[Expr, ...]) -> Expr:
    if all(a is b for a, b in zip(args, sub_exprs(e), strict=True)):
        return e
    match e:
        case Apply():
            return Apply(e.prim, args, e.dtype)
        case Builtin():
            return Builtin(e.name, args, e.dtype)
        case Combine():
            return Combine(e.prim, args[0], args[1], e.dtype)
    raise TypeError(f"not an expression with arguments: {e!r}")


def _better(prim: Primitive, x: Expr, best: Var, where: Var, position: Size) -> Stmt:
    """``if (x is better than best) best = x, where = position``; the first element always is."""
    at = Index(position)
    test = Builtin("first or", (at, Combine(prim, Ref(best), x, bool_)), bool_)
    return Branch(test, [Assign(best, x), Assign(where, at)], [])
