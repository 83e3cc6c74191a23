"""Finding a function's source and parsing it with gast."""

from __future__ import annotations

import ast
import inspect
import linecache
import types
from dataclasses import dataclass
from typing import Any

import gast

from weft.errors import StagingError
from weft.frontend.canonical import canonicalise, local_names
from weft.frontend.liveness import annotate
from weft.ir.nodes import Loc


@dataclass(frozen=True, eq=False)
class Parsed:
    """A function's canonical gast node and where it stands.

    Attributes
    ----------
    node
        ``FunctionDef`` or ``Lambda``; ``break``, ``continue`` and inner ``return`` are gone from it.
    local
        The names that are variables of the function.
    """

    node: Any
    file: str
    name: str
    local: frozenset[str]
    nonlocal_: frozenset[str]

    def loc(self, node: Any) -> Loc | None:
        """The place of a node."""
        line = getattr(node, "lineno", None)
        if line is None:
            return None
        end = getattr(node, "end_lineno", None) or line
        return Loc(self.file, line, node.col_offset, end, getattr(node, "end_col_offset", 0) or 0, self.name)


_cache: dict[types.CodeType, Parsed] = {}
_files: dict[str, tuple[str, ast.Module]] = {}


def parse(fn: types.FunctionType) -> Parsed:
    """The parsed source of a Python function.

    Raises
    ------
    StagingError
        The source is not available (made by ``exec``, typed at a plain prompt, or changed on disk since).
    """
    code = fn.__code__
    found = _cache.get(code)
    if found is None:
        linecache.checkcache(code.co_filename)  # a module may have been edited and loaded again
        node = _lambda(code) if code.co_name == "<lambda>" else _def(code, fn)
        found = _cache[code] = finish(node, code.co_filename, fn.__name__)
    return found


def finish(node: Any, file: str, name: str) -> Parsed:
    """Canonicalise a function node."""
    canonicalise(node)
    annotate(node)
    local, nonlocal_ = local_names(node)
    return Parsed(node, file, name, frozenset(local), frozenset(nonlocal_))


def unavailable(name: str, file: str) -> StagingError:
    """The error for functions that cannot be read."""
    return StagingError(
        f"the source of {name!r} is not available ({file})",
        remedy="define the function in a file (code made by exec or written in C has no source to compile)",
    )


def _def(code: types.CodeType, fn: types.FunctionType) -> Any:
    lines = linecache.getlines(code.co_filename, fn.__globals__)
    if not lines or code.co_firstlineno > len(lines):
        raise unavailable(fn.__qualname__, code.co_filename)
    block = inspect.getblock(lines[code.co_firstlineno - 1 :])
    text, shift = "".join(block), code.co_firstlineno - 1
    if text[:1] in " \t":  # an indented function: a header keeps its columns true
        text, shift = "if 1:\n" + text, shift - 1
    try:
        tree = gast.parse(text)
    except SyntaxError:
        raise unavailable(fn.__qualname__, code.co_filename) from None
    node = tree.body[0]
    if isinstance(node, gast.If):
        node = node.body[0]
    if not isinstance(node, gast.FunctionDef) or node.name != code.co_name:
        if isinstance(node, gast.AsyncFunctionDef):
            raise StagingError(f"{fn.__qualname__!r} is an async function", remedy="use a plain function")
        raise unavailable(fn.__qualname__, code.co_filename)
    gast.increment_lineno(node, shift)
    return node


def _lambda(code: types.CodeType) -> Any:
    text = "".join(linecache.getlines(code.co_filename))
    if not text:
        raise unavailable("<lambda>", code.co_filename)
    cached = _files.get(code.co_filename)
    if cached is None or cached[0] != text:
        try:
            cached = _files[code.co_filename] = (text, ast.parse(text))
        except SyntaxError:
            raise unavailable("<lambda>", code.co_filename) from None
    places = [p for p in code.co_positions() if None not in p and p[2:] != (0, 0)]  # entry and return have none
    # every instruction of the code lies in the lambda's body: the smallest lambda around them all is it
    lo = min([(p[0], p[2]) for p in places] or [(code.co_firstlineno, 0)])
    hi = max([(p[1], p[3]) for p in places] or [(code.co_firstlineno, 10**9)])
    found = [
        n
        for n in ast.walk(cached[1])
        if isinstance(n, ast.Lambda)
        and n.lineno == code.co_firstlineno
        and (n.body.lineno, n.body.col_offset) <= lo  # type: ignore[operator]
        and (n.body.end_lineno, n.body.end_col_offset) >= hi  # type: ignore[operator]
    ]
    if not found:
        raise unavailable("<lambda>", code.co_filename)
    best = max(found, key=lambda n: (n.body.lineno, n.body.col_offset))
    return gast.ast_to_gast(best)
