"""Reading and running the code blocks of a Markdown page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.S | re.M)
MARK = "=== end of block ==="


def blocks(page: str) -> list[tuple[str, str]]:
    """Each Python block and the output shown after it."""
    return [(m.group(1), m.group(2) or "") for m in BLOCK.finditer(page)]


def run(page: str, folder: Path) -> list[str]:
    """What each block prints, all of them run in order as one file (weft reads functions' source)."""
    script = folder / "tour.py"
    script.write_text("".join(f"{code}\nprint({MARK!r})\n" for code, _ in blocks(page)))
    environment = {**os.environ, "WEFT_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return [text.removeprefix("\n") for text in done.stdout.split(MARK)[:-1]]


def update(path: Path, folder: Path) -> None:
    """Write what the blocks print into the page."""
    page = path.read_text()
    printed = iter(run(page, folder))

    def filled(m: re.Match[str]) -> str:
        text = next(printed)
        shown = f"\n```text\n{text.rstrip()}\n```\n" if text.strip() else ""
        return f"```python\n{m.group(1)}```\n{shown}"

    path.write_text(BLOCK.sub(filled, page))


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as d:
        update(ROOT / "README.md", Path(d))
