"""What a program relies on besides the values it captures: classes, defaults, partial applications, whole containers.

Each of these is checked at every call, like captured objects; where it is another one, the function is staged anew.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import types
from typing import Any

import numpy as np

from weft.errors import StagingError
from weft.frontend.capture import ABSENT, Captures, Source, class_path, extend, raw_lookup
from weft.frontend.frame import StagedFunction, State
from weft.pytrees import flatten_custom
from weft.staged.context import current
from weft.staged.value import Staged

_FIXED = ("builtins", "numpy", "weft", "types", "functools", "typing", "collections")


def _state() -> tuple[State, Captures]:
    s = current()
    assert isinstance(s, State)
    return s, s.captures


def is_user_class(cls: type) -> bool:
    """Whether a class is the user's, so that what it holds may be changed."""
    return cls.__module__.split(".")[0] not in _FIXED


def is_outside(x: Any, s: State) -> bool:
    """Whether an object was there before the staging: not made by it, nor in an argument's place."""
    return not (isinstance(x, tuple) or s.owns(x) or s.stands_in(x))


def kind_of(x: Any) -> None:
    """Rely on the class that an object has."""
    s, c = _state()
    if is_user_class(type(x)):
        if is_outside(x, s):
            c.watch(Source("type", x, None, extend(c.path(x), "type", "")), type(x))
        _note_class(type(x), x, c)


def _note_class(cls: type, x: Any, c: Captures) -> None:
    path = c.path(x)
    c.note(cls, class_path(cls) if path is None else extend(path, "attr", "__class__"))


def look(x: Any, name: str) -> Any:
    """What the class of an object (or a class itself) has by a name, as it stands there; `ABSENT` for nothing."""
    cls = x if isinstance(x, type) else type(x)
    raw = raw_lookup(cls, name)
    if is_user_class(cls):
        _, c = _state()
        if x is not cls:
            kind_of(x)
        c.watch(Source("lookup", cls, name, extend(c.path(cls), "lookup", name)), raw)
        c.note(getattr(raw, "__func__", raw), extend(c.path(cls), "attr", name))
    return raw


def special(x: Any, name: str) -> Any:
    """A method that Python itself looks up in an object's class: ``__call__``, ``__add__``, ...; None for none."""
    if not is_user_class(type(x)):
        return getattr(type(x), name, None)
    return None if look(x, name) is ABSENT else getattr(type(x), name)


def not_own(x: Any, name: str) -> None:
    """Rely on an instance's having no attribute of a name that its class has."""
    s, c = _state()
    if is_outside(x, s) and hasattr(x, "__dict__"):
        c.watch(Source("own", x, name, extend(c.path(x), "own", name)), ABSENT)


def has_attribute(x: Any, name: str) -> bool:
    """``hasattr``."""
    s, c = _state()
    found = hasattr(x, name)
    if s.owns(x) or s.stands_in(x):
        return found
    if not found:
        c.watch(Source("attr", x, name, extend(c.path(x), "attr", name)), ABSENT)
    elif is_user_class(x if isinstance(x, type) else type(x)) or isinstance(x, types.ModuleType):
        if raw_lookup(x if isinstance(x, type) else type(x), name) is not ABSENT:
            look(x, name)
        else:
            c.read(Source("attr", x, name, extend(c.path(x), "attr", name)), getattr(x, name))
    return found


# -- what Python itself is asked while staging -------------------------------------------------------------------------

_SETTLED = (
    int, float, complex, str, bytes, type(None), type(...), type(NotImplemented), range, slice, tuple, frozenset, list,
    dict, set, collections.deque, type, property, staticmethod, classmethod, enum.Enum, types.FunctionType,
    types.BuiltinFunctionType, types.MethodType, types.ModuleType, types.MethodDescriptorType,
    types.WrapperDescriptorType, types.GenericAlias, types.UnionType,
)  # fmt: skip
_VALUES = ("numpy", "weft", "re", "decimal", "fractions", "pathlib", "datetime", "uuid", "typing", "optree")


def changing(x: Any) -> Any:
    """An object, at ``x`` or in a tuple or list there, that the staging found and whose state nothing watches; else
    None. (Captured containers are copies, whose content is watched.)"""
    if isinstance(x, tuple | list):
        return next((found for v in x if (found := changing(v)) is not None), None)
    _, c = _state()
    if not c.found(x) or isinstance(x, _SETTLED) or type(x).__module__.split(".")[0] in _VALUES:
        return None
    params = getattr(type(x), "__dataclass_params__", None)
    if params is not None and params.frozen:
        held = [getattr(x, f.name) for f in dataclasses.fields(x)]
        return None if all(map(_is_fixed, held)) else x
    return x


def _is_fixed(x: Any) -> bool:
    """Whether an object, not only the name for it, stays as it is."""
    if isinstance(x, tuple | frozenset):
        return all(map(_is_fixed, x))
    fixed = not isinstance(x, list | dict | set | collections.deque | np.ndarray)
    return fixed and (isinstance(x, _SETTLED) or type(x).__module__.split(".")[0] in _VALUES)


def refuse_changing(what: str, *values: Any) -> None:
    """Say so where Python would be asked about an object that may have changed at the next call.

    Raises
    ------
    StagingError
        One of the values is such an object.
    """
    x = changing(values)
    if x is not None:
        raise StagingError(
            f"{what} is not compiled: it depends on the state of a {type(x).__name__}, and nothing tells when that"
            " changes",
            remedy="compute it outside of the compiled function and pass the value",
            loc=current().loc,
        )


def refuse_text(x: Any) -> None:
    """Say so where the text of an object may be another one at the next call."""
    cls = type(x)
    if is_user_class(cls) and not isinstance(x, enum.Enum | type | BaseException):
        s, _ = _state()
        own = any(
            [isinstance(raw_lookup(cls, name), types.FunctionType) for name in ("__str__", "__repr__", "__format__")]
        )
        if own and (s.stands_in(x) or is_outside(x, s)):
            raise StagingError(
                f"the text of a {cls.__name__} is not compiled: it may be another one at each call",
                remedy="print or format its attributes",
                loc=current().loc,
            )


# -- defaults and partial applications ---------------------------------------------------------------------------------


def is_mutable(x: Any) -> bool:
    """Whether an object is data that may change where it is."""
    return isinstance(x, list | dict | set | np.ndarray | collections.deque) or hasattr(x, "__array__")


def default(fn: types.FunctionType, name: str, value: Any, keyword: bool) -> Any:
    """A default argument of a Python function: the function must have the same defaults at each call; what is mutable
    is read then."""
    _, c = _state()
    path = c.path(fn)
    kind = "kwdefaults" if keyword else "defaults"
    c.watch(Source(kind, fn, None, extend(path, kind, "")), getattr(fn, f"__{kind}__"))
    if keyword:
        held = Source("dict", fn.__kwdefaults__, name, None)
        if is_mutable(value):
            return c.read(held, value)
        c.watch(held, value)
        return value
    return c.read(Source("value", value, None, None), value) if is_mutable(value) else value


def parts_of(fn: functools.partial[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a partial application."""
    s, c = _state()
    if not is_outside(fn, s) or any(isinstance(x, Staged | StagedFunction) for x in (*fn.args, *fn.keywords.values())):
        return fn.args, fn.keywords
    c.indexable = False
    args = tuple([c.read(Source("value", x, None, None), x) if is_mutable(x) else x for x in fn.args])
    c.watch(Source("length", fn.keywords, None, None), len(fn.keywords))
    keywords = {}
    for name, x in fn.keywords.items():
        held = Source("dict", fn.keywords, name, None)
        keywords[name] = c.read(held, x) if is_mutable(x) else x
        if not is_mutable(x):
            c.watch(held, x)
    return args, keywords


# -- whole containers --------------------------------------------------------------------------------------------------


def whole(x: Any) -> Any:
    """A value that goes to where its containers are looked into as a whole: captured dataclasses and registered
    containers, whose attributes are read one by one otherwise, become data that is read at each call."""
    if isinstance(x, list | tuple) and type(x) in (list, tuple):
        parts = [whole(v) for v in x]
        return x if all(a is b for a, b in zip(parts, x, strict=True)) else type(x)(parts)
    if type(x) is dict:
        values = {k: whole(v) for k, v in x.items()}
        return x if all(values[k] is v for k, v in x.items()) else values
    return as_data(x)


def as_data(x: Any) -> Any:
    """`whole` for a value that is no list, tuple or dict."""
    if isinstance(x, Staged) or isinstance(x, type) or not is_user_class(type(x)):
        return x
    s, c = _state()
    if not is_outside(x, s):
        return x
    parts_ = flatten_custom(x)
    if parts_ is None or not _plain(parts_[0]):
        return x
    return c.bring_whole(Source("value", x, None, None), x)


def _plain(children: Any) -> bool:
    """Whether no staged value is inside: it was not made by this staging."""
    for x in children:
        if isinstance(x, Staged | StagedFunction):
            return False
        inner = list(x.values()) if isinstance(x, dict) else x if isinstance(x, list | tuple) else flatten_custom(x)
        if inner is not None and not _plain(inner[0] if inner is not x and isinstance(inner, tuple) else inner):
            return False
    return True


def refuse_namespace(name: str) -> StagingError:
    """For ``vars``, ``globals``, ``locals``."""
    return StagingError(
        f"'{name}()' is not compiled: what is in a namespace may change, and nothing says which of it the program uses",
        remedy="name the variables or attributes",
        loc=current().loc,
    )


__all__ = [
    "as_data", "changing", "default", "has_attribute", "is_mutable", "is_outside", "is_user_class", "kind_of", "look",
    "not_own", "parts_of", "refuse_changing", "refuse_namespace", "refuse_text", "special", "whole",
]  # fmt: skip
