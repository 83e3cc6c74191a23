"""Signatures as text: ``"f64[n, m], f64[m] -> f64[n]"``."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_NAMES = {
    "bool": "?", "i8": "i1", "i16": "i2", "i32": "i4", "i64": "i8", "u8": "u1", "u16": "u2", "u32": "u4", "u64": "u8",
    "f16": "f2", "f32": "f4", "f64": "f8", "c64": "c8", "c128": "c16",
}  # fmt: skip
SHORT_NAMES = {np.dtype(code): name for name, code in _NAMES.items()}
_TYPE = re.compile(r"([a-z]\w*)\s*(?:\[([^\[\]]*)\])?")


@dataclass(frozen=True)
class Spec:
    """One argument or result: a dtype, and sizes that are numbers or names. ``shape`` is None for a scalar."""

    dtype: np.dtype[Any]
    shape: tuple[int | str, ...] | None

    def __str__(self) -> str:
        name = SHORT_NAMES[self.dtype]
        return name if self.shape is None else f"{name}[{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True)
class Signature:
    """The arguments of a function, and its results where they are given."""

    args: tuple[Spec, ...]
    results: tuple[Spec, ...] | None = None

    def __str__(self) -> str:
        text = ", ".join(map(str, self.args))
        if self.results is None:
            return text
        return f"{text} -> {', '.join(map(str, self.results)) or 'None'}".lstrip()


def parse_signature(text: str) -> Signature:
    """Read a signature.

    Parameters
    ----------
    text
        Types separated by commas, each a dtype (``f64``, ``i32``, ``bool``, or NumPy's name ``float64``) with sizes in
        brackets for an array: numbers, or names that stand for run-time sizes. Results may follow after ``->``, or
        ``None`` for a function that only writes its arguments.

    Raises
    ------
    ValueError
        The text is not a signature; the message shows where.
    """
    before, arrow, after = text.partition("->")
    results = _specs("" if after.strip() == "None" else after, text) if arrow else None
    return Signature(_specs(before, text), results)


def _specs(part: str, text: str) -> tuple[Spec, ...]:
    found = []
    pieces = [p.strip() for p in re.split(r",(?![^\[]*\])", part.strip())] if part.strip() else []
    for piece in pieces:
        m = _TYPE.fullmatch(piece)
        if m is None:
            raise ValueError(f"{piece!r} in {text!r} is not a type; write them like f64, f64[n, 3] or bool")
        found.append(Spec(_dtype(m[1], text), None if m[2] is None else tuple(_size(s, text) for s in _split(m[2]))))
    return tuple(found)


def _split(sizes: str) -> list[str]:
    return [s.strip() for s in sizes.split(",")] if sizes.strip() else []


def _dtype(name: str, text: str) -> np.dtype[Any]:
    try:
        dtype = np.dtype(_NAMES.get(name, {"float": "f8", "int": "i8", "complex": "c16"}.get(name, name)))
    except TypeError:
        dtype = np.dtype("O")
    if dtype not in SHORT_NAMES:
        raise ValueError(f"{name!r} in {text!r} is not a dtype; these are: {', '.join(_NAMES)}")
    return dtype


def _size(s: str, text: str) -> int | str:
    if s.isdecimal():
        return int(s)
    if s.isidentifier():
        return s
    raise ValueError(f"{s!r} in {text!r} is not a size; write a number or a name")


def sample_arguments(specs: Sequence[Spec]) -> list[Any]:
    """Arguments that have these types: arrays of ones, Python numbers for scalars of Python's types.

    Sizes with different names are different numbers, none of them 0 or 1, so that nothing is taken for equal or fixed.
    """
    taken = {s for spec in specs for s in spec.shape or () if isinstance(s, int)}
    free = (n for n in itertools.count(5) if n not in taken)
    sizes: dict[str, int] = {}
    for spec in specs:
        for s in spec.shape or ():
            if isinstance(s, str) and s not in sizes:
                sizes[s] = next(free)
    python: dict[str, Any] = {"float64": 1.0, "int64": 1, "bool": True, "complex128": 1j}
    out: list[Any] = []
    for spec in specs:
        if spec.shape is None:
            out.append(python.get(spec.dtype.name, spec.dtype.type(1)))
        else:
            out.append(np.ones([s if isinstance(s, int) else sizes[s] for s in spec.shape], spec.dtype))
    return out
