"""Places in arrays: what an index specification with its operands names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import At, Gather, IndexSpec, Span
from weft.ir.sizes import Shape, Size, same_shape
from weft.ir.types import ArrayType, is_integer
from weft.primitives.declare import shape_text

MODES = ("check", "wrap", "fast")

# -- types -----------------------------------------------------------------------------------------------------------


def region(name: str, a: ArrayType, operands: Sequence[ArrayType], spec: IndexSpec, mode: str) -> Shape:
    """The shape of the part of ``a`` that the specification names; checks the specification."""
    if mode not in MODES:
        raise ValueError(f"{name}: mode {mode!r} is none of {', '.join(MODES)}")
    if len(spec) != a.rank or len(operands) != a.rank:
        raise IndexError(
            f"too many indices for array: array is {a.rank}-dimensional, but {max(len(spec), len(operands))} were "
            "indexed"
            if max(len(spec), len(operands)) > a.rank
            else f"{name}: {len(operands)} operands and {len(spec)} entries for {a.rank} axes"
        )
    shape: list[Size] = []
    gathered: Shape | None = None
    for entry, t in zip(spec, operands, strict=True):
        if not is_integer(t.dtype):
            raise IndexError(f"arrays used as indices must be of integer (or boolean) type, not {t}")
        match entry:
            case At() | Span():
                if t.shape:
                    raise IndexError(f"{name}: an axis read at one place has the index {t}, which is not a scalar")
                if isinstance(entry, Span):
                    shape.append(entry.size)
            case Gather():
                if not t.shape:
                    raise IndexError(f"{name}: a gathered axis has the index {t}, which is not an array")
                if gathered is None:
                    gathered = t.shape
                    shape.extend(t.shape)
                elif not same_shape(gathered, t.shape):
                    raise IndexError(
                        "shape mismatch: indexing arrays could not be broadcast together with shapes "
                        f"{shape_text(gathered)} {shape_text(t.shape)}"
                    )
            case _:
                raise TypeError(f"{name}: not an index specification: {entry!r}")
    return tuple(shape)


def positions(i: Any, axis: int, n: int, mode: str) -> Any:
    """Integer indices of an axis brought into range, as ``mode`` says."""
    i = np.asarray(i).astype(np.int64)
    bad = (i >= n) | (i < (0 if mode == "fast" else -n))
    if bad.any():
        raise IndexError(f"index {i[bad][0]} is out of bounds for axis {axis} with size {n}")
    return np.where(i < 0, i + n, i)


def subscript(a: np.ndarray[Any, Any], operands: Sequence[Any], spec: IndexSpec, mode: str) -> tuple[Any, ...]:
    """The NumPy subscript of a place: basic if nothing is gathered, else one index array per axis."""
    lanes = next((np.ndim(o) for o, e in zip(operands, spec, strict=True) if isinstance(e, Gather)), None)
    rank = sum(isinstance(e, Span) for e in spec) + (lanes or 0)
    key: list[Any] = []
    at = 0  # the result axis that the next entry gives
    gathered_at: int | None = None
    for axis, (entry, operand) in enumerate(zip(spec, operands, strict=True)):
        match entry:
            case At():
                key.append(int(positions(operand, axis, a.shape[axis], mode)))
            case Span():
                size, start = int(entry.size), int(operand)  # type: ignore[arg-type]
                picks = start + entry.step * np.arange(size)
                if lanes is None:
                    stop = start + entry.step * size
                    key.append(slice(start, stop if stop >= 0 else None, entry.step) if size else slice(0, 0))
                else:
                    key.append(picks.reshape([size if k == at else 1 for k in range(rank)]))
                if size and not (0 <= picks[0] < a.shape[axis] and 0 <= picks[-1] < a.shape[axis]):
                    raise IndexError(f"span {picks[0]}..{picks[-1]} leaves axis {axis} with size {a.shape[axis]}")
                at += 1
            case Gather():
                picks = positions(operand, axis, a.shape[axis], mode)
                if gathered_at is None:
                    gathered_at, at = at, at + picks.ndim
                tail = rank - gathered_at - picks.ndim
                key.append(picks.reshape((1,) * gathered_at + picks.shape + (1,) * tail))
            case _:
                raise TypeError(f"not an index specification: {entry!r}")
    return tuple(key)
