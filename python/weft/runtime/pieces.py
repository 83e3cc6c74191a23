"""Arrays whose elements lie on several GPUs: made, put together, shown in other ways.

The runtime keeps an array for each device, in the order of the sharding's devices, and how these make up the whole: as
rows of a leading axis, as copies of it, or as the sharding says. Only who wants the whole in one place moves anything.
Devices of the CPU share the host's memory, and need none of this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft import _runtime
from weft.runtime.array import Array
from weft.runtime.sharding import PmapSharding, Sharding

Rows = tuple[int, ...]


def is_in_pieces(x: Any) -> bool:
    """Whether a value is an array in pieces."""
    return isinstance(x, Array) and _runtime.pieces_of(x) is not None


def _held(array: Array) -> tuple[tuple[Array, ...], Rows | None]:
    found = _runtime.pieces_of(array)
    assert found is not None
    return found


def joined(pieces: Sequence[Array], shape: Sequence[int], rows: Rows | None, sharding: Sharding) -> Array:
    """The array that lies in these pieces.

    Parameters
    ----------
    pieces
        One for each device.
    shape
        The whole array's.
    rows
        Which row of the leading axis each piece is; ``()``: each is the whole array; None: as the sharding says.
    sharding
        What the array says of itself.
    """
    made: Array = _runtime.in_pieces(pieces, tuple(shape), rows)
    made._sharding = sharding
    return made


def shown(array: Array, shape: Sequence[int], rows: Rows | None, sharding: Sharding) -> Array:
    """The same pieces as another array; nothing moves."""
    return joined(_held(array)[0], shape, rows, sharding)


def divided(array: Any, sharding: Sharding, put: Callable[[Any, Any], Array]) -> Array:
    """An array in the pieces that a sharding says; ``put(x, device)`` puts one.

    Raises
    ------
    ValueError
        It cannot be divided so.
    """
    shape = array.shape
    places = sharding.devices_indices_map(shape)
    if is_in_pieces(array) and array.sharding == sharding:
        return array  # type: ignore[no-any-return]
    if sharding.is_fully_replicated and not (isinstance(sharding, PmapSharding) and sharding.axis is not None):
        return joined([put(array, d) for d in places], shape, (), sharding)
    host = np.asarray(array)
    if isinstance(sharding, PmapSharding) and sharding.axis == 0:
        if len(places) != shape[0]:
            raise ValueError(f"an array of shape {shape} is not divided over {len(places)} devices row by row")
        return joined([put(host[k], d) for k, d in enumerate(places)], shape, tuple(range(len(places))), sharding)
    return joined([put(host[index], d) for d, index in places.items()], shape, None, sharding)


def to_host(array: Array) -> np.ndarray[Any, Any]:
    """The whole array in the host's memory."""
    pieces, rows = _held(array)
    out = np.empty(array.shape, array.dtype)
    if rows == ():
        out[...] = np.asarray(pieces[0])
        return out
    places: Any = rows if rows is not None else array.sharding.devices_indices_map(array.shape).values()
    done = set()
    for piece, index in zip(pieces, places, strict=True):
        if repr(index) in done:
            continue
        done.add(repr(index))
        target = out[index, ...] if isinstance(index, int) else out[index]
        target[...] = np.asarray(piece).reshape(target.shape)
    return out


def row(array: Array, key: Any) -> Any:
    """``array[key]`` where that is (of) one piece, which then need not move; else None."""
    rest = key[1:] if isinstance(key, tuple) and key else ()
    first = key[0] if isinstance(key, tuple) and key else key
    found = _runtime.pieces_of(array)
    if found is None or not found[1] or isinstance(first, bool) or not isinstance(first, int | np.integer):
        return None
    pieces, rows = found[0], found[1]
    number = first + array.shape[0] if first < 0 else first
    # beside an array of indices a number is one of them, which can move axes
    plain = all([k is None or k is ... or isinstance(k, int | np.integer | slice) for k in rest])
    if number not in rows or not plain or any([isinstance(k, bool) for k in rest]):
        return None
    piece = pieces[rows.index(number)]
    return piece[rest] if rest else piece
