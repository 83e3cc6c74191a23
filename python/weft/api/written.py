"""Library functions over other functions, or with loops of their own: staged, and compiled when called eagerly."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any

# -- functions as keys -------------------------------------------------------------------------------------------------


class Same:
    """A function as a key: equal to itself, and to functions made by the same code around the same things."""

    __slots__ = ("fun",)

    def __init__(self, fun: Any) -> None:
        self.fun = fun

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and _same(self.fun, other.fun, ())

    def __hash__(self) -> int:
        fun = self.fun.func if isinstance(self.fun, functools.partial) else self.fun
        return hash(getattr(fun, "__code__", None) or id(fun))


Pairs = tuple[tuple[int, int], ...]


def _same(f: Any, g: Any, above: Pairs) -> bool:
    """Whether two functions are one or alike; those in ``above`` are being compared (functions may hold themselves)."""
    if f is g or (id(f), id(g)) in above:
        return True
    above = (*above, (id(f), id(g)))
    if isinstance(f, functools.partial):
        return (
            isinstance(g, functools.partial)
            and _same(f.func, g.func, above)
            and _all_same(f.args, g.args, above)
            and list(f.keywords) == list(g.keywords)
            and _all_same(tuple(f.keywords.values()), tuple(g.keywords.values()), above)
        )
    if type(f) is not type(g) or not inspect.isfunction(f) or f.__code__ is not g.__code__:
        return False
    names = f.__kwdefaults__ or {}, g.__kwdefaults__ or {}
    return (
        f.__globals__ is g.__globals__
        and _all_same(f.__defaults__ or (), g.__defaults__ or (), above)
        and list(names[0]) == list(names[1])
        and _all_same(tuple(names[0].values()), tuple(names[1].values()), above)
        and _all_same(_contents(f), _contents(g), above)
    )


def _contents(f: Any) -> tuple[Any, ...]:
    try:
        return tuple([c.cell_contents for c in f.__closure__ or ()])
    except ValueError:  # a variable without a value yet: no two such functions are the same
        return (object(),)


def _all_same(xs: Sequence[Any], ys: Sequence[Any], above: Pairs) -> bool:
    return len(xs) == len(ys) and all([_alike(x, y, above) for x, y in zip(xs, ys, strict=True)])


def _alike(x: Any, y: Any, above: Pairs) -> bool:
    if x is y:
        return True
    if type(x) in (int, str):
        return type(x) is type(y) and bool(x == y)
    return inspect.isfunction(x) and _same(x, y, above)


# -- compiled calls ----------------------------------------------------------------------------------------------------


class Functions:
    """Several functions that are compiled together; ``__wrapped__`` is the one that gives the program its name."""

    def __init__(self, main: Any, funs: dict[str, Any]) -> None:
        vars(self).update(funs)
        self.names = tuple(funs)
        self.__wrapped__ = main
        self.__name__ = getattr(main, "__name__", type(main).__name__)

    def __call__(self) -> None:
        """Not to be called: what is done with the functions is the program's matter."""
        raise TypeError(f"{self.names} are compiled together")


def _compiled(stage: Callable[..., Any], title: str, names: tuple[str, ...], funs: tuple[Same, ...]) -> Any:
    from weft.api.transformed import Transformed

    given = [f.fun for f in funs]
    if any([_holds_unseen(f) for f in given]):
        title = f"{title} {os.urandom(8).hex()}"  # other processes could not tell what it holds
    root = given[0] if len(given) == 1 else Functions(given[0], dict(zip(names, given, strict=True)))

    def stage_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if len(given) > 1:
            from weft.frontend.control import known_at

            known_at(root, names)
        return stage(given, args, kwargs)

    return Transformed(root, stage_call, title)


# What functions hold is kept alive by the table: there may be much of it, and a program is found again quickly.
_PLAIN = functools.lru_cache(1024)(_compiled)
_HOLDING = functools.lru_cache(16)(_compiled)


def _holding(f: Any) -> bool:
    return not inspect.isfunction(f) or bool(f.__closure__)


def _holds_unseen(f: Any) -> bool:
    """Whether a function is weft's own, run natively, around variables that staging does not look at."""
    return inspect.isfunction(f) and f.__module__.split(".")[0] == "weft" and bool(f.__closure__)


def looped(*static: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorates a library function that is run natively and has loops over functions inside.

    Called eagerly, it is compiled as a whole; ``static`` names parameters that are part of the program.
    """

    def decorate(fun: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fun)
        def function(*args: Any, **kwargs: Any) -> Any:
            from weft.staged.active import staging

            if staging():
                return fun(*args, **kwargs)
            return _jitted(fun, static)(*args, **kwargs)

        return function

    return decorate


@functools.cache
def _jitted(fun: Callable[..., Any], static: tuple[str, ...]) -> Any:
    from weft.api.jit import jit

    return jit(fun, static_argnames=static)


def compiled(stage: Callable[..., Any], title: str, **funs: Any) -> Any:
    """A function over other functions, compiled once for them.

    Parameters
    ----------
    stage
        ``stage(functions, args, kwargs)`` stages a call; the same object for the same program.
    title
        What tells it from others over the same functions, in every process.
    **funs
        The functions; the first gives the program its name.
    """
    table = _HOLDING if any([_holding(f) for f in funs.values()]) else _PLAIN
    return table(stage, title, tuple(funs), tuple([Same(f) for f in funs.values()]))


# -- functions staged from their source --------------------------------------------------------------------------------


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
        self.order = [p.name for p in self.parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        self._stages: dict[Any, Any] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from weft.staged.active import staging

        if staging():
            return self.stage_call(args, kwargs)
        try:
            given = self._signature.bind(*args, **kwargs)
        except TypeError as e:
            raise TypeError(f"{self.__name__}(): {e}") from None
        funs: dict[str, Any] = {}
        static, data, rest = [], {}, []
        for name, value in given.arguments.items():
            if self._signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
                rest = list(value)
            elif name not in self.static:
                data[name] = value
            elif callable(value):
                funs[name] = value
            else:
                static.append((name, value))
        stage, title = self._stage(tuple(static), tuple(data), tuple(funs))
        return compiled(stage, title, **{self.__name__: self.__wrapped__}, **funs)(*data.values(), *rest)

    def _stage(self, static: tuple[tuple[str, Any], ...], data: tuple[str, ...], funs: tuple[str, ...]) -> Any:
        """What stages calls with these static arguments, and a title for it."""
        key = (tuple([(name, type(v), v) for name, v in static]), data, funs)
        found = self._stages.get(key)
        if found is None:

            def stage(functions: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
                given = dict(zip(data, args, strict=False)) | dict(static) | dict(zip(funs, functions[1:], strict=True))
                head = [given.pop(name) for name in self.order if name in given]  # by position, for what follows them
                return self.stage_call((*head, *args[len(data) :]), given)

            found = self._stages[key] = (stage, f"{self.__name__}({_text(static)}, {data}, {funs})")
        return found

    def stage_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Stage a call inside compiled code."""
        from weft.frontend.calls import call_python

        return call_python(self.__wrapped__, args, kwargs)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"<function {self.__module__}.{self.__name__}>"


def _text(static: tuple[tuple[str, Any], ...]) -> str:
    """Static arguments as a text that is equal in every process (in this one only, where there is no such text)."""
    from weft.build.index import Unindexable, describe

    try:
        return describe(static)
    except Unindexable:
        return os.urandom(8).hex()


def written(*static: str) -> Callable[[Callable[..., Any]], Written]:
    """Decorates a library function that is staged from its source; ``static`` names parameters that are part of it."""
    return lambda fun: Written(fun, static)
