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


#: Calls whose results have no dtype from an operand, and what kind they are of.
CREATED = (
    "zeros(3)", "ones((2, 2))", "full(2, 0.5)", "empty(2)", "eye(2)", "identity(2)", "tri(2)", "asarray([1.0, 2])",
    "array(0.5)", "array([1j])", "linspace(0, 1, 3)", "logspace(0, 1, 3)", "geomspace(1, 2, 3)", "arange(3.0)",
    "sin(0.5)", "true_divide(1, 2)", "mean([1, 2])", "hanning(4)", "fft.fftfreq(4)", "stack([0.5, 1.5])",
    "where(True, 0.5, 1)", "vander([1.0, 2.0])", "fft.fft([1.0, 2.0])", "linalg.norm([3.0, 4.0])", "modf(1.5)[0]",
    "meshgrid([0.5], [1.5])[0]", "interp(0.5, [0.0, 1.0], [2.0, 3.0])", "fromfunction(lambda i: i, (3,))",
)  # fmt: skip
#: Calls with a dtype in them, or whose results are of another kind.
GIVEN = {
    "zeros(3, float)": "f8", "zeros(3, dtype='f8')": "f8", "sin(np.float64(1))": "f8", "asarray([np.float64(1)])": "f8",
    "asarray(np.ones(2))": "f8", "true_divide(np.arange(1, 3), 2)": "f8", "add(np.ones(2, 'f4'), 0.5)": "f4",
    "arange(3)": "i8", "full(2, 7)": "i8", "asarray([True])": "?", "ones(2, int)": "i8", "result_type(1.0)": "f8",
}  # fmt: skip


def staged_calls(texts):
    """A function with these calls in it, with its source."""
    import linecache

    source = "def calls():\n    return (" + ", ".join(f"wnp.{t}" for t in texts) + ",)\n"
    file = f"<default float {len(texts)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    space = {"wnp": wnp, "np": np}
    exec(compile(source, file, "exec"), space)
    return space["calls"]


def test_what_it_switches():
    calls, given = staged_calls(CREATED), staged_calls([t for t in GIVEN if "result_type" not in t])
    compiled = weft.jit(calls)
    for default in ("float64", "float32", "float16", "float64"):
        weft.config.default_float = default
        wide = {"float64": np.complex128}.get(default, np.complex64)
        for found in (calls(), compiled()):
            for text, x in zip(CREATED, found, strict=True):
                assert x.dtype == (wide if x.dtype.kind == "c" else default), (text, default)
        for found in (given(), weft.jit(given)()):
            for (text, dtype), x in zip([i for i in GIVEN.items() if "result_type" not in i[0]], found, strict=True):
                assert x.dtype == dtype, (text, default)
    np.testing.assert_allclose(compiled()[10], np.linspace(0, 1, 3))


def test_functions_of_numpy_keep_theirs():
    weft.config.default_float = "float32"
    assert weft.jit(lambda: np.zeros(2))().dtype == np.float64
    assert wnp.mgrid[0:1:3j].dtype == wnp.r_[0.5, 1].dtype == np.float32
    assert weft.jit(lambda n: wnp.mgrid[0.0:n:0.5])(2).dtype == np.float32


def test_the_environment_says_it():
    import os
    import subprocess
    import sys

    def asked(value):
        code = "import weft.numpy as wnp; print(wnp.zeros(1).dtype)"
        env = os.environ | {"WEFT_DEFAULT_FLOAT": value}
        return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)

    assert asked("float32").stdout.strip() == "float32"
    assert "the default float dtype is one of float16, float32, float64, not 'int8'" in asked("int8").stderr
