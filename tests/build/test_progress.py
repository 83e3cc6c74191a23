"""A status line only for what takes long, and only where somebody watches."""

import io
import time

from weft.build import progress as module
from weft.build.progress import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_quiet_when_quick(monkeypatch):
    out = Terminal()
    monkeypatch.setattr(module.sys, "stderr", out)
    with progress("compiling f", delay=5):
        pass
    assert out.getvalue() == ""


def test_says_what_takes_long(monkeypatch):
    out = Terminal()
    monkeypatch.setattr(module.sys, "stderr", out)
    monkeypatch.setenv("TERM", "xterm")
    with progress("compiling f", delay=0.01):
        for _ in range(100):
            time.sleep(0.02)
            if out.getvalue():
                break
    assert "compiling f" in out.getvalue()


def test_quiet_in_a_pipe(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(module.sys, "stderr", out)
    with progress("compiling f", delay=0.001):
        time.sleep(0.05)
    assert out.getvalue() == ""
