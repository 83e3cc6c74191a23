"""Transformations from IR to IR: derivatives, batching, simplification."""
