"""Minimisation, as `jax.scipy.optimize` has it."""

from weft.scipy.optimize.bfgs import OptimizeResults, minimize

__all__ = ["OptimizeResults", "minimize"]
