"""Imports run downwards only: each part of the package may import the parts named for it, and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import weft

ROOT = Path(weft.__file__).parent

BASE = {"errors", "pytrees", "dtypes", "_runtime", ""}
ALLOWED: dict[str, set[str]] = {
    "errors": {"ir"},  # for type checkers only
    "pytrees": set(),
    "dtypes": set(),
    "ad_checkpoint": {"api"},
    "dlpack": {"runtime"},
    "test_util": {"api", "frontend", "staged", "tree_util"},
    "tree": {"tree_util"},
    "tree_util": {"trees"},
    "trees": set(),
    "distributed": {"runtime"},
    "ops": {"numpy"},
    "sharding": {"runtime"},
    "debug": {"api", "frontend", "staged", "ir"},
    "experimental": {"api"},
    "ir": {"primitives"},  # the parser reads the table of primitives
    "primitives": {"ir"},
    "transforms": {"ir", "primitives"},
    "lowering": {"ir", "primitives", "transforms"},
    "codegen": {"ir", "lowering", "primitives", "runtime"},
    "runtime": {"ir", "primitives", "numpy", "staged", "tree_util"},  # host calls, Array's methods; never frontend
    "build": {"runtime", "ir"},
    "staged": {"ir", "primitives"},
    "numpy": {"staged", "ir", "primitives", "runtime"},
    "lax": {"api", "frontend", "numpy", "scipy", "staged", "ir", "primitives", "runtime", "tree", "tree_util"},
    "scipy": {"api", "lax", "nn", "numpy", "random", "staged", "ir", "primitives", "runtime", "tree_util"},
    "nn": {"lax", "numpy", "random", "scipy"},
    "random": {"api", "lax", "numpy", "staged", "tree_util", "ir", "primitives", "runtime"},
    "frontend": {"staged", "numpy", "ir", "primitives", "runtime"},
    "api": {
        "frontend",
        "staged",
        "transforms",
        "lowering",
        "codegen",
        "build",
        "runtime",
        "primitives",
        "ir",
        "numpy",
        "tree_util",
    },
    "aot": {"api", "frontend", "lowering", "codegen", "build", "runtime", "ir"},
    "cmake": set(),
    "cli": {"aot", "api", "build", "cmake", "runtime", "ir"},
    "__init__": {"api", "runtime"},
    "__main__": {"cli"},
}


def part(module: str) -> str:
    """``weft.ir.nodes`` is of the part ``ir``."""
    return module.split(".")[1] if "." in module else ""


def imports(file: Path) -> set[str]:
    """The parts of weft that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {part(a.name) for a in node.names if a.name.split(".")[0] == "weft"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "weft":
            if node.module == "weft":
                found |= {
                    a.name if (ROOT / a.name).exists() or (ROOT / f"{a.name}.py").exists() else "" for a in node.names
                }
            else:
                found.add(part(node.module or ""))
    return found


FILES = sorted(p for p in ROOT.rglob("*.py") if "_templates" not in p.parts)


@pytest.mark.parametrize("file", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_downwards(file: Path) -> None:
    here = file.relative_to(ROOT)
    mine = here.parts[0] if len(here.parts) > 1 else here.stem
    assert mine in ALLOWED, f"a new part of the package: say in this test what {mine} may import"
    wrong = imports(file) - ALLOWED[mine] - BASE - {mine}
    assert not wrong, f"{here} imports {sorted(wrong)}"
