"""Walking over loop nests: the statements inside one, the expressions and variables in it, the memory it touches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from weft.ir.nodes import Var
from weft.ir.sizes import Shape, Size, same_size, size_vars
from weft.lowering import loops as L
from weft.lowering.values import expr_vars, loads

Stmts = list[Any]  # statements of the loop nests, and of what a schedule adds to them


def blocks(s: Any) -> tuple[Stmts, ...]:
    """The lists of statements directly inside a statement."""
    match s:
        case L.Loop():
            return (s.setup, s.body)
        case L.Forever():
            return (s.head, s.body)
        case L.Branch():
            return (s.then, s.orelse)
    return ()


def walk(stmts: Stmts) -> Iterator[Any]:
    """Statements and all inside them, in program order."""
    for s in stmts:
        yield s
        for b in blocks(s):
            yield from walk(b)


def exprs(s: Any) -> Iterator[L.Expr]:
    """The expressions that a statement evaluates itself."""
    match s:
        case L.Let() | L.Assign():
            if s.expr is not None:
                yield s.expr
        case L.Write() | L.Output():
            yield s.expr
        case L.Forever() | L.Branch():
            yield s.test
        case L.Fail():
            yield s.test
            yield from (v.expr for v in s.payload if v.expr is not None)
        case L.HostCall():
            yield from (v.expr for v in s.views if v.expr is not None)
        case L.Routine():
            yield from s.values


def places(s: Any) -> Iterator[L.Place]:
    """The places that a statement names itself, those of its loads aside."""
    match s:
        case L.Write():
            yield s.place
        case L.Copy():
            yield from (s.target, s.source)
        case L.Gemm():
            yield from (s.a, s.b, s.c)
        case L.Routine():
            yield from s.places
        case L.HostCall():
            yield from (v.place for v in s.views if v.place is not None)
        case L.Fail():
            yield from (v.place for v in s.payload if v.place is not None)


def sizes(s: Any) -> Iterator[Size]:
    """The sizes that a statement names itself."""
    match s:
        case L.Loop():
            yield s.size
        case L.Alloc():
            yield from s.buffer.shape
            if s.buffer.row is not None:
                yield from (*s.buffer.row.index, *s.buffer.row.shape)
        case L.Grow():
            yield from (s.need, *s.row)
        case L.Copy():
            yield from s.count
        case L.Gemm():
            for shape in (s.m, s.n, s.k, s.lda, s.ldb, s.ldc):
                yield from shape
        case L.HostCall():
            for v in s.views:
                yield from v.shape
        case L.Fail():
            for v in s.payload:
                yield from v.shape
    for p in places(s):
        yield from p.index
        yield from p.shape


def used(s: Any) -> Iterator[Var]:
    """The variables that a statement reads itself, not those of statements inside it."""
    for e in exprs(s):
        yield from expr_vars(e)
    for n in sizes(s):
        yield from size_vars(n)
    if isinstance(s, L.Grow):
        yield s.capacity


def assigned(s: Any) -> Iterator[Var]:
    """The variables that a statement gives a value itself."""
    match s:
        case L.Let() | L.Assign() | L.Loop():
            yield s.var
        case L.Grow():
            yield s.capacity
        case L.HostCall():
            yield from (v.into for v in s.views if v.into is not None)


def bound(stmts: Stmts) -> set[Var]:
    """The variables that begin to live in statements."""
    return {s.var for s in walk(stmts) if isinstance(s, L.Let | L.Loop)}


# -- accesses --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class Access:
    """A place that is read or written, with ``whole`` trailing axes all of it; ``known`` is False if it may be any
    part of the buffer. ``adds`` marks a write that combines with what is there, in any order."""

    buffer: L.Buffer
    index: tuple[Size, ...]
    shape: Shape
    writes: bool
    whole: int = 0
    known: bool = True
    adds: bool = False


def accesses(s: Any, read: list[L.Load]) -> Iterator[Access]:
    """The memory that a statement itself reads and writes; ``read`` are the loads in its expressions."""
    match s:
        case L.Write():
            old = accumulated(s)
            b, at, shape = s.place.buffer, s.place.index, s.place.shape
            yield Access(b, at, shape, True, adds=old is not None)
            read = [x for x in read if x is not old]
        case L.Copy():
            yield _region(s.target, s.count, True)
            yield _region(s.source, s.count, False)
        case L.Gemm():
            yield _region(s.c, (*s.m, *s.n), True)
            yield _region(s.a, (*s.k, *s.m) if s.trans_a else (*s.m, *s.k), False)
            yield _region(s.b, (*s.n, *s.k) if s.trans_b else (*s.k, *s.n), False)
        case L.Routine():
            for p in s.places:
                yield Access(p.buffer, p.index, p.shape, True, known=False)
        case L.HostCall():
            for v in s.views:
                if v.place is not None:
                    yield Access(v.place.buffer, v.place.index, v.place.shape, True, known=False)
        case L.Fail():
            for v in s.payload:
                if v.place is not None:
                    yield Access(v.place.buffer, v.place.index, v.place.shape, False, known=False)
        case L.Grow():
            yield Access(s.buffer, (), (), True, known=False)
        case L.Alloc(buffer=L.Buffer(row=L.Place() as row, shape=shape)):
            yield _region(row, shape, True)
        case L.Let() | L.Assign() | L.Output() | L.Loop() | L.Forever() | L.Branch():
            pass  # nothing but loads
        case L.Alloc() | L.Release() | L.Repoint():
            pass  # memory as a whole, not elements of it
        case _:
            raise TypeError(f"not a statement: {s!r}")
    for x in read:
        yield Access(x.place.buffer, x.place.index, x.place.shape, False)


def accumulated(s: L.Write) -> L.Load | bool | None:
    """For a write whose order among others like it does not matter: the load of the old value, True if ``combine``
    says it all; None for other writes. Sums of floats that the program wrote as a loop keep their order."""
    if s.combine is not None:
        return True
    if s.place.buffer.dtype.kind in "fc":
        return None
    match s.expr:
        case L.Apply(prim=p, args=(L.Load() as a, b)) if p.name == "add" and _same_place(a.place, s.place):
            if not any(x.place.buffer is s.place.buffer for x in loads(b)):
                return a
    return None


def added(s: L.Write) -> L.Expr:
    """What an accumulating write adds."""
    if s.combine is not None:
        return s.expr
    assert isinstance(s.expr, L.Apply)
    return s.expr.args[1]


def _same_place(p: L.Place, q: L.Place) -> bool:
    return p.buffer is q.buffer and p.index == q.index and p.shape[1:] == q.shape[1:]


def _region(p: L.Place, count: Shape, writes: bool) -> Access:
    """A run of elements that is all of some trailing axes."""
    m = len(count)
    fits = m <= len(p.shape) and all(same_size(a, b) for a, b in zip(count, p.shape[len(p.shape) - m :], strict=True))
    zero = all(i == 0 for i in p.index[len(p.index) - m :]) if m else True
    return Access(p.buffer, p.index, p.shape, writes, whole=m, known=fits and zero)


# -- summaries -------------------------------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class Summary:
    """What a statement and all inside it do.

    Attributes
    ----------
    kinds
        The classes of the statements.
    used, given, bound
        Variables that are read, that get a value other than by beginning to live, that begin to live.
    accesses
        The memory touched.
    names
        The variables that merely name indices.
    made, sums
        Memory made; the accumulators of declared reductions.
    loads
        Whether expressions read memory.
    needs_host
        Whether something in it can run on the host alone.
    """

    kinds: set[type]
    used: set[Var]
    given: set[Var]
    bound: set[Var]
    accesses: list[Access]
    names: dict[Var, Size]
    made: set[L.Buffer]
    sums: set[Var]
    loads: bool
    needs_host: bool


class Facts:
    """Summaries of statements, each made once. Statements must not change meanwhile."""

    def __init__(self) -> None:
        self._known: dict[Any, Summary] = {}

    def __call__(self, s: Any) -> Summary:
        """The summary of a statement."""
        found = self._known.get(s)
        if found is None:
            found = self._known[s] = self._summary(s)
        return found

    def _summary(self, s: Any) -> Summary:
        begins = isinstance(s, L.Let | L.Loop)
        names = {s.var: s.expr.size} if isinstance(s, L.Let) and isinstance(s.expr, L.Index) and not s.mutable else {}
        own = set(assigned(s))
        read: list[L.Load] = []
        reads: set[Var] = set()
        for e in exprs(s):
            _scan(e, reads, read)
        for n in sizes(s):
            if not isinstance(n, int):
                reads.update([v for v, _ in n.terms])
        if isinstance(s, L.Grow):
            reads.add(s.capacity)
        touched = list(accesses(s, read))
        out = Summary(
            kinds={type(s)},
            used=reads,
            given=set() if begins else own,
            bound=own if begins else set(),
            accesses=touched,
            names=names,
            made={s.buffer} if isinstance(s, L.Alloc) else set(),
            sums=_sums(s) if isinstance(s, L.Loop) else set(),
            loads=bool(read),
            needs_host=needs_host(s),
        )
        for b in blocks(s):
            for x in b:
                inner = self(x)
                out.kinds |= inner.kinds
                out.used |= inner.used
                out.given |= inner.given
                out.bound |= inner.bound
                out.accesses += inner.accesses
                out.names.update(inner.names)
                out.made |= inner.made
                out.sums |= inner.sums
                out.loads = out.loads or inner.loads
                out.needs_host = out.needs_host or inner.needs_host
        return out


def _sums(s: L.Loop) -> set[Var]:
    return {a for _, a in s.reductions} | {v for _, best, where in s.extrema for v in (best, where)}


def _scan(e: L.Expr, reads: set[Var], read: list[L.Load]) -> None:
    """Collect an expression's variables and loads in one walk."""
    match e:
        case L.Ref():
            reads.add(e.var)
        case L.Apply() | L.Builtin():
            for a in e.args:
                _scan(a, reads, read)
        case L.Combine():
            _scan(e.left, reads, read)
            _scan(e.right, reads, read)
        case L.Index():
            reads.update(size_vars(e.size))
        case L.Product():
            for n in e.sizes:
                reads.update(size_vars(n))
        case L.Load():
            read.append(e)
            for n in (*e.place.index, *e.place.shape):
                if not isinstance(n, int):
                    reads.update([v for v, _ in n.terms])


def needs_host(s: Any) -> bool:
    """Whether a statement itself calls what only the host has."""
    match s:
        case L.HostCall() | L.Output() | L.Routine():
            return True
        case L.Fail():
            return any(v.place is not None for v in s.payload)
    return False
