"""The examples print what they print with JAX, except where that is said."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import weft

HERE = Path(__file__).parent

#: Lines that differ, by how they begin: JAX's, and weft's.
DIFFERENT = {
    "introduction": {
        "the same values: True | type:": "the same values: True | type: Array | shape: (1000,)",
        "TypeError: JAX arrays are immutable": "TypeError: ",
        "of the derivative:": "of the derivative:     -0.035326",
        "noisy is called with JitTracer": "noisy is called with 3.0",
        "9.0": "9.0\nnoisy is called with 4.0",
    },
    "parallel": {},
    "state_and_trees": {
        "compiled: [1, 1, 1]": "compiled: ",
        "1 leaves: [Array(": "1 leaves: [Array([1, 2, 3])] PyTreeDef(*)",
    },
}


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, HERE.parents[1] / "examples" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", DIFFERENT)
def test_prints_what_jax_prints(name, capsys):
    weft.config.cpu_devices = 8
    load(name).main()
    found = capsys.readouterr().out.splitlines()
    differences = dict(DIFFERENT[name])
    at = 0
    for line in (HERE / "data" / f"{name}.txt").read_text().splitlines():
        key = next((k for k in differences if line.startswith(k)), None)
        wanted = differences.pop(key).split("\n") if key else [line]
        for w in wanted:
            assert found[at] == w or (w.endswith(": ") and found[at].startswith(w)), (found[at], w)
            at += 1
    assert at == len(found) and not differences


def test_the_counter_says_how_to_pass_state(capsys):
    load("state_and_trees").state()
    out = capsys.readouterr().out
    assert "a write to attribute 'n' of an object that the compiled function did not make" in out
