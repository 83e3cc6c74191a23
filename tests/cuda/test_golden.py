"""The CUDA text of some functions is as it was, does what Python does, and compiles for three architectures."""

from __future__ import annotations

import copy

import pytest
from tests.cuda import build
from tests.cuda.golden import CASES, GOLDEN, text_of
from tests.programs.harness import close, emulated


@pytest.mark.parametrize("name", CASES)
def test_text(name):
    want = (GOLDEN / f"{name}.cu").read_text()
    assert text_of(name) == want, "python tests/cuda/golden.py writes the texts anew: read the diff"


def test_nothing_is_left_over():
    assert {p.stem for p in GOLDEN.glob("*.cu")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    fn, args = CASES[name]
    want = fn(*copy.deepcopy(args))
    for seed in range(4):
        close(emulated(fn, seed)(*copy.deepcopy(args)), want, 1e-12, f"{name}, seed {seed}")


@pytest.mark.parametrize("arch", build.compilers())
def test_compiles(arch):
    """All in one file, each in a namespace of its own, so that nvcc starts once."""
    parts = ['#include "team.h"\n#include "complex.h"\n']
    for k, name in enumerate(CASES):
        lines = [x for x in (GOLDEN / f"{name}.cu").read_text().splitlines() if not x.startswith("#include")]
        text = "\n".join(lines).replace("namespace weft {", f"namespace weft {{ namespace golden{k} {{", 1)
        text = text.replace('extern "C" __global__', "__global__")
        parts.append(text.replace("}  // namespace weft", "} }") + "\n")
    build.nvcc("".join(parts), arch)
