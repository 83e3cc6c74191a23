"""The harness: results of kernels, memory that runs out, and what it finds wrong with generated code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from tests.cuda.build import EmulatorError
from tests.cuda.golden import CASES
from tests.cuda.harness import Emulated

import weft
from weft.ir.nodes import Function

X = np.random.default_rng(2).standard_normal(100)


def function_of(fn: Callable, *args: object) -> Function:
    return weft.jit(fn).lower(*args).function


def double(x):
    return x * 2.0


def total(x):
    return np.sum(x * x)


def at(x, k):
    return x[k] * 2.0


def changed(part: str, old: str, new: str) -> Emulated:
    """`double`, its text changed."""

    def change(text):
        assert old in getattr(text, part), getattr(text, part)
        return replace(text, **{part: getattr(text, part).replace(old, new)})

    return Emulated(function_of(double, X), change)


def test_kernels_run():
    emulated = Emulated(function_of(double, X))
    np.testing.assert_array_equal(emulated(X)[0], X * 2)
    assert emulated.run.launches == 1


def test_a_reduction_is_the_same_for_every_order():
    emulated = Emulated(function_of(total, X))
    found = [emulated(X, seed=seed)[0] for seed in range(6)]
    assert len(set(found)) == 1
    np.testing.assert_allclose(found[0], np.sum(X * X), rtol=1e-14)


def test_a_failure_in_a_kernel_is_raised():
    emulated = Emulated(function_of(at, X, np.array([1, 2])))
    np.testing.assert_array_equal(emulated(X, [99, -100])[0], X[[99, -100]] * 2)
    for seed in range(4):
        with pytest.raises(IndexError, match="index 100 is out of bounds for axis 0 with size 100"):
            emulated(X, [5, 100], seed=seed)


@pytest.mark.parametrize("name", CASES)
def test_memory_that_runs_out(name):
    fn, args = CASES[name]
    emulated = Emulated(weft.jit(fn).lower(*args).function)
    leaves = [x.value for x in weft.jit(fn).signature(args, {}).leaves]
    emulated(*leaves)
    asked = emulated.run.allocs
    for k in range(1, asked + 1):
        with pytest.raises(MemoryError):
            emulated(*leaves, fail_alloc_at=k)


# -- what is wrong with a text shows -----------------------------------------------------------------------------------


def test_host_code_may_not_touch_the_device():
    emulated = changed("host", "  return WEFT_OK;", "  ((volatile f64*)inputs[0])[0] = 1;\n  return WEFT_OK;")
    with pytest.raises(EmulatorError, match="host code touched memory that is not the host's"):
        emulated(X)


def test_kernels_may_not_touch_the_host():
    emulated = changed("host", "f64* x = (f64*)inputs[0]", "f64* x = (f64*)sizes")
    with pytest.raises(EmulatorError, match=r"kernel double_0, block 0: thread \d+ touched memory that it may not"):
        emulated(X)


def test_writing_outside_an_array():
    for new in ("out0[i + 1] =", "out0[i - 1] ="):
        with pytest.raises(AssertionError, match="written outside an allocation of 800 bytes"):
            changed("device", "out0[i] =", new)(X)


def test_memory_that_was_not_written_is_rubbish():
    emulated = changed("device", "out0[i] =", "if (i != 3) out0[i] =")
    assert np.isnan(emulated(X, seed=0)[0][3])
    assert emulated(X, seed=1)[0][3] > 1e300


def test_writing_an_argument():
    emulated = changed("device", "out0[i] = x[i]", "out0[i] = ((f64*)x)[i] = 1.0")
    with pytest.raises(AssertionError, match="parameter 0 was written"):
        emulated(X)


def test_the_device_heap_is_given_back():
    emulated = changed("device", "const Thread team;", "const Thread team; if (team.index() == 0) team.alloc(8);")
    with pytest.raises(AssertionError, match="memory of the device's heap was not freed"):
        emulated(X)


def test_queueing_a_grid_of_no_blocks():
    with pytest.raises(AssertionError, match="double_0: 0 blocks of 64 threads"):
        changed("host", "if (blocks1 > 0)", "")(np.zeros(0))
