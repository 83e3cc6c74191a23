"""Functions of `jax.lax` that NumPy has not."""

from weft.lax.basic import select, stop_gradient

__all__ = ["select", "stop_gradient"]
