"""Arrays from the pieces that devices have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft import tree_util
from weft.runtime.array import Array
from weft.runtime.devices import placed
from weft.runtime.sharding import Sharding, Slices


def make_array_from_callback(
    shape: Sequence[int], sharding: Sharding, data_callback: Callable[[Slices], Any], dtype: Any = None
) -> Array:
    """An array whose pieces a function makes.

    Parameters
    ----------
    shape
        The shape of the array.
    sharding
        How it is divided over devices.
    data_callback
        Given the slices of a piece, its data. It is called once for each piece, also if several devices have it.
    dtype
        What the pieces' dtype must be.

    Raises
    ------
    ValueError
        A piece has another shape or dtype; the array cannot be divided so.

    Examples
    --------
    >>> import numpy as np, weft
    >>> from weft.sharding import NamedSharding, PartitionSpec as P
    >>> rows = NamedSharding(weft.make_mesh((1,), ("i",)), P("i"))
    >>> weft.make_array_from_callback((3,), rows, lambda index: np.arange(3.0)[index])
    Array([0., 1., 2.])
    """
    shape = tuple(shape)
    made: dict[str, tuple[Slices, Any]] = {}
    for index in sharding.devices_indices_map(shape).values():
        if repr(index) not in made:
            made[repr(index)] = index, np.asarray(data_callback(index))
    return _whole(shape, sharding, list(made.values()), dtype)


def make_array_from_process_local_data(
    sharding: Sharding, local_data: Any, global_shape: Sequence[int] | None = None
) -> Any:
    """Data of this process as an array (or a tree of arrays) that is divided over its devices.

    Parameters
    ----------
    sharding
        How it is divided; its devices are those of this process.
    local_data
        The data.
    global_shape
        Absent, or the data's shape.

    Examples
    --------
    >>> import numpy as np, weft
    >>> from weft.sharding import NamedSharding, PartitionSpec as P
    >>> rows = NamedSharding(weft.make_mesh((1,), ("i",)), P("i"))
    >>> weft.make_array_from_process_local_data(rows, np.arange(3.0)).sharding == rows
    True
    """

    def put(x: Any) -> Array:
        if global_shape is not None and tuple(global_shape) != np.shape(x):
            raise ValueError(
                f"make_array_from_process_local_data: global_shape is {tuple(global_shape)}, and local_data has shape"
                f" {np.shape(x)}: all devices of a sharding belong to this process, so they must be equal"
            )
        return placed(np.array(x) if isinstance(x, np.ndarray) else x, sharding)

    return tree_util.tree_map(put, local_data)


def make_array_from_single_device_arrays(
    shape: Sequence[int], sharding: Sharding, arrays: Sequence[Array], *, dtype: Any = None
) -> Array:
    """An array whose pieces lie on their devices already.

    Parameters
    ----------
    shape, sharding
        The shape of the array, and how it is divided.
    arrays
        For each device its piece, put there by `weft.device_put`, in any order.
    dtype
        What the pieces' dtype must be.

    Raises
    ------
    TypeError
        One is not a `weft.Array`.
    ValueError
        A device's piece is missing, or there are two; a piece has another shape or dtype.

    Examples
    --------
    >>> import weft
    >>> from weft.sharding import NamedSharding, PartitionSpec as P
    >>> rows = NamedSharding(weft.make_mesh((1,), ("i",)), P("i"))
    >>> piece = weft.device_put([1.0, 2.0], weft.devices("cpu")[0])
    >>> weft.make_array_from_single_device_arrays((2,), rows, [weft.numpy.stack(piece)])
    Array([1., 2.])
    """
    shape = tuple(shape)
    for x in arrays:
        if not isinstance(x, Array):
            raise TypeError(f"arrays must be weft.Array, each on its device, not {type(x).__name__}")
        if x._sharding is not None and len(x._sharding.device_set) > 1:
            raise ValueError(f"arrays must lie on one device each, not on those of {x._sharding}")
    places = sharding.devices_indices_map(shape)
    if len(arrays) != len(places):
        raise ValueError(
            f"there must be an array for each of the {len(places)} devices of the sharding, got {len(arrays)}"
        )
    given = {next(iter(x.devices())): x for x in arrays}
    if len(given) != len(arrays):
        raise ValueError(
            f"arrays must lie on different devices, not on {[next(iter(x.devices())).id for x in arrays]}: put each on"
            " its device by weft.device_put"
        )
    missing = [d for d in places if d not in given]
    if missing:
        raise ValueError(f"no array lies on {missing[0]}, which is a device of the sharding")
    return _whole(shape, sharding, [(index, given[d]) for d, index in places.items()], dtype)


def _whole(shape: tuple[int, ...], sharding: Sharding, pieces: list[tuple[Slices, Any]], dtype: Any) -> Array:
    """An array with these pieces."""
    want = pieces[0][1].dtype if dtype is None else np.dtype(dtype)
    whole = np.empty(shape, want)
    for index, piece in pieces:
        if piece.dtype != want:
            raise ValueError(f"the pieces of an array must have its dtype: {want}, not {piece.dtype}")
        if piece.shape != whole[index].shape:
            raise ValueError(
                f"the piece {index} of an array of shape {shape} has shape {whole[index].shape}, but what was given has"
                f" {piece.shape}"
            )
        whole[index] = np.asarray(piece)
    return placed(whole, sharding)
