"""The state of lowering one function: what each variable stands for, what is still needed, and memory.

Values are lazy. A `Node` is computed where it is used, or when something forces it: a second use, a statement that
needs memory, or a write that would destroy what it reads. Memory is reused in place when nobody needs its old value:
no variable that holds it is used later, and no pending value reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from weft.ir.nodes import Atom, Block, Function, Lit, Stmt, Var, free_vars
from weft.ir.primitive import REGISTRY, Primitive
from weft.ir.sizes import Shape, Size, dim, map_size, size_vars
from weft.ir.types import DType, i64, scalar
from weft.lowering import loops as L
from weft.lowering.values import (
    Idx,
    Node,
    Stored,
    Value,
    dtype_of,
    is_expr,
    is_simple,
    loads,
    shape_of,
    weight,
)  # fmt: skip

LOCAL_BYTES = 512  # arrays of constant size up to this live on the stack
INLINE = 10  # operations that a scalar used once may carry into its use


@dataclass(eq=False)
class Frame:
    """A block being lowered."""

    block: Block
    kind: str  # "function", "loop", "if", "map"
    stmts: list[L.Stmt] = field(default_factory=list)
    hoisted: list[L.Stmt] = field(default_factory=list)  # to stand before the loop
    setup: list[L.Stmt] = field(default_factory=list)  # of a map: once per chunk
    captured: frozenset[Var] = frozenset()  # of a loop: what it uses from outside
    pos: int = 0
    last: dict[Var, int] = field(default_factory=dict)
    own: set[Var] = field(default_factory=set)
    done: list[Node] = field(default_factory=list)
    pending: list[tuple[Var, Value]] = field(default_factory=list)
    named: list[tuple[Var, Value]] = field(default_factory=list)  # what was an expression before it got a name here
    release: list[L.Buffer] = field(default_factory=list)
    made: list[L.Buffer] = field(default_factory=list)  # memory allocated while lowering the block
    movable: set[L.Buffer] = field(default_factory=set)  # memory of a loop's carries that is its own
    fails: bool = False
    effects: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Stack:
    """Where a loop's collected values go: the part of ``buffer`` (of ``shape``) at the leading indices ``lead``."""

    buffer: L.Buffer
    shape: Shape
    lead: tuple[Size, ...] = ()


class Lowering:
    """See the module."""

    def __init__(self, f: Function) -> None:
        self.function = f
        self.frames: list[Frame] = []
        self.env: dict[Var, Value] = {}
        self.done: dict[Node, Value] = {}
        self.holders: dict[L.Buffer, set[Var]] = {}
        self.home: dict[Var, int] = {}
        self.uses: dict[Var, int] = {}
        self.row_of: dict[Var, tuple[Stack, int]] = {}  # what a loop collects: its place, and the loop's frame
        self.rows: dict[Any, Stack] = {}  # what loops collect straight into the memory of the loop around
        self.inner: set[Var] = set()  # variables used in a block below the one that defines them
        self.prefer: dict[Var, L.Buffer] = {}
        self.taken: set[L.Buffer] = set()
        self.reuse: dict[Var, L.Buffer] = {}  # memory of an `if`'s result, for what a branch makes of it
        self.also_live: frozenset[Var] = frozenset()  # captured by the loop that is about to be lowered
        self.bounds: dict[Var, Size | None] = {}  # i64 variables known to be >= 0, and below which size
        self.least: dict[Var, int] = {}  # what such a variable is known not to be below, where that is more than 0
        self.hosts: list[dict[str, Any]] = []
        self.heavy = False
        self.param_buffers: dict[Var, L.Buffer] = {}
        self.writable_params: set[int] = set(f.updates.values())

    # -- statements ------------------------------------------------------------------------------------------------

    @property
    def frame(self) -> Frame:
        """The innermost block."""
        return self.frames[-1]

    @property
    def stmts(self) -> list[L.Stmt]:
        """Where statements go."""
        return self.frames[-1].stmts

    def emit(self, s: L.Stmt) -> None:
        """Append a statement."""
        if isinstance(s, L.Let):
            self.home.setdefault(s.var, len(self.frames) - 1)
        self.frames[-1].stmts.append(s)

    def push(self, block: Block, kind: str, captured: Iterable[Var] = ()) -> Frame:
        """Enter a block."""
        f = Frame(block, kind, captured=frozenset(captured))
        for k, s in enumerate(block.stmts):
            for v in free_vars(s):
                f.last[v] = k
        for r in block.results:
            if isinstance(r, Var):
                f.last[r] = len(block.stmts)
        f.own.update(block.params)
        self.frames.append(f)
        for p in block.params:
            self.home[p] = len(self.frames) - 1
        return f

    def pop(self) -> Frame:
        """Leave a block: what was computed only in it is forgotten."""
        f = self.frames[-1]
        for b in f.release:
            f.stmts.append(L.Release(b))
        self.frames.pop()
        for n in f.done:
            self.done.pop(n, None)
        for v, old in reversed(f.named):
            if v not in f.own:
                self.env[v] = old
        if f.kind == "if":
            self.frame.made.extend(f.made)
        return f

    def temp(self, name: str, e: L.Expr, dtype: DType | None = None) -> Var:
        """Name an expression."""
        v = Var(scalar(dtype or e.dtype), name)
        self.emit(L.Let(v, e))
        return v

    # -- values ----------------------------------------------------------------------------------------------------

    def value(self, a: Atom) -> Value:
        """What an operand stands for."""
        if isinstance(a, Lit):
            return L.Const(a.value, a.type.dtype)
        return self.resolved(self.env[a])

    def resolved(self, v: Value) -> Value:
        """A value, or where it has been computed meanwhile."""
        while isinstance(v, Node):
            known = self.done.get(v)
            if known is None:
                return v
            v = known
        return v

    def rank(self, v: Value) -> int:
        """A value's rank."""
        return len(shape_of(v))

    @staticmethod
    def value_dtype(v: Value) -> DType:
        """A value's dtype."""
        return dtype_of(v)

    def define(self, var: Var, value: Value) -> None:
        """Bind a variable."""
        if is_expr(value):
            self._define_scalar(var, value)  # type: ignore[arg-type]
            return
        self.env[var] = value
        if isinstance(value, Stored):
            self.holders.setdefault(value.buffer, set()).add(var)
        else:
            self.frame.pending.append((var, value))

    def _define_scalar(self, var: Var, e: L.Expr) -> None:
        reads = any(True for _ in loads(e))
        if not is_simple(e) and (self.uses.get(var, 0) != 1 or var in self.inner or weight(e) > INLINE):
            self.emit(L.Let(var, e, loc=None))
            e = L.Ref(var)
        elif reads:
            self.frame.pending.append((var, e))
        self.env[var] = e

    def scalar(self, a: Atom) -> L.Expr:
        """A scalar operand's expression."""
        v = self.value(a)
        if isinstance(v, Node):
            self.force(v)
            v = self.resolved(v)
        assert not isinstance(v, Stored | Node), f"{a} is not a scalar"
        return v

    def named(self, a: Atom, name: str = "t") -> L.Expr:
        """A scalar operand as a constant or a variable."""
        e = self.scalar(a)
        if is_simple(e):
            return e
        v = a if isinstance(a, Var) and a not in self.home else Var(scalar(e.dtype), name)
        self.emit(L.Let(v, e))
        if isinstance(a, Var):
            self.frame.named.append((a, self.env[a]))
            self.env[a] = L.Ref(v)
        return L.Ref(v)

    def size(self, s: Size) -> Size:
        """A size of the IR in the variables that are named in the program."""
        return map_size(s, self._size_var)

    def _size_var(self, v: Var) -> Size | None:
        if v not in self.env:
            return None
        e = self.named(v)
        match e:
            case L.Const():
                return int(e.value)
            case L.Index():
                return e.size
            case L.Ref():
                return dim(e.var)
        raise TypeError(f"not a size: {e!r}")

    def shape(self, shape: Shape) -> Shape:
        """A shape likewise."""
        return tuple([s if isinstance(s, int) else self.size(s) for s in shape])

    def as_i64(self, e: L.Expr) -> L.Expr:
        """An integer expression as i64."""
        if e.dtype == i64:
            return e
        if isinstance(e, L.Const):
            return L.Index(int(e.value))
        return L.Apply(REGISTRY["cast"], (e,), i64)

    def cast_index(self, s: Size, dtype: DType) -> L.Expr:
        """An index as a value of ``dtype``."""
        e = L.Index(s)
        return e if dtype == i64 else L.Apply(REGISTRY["cast"], (e,), dtype)

    def affine(self, e: L.Expr) -> Size | None:
        """An i64 expression as a size, if it is one already."""
        match e:
            case L.Const() if e.dtype.kind in "iu":
                return int(e.value)
            case L.Index():
                return e.size
            case L.Ref() if e.dtype == i64:
                return dim(e.var)
        return None

    def apply(self, prim: Primitive, args: tuple[L.Expr, ...], dtype: DType) -> L.Expr:
        """An elementwise primitive on scalars. Integer arithmetic that stays affine is an index: printed where used."""
        rule = AFFINE.get(prim.name) if dtype == i64 else None
        if rule is not None:
            sizes = [self.affine(a) if a.dtype == i64 else None for a in args]
            s = rule(*sizes) if all(x is not None for x in sizes) else None
            if s is not None:
                return L.Index(s)
        return L.Apply(prim, args, dtype)

    def index(self, e: L.Expr, name: str = "at") -> Size:
        """An integer expression as a size, named if need be."""
        e = self.as_i64(e)
        s = self.affine(e)
        return s if s is not None else dim(self.temp(name, e))

    # -- what is needed later --------------------------------------------------------------------------------------

    def live_after(self, var: Var) -> bool:
        """Whether ``var`` is used after the statement being lowered."""
        if var in self.also_live:
            return True
        for f in reversed(self.frames):
            if f.last.get(var, -1) > f.pos:
                return True
            if var in f.own:
                return False
            if var in f.captured:
                return True
        return False

    def reads(self, v: Value, seen: set[Node] | None = None) -> set[L.Buffer]:
        """The buffers a value will read when it is computed."""
        v = self.resolved(v)
        if isinstance(v, Stored):
            return {v.buffer}
        if isinstance(v, Node):
            found: set[L.Buffer] = set()
            seen = set() if seen is None else seen
            if v not in seen:
                seen.add(v)
                for a in v.args:
                    found |= self.reads(a, seen)
            return found
        return {x.place.buffer for x in loads(v)}

    def _reaches(self, v: Value, node: Node, seen: set[Node]) -> bool:
        v = self.resolved(v)
        if v is node:
            return True
        if not isinstance(v, Node) or v in seen or v.seq < node.seq:
            return False
        seen.add(v)
        return any(self._reaches(a, node, seen) for a in v.args)

    def needed_later(self, node: Node) -> bool:
        """Whether something after the statement being lowered needs a pending value."""
        if self.live_after(node.var):
            return True
        if self.frame.pos >= len(self.frame.block.stmts) and len(self.frames) == 1:
            return False
        for f in self.frames:
            for var, v in f.pending:
                if v is not node and isinstance(v, Node) and self.done.get(v) is None and self.live_after(var):
                    if self._reaches(v, node, set()):
                        return True
        return False

    def pending_readers(self, b: L.Buffer) -> list[tuple[Var, Value]]:
        """The pending values that are needed later and read ``b``."""
        found = []
        for f in self.frames:
            for var, v in f.pending:
                if isinstance(v, Node):
                    if v in self.done or not self.live_after(var):
                        continue
                elif self.env.get(var) is not v or not self.live_after(var):
                    continue
                if b in self.reads(v):
                    found.append((var, v))
        return found

    def held(self, b: L.Buffer) -> bool:
        """Whether a variable that is used later is in ``b``."""
        return any(self.live_after(v) for v in self.holders.get(b, ()))

    def writable(self, b: L.Buffer) -> bool:
        """Whether memory may be written at all: a parameter's only if the function updates that parameter."""
        return b.home != "param" or b.number in self.writable_params

    def before_write(self, b: L.Buffer) -> None:
        """Compute what reads ``b`` and is needed after it is overwritten."""
        readers = self.pending_readers(b)
        for var, v in readers:
            if isinstance(v, Node):
                self.force(v)
            else:
                self.named(var)

    # -- computing -------------------------------------------------------------------------------------------------

    def force(self, *nodes: Value) -> None:
        """Compute pending values."""
        from weft.lowering.fuse import Root
        from weft.lowering.nests import compute

        todo = [n for n in dict.fromkeys(map(self.resolved, nodes)) if isinstance(n, Node)]
        if todo:
            compute(self, [Root(n, n.shape, loc=n.loc) for n in todo])

    def set_done(self, node: Node, value: Value) -> None:
        """Record where a pending value has been computed."""
        self.done[node] = value
        self.frame.done.append(node)
        if isinstance(value, Stored):
            self.holders.setdefault(value.buffer, set()).add(node.var)

    def stored(self, a: Atom | Value) -> Stored:
        """An array in memory."""
        v = self.value(a) if isinstance(a, Var | Lit) else self.resolved(a)
        if isinstance(v, Node):
            self.force(v)
            v = self.resolved(v)
        assert isinstance(v, Stored)
        return v

    def fill(self, b: L.Buffer, v: Value, shape: Shape, **more: Any) -> None:
        """Compute all of ``v`` into ``b``."""
        from weft.lowering.fuse import Root
        from weft.lowering.nests import compute

        compute(self, [Root(v, shape, whole(b, shape), **more)])

    # -- memory ----------------------------------------------------------------------------------------------------

    @property
    def parallel_ok(self) -> bool:
        """Whether nests may be parallel here."""
        return not any(f.kind == "map" for f in self.frames)

    def new_buffer(self, dtype: DType, shape: Shape, name: str, var: Var | None = None) -> L.Buffer:
        """Memory for an array; for ``var``, that of the result it will become if that can be."""
        again = self.reuse.pop(var, None) if var is not None else None
        if again is not None:
            for v in [v for v, b in self.reuse.items() if b is again]:
                del self.reuse[v]
            return again
        b = L.Buffer(name or "t", dtype, shape)
        row, depth = self.row_of.get(var, (None, 0)) if var is not None else (None, 0)
        if row is not None and depth == len(self.frames) and not small(dtype, shape):
            b.home, b.row = "row", L.Place(row.buffer, (*row.lead, *[0] * len(shape)), row.shape)
            self.emit(L.Alloc(b))
            return b
        if small(dtype, shape):
            b.home = "local"
            self._alloc_list(shape).append(L.Alloc(b))
            return b
        where = self._alloc_list(shape)
        want = self.prefer.get(var) if var is not None else None
        if want is not None and want not in self.taken and self._at_top(where):
            self.taken.add(want)
            want.name = name or want.name
            b = want
        where.append(L.Alloc(b))
        self.frame.made.append(b)
        if where is self.frame.stmts and len(self.frames) > 1:
            self.frame.release.append(b)
        return b

    def _at_top(self, where: list[L.Stmt]) -> bool:
        """Whether statements there run once."""
        return where is self.frames[0].stmts or (len(self.frames) > 1 and where is self.frames[1].hoisted)

    def new_inner(self, dtype: DType, shape: Shape, name: str, setup: list[L.Stmt]) -> L.Buffer:
        """Memory for part of an array inside a nest, made by the nest's ``setup``."""
        b = L.Buffer(name or "t", dtype, shape, "local" if small(dtype, shape) else "temp")
        if not self.parallel_ok and b.home == "temp":
            where = self._alloc_list(shape)
            where.append(L.Alloc(b))
            if where is self.frame.stmts and len(self.frames) > 1:
                self.frame.release.append(b)
        else:
            setup.append(L.Alloc(b))
        return b

    def _alloc_list(self, shape: Shape) -> list[L.Stmt]:
        """The statements to which an allocation of this shape belongs: outside loops, once per chunk of a map."""
        need = max([self.home.get(v, 0) for s in shape for v in size_vars(s)], default=0)
        lane = max([k for k, f in enumerate(self.frames) if f.kind == "map"], default=-1)
        if need < lane:
            return self.frames[lane].setup
        for k in range(max(need, lane) + 1, len(self.frames)):
            if self.frames[k].kind == "loop":
                return self.frames[k].hoisted
        return self.frame.stmts

    # -- host calls ------------------------------------------------------------------------------------------------

    def host(self, **what: Any) -> int:
        """The number of a host function with this description."""
        if what in self.hosts:
            return self.hosts.index(what)
        self.hosts.append(what)
        return len(self.hosts) - 1

    def fail(self, test: L.Expr, id: int, payload: list[L.View], loc: Any) -> None:
        """Leave with an error if ``test`` holds."""
        self.emit(L.Fail(test, id, payload, loc))
        for f in self.frames:
            f.fails = True


def _times(a: Size, b: Size) -> Size | None:
    if isinstance(b, int):
        return a * b
    return b * a if isinstance(a, int) else None


AFFINE: dict[str, Callable[..., Size | None]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "neg": lambda a: -a,
    "mul": _times,
}


def small(dtype: DType, shape: Shape) -> bool:
    """Whether an array is of constant size and small enough for the stack."""
    count = dtype.itemsize
    for s in shape:
        if not isinstance(s, int):
            return False
        count *= s
    return count <= LOCAL_BYTES


def whole(b: L.Buffer, shape: Shape) -> Callable[[Any, Idx], L.Place]:
    """Element ``index`` of a value that is all of ``b``."""
    return lambda pull, index: L.Place(b, index, shape)


def stmt_free(s: Stmt) -> frozenset[Var]:
    """The variables a statement uses from outside."""
    return frozenset(free_vars(s))
