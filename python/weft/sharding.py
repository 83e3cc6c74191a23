"""Where the pieces of arrays lie: meshes of devices, and how arrays are divided over them.

Names and rules are JAX's. Devices of the CPU share the host's memory: a sharding says which of them works on which
piece, and putting an array on a mesh copies nothing.
"""

from weft.runtime.sharding import (
    Mesh,
    NamedSharding,
    PartitionSpec,
    PmapSharding,
    Shard,
    Sharding,
    SingleDeviceSharding,
    make_mesh,
)

P = PartitionSpec

__all__ = [
    "Mesh", "NamedSharding", "P", "PartitionSpec", "PmapSharding", "Shard", "Sharding", "SingleDeviceSharding",
    "make_mesh",
]  # fmt: skip
