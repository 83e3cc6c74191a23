"""Devices: which there are, which is the default, and moving data between them. Names and rules are JAX's."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from weft import _runtime
from weft._runtime import Device
from weft.runtime import eager, processes
from weft.runtime.array import Array
from weft.runtime.sharding import PmapSharding, Sharding, SingleDeviceSharding

__all__ = [
    "Device", "block_until_ready", "default_backend", "default_device", "device_count", "device_get", "device_put",
    "device_put_replicated", "device_put_sharded",
    "devices", "effects_barrier", "local_device_count", "local_devices", "placed",
    "process_count", "process_index",
]  # fmt: skip


def devices(backend: str | None = None) -> list[Device]:
    """The devices of a platform.

    The CPU is one device, or as many as ``WEFT_CPU_DEVICES`` (`weft.config.cpu_devices`) says: they share its memory
    and its cores, and each has a queue of calls of its own.

    Parameters
    ----------
    backend
        ``"cpu"``, or ``"gpu"`` (also ``"cuda"``); absent, the default one.

    Raises
    ------
    RuntimeError
        There is no such platform here; the message says why.

    Examples
    --------
    >>> import weft
    >>> weft.devices("cpu")[0]
    CpuDevice(id=0)
    """
    name = default_backend() if backend is None else backend
    if name == "cpu":
        return _runtime.cpu_devices()
    if name in ("gpu", "cuda"):
        return gpus()
    raise RuntimeError(f"Unknown backend {name!r}: it is 'cpu' or 'gpu'")


def gpus() -> list[Device]:
    """The GPUs. The first call loads the driver."""
    found = _runtime.gpu_devices()
    eager.active = True
    _find_libraries(found[0].driver)
    return found


@functools.cache
def _find_libraries(driver: str) -> None:
    """Tell the runtime where cuBLAS (those that the driver is new enough for) and NCCL may lie, before their use."""
    from weft.runtime.paths import nvidia_libraries

    newest = int(driver.partition(".")[0])
    paths = nvidia_libraries("cublas")
    _runtime.set_cublas_paths([p for p in paths if int(p.rpartition(".")[2]) <= newest])
    _runtime.set_nccl_paths([p for p in nvidia_libraries("nccl") if p.endswith(".so.2")])


def local_devices(process_index: int | None = None, backend: str | None = None) -> list[Device]:
    """The devices of this process: all of them."""
    if process_index not in (None, processes.index()):
        raise ValueError(f"Unknown process_index {process_index}: a process knows its own devices")
    return devices(backend)


def device_count(backend: str | None = None) -> int:
    """How many devices of a platform there are, in all processes."""
    return len(devices(backend)) * processes.count()


def local_device_count(backend: str | None = None) -> int:
    """How many devices of a platform this process has: all of them."""
    return len(devices(backend))


def default_backend() -> str:
    """The platform of the default device: ``"cpu"``, unless `default_device` or ``WEFT_PLATFORM`` says otherwise."""
    return _runtime.default_device().platform


@contextmanager
def default_device(device: Device | str | None) -> Iterator[None]:
    """Within the ``with`` block, what is not put anywhere runs on a device (in this thread).

    Parameters
    ----------
    device
        A device, the name of a platform, whose first device is meant, or None: as ``WEFT_PLATFORM`` says.

    Examples
    --------
    >>> import weft, weft.numpy as wnp
    >>> with weft.default_device("cpu"):
    ...     wnp.arange(3.0).device
    CpuDevice(id=0)
    """
    before = _runtime.chosen_device()
    _runtime.set_default_device(devices(device)[0] if isinstance(device, str) else _checked(device))
    try:
        yield
    finally:
        _runtime.set_default_device(before)


def device_put(x: Any, device: Device | Sharding | None = None) -> Any:
    """Data on a device.

    Parameters
    ----------
    x
        An array or number, or a container of them, which is copied leaf by leaf.
    device
        Where to: what is computed from the result runs there. A sharding says which devices have which pieces (of CPU
        devices, which share memory, nothing is copied). Absent, arrays stay where they are and others go to the
        default device, from where they go along with arrays that were put somewhere.

    Returns
    -------
    Array
        Or containers of them. On a GPU the copy may still be under way.

    Examples
    --------
    >>> import weft
    >>> weft.device_put([1.0, 2.0], weft.devices("cpu")[0])
    [Array(1.), Array(2.)]
    """
    if isinstance(device, Sharding):
        return _map(lambda leaf: placed(leaf, device), x)
    _checked(device)

    def put(leaf: Any) -> Any:
        if device is not None:
            return _runtime.device_put(leaf, device, True)
        return leaf if isinstance(leaf, Array) else _runtime.device_put(leaf, _runtime.default_device(), False)

    return _map(put, x)


def placed(x: Any, sharding: Sharding) -> Array:
    """An array with its elements divided as a sharding says.

    Raises
    ------
    ValueError
        An axis is not divisible by the number of pieces.
    """
    if isinstance(sharding, SingleDeviceSharding):
        return device_put(x, sharding.device)  # type: ignore[no-any-return]
    platforms = {d.platform for d in sharding.device_set}
    if len(platforms) > 1:
        raise ValueError(f"an array is divided over devices of one platform, not of {sorted(platforms)}")
    if platforms != {"cpu"}:
        from weft.runtime.pieces import divided

        return divided(x if isinstance(x, Array) else np.asarray(x), sharding, device_put)
    array = x if isinstance(x, Array) else _runtime.device_put(x, _runtime.cpu_device(), False)
    sharding.devices_indices_map(array.shape)  # which checks it
    made: Array = array._reshaped(array.shape)
    made._sharding = sharding
    return made


def device_put_sharded(shards: Sequence[Any], devices: Sequence[Device]) -> Any:
    """Pieces, one for each device, as one array (or tree of arrays) with a leading axis for the devices.

    Examples
    --------
    >>> import weft
    >>> weft.device_put_sharded([1.0], weft.devices("cpu")[:1])
    Array([1.])
    """
    from weft import tree_util

    if not isinstance(shards, Sequence):
        raise TypeError(f"device_put_sharded `shards` input must be a sequence; got {type(shards)}")
    if len(shards) != len(devices):
        raise ValueError(f"len(shards) = {len(shards)} must equal len(devices) = {len(devices)}.")
    sharding = PmapSharding(tuple(devices))

    def stacked(*parts: Any) -> Array:
        if all(d.platform == "cpu" for d in devices):
            return placed(np.stack([np.asarray(p) for p in parts]), sharding)
        from weft.runtime.pieces import joined

        pieces = [device_put(p, d) for p, d in zip(parts, devices, strict=True)]
        return joined(pieces, (len(pieces), *pieces[0].shape), tuple(range(len(pieces))), sharding)

    return tree_util.tree_map(stacked, *shards)


def device_put_replicated(x: Any, devices: Sequence[Device]) -> Any:
    """A copy of an array (or tree of arrays) for each device, with a leading axis for the devices.

    Examples
    --------
    >>> import weft
    >>> weft.device_put_replicated({"w": 1.0}, weft.devices("cpu")[:1])
    {'w': Array([1.])}
    """
    if not isinstance(devices, Sequence) or not devices:
        raise ValueError("`devices` argument to `device_put_replicated must be a non-empty sequence.")
    return device_put_sharded([x] * len(devices), devices)


def process_index() -> int:
    """The number of this process among those that `weft.distributed.initialize` joined."""
    return processes.index()


def process_count() -> int:
    """How many processes `weft.distributed.initialize` joined; 1 without it."""
    return processes.count()


def device_get(x: Any) -> Any:
    """Data on the host: arrays of a container (or alone) become NumPy arrays, which are read-only.

    Examples
    --------
    >>> import weft, weft.numpy as wnp
    >>> weft.device_get({"a": wnp.arange(3.0), "b": 1.0})
    {'a': array([0., 1., 2.]), 'b': 1.0}
    """
    return _map(lambda leaf: np.asarray(leaf) if isinstance(leaf, Array) else leaf, x)


def effects_barrier() -> None:
    """Wait until all queued calls are done.

    Raises
    ------
    Exception
        What the first queued call raised whose error nobody has seen yet.

    Examples
    --------
    >>> import weft
    >>> weft.effects_barrier()
    """
    _runtime.effects_barrier()


def block_until_ready(x: Any) -> Any:
    """Wait until the arrays in a container are computed, and return it.

    Examples
    --------
    >>> import weft, weft.numpy as wnp
    >>> weft.block_until_ready((wnp.arange(3.0), 1))
    (Array([0., 1., 2.]), 1)
    """
    _map(lambda leaf: leaf.block_until_ready() if isinstance(leaf, Array) else leaf, x)
    return x


def _checked(device: Device | None) -> Device | None:
    if device is not None and not isinstance(device, Device):
        raise TypeError(f"a device is one of weft.devices(), not {device!r}")
    return device


def _map(f: Callable[[Any], Any], x: Any) -> Any:
    if isinstance(x, Array | np.ndarray | np.generic | int | float | complex):
        return f(x)
    from weft import tree_util

    return tree_util.tree_map(f, x)
