"""Parts of `weft.tree_util`: which classes are containers, structures, paths."""
