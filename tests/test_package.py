"""What goes into a wheel."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pathspec

ROOT = Path(__file__).parent.parent


def test_every_module_is_packaged() -> None:
    """Patterns without a leading slash would also leave out folders of these names inside the package."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["scikit-build"]
    patterns = settings["sdist"]["exclude"]
    assert patterns and all(p.startswith("/") for p in patterns)
    ignored = pathspec.GitIgnoreSpec.from_lines([*patterns, *(ROOT / ".gitignore").read_text().splitlines()])
    modules = [p.relative_to(ROOT) for p in (ROOT / "python").rglob("*.py")]
    assert len(modules) > 100
    assert not [m for m in modules if ignored.match_file(str(m))]
