"""Names for values that a checkpoint policy keeps; see `weft.checkpoint`."""

from weft.api.checkpoint import checkpoint, checkpoint_name, checkpoint_policies

__all__ = ["checkpoint", "checkpoint_name", "checkpoint_policies"]
