"""Clusters, as `jax.scipy.cluster` has them."""

from weft.scipy.cluster import vq

__all__ = ["vq"]
