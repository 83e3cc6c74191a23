"""`jax.ops`: reductions of the rows that carry one number."""

from weft.ops.segments import segment_max, segment_min, segment_prod, segment_sum

__all__ = ["segment_max", "segment_min", "segment_prod", "segment_sum"]
