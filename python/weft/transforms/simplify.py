"""Simplification: rewriting, sharing, hoisting, bounds checks, control flow of known outcome, dead code.

`simplify` alternates two linear passes until nothing changes: `Rewriter` walks the function once and emits it again
with every op rewritten by `algebra`, shared with an equal op in scope, or moved out of loops that do not change it;
`drop_dead` removes what is no longer needed. Unchanged nodes are shared with the input, which is never modified.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from weft.ir.nodes import (
    Atom,
    Block,
    Call,
    For,
    Function,
    If,
    Lit,
    Map,
    Op,
    Renamer,
    Span,
    Stmt,
    Var,
    While,
    lit,
    vars_in_static,
    walk,
)  # fmt: skip
from weft.ir.primitive import REGISTRY, Collective, Primitive
from weft.ir.sizes import Dim, Size, dim, map_size
from weft.ir.types import ArrayType, bool_, i64
from weft.transforms.algebra import rules
from weft.transforms.dead import drop_dead
from weft.transforms.effects import effect_of
from weft.transforms.ranges import Ranges

_MOST_ROUNDS = 4


def simplify(f: Function, facts: Sequence[Size] = ()) -> Function:
    """An equal function with less to do.

    The results are the same bit by bit, and the same ops raise and print in the same order. Parameters, sizes and
    ``updates`` are kept. Each of ``facts``, over sizes and integer parameters, is known not to be negative.
    """
    for _ in range(_MOST_ROUNDS):
        rewriter = Rewriter(f, facts)
        f = drop_dead(rewriter.function(f))
        if not rewriter.again:
            break
    return f


def unsettled(f: Function, facts: Sequence[Size] = ()) -> list[Size]:
    """What would settle the index checks that are left, if it were known not to be negative: expressions over sizes and
    integer parameters, those of one check together or not at all."""
    rewriter = Rewriter(f, facts)
    rewriter.function(f)
    return list(rewriter.unsettled)


@dataclass
class _Scope:
    """A block being emitted. ``barrier``: what is emitted here runs only under a condition, so nothing leaves it."""

    stmts: list[Stmt] = field(default_factory=list)
    barrier: bool = False
    keys: list[Any] = field(default_factory=list)


class Rewriter:
    """One walk. ``level`` maps each variable in scope to the depth of its block."""

    def __init__(self, f: Function, facts: Sequence[Size] = ()) -> None:
        self.facts = facts
        self.unsettled: dict[Size, None] = {}
        self.names = Renamer()
        self.level: dict[Var, int] = {}
        self.ranges = Ranges()
        self.again = False
        self.rows: dict[Var, Atom] = {}  # stacked values that are the same at every position
        self.consumed = _consumed(f.body)
        self._defs: dict[Var, Op] = {}
        self._known: dict[Any, tuple[Atom, ...]] = {}
        self._scopes: list[_Scope] = []
        self._sizes_changed = False
        self._rules = rules()

    # -- what rules use --------------------------------------------------------------------------------------------

    def definition(self, a: Atom) -> Op | None:
        """The op that defines an operand."""
        return self._defs.get(a) if isinstance(a, Var) else None

    def make(self, prim: Primitive, *args: Atom, **attrs: Any) -> Atom:
        """Emit a pure op with one result, simplified in turn."""
        types = prim.type_rule(*[a.type for a in args], **attrs)
        return self.op(Op(prim, args, attrs, (Var(types[0]),)))[0]

    def zeros(self, t: ArrayType) -> Atom:
        """A zero of this type."""
        zero = lit(0, t.dtype)
        return self.make(REGISTRY["broadcast"], zero, shape=t.shape, dims=()) if t.shape else zero

    # -- names -----------------------------------------------------------------------------------------------------

    def replace(self, old: Var, new: Atom) -> None:
        """Let ``new`` stand for ``old`` from now on."""
        if old is new:
            return
        self.names.atoms[old] = new
        if old.type.dtype == i64 and not old.type.shape:
            self._sizes_changed = True

    def bind(self, v: Var) -> Var:
        """Bind a variable in the current block; it is new only where the sizes in its type have changed."""
        if self._sizes_changed and v.type.shape:
            t = self.names.static(v.type)
            if t != v.type:
                new = Var(t, v.name)
                self.names.atoms[v] = new
                v = new
        self.level[v] = len(self._scopes) - 1
        return v

    def bind_all(self, vs: Sequence[Var]) -> tuple[Var, ...]:
        """Bind variables in the current block."""
        return tuple([self.bind(v) for v in vs])

    def static(self, value: Any) -> Any:
        """A static value in the new sizes."""
        return self.names.static(value) if self._sizes_changed else value

    # -- blocks ----------------------------------------------------------------------------------------------------

    def function(self, f: Function) -> Function:
        """The function, emitted again."""
        self._scopes.append(_Scope(barrier=True))
        for v, _, _ in f.sizes:
            self.level[v] = 0
            self.ranges.bound(v, 2, None)
        for p in f.params:
            self.level[p] = 0
        self.given = {v for v, _, _ in f.sizes} | set(f.params)
        with self.ranges.given(list(self.facts)):
            self.stmts(f.body)
        results = self.names.all(f.results)
        return replace(f, body=Block(f.params, self._scopes.pop().stmts, results))

    def block(self, b: Block, params: Sequence[Var], *, barrier: bool, facts: Sequence[Size] = ()) -> Block:
        """A block inside a statement. Its parameters must be bound by ``bind_all`` inside: pass the old ones."""
        self._scopes.append(_Scope(barrier=barrier))
        new = self.bind_all(params)
        with self.ranges.given(list(facts)):
            self.stmts(b)
            results = self.names.all(b.results)
        scope = self._scopes.pop()
        for key in scope.keys:
            del self._known[key]
        return Block(new, scope.stmts, results)

    def stmts(self, b: Block) -> None:
        """The statements of a block."""
        for s in b.stmts:
            self.stmt(s)

    def append(self, s: Stmt) -> None:
        """Append to the current block."""
        self._scopes[-1].stmts.append(s)

    # -- statements ------------------------------------------------------------------------------------------------

    def stmt(self, s: Stmt) -> None:
        """A statement."""
        match s:
            case Op():
                for o, new in zip(s.outs, self.op(s, old=True), strict=True):
                    self.replace(o, new)
            case For():
                self.for_(s)
            case While():
                self.while_(s)
            case If():
                self.if_(s)
            case Map():
                self.map_(s)
            case Call():
                args = self.names.all(s.args)
                self.append(Call(s.func, args, self.bind_all(s.outs), s.loc, s.rule))
            case _:
                raise TypeError(f"not a statement: {s!r}")

    def op(self, s: Op, *, old: bool = False) -> tuple[Atom, ...]:
        """An op: rewritten, found, or emitted; returns what its results are. ``old``: it is in terms of old names."""
        attrs = s.attrs
        if old:
            args = self.names.all(s.args)
            if attrs and self._sizes_changed:
                attrs = {k: self.names.static(v) for k, v in attrs.items()}
            if self._sizes_changed and any([o.type.shape for o in s.outs]):
                s = Op(s.prim, args, attrs, self._retyped(s.outs), s.loc)
            elif any([a is not b for a, b in zip(args, s.args, strict=True)]):
                s = Op(s.prim, args, attrs, s.outs, s.loc)
        s = self.checked(s)
        effect = effect_of(s)
        if not effect and len(s.outs) == 1:
            found = self._folded(s)
            if found is None and (rule := self._rules.get(s.prim)) is not None:
                found = rule(self, s)
            if found is not None:
                self.again = True
                return (found,)
        key = None
        if effect != "io" and s.outs and s.prim is not REGISTRY["undef"]:
            key = (s.prim, s.args, tuple(sorted(s.attrs.items())) if s.attrs else ())
            known = self._known.get(key)
            if known is not None:
                self.again = True
                return known
        depth = len(self._scopes) - 1
        if not effect and not s.prim.dependent_results:
            depth = self._hoisted_to(s, depth)
        self._scopes[depth].stmts.append(s)
        for o in s.outs:
            self.level[o] = depth
            self._defs[o] = s
        self.ranges.define(s)
        if key is not None:
            self._known[key] = s.outs
            self._scopes[depth].keys.append(key)
        return s.outs

    def _retyped(self, outs: Sequence[Var]) -> tuple[Var, ...]:
        """Results with the sizes in their types renamed (results may name each other)."""
        if all([self.names.static(o.type) == o.type for o in outs]):
            return tuple(outs)
        return self.names.bind_all(outs)

    def checked(self, s: Op) -> Op:
        """An indexing op without the bounds check where its operands are known to be in range."""
        mode = s.attrs.get("mode")
        if mode is None or mode == "fast":
            return s
        spec, shape = s.attrs["spec"], s.args[0].type.shape
        operands = s.args[len(s.args) - len(spec) :]
        wraps = False
        for e, o, n in zip(spec, operands, shape, strict=True):
            if isinstance(e, Span) or self.ranges.within(o, n):
                continue
            if isinstance(o, Lit) and o.value < 0 and self.ranges.nonnegative(n + int(o.value)):
                wraps = True  # counted from the end, and always there
                continue
            self._unsettle(s)
            return s
        if wraps and mode == "wrap":
            return s
        return Op(s.prim, s.args, {**s.attrs, "mode": "wrap" if wraps else "fast"}, s.outs, s.loc)

    def _unsettle(self, s: Op) -> None:
        """Note what would have to be known for an indexing op to need no check."""
        spec, shape = s.attrs["spec"], s.args[0].type.shape
        needs: list[Size] = []
        for e, o, n in zip(spec, s.args[len(s.args) - len(spec) :], shape, strict=True):
            if isinstance(e, Span) or self.ranges.within(o, n):
                continue
            if o.type.dtype != i64 or o.type.shape:
                return
            form = self.ranges.form(o)
            for x in (form, self.ranges.form(n) - 1 - form):
                if not self.ranges.nonnegative(x):
                    need = self.ranges.worst(x, self.given)
                    if not isinstance(need, Dim):
                        return
                    needs.append(need)
        self.unsettled.update(dict.fromkeys(needs))

    def _folded(self, s: Op) -> Atom | None:
        (o,) = s.outs
        if not s.args or o.type.shape or any([not isinstance(a, Lit) for a in s.args]):
            return None
        if isinstance(s.prim.kind, Collective) or not s.prim.foldable:  # what one lane has tells nothing of it
            return None
        with np.errstate(all="ignore"):
            return lit(s.prim.numpy(*[a.value for a in s.args if isinstance(a, Lit)], **s.attrs), o.type.dtype)

    def _hoisted_to(self, s: Op, depth: int) -> int:
        """The depth of the outermost block that an op may be moved to."""
        if self._scopes[depth].barrier or not s.args:
            return depth
        mode = s.attrs.get("mode")
        if mode is not None:
            # a read may be in range only because the loop runs; a write outside the loop would need a copy
            if s.prim is not REGISTRY["index"] or s.outs[0].type.shape:
                return depth
        elif s.prim is REGISTRY["broadcast"]:  # costs nothing where it is, and may be a buffer to write into
            return depth
        lowest = 0
        for a in s.args:
            if isinstance(a, Var):
                lowest = max(lowest, self.level.get(a, 0))  # a variable of the function around is known everywhere
        for v in vars_in_static((tuple(s.attrs.values()), *[o.type for o in s.outs])):
            lowest = max(lowest, self.level.get(v, depth))
        target = depth
        while target > lowest and not self._scopes[target].barrier:
            target -= 1
        if target < depth and mode is not None and not self._always_within(s):
            return depth
        return target

    def _always_within(self, s: Op) -> bool:
        """Whether a read is in range even if the loop around it does not run: at literal places of known arrays."""
        operands, shape = s.args[1:], s.args[0].type.shape
        return all([isinstance(o, Lit) and self.ranges.within(o, n) for o, n in zip(operands, shape, strict=True)])

    # -- loops -----------------------------------------------------------------------------------------------------

    def for_(self, s: For) -> None:
        """A loop: its counter's range is known in the body, its invariant carries are not carried."""
        trip = self.static(s.trip)
        inits = list(self.names.all(s.inits))
        if trip == 1 or (trip == 0 and len(s.outs) == len(inits)):
            self._unrolled(s, trip, inits)
            return
        n = len(inits)
        k, *params = s.body.params
        keep = self._varying(params, s.body.results[:n], inits, s.outs[:n])
        self.ranges.bound(k, 0, self.ranges.form(trip) - 1)
        facts = [self.ranges.form(trip) - 1]  # the body runs, so there is at least one iteration
        facts += self._rising(s.body, params, inits)
        body = self.block(s.body, (k, *_select(params, keep)), barrier=False, facts=facts)
        outs, stacked = self._collected(s.outs[n:], list(body.results[n:]))
        body.results = (*_select(body.results[:n], keep), *stacked)
        new = (*self.bind_all(_select(s.outs[:n], keep)), *self.bind_all(outs))
        self.append(For(trip, _select(inits, keep), body, new, s.reverse, s.loc))

    def _unrolled(self, s: For, trip: Size, inits: Sequence[Atom]) -> None:
        """A loop that runs once or never."""
        self.again = True
        k, *params = s.body.params
        n = len(inits)
        if trip == 0:
            for o, a in zip(s.outs, inits, strict=True):
                self.replace(o, a)
            return
        self.replace(k, lit(0))
        for p, a in zip(params, inits, strict=True):
            self.replace(p, a)
        self.stmts(s.body)
        results = self.names.all(s.body.results)
        for o, r in zip(s.outs[:n], results[:n], strict=True):
            self.replace(o, r)
        for o, r in zip(s.outs[n:], results[n:], strict=True):
            dims = tuple(range(1, 1 + r.type.rank))
            self.replace(o, self.make(REGISTRY["broadcast"], r, shape=(1, *r.type.shape), dims=dims))

    def _varying(
        self, params: Sequence[Var], nexts: Sequence[Atom], inits: Sequence[Atom], outs: Sequence[Var]
    ) -> list[bool]:
        """Which carries change; the others are replaced by their initial values."""
        keep = []
        for p, r, i, o in zip(params, nexts, inits, outs, strict=True):
            same = r is p or self.names.atom(r) is i or (isinstance(r, Lit) and isinstance(i, Lit) and r == i)
            if same:
                self.replace(p, i)
                self.replace(o, i)
                self.again = True
            keep.append(not same)
        return keep

    def _collected(self, outs: Sequence[Var], values: list[Atom]) -> tuple[list[Var], list[Atom]]:
        """Collected values without repetitions; what is the same at every position is remembered."""
        seen: dict[Atom, Var] = {}
        kept: list[Var] = []
        stacked: list[Atom] = []
        depth = len(self._scopes) - 1
        for o, r in zip(outs, values, strict=True):
            if r in seen:
                self.replace(o, self.names.atom(seen[r]))
                self.again = True
                continue
            seen[r] = o
            kept.append(o)
            stacked.append(r)
            if isinstance(r, Lit) or self.level.get(r, depth + 1) <= depth:
                self.rows[o] = r
        return kept, stacked

    def _rising(self, body: Block, params: Sequence[Var], inits: Sequence[Atom]) -> list[Size]:
        """Facts about counters that the program keeps itself: a carry that only grows stays at or above its start."""
        found: list[Size] = []
        for p, init, r in zip(params, inits, body.results, strict=False):
            if p.type.dtype != i64 or p.type.shape:
                continue
            d = next((t for t in reversed(body.stmts) if isinstance(t, Op) and r in t.outs), None)
            if d is None or d.prim is not REGISTRY["add"]:
                continue
            a, b = d.args
            step = b if a is p else (a if b is p else None)
            if isinstance(step, Lit) and step.value >= 0:
                found.append(dim(p) - self.ranges.form(init))
        return found

    def while_(self, s: While) -> None:
        """A while loop: its condition holds in its body."""
        n = len(s.inits)
        inits = list(self.names.all(s.inits))
        keep = self._varying(s.body.params, s.body.results[:n], inits, s.outs[:n])
        for p, i, on in zip(s.cond.params, inits, keep, strict=True):
            if not on:
                self.replace(p, i)
        rising = self._rising(s.body, s.body.params, inits)
        in_cond = {q: p for p, q in zip(s.cond.params, s.body.params, strict=True)}
        in_body = {p: q for q, p in in_cond.items()}
        cond_facts = [map_size(e, lambda v: _dim_of(in_cond.get(v))) for e in rising]
        cond = self.block(s.cond, _select(s.cond.params, keep), barrier=False, facts=cond_facts)
        holds = self.ranges.implied(cond.results[0], self.definition, True)
        holds = [map_size(e, lambda v: _dim_of(in_body.get(v))) for e in holds]
        body = self.block(s.body, _select(s.body.params, keep), barrier=False, facts=[*rising, *holds])
        trip = self.bind(s.outs[n])
        self.ranges.bound(trip, 0, None)
        outs, stacked = self._collected(s.outs[n + 1 :], list(body.results[n:]))
        body.results = (*_select(body.results[:n], keep), *stacked)
        new = (*self.bind_all(_select(s.outs[:n], keep)), trip, *self.bind_all(outs))
        self.append(While(_select(inits, keep), cond, body, new, s.loc))

    def map_(self, s: Map) -> None:
        """A map: its indices' ranges are known in the lane; accumulators that nothing is added to are not carried."""
        m, n = len(s.sizes), len(s.inits)
        sizes = self.static(s.sizes)
        inits = list(self.names.all(s.inits))
        params = s.body.params[m:]
        keep = [r is not p for r, p in zip(s.body.results[:n], params, strict=True)]
        for p, i, o, on in zip(params, inits, s.outs, keep, strict=False):
            if not on:
                self.replace(p, i)
                self.replace(o, i)
                self.again = True
        for v, size in zip(s.body.params[:m], sizes, strict=True):
            self.ranges.bound(v, 0, self.ranges.form(size) - 1)
        facts = [self.ranges.form(size) - 1 for size in sizes]
        body = self.block(s.body, (*s.body.params[:m], *_select(params, keep)), barrier=False, facts=facts)
        body.results = (*_select(body.results[:n], keep), *body.results[n:])
        new = (*self.bind_all(_select(s.outs[:n], keep)), *self.bind_all(s.outs[n:]))
        self.append(Map(sizes, _select(inits, keep), body, new, s.loc))

    # -- branches --------------------------------------------------------------------------------------------------

    def if_(self, s: If) -> None:
        """A branch: of known outcome, or with the predicate known inside."""
        pred = self.names.atom(s.pred)
        if isinstance(pred, Lit):
            self.again = True
            taken = s.then if pred.value else s.orelse
            self.stmts(taken)
            for o, r in zip(s.outs, self.names.all(taken.results), strict=True):
                self.replace(o, r)
            return
        blocks = []
        shadowed = self.names.atoms.get(s.pred) if isinstance(s.pred, Var) else None
        for b, value in ((s.then, True), (s.orelse, False)):
            if isinstance(s.pred, Var):
                self.names.atoms[s.pred] = lit(value, bool_)
            blocks.append(self.block(b, (), barrier=True, facts=self.ranges.implied(pred, self.definition, value)))
            if isinstance(s.pred, Var):
                if shadowed is None:
                    del self.names.atoms[s.pred]
                else:
                    self.names.atoms[s.pred] = shadowed
        keep = []
        depth = len(self._scopes) - 1
        for o, x, y in zip(s.outs, blocks[0].results, blocks[1].results, strict=True):
            same = (x is y and isinstance(x, Var) and self.level.get(x, 0) <= depth) or (isinstance(x, Lit) and x == y)
            if same:
                self.replace(o, x)
                self.again = True
            keep.append(not same)
        for block in blocks:
            block.results = _select(block.results, keep)
        self.append(If(pred, blocks[0], blocks[1], self.bind_all(_select(s.outs, keep)), s.loc))


def _consumed(block: Block) -> set[Atom]:
    """The arrays that something may overwrite: written to, carried, or handed out of a block."""
    found: set[Atom] = set(block.results)
    writes = (REGISTRY["store"], REGISTRY["accum"])
    for s in walk(block):
        match s:
            case Op():
                if s.prim in writes:
                    found.add(s.args[0])
            case For() | Map():
                found.update(s.inits)
                found.update(s.body.params)
                found.update(s.body.results)
            case While():
                found.update(s.inits)
                found.update(s.body.params)
                found.update(s.body.results)
            case If():
                found.update(s.then.results)
                found.update(s.orelse.results)
            case Call():
                found.update(s.args)
    return found


def _dim_of(v: Var | None) -> Size | None:
    return None if v is None else dim(v)


def _select(items: Sequence[Any], keep: Sequence[bool]) -> tuple[Any, ...]:
    return tuple([x for x, on in zip(items, keep, strict=True) if on])


__all__ = ["Rewriter", "simplify"]
