"""The examples in the docstrings of the derivative functions run, and print what they show."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = ["custom", "checkpoint", "config", "directional", "grad", "jacobians", "jit", "vmap"]


@pytest.mark.parametrize("name", [f"weft.api.{m}" for m in MODULES] + ["weft.test_util"])
def test_examples(name):
    # in a module of their own: functions of weft's modules are not staged from source
    module, flags = importlib.import_module(name), doctest.IGNORE_EXCEPTION_DETAIL
    found = doctest.testmod(module, globs={"__name__": "examples"}, optionflags=flags)
    assert found.attempted and not found.failed
