"""The examples in docstrings run, and print what they show."""

from __future__ import annotations

import doctest
import importlib
import math
import pkgutil
from pathlib import Path

import pytest

import weft

ROOT = Path(weft.__file__).parent


#: Functions may say another module than the one that they are written in: all are looked at.
MODULES = ["weft", *[m.name for m in pkgutil.walk_packages(weft.__path__, "weft.") if "__main__" not in m.name]]


class Rounding(doctest.OutputChecker):
    """A number may differ in its last digits, which processors and libraries decide."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        if super().check_output(want, got, optionflags):
            return True
        try:
            return math.isclose(float(want), float(got), rel_tol=1e-12)
        except ValueError:
            return False


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    runner = doctest.DocTestRunner(Rounding(), optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    # in a module of their own: functions of weft's modules are not staged from source
    for test in doctest.DocTestFinder().find(importlib.import_module(name), globs={"__name__": "examples"}):
        runner.run(test)
    assert not runner.failures


def test_there_are_many():
    text = "".join([p.read_text() for p in ROOT.rglob("*.py")])
    assert text.count(">>> ") > 500
