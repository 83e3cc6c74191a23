"""Random programs: compiled code against the interpreter, with and without updates of the arguments."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.codegen.harness import Compiled
from tests.codegen.programs import Generator, arguments

from weft.ir.interpret import evaluate
from weft.ir.nodes import Function

FLAGS = "-std=gnu++17 -O1 -fPIC -fwrapv -fno-math-errno -ffp-contract=off -fno-exceptions -w".split()
# Programs that once went wrong: (seed, size)
KNOWN = [
    (1017, 25), (1043, 25), (1064, 25), (1089, 25), (1111, 25), (1138, 25), (1144, 25), (3375, 25), (3811, 25),
    (5215, 30), (7068, 30),
]  # fmt: skip


def agree(f: Function, seed: int) -> None:
    """Compiled code gives what the interpreter gives, be it an error."""
    args = arguments(seed)
    error: Exception | None = None
    want: list[object] = []
    try:
        want = evaluate(f, *[a.copy() if isinstance(a, np.ndarray) else a for a in args])
    except IndexError as e:
        error = e
    compiled = Compiled(f, FLAGS)
    if error is not None:
        with pytest.raises(IndexError, match=str(error)):
            compiled(*args)
        return
    for k, (g, w) in enumerate(zip(compiled(*args), want, strict=True)):
        np.testing.assert_allclose(g, w, rtol=1e-9, atol=1e-11, err_msg=f"result {k}\n{compiled.text}")


@pytest.mark.parametrize(("seed", "size"), KNOWN)
def test_known(seed: int, size: int) -> None:
    agree(Generator(random.Random(seed), size).function(), seed)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.randoms(use_true_random=False), st.integers(2, 16))
def test_random(rng: random.Random, size: int) -> None:
    agree(Generator(rng, size).function(), size)
