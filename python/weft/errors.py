"""weft's own exceptions, and JAX's names for those that programs catch.

==============================  ======================================================================================
`StagingError`                  A program that weft cannot compile or differentiate; all below are kinds of it.
`ConcretizationTypeError`       A Python value is needed while staging, and there is only a run-time value.
`TracerBoolConversionError`     The value is needed as a bool: a Python ``if`` in code that is not staged.
`TracerIntegerConversionError`  It is needed as an integer: a shape, a number of iterations to unroll.
`TracerArrayConversionError`    It is needed as a NumPy array, by a function that weft does not know.
`NonConcreteBooleanIndexError`  A boolean index whose number of true items only the run can tell, where that is needed.
`UnexpectedTracerError`         A staged value outlived its staging: a compiled function stored it somewhere.
`CompileError`                  The C++ compiler refused generated code.
==============================  ======================================================================================
"""

from __future__ import annotations

import builtins
import linecache
from typing import TYPE_CHECKING, Any

import numpy as np

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
    >>> import weft
    >>> raise weft.StagingError("'try' is not compiled", remedy="test the condition first")
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


class ConcretizationTypeError(StagingError):
    """A Python value is needed while staging, and there is only a run-time value.

    Examples
    --------
    >>> import weft
    >>> try:
    ...     weft.jit(lambda x: [v for v in filter(lambda v: v > 0, [x, -x])])(3.5)
    ... except weft.errors.ConcretizationTypeError as e:
    ...     print(type(e).__name__)
    TracerBoolConversionError
    """


class TracerBoolConversionError(ConcretizationTypeError):
    """A Python bool is needed while staging, and there is only a run-time value."""


class TracerIntegerConversionError(ConcretizationTypeError):
    """A Python integer is needed while staging, and there is only a run-time value."""


class TracerArrayConversionError(ConcretizationTypeError):
    """A NumPy array is needed while staging, and there is only a run-time value."""


class NonConcreteBooleanIndexError(StagingError, IndexError):
    """A boolean index is used where its number of true items must be known."""


class UnexpectedTracerError(StagingError):
    """A staged value is used after its staging has ended."""


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


# -- what running programs raise and print ---------------------------------------------------------------------------

_NATIVE = (np.float64, np.int64, np.bool_, np.complex128)


def shown(value: Any) -> Any:
    """A run-time value as the Python program would format it: NumPy's default scalars as Python's."""
    if isinstance(value, np.ndarray):
        value = value[()] if value.ndim == 0 else value.copy()
    return value.item() if isinstance(value, _NATIVE) else value


def exception_class(name: str) -> type[BaseException]:
    """The exception class of this name, among Python's and NumPy's.

    Raises
    ------
    TypeError
        There is none.
    """
    found = getattr(builtins, name, None) or getattr(np.linalg, name, None)
    if not (isinstance(found, type) and issubclass(found, BaseException)):
        raise TypeError(f"{name!r} is not an exception")
    return found
