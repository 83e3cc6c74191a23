"""Sharing arrays with other libraries, through DLPack."""

from __future__ import annotations

from weft.runtime.dlpack import from_dlpack, to_dlpack

__all__ = ["from_dlpack", "to_dlpack"]
