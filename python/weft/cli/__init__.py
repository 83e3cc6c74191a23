"""The command line: ``weft show``, ``build``, ``cache``, ``doctor``. Everything is imported when it is needed."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from weft.cli.commands import weft

    weft(prog_name="weft")
