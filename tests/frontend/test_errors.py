"""Bad input: what is said, on which line, under which words, and what to write instead."""

from __future__ import annotations

import linecache
import re
import types
from dataclasses import dataclass

import numpy as np
import pytest

import weft


@dataclass
class Mutable:
    value: float = 1.0


OBJECT = Mutable()
CAPTURED = np.arange(4.0)
BIG = np.arange(100.0)
LIST = [1.0, 2.0]


def with_try(x):
    try:  # <- try
        return 1.0 / x
    except ZeroDivisionError:
        return 0.0


def with_class(x):
    class Local:  # <- class
        pass

    return x


def with_yield(x):
    yield x  # <- yield x


def with_global(x):
    global SOME
    SOME = x  # <- SOME
    return x


def unknown_call(x):
    return sorted(x)  # <- sorted(x)


def c_function(x):
    import time

    return time.sleep(x)  # <- time.sleep(x)


def one_path(x):
    if x > 0:
        y = x * 2
    return y  # <- y


def one_path_in_loop(x, n):
    for i in range(n):
        if x > i:
            y = x * i
    return y  # <- y


def deleted(x):
    y = x
    del y
    return y  # <- y  # noqa: F821


def branch_ranks(x, a):
    if x > 0:
        y = a
    else:
        y = x
    return y  # <- y


def returns_do_not_join(x, a):
    if x > 0:  # <- if x > 0
        return a
    return x


def carry_rank(x, n):
    y = x
    for i in range(n):  # <- for i in range(n)
        y = np.ones(3) * y
    return y


def carry_size(n, m):
    y = np.zeros(n)
    while y[0] < m:  # <- while
        y = np.concatenate((y, y))
    return y


def attribute_write(x):
    OBJECT.value = x  # <- OBJECT.value
    return x


def argument_attribute(p):
    p.value = 2.0  # <- p.value
    return p


def captured_write(x):
    CAPTURED[0] = x  # <- CAPTURED[0]
    return x


def captured_list(x):
    LIST.append(x)  # <- LIST.append(x)
    return x


def list_argument(items):
    items.append(1.0)  # <- items.append(1.0)
    return items


def staged_key(x, d):
    return d[x]  # <- d[x]


def comprehension_filter(x):
    return [v for v in (1.0, 2.0) if v > x]  # <- v > x


def string_from_number(x):
    s = "value %d" % x  # <- "value %d" % x
    return s


def alias_lost(x, a, b):
    c, d = a.copy(), b.copy()
    e = c if x > 0 else d
    e[0] = 1.0  # <- e[0]
    return c, d, e


def alias_read(x, a, b):
    c, d = a.copy(), b.copy()
    e = c if x > 0 else d
    c[0] = 5.0
    return e[0]  # <- e[0]


def rebound_argument(a, n):
    for i in range(n):
        a[0] = i  # <- a[0]
        a = a * 2
    return a


def list_may_be_two(x):
    p, q = [1.0], [2.0]
    r = p if x > 0 else q
    r.append(x)  # <- r.append(x)
    return p, q


def endless_recursion(x):
    return endless_recursion(x - 1) if x > 0 else x  # <- endless_recursion(x - 1)


ARRAY = np.arange(3.0)

CASES = [
    (with_try, (1.0,), "'try' is not compiled", "test the condition with `if`"),
    (with_class, (1.0,), "a class definition is not compiled", "define the class outside"),
    (with_yield, (1.0,), "'yield' is not compiled", "return a list or an array"),
    (with_global, (1.0,), "assignment to 'SOME'", "return the new value"),
    (unknown_call, (ARRAY,), r"sorted\(\) of an array", "np.sort"),
    (c_function, (1.0,), "the call of 'time.sleep' is not compiled", "outside the compiled function"),
    (one_path, (1.0,), "variable 'y' has no value here: it is assigned on one path only", "on every path"),
    (one_path_in_loop, (1.0, 3), "variable 'y' has no value here: it is assigned on one path only", "on every path"),
    (deleted, (1.0,), "variable 'y' has no value here", "assign it before"),
    (branch_ranks, (1.0, ARRAY), "variable 'y' has no value here: it is f64.* and a Python float", "assign it before"),
    (returns_do_not_join, (1.0, ARRAY), "types that do not join: f64.* and a Python float", "same structure"),
    (carry_rank, (1.0, 5000), "variable 'y' is carried by the loop with types that do not join", "start it with"),
    (carry_size, (3, 2.0), "variable 'y' is carried by the loop with types that do not join", "start it with"),
    (attribute_write, (1.0,), "a write to attribute 'value' of an object", "return the new value"),
    (argument_attribute, (Mutable(),), "a write to attribute 'value' of an object", "return the new value"),
    (captured_write, (1.0,), "a write to a captured array", "pass the array as an argument|copy"),
    (captured_list, (1.0,), "a change to a list that the compiled function did not make", "build a new one"),
    (list_argument, ([1.0],), "a change to a list that the compiled function did not make", "build a new one"),
    (staged_key, (1.0, {1: 2.0}), "a dict or set key must be known", "an array indexed by integers"),
    (comprehension_filter, (1.0,), "a comprehension's condition must be known", "boolean mask or np.where"),
    (string_from_number, (1,), "string", "f-string"),
    (alias_lost, (1.0, ARRAY, ARRAY), "may be one of several", "take a copy"),
    (alias_read, (1.0, ARRAY, ARRAY), "may be one of several", "take a copy"),
    (rebound_argument, (ARRAY, 3), "which the loop binds to other arrays", "copy"),
    (list_may_be_two, (1.0,), "a change to a list that may be one of several", "build a new one"),
    (endless_recursion, (3.0,), "recursion of 'endless_recursion' that does not end", "write it as a loop"),
]  # fmt: skip


def marked(fn: types.FunctionType) -> tuple[int, str]:
    """The line of the function's mark, and the words that the caret must stand under."""
    first = fn.__code__.co_firstlineno
    for line in range(first, first + 20):
        found = re.search(r"# <- (.*)$", linecache.getline(__file__, line))
        if found:
            return line, found.group(1).split("  #")[0]
    raise AssertionError(f"no mark in {fn.__name__}")


@pytest.mark.parametrize(("fn", "args", "reason", "remedy"), CASES, ids=[c[0].__name__ for c in CASES])
def test_staging_error(fn, args, reason, remedy):
    with pytest.raises(weft.StagingError) as caught:
        weft.jit(fn)(*args)
    message = str(caught.value)
    assert re.search(reason, message), message
    assert re.search(r"remedy: .*(" + remedy + ")", message), message
    line, words = marked(fn)
    assert f"--> {__file__}:{line} in {fn.__name__}" in message, message
    source, caret = message.split("\n")[-2:]
    start = len(caret) - len(caret.lstrip())
    assert set(caret.strip()) == {"^"}, message
    assert source[start:].startswith(words.split("\n")[0][: caret.count("^")]), message
    assert isinstance(caught.value, TypeError)


def test_source_not_available():
    scope: dict = {}
    exec("def made(x):\n    return x + 1\n", scope)
    with pytest.raises(
        weft.StagingError, match="the source of 'made' is not available.*\n.*define the function in a file"
    ):
        weft.jit(scope["made"])(1.0)
    made = scope["made"]

    def calls(x):
        return made(x)

    with pytest.raises(weft.StagingError, match="source of 'made' is not available"):
        weft.jit(calls)(1.0)


# -- NumPy's and JAX's words -----------------------------------------------------------------------------------------


def shapes(a, b):
    return a + b  # <- a + b


def test_shape_mismatch_names_both_shapes_and_the_line():
    line, _ = marked(shapes)
    with pytest.raises(ValueError, match=r"could not be broadcast together with shapes \(3,\) \(4,\)") as caught:
        weft.jit(shapes)(np.zeros(3), np.zeros(4))
    assert f"{__file__}:{line}" in str(caught.value)
    with pytest.raises(ValueError, match="matmul"):
        weft.jit(lambda a, b: a @ b)(np.zeros((2, 3)), np.zeros((4, 2)))


def test_gradient_errors():
    with pytest.raises(TypeError, match=r"Gradient only defined for scalar-output functions. Output had shape: \(3,\)"):
        weft.grad(lambda x: x * 2)(np.zeros(3))
    with pytest.raises(TypeError, match="Gradient only defined for scalar-output functions"):
        weft.grad(lambda x: (x, x))(1.0)
    with pytest.raises(TypeError, match="grad requires real- or complex-valued inputs .*int64"):
        weft.grad(lambda x: x * 2.0)(3)
    with pytest.raises(ValueError, match="argnums 2 out of range"):
        weft.grad(lambda x, y: x * y, argnums=2)(1.0, 2.0)
    with pytest.raises(TypeError, match="argnums must be an int or a sequence of ints"):
        weft.grad(lambda x: x, argnums="x")
    with pytest.raises(TypeError, match="grad requires real-valued outputs"):
        weft.grad(lambda x: x * 1j)(1.0)
    with pytest.raises(TypeError, match="pair"):
        weft.grad(lambda x: x * 2, has_aux=True)(1.0)
    with pytest.raises(TypeError, match="same tree structure"):
        weft.jvp(lambda x: x[0], ((1.0, 2.0),), (1.0,))
    with pytest.raises(TypeError, match="shapes must be equal"):
        weft.jvp(lambda x: x, (np.zeros(3),), (np.zeros(4),))
    with pytest.raises(TypeError, match="callable"):
        weft.grad(3)


def test_vmap_errors():
    with pytest.raises(ValueError, match="inconsistent sizes for array axes to be mapped: 3, 4"):
        weft.vmap(lambda x, y: x + y)(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="rank should be at least"):
        weft.vmap(lambda x: x)(1.0)
    with pytest.raises(ValueError, match="at least one non-None value in in_axes"):
        weft.vmap(lambda x: x, in_axes=None)(1.0)
    with pytest.raises(ValueError, match="tree prefix"):
        weft.vmap(lambda x: x[0], in_axes=((0, 0, 0),))((np.zeros(3), np.zeros(3)))
    with pytest.raises(ValueError, match="out_axes is None"):
        weft.vmap(lambda x: x, out_axes=None)(np.zeros(3))

    def shared(x, total):
        total[0] = x
        return x

    with pytest.raises(weft.StagingError, match="every lane would write the same array"):
        weft.vmap(shared, in_axes=(0, None))(np.zeros(3), np.zeros(3))


def test_weft_arrays_are_immutable():
    x = weft.Array.from_numpy(np.zeros(3))

    def write(a):
        a[0] = 1.0
        return a

    with pytest.raises(TypeError, match=r"immutable.*\.at\["):
        weft.jit(write)(x)


@pytest.mark.parametrize("i", [3, -4, 100])
def test_index_errors_at_run_time(i):
    def read(x, i):
        s = 0.0
        for k in range(2):
            s += x[i - k * 0]
        return s

    def write(x, n):
        for k in range(n):
            x[k] = 1.0
        return x

    with pytest.raises(IndexError, match=f"index {i} is out of bounds for axis 0 with size 3"):
        weft.jit(read)(np.zeros(3), i)
    with pytest.raises(IndexError, match="index 3 is out of bounds for axis 0 with size 3"):
        weft.jit(write)(np.zeros(3), 5)


def test_missing_and_unexpected_arguments():
    def f(x, y=1.0):
        return x + y

    with pytest.raises(TypeError, match="missing 1 required"):
        weft.jit(f)()
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        weft.jit(f)(1.0, z=2.0)
    with pytest.raises(TypeError, match="positional argument"):
        weft.jit(f)(1.0, 2.0, 3.0)
    with pytest.raises(NameError, match="name 'nowhere' is not defined"):
        weft.jit(lambda x: nowhere + x)(1.0)  # noqa: F821
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        weft.jit(lambda x: np.nothing(x))(1.0)
    with pytest.raises(TypeError, match="dtype|str|number"):
        weft.jit(f)(np.array(["a"]))


def test_run_time_exceptions_of_the_program():
    def check(x, n):
        assert n > 0, f"n is {n}"
        if x < 0:
            raise ValueError(f"negative {x}")
        if x > 100:
            fail(x)
        return x

    def fail(x):
        raise OverflowError("too large")

    f = weft.jit(check)
    assert f(1.0, 1) == 1.0
    with pytest.raises(AssertionError, match="n is 0"):
        f(1.0, 0)
    with pytest.raises(ValueError, match="negative -2.0"):
        f(-2.0, 1)
    with pytest.raises(OverflowError, match="too large"):
        f(200.0, 1)
    assert f(2.0, 1) == 2.0
    assert f.cache_info().compilations == 1
