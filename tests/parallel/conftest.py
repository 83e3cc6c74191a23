"""Eight virtual devices; a test that hangs is ended."""

from __future__ import annotations

import faulthandler

import pytest

import weft

faulthandler.enable()


@pytest.fixture
def devices():
    weft.config.cpu_devices = 8
    faulthandler.dump_traceback_later(120, exit=True)
    yield weft.devices("cpu")
    faulthandler.cancel_dump_traceback_later()
