"""The examples in the docstrings of the derivative functions run, and print what they show."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = [
    "callbacks", "checkpoint", "config", "custom", "directional", "grad", "jacobians", "jit", "naming", "shapes", "vmap",
]  # fmt: skip
OTHERS = [
    "debug", "errors", "test_util", "tree_util", "trees.paths", "trees.registration", "trees.structure",
]  # fmt: skip


@pytest.mark.parametrize("name", [f"weft.{m}" for m in (*[f"api.{m}" for m in MODULES], *OTHERS)])
def test_examples(name):
    # in a module of their own: functions of weft's modules are not staged from source
    module, flags = importlib.import_module(name), doctest.IGNORE_EXCEPTION_DETAIL
    found = doctest.testmod(module, globs={"__name__": "examples"}, optionflags=flags)
    assert found.attempted and not found.failed
