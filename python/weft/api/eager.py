"""Single operations as compiled functions: what eager code does on devices other than the CPU."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from weft.api.jit import jit

_OPTIONS = (bool, str, tuple, type(None), type, np.dtype)  # such arguments are part of the program, others its data


def apply(fun: Any, *args: Any, **kwargs: Any) -> Any:
    """``fun(*args, **kwargs)``, compiled; ``fun`` may be the name of a function of `weft.numpy`, or of one here."""
    if fun in _OWN:
        return _OWN[fun](*args, **kwargs)
    if isinstance(fun, str):
        import weft.numpy

        fun = getattr(weft.numpy, fun)
    nums = tuple([k for k, a in enumerate(args) if _is_option(a)])
    names = tuple(sorted([k for k, a in kwargs.items() if isinstance(a, int) or _is_option(a)]))
    return _compiled(fun, nums, names)(*args, **kwargs)


def _is_option(x: Any) -> bool:
    if isinstance(x, tuple) and x:  # a shape stays data, unless one of its sizes follows from the others
        return all(isinstance(k, int) or _is_option(k) for k in x) and not all(type(k) is int and k >= 0 for k in x)
    return isinstance(x, _OPTIONS)


@functools.lru_cache(1024)
def _compiled(fun: Any, nums: tuple[int, ...], names: tuple[str, ...]) -> Any:
    return jit(fun, static_argnums=nums, static_argnames=names)


# -- what needs more than a function of weft.numpy; each is staged from its source -------------------------------------


def getitem(x: Any, key: Any) -> Any:
    """``x[key]``."""
    spec, parts = split(key)
    return apply(_getitem, x, spec, *parts)


def update(x: Any, key: Any, name: str, values: Any, mode: str | None = None, from_end: bool = True) -> Any:
    """``x.at[key].name(values)``; ``get`` has its ``fill_value`` for values."""
    spec, parts = split(key)
    return apply(_update, x, name, values, mode, from_end, spec, *parts)


def method(x: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """``x.name(*args, **kwargs)``."""
    return apply(_method, x, name, *args, **kwargs)


def attribute(x: Any, name: str) -> Any:
    """``x.name``."""
    return apply(_attribute, x, name)


_OWN: dict[Any, Any] = {"getitem": getitem, "update": update, "method": method, "attribute": attribute}


def split(key: Any) -> tuple[tuple[str, ...], list[Any]]:
    """A key as its form, which is part of the program, and its numbers and arrays, which are data."""
    spec: list[str] = []
    parts: list[Any] = []
    for k in key if isinstance(key, tuple) else (key,):
        if k is None:
            spec.append("new")
        elif k is ...:
            spec.append("rest")
        elif isinstance(k, slice):
            ends = (k.start, k.stop, k.step)
            spec.append("slice " + "".join("-" if e is None else "x" for e in ends))
            parts += [e for e in ends if e is not None]
        else:
            spec.append("part")
            parts.append(np.asarray(k) if isinstance(k, list) else k)
    return tuple(spec), parts


def _join(spec: tuple[str, ...], parts: tuple[Any, ...]) -> Any:
    key: list[Any] = []
    at = 0
    for s in spec:
        if s == "new":
            key.append(None)
        elif s == "rest":
            key.append(...)
        elif s == "part":
            key.append(parts[at])
            at += 1
        else:
            ends: list[Any] = []
            for c in s[6:]:
                if c == "x":
                    ends.append(parts[at])
                    at += 1
                else:
                    ends.append(None)
            key.append(slice(ends[0], ends[1], ends[2]))
    return tuple(key)


def _getitem(x: Any, spec: tuple[str, ...], *parts: Any) -> Any:
    return x[_join(spec, parts)]


def _update(
    x: Any, name: str, values: Any, mode: str | None, from_end: bool, spec: tuple[str, ...], *parts: Any
) -> Any:
    place = x.at[_join(spec, parts)]
    if name == "get":
        return place.get(mode=mode, fill_value=values, wrap_negative_indices=from_end)
    return getattr(place, name)(values, mode=mode, wrap_negative_indices=from_end)


def _method(x: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    return getattr(x, name)(*args, **kwargs)


def _attribute(x: Any, name: str) -> Any:
    return getattr(x, name)
