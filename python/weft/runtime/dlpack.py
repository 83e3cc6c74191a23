"""Arrays of other libraries, through DLPack."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft import _runtime
from weft.runtime.array import Array
from weft.runtime.devices import devices


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Array:
    """An array that shares the memory of another library's, where it can.

    Parameters
    ----------
    x
        An object with ``__dlpack__`` and ``__dlpack_device__``. If memory is shared, nobody may write it afterwards:
        arrays of weft do not change.
    device
        Where to, a `weft.Device` or ``"cpu"`` or ``"gpu"``; where ``x`` lies if absent.
    copy
        Whether to copy: None does so only where it has to, False raises BufferError where it would have to.

    Raises
    ------
    BufferError
        ``x`` lies on a GPU, or cannot be shared as asked.

    Examples
    --------
    >>> import numpy as np, weft.dlpack
    >>> weft.dlpack.from_dlpack(np.arange(3.0))
    Array([0., 1., 2.])
    """
    if isinstance(x, Array):
        made = x
    else:
        if x.__dlpack_device__()[0] not in (1, 3):  # kDLCPU, kDLCUDAHost
            raise BufferError("arrays of GPUs are not read through DLPack yet: pass an array of the CPU")
        found = np.from_dlpack(x)
        if copy is False and not (found.flags.c_contiguous and found.flags.aligned):
            raise BufferError("an array that is not row-major cannot be shared: leave copy=False out")
        made = Array.from_numpy(found, copy=bool(copy))
    if isinstance(device, str):
        device = devices(device)[0]
    if device is None or (device == made.device and made.committed):
        return made
    if copy is False and device != made.device:
        raise BufferError(f"an array of {made.device} cannot be shared with {device}: leave copy=False out")
    moved: Array = _runtime.device_put(made, device, True)
    return moved


def to_dlpack(x: Array, *, stream: Any = None, max_version: Any = (1, 0)) -> Any:
    """A capsule with an array's elements, read-only; other libraries take the array itself.

    Parameters
    ----------
    x
        The array.
    stream
        None; weft has none to choose from.
    max_version
        The version of DLPack that the consumer knows. Before 1.0 there is no mark for read-only memory, and the capsule
        holds a copy.
    """
    if not isinstance(x, Array):
        raise TypeError(f"to_dlpack wants a weft.Array, not {type(x).__name__}")
    return x.__dlpack__(stream=stream, max_version=max_version)


__all__ = ["from_dlpack", "to_dlpack"]
