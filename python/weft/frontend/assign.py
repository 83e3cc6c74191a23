"""Binding names and patterns, writing items and attributes."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable
from typing import Any

import gast
import numpy as np

from weft.errors import StagingError
from weft.frontend import expressions, watch
from weft.frontend.canonical import PREFIX
from weft.frontend.frame import Frame, VarLoc
from weft.ir.nodes import Var
from weft.staged import arith, indexing
from weft.staged.checkpoint import Checkpointed
from weft.staged.value import Staged, lift, size_object


def home(name: str, frame: Frame) -> Frame:
    """The frame whose variable a name is."""
    while frame.comprehension and name not in frame.parsed.local and frame.enclosing is not None:
        frame = frame.enclosing
    if name in frame.parsed.nonlocal_:
        f = frame.enclosing
        while f is not None:
            if name in f.parsed.local:
                return f
            f = f.enclosing
    elif name in frame.parsed.local:
        return frame
    raise StagingError(
        f"assignment to '{name}', a variable outside the compiled function",
        remedy="return the new value, or keep the state in an argument",
        loc=expressions.state().loc,
    )


def assign_name(name: str, value: Any, frame: Frame) -> None:
    """Bind a variable."""
    frame = home(name, frame)
    loc = VarLoc(frame, name)
    expressions.state().touch(loc)
    if not name.startswith(PREFIX):
        name_value(value, name)
    frame.locals[name] = value


def name_value(value: Any, name: str) -> None:
    """Give a new value's variable the user's name."""
    if isinstance(value, Staged):
        if value.cell is not None:
            if not value.views and not value.cell.name:
                value.cell.name = name
                if isinstance(value.cell.atom, Var) and not value.cell.atom.name:
                    value.cell.atom.name = name
        elif isinstance(value._atom, Var) and not value._atom.name:
            value._atom.name = name


def assign(target: Any, value: Any, frame: Frame) -> None:
    """Bind a target: a name, a pattern of them, an item, an attribute."""
    s = expressions.state()
    match target:
        case gast.Name():
            assign_name(target.id, value, frame)
        case gast.Tuple() | gast.List():
            unpack(target, value, frame)
        case gast.Subscript():
            x, key = expressions.evaluate(target.value, frame), expressions.evaluate(target.slice, frame)
            expressions.at(target, frame)
            set_item(x, key, value, target, frame)
        case gast.Attribute():
            x = expressions.evaluate(target.value, frame)
            expressions.at(target, frame)
            if isinstance(x, Staged):
                raise expressions.error(f"assigning to '.{target.attr}' of an array", target, frame, "make a new array")
            if not s.owns(x):
                raise expressions.error(
                    f"a write to attribute '{target.attr}' of an object that the compiled function did not make",
                    target, frame, outside(target),
                )  # fmt: skip
            s.change(x)
            setattr(x, target.attr, value)
        case gast.Starred():
            assign(target.value, value, frame)
        case _:
            raise expressions.error(f"assignment to {type(target).__name__} is not compiled", target, frame)


def outside(target: Any) -> str:
    """How state that an attribute holds is passed instead."""
    text = ast.unparse(gast.gast_to_ast(target))
    return (
        f"a compiled function changes nothing outside: take `{target.attr}` as an argument, return the new value and"
        f" assign it to the attribute outside, `{text} = f({text}, ...)`"
    )


def unpack(target: Any, value: Any, frame: Frame) -> None:
    """``a, *b, c = value``."""
    items = static_items(value, target, frame)
    elts = target.elts
    star = next((i for i, e in enumerate(elts) if isinstance(e, gast.Starred)), None)
    if star is None:
        if len(items) != len(elts):
            few = "not enough" if len(items) < len(elts) else "too many"
            got = f", got {len(items)}" if len(items) < len(elts) else ""
            raise arith.op_error(ValueError, f"{few} values to unpack (expected {len(elts)}{got})")
        groups: list[Any] = items
    else:
        after = len(elts) - star - 1
        if len(items) < len(elts) - 1:
            raise arith.op_error(ValueError, f"not enough values to unpack (expected at least {len(elts) - 1})")
        middle = expressions.state().own(items[star : len(items) - after])
        groups = [*items[:star], middle, *items[len(items) - after :]]
    for e, v in zip(elts, groups, strict=True):
        assign(e, v, frame)


def set_item(x: Any, key: Any, value: Any, node: Any, frame: Frame) -> None:
    """``x[key] = value``."""
    s = expressions.state()
    if isinstance(x, Staged):
        indexing.setitem(x, key, value)
    elif isinstance(x, list):
        s.change(x)
        x[
            slice(*map(expressions._static_int, (key.start, key.stop, key.step)))
            if isinstance(key, slice)
            else key.__index__()
        ] = value
    elif isinstance(x, dict):
        s.change(x)
        x[expressions.hashable(key, node, frame)] = value
    elif isinstance(x, np.ndarray):
        raise expressions.error("a write to a captured array", node, frame, "pass the array as an argument")
    else:
        from weft.frontend.calls import call

        fn = watch.special(x, "__setitem__")
        if fn is None:
            raise arith.op_error(TypeError, f"{type(x).__name__!r} object does not support item assignment")
        call(fn, (x, key, value), {})


def static_thunks(value: Any, node: Any, frame: Frame) -> list[Callable[[], Any]]:
    """`static_items`, each read only when it is its turn: what comes before may write the array."""
    from weft.frontend import calls

    it = None if isinstance(value, range) else calls.loopable(value)
    if it is None or isinstance(it, Checkpointed):
        return [functools.partial(_same, item) for item in static_items(value, node, frame)]
    if isinstance(value, Staged):
        n = len(value)
    else:
        n = expressions.state().fix(it.trip(), "the number of iterations is needed while staging")
    return [functools.partial(it.item, size_object(i)) for i in range(n)]


def _same(item: Any) -> Any:
    return item


def static_items(value: Any, node: Any, frame: Frame) -> list[Any]:
    """The items of something whose length is known (arrays: their rows, the length fixed under a guard)."""
    from weft.frontend import calls

    if isinstance(value, np.ndarray):
        value = lift(value)
    if isinstance(value, Staged):
        if not value.type.shape:
            raise arith.op_error(TypeError, "cannot unpack a scalar")
        return [value[i] for i in range(len(value))]  # type: ignore[index]
    if isinstance(value, Checkpointed):
        raise StagingError(
            "weft.checkpoint has an effect in a `for` statement only",
            remedy="write the loop as a statement, or leave weft.checkpoint out",
            loc=expressions.state().loc,
        )
    if isinstance(value, calls.Loopable):
        n = expressions.state().fix(value.trip(), "the number of iterations is needed while staging")
        return [value.item(size_object(i)) for i in range(n)]
    if isinstance(value, dict):
        return list(value)
    if isinstance(value, Iterable):
        watch.refuse_changing("iteration", value)
        return list(value)
    raise arith.op_error(TypeError, f"{type(value).__name__!r} object is not iterable")
