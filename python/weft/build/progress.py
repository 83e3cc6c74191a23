"""A status line for compilations that take long; nothing is printed for others, or where nobody watches."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

DELAY = 1.0


@contextmanager
def progress(what: str, delay: float = DELAY) -> Iterator[None]:
    """While active for more than ``delay`` seconds, show ``what`` on the terminal."""
    if not (sys.stderr is not None and sys.stderr.isatty()):
        yield
        return
    state: dict[str, Any] = {"done": False}
    mutex = threading.Lock()

    def show() -> None:
        from rich.console import Console

        with mutex:
            if not state["done"]:
                state["status"] = Console(stderr=True).status(what)
                state["status"].start()

    timer = threading.Timer(delay, show)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with mutex:
            state["done"] = True
            status = state.get("status")
        if status is not None:
            status.stop()
