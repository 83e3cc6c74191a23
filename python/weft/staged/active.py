"""Whether a staging is under way in this thread; kept apart, because calls that need no staging must not import it."""

from __future__ import annotations

import threading
from typing import Any


class _Stack(threading.local):
    """The stagings of one thread, innermost last."""

    def __init__(self) -> None:
        self.contexts: list[Any] = []


stack = _Stack()


def staging() -> bool:
    """Whether a staging is under way in this thread."""
    return bool(stack.contexts)
