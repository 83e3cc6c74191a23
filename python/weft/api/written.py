"""Library functions that are staged from their own source, as a user's function is."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any


class Written:
    """A library function with loops or branches on run-time values.

    Most library functions are run by Python while staging, on staged values. This one is staged from its source.
    Called eagerly it is compiled, for each set of static arguments once.

    Parameters
    ----------
    fun
        The function.
    static
        The parameters that are part of the program: callables, flags, counts that shapes depend on.
    """

    __name__: str

    def __init__(self, fun: Callable[..., Any], static: Sequence[str]) -> None:
        functools.update_wrapper(self, fun, updated=())
        self.__wrapped__ = fun
        self.static = tuple(static)
        self.title = self.__name__
        self._signature = inspect.signature(fun)
        self.parameters = tuple(self._signature.parameters.values())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from weft.staged.active import staging

        if staging():
            return self.stage_call(args, kwargs)
        try:
            given = self._signature.bind(*args, **kwargs)
        except TypeError as e:
            raise TypeError(f"{self.__name__}(): {e}") from None
        static, data, rest = [], {}, []
        for name, value in given.arguments.items():
            if self._signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
                rest = list(value)
            elif name in self.static:
                static.append((name, value))
            else:
                data[name] = value
        return _compiled(self, tuple(static), tuple(data))(*data.values(), *rest)

    def stage_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Stage a call inside compiled code."""
        from weft.frontend.calls import call_python

        return call_python(self.__wrapped__, args, kwargs)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"<function {self.__module__}.{self.__name__}>"


@functools.lru_cache(1024)
def _compiled(fun: Written, static: tuple[tuple[str, Any], ...], data: tuple[str, ...]) -> Any:
    from weft.api.jit import jit

    def program(*values: Any) -> Any:
        given = dict(zip(data, values, strict=False)) | dict(static)
        head = [given.pop(name) for name in order if name in given]  # by position, for what follows them
        return fun.stage_call((*head, *values[len(data) :]), given)

    order = [p.name for p in fun.parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    program.__name__ = program.__qualname__ = fun.__name__
    return jit(program)


def written(*static: str) -> Callable[[Callable[..., Any]], Written]:
    """Decorates a library function that is staged from its source; ``static`` names parameters that are part of it."""
    return lambda fun: Written(fun, static)
