"""Activity: which variables carry derivatives.

A variable is *varied* if it depends differentiably on an active input, *useful* if a wanted result depends
differentiably on it. Loops are solved by repeating their body until the sets stop growing. Variables are bound once in
a function, so one set serves all its blocks. Calls without a rule have been inlined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from weft.ir.nodes import Atom, Block, Call, For, If, Map, Op, Stmt, Var, While
from weft.ir.rules import Remat
from weft.ir.types import is_inexact


def differentiable(op: Op) -> bool:
    """Whether an op passes derivatives on at all."""
    return op.prim.jvp is not None or op.prim.vjp is not None


def varied_vars(block: Block, seeds: Iterable[Var]) -> set[Var]:
    """The variables in ``block`` that depend differentiably on ``seeds``."""
    found = {v for v in seeds if is_inexact(v.type.dtype)}

    def has(a: Atom) -> bool:
        return isinstance(a, Var) and a in found

    def mark(*vs: Var) -> None:
        found.update([v for v in vs if is_inexact(v.type.dtype)])

    def run(b: Block) -> None:
        for s in b.stmts:
            stmt(s)

    def loop(s: For | While | Map, params: Sequence[Var], outs: Sequence[Var], stacked: Sequence[Var]) -> None:
        n = len(params)
        for p, init in zip(params, s.inits, strict=True):
            if has(init):
                mark(p)

        def step() -> None:
            run(s.body)
            mark(*[p for p, r in zip(params, s.body.results, strict=False) if has(r)])

        _until_stable(found, step)
        for p, o in zip(params, outs, strict=True):
            if has(p):
                mark(o)
        for o, e in zip(stacked, s.body.results[n:], strict=True):
            if has(e):
                mark(o)

    def stmt(s: Stmt) -> None:
        match s:
            case Op():
                if differentiable(s) and any([has(a) for a in s.args]):
                    mark(*s.outs)
            case For():
                n = len(s.inits)
                loop(s, s.body.params[1:], s.outs[:n], s.outs[n:])
            case While():
                n = len(s.inits)
                loop(s, s.body.params, s.outs[:n], s.outs[n + 1 :])
            case Map():
                n = len(s.inits)
                loop(s, s.body.params[len(s.sizes) :], s.outs[:n], s.outs[n:])
            case If():
                run(s.then)
                run(s.orelse)
                for o, a, b in zip(s.outs, s.then.results, s.orelse.results, strict=True):
                    if has(a) or has(b):
                        mark(o)
            case Call():
                given = [has(a) for a in s.args]
                if any(given):
                    mark(*[o for o, on in zip(s.outs, _call_varied(s, given), strict=True) if on])
            case _:
                raise TypeError(f"not a statement: {s!r}")

    run(block)
    return found


def _call_varied(s: Call, given: Sequence[bool]) -> list[bool]:
    """Which results of a call with a rule depend on the operands given."""
    if not isinstance(s.rule, Remat):
        return [True] * len(s.outs)
    inner = varied_vars(s.func.body, [p for p, on in zip(s.func.params, given, strict=True) if on])
    return [isinstance(r, Var) and r in inner for r in s.func.results]


def _call_useful(s: Call, wanted: Sequence[bool]) -> list[bool]:
    """Which operands of a call with a rule the wanted results depend on."""
    if not isinstance(s.rule, Remat):
        return [True] * len(s.args)
    inner = useful_vars(s.func.body, [r for r, on in zip(s.func.results, wanted, strict=True) if on])
    return [p in inner for p in s.func.params]


def useful_vars(block: Block, seeds: Iterable[Atom]) -> set[Var]:
    """The variables in ``block`` that ``seeds`` depend on differentiably."""
    found: set[Var] = set()

    def mark(a: Atom) -> None:
        if isinstance(a, Var) and is_inexact(a.type.dtype):
            found.add(a)

    def run(b: Block) -> None:
        for s in reversed(b.stmts):
            stmt(s)

    def loop(s: For | While | Map, params: Sequence[Var], outs: Sequence[Var], stacked: Sequence[Var]) -> None:
        n = len(params)
        for o, e in zip(stacked, s.body.results[n:], strict=True):
            if o in found:
                mark(e)
        for p, o in zip(params, outs, strict=True):
            if o in found:
                mark(p)

        def step() -> None:
            for p, r in zip(params, s.body.results, strict=False):
                if p in found:
                    mark(r)
            run(s.body)

        _until_stable(found, step)
        for p, init in zip(params, s.inits, strict=True):
            if p in found:
                mark(init)

    def stmt(s: Stmt) -> None:
        match s:
            case Op():
                if differentiable(s) and any([o in found for o in s.outs]):
                    for a in s.args:
                        mark(a)
            case For():
                n = len(s.inits)
                loop(s, s.body.params[1:], s.outs[:n], s.outs[n:])
            case While():
                n = len(s.inits)
                loop(s, s.body.params, s.outs[:n], s.outs[n + 1 :])
            case Map():
                n = len(s.inits)
                loop(s, s.body.params[len(s.sizes) :], s.outs[:n], s.outs[n:])
            case If():
                for o, a, b in zip(s.outs, s.then.results, s.orelse.results, strict=True):
                    if o in found:
                        mark(a)
                        mark(b)
                run(s.then)
                run(s.orelse)
            case Call():
                wanted = [o in found for o in s.outs]
                if any(wanted):
                    for a, on in zip(s.args, _call_useful(s, wanted), strict=True):
                        if on:
                            mark(a)
            case _:
                raise TypeError(f"not a statement: {s!r}")

    for a in seeds:
        mark(a)
    run(block)
    return found


def _until_stable(found: set[Var], step: Callable[[], None]) -> None:
    before = -1
    while len(found) != before:
        before = len(found)
        step()
