"""The architecture page shows what weft prints, and its figure what its script draws."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_stages_are_as_printed():
    page = (DOCS / "architecture.md").read_text()
    now = load(DOCS / "make_examples.py").filled(page)
    assert now == page, "run python docs/make_examples.py"


def test_a_stage_that_is_not_shown_is_an_error():
    with pytest.raises(ValueError, match="the page shows"):
        load(DOCS / "make_examples.py").filled("<!-- stage: ir -->\n```\n```\n")


def test_the_derivative_on_the_page_runs_and_is_right():
    import numpy as np

    stages = load(DOCS / "make_examples.py").stages()
    scope = {"np": np}
    exec(stages["source"], scope)
    exec(stages["gradient-python"], scope)
    x, h = np.array([0.3, -1.2, 2.0, 0.7]), 1e-6
    gradient = scope["grad_settle"](x.copy(), 0.4)
    for i in range(x.size):
        step = h * (np.arange(x.size) == i)
        slope = (scope["settle"](x + step, 0.4) - scope["settle"](x - step, 0.4)) / (2 * h)
        assert abs(gradient[i] - slope) < 1e-8


def test_the_figure_is_as_drawn():
    assert (DOCS / "img" / "house.svg").read_text() == load(DOCS / "img" / "house.py").draw()
