"""Functions defined inside staged code as Python functions, for what calls them at run time."""

from __future__ import annotations

import collections
import functools
import types
from collections.abc import Iterator
from typing import Any

from weft.errors import StagingError
from weft.frontend import calls
from weft.frontend.frame import UNDEFINED, Frame, StagedFunction, StagedMethod, State
from weft.staged.context import current
from weft.staged.value import Staged


def python_function(fn: Any) -> Any:
    """The Python callable that a callable of staged code is.

    Raises
    ------
    StagingError
        It is defined inside the compiled function and sees run-time values there.
    """
    if isinstance(fn, StagedMethod):
        return python_function(fn.fn)
    if isinstance(fn, StagedFunction):
        return _made(fn)
    if type(fn) is functools.partial:
        for x in (*fn.args, *fn.keywords.values()):
            _check(x, "an argument of a functools.partial", getattr(fn.func, "__name__", "function"))
        return functools.partial(python_function(fn.func), *fn.args, **fn.keywords)
    if isinstance(fn, types.BuiltinMethodType) and isinstance(fn.__self__, list | dict | set | collections.deque):
        raise StagingError(
            f"'{fn.__name__}' of a {type(fn.__self__).__name__} as a function to call back: what a compiled function"
            " captures is data, of which it has a copy",
            remedy=f"write a function that looks it up when it is called: `lambda x: the_list.{fn.__name__}(x)`",
            loc=current().loc,
        )
    return fn


def _made(fn: StagedFunction) -> types.FunctionType:
    root: Frame = fn.frame
    while root.enclosing is not None:
        root = root.enclosing
    code = _code(fn, root.python)
    if code is None:
        raise StagingError(
            f"the code of '{fn.__name__}' is not found", remedy="define it outside the compiled function",
            loc=current().loc,
        )  # fmt: skip
    cells = tuple([_cell(name, fn, root) for name in code.co_freevars])
    for x in (*fn.defaults, *fn.kw_defaults.values()):
        _check(x, "a default argument", fn.__name__)
    made = types.FunctionType(code, root.globals, fn.__name__, tuple(fn.defaults) or None, cells)
    made.__kwdefaults__ = dict(fn.kw_defaults)
    return made


def _code(fn: StagedFunction, root: Any) -> types.CodeType | None:
    """The code object of a function's node, among those inside the function around it."""
    node = fn.parsed.node
    lambda_ = type(node).__name__ == "Lambda"
    name = "<lambda>" if lambda_ else node.name
    line = min([node.lineno, *[d.lineno for d in getattr(node, "decorator_list", ())]])
    found = [c for c in _codes(root.__code__) if c.co_name == name and c.co_firstlineno == line]
    if lambda_ and len(found) > 1:
        body = node.body
        lo, hi = (body.lineno, body.col_offset), (body.end_lineno, body.end_col_offset)
        found = [c for c in found if all(lo <= p[:2] and p[2:] <= hi for p in _places(c))][:1]
    return found[0] if len(found) == 1 else None


def _places(code: types.CodeType) -> Iterator[tuple[int, ...]]:
    """The lines and columns at which its instructions begin and end."""
    for line, end_line, col, end_col in code.co_positions():
        if None not in (line, end_line, col, end_col) and (col, end_col) != (0, 0):
            yield line, col, end_line, end_col  # type: ignore[misc]


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    for c in code.co_consts:
        if isinstance(c, types.CodeType):
            yield c
            yield from _codes(c)


def _cell(name: str, fn: StagedFunction, root: Frame) -> types.CellType:
    """What a variable of the functions around is now; those around the compiled function keep their cells."""
    frame: Frame | None = fn.frame
    while frame is not None:
        if name in frame.parsed.local:
            value = frame.locals.get(name, UNDEFINED)
            if value is UNDEFINED:
                break
            _check(value, f"'{name}'", fn.__name__)
            return types.CellType(python_function(value))
        frame = frame.enclosing
    free = root.python.__code__.co_freevars
    if name in free:
        i = free.index(name)
        cell: types.CellType = root.python.__closure__[i]
        _note(cell, name, root)
        return cell
    raise StagingError(f"variable '{name}' of '{fn.__name__}' has no value here", loc=current().loc)


def _note(cell: types.CellType, name: str, root: Frame) -> None:
    """The function reads the cell itself, at every call: nothing is captured, and nothing can be stored."""
    s = current()
    assert isinstance(s, State)
    s.captures.indexable = False


def _check(value: Any, what: str, name: str) -> None:
    s = current()
    assert isinstance(s, State)
    if calls.contains_staged(value) and not isinstance(value, StagedFunction):
        raise StagingError(
            f"'{name}' is called at run time, by Python, and sees {what}: a run-time value of the compiled function",
            remedy="pass the value to it as an argument",
            loc=s.loc,
        )
    if isinstance(value, list | dict | set) and s.owns(value):
        raise StagingError(
            f"'{name}' is called at run time, by Python, and sees {what}: a {type(value).__name__} that the compiled"
            " function makes while it is staged",
            remedy="make it outside of the compiled function",
            loc=s.loc,
        )


__all__ = ["Staged", "python_function"]
