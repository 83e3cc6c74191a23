"""Modules built from source texts by the command line, as users build them."""

from __future__ import annotations

import importlib.util
import itertools
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result

from weft.cli.commands import weft as command

_numbers = itertools.count()
HEAD = "import math\nimport numpy as np\nimport weft\nfrom weft import export\n"


def weft(*args: str | Path) -> Result:
    """`weft build` with these options, in this process."""
    return CliRunner().invoke(command, ["build", *map(str, args)], catch_exceptions=False)


class Project:
    """A folder with a module of its own name."""

    def __init__(self, root: Path, text: str, head: str = HEAD) -> None:
        self.name = f"aot{next(_numbers)}"
        self.root = root / self.name
        self.root.mkdir()
        self.file = self.root / f"{self.name}_source.py"
        self.file.write_text(head + textwrap.dedent(text))

    @property
    def out(self) -> Path:
        return self.root / "out"

    def build(self, *options: str | Path, march: str = "x86-64") -> Result:
        levels = ["--march", march] if march else []
        return weft(self.file, "-o", self.out, "--name", self.name, *levels, *options)

    @property
    def library(self) -> Path:
        (found,) = self.out.glob(f"{self.name}.*.so")
        return found

    def load(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location(self.name, self.library)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[self.name] = module
        spec.loader.exec_module(module)
        return module

    def source(self) -> ModuleType:
        return sys.modules[self.file.stem]


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("WEFT_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "weft-cache"))


@pytest.fixture
def project(tmp_path):
    """Makes a project of a source text."""
    return lambda text, **options: Project(tmp_path, text, **options)


@pytest.fixture
def built(project):
    """Builds a source text: the built module, and that of the source."""

    def build(text: str, *options: str, **more: str) -> tuple[ModuleType, ModuleType]:
        p = project(text)
        done = p.build(*options, **more)
        assert done.exit_code == 0, done.output
        return p.load(), p.source()

    return build
