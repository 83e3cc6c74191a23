"""The files of `eight` in a process whose CPU is eight devices."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FILES = sorted(p for p in (Path(__file__).parent / "eight").glob("*.py") if p.stem != "conftest")


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
@pytest.mark.parametrize("mode", ["", "1"], ids=["by cost", "always"])
def test_with_eight_devices(path: Path, mode: str) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(path)],
        env={**os.environ, "WEFT_CPU_DEVICES": "8", "WEFT_ASYNC": mode},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
