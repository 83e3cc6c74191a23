"""Smaller memory for what a nest computes: neighbouring inner loops become one, and an array that lives within an
iteration becomes a scalar.

Fusion while lowering joins values with their uses; what is written, cleared and added to comes out as separate loops
over the same row. Here loops over the same indices that touch shared arrays at the very same elements are joined; a
write of zero before an addition to the same element is dropped; and an array that is written and then read at one index
only, in one loop's body, is not an array any more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from weft.ir.nodes import Var
from weft.ir.primitive import REGISTRY
from weft.ir.types import scalar
from weft.lowering import loops as L
from weft.lowering.merge import renamed
from weft.lowering.visit import Access, Facts, Stmts, blocks


def contracted(stmts: Stmts) -> Stmts:
    """Statements with loops joined, clearing dropped, and arrays replaced by scalars."""
    facts = Facts()  # of statements without others inside them, which do not change
    joined = _joined(Facts(), stmts)
    return _Scalars(facts, joined).run(joined)


# -- joining loops ---------------------------------------------------------------------------------------------------


def _joined(facts: Facts, stmts: Stmts) -> Stmts:
    out: Stmts = []
    for s in stmts:
        match s:
            case L.Loop():
                s.body = _joined(facts, s.body)
                if out and isinstance(out[-1], L.Loop) and _alike(out[-1], s):
                    one = _one(facts, out[-1], s)
                    if one is not None:
                        out[-1] = one
                        continue
            case L.Forever():
                s.head, s.body = _joined(facts, s.head), _joined(facts, s.body)
            case L.Branch():
                s.then, s.orelse = _joined(facts, s.then), _joined(facts, s.orelse)
        out.append(s)
    return _uncleared(out)


def _alike(a: L.Loop, b: L.Loop) -> bool:
    """Whether two loops are over the same indices, element by element, with nothing else to mind."""
    plain = all([x.vector and not (x.parallel or x.reductions or x.extrema or x.setup or x.fails) for x in (a, b)])
    return plain and a.size == b.size and a.reverse == b.reverse


def _one(facts: Facts, a: L.Loop, b: L.Loop) -> L.Loop | None:
    """Both loops as one, if no iteration of the second needs another iteration of the first."""
    if not all(
        isinstance(x, L.Write) or (isinstance(x, L.Let) and not x.mutable and x.expr is not None) for x in b.body
    ):
        return None
    body = [renamed(x, {b.var: a.var}) for x in b.body]
    first, second = facts(a).accesses, [y for x in body for y in Facts()(x).accesses]
    for buffer in {x.buffer for x in first} & {x.buffer for x in second}:
        uses = [x for x in (*first, *second) if x.buffer is buffer]
        if any(x.writes for x in uses) and not _same_element(uses, a.var):
            return None
    return replace(a, body=_uncleared([*a.body, *body]), cost=a.cost + b.cost)


def _same_element(uses: list[Access], v: Var) -> bool:
    """Whether all uses are of one element, another one in each iteration."""
    one = uses[0]
    if not all([x.known and not x.whole and x.index == one.index and x.shape[1:] == one.shape[1:] for x in uses]):
        return False
    return any([not isinstance(i, int) and any([x is v for x, _ in i.terms]) for i in one.index])


# -- clearing --------------------------------------------------------------------------------------------------------


def _uncleared(body: Stmts) -> Stmts:
    """Statements in which an element is not set to zero just before something is added to it."""
    out = list(body)
    for at, s in enumerate(out):
        if isinstance(s, L.Write) and s.combine is None and _zero(s.expr):
            later = _next_sum(out, at)
            if later is not None:
                w = out[later]
                out[later] = L.Write(w.place, w.expr, None, w.loc)
                out[at] = None
    return [s for s in out if s is not None]


def _zero(e: L.Expr) -> bool:
    return isinstance(e, L.Const) and e.dtype.kind in "fiuc" and not e.value


def _next_sum(body: Stmts, at: int) -> int | None:
    """The next statement that adds to the element that is cleared at ``at``, if nothing in between reads it."""
    place = body[at].place
    for k in range(at + 1, len(body)):
        s = body[k]
        if s is None:
            continue
        if not isinstance(s, L.Let | L.Write):
            return None
        for a in Facts()(s).accesses:
            if a.buffer is not place.buffer:
                continue
            if isinstance(s, L.Write) and a.writes and a.index == place.index and a.shape[1:] == place.shape[1:]:
                reads = any(x.buffer is place.buffer and not x.writes for x in Facts()(s).accesses)
                return k if s.combine is REGISTRY["reduce_sum"] and not reads else None
            if not _apart(a, place):
                return None
    return None


def _apart(a: Access, p: L.Place) -> bool:
    """Whether an access is certainly of another element."""
    if not a.known or a.whole or len(a.index) != len(p.index) or a.shape[1:] != p.shape[1:]:
        return False
    return any([isinstance(d := i - j, int) and d != 0 for i, j in zip(a.index, p.index, strict=True)])


# -- scalars ---------------------------------------------------------------------------------------------------------


class _Scalars:
    """Replaces arrays that live within one iteration of one loop."""

    def __init__(self, facts: Facts, stmts: Stmts) -> None:
        self.facts = facts
        self.where: dict[L.Buffer, set[int]] = {}  # the statement lists that touch a buffer themselves
        self.gone: set[L.Buffer] = set()
        self._look(stmts)

    def _look(self, stmts: Stmts) -> None:
        for s in stmts:
            inner = blocks(s)
            plain = isinstance(s, L.Let | L.Assign | L.Write)
            if not inner:
                touched = {a.buffer for a in self.facts(s).accesses}
                if isinstance(s, L.Repoint):
                    touched |= {b for pair in s.pairs for b in pair}
                for buffer in touched:
                    # what other statements touch has to be memory
                    self.where.setdefault(buffer, set()).add(id(stmts) if plain else 0)
            else:
                own = [a for a in Facts()(_head(s)).accesses]
                for a in own:
                    self.where.setdefault(a.buffer, set()).add(0)
            for b in inner:
                self._look(b)

    def run(self, stmts: Stmts) -> Stmts:
        """The statements without such arrays, and without their memory."""
        found = self._block(stmts, False)
        return _without(found, self.gone) if self.gone else found

    def _block(self, stmts: Stmts, in_loop: bool) -> Stmts:
        out = self._contract(stmts) if in_loop else stmts
        for s in out:
            match s:
                case L.Loop():
                    s.body = self._block(s.body, True)
                case L.Forever():
                    s.head, s.body = self._block(s.head, False), self._block(s.body, False)
                case L.Branch():
                    s.then, s.orelse = self._block(s.then, False), self._block(s.orelse, False)
        return out

    def _contract(self, stmts: Stmts) -> Stmts:
        held: dict[L.Buffer, tuple[Any, Var]] = {}  # what an array's element is here
        found: Stmts = []
        wanted = {
            b for b, where in self.where.items()
            if where == {id(stmts)} and b.home in ("temp", "local") and not b.moves and self._one_index(b, stmts)
        }  # fmt: skip
        for s in stmts:
            if isinstance(s, L.Let | L.Assign | L.Write) and s.expr is not None:
                e = _with_scalars(s.expr, held)
                match s:
                    case L.Write() if s.place.buffer in wanted:
                        b = s.place.buffer
                        if b in held:
                            old = held[b][1]
                            e = e if s.combine is None else L.Combine(s.combine, L.Ref(old), e, b.dtype)
                        v = Var(scalar(b.dtype), b.name or "t")
                        held[b] = (s.place.index, v)
                        self.gone.add(b)
                        found.append(L.Let(v, e, False, s.loc))
                        continue
                    case L.Write():
                        s = L.Write(s.place, e, s.combine, s.loc)
                    case L.Let():
                        s = L.Let(s.var, e, s.mutable, s.loc)
                    case L.Assign():
                        s = L.Assign(s.var, e)
            found.append(s)
        return found

    def _one_index(self, b: L.Buffer, stmts: Stmts) -> bool:
        """Whether a buffer is written before it is read, and always at the same index."""
        index: Any = None
        for s in stmts:
            if blocks(s):
                continue
            uses = [a for a in self.facts(s).accesses if a.buffer is b]
            for a in uses:
                if index is None:
                    if not isinstance(s, L.Write) or s.combine is not None or any(not x.writes for x in uses):
                        return False
                    index = (a.index, a.shape[1:])
                elif (a.index, a.shape[1:]) != index:
                    return False
        return index is not None


def _head(s: Any) -> Any:
    """A statement without what is inside it."""
    match s:
        case L.Loop():
            return replace(s, body=[], setup=[])
        case L.Forever():
            return replace(s, head=[], body=[])
        case L.Branch():
            return replace(s, then=[], orelse=[])
    return s


def _with_scalars(e: L.Expr, held: dict[L.Buffer, tuple[Any, Var]]) -> L.Expr:
    if not held:
        return e
    match e:
        case L.Load() if e.place.buffer in held:
            return L.Ref(held[e.place.buffer][1])
        case L.Apply():
            return L.Apply(e.prim, tuple([_with_scalars(x, held) for x in e.args]), e.dtype, e.attrs)
        case L.Combine():
            return L.Combine(e.prim, _with_scalars(e.left, held), _with_scalars(e.right, held), e.dtype)
        case L.Builtin():
            return L.Builtin(e.name, tuple([_with_scalars(x, held) for x in e.args]), e.dtype)
    return e


def _without(stmts: Stmts, gone: set[L.Buffer]) -> Stmts:
    """Statements without the memory of arrays that are gone."""
    out: Stmts = []
    for s in stmts:
        match s:
            case L.Alloc() | L.Release() if s.buffer in gone:
                continue
            case L.Loop():
                s.setup, s.body = _without(s.setup, gone), _without(s.body, gone)
            case L.Forever():
                s.head, s.body = _without(s.head, gone), _without(s.body, gone)
            case L.Branch():
                s.then, s.orelse = _without(s.then, gone), _without(s.orelse, gone)
        out.append(s)
    return out
