"""Meshes of devices, and how arrays are divided over them: what `weft.sharding` has."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weft import _runtime
from weft._runtime import Device

Slices = tuple[slice, ...]


class PartitionSpec:
    """The mesh axes along which each axis of an array is divided.

    Parameters
    ----------
    partitions
        For each axis: the name of a mesh axis, a tuple of names (the first is the outermost), or None. Further axes are
        not divided.

    Examples
    --------
    >>> from weft.sharding import PartitionSpec as P
    >>> P("x", None)
    PartitionSpec('x', None)
    """

    __slots__ = ("partitions",)

    def __init__(self, *partitions: str | tuple[str, ...] | list[str] | None) -> None:
        found: list[Any] = []
        for p in partitions:
            names = p if isinstance(p, tuple | list) else (p,)
            if not all(isinstance(n, str) or (n is None and p is None) for n in names):
                raise TypeError(f"a PartitionSpec has names of mesh axes, tuples of them and None, not {p!r}")
            found.append(tuple(p) if isinstance(p, list) else p)
        self.partitions = tuple(found)
        used = [n for d in self.names(len(found)) for n in d]
        if len(set(used)) != len(used):
            raise ValueError(f"a mesh axis divides one axis of an array only: {self!r}")

    def names(self, rank: int) -> list[tuple[str, ...]]:
        """The names that divide each of ``rank`` axes.

        Raises
        ------
        ValueError
            There are fewer axes than the specification has.
        """
        if len(self.partitions) > rank:
            raise ValueError(f"{self!r} is for arrays of at least {len(self.partitions)} axes, not of {rank}")
        every = [p if isinstance(p, tuple) else () if p is None else (p,) for p in self.partitions]
        return [*every, *[()] * (rank - len(every))]

    def __iter__(self) -> Any:
        return iter(self.partitions)

    def __len__(self) -> int:
        return len(self.partitions)

    def __getitem__(self, k: Any) -> Any:
        return self.partitions[k]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartitionSpec) and self.partitions == other.partitions

    def __hash__(self) -> int:
        return hash(("PartitionSpec", self.partitions))

    def __repr__(self) -> str:
        return f"PartitionSpec{self.partitions!r}"

    def __reduce__(self) -> Any:
        return PartitionSpec, self.partitions


class Mesh:
    """Devices on a grid whose axes have names.

    Parameters
    ----------
    devices
        An array (or nested lists) of devices.
    axis_names
        A name for each axis of the grid.

    Examples
    --------
    >>> import weft
    >>> mesh = weft.sharding.Mesh(weft.devices("cpu")[:1], ("data",))
    >>> mesh.shape
    {'data': 1}
    """

    def __init__(self, devices: Any, axis_names: str | Sequence[str]) -> None:
        names = (axis_names,) if isinstance(axis_names, str) else tuple(axis_names)
        grid = np.empty(np.shape(np.array(devices, dtype=object)), dtype=object)
        grid[...] = np.array(devices, dtype=object)
        if grid.ndim != len(names):
            raise ValueError(
                f"Mesh requires the ndim of its first argument (`devices`) to equal the length of its second argument"
                f" (`axis_names`), but got devices.ndim == {grid.ndim} and len(axis_names) == {len(names)}."
            )
        if len(set(names)) != len(names) or not all(isinstance(n, str) for n in names):
            raise ValueError(f"the names of a mesh's axes are different strings, not {names!r}")
        wrong = [d for d in grid.flat if not isinstance(d, Device)]
        if wrong:
            raise TypeError(f"a mesh is made of devices, not {wrong[0]!r}")
        self.devices = grid
        self.axis_names = names

    @property
    def shape(self) -> dict[str, int]:
        """The axes' sizes by name."""
        return dict(zip(self.axis_names, self.devices.shape, strict=True))

    @property
    def size(self) -> int:
        """The number of devices."""
        return int(self.devices.size)

    @property
    def platform(self) -> str:
        """The platform of the devices.

        Raises
        ------
        ValueError
            They have different ones.
        """
        platforms = {d.platform for d in self.devices.flat}
        if len(platforms) != 1:
            raise ValueError(f"the devices of a mesh have one platform, not {sorted(platforms)}")
        return str(next(iter(platforms)))

    @property
    def device_ids(self) -> np.ndarray[Any, Any]:
        """The devices' numbers."""
        return np.array([d.id for d in self.devices.flat]).reshape(self.devices.shape)

    @property
    def empty(self) -> bool:
        """Whether there are no devices."""
        return self.size == 0

    def __enter__(self) -> Mesh:
        _entered.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _entered.pop()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mesh) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return self.axis_names, self.devices.shape, tuple([(d.platform, d.id) for d in self.devices.flat])

    def __repr__(self) -> str:
        return f"Mesh({', '.join(f'{n!r}: {k}' for n, k in self.shape.items())})"


_entered: list[Mesh] = []


def current_mesh() -> Mesh | None:
    """The mesh of the innermost ``with mesh:`` around the call."""
    return _entered[-1] if _entered else None


def make_mesh(
    axis_shapes: Sequence[int], axis_names: Sequence[str], *, devices: Sequence[Device] | None = None
) -> Mesh:
    """A mesh of the first devices.

    Parameters
    ----------
    axis_shapes, axis_names
        The axes' sizes and names.
    devices
        The devices to take them from; absent, those of the default platform.

    Raises
    ------
    ValueError
        There are fewer devices than the mesh has places.
    """
    every = list(_default_devices() if devices is None else devices)
    count = math.prod(axis_shapes)
    if count > len(every):
        raise ValueError(
            f"Number of devices {len(every)} must be >= the product of mesh_shape {tuple(axis_shapes)}. Set"
            f" WEFT_CPU_DEVICES={count} for as many virtual CPU devices."
        )
    return Mesh(np.array(every[:count], dtype=object).reshape(tuple(axis_shapes)), axis_names)


def _default_devices() -> list[Device]:
    cpu = _runtime.default_device().platform == "cpu"
    return _runtime.cpu_devices() if cpu else _runtime.gpu_devices()


@dataclass(frozen=True)
class Shard:
    """A piece of an array on one device.

    Attributes
    ----------
    device
        The device.
    index
        The slices of the whole array that it is.
    replica_id
        0 for the first device that has this piece, 1 for the next one, ...
    data
        The piece.
    """

    device: Device
    index: Slices
    replica_id: int
    data: Any


class Sharding:
    """How an array is divided over devices."""

    def devices_indices_map(self, global_shape: Sequence[int]) -> dict[Device, Slices]:
        """The slices that each device has, of an array of this shape."""
        raise NotImplementedError

    def check(self, shape: Sequence[int]) -> None:
        """Raise ValueError unless an array of this shape can be divided so."""

    @property
    def device_set(self) -> set[Device]:
        """The devices."""
        raise NotImplementedError

    @property
    def num_devices(self) -> int:
        """How many devices there are."""
        return len(self.device_set)

    def shard_shape(self, global_shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of a piece."""
        first = next(iter(self.devices_indices_map(global_shape).values()))
        return tuple([len(range(*s.indices(n))) for s, n in zip(first, global_shape, strict=True)])

    @property
    def is_fully_replicated(self) -> bool:
        """Whether each device has the whole."""
        raise NotImplementedError

    @property
    def is_fully_addressable(self) -> bool:
        """Whether all devices belong to this process: always."""
        return True


@dataclass(frozen=True, eq=True)
class SingleDeviceSharding(Sharding):
    """The whole on one device."""

    device: Device

    def devices_indices_map(self, global_shape: Sequence[int]) -> dict[Device, Slices]:
        return {self.device: tuple([slice(None)] * len(global_shape))}

    @property
    def device_set(self) -> set[Device]:
        return {self.device}

    @property
    def is_fully_replicated(self) -> bool:
        return True


@dataclass(frozen=True, eq=True)
class PmapSharding(Sharding):
    """Pieces along one axis, one for each device: what `weft.pmap` returns.

    Attributes
    ----------
    devices
        The devices.
    axis
        The axis; each device has one index of it. None: each device has the whole.
    """

    devices: tuple[Device, ...]
    axis: int | None = 0

    def devices_indices_map(self, global_shape: Sequence[int]) -> dict[Device, Slices]:
        whole = [slice(None)] * len(global_shape)
        found: dict[Device, Slices] = {}
        for k, d in enumerate(self.devices):
            if self.axis is not None:
                whole[self.axis] = slice(k, k + 1)
            found[d] = tuple(whole)
        return found

    @property
    def device_set(self) -> set[Device]:
        return set(self.devices)

    @property
    def is_fully_replicated(self) -> bool:
        return self.axis is None or len(self.devices) == 1


@dataclass(frozen=True, eq=True)
class NamedSharding(Sharding):
    """Divided over a mesh as a specification says.

    Examples
    --------
    >>> import numpy as np, weft
    >>> from weft.sharding import NamedSharding, PartitionSpec as P
    >>> mesh = weft.make_mesh((1,), ("data",))
    >>> weft.device_put(np.ones((4, 2)), NamedSharding(mesh, P("data"))).sharding.spec
    PartitionSpec('data',)
    """

    mesh: Mesh
    spec: PartitionSpec

    def __post_init__(self) -> None:
        unknown = [n for d in self.spec.names(len(self.spec)) for n in d if n not in self.mesh.shape]
        if unknown:
            raise ValueError(
                f"Resource axis: {unknown[0]} of {self.spec!r} is not found in mesh: {self.mesh.axis_names!r}."
            )

    def check(self, shape: Sequence[int]) -> None:
        """Raise unless an array of this shape can be divided so.

        Raises
        ------
        ValueError
            An axis' size is not a multiple of the number of pieces.
        """
        for axis, names in enumerate(self.spec.names(len(shape))):
            pieces = math.prod([self.mesh.shape[n] for n in names])
            if shape[axis] % pieces:
                raise ValueError(
                    f"One of the arrays was given the sharding of {self.spec!r}, which implies that the global size of"
                    f" its dimension {axis} should be divisible by {pieces}, but it is equal to {shape[axis]}"
                    f" (full shape: {tuple(shape)})"
                )

    def devices_indices_map(self, global_shape: Sequence[int]) -> dict[Device, Slices]:
        self.check(global_shape)
        found: dict[Device, Slices] = {}
        for place in np.ndindex(*self.mesh.devices.shape):
            at = dict(zip(self.mesh.axis_names, place, strict=True))
            slices = []
            for size, names in zip(global_shape, self.spec.names(len(global_shape)), strict=True):
                number, pieces = 0, 1
                for n in names:
                    number = number * self.mesh.shape[n] + at[n]
                    pieces *= self.mesh.shape[n]
                length = size // pieces
                slices.append(slice(number * length, (number + 1) * length) if names else slice(None))
            device: Any = self.mesh.devices[place]
            found[device] = tuple(slices)
        return found

    @property
    def device_set(self) -> set[Device]:
        return set(self.mesh.devices.flat)

    @property
    def is_fully_replicated(self) -> bool:
        return all(self.mesh.shape[n] == 1 for d in self.spec.names(len(self.spec)) for n in d)


def shards_of(array: Any, sharding: Sharding) -> list[Shard]:
    """The pieces of an array, device after device."""
    seen: dict[str, int] = {}
    found = []
    held = _runtime.pieces_of(array)
    for k, (device, index) in enumerate(sharding.devices_indices_map(array.shape).items()):
        key = repr(index)
        if held is None:
            data = array[index] if index else array
        else:
            shape = tuple([len(range(*s.indices(n))) for s, n in zip(index, array.shape, strict=True)])
            data = held[0][k]._reshaped(shape)
        found.append(Shard(device, index, seen.get(key, 0), data))
        seen[key] = seen.get(key, 0) + 1
    return found


def alike(a: Sharding, b: Sharding, shape: Sequence[int]) -> bool:
    """Whether two shardings give each device the same piece of an array of this shape."""
    if a == b:
        return True
    if a.device_set != b.device_set:
        return False
    b.check(shape)
    first, second = (
        {d: [s.indices(n) for s, n in zip(index, shape, strict=True)] for d, index in x.items()}
        for x in (a.devices_indices_map(shape), b.devices_indices_map(shape))
    )
    return first == second


def as_sharding(x: Any) -> Sharding:
    """A sharding, or that of a single device."""
    return x if isinstance(x, Sharding) else SingleDeviceSharding(x)


def names_of(axes: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """All names of a specification's axes."""
    return tuple([n for names in axes for n in names])
