"""The page on many devices prints what it shows."""

from __future__ import annotations

import importlib.util
from pathlib import Path

HERE = Path(__file__).parent
spec = importlib.util.spec_from_file_location("docs_tour", HERE / "tour.py")
assert spec is not None and spec.loader is not None
tour = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tour)


def test_the_blocks_print_what_is_shown(tmp_path):
    page = (tour.ROOT / "docs" / "parallel.md").read_text()
    shown = [text.rstrip() for _, text in tour.blocks(page)]
    assert len(shown) >= 4 and all(shown)
    assert [text.rstrip() for text in tour.run(page, tmp_path)] == shown
