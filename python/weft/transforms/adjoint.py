"""The adjoint of a block, statement by statement, emitted in reverse order.

Cotangents live in a dictionary from primal variables to atoms; a variable that is not in it has a zero cotangent, which
costs nothing. An array variable read by index has one running cotangent array that reads are added into (`accum`), so
that lowering can update it in place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from weft.errors import StagingError
from weft.ir.builder import Builder
from weft.ir.nodes import (
    At,
    Atom,
    Block,
    Call,
    For,
    Function,
    If,
    Map,
    Op,
    Span,
    Stmt,
    Var,
    While,
    free_vars,
    lit,
)  # fmt: skip
from weft.ir.outline import call_types, closed_call, trimmed
from weft.ir.primitive import Elementwise
from weft.ir.rules import Remat
from weft.ir.sizes import Size, dim
from weft.ir.types import i64, is_inexact, scalar
from weft.primitives.declare import prim, zeros
from weft.transforms.rules import halves_of, only_explicit, residual_vars, splice
from weft.transforms.saving import Tape, cheap


class Adjoint:
    """Emits adjoint code into ``b``'s current block. ``active`` are the variables that have cotangents."""

    def __init__(self, b: Builder, tape: Tape, active: set[Var]) -> None:
        self.b = b
        self.tape = tape
        self.active = active
        self.ct: dict[Var, Atom] = {}
        # cotangents that are (or flow from) a map's accumulators: they may only be added to
        self.accumulators: set[Atom] = set()

    # -- cotangents ------------------------------------------------------------------------------------------------

    def wants(self, a: Atom) -> bool:
        """Whether an operand has a cotangent."""
        return isinstance(a, Var) and a in self.active

    def get(self, a: Atom) -> Atom | None:
        """The cotangent so far."""
        return self.ct.get(a) if isinstance(a, Var) else None

    def get_or_zeros(self, a: Atom) -> Atom:
        """The cotangent so far, as a value."""
        ct = self.get(a)
        return zeros(self.tape.type(a)) if ct is None else ct

    def set(self, v: Var, ct: Atom) -> None:
        """Replace a cotangent."""
        if isinstance(ct, Var) and not ct.name and v.name:
            ct.name = f"{v.name}_ct"
        self.ct[v] = ct

    def add(self, a: Atom, ct: Atom | None) -> None:
        """Add to a cotangent."""
        if ct is None or not isinstance(a, Var) or a not in self.active:
            return
        old = self.ct.get(a)
        if old is None:
            self.set(a, ct)
        elif old in self.accumulators and old.type.shape:
            starts = [lit(0)] * old.type.rank
            spec = tuple([Span(size) for size in old.type.shape])
            self.set(a, self.follow(old, prim("accum")(old, ct, *starts, spec=spec, mode="fast")))
        else:
            self.set(a, prim("add")(old, ct))

    def follow(self, old: Atom, new: Atom) -> Atom:
        """``new`` is an accumulator if ``old`` is."""
        if old in self.accumulators:
            self.accumulators.add(new)
        return new

    @contextmanager
    def cotangents(self, ct: dict[Var, Atom]) -> Iterator[None]:
        """Work on other cotangents inside (a block's)."""
        outer, self.ct = self.ct, ct
        try:
            yield
        finally:
            self.ct = outer

    def enter(self, s: Stmt, block: Block, counters: Sequence[Var] = ()) -> None:
        """Begin the adjoint of a statement's block. A partial derivative that the block computed for itself (the cosine
        beside a sine) is that value, saved or computed again once."""
        self.tape.enter(s, block, counters)
        for x in block.stmts:
            if isinstance(x, Op) and isinstance(x.prim.kind, Elementwise) and not cheap(x):
                self.b.know(self.tape.here(x))

    # -- statements ------------------------------------------------------------------------------------------------

    def block(self, block: Block) -> None:
        """The adjoint of a block whose results' cotangents are set."""
        for s in reversed(list(block.stmts)):
            if any([o in self.ct for o in s.outs]):
                with self.b.at(s.loc and replace(s.loc, backward=True)):
                    self.stmt(s)
                for o in s.outs:
                    self.ct.pop(o, None)

    def stmt(self, s: Stmt) -> None:
        """The adjoint of a statement some of whose results have cotangents."""
        match s:
            case Op():
                self.op(s)
            case For():
                self.loop(s, s.body.params[1:], s.outs[len(s.inits) :], s.trip, not s.reverse)
            case While():
                n = len(s.inits)
                self.loop(s, s.body.params, s.outs[n + 1 :], dim(s.outs[n]), True)
            case If():
                self.if_(s)
            case Map():
                self.map_(s)
            case Call():
                self.call(s)
            case _:
                raise TypeError(f"not a statement: {s!r}")

    def op(self, s: Op) -> None:
        """An op, by its primitive's rule."""
        wanted = [self.wants(a) for a in s.args]
        if not any(wanted):
            return
        here = self.tape.here(s)
        cts = [self.get(o) for o in s.outs]
        if s.prim is prim("index") and cts[0] is not None and isinstance(s.args[0], Var):
            # a read adds into the array's running cotangent, where the general rule would make a new array
            array = s.args[0]
            running = self.get_or_zeros(array)
            new = prim("accum")(running, cts[0], *here.args[1:], **here.attrs)
            self.set(array, self.follow(running, new))
            return
        if s.prim.vjp is None:
            raise StagingError(
                f"{s.prim.name} has no reverse-mode derivative",
                remedy="stop the derivative there with weft.lax.stop_gradient",
                loc=s.loc,
            )
        for a, ct in zip(s.args, s.prim.vjp(here, cts, wanted), strict=True):
            self.add(a, ct)

    def call(self, s: Call) -> None:
        """A call with a rule: the forward call returns what the backward half needs as well."""
        wanted = [self.wants(a) for a in s.args]
        if not any(wanted):
            return
        n, given_args = len(s.outs), s.args
        names = self.tape.names
        if isinstance(s.rule, Remat):
            from weft.transforms.reverse import remat_halves

            given = [self.get(o) for o in s.outs]
            func, backward = remat_halves(s.func, wanted, [ct is not None for ct in given], s.rule.policy)
            saved = self.grown(s, func)
            operands = [*names.all(s.args[: len(given_args)]), *saved, *[ct for ct in given if ct is not None]]
            backward, places = trimmed(backward)
            backward, passed = closed_call(backward, [operands[k] for k in places])
            again = Remat(s.rule.policy, again=True)
            found: Sequence[Atom] = self.b.call(backward, passed, call_types(backward, passed), again)
            targets = [a for a, on in zip(given_args, wanted, strict=True) if on]
        elif s.rule is not None:
            rule = s.rule
            only_explicit(rule, wanted, s.loc)
            func, backward = halves_of(rule, s.func, s.loc)
            residuals = self.grown(s, func)
            s.rule = None
            cts = [self.get_or_zeros(o) for o in s.outs[:n] if is_inexact(o.type.dtype)]
            found = splice(self.b, backward, [*residuals, *cts])
            targets = [a for a, on in zip(given_args, rule.explicit, strict=True) if on]
        else:
            raise TypeError(f"a call without a rule is inlined before differentiation: {s.func.name}")
        for a, ct in zip(targets, found, strict=True):
            self.add(a, ct)

    def grown(self, s: Call, func: Function) -> list[Atom]:
        """Let the forward call be one of ``func``, which has more results; these, as the adjoint names them. Those that
        are its own operands or their sizes (which types name) are not handed through."""
        n, names = len(s.outs), self.tape.names
        func, s.args = closed_call(func, s.args)
        given = dict(zip(func.params, s.args, strict=True))
        sizes: dict[Atom, Size] = {v: s.args[p].type.shape[axis] for v, p, axis in func.sizes}
        extra = func.results[n:]
        made = [r for r in dict.fromkeys(extra) if isinstance(r, Var) and r not in given and r not in sizes]
        s.func = replace(func, body=Block(func.params, func.body.stmts, (*func.results[:n], *made)))
        new = residual_vars(s.func, s.args, s.outs)
        self.tape.grow(s, new)
        given.update(zip(made, new, strict=True))
        return [
            self.b.atom(names.static(sizes[r]))
            if r in sizes
            else names.atom(given.get(r, r))
            if isinstance(r, Var)
            else r
            for r in extra
        ]

    def captured(self, *blocks: Block) -> list[Var]:
        """The active variables of outer blocks that these blocks name."""
        found = [v for b in blocks for v in free_vars(b) if v in self.active]
        return list(dict.fromkeys(found))

    def element(self, ct: Atom, indices: Sequence[Atom]) -> Atom:
        """One element of the cotangent of a stacked result."""
        rest = ct.type.shape[len(indices) :]
        spec = (*[At()] * len(indices), *[Span(size) for size in rest])
        return prim("index")(ct, *indices, *[lit(0)] * len(rest), spec=spec, mode="fast")  # type: ignore[no-any-return]

    def loop(
        self, s: For | While, params: tuple[Var, ...], stacked: tuple[Var, ...], trip: Size, reverse: bool
    ) -> None:
        """A loop: the adjoint runs over the same positions the other way, carrying the cotangents of its carries and
        the running cotangents of what the body captures."""
        n = len(params)
        carries = [i for i, p in enumerate(params) if p in self.active]
        captured = self.captured(s.body)
        trip2 = self.tape.names.static(trip)
        k = Var(scalar(i64), s.body.params[0].name if isinstance(s, For) else "k")
        nexts, elements = s.body.results[:n], s.body.results[n:]
        init_cts = [self.get_or_zeros(s.outs[i]) for i in carries] + [self.get_or_zeros(w) for w in captured]
        slots = [params[i] for i in carries] + captured
        flowing = [Var(self.tape.type(v), f"{v.name}_ct" if v.name else "") for v in slots]
        for start, q in zip(init_cts, flowing, strict=True):
            self.follow(start, q)
        rows = [(e, self.get(o)) for e, o in zip(elements, stacked, strict=True)]
        inner: dict[Var, Atom] = dict(zip(captured, flowing[len(carries) :], strict=True))
        with self.b.scope((k, *flowing)) as body, self.cotangents(inner):
            self.enter(s, s.body, (k,))
            for i, q in zip(carries, flowing, strict=False):
                self.add(nexts[i], q)
            for e, ct in rows:
                if ct is not None and self.wants(e):
                    self.add(e, self.element(ct, (k,)))
            self.block(s.body)
            results = [self.get_or_zeros(v) for v in slots]
            body.results = tuple(results)
            self.tape.leave(body)
        # captured variables that the body did not add to keep the cotangent they had
        keep = [j < len(carries) or r is not q for j, (r, q) in enumerate(zip(results, flowing, strict=True))]
        body.params = (k, *[q for q, on in zip(flowing, keep, strict=True) if on])
        body.results = tuple([r for r, on in zip(results, keep, strict=True) if on])
        kept = [(j, ct) for j, (ct, on) in enumerate(zip(init_cts, keep, strict=True)) if on]
        outs = self.b.for_(trip2, [ct for _, ct in kept], body, reverse=reverse)
        m = len(carries)
        # running cotangents are replaced before the initial values' are added: one variable may be both
        for (j, ct), new in reversed(list(zip(kept, outs, strict=True))):
            self.follow(ct, new)
            if j < m:
                self.add(s.inits[carries[j]], new)
            else:
                self.set(captured[j - m], new)

    def if_(self, s: If) -> None:
        """A branch: the adjoint branches on the same predicate; cotangents of captured variables flow through it."""
        pred = self.tape.names.atom(s.pred)
        outer = {v: c for v, c in self.ct.items() if v not in s.outs}
        outs = [(j, self.ct[o]) for j, o in enumerate(s.outs) if o in self.ct]
        captured = self.captured(s.then, s.orelse)
        blocks: list[tuple[Block, dict[Var, Atom]]] = []
        for old in (s.then, s.orelse):
            with self.b.scope() as block, self.cotangents(dict(outer)):
                self.enter(s, old)
                for j, ct in outs:
                    self.add(old.results[j], ct)
                self.block(old)
                blocks.append((block, self.ct))
                block.results = tuple([self.ct[v] for v in captured if v in self.ct])
                self.tape.leave(block)
        changed = [v for v in captured if any([inside.get(v) is not outer.get(v) for _, inside in blocks])]
        for block, inside in blocks:
            with self.reopened(block), self.cotangents(inside):
                block.results = tuple([self.get_or_zeros(v) for v in changed])
        found = self.b.if_(pred, blocks[0][0], blocks[1][0])
        for v, new in zip(changed, found, strict=True):
            new.name = f"{v.name}_ct" if v.name else ""
            if v in outer:
                self.follow(outer[v], new)
            self.set(v, new)

    @contextmanager
    def reopened(self, block: Block) -> Iterator[None]:
        """Append to a block that has been left."""
        with self.b.scope() as scratch:
            yield
        block.stmts.extend(scratch.stmts)

    def map_(self, s: Map) -> None:
        """A map: the adjoint maps over the same space and runs each lane again; the cotangents of what lanes capture
        are its accumulators."""
        m, n = len(s.sizes), len(s.inits)
        captured = self.captured(s.body)
        init_cts = [self.get_or_zeros(w) for w in captured]
        flowing = [Var(self.tape.type(w), f"{w.name}_ct" if w.name else "") for w in captured]
        self.accumulators.update(flowing)
        # a scalar's cotangent is summed within the lane and added once
        inner: dict[Var, Atom] = {w: q for w, q in zip(captured, flowing, strict=True) if q.type.shape}
        given = [self.get(o) for o in s.outs]
        indices = tuple([Var(scalar(i64), p.name) for p in s.body.params[:m]])
        with self.b.scope((*indices, *flowing)) as body, self.cotangents(inner):
            self.enter(s, s.body, indices)
            for j, (r, ct) in enumerate(zip(s.body.results, given, strict=True)):
                if ct is not None and self.wants(r):
                    # an accumulator's start value, and whatever is added to it, all have the cotangent of its end
                    self.add(r, ct if j < n else self.element(ct, indices))
            self.block(s.body)
            results: list[Atom] = []
            for w, q in zip(captured, flowing, strict=True):
                ct = self.get(w)
                results.append(q if ct is None else (ct if q.type.shape else prim("add")(q, ct)))
            body.results = tuple(results)
            self.tape.leave(body)
        keep = [r is not q for r, q in zip(results, flowing, strict=True)]
        body.params = (*indices, *[q for q, on in zip(flowing, keep, strict=True) if on])
        body.results = tuple([r for r, on in zip(results, keep, strict=True) if on])
        if any(keep):
            inits = [c for c, on in zip(init_cts, keep, strict=True) if on]
            outs = self.b.map_(self.tape.names.static(s.sizes), inits, body)
            changed = [(w, c) for w, c, on in zip(captured, init_cts, keep, strict=True) if on]
            for (w, old), new in zip(changed, outs, strict=True):
                self.set(w, self.follow(old, new))
        for init, ct in zip(s.inits, given, strict=False):
            self.add(init, ct)
