"""The derivatives' Python is what people were shown, and computes the derivative."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from tests.docs.derivative_texts import CASES, GOLDEN, text

import weft


@pytest.mark.parametrize("name", CASES)
def test_the_text_is_as_it_was_read(name: str) -> None:
    assert text(name) == (GOLDEN / f"{name}.py").read_text(), "read it, then run python tests/docs/derivative_texts.py"


@pytest.mark.parametrize("name", CASES)
def test_the_text_runs(name: str) -> None:
    fn, argnums, args = CASES[name]
    scope = {"np": np}
    exec((GOLDEN / f"{name}.py").read_text(), scope)
    found = scope[f"grad_{name}"](*copy.deepcopy(args))
    wanted = weft.grad(fn, argnums)(*copy.deepcopy(args))
    pairs = zip(found, wanted, strict=True) if isinstance(argnums, tuple) else [(found, wanted)]
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_every_text_has_its_function() -> None:
    assert {p.stem for p in GOLDEN.glob("*.py")} == set(CASES)
