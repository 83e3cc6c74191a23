"""Keys of ``x.at[key]`` with their integers brought into range as ``mode=`` says."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

_MODES = {
    None: "check", "promise_in_bounds": "check", "clip": "clip", "drop": "drop", "fill": "drop", "wrap": "wrap",
}  # fmt: skip


def mode_of(mode: Any) -> str:
    """What is done with indices out of bounds: ``check`` (IndexError), ``clip``, ``drop`` or ``wrap``."""
    try:
        return _MODES[mode]
    except (KeyError, TypeError):
        known = ", ".join([repr(m) for m in _MODES if m is not None])
        raise ValueError(f"unknown mode {mode!r} for indices out of bounds: it is one of {known}") from None


def fill_of(dtype: np.dtype[Any], fill_value: Any) -> Any:
    """What is read out of bounds: NaN, the least int, the greatest unsigned int, True; or a given value."""
    if fill_value is None:
        match dtype.kind:
            case "b":
                return np.bool_(True)
            case "i":
                return dtype.type(np.iinfo(dtype).min)
            case "u":
                return dtype.type(np.iinfo(dtype).max)
        fill_value = np.nan
    value = np.asarray(fill_value)
    if value.ndim:
        raise ValueError("fill_value must be a scalar")
    return value.astype(dtype)[()]


@dataclass(frozen=True)
class Located:
    """A key without integers out of range.

    Attributes
    ----------
    key
        One entry for each axis, besides new axes: slices, and integers or arrays of them.
    inside
        Where the integers were in range, of their common shape; None: everywhere.
    at
        The axis of the result where that shape stands.
    """

    key: tuple[Any, ...]
    inside: Any
    at: int

    def over(self, rank: int) -> Any:
        """`inside`, as it broadcasts over a result of ``rank`` axes."""
        return self.inside.reshape(self.inside.shape + (1,) * (rank - self.at - self.inside.ndim))

    def without(self, values: Any, shape: tuple[int, ...]) -> tuple[tuple[Any, ...], Any]:
        """The key and the values (of a region of ``shape``) with what is outside left out; not for a single place."""
        lanes = self.inside.shape
        keep = np.flatnonzero(self.inside)
        key = tuple(
            [np.broadcast_to(k, lanes).reshape(-1)[keep] if _is_integer(k) else k for k in self.key]
        )  # fmt: skip
        before, behind = shape[: self.at], shape[self.at + len(lanes) :]
        rows = np.broadcast_to(values, shape).reshape(*before, self.inside.size, *behind)
        return key, rows.take(keep, axis=self.at)


def locate(shape: tuple[int, ...], key: Any, mode: str, from_end: bool) -> Located:
    """A key (of NumPy arrays) for an array of ``shape``; negative integers count ``from_end`` or are out of bounds.

    Raises
    ------
    IndexError
        An integer is out of bounds in mode ``check``, or any of an axis without elements.
    """
    entries = _entries(shape, key)
    found: list[Any] = []
    inside: Any = None
    axis = 0
    for k in entries:
        if k is not None and not isinstance(k, slice):
            k, ok = _in_range(np.asarray(k), axis, shape[axis], mode, from_end)
            inside = ok if inside is None else inside & ok
        found.append(k)
        axis += k is not None
    drops = mode == "drop" and inside is not None and not np.all(inside)
    return Located(tuple(found), inside if drops else None, _lanes_at(found))


def _entries(shape: tuple[int, ...], key: Any) -> list[Any]:
    """One entry for each axis, besides new axes: masks become integers, the ellipsis whole axes."""
    given = [_entry(k) for k in (key if isinstance(key, tuple) else (key,))]
    used = sum([_axes_of(k) for k in given])
    if used > len(shape):
        raise IndexError(
            f"too many indices for array: array is {len(shape)}-dimensional, but {used} were indexed"
        )  # fmt: skip
    rests = [i for i, k in enumerate(given) if k is ...]
    if len(rests) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    at = rests[0] if rests else len(given)
    given[at : at + 1] = [slice(None)] * (len(shape) - used)
    entries: list[Any] = []
    axis = 0
    for k in given:
        if isinstance(k, np.ndarray) and k.dtype == bool:
            if k.shape != shape[axis : axis + k.ndim]:
                raise IndexError(
                    f"boolean index did not match indexed array: it has shape {k.shape}, the axes from {axis} on"
                    f" {shape[axis : axis + k.ndim]}"
                )
            entries.extend(k.nonzero())
        else:
            entries.append(k)
        axis += _axes_of(k)
    return entries


def _entry(k: Any) -> Any:
    if k is None or k is ... or isinstance(k, slice):
        return k
    if not isinstance(k, np.ndarray | list | tuple | bool | np.bool_) and hasattr(k, "__index__"):
        return operator.index(k)
    a = np.asarray(k)
    if isinstance(k, list | tuple) and not a.size:
        a = a.astype(np.int64)
    if a.dtype.kind not in "iu" and not (a.dtype.kind == "b" and a.ndim):
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean arrays are"
            " valid indices"
        )
    return a


def _axes_of(k: Any) -> int:
    if k is None or k is ...:
        return 0
    return k.ndim if isinstance(k, np.ndarray) and k.dtype == bool else 1


def _in_range(i: Any, axis: int, n: int, mode: str, from_end: bool) -> tuple[Any, Any]:
    """Integers in range, and where they were."""
    if i.dtype.kind == "u":
        i = np.minimum(i, np.iinfo(np.int64).max)
    i = i.astype(np.int64)
    given = i
    if from_end:
        i = np.where(i < 0, i + n, i)
    ok = (i >= 0) & (i < n)
    if i.size and (n == 0 or (mode == "check" and not np.all(ok))):
        raise IndexError(f"index {given[~ok][0]} is out of bounds for axis {axis} with size {n}")
    i = i % n if mode == "wrap" and n else np.clip(i, 0, max(n - 1, 0))
    return (int(i) if not i.ndim else i), np.asarray(ok)


def _is_integer(k: Any) -> bool:
    return k is not None and not isinstance(k, slice)


def _lanes_at(entries: list[Any]) -> int:
    """The axis of the result where gathered axes stand: the place of the first entry, or the front if others stand
    between them."""
    picks = [i for i, k in enumerate(entries) if _is_integer(k)]
    if not picks or not any([np.ndim(entries[i]) for i in picks]):
        return 0
    return picks[0] if picks[-1] - picks[0] + 1 == len(picks) else 0


__all__ = ["Located", "fill_of", "locate", "mode_of"]
