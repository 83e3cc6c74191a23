"""Python functions called by compiled code: `pure_callback`, `io_callback`, `weft.debug`."""

from __future__ import annotations

import functools
import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft import ShapeDtypeStruct as Struct
from weft import debug, io_callback, pure_callback

X = np.arange(3.0)
SEEN: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_seen():
    SEEN.clear()


def doubled(v):
    SEEN.append(v)
    return 2 * v


def calls_doubled(x):
    return pure_callback(doubled, Struct(x.shape, x.dtype), x) + 1.0


@pytest.mark.parametrize("make", [lambda f: f, weft.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("x", [X, wnp.asarray(X), np.float64(3.0)], ids=["numpy", "weft", "scalar"])
def test_values_and_their_kinds(make: Any, x: Any) -> None:
    out = make(calls_doubled)(x)
    np.testing.assert_array_equal(out, 2 * np.asarray(x) + 1.0)
    assert type(out) is type(x)
    assert type(SEEN[0]) is type(x)


def test_arguments_are_the_callbacks_own() -> None:
    def f(x):
        y = x + 1.0
        debug.callback(lambda v: SEEN.append(v), y)
        y[0] = 50.0
        return pure_callback(lambda v: v.fill(7.0) or v, Struct((3,), float), y) + y

    np.testing.assert_array_equal(weft.jit(f)(X), [57.0, 9.0, 10.0])
    np.testing.assert_array_equal(SEEN[0], X + 1.0)


def test_trees_in_and_out() -> None:
    def callback(t, *, scale):
        return {"sum": scale * t["a"], "size": (len(t["b"]), None)}

    spec = {"sum": Struct((), "float64"), "size": (Struct((), "int64"), None)}
    f = lambda t: pure_callback(callback, spec, t, scale=3)  # noqa: E731
    t = {"a": 2.0, "b": [1.0, X]}
    assert f(t) == weft.jit(f)(t) == {"sum": 6.0, "size": (2, None)}


def test_in_loops_and_branches() -> None:
    def f(x, n):
        s = 0.0
        for i in range(n):
            s += pure_callback(lambda v, i: v * i, Struct((), "float64"), x, i)
            if s > 5:
                debug.callback(lambda s: SEEN.append(s), s)
        while s > 10:
            s = io_callback(lambda s: s - 1.0, Struct((), "float64"), s)
        return s

    assert weft.jit(f)(2.0, 4) == 10.0
    assert SEEN == [6.0, 12.0]


def test_a_branch_not_taken_calls_nothing() -> None:
    f = weft.jit(lambda x: calls_doubled(x) if x > 0 else x)
    assert (f(-1.0), SEEN, f(1.0)) == (-1.0, [1.0], 3.0)


@pytest.mark.parametrize(
    ("method", "shapes"),
    [
        (None, [((3,), (3,))] * 2),
        ("sequential", [((3,), (3,))] * 2),
        ("expand_dims", [((2, 3), (1, 3))]),
        ("broadcast_all", [((2, 3), (2, 3))]),
        ("legacy_vectorized", [((2, 3), (1, 3))]),
    ],
)
def test_vmap_methods(method: Any, shapes: Any) -> None:
    def callback(a, b):
        SEEN.append((a.shape, b.shape))
        return a + b

    def f(a, b):
        return pure_callback(callback, Struct((3,), "float64"), a, b, vmap_method=method)

    lanes = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(weft.vmap(f, in_axes=(0, None))(lanes, X), lanes + X)
    assert SEEN == shapes
    both = weft.vmap(weft.vmap(f, in_axes=(0, None)), in_axes=(None, 0))(lanes, np.stack([X, 2 * X]))
    np.testing.assert_array_equal(both, np.stack([lanes + X, lanes + 2 * X]))


def test_vmap_method_is_checked() -> None:
    with pytest.raises(ValueError, match="vmap_method must be one of None, 'sequential'"):
        pure_callback(doubled, Struct((), float), 1.0, vmap_method="fast")


def test_each_lane_prints_and_calls_in_order(capfd: pytest.CaptureFixture[str]) -> None:
    def f(x):
        debug.print("lane {}", x)
        return io_callback(lambda v: SEEN.append(v) or len(SEEN), Struct((), "int64"), x)

    np.testing.assert_array_equal(weft.vmap(f)(X), [1, 2, 3])
    assert SEEN == [0.0, 1.0, 2.0]
    assert capfd.readouterr().out == "lane 0.0\nlane 1.0\nlane 2.0\n"


def test_derivatives_are_refused() -> None:
    for transform in (weft.grad, lambda f: lambda x: weft.jvp(f, (x,), (x,))):
        with pytest.raises(weft.StagingError, match="pure_callback of 'doubled' has no derivative") as e:
            transform(lambda x: wnp.sum(calls_doubled(x)))(X)
        assert "weft.custom_jvp" in str(e.value)
        assert "pure_callback(doubled" in str(e.value)
    with pytest.raises(weft.StagingError, match="io_callback of 'doubled' has no derivative"):
        weft.grad(lambda x: io_callback(doubled, Struct((), "float64"), x))(1.0)


def test_derivatives_around_callbacks() -> None:
    @weft.custom_jvp
    def square(x):
        return pure_callback(lambda v: v * v, Struct(x.shape, x.dtype), x)

    square.defjvp(lambda primals, tangents: (square(primals[0]), 2 * primals[0] * tangents[0]))
    np.testing.assert_array_equal(weft.grad(lambda x: np.sum(square(x)))(X), 2 * X)
    np.testing.assert_array_equal(weft.vmap(weft.grad(square))(X), 2 * X)

    def f(x):
        debug.callback(lambda v: SEEN.append(v), x)
        return x * calls_doubled(weft.lax.stop_gradient(x))

    assert weft.grad(f)(3.0) == 7.0
    assert SEEN == [3.0, 3.0]


def boom(v):
    raise KeyError(f"boom {v}")


@pytest.mark.parametrize(
    "f",
    [
        lambda x: pure_callback(boom, Struct((), "float64"), x),
        lambda x: io_callback(boom, None, x),
        lambda x: debug.callback(boom, x),
    ],
)
@pytest.mark.parametrize("make", [lambda f: f, weft.jit, lambda f: lambda x: weft.vmap(f)(np.full(2, x))])
def test_what_a_callback_raises_reaches_the_caller(f: Any, make: Any) -> None:
    with pytest.raises(KeyError, match=r"boom 1\.0"):
        make(f)(1.0)


@pytest.mark.parametrize("make", [lambda f: f, weft.jit], ids=["eager", "jit"])
@pytest.mark.parametrize(
    ("callback", "error", "said"),
    [
        (lambda v: v[:2], ValueError, r"result 0 is float64\[2\], and result_shape_dtypes says float64\[3\]"),
        (lambda v: v.astype("f4"), TypeError, r"result 0 is float32\[3\], and result_shape_dtypes says float64\[3\]"),
        (lambda v: None, (TypeError, ValueError), "result"),
    ],
)
def test_results_must_be_as_said(make: Any, callback: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        make(lambda x: pure_callback(callback, Struct((3,), "float64"), x))(X)


def test_structures_of_results() -> None:
    spec = (Struct((), "float64"), Struct((), "float64"))
    with pytest.raises(TypeError, match="the result is not as result_shape_dtypes says: the trees differ at the root"):
        weft.jit(lambda x: pure_callback(lambda v: [v, v], spec, x))(1.0)
    with pytest.raises(TypeError, match=r"result_shape_dtypes has a str: write weft\.ShapeDtypeStruct"):
        pure_callback(doubled, "float64", 1.0)
    with pytest.raises(TypeError, match="is not callable"):
        pure_callback(3, Struct((), "float64"), 1.0)


def test_sizes_of_results_follow_the_arguments() -> None:
    f = weft.jit(lambda x: pure_callback(lambda v: v[1:], Struct((x.shape[0] - 1,), x.dtype), x))
    np.testing.assert_array_equal(f(X), X[1:])
    np.testing.assert_array_equal(f(np.arange(7.0)), np.arange(1.0, 7.0))
    assert f.cache_info().compilations == 1


# -- which function is called ------------------------------------------------------------------------------------------


def test_functions_defined_inside() -> None:
    scale = 3.0

    def f(x):
        offset, power = 1.0, 2

        def callback(v, by=10.0):
            return scale * v**power + offset + by

        return (
            pure_callback(callback, Struct((), "float64"), x),
            pure_callback(lambda v: v + 1.0, Struct((), "float64"), x),
            pure_callback(lambda v: v + 2.0, Struct((), "float64"), x),
        )

    g = weft.jit(f)
    assert g(2.0) == f(2.0) == (23.0, 3.0, 4.0)
    scale = 100.0
    assert g(2.0)[0] == f(2.0)[0] == 411.0


def test_functions_that_see_run_time_values() -> None:
    with pytest.raises(weft.StagingError, match="'<lambda>' is called at run time, by Python, and sees 'x'") as e:
        weft.jit(lambda x: pure_callback(lambda: x, Struct((), "float64")))(1.0)
    assert "pass the value to it as an argument" in str(e.value)
    with pytest.raises(weft.StagingError, match="sees an argument of a functools.partial"):
        weft.jit(lambda x: pure_callback(functools.partial(max, x), Struct((), "float64"), 1.0))(1.0)

    def f(x):
        found = []
        debug.callback(lambda v: found.append(v), x)
        return found

    with pytest.raises(weft.StagingError, match="sees 'found': a list that the compiled function makes while"):
        weft.jit(f)(1.0)
    with pytest.raises(weft.StagingError, match="'append' of a list as a function to call back") as e:
        weft.jit(lambda x: debug.callback(SEEN.append, x))(1.0)
    assert "lambda x: the_list.append(x)" in str(e.value)


def test_other_callables() -> None:
    class Scale:
        by = 2.0

        def __call__(self, v):
            return self.by * v

        def method(self, v):
            return v + self.by

    scale, spec = Scale(), Struct((), "float64")

    def f(x):
        return pure_callback(scale, spec, x), pure_callback(scale.method, spec, x), pure_callback(math.exp, spec, x)

    g = weft.jit(f)
    assert g(0.0) == f(0.0) == (0.0, 2.0, 1.0)
    scale.by = 5.0
    assert g(1.0) == f(1.0) == (5.0, 6.0, math.e)
    assert weft.jit(lambda x: pure_callback(functools.partial(pow, 2.0), spec, x))(3.0) == 8.0
    inner = weft.jit(lambda v: v * v)
    assert weft.jit(lambda x: pure_callback(inner, spec, x))(3.0) == 9.0


def helper(v):
    return v + 1.0


def test_another_function_of_the_name_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    f = weft.jit(lambda x: pure_callback(helper, Struct((), "float64"), x))
    assert f(1.0) == 2.0
    monkeypatch.setitem(globals(), "helper", lambda v: v - 1.0)
    assert f(1.0) == 0.0


def test_programs_with_callbacks_are_not_stored(tmp_path: Path) -> None:
    """Another process has another function."""
    import os
    import subprocess
    import sys

    text = (
        "import weft\n"
        "def make(by):\n"
        "    def callback(v):\n"
        "        return v * by\n"
        "    return callback\n"
        "callback = make({by})\n"
        "@weft.jit\n"
        "def f(x):\n"
        "    return weft.pure_callback(callback, weft.ShapeDtypeStruct((), 'float64'), x)\n"
        "print(f(1.0), f.cache_info().loaded)\n"
    )
    for by in (2.0, 3.0, 3.0):
        (tmp_path / "program.py").write_text(text.format(by=by))
        env = {**os.environ, "WEFT_CACHE_DIR": str(tmp_path / "cache")}
        done = subprocess.run(
            [sys.executable, str(tmp_path / "program.py")], env=env, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == [str(by), "0"]


def test_programs_with_callbacks_are_not_built(tmp_path: Path) -> None:
    from weft.runtime.stored import encode_host

    program = weft.jit(calls_doubled).lower(X)
    from weft.lowering import lower

    (entry,) = lower(program.function).meta["host"]
    with pytest.raises(TypeError, match="it calls back a Python function, doubled"):
        encode_host(entry)


def test_callbacks_from_several_threads() -> None:
    f = weft.jit(lambda x: pure_callback(lambda v: v + 1.0, Struct((), "float64"), x))
    out = [0.0] * 4

    def run(k):
        for _ in range(50):
            out[k] = f(float(k))

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert out == [1.0, 2.0, 3.0, 4.0]


def test_source_and_ir_name_the_function() -> None:
    seen = weft.jit(calls_doubled).inspect(X)
    assert "pure_callback(x; host=doubled" in seen.ir
    assert "doubled(x) + 1.0" in seen.python
    assert "callback(x)" in weft.jit(lambda x: debug.callback(lambda v: None, x)).inspect(X).python


# -- printing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda f: f, weft.jit], ids=["eager", "jit"])
def test_debug_print(make: Any, capfd: pytest.CaptureFixture[str]) -> None:
    def f(x, y):
        debug.print("x = {:.2f}, {0!r} {{literal}}".replace("0", ""), x, y)
        debug.print("{b} {a} {b:5.1f}|", a=y, b=x)
        debug.print("{1} {0}", "text{", 3, ordered=True)
        debug.print("nothing")
        debug.print("{}", [x, (1, x)])

    make(f)(1.5, X)
    assert capfd.readouterr().out == (
        "x = 1.50, array([0., 1., 2.]) {literal}\n1.5 [0. 1. 2.]   1.5|\n3 text{\nnothing\n[1.5, (1, 1.5)]\n"
    )


def test_debug_print_under_grad(capfd: pytest.CaptureFixture[str]) -> None:
    assert weft.grad(lambda x: debug.print("x {}", x) or x * x)(2.0) == 4.0
    assert capfd.readouterr().out == "x 2.0\n"


def test_wrong_formats() -> None:
    with pytest.raises(ValueError, match=r"Unused arguments to `debug.print`: 0\. Did you pass an f-string\?"):
        debug.print("x", 1.0)
    with pytest.raises(ValueError, match=r"Unused arguments to `debug.print`: y"):
        weft.jit(lambda x: debug.print("{}", x, y=x))(1.0)
    with pytest.raises(ValueError, match=r"the field 'x.shape' is not an argument's number or name"):
        debug.print("{x.shape}", x=X)
    with pytest.raises(IndexError, match="asks for argument 1, of 1"):
        debug.print("{} {}", 1.0)
    with pytest.raises(weft.StagingError, match="the format ':5' of a container of run-time values"):
        weft.jit(lambda x: debug.print("{:5}", [x]))(1.0)
    with pytest.raises(weft.StagingError, match="a string made of run-time values cannot be passed on"):
        weft.jit(lambda x: debug.callback(lambda s: None, f"{x}"))(1.0)


def test_breakpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    with pytest.raises(weft.StagingError, match=r"debug.breakpoint\(\) in a compiled function") as e:
        weft.jit(lambda x: debug.breakpoint())(1.0)
    assert "weft.disable_jit()" in str(e.value)
    monkeypatch.setattr(sys, "breakpointhook", lambda: SEEN.append("stopped"))
    f = weft.jit(lambda x: debug.breakpoint() or x)
    with weft.disable_jit():
        assert f(1.0) == 1.0
    assert SEEN == ["stopped"]
