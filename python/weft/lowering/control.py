"""Structured control flow: loops with carries, branches, parallel comprehensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from weft.ir.nodes import Atom, Block, For, If, Map, Op, Stmt, Var, While, free_vars, walk
from weft.ir.primitive import REGISTRY, Loops
from weft.ir.sizes import Shape, Size, dim
from weft.ir.types import i64, scalar
from weft.lowering import loops as L
from weft.lowering.inplace import own, settle, write_row
from weft.lowering.state import Stack
from weft.lowering.values import Node, Stored, Value, expr_vars, is_expr, is_simple, loads

if TYPE_CHECKING:
    from weft.lowering.state import Lowering

CHEAP = 1  # additions per element that a value captured by a loop may cost each time


def block(lw: Lowering, b: Block) -> None:
    """Lower a block's statements into the current frame, and make it ready for its results."""
    from weft.lowering.ops import statement

    for k, s in enumerate(b.stmts):
        lw.frame.pos = k
        statement(lw, s)
        lw.frame.own.update(s.outs)
    lw.frame.pos = len(b.stmts)


def capture(lw: Lowering, body: Block | Stmt) -> frozenset[Var]:
    """The variables a loop's body uses from outside; pending ones are computed first unless they cost nothing."""
    free = free_vars(body)
    nodes: list[Value] = []
    for v in free:
        value = lw.resolved(lw.env[v]) if v in lw.env else None
        if isinstance(value, Node) and (not value.shape or _cost(lw, value) > CHEAP):
            nodes.append(value)
        elif value is not None and is_expr(value) and not is_simple(value):  # type: ignore[arg-type]
            lw.named(v, v.name or "t")
    lw.force(*nodes)
    return frozenset(free)


def _cost(lw: Lowering, v: Value) -> int:
    v = lw.resolved(v)
    if not isinstance(v, Node):
        return 0
    return (1000 if v.rule in ("reduce", "arg") else v.cost) + sum(_cost(lw, a) for a in v.args)


class Carries:
    """The carried values of a loop: scalars in mutable variables, arrays in memory of their own."""

    def __init__(self, lw: Lowering, inits: tuple[Atom, ...], params: tuple[Var, ...], outs: tuple[Var, ...]) -> None:
        self.lw, self.params, self.outs = lw, params, outs
        self.buffers: list[L.Buffer | None] = []
        self.shapes: list[Shape] = []
        self.own: list[L.Buffer] = []
        taken: list[L.Buffer] = []
        readers: list[Value] = []
        for i, p in zip(inits, params, strict=True):  # views of what will be overwritten
            value = lw.value(i)
            if p.type.shape and isinstance(value, Stored):
                readers += [v for _, v in lw.pending_readers(value.buffer) if isinstance(v, Node)]
        lw.force(*readers)
        for i, p, o in zip(inits, params, outs, strict=True):
            shape = lw.shape(p.type.shape)
            self.shapes.append(shape)
            if not shape:
                lw.emit(L.Let(p, lw.scalar(i), mutable=True))
                self.buffers.append(None)
                continue
            o.name = o.name or p.name
            old = lw.value(i)
            b = own(lw, old, o, taken=taken)
            if not (isinstance(old, Stored) and old.buffer is b and b.home == "param"):
                self.own.append(b)
            lw.before_write(b)
            taken.append(b)
            self.buffers.append(b)

    def bind(self, params: tuple[Var, ...]) -> None:
        """Make a block's parameters stand for the carried values."""
        for p, mine, b, shape in zip(params, self.params, self.buffers, self.shapes, strict=True):
            if b is None:
                self.lw.env[p] = L.Ref(mine)
            else:
                self.lw.env[p] = Stored(b, shape)
                self.lw.holders.setdefault(b, set()).add(p)

    def step(self, results: tuple[Atom, ...], swap: bool = True) -> None:
        """The next values, all assigned at once."""
        lw = self.lw
        self.lw.frame.movable.update(b for b in self.own if b.takes)
        scalars = self.scalars(results)
        arrays = [k for k, b in enumerate(self.buffers) if b is not None]
        targets = [self.buffers[k] for k in arrays]
        settle(
            lw, [lw.value(results[k]) for k in arrays], targets, [self.shapes[k] for k in arrays], swap  # type: ignore[arg-type]
        )  # fmt: skip
        self.assign(scalars)

    def scalars(self, results: tuple[Atom, ...]) -> dict[int, L.Expr]:
        """The scalars' next values; what reads memory is read now."""
        found: dict[int, L.Expr] = {}
        self.lw.force(*[self.lw.value(r) for r, b in zip(results, self.buffers, strict=True) if b is None])
        for k, (r, b) in enumerate(zip(results, self.buffers, strict=True)):
            if b is None:
                e = self.lw.scalar(r)
                found[k] = self.lw.named(r) if any(True for _ in loads(e)) else e
        return found

    def assign(self, nexts: dict[int, L.Expr]) -> None:
        """Assign scalars; a value that names a variable assigned before it is saved first."""
        done: set[Var] = set()
        changed = {k: e for k, e in nexts.items() if not (isinstance(e, L.Ref) and e.var is self.params[k])}
        for k, e in changed.items():
            if done & set(expr_vars(e)):
                changed[k] = L.Ref(self.lw.temp(self.params[k].name, e))
            done.add(self.params[k])
        for k, e in changed.items():
            self.lw.emit(L.Assign(self.params[k], e))

    def finish(self) -> None:
        """Bind the loop's results."""
        for o, p, b, shape in zip(self.outs, self.params, self.buffers, self.shapes, strict=True):
            if b is None:
                self.lw.home[p] = len(self.lw.frames) - 1
                self.lw.env[o] = L.Ref(p)
            else:
                self.lw.define(o, Stored(b, shape))


def _stacks(lw: Lowering, outs: Sequence[Var]) -> list[Stack]:
    """Memory for collected values: a row of the loop's around, where that collects them in turn."""
    found = []
    for o in outs:
        row = lw.rows.get(o)
        if row is None:
            shape = lw.shape(o.type.shape)
            row = Stack(lw.new_buffer(o.type.dtype, shape, o.name or "stack", o), shape)
        found.append(row)
    return found


def _rows(lw: Lowering, body: Block, collected: Sequence[Atom], stacks: Sequence[Stack], at: tuple[Size, ...]) -> None:
    """Let loops in a body collect into this one's memory, where it wants nothing else with what they collect."""
    inner = {o for s in body.stmts if isinstance(s, For | Map) for o in s.outs[len(s.inits) :]}
    for r, stack in zip(collected, stacks, strict=True):
        if not isinstance(r, Var) or not r.type.shape:
            continue
        row = Stack(stack.buffer, stack.shape, (*stack.lead, *at))
        if r in inner and lw.uses.get(r, 0) == 1:
            lw.rows[r] = row
        elif r not in inner:
            lw.row_of[r] = row, len(lw.frames)


def _collect(lw: Lowering, results: Sequence[Atom], stacks: Sequence[Stack], at: tuple[Size, ...], loc: Any) -> None:
    """Write an iteration's collected values."""
    for r, stack in zip(results, stacks, strict=True):
        if r in lw.rows:
            continue
        value = lw.value(r)
        there = isinstance(value, Stored) and value.buffer.row is not None and value.buffer.row.buffer is stack.buffer
        if not there:
            write_row(lw, value, stack.buffer, stack.shape, (*stack.lead, *at), loc)


def _keep(lw: Lowering, outs: Sequence[Var], stacks: Sequence[Stack]) -> None:
    """Bind a loop's collected values."""
    for o, stack in zip(outs, stacks, strict=True):
        if not stack.lead:
            lw.define(o, Stored(stack.buffer, stack.shape))


def settle_twice(lw: Lowering, results: tuple[Atom, ...]) -> None:
    """A pending value that is several results is computed once."""
    seen: set[Node] = set()
    for r in results:
        if r in lw.rows:
            continue
        v = lw.value(r)
        if isinstance(v, Node):
            if v in seen:
                lw.force(v)
            seen.add(v)


def lower_for(lw: Lowering, s: For) -> None:
    """A counted loop."""
    trip = lw.size(s.trip)
    n = len(s.inits)
    k, params = s.body.params[0], s.body.params[1:]
    captured = capture(lw, s.body)
    before, lw.also_live = lw.also_live, lw.also_live | captured
    carries = Carries(lw, s.inits, params, s.outs[:n])
    stacks = _stacks(lw, s.outs[n:])
    lw.also_live = before
    lw.heavy = True
    frame = lw.push(s.body, "loop", captured)
    _rows(lw, s.body, s.body.results[n:], stacks, (dim(k),))
    lw.env[k] = L.Ref(k)
    lw.bounds[k] = trip
    carries.bind(params)
    block(lw, s.body)
    settle_twice(lw, s.body.results)
    _collect(lw, s.body.results[n:], stacks, (dim(k),), s.loc)
    carries.step(s.body.results[:n])
    lw.pop()
    _leave(lw, frame)
    lw.emit(L.Loop(k, trip, frame.stmts, reverse=s.reverse, loc=s.loc, fails=frame.fails))
    carries.finish()
    _keep(lw, s.outs[n:], stacks)


def _leave(lw: Lowering, frame: object) -> None:
    from weft.lowering.state import Frame

    assert isinstance(frame, Frame)
    for a in frame.hoisted:
        lw.emit(a)
    if frame.effects:
        lw.frame.effects = True


def lower_while(lw: Lowering, s: While) -> None:
    """A loop with a condition; collected values grow."""
    n = len(s.inits)
    captured = capture(lw, s.cond) | capture(lw, s.body)
    before, lw.also_live = lw.also_live, lw.also_live | captured
    carries = Carries(lw, s.inits, s.body.params, s.outs[:n])
    lw.also_live = before
    trip = s.outs[n]
    stacks: list[tuple[L.Buffer, Shape, Var]] = []
    counted = bool(s.outs[n + 1 :]) or lw.uses.get(trip, 0) > 0
    if counted:
        lw.emit(L.Let(trip, L.Index(0), mutable=True))
        lw.bounds[trip] = None
    for o in s.outs[n + 1 :]:
        capacity = Var(scalar(i64), "capacity")
        lw.emit(L.Let(capacity, L.Index(16), mutable=True))
        row = lw.shape(o.type.shape[1:])
        b = L.Buffer(o.name or "stack", o.type.dtype, (dim(capacity), *row), moves=True)
        lw.emit(L.Alloc(b))
        if len(lw.frames) > 1:
            lw.frame.release.append(b)
        stacks.append((b, row, capacity))
    lw.heavy = True
    frame = lw.push(s.cond, "loop", captured | frozenset(s.body.params))
    carries.bind(s.cond.params)
    block(lw, s.cond)
    test = lw.scalar(s.cond.results[0])
    lw.pop()
    _leave(lw, frame)
    head = frame.stmts
    frame = lw.push(s.body, "loop", captured)
    carries.bind(s.body.params)
    block(lw, s.body)
    settle_twice(lw, s.body.results)
    for r, (b, row, capacity) in zip(s.body.results[n:], stacks, strict=True):
        lw.emit(L.Grow(b, capacity, dim(trip) + 1, row))
        write_row(lw, lw.value(r), b, (dim(capacity), *row), (dim(trip),), s.loc)
    carries.step(s.body.results[:n])
    if counted:
        lw.emit(L.Assign(trip, L.Index(dim(trip) + 1)))
    lw.pop()
    _leave(lw, frame)
    lw.emit(L.Forever(head, test, frame.stmts, s.loc))
    carries.finish()
    if counted:
        lw.home[trip] = len(lw.frames) - 1
        lw.env[trip] = L.Ref(trip)
    for o, (b, row, _) in zip(s.outs[n + 1 :], stacks, strict=True):
        lw.define(o, Stored(b, (dim(trip), *row)))


# -- branches ------------------------------------------------------------------------------------------------------


def lower_if(lw: Lowering, s: If) -> None:
    """Two branches whose results end in the same variables and memory."""
    test = lw.scalar(s.pred)
    _protect(lw, s)
    targets: dict[int, L.Buffer] = {}
    inherited: set[int] = set()
    for k, o in enumerate(s.outs):
        if not o.type.shape:
            lw.emit(L.Let(o, None, mutable=True))
            continue
        old = _inherited(lw, s, k, list(targets.values()))
        if old is not None:
            lw.before_write(old)
            targets[k] = old
            inherited.add(k)
        else:
            targets[k] = lw.new_buffer(o.type.dtype, lw.shape(o.type.shape), o.name or "t", o)
    lists: list[list[L.Stmt]] = []
    for b in (s.then, s.orelse):
        frame = lw.push(b, "if")
        outer, lw.reuse = lw.reuse, {}
        made = {o for x in b.stmts for o in x.outs}
        for k, t in targets.items():
            if k not in inherited:
                lw.reuse.update({v: t for v in _chain(b, b.results[k]) if v in made and v not in lw.reuse})
        block(lw, b)
        settle_twice(lw, b.results)
        lw.reuse = outer
        exprs = {}
        lw.force(*[lw.value(r) for r in b.results if not r.type.shape])
        for k, (o, r) in enumerate(zip(s.outs, b.results, strict=True)):
            if not o.type.shape:
                e = lw.scalar(r)
                exprs[k] = lw.named(r) if any(True for _ in loads(e)) else e
        arrays = list(targets)
        settle(
            lw, [lw.value(b.results[k]) for k in arrays], [targets[k] for k in arrays],
            [lw.shape(s.outs[k].type.shape) for k in arrays], False,
        )  # fmt: skip
        for k, e in exprs.items():
            lw.emit(L.Assign(s.outs[k], e))
        lw.pop()
        if frame.effects:
            lw.frame.effects = True
        lists.append(frame.stmts)
    lw.emit(L.Branch(test, lists[0], lists[1], s.loc))
    for k, o in enumerate(s.outs):
        if k in targets:
            lw.define(o, Stored(targets[k], lw.shape(o.type.shape)))
        else:
            lw.env[o] = L.Ref(o)


def _protect(lw: Lowering, s: If) -> None:
    """Compute what is needed after the branches and reads memory that they might overwrite."""
    writes = any(is_update(x) or isinstance(x, For | While | Map) for b in (s.then, s.orelse) for x in walk(b))
    free = free_vars(s) if writes else []
    nodes: list[Value] = []
    for v in free_vars(s):
        value = lw.resolved(lw.env[v]) if v in lw.env else None
        if isinstance(value, Node) and ((lw.live_after(v) and _cost(lw, value) > CHEAP) or not value.shape):
            nodes.append(value)
        elif isinstance(value, Stored) and v in free and not lw.live_after(v) and lw.writable(value.buffer):
            lw.before_write(value.buffer)
    lw.force(*nodes)


def is_update(s: Stmt) -> bool:
    """Whether a statement is a `store` or `accum`."""
    return isinstance(s, Op) and isinstance(s.prim.kind, Loops) and s.prim.kind.rule in ("store", "accum")


def _chain(b: Block, r: Atom) -> list[Var]:
    """The variables whose memory a block's result would take over, each from the next; the last is from outside."""
    made = {o: s for s in b.stmts for o in s.outs}
    found: list[Var] = []
    while isinstance(r, Var):
        found.append(r)
        s = made.get(r)
        match s:
            case Op() if is_update(s):
                r = s.args[0]
            case For() | While() if s.outs.index(r) < len(s.inits):
                r = s.inits[s.outs.index(r)]
            case Map() if s.outs.index(r) < len(s.inits):
                r = s.inits[s.outs.index(r)]
            case If():
                k = s.outs.index(r)
                for inner in (s.then, s.orelse):
                    end = _chain(inner, inner.results[k])
                    if end and end[-1] not in {o for x in inner.stmts for o in x.outs}:
                        r = end[-1]
                        break
                else:
                    break
            case _:
                break
    return found


def _inherited(lw: Lowering, s: If, k: int, taken: list[L.Buffer]) -> L.Buffer | None:
    """The memory of an array from outside that a branch turns into its result and nobody needs afterwards."""
    for b in (s.then, s.orelse):
        chain = _chain(b, b.results[k])
        if not chain or chain[-1] not in lw.env:
            continue
        value = lw.value(chain[-1])
        if not isinstance(value, Stored) or value.shape != lw.shape(s.outs[k].type.shape):
            continue
        x = value.buffer
        if lw.writable(x) and not lw.held(x) and x not in taken:
            return x
    return None


# -- parallel comprehensions -----------------------------------------------------------------------------------------


def lower_map(lw: Lowering, s: Map) -> None:
    """A parallel comprehension."""
    sizes = lw.shape(s.sizes)
    m, n = len(sizes), len(s.inits)
    indices, params = s.body.params[:m], s.body.params[m:]
    captured = capture(lw, s.body)
    before, lw.also_live = lw.also_live, lw.also_live | captured
    carries = Carries(lw, s.inits, params, s.outs[:n])
    stacks = _stacks(lw, s.outs[n:])
    lw.also_live = before
    lw.heavy = True
    nested = not lw.parallel_ok
    frame = lw.push(s.body, "map", captured)
    lead: tuple[Size, ...] = tuple([dim(i) for i in indices])
    _rows(lw, s.body, s.body.results[n:], stacks, lead)
    for i, z in zip(indices, sizes, strict=True):
        lw.env[i] = L.Ref(i)
        lw.bounds[i] = z
    carries.bind(params)
    block(lw, s.body)
    settle_twice(lw, s.body.results)
    _collect(lw, s.body.results[n:], stacks, lead, s.loc)
    carries.step(s.body.results[:n], swap=False)
    lw.pop()
    body = frame.stmts
    inner: list[Size] = []
    arrays = any(b is not None for b in carries.buffers)
    parallel = not nested and not arrays and not frame.effects
    for i, z in reversed(list(zip(indices, sizes, strict=True))):
        body = [L.Loop(i, z, body, loc=s.loc)]
        inner.insert(0, z)
    (loop,) = body
    assert isinstance(loop, L.Loop)
    loop.parallel, loop.setup, loop.fails = parallel, frame.setup, frame.fails
    loop.inner, loop.cost = tuple(inner[1:]), _block_cost(s.body)
    if parallel:
        loop.reductions = [(REGISTRY["reduce_sum"], p) for p in params]
    else:
        for a in frame.setup:
            lw.emit(a)
        loop.setup = []
        if frame.effects:
            lw.frame.effects = True
    lw.emit(loop)
    carries.finish()
    _keep(lw, s.outs[n:], stacks)


def _block_cost(b: Block) -> int:
    """A guess at what a lane costs."""
    total = 0
    for s in b.stmts:
        match s:
            case Op():
                kind = s.prim.kind
                total += getattr(kind, "cost", 2) * (1 if all(not o.type.shape for o in s.outs) else 16)
            case For() | While() | Map():
                total += 16 * _block_cost(s.body)
            case If():
                total += max(_block_cost(s.then), _block_cost(s.orelse))
            case _:
                total += 10
    return total + 1
