"""Dead code: a mark-and-sweep over variables, exact for loop carries, collects, branch results and accumulators.

A carry lives only if something outside the loop's own recurrence of that carry needs it, so a carry that feeds only
itself goes away. Both phases are linear in the size of the code.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from weft.ir.nodes import (
    Atom,
    Block,
    Call,
    For,
    Function,
    If,
    Map,
    Op,
    Stmt,
    Var,
    While,
    atom_uses,
    vars_in_static,
)  # fmt: skip
from weft.transforms.effects import effect_of, has_effect

_T = TypeVar("_T")


class Liveness:
    """Which variables and statements the roots need.

    ``effects`` says whether ops that raise or print are roots themselves (they are not when a slice is recomputed that
    has already run once).
    """

    def __init__(self, *, effects: bool = True) -> None:
        self.effects = effects
        self.live: set[Var] = set()
        self.live_stmts: set[int] = set()
        self._edges: dict[Var, list[Var]] = {}
        self._owner: dict[Var, Stmt] = {}
        self._needs: dict[int, list[Var]] = {}
        self._parent: dict[int, Stmt | None] = {}
        self._roots: list[Stmt] = []
        self._work: list[Var] = []

    # -- the graph -------------------------------------------------------------------------------------------------

    def enter(self, stmts: Iterable[Stmt], parent: Stmt | None = None) -> None:
        """Add statements (and those inside them) to the graph."""
        for s in stmts:
            self._parent[id(s)] = parent
            for o in s.outs:
                self._owner[o] = s
            match s:
                case Op():
                    self._needs[id(s)] = list(atom_uses(s))
                    if self.effects and effect_of(s):
                        self._roots.append(s)
                case Call():
                    self._needs[id(s)] = list(atom_uses(s))
                    if self.effects and (s.rule is None or has_effect(s)):
                        self._roots.append(s)
                case For():
                    self._needs[id(s)] = list(vars_in_static(s.trip))
                    k, *params = s.body.params
                    self._loop(s, s.inits, [params], s.body, s.outs[: len(params)], s.outs[len(params) :])
                    self._owner[k] = s
                case While():
                    self._needs[id(s)] = _vars(s.cond.results)
                    n = len(s.inits)
                    self._loop(s, s.inits, [s.cond.params, s.body.params], s.body, s.outs[:n], s.outs[n + 1 :])
                    self.enter(s.cond.stmts, s)
                case If():
                    self._needs[id(s)] = _vars((s.pred,))
                    for j, o in enumerate(s.outs):
                        self._edge(o, s.then.results[j], s.orelse.results[j])
                    self.enter(s.then.stmts, s)
                    self.enter(s.orelse.stmts, s)
                case Map():
                    self._needs[id(s)] = list(vars_in_static(s.sizes))
                    m, n = len(s.sizes), len(s.inits)
                    self._loop(s, s.inits, [s.body.params[m:]], s.body, s.outs[:n], s.outs[n:])
                    for p in s.body.params[:m]:
                        self._owner[p] = s
                case _:
                    raise TypeError(f"not a statement: {s!r}")

    def _loop(
        self,
        s: Stmt,
        inits: Sequence[Atom],
        params: Sequence[Sequence[Var]],
        body: Block,
        outs: Sequence[Var],
        stacked: Sequence[Var],
    ) -> None:
        n = len(inits)
        for i, (init, o) in enumerate(zip(inits, outs, strict=True)):
            # one slot: whichever of its variables is needed, the whole recurrence is
            head = params[0][i]
            self._edge(o, head)
            self._edge(head, init, body.results[i])
            for group in params:
                self._owner[group[i]] = s
                if group[i] is not head:
                    self._edge(group[i], head)
        for o, e in zip(stacked, body.results[n:], strict=True):
            self._edge(o, e)
        self.enter(body.stmts, s)

    def _edge(self, v: Var, *needs: Atom) -> None:
        self._edges.setdefault(v, []).extend(_vars(needs))

    # -- marking ---------------------------------------------------------------------------------------------------

    def mark(self, roots: Iterable[Atom]) -> None:
        """Mark what ``roots`` and the effectful ops need."""
        self._work.extend(_vars(roots))
        for s in self._roots:
            self._statement(s)
        work = self._work
        while work:
            v = work.pop()
            if v in self.live:
                continue
            self.live.add(v)
            work.extend(self._edges.get(v, ()))
            if v.type.shape:
                work.extend(vars_in_static(v.type))
            owner = self._owner.get(v)
            if owner is not None:
                self._statement(owner)

    def _statement(self, s: Stmt | None) -> None:
        while s is not None and id(s) not in self.live_stmts:
            self.live_stmts.add(id(s))
            self._work.extend(self._needs[id(s)])
            s = self._parent[id(s)]

    # -- sweeping --------------------------------------------------------------------------------------------------

    def sweep(self, stmts: Iterable[Stmt]) -> list[Stmt]:
        """The live statements, with dead carries, collects and branch results left out."""
        return [self._swept(s) for s in stmts if id(s) in self.live_stmts]

    def _swept(self, s: Stmt) -> Stmt:
        live = self.live
        match s:
            case Op() | Call():
                return s
            case For():
                k, *params = s.body.params
                n = len(params)
                carry = [p in live for p in params]
                keep = carry + [o in live for o in s.outs[n:]]
                body = self._block(s.body, (k, *_kept(params, carry)), keep)
                return For(s.trip, _kept(s.inits, carry), body, _kept(s.outs, keep), s.reverse, s.loc)
            case While():
                n = len(s.inits)
                carry = [p in live for p in s.cond.params]
                keep = carry + [o in live for o in s.outs[n + 1 :]]
                cond = self._block(s.cond, _kept(s.cond.params, carry), [True])
                body = self._block(s.body, _kept(s.body.params, carry), keep)
                outs = (*_kept(s.outs[:n], carry), s.outs[n], *_kept(s.outs[n + 1 :], keep[n:]))
                return While(_kept(s.inits, carry), cond, body, outs, s.loc)
            case If():
                keep = [o in live for o in s.outs]
                then, orelse = self._block(s.then, (), keep), self._block(s.orelse, (), keep)
                return If(s.pred, then, orelse, _kept(s.outs, keep), s.loc)
            case Map():
                m, n = len(s.sizes), len(s.inits)
                carry = [p in live for p in s.body.params[m:]]
                keep = carry + [o in live for o in s.outs[n:]]
                body = self._block(s.body, (*s.body.params[:m], *_kept(s.body.params[m:], carry)), keep)
                return Map(s.sizes, _kept(s.inits, carry), body, _kept(s.outs, keep), s.loc)
        raise TypeError(f"not a statement: {s!r}")

    def _block(self, b: Block, params: tuple[Var, ...], keep: Sequence[bool]) -> Block:
        return Block(params, self.sweep(b.stmts), _kept(b.results, keep))


def _vars(atoms: Iterable[Atom]) -> list[Var]:
    return [a for a in atoms if isinstance(a, Var)]


def _kept(items: Sequence[_T], keep: Sequence[bool]) -> tuple[_T, ...]:
    return tuple([x for x, k in zip(items, keep, strict=True) if k])


def live_statements(stmts: Sequence[Stmt], roots: Iterable[Atom], *, effects: bool = True) -> list[Stmt]:
    """The part of ``stmts`` that ``roots`` (and, if ``effects``, the ops with effects) need; variables keep their
    identity, statements that lose a part are rebuilt."""
    graph = Liveness(effects=effects)
    graph.enter(stmts)
    graph.mark(roots)
    return graph.sweep(stmts)


def drop_dead(f: Function) -> Function:
    """``f`` without the statements, carries and results inside it that nothing needs."""
    graph = Liveness()
    graph.enter(f.body.stmts)
    graph.mark(f.body.results)
    return replace(f, body=Block(f.body.params, graph.sweep(f.body.stmts), f.body.results))
