"""Loops of which a part is independent, in strips: that part for 64 iterations at once, and then the rest in order.

C++ compilers vectorise a loop or they do not. A sum that has to keep its order, a recurrence or a check that may leave
keeps a loop scalar, with all the logarithms and quotients that depend on none of it. Here what is independent is
computed for a strip of iterations, into small arrays; then what has to keep its order is done for each of them. Every
operation is what it was, in the order it was. A strip in which a check fails is done again as the program has it, so
that the first failure is the one that is raised, with everything before it done and nothing behind. Memory that is
read behind a check is read in order, since the check may be what keeps the index inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from weft.ir.nodes import Var
from weft.ir.primitive import REGISTRY, Elementwise
from weft.ir.sizes import Size, dim, size_vars
from weft.ir.types import bool_, i64, scalar
from weft.lowering import loops as L
from weft.lowering.depends import tells_apart
from weft.lowering.values import sub_exprs
from weft.lowering.visit import Access, Facts, Summary, walk

if TYPE_CHECKING:
    from weft.codegen.statements import Statements

#: Iterations in a strip: of doubles, eight vectors of 64 bytes.
STRIP = 64
#: What the independent part of an iteration has to cost, in additions, for the arrays between the parts to pay.
_LEAST = 24
#: Values that one part hands to the other, at most.
_MOST = 16
_PLAIN = (L.Let, L.Assign, L.Write, L.Fail, L.Branch)


@dataclass(frozen=True, slots=True)
class _Known:
    """Of an expression: what it costs, the variables it names, the arrays it reads."""

    cost: int
    names: frozenset[Var]
    reads: frozenset[L.Buffer]


class Strips:
    """A loop's two parts.

    Attributes
    ----------
    first
        The independent statements, without checks.
    tests
        What the checks among them test.
    rest
        The statements that keep their order.
    handed
        The variables of the first part that the rest reads.
    """

    def __init__(self, loop: L.Loop) -> None:
        self.loop = loop
        self.first: list[L.Stmt] = []
        self.tests: list[L.Expr] = []
        self.rest: list[L.Stmt] = []
        self.handed: list[Var] = []
        self._at = Var(scalar(i64), "j")
        self._flags = L.Buffer("failed", bool_, (STRIP,), "local")
        self._seen: dict[int, _Known] = {}  # expressions share parts: each is looked at once

    def fits(self) -> bool:
        """Whether the loop can be divided, and it pays."""
        s = self.loop
        if s.vector or s.setup or s.reductions or s.extrema or not all([isinstance(x, _PLAIN) for x in walk(s.body)]):
            return False
        if isinstance(s.size, int) and s.size < 2 * STRIP:
            return False
        if sum([self._cost(x) for x in s.body]) < _LEAST:
            return False
        self._divide()
        kept = {v for x in self.rest for v in self.facts(x).used}
        again = self._again(kept)
        self.rest = [*again, *self.rest]
        kept |= {v for x in again for v in self.facts(x).used}
        had = {x.var for x in again}
        self.handed = [x.var for x in self.first if isinstance(x, L.Let) and x.var in kept and x.var not in had]
        return sum(map(self._cost, self.first)) >= _LEAST and len(self.handed) <= _MOST

    # -- which statements depend on the order --------------------------------------------------------------------

    def _divide(self) -> None:
        s = self.loop
        self.facts = Facts()
        whole = self.facts(s)
        self.unwritten = _unwritten(whole)
        late: set[Var] = {x.var for x in walk(s.body) if isinstance(x, L.Assign)}
        ordered, shown = self._memory(whole)
        guarded = False  # behind a check: what it may keep from being read is not read before its turn
        touched: set[L.Buffer] = set(ordered)  # by the rest so far
        written: set[L.Buffer] = set(ordered)
        for x in s.body:
            f = self.facts(x)
            uses = {a.buffer for a in f.accesses}
            writes = {a.buffer for a in f.accesses if a.writes}
            depends = isinstance(x, L.Assign | L.Branch) or (isinstance(x, L.Let) and x.mutable)
            depends = depends or not late.isdisjoint(f.used) or not written.isdisjoint(uses)
            depends = depends or (guarded and f.loads)
            if depends or not touched.isdisjoint(writes) or not shown.isdisjoint(writes):
                self.rest.append(self._lightened(x, late, guarded))
                late |= f.bound
                touched |= uses
                written |= writes
            elif isinstance(x, L.Fail):
                self.tests.append(x.test)
                flag = L.Write(L.Place(self._flags, (dim(self._at),), (STRIP,)), _either(self._flags, self._at, x.test))
                self.first.append(flag)
            else:
                self.first.append(x)
            guarded = guarded or L.Fail in f.kinds

    def _memory(self, whole: Summary) -> tuple[set[L.Buffer], set[L.Buffer]]:
        """Arrays of which iterations touch what others write; arrays that are to be written in order, since the loop
        may end early and somebody sees them, or would be read again if a strip is done again."""
        by: dict[L.Buffer, list[Access]] = {}
        for a in whole.accesses:
            by.setdefault(a.buffer, []).append(a)
        fails = L.Fail in whole.kinds
        ordered: set[L.Buffer] = set()
        shown: set[L.Buffer] = set()
        for b, uses in by.items():
            if not any([a.writes for a in uses]):
                continue
            if not tells_apart(uses, self.loop.var, whole.bound, whole.names):
                ordered.add(b)
            elif fails and (
                b.home not in ("temp", "result", "local") or not all([a.writes and not a.adds for a in uses])
            ):
                shown.add(b)
        return ordered, shown

    def _lightened(self, x: L.Stmt, late: set[Var], guarded: bool) -> L.Stmt:
        """A statement of the rest; what is costly in it and independent is computed by the first part."""

        done: dict[int, L.Expr] = {}

        def part(e: L.Expr) -> L.Expr:
            if id(e) not in done:
                done[id(e)] = parted(e)
            return done[id(e)]

        def parted(e: L.Expr) -> L.Expr:
            known = self._about(e)
            free = late.isdisjoint(known.names) and known.reads <= self.unwritten
            if free and not (guarded and known.reads):
                if known.cost < 4:
                    return e
                v = Var(scalar(e.dtype), "t")
                self.first.append(L.Let(v, e))
                return L.Ref(v)
            match e:
                case L.Apply():
                    return L.Apply(e.prim, tuple([part(a) for a in e.args]), e.dtype, e.attrs)
                case L.Builtin():
                    return L.Builtin(e.name, tuple([part(a) for a in e.args]), e.dtype)
                case L.Combine():
                    return L.Combine(e.prim, part(e.left), part(e.right), e.dtype)
            return e

        match x:
            case L.Let() if x.expr is not None:
                return L.Let(x.var, part(x.expr), x.mutable, x.loc)
            case L.Assign():
                return L.Assign(x.var, part(x.expr))
            case L.Write():
                return L.Write(x.place, part(x.expr), x.combine, x.loc)
        return x

    def _again(self, kept: set[Var]) -> list[L.Let]:
        """What the rest reads and costs nothing: it is read again, rather than handed over."""
        found: list[L.Let] = []
        known = {x.var for x in self.first if isinstance(x, L.Let)}
        for x in reversed(self.first):
            if not isinstance(x, L.Let) or x.expr is None or x.var not in kept:
                continue
            plain = isinstance(x.expr, L.Index | L.Const) or (
                isinstance(x.expr, L.Load) and x.expr.place.buffer in self.unwritten
            )
            if plain and known.isdisjoint(self._about(x.expr).names):
                found.append(x)
        return found[::-1]

    def _cost(self, s: L.Stmt) -> int:
        found = s.expr if isinstance(s, L.Let | L.Assign | L.Write) else None
        return 0 if found is None else self._about(found).cost

    def _about(self, e: L.Expr) -> _Known:
        found = self._seen.get(id(e))
        if found is None:
            parts = [self._about(x) for x in sub_exprs(e)]
            own: set[Var] = set()
            reads: set[L.Buffer] = set()
            cost = sum([x.cost for x in parts])
            match e:
                case L.Ref():
                    own.add(e.var)
                case L.Index():
                    own.update(size_vars(e.size))
                case L.Product():
                    own.update([v for n in e.sizes for v in size_vars(n)])
                case L.Load():
                    own.update([v for n in (*e.place.index, *e.place.shape) for v in size_vars(n)])
                    reads.add(e.place.buffer)
                case L.Apply(prim=p) if isinstance(p.kind, Elementwise):
                    cost += p.kind.cost
            names = frozenset(own).union(*[x.names for x in parts])
            found = self._seen[id(e)] = _Known(cost, names, frozenset(reads).union(*[x.reads for x in parts]))
        return found

    # -- the strips ------------------------------------------------------------------------------------------------

    def emit(self, p: Statements, lo: str, hi: str) -> None:
        """Print the loop from ``lo`` to below ``hi``."""
        base = Var(scalar(i64), "strip")
        start = p.var(base)
        last = None
        if self.loop.reverse:
            last = Var(scalar(i64), "last")
            p.put(f"const i64 {p.var(last)} = {lo} + {hi} - 1;")
        p.put(f"i64 {start} = {lo};")
        p.put(f"for (; {start} + {STRIP} <= {hi}; {start} += {STRIP}) {{")
        p.body(self._strip(base, last))
        p.put("}")
        p.names.enter()
        end = Var(scalar(i64), "j")
        p.put(f"for (i64 {p.var(end)} = {start}; {p.var(end)} < {hi}; ++{p.var(end)}) {{")
        p.body([self._counter(dim(end), last), *self.loop.body])
        p.put("}")
        p.names.leave()

    def _strip(self, base: Var, last: Var | None) -> list[L.Stmt]:
        """One strip, from ``base`` on."""
        arrays = {v: L.Buffer(f"{v.name or 'v'}_", v.type.dtype, (STRIP,), "local") for v in self.handed}
        counter = self._counter(dim(base) + dim(self._at), last)

        def at(b: L.Buffer) -> L.Place:
            return L.Place(b, (dim(self._at),), (STRIP,))

        def loop(body: list[L.Stmt], vector: bool = False) -> L.Loop:
            return L.Loop(self._at, STRIP, body, vector=vector)

        made: list[L.Stmt] = [L.Alloc(b) for b in arrays.values()]
        hand = [L.Write(at(b), L.Ref(v)) for v, b in arrays.items()]
        take = [L.Let(v, L.Load(at(b))) for v, b in arrays.items()]
        rest: list[L.Stmt] = [loop([counter, *take, *self.rest])] if self.rest else []
        if not self.tests:
            return [*made, loop([counter, *self.first, *hand], True), *rest]
        any_ = Var(scalar(bool_), "any_failed")
        clear = L.Write(at(self._flags), L.Const(np.bool_(False), bool_))
        return [
            *made, L.Alloc(self._flags), loop([counter, clear, *self.first, *hand], True),
            L.Let(any_, L.Const(np.bool_(False), bool_), True),
            loop([L.Assign(any_, _or(L.Ref(any_), L.Load(at(self._flags))))]),
            L.Branch(L.Ref(any_), [loop([counter, *self.loop.body])], rest),
        ]  # fmt: skip

    def _counter(self, position: Size, last: Var | None) -> L.Let:
        """The loop's variable at a position."""
        return L.Let(self.loop.var, L.Index(position if last is None else dim(last) - position))


def _or(a: L.Expr, b: L.Expr) -> L.Expr:
    return L.Apply(REGISTRY["bitor"], (a, b), bool_)


def _either(flags: L.Buffer, at: Var, test: L.Expr) -> L.Expr:
    return _or(L.Load(L.Place(flags, (dim(at),), (STRIP,))), test)


def _unwritten(whole: Summary) -> set[L.Buffer]:
    """The arrays that a loop only reads."""
    written = {a.buffer for a in whole.accesses if a.writes}
    return {a.buffer for a in whole.accesses} - written


__all__ = ["STRIP", "Strips"]
