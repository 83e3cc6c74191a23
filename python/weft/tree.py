"""Trees of containers, by short names: `weft.tree.map` is `weft.tree_util.tree_map`."""

from weft import tree_util as _util

all = _util.tree_all
broadcast = _util.tree_broadcast
flatten = _util.tree_flatten
flatten_with_path = _util.tree_flatten_with_path
leaves = _util.tree_leaves
leaves_with_path = _util.tree_leaves_with_path
map = _util.tree_map
map_with_path = _util.tree_map_with_path
reduce = _util.tree_reduce
reduce_associative = _util.tree_reduce_associative
static = _util.static
structure = _util.tree_structure
transpose = _util.tree_transpose
unflatten = _util.tree_unflatten

__all__ = [
    "all", "broadcast", "flatten", "flatten_with_path", "leaves", "leaves_with_path", "map", "map_with_path", "reduce",
    "reduce_associative", "static", "structure", "transpose", "unflatten",
]  # fmt: skip
