"""The README's tour runs, and prints what it shows."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

HERE = Path(__file__).parent
spec = importlib.util.spec_from_file_location("docs_tour", HERE / "tour.py")
tour = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tour)


def test_the_blocks_print_what_is_shown(tmp_path):
    page = (tour.ROOT / "README.md").read_text()
    shown = [text.rstrip() for _, text in tour.blocks(page)]
    assert len(shown) >= 5 and all(shown)
    assert [text.rstrip() for text in tour.run(page, tmp_path)] == shown
    assert [text.rstrip() for text in tour.run(page, tmp_path)] == shown, "in a second process, with the cache"


def test_a_page_that_shows_something_else_is_found_out(tmp_path):
    page = "```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n"
    assert [text for _, text in tour.blocks(page)] == ["3\n"]
    assert tour.run(page, tmp_path) == ["2\n"]


def test_every_link_leads_somewhere():
    for path in (tour.ROOT / "README.md", *(tour.ROOT / "docs").rglob("*.md")):
        words = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.S | re.M)
        for target in re.findall(r"\]\(([^)#:]+)\)", words):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"
