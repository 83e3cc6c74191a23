"""Comparisons that no one dtype serves: orderings of complex numbers, integers of different signedness or range."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft.ir.nodes import Atom, Lit, lit
from weft.ir.primitive import REGISTRY
from weft.ir.types import DType, bool_, i64, is_complex, is_integer

_BELOW = {"lt": True, "le": True, "ne": True, "gt": False, "ge": False, "eq": False}
_MIRROR = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne"}
_U64 = np.dtype(np.uint64)


def integer_dtypes(x: Any, y: Any, dtype: DType) -> tuple[DType, DType] | None:
    """The dtypes in which two staged integers are compared exactly, where ``dtype``, their common one, does not do.

    A Python int has any value: it may lie outside of the other operand's dtype.
    """
    if not (is_integer(x.dtype) and is_integer(y.dtype)):
        return None
    if dtype.kind == "f":  # of int64 and uint64
        return (i64, _U64) if x.dtype.kind == "i" else (_U64, i64)
    info = np.iinfo(dtype)
    for k, v in enumerate((x, y)):
        if v.flavour == "py" and isinstance(v.atom, Lit) and not info.min <= int(v.atom.value) <= info.max:
            other = _U64 if dtype == _U64 else i64
            return (i64, other) if k == 0 else (other, i64)
    return None


def compare(name: str, x: Atom, y: Atom) -> Any:
    """A comparison of operands of one shape, whose dtypes agree or are int64 and uint64."""
    prim = REGISTRY.__getitem__
    if is_complex(x.type.dtype) and name not in ("eq", "ne"):
        return ordered(name, x, y)
    if x.type.dtype == y.type.dtype:
        return prim(name)(x, y)
    if x.type.dtype.kind == "u":
        return _signed(_MIRROR[name], y, x)
    return _signed(name, x, y)


def ordered(name: str, x: Atom, y: Atom) -> Any:
    """A comparison of complex numbers as NumPy has it: of real parts, where these are equal of imaginary parts."""
    prim = REGISTRY.__getitem__
    (a, b), (c, d) = [(prim("real")(v), prim("imag")(v)) for v in (x, y)]
    strict = "lt" if name in ("lt", "le") else "gt"
    known = prim("logical_not")(prim("bitor")(prim("isnan")(b), prim("isnan")(d)))
    apart = prim("bitand")(prim(strict)(a, c), known)
    return prim("bitor")(apart, prim("bitand")(prim("eq")(a, c), prim(name)(b, d)))


def _signed(name: str, x: Atom, y: Atom) -> Any:
    """A comparison of int64 with uint64: a negative number is below all of the other dtype."""
    prim = REGISTRY.__getitem__
    negative = prim("lt")(x, lit(0, x.type.dtype))
    same = prim(name)(prim("cast")(x, dtype=y.type.dtype), y)
    return prim("select")(negative, lit(_BELOW[name], bool_), same)
