"""Every primitive on its own samples, and random programs, as CUDA code in the emulator."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.codegen.programs import Generator, arguments
from tests.codegen.test_primitives import NAMES, one_function
from tests.codegen.test_random import KNOWN
from tests.cuda.harness import Emulated

from weft.ir.interpret import evaluate
from weft.ir.nodes import Function

SEEDS = range(4)


@pytest.mark.parametrize("name", NAMES)
def test_primitive(name: str) -> None:
    f, args, wanted = one_function(name)
    emulated = Emulated(f)
    for seed in SEEDS:
        for k, (g, w) in enumerate(zip(emulated(*args, seed=seed), wanted, strict=True)):
            g, w = np.asarray(g), np.asarray(w)
            assert (g.dtype, g.shape) == (w.dtype, w.shape)
            single = w.dtype in (np.float32, np.complex64)
            tol = (3e-6, 1e-6) if single else (1e-13, 1e-14)
            np.testing.assert_allclose(g, w, rtol=tol[0], atol=tol[1], err_msg=f"sample {k}, seed {seed}")


def agree(f: Function, number: int) -> None:
    """CUDA code gives what the interpreter gives, be it an error."""
    args = arguments(number)
    want: Any
    try:
        want = evaluate(f, *[np.copy(a) if isinstance(a, np.ndarray) else a for a in args])
    except IndexError as e:
        want = e
    emulated = Emulated(f)
    for seed in SEEDS:
        if isinstance(want, IndexError):
            with pytest.raises(IndexError) as raised:
                emulated(*args, seed=seed)
            assert str(raised.value) == str(want)
            continue
        for k, (g, w) in enumerate(zip(emulated(*args, seed=seed), want, strict=True)):
            np.testing.assert_allclose(
                g, w, rtol=1e-9, atol=1e-11, err_msg=f"result {k}, seed {seed}\n{emulated.text.device}"
            )


@pytest.mark.parametrize(("number", "size"), KNOWN)
def test_known(number: int, size: int) -> None:
    agree(Generator(random.Random(number), size).function(), number)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.randoms(use_true_random=False), st.integers(2, 16))
def test_random(rng: random.Random, size: int) -> None:
    agree(Generator(rng, size).function(), size)
