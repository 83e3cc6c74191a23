"""A sample of the table of functions through `weft.jit`: what the compiler makes of them."""

import linecache

import numpy as np
import pytest
from tests.numpy.test_functions import CASES
from tests.staged.util import same

import weft

SAMPLE = list(CASES)[::8]
ROUND = "round(a["  # weft.jit does not compile round() to digits


def python_function(name):
    """The case as a function with source."""
    text = name.rsplit("-", 1)[0]
    file, source = f"<case {name}>", f"def case(*a):\n    return {text}\n"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    space = {"np": np}
    exec(compile(source, file, "exec"), space)
    return space["case"]


@pytest.mark.parametrize("name", [n for n in SAMPLE if not n.startswith(ROUND)])
def test_compiled(name):
    f, args = python_function(name), CASES[name][1]
    with np.errstate(all="ignore"):
        want = f(*args)
    same(weft.jit(f)(*args), want, rtol=1e-10)


def test_positions_along_any_axis():
    x = np.random.default_rng(0).normal(size=(4, 5, 3))
    for axis in (0, 1, 2, -1, None):
        same(weft.jit(lambda x, axis=axis: np.argmax(x, axis=axis))(x), np.argmax(x, axis=axis))
        same(weft.jit(lambda x, axis=axis: np.argmin(x, axis=axis))(x), np.argmin(x, axis=axis))
