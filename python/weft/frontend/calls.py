"""Calls: of Python functions (staged through), of classes, of NumPy and weft (the library), of builtins."""

from __future__ import annotations

import collections
import dataclasses
import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from weft.errors import StagingError, located
from weft.frontend import source, watch
from weft.frontend.capture import extend
from weft.frontend.frame import Frame, StagedFunction, StagedMethod, State
from weft.pytrees import flatten_custom
from weft.staged import arith
from weft.staged.context import current
from weft.staged.loops import Loopable, Range, Rows, loopable, range_item
from weft.staged.value import Staged, lift

MAX_DEPTH = 150


class Format:
    """A string with run-time values in it: only printed or raised."""

    def __init__(self, text: str, values: tuple[Staged, ...]) -> None:
        self.text = text
        self.values = values


def _state() -> State:
    s = current()
    assert isinstance(s, State)
    return s


def truth_of(x: Any) -> Any:
    """The truth of a value that is not staged itself (containers: whether they are empty)."""
    fn = watch.special(x, "__bool__") or watch.special(x, "__len__")
    if isinstance(fn, types.FunctionType) and not type(x).__module__.startswith("weft."):
        t = call(fn, (x,), {})
        return arith.truth(t) if isinstance(t, Staged) else bool(t)
    if isinstance(x, np.ndarray):
        return arith.truth(lift(x))
    if fn is not None:
        watch.refuse_changing("the truth", x)
    return bool(x)


def joined(parts: Sequence[Any], sep: str, start: str = "", end: str = "") -> Format:
    """Values joined as text."""
    text: list[str] = []
    values: list[Staged] = []
    for p in parts:
        if isinstance(p, Format):
            text.append(renumbered(p.text, len(values)))
            values.extend(p.values)
        elif isinstance(p, Staged):
            text.append("{" + str(len(values)) + "!s}")
            values.append(p)
        else:
            shown = _show(p, values)
            text.append(shown)
    esc = sep.replace("{", "{{").replace("}", "}}")
    return Format(start + esc.join(text) + end, tuple(values))


def _show(p: Any, values: list[Any]) -> str:
    """Containers with staged leaves print as Python prints them."""
    if not contains_staged(p) or not isinstance(p, list | tuple | dict):
        watch.refuse_text(p)
        return _escape(str(p))
    return _repr(p, values)


def _repr(p: Any, values: list[Any]) -> str:
    if isinstance(p, Staged):
        values.append(p)
        return "{" + str(len(values) - 1) + ("!s}" if p.flavour == "py" else "!r}")
    if isinstance(p, Format | StagedFunction) or not isinstance(p, list | tuple | dict) or hasattr(p, "_fields"):
        if contains_staged(p):
            raise StagingError(f"the text of a {type(p).__name__} of run-time values", loc=current().loc)
        watch.refuse_text(p)
        return _escape(repr(p))
    if isinstance(p, dict):
        return "{{" + ", ".join(f"{_escape(repr(k))}: {_repr(v, values)}" for k, v in p.items()) + "}}"
    inner = ", ".join([_repr(v, values) for v in p])
    return f"[{inner}]" if isinstance(p, list) else f"({inner}{',' if len(p) == 1 else ''})"


def _escape(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def renumbered(text: str, shift: int) -> str:
    """A format text whose values stand after ``shift`` others."""
    import re

    if not shift:
        return text
    return re.sub(r"(?<!\{)\{(\d+)", lambda m: "{" + str(int(m.group(1)) + shift), text)


# -- dispatch --------------------------------------------------------------------------------------------------------


def call(
    fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, node: Any = None, frame: Frame | None = None
) -> Any:
    """Call ``fn`` on values, some of them staged."""
    if isinstance(fn, StagedFunction):
        return call_nested(fn, args, kwargs)
    if is_transformed(fn):
        captures = _state().captures
        captures.note(fn.__wrapped__, extend(captures.path(fn), "attr", "__wrapped__"))
        return fn.stage_call(args, kwargs)
    if isinstance(fn, StagedMethod):
        return call(fn.fn, args, kwargs, node=node, frame=frame)
    if isinstance(fn, functools.partial):
        head, keywords = watch.parts_of(fn)
        return call(fn.func, (*head, *args), {**keywords, **kwargs}, node=node, frame=frame)
    if isinstance(fn, types.MethodType) and fn.__func__.__module__ in _NATIVE:
        return native(fn, args, kwargs)
    if isinstance(fn, types.MethodType) and not is_library(fn.__func__) and handler_of(fn) is None:
        return call(fn.__func__, (fn.__self__, *args), kwargs, node=node, frame=frame)
    handler = handler_of(fn)
    if handler is not None:
        if is_known(fn) and not any(map(contains_staged, (*args, *kwargs.values()))):
            return native(fn, args, kwargs)
        return call_native(handler, args, kwargs) if is_listed(fn) else handler(*args, **kwargs)
    if isinstance(fn, types.FunctionType) and fn.__module__ in _NATIVE:
        return native(fn, args, kwargs)
    if isinstance(fn, types.FunctionType) and not is_library(fn):
        return call_python(fn, args, kwargs)
    if is_library(fn):
        return call_native(fn, args, kwargs)
    if isinstance(fn, type):
        return construct(fn, args, kwargs, node, frame)
    if isinstance(fn, types.BuiltinMethodType | types.MethodWrapperType) and isinstance(
        getattr(fn, "__self__", None), list | dict | set | tuple | str | collections.deque | Staged
    ):
        return container_method(fn, args, kwargs, node, frame)
    method = watch.special(fn, "__call__")
    if isinstance(method, types.FunctionType):
        return call(method, (fn, *args), kwargs, node=node, frame=frame)
    if not any(map(contains_staged, (*args, *kwargs.values()))):
        return native(fn, args, kwargs)
    name = getattr(fn, "__qualname__", None) or getattr(fn, "__name__", None) or repr(fn)
    module = getattr(fn, "__module__", "") or ""
    raise StagingError(
        f"the call of '{module + '.' if module and module != 'builtins' else ''}{name}' is not compiled: its source is"
        " not available",
        remedy="call it outside the compiled function, or write it with NumPy",
        loc=current().loc,
    )


#: Modules whose functions only move values about: they run natively.
_NATIVE = frozenset({"collections", "typing", "enum", "abc", "dataclasses"})


def native(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Python itself, on static arguments.

    Raises
    ------
    StagingError
        What it answers changes from call to call, and staging would keep the first answer.
    """
    if is_impure(fn):
        name = getattr(fn, "__name__", repr(fn))
        raise StagingError(
            f"the call of '{name}' is not compiled: what it gives differs from call to call",
            remedy="call it outside the compiled function and pass the value in",
            loc=current().loc,
        )
    if getattr(fn, "__module__", None) == "dataclasses":  # asdict, replace, ...: they look into their argument
        args = tuple([watch.whole(a) for a in args])
    owner = getattr(fn, "__self__", None)
    watch.refuse_changing(f"the call of '{getattr(fn, '__name__', type(fn).__name__)}'", owner, *args, *kwargs.values())
    try:
        value = fn(*args, **kwargs)
    except TypeError as e:
        raise TypeError(located(str(e), current().loc)) from None
    if isinstance(value, np.ndarray):
        return lift(value)
    if isinstance(value, list | dict | set) and sys.getrefcount(value) <= 2:  # nobody else has it: it is new
        return _state().own(value)
    return value


_IMPURE = (
    "sys", "time", "random", "numpy.random", "datetime", "secrets", "uuid", "os", "posix", "_random", "io", "_io",
)  # fmt: skip


def is_impure(fn: Any) -> bool:
    """Whether a function's answer depends on more than its arguments: clocks, random numbers, files, input."""
    if fn in (input, open):
        return True
    owner = getattr(fn, "__self__", None)
    named = [getattr(fn, "__module__", None), getattr(owner, "__name__", None) if isinstance(owner, type) else None]
    named.append(owner.__name__ if isinstance(owner, types.ModuleType) else type(owner).__module__)
    return any(m is not None and any(m == n or m.startswith(n + ".") for n in _IMPURE) for m in named)


def contains_staged(x: Any) -> bool:
    """Whether a staged value is in ``x``."""
    if isinstance(x, Staged | Format | StagedFunction):
        return True
    if isinstance(x, list | tuple | set):
        return any(map(contains_staged, x))
    return isinstance(x, dict) and any(map(contains_staged, x.values()))


def handler_of(fn: Any) -> Callable[..., Any] | None:
    """The library function that stands for a builtin, a ``math``, a NumPy or a SciPy function."""
    from weft.frontend import mathematics  # noqa: F401  (enters the functions of math)
    from weft.frontend.builtin import BUILTINS
    from weft.numpy.registry import native as library

    try:
        return BUILTINS.get(fn) or library(fn)
    except TypeError:  # not hashable
        return None


def is_listed(fn: Any) -> bool:
    """Whether a function is in the library's table, rather than a builtin of Python."""
    from weft.numpy.registry import NUMPY

    return fn in NUMPY


def is_known(fn: Any) -> bool:
    """Whether a NumPy function of known arguments is computed while staging (it makes no array)."""
    from weft.numpy.registry import CREATORS, NUMPY

    return fn in NUMPY and fn not in CREATORS


def is_library(fn: Any) -> bool:
    """Whether a function is weft's own, and runs natively on staged values."""
    module = getattr(fn, "__module__", None) or ""
    return module.startswith("weft.") or module == "weft" or module.startswith("optree")


def is_transformed(fn: Any) -> bool:
    """Whether this is a function made by `weft.jit`, `weft.grad`, `weft.vmap`, ..."""
    return hasattr(type(fn), "stage_call")


def call_native(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A library function, run by Python on staged values; functions it calls back are staged."""

    def pass_on(x: Any) -> Any:
        return StagedMethod(x) if is_transformed(x) or is_callback(x) else x

    args, kwargs = tuple([watch.whole(a) for a in args]), {k: watch.whole(v) for k, v in kwargs.items()}
    value = fn(*[pass_on(a) for a in args], **{k: pass_on(v) for k, v in kwargs.items()})
    return value if isinstance(value, Staged) else adopted(value, (args, kwargs))


def is_callback(x: Any) -> bool:
    """Whether a library function's argument is a callable of the user's or of NumPy, whose call is to be staged."""
    if callable(x) and not isinstance(x, type) and getattr(type(x), "__module__", "").startswith("numpy"):
        return handler_of(x) is not None
    if isinstance(x, types.FunctionType):
        return not is_library(x)
    if isinstance(x, types.MethodType):
        return not is_library(x.__func__)
    if isinstance(x, types.BuiltinMethodType):  # append, update, ...: may change what is not the program's own
        return isinstance(x.__self__, list | dict | set | collections.deque)
    if type(x) is functools.partial:
        return is_callback(x.func)
    method = getattr(type(x), "__call__", None)  # noqa: B004
    return isinstance(method, types.FunctionType) and not is_library(method) and flatten_custom(x) is None


def adopted(value: Any, given: Any) -> Any:
    """A library function's result: the containers that it made are the program's own, to be changed by it."""
    if isinstance(value, list | tuple | dict | collections.deque) or flatten_custom(value) is not None:
        s = _state()
        known = {id(x) for x in containers(given)}
        for x in containers(value):
            if id(x) not in known and not s.owns(x):
                s.own(x)
    return value


def containers(x: Any) -> Iterator[Any]:
    """The containers in a value, itself included."""
    if isinstance(x, list | dict | collections.deque):
        yield x
    if isinstance(x, list | tuple | dict | collections.deque):
        for v in x.values() if isinstance(x, dict) else x:
            yield from containers(v)
    elif (parts := flatten_custom(x)) is not None:
        yield from [x, vars(x)] if hasattr(x, "__dict__") else [x]
        yield from containers(parts[0])


def container_method(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], node: Any, frame: Frame | None) -> Any:
    """A method of a list, dict, set or string."""
    s = _state()
    obj = fn.__self__
    if any(isinstance(obj, kind) and fn.__name__ in names for kind, names in _MUTATING.items()):
        s.change(obj)
    if isinstance(obj, str) and any(map(contains_staged, args)):
        if fn.__name__ == "format":
            raise StagingError("str.format of run-time values is not compiled", remedy="use an f-string", loc=s.loc)
        raise StagingError("string methods on run-time values are not compiled", loc=s.loc)
    if isinstance(obj, list) and fn.__name__ == "sort" and ("key" in kwargs or contains_staged(obj)):
        from weft.frontend.builtin import sorted_

        obj[:] = sorted_(obj, **kwargs)
        return None
    if isinstance(obj, list | tuple) and fn.__name__ in ("index", "count", "remove") and contains_staged((obj, args)):
        raise StagingError(f"'{fn.__name__}' compares run-time values", remedy="use an array", loc=s.loc)
    args = tuple(
        a.__index__() if isinstance(a, Staged) and fn.__name__ in ("pop", "insert") and i == 0 else a
        for i, a in enumerate(args)
    )
    value = fn(*args, **kwargs)
    return s.own(value) if isinstance(value, list | dict | set) and not s.owns(value) else value


_MUTATING: dict[type, frozenset[str]] = {
    list: frozenset({"append", "extend", "insert", "pop", "remove", "reverse", "sort", "clear"}),
    dict: frozenset({"update", "pop", "popitem", "setdefault", "clear", "move_to_end", "__missing__"}),
    collections.deque: frozenset(
        "append appendleft clear extend extendleft insert pop popleft remove reverse rotate".split()
    ),
    set: frozenset({"add", "discard", "remove", "update", "pop", "clear"}),
}


def construct(cls: type, args: tuple[Any, ...], kwargs: dict[str, Any], node: Any, frame: Frame | None) -> Any:
    """An instance of a class: a user's ``__init__`` is staged."""
    s = _state()
    if issubclass(cls, BaseException):
        return cls(*args, **kwargs)
    if issubclass(cls, np.generic) or cls is np.dtype:
        return native(cls, args, kwargs)
    if cls.__module__.split(".")[0] in ("numpy", "contextlib"):
        return native(cls, args, kwargs)
    if dataclasses.is_dataclass(cls) and "__post_init__" in dir(cls):
        return construct_dataclass(cls, args, kwargs)
    init = getattr(cls, "__init__", None)
    user = isinstance(init, types.FunctionType) and init.__code__.co_filename != "<string>"
    if cls.__module__ == "builtins" or not (
        hasattr(cls, "__dict__") and isinstance(init, types.FunctionType | types.WrapperDescriptorType)
    ):
        if any(map(contains_staged, (*args, *kwargs.values()))):
            raise StagingError(f"the call of '{cls.__name__}' is not compiled", loc=s.loc)
        return native(cls, args, kwargs)
    if issubclass(cls, tuple) or (getattr(cls.__new__, "__module__", None) not in (None, "builtins") and not user):
        return cls(*args, **kwargs)
    if user:
        obj = cls.__new__(cls)
        s.own(obj)
        s.own(vars(obj))
        call(init, (obj, *args), kwargs)
        return obj
    obj = cls(*args, **kwargs)
    if isinstance(obj, dict | collections.deque):
        s.own(obj)
    if hasattr(obj, "__dict__"):
        s.own(obj)
        s.own(vars(obj))
    return obj


def construct_dataclass(cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An instance of a dataclass with a ``__post_init__``, which is staged."""
    s = _state()
    given = inspect.signature(cls).bind(*args, **kwargs).arguments
    obj: Any = object.__new__(cls)
    s.own(obj)
    s.own(vars(obj))
    for f in dataclasses.fields(cls):  # type: ignore[arg-type]
        if f.init and f.name in given:
            object.__setattr__(obj, f.name, given[f.name])
        elif f.default is not dataclasses.MISSING:
            object.__setattr__(obj, f.name, f.default)
        elif f.default_factory is not dataclasses.MISSING:
            object.__setattr__(obj, f.name, call(f.default_factory, (), {}))
    call(cls.__post_init__, (obj,), {})  # type: ignore[attr-defined]
    return obj


def staged_attribute(x: Staged, name: str) -> Any:
    """An attribute or method of a staged array, as the library defines it."""
    from weft.staged.value import Staged as S

    if (name.startswith("_") and name != "__array_namespace__") or name in _INTERNAL:
        raise AttributeError(name)
    return getattr(x, name) if hasattr(S, name) else _missing(name)


def _missing(name: str) -> Any:
    raise AttributeError(name)


_INTERNAL = frozenset({"atom", "cell", "extent", "fact", "flavour", "put", "sizes", "type", "viewed", "views"})


# -- functions with source -------------------------------------------------------------------------------------------


def call_python(fn: types.FunctionType, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Stage through a Python function."""
    s = _state()
    parsed = source.parse(fn)
    path = s.captures.path(fn)
    if not is_library(fn):
        s.captures.staged(fn, path)
    frame = Frame(parsed, python=fn, globals_=fn.__globals__, origin=path)
    bind(frame, parsed, args, kwargs, fn.__defaults__ or (), fn.__kwdefaults__ or {}, fn.__qualname__, fn)
    return run(frame)


def call_nested(fn: StagedFunction, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a function defined inside staged code."""
    frame = Frame(fn.parsed, enclosing=fn.frame, globals_=fn.frame.globals, origin=fn.frame.origin)
    bind(frame, fn.parsed, args, kwargs, fn.defaults, fn.kw_defaults, fn.__name__)
    return run(frame)


def run(frame: Frame) -> Any:
    """Execute a bound frame; the value it returns."""
    from weft.frontend import expressions, statements
    from weft.frontend.merge import RAISED, AlwaysRaises

    s = _state()
    same = sum([f.parsed.node is frame.parsed.node for f in s.frames])
    if len(s.frames) > MAX_DEPTH or same > 60:
        raise StagingError(
            f"recursion of '{frame.parsed.name}' that does not end while staging (its depth depends on run-time"
            " values)",
            remedy="write it as a loop",
            loc=s.loc,
        )
    s.frames.append(frame)
    loc = s.loc
    try:
        node = frame.parsed.node
        if type(node).__name__ == "Lambda":
            return expressions.evaluate(node.body, frame)
        signal = statements.execute(node.body, frame)
        if signal is RAISED:
            raise AlwaysRaises
        return signal.value if signal is not None else None
    finally:
        s.frames.pop()
        s.loc = s.builder.loc = loc


def bind(
    frame: Frame, parsed: source.Parsed, args: tuple[Any, ...], kwargs: dict[str, Any], defaults: Sequence[Any],
    kw_defaults: dict[str, Any], name: str, python: types.FunctionType | None = None,
) -> None:  # fmt: skip
    """Bind arguments to a frame's variables as Python does (``python``: the function that has the defaults)."""
    a = parsed.node.args
    positional = [p.id for p in (*a.posonlyargs, *a.args)]
    only = {p.id for p in a.posonlyargs}
    values: dict[str, Any] = dict(zip(positional, args, strict=False))
    extra = args[len(positional) :]
    if extra and a.vararg is None:
        raise arith.op_error(
            TypeError, f"{name}() takes {len(positional)} positional arguments but {len(args)} were given"
        )
    if a.vararg is not None:
        values[a.vararg.id] = tuple(extra)
    names = {p.id for p in a.kwonlyargs} | set(positional) - only
    rest: dict[str, Any] = {}
    for k, v in kwargs.items():
        if k in names:
            if k in values:
                raise arith.op_error(TypeError, f"{name}() got multiple values for argument '{k}'")
            values[k] = v
        elif a.kwarg is not None:
            rest[k] = v
        else:
            raise arith.op_error(TypeError, f"{name}() got an unexpected keyword argument '{k}'")
    if a.kwarg is not None:
        values[a.kwarg.id] = _state().own(rest)
    for p, d in zip(positional[len(positional) - len(defaults) :], defaults, strict=True):
        if p not in values:
            values[p] = default_value(d) if python is None else watch.default(python, p, d, False)
    for k, d in kw_defaults.items():
        if k not in values:
            values[k] = default_value(d) if python is None else watch.default(python, k, d, True)
    missing = [p for p in (*positional, *[p.id for p in a.kwonlyargs]) if p not in values]
    if missing:
        quoted = ", ".join(f"'{m}'" for m in missing)
        raise arith.op_error(TypeError, f"{name}() missing {len(missing)} required argument(s): {quoted}")
    frame.locals.update(values)


def default_value(d: Any) -> Any:
    """A default: arrays become staged constants."""
    return lift(d) if isinstance(d, np.ndarray) else d


def signature_of(fn: Any) -> inspect.Signature | None:
    """The signature of a callable, where it has one."""
    try:
        return inspect.signature(fn)
    except (TypeError, ValueError):
        return None


__all__ = [
    "Format", "Loopable", "Range", "Rows", "call", "container_method", "contains_staged",
    "joined", "loopable", "range_item", "signature_of", "staged_attribute", "truth_of",
]  # fmt: skip
