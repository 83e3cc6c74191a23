"""Whether a staging is under way; kept apart, because calls that need no staging must not import it."""

from __future__ import annotations

from typing import Any

stack: list[Any] = []


def staging() -> bool:
    """Whether a staging is under way."""
    return bool(stack)
