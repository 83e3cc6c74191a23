"""What JAX keeps in ``jax.experimental`` and weft has."""

from weft.api.callbacks import io_callback
from weft.api.config import enable_x64

__all__ = ["enable_x64", "io_callback"]
