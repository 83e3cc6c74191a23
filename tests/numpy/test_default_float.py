"""The default float dtype: who reads it, and that no program is used under another one."""

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft import dtypes


@pytest.fixture(autouse=True)
def restored():
    yield
    weft.config.default_float = "float64"


@weft.jit
def converted(x):
    return wnp.sum(x.astype(dtypes.default_float()))


def test_a_program_serves_one_default():
    x = np.arange(3)
    assert converted(x).dtype == np.float64
    weft.config.default_float = np.float32
    assert converted(x).dtype == np.float32
    weft.config.update("default_float", "float64")
    before = converted.cache_info().hits
    assert converted(x).dtype == np.float64 and converted.cache_info().hits == before + 1


def test_other_dtypes_are_refused():
    for dtype in ("int32", "complex64", None, "x", np.bool_):
        with pytest.raises(ValueError, match="the default float dtype is one of float16, float32, float64, not"):
            weft.config.default_float = dtype
    assert weft.config.default_float == np.float64


def test_the_complex_default_goes_with_it():
    assert dtypes.default_complex() == np.complex128
    weft.config.default_float = np.float32
    assert dtypes.default_complex() == np.complex64 and dtypes.default_int() == np.int64
