"""``x.at[key]`` of a concrete array: updates that give a new array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from weft.runtime import eager
from weft.runtime.array import Array, _plain, _staged, _wrap


class AtHelper:
    """What ``x.at`` gives; ``x.at[key]`` names a place."""

    __slots__ = ("_array",)

    def __init__(self, array: Array) -> None:
        self._array = array

    def __getitem__(self, key: Any) -> Any:
        if _staged(key):
            return _lifted(self._array, key)
        return Place(self._array, key)

    def __repr__(self) -> str:
        return f"<at of {self._array!r}>"


def _lifted(array: Array, key: Any) -> Any:
    from weft.numpy.at import Place as StagedPlace
    from weft.staged.value import lift

    return StagedPlace(lift(array), key)


class Place:
    """A place in an array; its methods give the array with that place changed."""

    __slots__ = ("_array", "_key")

    def __init__(self, array: Array, key: Any) -> None:
        self._array = array
        self._key = key

    def get(self, *, mode: Any = None, fill_value: Any = None, **hints: Any) -> Any:
        """The elements there."""
        _hints(mode, hints)
        return self._array[self._key]

    def set(self, values: Any, *, mode: Any = None, **hints: Any) -> Any:
        """With these values there."""
        _hints(mode, hints)
        if _staged(values):
            return _lifted(self._array, self._key).set(values)
        if eager.active and eager.is_elsewhere(self._array, values, self._key):
            return eager.apply("update", self._array, self._key, "set", values)
        new = np.array(self._array._view())
        new[_plain(self._key)] = _plain(values)
        return _wrap(new)

    def apply(self, func: Callable[[Any], Any], *, mode: Any = None, **hints: Any) -> Any:
        """With ``func`` of what is there."""
        _hints(mode, hints)
        return self.set(func(self._array[self._key]))


def _update(name: str, uf: np.ufunc, what: str) -> Any:
    def method(self: Place, values: Any, *, mode: Any = None, **hints: Any) -> Any:
        _hints(mode, hints)
        if _staged(values):
            return getattr(_lifted(self._array, self._key), name)(values)
        if eager.active and eager.is_elsewhere(self._array, values, self._key):
            return eager.apply("update", self._array, self._key, name, values)
        new = np.array(self._array._view())
        values = np.asarray(_plain(values))
        if not np.can_cast(values.dtype, new.dtype, "same_kind"):
            out = uf(new[_plain(self._key)], values)  # computed wide, then converted, as an assignment converts
            new[_plain(self._key)] = out
            return _wrap(new)
        uf.at(new, _plain(self._key), values.astype(new.dtype))
        return _wrap(new)

    method.__name__ = name
    method.__doc__ = f"With {what}; where indices repeat, again for each."
    return method


for _name, _uf, _what in (
    ("add", np.add, "values added there"), ("subtract", np.subtract, "values subtracted there"),
    ("multiply", np.multiply, "the place multiplied by values"), ("mul", np.multiply, "the place multiplied by values"),
    ("divide", np.divide, "the place divided by values"), ("power", np.power, "the place raised to powers"),
    ("min", np.minimum, "the smaller of what is there and values"),
    ("max", np.maximum, "the larger of what is there and values"),
):  # fmt: skip
    setattr(Place, _name, _update(_name, _uf, _what))


def _hints(mode: Any, hints: dict[str, Any]) -> None:
    if mode not in (None, "promise_in_bounds"):
        raise TypeError(f"an update with mode={mode!r} is not supported: indices out of bounds raise IndexError")
    unknown = set(hints) - {"indices_are_sorted", "unique_indices", "wrap_negative_indices", "out_sharding"}
    if unknown:
        raise TypeError(f"unexpected keyword arguments: {', '.join(sorted(unknown))}")
