"""What changes from call to call is refused, not frozen at staging; recursion ends in a clear error."""

from __future__ import annotations

import datetime
import os
import random
import time

import numpy as np
import pytest

import weft

RATE = 2.0


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x + time.time(),
        lambda x: x + random.random(),
        lambda x: x + random.uniform(0, 1),
        lambda x: x + np.random.rand(),
        lambda x: x + np.random.default_rng(0).normal(),
        lambda x: x + datetime.datetime.now().year,
        lambda x: x + os.getpid(),
    ],
)
def test_impure_calls_are_refused(f) -> None:
    with pytest.raises(weft.StagingError, match="what it gives differs from call to call"):
        weft.jit(f)(1.0)


def factorial(n):
    return 1 if n <= 1 else n * factorial(n - 1)


def test_recursion() -> None:
    assert weft.jit(lambda x: factorial(5) * x)(2.0) == 240.0
    with pytest.raises(weft.StagingError, match="recursion of 'factorial' that does not end while staging"):
        weft.jit(factorial)(5)


def test_source_before_a_call() -> None:
    with pytest.raises(ValueError, match="call it first, or look at"):
        _ = weft.jit(lambda x: x[0].sum()).source


def test_captured_values_keep_their_names() -> None:
    weights = np.ones(3)
    assert "RATE" in weft.jit(lambda x: x * RATE).inspect(1.0).python
    assert "weights" in weft.jit(lambda x: x * weights).inspect(np.ones(3)).python
