"""weft's own exceptions."""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weft.ir.nodes import Loc


class StagingError(TypeError):
    """A program that weft cannot compile or differentiate.

    Parameters
    ----------
    reason
        What is wrong, in one sentence.
    remedy
        What to write instead.
    loc
        Where: shown with the user's line and a caret.

    Examples
    --------
    >>> raise StagingError("'try' is not compiled", remedy="test the condition first")
    Traceback (most recent call last):
    ...
    weft.errors.StagingError: 'try' is not compiled
      remedy: test the condition first
    """

    def __init__(self, reason: str, *, remedy: str = "", loc: Loc | None = None) -> None:
        self.reason = reason
        self.remedy = remedy
        self.loc = loc
        super().__init__(reason)

    def __str__(self) -> str:
        return located(self.reason + (f"\n  remedy: {self.remedy}" if self.remedy else ""), self.loc)


class CompileError(RuntimeError):
    """The C++ compiler refused generated code: a defect of weft, with the file kept for a report."""


def located(message: str, loc: Loc | None) -> str:
    """``message`` with the source line and a caret below it."""
    if loc is None:
        return message
    line = linecache.getline(loc.file, loc.line).rstrip("\n")
    where = f"\n  --> {loc.file}:{loc.line}" + (f" in {loc.function}" if loc.function else "")
    if not line.strip():
        return message + where
    indent = len(line) - len(line.lstrip())
    width = (loc.end_col if loc.end_line == loc.line else len(line)) - loc.col
    caret = " " * (loc.col - indent) + "^" * max(1, width)
    return f"{message}{where}\n      {line.strip()}\n      {caret}"
