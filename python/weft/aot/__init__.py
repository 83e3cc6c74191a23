"""Ahead of time: exported functions are staged, printed as C++ sources, and built into an extension module."""
