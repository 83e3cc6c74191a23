"""Parts of plans as JSON values: host functions, and the structure of results. For warm starts and built modules."""

from __future__ import annotations

import binascii
import importlib
from typing import Any

import numpy as np


def encode_host(entry: dict[str, Any]) -> dict[str, Any]:
    """A host function's description as JSON; size symbols are written as their numbers in ``symbols``.

    Raises
    ------
    TypeError
        It depends on something that JSON cannot hold.
    """
    if entry["kind"] != "host":
        return entry
    symbols = list(entry["symbols"])
    attrs = {k: _encode_static(v, symbols) for k, v in entry["attrs"].items()}
    return {**entry, "attrs": attrs, "symbols": len(symbols)}


def _encode_static(x: Any, symbols: list[Any]) -> Any:
    if x is None or type(x) in (str, int, float, bool):
        return x
    if type(x) is tuple:
        return ["tuple", [_encode_static(v, symbols) for v in x]]
    if isinstance(x, np.dtype):
        return ["dtype", x.str]
    if type(x).__name__ == "Dim":
        return ["size", x.const, [[symbols.index(v), c] for v, c in x.terms]]
    if callable(x):
        raise TypeError(f"it calls back a Python function, {x!r}")
    raise TypeError(f"a host function needs a {type(x).__name__}")


def decode_host(entry: dict[str, Any]) -> dict[str, Any]:
    """What `encode_host` was given."""
    if entry["kind"] != "host":
        return entry
    from weft.ir.nodes import Var
    from weft.ir.types import i64, scalar

    symbols = [Var(scalar(i64)) for _ in range(entry["symbols"])]
    attrs = {k: _decode_static(v, symbols) for k, v in entry["attrs"].items()}
    return {**entry, "attrs": attrs, "symbols": symbols}


def _decode_static(x: Any, symbols: list[Any]) -> Any:
    from weft.ir.sizes import affine

    match x:
        case ["tuple", items]:
            return tuple([_decode_static(v, symbols) for v in items])
        case ["dtype", text]:
            return np.dtype(text)
        case ["size", const, terms]:
            return affine(const, tuple([(symbols[i], c) for i, c in terms]))
    return x


def encode_tree(tree: tuple[Any, ...]) -> Any:
    """A plan's result structure as JSON.

    Raises
    ------
    TypeError
        It has a class or constant that another process could not make.
    """
    match tree:
        case ("leaf", k):
            return ["leaf", k]
        case ("const", x):
            if x is not None and not isinstance(x, bool | int | float | complex | str | np.generic):
                raise TypeError(f"the result has a constant of type {type(x).__name__}")
            return ["const", encode_value(x)]
        case ("tuple" | "list", items):
            return [tree[0], [encode_tree(t) for t in items]]
        case ("dict", keys, items):
            if not all(type(k) is str for k in keys):
                raise TypeError("the result is a dict with keys that are not strings")
            return ["dict", list(keys), [encode_tree(t) for t in items]]
        case ("call", cls, items):
            if not (isinstance(cls, type) and hasattr(cls, "_fields")) or "<" in cls.__qualname__:
                raise TypeError("the result is a container of the user's own, other than a named tuple of a module")
            return ["call", [cls.__module__, cls.__qualname__], [encode_tree(t) for t in items]]
    raise TypeError(f"the result has an unknown kind: {tree[0]!r}")


def decode_tree(tree: Any) -> tuple[Any, ...]:
    """What `encode_tree` was given."""
    match tree:
        case ["leaf", k]:
            return ("leaf", k)
        case ["const", x]:
            return ("const", decode_value(x))
        case ["tuple" | "list", items]:
            return (tree[0], [decode_tree(t) for t in items])
        case ["dict", keys, items]:
            return ("dict", tuple(keys), [decode_tree(t) for t in items])
        case ["call", [module, name], items]:
            cls: Any = importlib.import_module(module)
            for part in name.split("."):
                cls = getattr(cls, part)
            return ("call", cls, [decode_tree(t) for t in items])
    raise LookupError(f"a stored structure of an unknown kind: {tree!r}")


def encode_value(x: Any) -> Any:
    """A captured number or array, or a container of them, as JSON with every bit kept.

    Raises
    ------
    TypeError
        It is something else.
    """
    from weft.runtime.array import Array

    if type(x) in (bool, int, str) or x is None:
        return x
    if type(x) is float:
        return ["float", x.hex()]
    if type(x) is complex:
        return ["complex", x.real.hex(), x.imag.hex()]
    if isinstance(x, np.generic):
        return ["scalar", x.dtype.str, x.tobytes().hex()]
    if type(x) in (np.ndarray, Array):
        a = np.ascontiguousarray(x)
        text = binascii.b2a_base64(a.tobytes(), newline=False).decode()
        return ["numpy" if type(x) is np.ndarray else "weft", a.dtype.str, list(np.shape(x)), text]
    if type(x) in (tuple, list):
        return [type(x).__name__, [encode_value(v) for v in x]]
    if type(x) is dict and all(type(k) in (str, int, bool) for k in x):
        return ["dict", list(x), [encode_value(v) for v in x.values()]]
    raise TypeError(f"it captures a {type(x).__name__}")


def decode_value(x: Any) -> Any:
    """What `encode_value` was given."""
    from weft.runtime.array import Array

    match x:
        case ["float", text]:
            return float.fromhex(text)
        case ["complex", real, imag]:
            return complex(float.fromhex(real), float.fromhex(imag))
        case ["scalar", dtype, text]:
            return np.frombuffer(bytes.fromhex(text), dtype)[0]
        case ["numpy" | "weft", dtype, shape, text]:
            a = np.frombuffer(binascii.a2b_base64(text), dtype).reshape(shape)
            return Array.from_numpy(a) if x[0] == "weft" else a
        case ["tuple", items]:
            return tuple([decode_value(v) for v in items])
        case ["list", items]:
            return [decode_value(v) for v in items]
        case ["dict", keys, items]:
            return dict(zip(keys, [decode_value(v) for v in items], strict=True))
    return x
