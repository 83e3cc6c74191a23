"""weft: a source-to-source transforming compiler for numeric Python."""

__version__ = "0.1.0"
