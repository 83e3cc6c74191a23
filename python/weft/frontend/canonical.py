"""Rewriting a function so that control leaves every block at its end.

``break`` and ``continue`` become flags that guard what follows; a ``return`` inside a loop becomes a flag, a value and
a break; an ``if`` whose one side always returns takes the rest of its block into the other side. What remains is
``if``, ``while`` and ``for`` (whose field ``stop`` names the flag that ends it), and ``return`` at tails.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import gast

from weft.errors import StagingError

PREFIX = "$"  # flags cannot be written by users

_FUNCTIONS = (gast.FunctionDef, gast.AsyncFunctionDef, gast.Lambda, gast.ClassDef)


def canonicalise(node: Any) -> None:
    """Rewrite a function in place (not the functions inside it: they are rewritten when they are defined)."""
    if isinstance(node, gast.Lambda):
        return
    r = _Rewriter()
    node.body = r.tails(r.block(node.body, loop=None))


def own_statements(node: Any) -> Iterator[Any]:
    """Nodes of a function, not entering functions inside it."""
    todo = list(gast.iter_child_nodes(node))
    while todo:
        n = todo.pop()
        yield n
        if not isinstance(n, _FUNCTIONS):
            todo.extend(gast.iter_child_nodes(n))


def local_names(node: Any) -> tuple[set[str], set[str]]:
    """The names that are variables of the function, and those it declares nonlocal."""
    a = node.args
    names = {p.id for p in (*a.posonlyargs, *a.args, *a.kwonlyargs)}
    names |= {p.id for p in (a.vararg, a.kwarg) if p}
    declared: set[str] = set()
    nonlocal_: set[str] = set()
    if isinstance(node, gast.Lambda):
        nodes = [node.body, *own_statements(node.body)] if not isinstance(node.body, _FUNCTIONS) else []
    else:
        nodes = [n for s in node.body for n in (s, *(own_statements(s) if not isinstance(s, _FUNCTIONS) else ()))]
    scoped = {id(m) for n in nodes if isinstance(n, gast.comprehension) for m in gast.walk(n.target)}
    for n in nodes:
        if isinstance(n, gast.Name) and isinstance(n.ctx, gast.Store | gast.Del):
            if id(n) not in scoped:
                names.add(n.id)
        elif isinstance(n, gast.FunctionDef | gast.ClassDef):
            names.add(n.name)
        elif isinstance(n, gast.Import | gast.ImportFrom):
            names |= {(x.asname or x.name).split(".")[0] for x in n.names}
        elif isinstance(n, gast.Global):
            declared |= set(n.names)
        elif isinstance(n, gast.Nonlocal):
            nonlocal_ |= set(n.names)
        elif type(n).__name__ in ("MatchAs", "MatchStar") and n.name:
            names.add(n.name)
        elif type(n).__name__ == "MatchMapping" and n.rest:
            names.add(n.rest)
    return names - declared - nonlocal_, nonlocal_


def assigned(body: list[Any]) -> tuple[set[str], set[str], set[str]]:
    """Names that statements bind, names of containers that they write into, and names only changed by ``x op= ...``
    (which binds a number anew, and writes an array in place)."""
    bound: set[str] = set()
    written: set[str] = set()
    augmented: set[str] = set()
    for s in body:
        for n in (s, *(own_statements(s) if not isinstance(s, _FUNCTIONS) else ())):
            if isinstance(n, gast.AugAssign) and isinstance(n.target, gast.Name):
                augmented.add(n.target.id)
                n.target.weft_augmented = True
            if isinstance(n, gast.Name) and isinstance(n.ctx, gast.Store) and not hasattr(n, "weft_augmented"):
                bound.add(n.id)
            elif isinstance(n, gast.FunctionDef):
                bound.add(n.name)
            elif isinstance(n, gast.Subscript | gast.Attribute) and isinstance(n.ctx, gast.Store):
                base = n
                while isinstance(base, gast.Subscript | gast.Attribute):
                    base = base.value
                if isinstance(base, gast.Name):
                    written.add(base.id)
    return bound, written, augmented - bound


def names_read(node: Any) -> set[str]:
    """All names read anywhere inside a node, functions included."""
    return {n.id for n in gast.walk(node) if isinstance(n, gast.Name) and isinstance(n.ctx, gast.Load)}


# -- the rewriting ---------------------------------------------------------------------------------------------------

_counter = itertools.count()


class _Loop:
    def __init__(self) -> None:
        n = next(_counter)
        self.stop = f"{PREFIX}stop{n}"
        self.skip = f"{PREFIX}skip{n}"
        self.has_break = self.has_continue = self.has_return = False


class _Rewriter:
    returned = f"{PREFIX}returned"
    value = f"{PREFIX}value"

    def block(self, body: list[Any], loop: _Loop | None) -> list[Any]:
        """Rewrite statements; what follows a statement that may leave is guarded by the flags it may set."""
        out: list[Any] = []
        for i, s in enumerate(body):
            before = (loop.has_break, loop.has_continue) if loop else None
            new, leaves = self.statement(s, loop)
            out.extend(new)
            rest = body[i + 1 :]
            if leaves and rest and loop is not None:
                assert before is not None
                tail = self.block(rest, loop)
                flags = _flags(new, loop)
                out.append(_at(gast.If(_none_set(flags), tail, []), rest[0]))
                return out
        return out

    def statement(self, s: Any, loop: _Loop | None) -> tuple[list[Any], bool]:
        """The rewritten statement, and whether it may leave the block (only inside loops)."""
        if isinstance(s, gast.Break | gast.Continue):
            assert loop is not None
            if isinstance(s, gast.Break):
                loop.has_break = True
                return [_set(loop.stop, True, s)], True
            loop.has_continue = True
            return [_set(loop.skip, True, s)], True
        if isinstance(s, gast.Return) and loop is not None:
            loop.has_return = loop.has_break = True
            value = s.value or gast.Constant(None, None)
            return [_assign(self.value, value, s), _set(self.returned, True, s), _set(loop.stop, True, s)], True
        if isinstance(s, gast.If):
            body, orelse = self.block(s.body, loop), self.block(s.orelse, loop)
            new = _at(gast.If(s.test, body, orelse), s)
            return [new], loop is not None and bool(_flags([new], loop))
        if isinstance(s, gast.With):
            s.body = self.block(s.body, loop)
            return [s], loop is not None and bool(_flags([s], loop))
        if isinstance(s, gast.For | gast.While):
            return self.loop(s, loop)
        if type(s).__name__ == "Match":
            for case in s.cases:
                case.body = self.block(case.body, loop)
            return [s], loop is not None and bool(_flags([s], loop))
        return [s], False

    def loop(self, s: Any, outer: _Loop | None) -> tuple[list[Any], bool]:
        """A loop: flags are reset before it (stop) and at the start of its body (skip)."""
        me = _Loop()
        body = self.block(s.body, me)
        if me.has_continue:
            body = [_set(me.skip, False, s), *body]
        out: list[Any] = []
        stop = me.stop if me.has_break else None
        if me.has_break:
            out.append(_set(me.stop, False, s))
        if me.has_return:
            out.insert(0, _set(self.returned, False, s))
        if isinstance(s, gast.While):
            test = s.test
            if stop:
                test = _at(gast.BoolOp(gast.And(), [_not(_name(stop)), test]), s.test)
            new = _at(gast.While(test, body, []), s)
        else:
            new = _at(gast.For(s.target, s.iter, body, [], None), s)
        new.stop = stop
        out.append(new)
        if s.orelse:
            orelse = self.block(s.orelse, outer)
            out.extend([_at(gast.If(_not(_name(stop)), orelse, []), s.orelse[0])] if stop else orelse)
        if me.has_return:
            if outer is None:
                leave: list[Any] = [_at(gast.Return(_name(self.value)), s)]
            else:
                outer.has_break = outer.has_return = True
                leave = [_set(outer.stop, True, s)]
            out.append(_at(gast.If(_name(self.returned), leave, []), s))
        return out, outer is not None and bool(_flags(out, outer))

    # -- returns outside loops -------------------------------------------------------------------------------------

    def tails(self, body: list[Any]) -> list[Any]:
        """Move what follows an ``if`` that returns on one side into its other side."""
        for i, s in enumerate(body):
            if isinstance(s, gast.Return | gast.Raise):
                return body[: i + 1]
            rest = body[i + 1 :]
            if isinstance(s, gast.If) and _returns(s):
                if rest:
                    s.body = [*s.body, *([] if _always(s.body) else _copy(rest))]
                    s.orelse = [*s.orelse, *([] if _always(s.orelse) else rest)]
                s.body, s.orelse = self.tails(s.body), self.tails(s.orelse)
                return body[: i + 1]
            if isinstance(s, gast.With) and _returns(s):
                s.body = self.tails([*s.body, *([] if _always(s.body) else rest)])
                return body[: i + 1]
            if type(s).__name__ == "Match" and _returns(s):
                for case in s.cases:
                    case.body = self.tails([*case.body, *([] if _always(case.body) else _copy(rest))])
                if not any(_catches_all(case) for case in s.cases) and rest:
                    s.cases.append(gast.match_case(gast.MatchAs(None, None), None, self.tails(_copy(rest))))
                return body[: i + 1]
        return body


def _catches_all(case: Any) -> bool:
    return case.guard is None and type(case.pattern).__name__ == "MatchAs" and case.pattern.pattern is None


def _copy(body: list[Any]) -> list[Any]:
    import copy

    return copy.deepcopy(body)


def _returns(node: Any) -> bool:
    """Whether a return stands in the node (loops have none left)."""
    return any(isinstance(n, gast.Return) for n in own_statements(node))


def _always(body: list[Any]) -> bool:
    """Whether a block returns or raises on every path."""
    if not body:
        return False
    last = body[-1]
    if isinstance(last, gast.Return | gast.Raise):
        return True
    if isinstance(last, gast.If):
        return _always(last.body) and _always(last.orelse)
    if isinstance(last, gast.With):
        return _always(last.body)
    if type(last).__name__ == "Match":
        return all(_always(c.body) for c in last.cases) and any(_catches_all(c) for c in last.cases)
    return False


def _flags(nodes: list[Any], loop: _Loop) -> list[str]:
    """The flags of ``loop`` that the nodes may set."""
    found = {
        n.targets[0].id
        for s in nodes
        for n in (s, *own_statements(s))
        if isinstance(n, gast.Assign) and isinstance(n.targets[0], gast.Name)
    }
    return [f for f in (loop.stop, loop.skip) if f in found]


def _at(new: Any, like: Any) -> Any:
    for n in (new, *(m for m in gast.walk(new) if not hasattr(m, "lineno"))):
        if not hasattr(n, "lineno"):
            gast.copy_location(n, like)
    return gast.copy_location(new, like)


def _name(name: str, ctx: Any = None) -> Any:
    return gast.Name(name, ctx or gast.Load(), None, None)


def _not(x: Any) -> Any:
    return gast.UnaryOp(gast.Not(), x)


def _none_set(flags: list[str]) -> Any:
    tests = [_not(_name(f)) for f in flags]
    return tests[0] if len(tests) == 1 else gast.BoolOp(gast.And(), tests)


def _assign(name: str, value: Any, like: Any) -> Any:
    return _at(gast.Assign([_name(name, gast.Store())], value, None), like)


def _set(name: str, value: bool, like: Any) -> Any:
    return _assign(name, gast.Constant(value, None), like)


__all__ = ["PREFIX", "StagingError", "assigned", "canonicalise", "local_names", "names_read", "own_statements"]
