"""Looking at run-time values of compiled functions: `print`, `callback`, `breakpoint`."""

from __future__ import annotations

import builtins
import string
import sys
from collections.abc import Callable
from typing import Any

from weft.api.callbacks import debug_callback
from weft.errors import StagingError
from weft.staged.active import staging

__all__ = ["breakpoint", "callback", "print"]


def print(fmt: str, *args: Any, ordered: bool = False, partitioned: bool = False, **kwargs: Any) -> None:
    """Print run-time values.

    Python's own ``print`` does so too inside functions that weft compiles, with f-strings; this is for programs
    written for JAX, and for library code.

    Parameters
    ----------
    fmt
        A format string: ``"loss {}, step {n:03d}"``.
    *args, **kwargs
        What is put into it.
    ordered, partitioned
        Accepted for compatibility; prints are always in the program's order. Under `weft.vmap` each lane prints.

    Raises
    ------
    ValueError
        The format string does not use an argument.

    Examples
    --------
    >>> import weft
    >>> @weft.jit
    ... def f(x):
    ...     weft.debug.print("x = {:.2f}", x)
    ...     return 2 * x
    >>> f(1.0)
    x = 1.00
    2.0
    """
    fields = _fields(fmt, args, kwargs)
    if not staging():
        builtins.print(fmt.format(*args, **kwargs), flush=True)
        return
    from weft.frontend.calls import contains_staged, joined, renumbered
    from weft.ir.primitive import REGISTRY
    from weft.staged.value import Staged

    parts: list[str] = []
    staged: list[Staged] = []
    for literal, key, spec, conversion in fields:
        parts.append(_escaped(literal))
        if key is None:
            continue
        x = args[key] if isinstance(key, int) else kwargs[key]
        shown = (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
        if isinstance(x, Staged):
            parts.append("{" + str(len(staged)) + shown + "}")
            staged.append(x)
        elif contains_staged(x):
            if shown:
                raise _refused(f"weft.debug.print: the format {shown!r} of a container of run-time values")
            inner = joined([x], "")
            parts.append(renumbered(inner.text, len(staged)))
            staged += inner.values
        else:
            parts.append(_escaped(("{" + shown + "}").format(x)))
    REGISTRY["print"](*[x.atom for x in staged], text="".join(parts) + "\n")


def _fields(fmt: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[str, Any, str, str | None]]:
    """The parts of a format string: a text, and the argument after it."""
    found: list[tuple[str, Any, str, str | None]] = []
    used: set[Any] = set()
    count = 0
    for literal, name, spec, conversion in string.Formatter().parse(fmt):
        key: Any = name
        if name is not None:
            if name == "":
                key, count = count, count + 1
            elif name.isdecimal():
                key = int(name)
            if (spec and "{" in spec) or (isinstance(key, str) and key not in kwargs):
                raise ValueError(
                    f"weft.debug.print: the field {name!r} is not an argument's number or name: pass what it stands for"
                )
            if isinstance(key, int) and key >= len(args):
                raise IndexError(f"weft.debug.print: the format string asks for argument {key}, of {len(args)}")
            used.add(key)
        found.append((literal, key, spec or "", conversion))
    unused = [k for k in (*range(len(args)), *kwargs) if k not in used]
    if unused:
        raise ValueError(
            f"Unused arguments to `debug.print`: {', '.join(map(str, unused))}. Did you pass an f-string? Write"
            " weft.debug.print('x: {x}', x=x)"
        )
    return found


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def callback(callback: Callable[..., Any], *args: Any, ordered: bool = False, **kwargs: Any) -> None:
    """Call a Python function with run-time values; its result is not used.

    Parameters
    ----------
    callback
        The function; what it raises reaches the caller of the compiled function. Under `weft.vmap` it is called for
        each lane, under `weft.grad` with the values, once.
    *args, **kwargs
        Its arguments: NumPy arrays, numbers and `weft.Array` as the program has them.
    ordered
        Accepted for compatibility; calls are always in the program's order.

    Examples
    --------
    >>> import weft
    >>> seen = []
    >>> @weft.jit
    ... def f(x):
    ...     weft.debug.callback(lambda v: seen.append(v), x)
    ...     return 2 * x
    >>> f(1.5), seen
    (3.0, [1.5])
    """
    debug_callback(callback, *args, ordered=ordered, **kwargs)


def breakpoint(**kwargs: Any) -> None:
    """Start a debugger here: Python's own.

    Raises
    ------
    StagingError
        Inside a compiled function, which has no Python to step through.
    """
    if staging():
        raise _refused(
            "weft.debug.breakpoint() in a compiled function",
            "run it as Python: `with weft.disable_jit():` around the call; or look at values with weft.debug.print",
        )
    sys.breakpointhook()


def _refused(reason: str, remedy: str = "print its items") -> StagingError:
    from weft.staged.context import current

    return StagingError(reason, remedy=remedy, loc=current().loc)
