"""Queues of calls. Every test has a watchdog: what hangs says where, and ends."""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from weft import _runtime


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    faulthandler.dump_traceback_later(120, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def always() -> Iterator[None]:
    """Calls are queued whenever they can be, and nothing is left of one test for the next."""
    before = _runtime.queueing()
    if os.environ.get("WEFT_ASYNC") != "":
        _runtime.set_queueing("always")
    yield
    _runtime._inject("none")
    _runtime.set_queueing(before)
    while True:
        try:
            _runtime.effects_barrier()
            break
        except Exception:
            pass


@pytest.fixture
def delay() -> Callable[..., None]:
    """The next calls on a device begin later."""
    return lambda seconds=0.3, device=0, count=1: _runtime._inject("delay", device, count, seconds)


@pytest.fixture
def program(tmp_path: Any) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program of its own."""

    def run(text: str, **env: str) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "program.py"
        head = "import os, signal, sys, time\nsignal.alarm(60)\n"
        head += "import numpy as np, weft, weft.numpy as wnp\nfrom weft import _runtime\n"
        path.write_text(head + text)
        return subprocess.run(
            [sys.executable, str(path)],
            env={**os.environ, "WEFT_ASYNC": "1", **env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run
