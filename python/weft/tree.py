"""Short names for pytree functions; see `weft.tree_util`."""

from weft.tree_util import all, flatten, leaves, map, reduce, structure, transpose, unflatten

__all__ = ["all", "flatten", "leaves", "map", "reduce", "structure", "transpose", "unflatten"]
