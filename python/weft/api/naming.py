"""Names for parts of programs, and switches that JAX has and weft has no need of."""

from __future__ import annotations

import contextlib
import gc
import types
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from weft.errors import StagingError
from weft.staged.active import staging

F = TypeVar("F", bound=Callable[..., Any])


def named_call(fun: F, *, name: str | None = None) -> F:
    """The function under another name, that IR and generated code show.

    Parameters
    ----------
    fun
        The function.
    name
        The name; its own by default.

    Examples
    --------
    >>> import weft
    >>> weft.named_call(lambda x: x + 1.0, name="step").__name__
    'step'
    """
    if name is None or not isinstance(fun, types.FunctionType):
        return fun
    made = types.FunctionType(fun.__code__, fun.__globals__, name, fun.__defaults__, fun.__closure__)
    for attribute in ("__module__", "__doc__", "__annotations__"):
        setattr(made, attribute, getattr(fun, attribute))
    made.__kwdefaults__ = fun.__kwdefaults__
    made.__qualname__ = name
    return made  # type: ignore[return-value]


class named_scope(contextlib.nullcontext[None], contextlib.ContextDecorator):
    """A name for a part of a function: ``with weft.named_scope("attention"): ...``. It has no effect.

    Generated code shows the user's lines, which tell where an operation comes from.

    Examples
    --------
    >>> import weft
    >>> with weft.named_scope("square"):
    ...     2.0 * 2.0
    4.0
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"named_scope name argument must be a string, got {name!r}")
        super().__init__()
        self.name = name


@contextlib.contextmanager
def _nothing() -> Iterator[None]:
    yield


def ensure_compile_time_eval() -> AbstractContextManager[None]:
    """JAX's switch to compute with known values while tracing, which weft has no need of.

    While weft stages a function, Python computes what is known: numbers, shapes, strings, loops over lists. Arrays that
    are always the same are computed outside of the function, once, and captured. Outside of compiled functions this
    does nothing, as everything is computed at once there.

    Raises
    ------
    StagingError
        Inside a compiled function.

    Examples
    --------
    >>> import weft
    >>> with weft.ensure_compile_time_eval():
    ...     weft.numpy.add(1, 2)
    Array(3)
    """
    if staging():
        from weft.staged.context import current

        raise StagingError(
            "ensure_compile_time_eval in a compiled function: Python computes what is known there without being told,"
            " and arrays are always computed when the program runs",
            remedy="compute arrays that are always the same outside of the function, and let it capture them",
            loc=current().loc,
        )
    return _nothing()


def clear_caches() -> None:
    """Forget all compiled programs of this process (the disk cache keeps its artifacts).

    Examples
    --------
    >>> import weft
    >>> f = weft.jit(lambda x: x + 1.0)
    >>> f(1.0)
    2.0
    >>> weft.clear_caches()
    >>> f.cache_info().compilations
    0
    """
    from weft.api.transformed import Transformed

    for x in gc.get_objects():
        if issubclass(type(x), Transformed) and hasattr(x, "_programs"):
            x.clear_cache()
