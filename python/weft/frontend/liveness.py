"""Which variables a loop's iterations and the code after it may still read: only those are carried.

The analysis runs backwards over a canonical function (no ``break``, ``continue`` or inner ``return`` left). Every loop
node gets ``weft_head`` (names whose value at the start of an iteration may be read) and ``weft_out`` (names that may be
read after the loop). Names that functions inside the function mention are always live.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gast

_SCOPES = (gast.FunctionDef, gast.AsyncFunctionDef, gast.Lambda, gast.ClassDef)
Names = frozenset[str]
NONE: Names = frozenset()


def annotate(fn: Any) -> None:
    """Put what is live on every loop of a function."""
    if isinstance(fn, gast.Lambda):
        return
    always: set[str] = set()
    for n in gast.walk(fn):
        if n is not fn and isinstance(n, _SCOPES):
            always |= {m.id for m in gast.walk(n) if isinstance(m, gast.Name)}
            always |= {x for m in gast.walk(n) if isinstance(m, gast.Nonlocal) for x in m.names}
        elif isinstance(n, gast.Nonlocal | gast.Global):
            always |= set(n.names)
    _Liveness(frozenset(always)).block(fn.body, NONE)


def reads(*nodes: Any) -> Names:
    """The names that expressions read."""
    return frozenset(
        n.id
        for node in nodes
        if node is not None
        for n in gast.walk(node)
        if isinstance(n, gast.Name) and isinstance(n.ctx, gast.Load)
    )


def binds(target: Any) -> Names:
    """The names that an assignment target binds."""
    return frozenset(n.id for n in gast.walk(target) if isinstance(n, gast.Name) and isinstance(n.ctx, gast.Store))


class _Liveness:
    def __init__(self, always: Names) -> None:
        self.always = always

    def block(self, body: Iterable[Any], out: Names) -> Names:
        for s in reversed(list(body)):
            out = self.statement(s, out)
        return out

    def statement(self, s: Any, out: Names) -> Names:
        match s:
            case gast.Assign():
                bound = frozenset().union(*[binds(t) for t in s.targets])
                return (out - bound) | reads(s.value, *s.targets)
            case gast.AnnAssign():
                return out if s.value is None else (out - binds(s.target)) | reads(s.value, s.target)
            case gast.AugAssign():
                return out | binds(s.target) | reads(s.value, s.target)
            case gast.If():
                return reads(s.test) | self.block(s.body, out) | self.block(s.orelse, out)
            case gast.While():
                return self.loop(s, out, reads(s.test), NONE)
            case gast.For():
                stop = frozenset({s.stop}) if getattr(s, "stop", None) else NONE
                return reads(s.iter) | self.loop(s, out, stop, binds(s.target)) | reads(s.target)
            case gast.With():
                inner = self.block(s.body, out)
                for item in s.items:
                    if item.optional_vars is not None:
                        inner = inner - binds(item.optional_vars)
                    inner = inner | reads(item.context_expr)
                return inner
            case gast.Return():
                return reads(s.value)
            case gast.Raise():
                return reads(s.exc, s.cause)
            case gast.Match():
                live = out | reads(s.subject)
                for case in s.cases:
                    live = live | reads(case.pattern, case.guard) | self.block(case.body, out)
                return live
            case gast.FunctionDef() | gast.ClassDef() | gast.AsyncFunctionDef():
                return (out - {s.name}) | reads(s)
        # any other statement binds nothing that could be told dead
        return out | reads(s) | frozenset(n.id for n in gast.walk(s) if isinstance(n, gast.Name))

    def loop(self, s: Any, out: Names, test: Names, target: Names) -> Names:
        head = out | test
        while True:
            new = head | (self.block(s.body, head) - target)
            if new == head:
                break
            head = new
        s.weft_head = head | self.always
        s.weft_out = out | self.always
        return head


__all__ = ["annotate"]
