"""``x.at[key]`` of a concrete array: updates that give a new array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from weft.runtime import eager
from weft.runtime.array import Array, _plain, _staged, _wrap
from weft.runtime.places import Located, fill_of, locate, mode_of

#: The updates that combine what is there with values, by name: NumPy's ufunc, and what it does in words.
UPDATES: dict[str, tuple[np.ufunc, str]] = {
    "add": (np.add, "values added there"),
    "subtract": (np.subtract, "values subtracted there"),
    "multiply": (np.multiply, "the place multiplied by values"),
    "mul": (np.multiply, "the place multiplied by values"),
    "divide": (np.divide, "the place divided by values; an array of integers becomes one of floats"),
    "power": (np.power, "the place raised to powers"),
    "min": (np.minimum, "the smaller of what is there and values"),
    "max": (np.maximum, "the larger of what is there and values"),
}  # fmt: skip

OPTIONS = """

    Parameters
    ----------
    mode
        What becomes of indices out of bounds: ``None`` or ``"promise_in_bounds"``, IndexError; ``"clip"``, the nearest
        place in range; ``"wrap"``, modulo the size; ``"drop"`` or ``"fill"``, no update, and reads give ``fill_value``
        (absent: NaN, the least integer, the greatest unsigned one, True).
    wrap_negative_indices
        Whether negative indices count from the end; otherwise they are out of bounds.
    indices_are_sorted, unique_indices, out_sharding
        Accepted for JAX's sake.
    """


class AtHelper:
    """What ``x.at`` gives; ``x.at[key]`` names a place."""

    __slots__ = ("_array",)

    def __init__(self, array: Array) -> None:
        self._array = array

    def __getitem__(self, key: Any) -> Any:
        return _lifted(self._array, key) if _staged(key) else Place(self._array, key)

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

    def get(
        self, *, indices_are_sorted: bool = False, unique_indices: bool = False, mode: Any = None,
        fill_value: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Any:  # fmt: skip
        """The elements there."""
        how, x = mode_of(mode), self._array
        if _staged(fill_value):
            return _lifted(x, self._key).get(
                mode=mode, fill_value=fill_value, wrap_negative_indices=wrap_negative_indices
            )
        if how == "check" and wrap_negative_indices:
            return x[self._key]
        if eager.active and eager.is_elsewhere(x, self._key):
            return eager.apply("update", x, self._key, "get", fill_value, mode, wrap_negative_indices)
        place = locate(x.shape, _plain(self._key), how, wrap_negative_indices)
        out = x._view()[place.key]
        if place.inside is not None:
            out = np.where(place.over(out.ndim), out, fill_of(x.dtype, _plain(fill_value)))
        return _wrap(out)

    def set(
        self, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False, mode: Any = None,
        out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Any:  # fmt: skip
        """With these values there, converted to the array's dtype."""
        return self._combined("set", values, mode, wrap_negative_indices)

    def apply(
        self, func: Callable[[Any], Any], *, indices_are_sorted: bool = False, unique_indices: bool = False,
        mode: Any = None, out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Any:  # fmt: skip
        """With an elementwise ``func`` of what is there; where indices repeat, again for each."""
        how, x = mode_of(mode), self._array
        place = locate(x.shape, _plain(self._key), how, wrap_negative_indices)
        numbers = np.arange(x.size).reshape(x.shape)[place.key]
        if place.inside is not None:
            numbers = numbers[np.broadcast_to(place.over(numbers.ndim), numbers.shape)]
        found, counts = np.unique(numbers, return_counts=True)
        if place.inside is None and found.size == numbers.size:  # all different: the region as it is
            return self.set(func(_wrap(x._view()[place.key])), mode=mode, wrap_negative_indices=wrap_negative_indices)
        flat = x.reshape(-1)
        for k in range(int(counts.max(initial=0))):
            again = found[counts > k]
            flat = flat.at[again].set(func(flat[again]))
        return flat.reshape(x.shape)

    def _combined(self, name: str, values: Any, mode: Any, from_end: bool) -> Any:
        how, x = mode_of(mode), self._array
        if _staged(values):
            return getattr(_lifted(x, self._key), name)(values, mode=mode, wrap_negative_indices=from_end)
        if eager.active and eager.is_elsewhere(x, values, self._key):
            return eager.apply("update", x, self._key, name, values, mode, from_end)
        uf = UPDATES[name][0] if name != "set" else None
        dtype = np.divide(x._view().ravel()[:0], 1).dtype if uf is np.divide and x.dtype.kind in "biu" else x.dtype
        values = _converted(_plain(values), dtype)
        key = _plain(self._key)
        new = np.array(x._view(), dtype=dtype)
        if how != "check" or not from_end:
            place = locate(x.shape, key, how, from_end)
            key = place.key
            if place.inside is not None:
                if not place.inside.ndim:
                    return x if dtype == x.dtype else _wrap(new)
                key, values = _inner(place, values, x)
        with np.errstate(all="ignore"):
            if uf is None:
                new[key] = values
            else:
                uf.at(new, key, values)
        return _wrap(new)


def _converted(values: Any, dtype: np.dtype[Any]) -> Any:
    """Values as they are stored in an array of ``dtype``."""
    given = np.asarray(values)
    if given.dtype.kind == "c" and dtype.kind != "c":
        raise TypeError(f"Cannot cast complex values to {dtype}: take .real first")
    if type(values) is int:
        return np.asarray(values, dtype)  # refuses what does not fit
    with np.errstate(all="ignore"):
        return given.astype(dtype)


def _inner(place: Located, values: Any, x: Array) -> tuple[Any, Any]:
    region = np.broadcast_to(np.False_, x.shape)[place.key].shape
    while values.ndim > len(region) and values.shape[0] == 1:
        values = values[0]
    return place.without(values, region)


def _update(name: str, what: str) -> Any:
    def method(
        self: Place, values: Any, *, indices_are_sorted: bool = False, unique_indices: bool = False, mode: Any = None,
        out_sharding: Any = None, wrap_negative_indices: bool = True,
    ) -> Any:  # fmt: skip
        return self._combined(name, values, mode, wrap_negative_indices)

    method.__name__ = name
    method.__qualname__ = f"Place.{name}"
    method.__doc__ = f"With {what}.{OPTIONS}"
    return method


for _name, (_, _what) in UPDATES.items():
    setattr(Place, _name, _update(_name, f"{_what}; where indices repeat, again for each"))
for _name in ("get", "set", "apply"):
    getattr(Place, _name).__doc__ += OPTIONS
