"""The verifier: scoping, types and structure of a function. It runs after every pass in tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

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
    Stmt,
    Var,
    While,
    vars_in_static,
)  # fmt: skip
from weft.ir.outline import call_types
from weft.ir.sizes import dim
from weft.ir.types import ArrayType, bool_, i64, same_type, scalar


class IRError(AssertionError):
    """A malformed function: a mistake in the compiler, never in the user's program."""


def verify(f: Function, *, after: str = "") -> Function:
    """Check ``f`` and return it.

    Raises
    ------
    IRError
        A variable used outside its scope or bound twice, operand types that a primitive refuses, results whose types
        differ from what their statement yields.
    """
    _Verifier(f, after).run()
    return f


class _Verifier:
    def __init__(self, f: Function, after: str) -> None:
        self.f = f
        self.after = after
        self.ever: set[Var] = set()

    def fail(self, message: str, stmt: Stmt | None = None) -> None:
        from weft.ir.printer import to_text

        where = f" after {self.after}" if self.after else ""
        detail = f"\n{to_text(stmt)}" if stmt is not None else ""
        raise IRError(f"{self.f.name}{where}: {message}{detail}")

    def run(self) -> None:
        scope: set[Var] = set()
        self.bind([v for v, _, _ in self.f.sizes], scope)
        for v, p, axis in self.f.sizes:
            if dim(v) != self.f.params[p].type.shape[axis]:
                self.fail(f"size {v} is not axis {axis} of parameter {p}")
        self.block(self.f.body, scope)
        for r, p in self.f.updates.items():
            if not same_type(self.f.results[r].type, self.f.params[p].type):
                self.fail(f"result {r} updates parameter {p} of another type")

    def bind(self, vs: Iterable[Var], scope: set[Var]) -> None:
        for v in vs:
            if v in self.ever:
                self.fail(f"{v} is bound twice")
            self.ever.add(v)
            scope.add(v)
        for v in vs:
            self.sizes(v.type, scope, None)

    def sizes(self, static: Any, scope: set[Var], stmt: Stmt | None) -> None:
        for v in vars_in_static(static):
            if v not in scope:
                self.fail(f"size names {v}, which is not in scope", stmt)
            if v.type != scalar(i64):
                self.fail(f"size names {v}, which is {v.type}, not i64", stmt)

    def uses(self, atoms: Iterable[Atom], scope: set[Var], stmt: Stmt | None = None) -> None:
        for a in atoms:
            if isinstance(a, Var):
                if a not in scope:
                    self.fail(f"{a} is used out of scope", stmt)
            elif not isinstance(a, Lit):
                self.fail(f"{a!r} is not an operand", stmt)

    def block(self, b: Block, scope: set[Var]) -> None:
        inner = set(scope)
        self.bind(b.params, inner)
        for s in b.stmts:
            self.stmt(s, inner)
        self.uses(b.results, inner)

    def types(self, what: str, got: Iterable[ArrayType], want: Iterable[ArrayType], stmt: Stmt) -> None:
        got, want = list(got), list(want)
        if len(got) != len(want):
            self.fail(f"{what}: {len(got)} values for {len(want)}", stmt)
        for g, w in zip(got, want, strict=True):
            if not same_type(g, w):
                self.fail(f"{what}: {g} where {w} is expected", stmt)

    def stmt(self, s: Stmt, scope: set[Var]) -> None:
        match s:
            case Op():
                self.uses(s.args, scope, s)
                self.sizes(tuple(s.attrs.values()), scope, s)
                n = s.prim.dependent_results
                extra = {"outs": tuple([dim(o) for o in s.outs[:n]])} if n else {}
                want = s.prim.type_rule(*[a.type for a in s.args], **extra, **s.attrs)
                self.types("results", [o.type for o in s.outs], want, s)
            case For():
                self.uses(s.inits, scope, s)
                self.sizes(s.trip, scope, s)
                self.block(s.body, scope)
                n = len(s.inits)
                k, *carries = s.body.params
                self.types("index", [k.type], [scalar(i64)], s)
                self.carries(s, s.inits, tuple(carries), s.body.results[:n], s.outs[:n])
                rows = [ArrayType(r.type.dtype, (s.trip, *r.type.shape)) for r in s.body.results[n:]]
                self.types("collected", [o.type for o in s.outs[n:]], rows, s)
            case While():
                self.uses(s.inits, scope, s)
                self.block(s.cond, scope)
                self.block(s.body, scope)
                n = len(s.inits)
                self.types("condition", [r.type for r in s.cond.results], [scalar(bool_)], s)
                self.types("condition's parameters", [p.type for p in s.cond.params], [i.type for i in s.inits], s)
                self.carries(s, s.inits, s.body.params, s.body.results[:n], s.outs[:n])
                self.types("trip count", [s.outs[n].type], [scalar(i64)], s)
                rows = [ArrayType(r.type.dtype, (dim(s.outs[n]), *r.type.shape)) for r in s.body.results[n:]]
                self.types("collected", [o.type for o in s.outs[n + 1 :]], rows, s)
            case If():
                self.uses((s.pred,), scope, s)
                self.types("predicate", [s.pred.type], [scalar(bool_)], s)
                for b in (s.then, s.orelse):
                    self.block(b, scope)
                    self.types("branch", [r.type for r in b.results], [o.type for o in s.outs], s)
            case Map():
                self.uses(s.inits, scope, s)
                self.sizes(s.sizes, scope, s)
                self.block(s.body, scope)
                m, n = len(s.sizes), len(s.inits)
                self.types("indices", [p.type for p in s.body.params[:m]], [scalar(i64)] * m, s)
                self.carries(s, s.inits, s.body.params[m:], s.body.results[:n], s.outs[:n])
                rows = [ArrayType(r.type.dtype, (*s.sizes, *r.type.shape)) for r in s.body.results[n:]]
                self.types("elements", [o.type for o in s.outs[n:]], rows, s)
            case Call():
                self.uses(s.args, scope, s)
                if [a.type.dtype for a in s.args] != [p.type.dtype for p in s.func.params]:
                    self.fail("operands of the call do not fit the function", s)
                verify(s.func, after=self.after)
                self.types("results of the call", [o.type for o in s.outs], call_types(s.func, s.args, s.outs), s)
            case _:
                self.fail(f"not a statement: {s!r}")
        self.bind(s.outs, scope)

    def carries(
        self, s: Stmt, inits: tuple[Atom, ...], params: tuple[Var, ...], nexts: tuple[Atom, ...], outs: tuple[Var, ...]
    ) -> None:
        types = [p.type for p in params]
        self.types("initial carries", [i.type for i in inits], types, s)
        self.types("next carries", [r.type for r in nexts], types, s)
        self.types("final carries", [o.type for o in outs], types, s)
