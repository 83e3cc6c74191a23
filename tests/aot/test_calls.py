"""What a built function looks like, and what it says of calls that do not fit."""

import inspect
import pickle
import re

import numpy as np
import pytest

import weft


class Sub(np.ndarray):
    """An array with a meaning of its own, for all that weft knows."""


SOURCE = '''
    @export("f64, i64 -> f64")
    def power(x, k=2):
        """x to the power of k."""
        return x**k

    @export("f64[n, m], f64[m], f64[3] -> f64[n]")
    def scores(A, w, three):
        return A @ w + three[0]

    @export("f32[n] -> f32")
    @export("f64[n] -> f64")
    @export("c128 -> c128")
    def total(x):
        return np.sum(x)

    @export("f64[n], f64[n]")
    def double(x, y):
        y[:] = 2 * x

    @export("f64[n] -> f64[n]")
    def local(x):
        y = x + 1.0
        y[0] = 1.0
        return y

    @export("f64[n] -> f64", least={"n": 2})
    def gap(x):
        return x[1] - x[0]

    @export("f32, bool, u8, c64, c128 -> f32")
    def kinds(a, b, c, d, e):
        return a if b else a * np.float32(2)

    @export("f64, f64 -> f64")
    def first(*xs):
        return xs[0]

    @export("-> f64")
    def three():
        return 3.0

    slope = export("f64 -> f64")(weft.grad(power))
'''


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    from tests.aot.conftest import Project

    p = Project(tmp_path_factory.mktemp("calls"), SOURCE)
    done = p.build()
    assert done.exit_code == 0, done.output
    return p.load()


def test_looks_like_a_function(module):
    f = module.power
    assert f.__name__ == f.__qualname__ == "power"
    assert f.__doc__ == "x to the power of k."
    assert f.__module__ == module.__name__
    assert repr(f) == f"<built function {module.__name__}.power>"
    assert str(inspect.signature(f)) == "(x, k=2)"
    assert f.signatures == ("f64, i64 -> f64",)
    assert pickle.loads(pickle.dumps(f)) is f
    assert module.total.signatures == ("f32[n] -> f32", "f64[n] -> f64", "c128 -> c128")
    assert module.slope.__doc__.startswith("grad(argnums=0") and "x to the power of k." in module.slope.__doc__
    assert module.__all__ == ["power", "scores", "total", "double", "local", "gap", "kinds", "first", "three", "slope"]
    assert module.__weft__ == {"weft": weft.__version__, "level": "x86-64"}
    assert module.__doc__.startswith("Built by weft")


def test_keywords_and_defaults(module):
    assert module.power(3.0, 3) == 27.0
    assert module.power(3.0) == 9.0
    assert module.power(x=3.0, k=1) == 3.0
    assert module.power(3.0, k=1) == 3.0
    assert module.slope(3.0) == 6.0
    assert module.first(1.0, 2.0) == 1.0
    assert module.three() == 3.0


def test_numbers_that_stand_for_others(module):
    assert module.power(3) == 9.0 and type(module.power(3)) is float
    assert module.power(np.float64(3.0), np.int64(2)) == 9.0
    assert module.total(2) == 2 and type(module.total(2.0)) is np.complex128
    x = module.kinds(1.5, np.bool_(True), 2, 1j, 1)
    assert x == np.float32(1.5) and type(x) is np.float32
    assert module.kinds(np.float32(1.5), False, np.uint8(2), np.complex64(1j), 1.0) == 3.0


def test_overloads_by_dtype(module):
    assert type(module.total(np.ones(3, np.float32))) is np.float32
    assert type(module.total(np.ones(3))) is np.float64


@pytest.mark.parametrize(
    "call, cls, message",
    [
        (lambda m: m.power(), TypeError, "power(): missing argument 'x', which the signature says is f64"),
        (lambda m: m.power(1.0, 2, 3), TypeError, "power() takes 2 argument(s) (x, k), and 3 were given"),
        (lambda m: m.three(1), TypeError, "three() takes no arguments, and 1 were given"),
        (lambda m: m.power(1.0, z=1), TypeError, "power() got an unexpected keyword argument 'z'; it takes x, k"),
        (lambda m: m.power(1.0, x=1.0), TypeError, "power() got multiple values for argument 'x'"),
        (lambda m: m.power("a"), TypeError, "power(): argument 'x' is str, and the signature says f64"),
        (lambda m: m.power({1, 2}), TypeError, "power(): argument 'x' is set, and the signature says f64"),
        (lambda m: m.power(None), TypeError, "power(): argument 'x' is NoneType, and the signature says f64"),
        (lambda m: m.power([1.0]), TypeError, "power(): argument 'x' is list, and the signature says f64"),
        (lambda m: m.power(True), TypeError, "power(): argument 'x' is bool, and the signature says f64"),
        (lambda m: m.power(1j), TypeError, "power(): argument 'x' is complex, and the signature says f64"),
        (lambda m: m.power(np.float32(1)), TypeError, "argument 'x' is numpy.float32, and the signature says f64"),
        (lambda m: m.power(np.ones(2)), TypeError, "power(): argument 'x' is f64[2], and the signature says f64"),
        (lambda m: m.power(1.0, 2.0), TypeError, "power(): argument 'k' is float, and the signature says i64"),
        (lambda m: m.power(1.0, 2**70), OverflowError, "power(): argument 'k' is an int that does not fit 64 bits"),
        (lambda m: m.power(10**400), OverflowError, "power(): argument 'x' is an int that f64 cannot hold"),
        (
            lambda m: m.scores(np.ones((2, 3)), np.ones(4), np.ones(3)),
            ValueError,
            "scores(): axis 1 of 'A' is 3 and the size of 'w' is 4: both are m in 'f64[n, m], f64[m], f64[3] -> f64[n]'",
        ),
        (
            lambda m: m.scores(np.ones((2, 3)), np.ones(3), np.ones(4)),
            ValueError,
            "scores(): the size of 'three' is 4, and the signature says f64[3]",
        ),
        (
            lambda m: m.scores(np.ones(2), np.ones(3), np.ones(3)),
            TypeError,
            "scores(): argument 'A' is f64[2], and the signature says f64[n, m]: it has 1 axes, not 2",
        ),
        (
            lambda m: m.scores(np.ones((2, 3), int), np.ones(3), np.ones(3)),
            TypeError,
            "argument 'A' is i64[2, 3], and the signature says f64[n, m]: convert it, as with A.astype(np.float64)",
        ),
        (
            lambda m: m.scores([[1.0]], np.ones(1), np.ones(3)),
            TypeError,
            "scores(): argument 'A' is list, and the signature says f64[n, m]: pass a NumPy array",
        ),
        (
            lambda m: m.scores(np.array(["a"]), np.ones(1), np.ones(3)),
            TypeError,
            "scores(): argument 'A' is <U1[1], and the signature says f64[n, m]",
        ),
        (
            lambda m: m.total(np.ones(3, int)),
            TypeError,
            "total(): no signature fits\n"
            "  f32[n] -> f32: argument 'x' is i64[3], and the signature says f32[n]: convert it, as with"
            " x.astype(np.float32)\n  f64[n] -> f64: ",
        ),
        (
            lambda m: (lambda x: m.double(x, x))(np.ones(3)),
            ValueError,
            "double(): arguments 'x' and 'y' are one array, and 'y' is written: pass a copy of one of them",
        ),
        (
            lambda m: (lambda x: m.double(x[:2], x[1:]))(np.ones(3)),
            ValueError,
            "is written in place and overlaps",
        ),
        (
            lambda m: m.double(np.ones(3), weft.Array.from_numpy(np.ones(3))),
            TypeError,
            "double(): argument 'y' is written in place, and must be a NumPy array, not a weft.Array f64[3]",
        ),
        (
            lambda m: m.double(np.ones(2), np.broadcast_to(np.ones(1), 2)),
            ValueError,
            "assignment destination is read-only",
        ),
        (
            lambda m: m.local(weft.Array.from_numpy(np.ones(3))),
            TypeError,
            "local() was built for NumPy arrays only (",
        ),
        (
            lambda m: m.gap(np.ones(1)),
            ValueError,
            "gap(): the size of 'x' is 1, and n is 2 at least in 'f64[n] -> f64'",
        ),
        (lambda m: m.kinds(1.5, 1, 2, 1j, 1j), TypeError, "kinds(): argument 'b' is int, and the signature says bool"),
        (
            lambda m: m.kinds(np.float64(1.5), True, 2, 1j, 1j),
            TypeError,
            "kinds(): argument 'a' is numpy.float64, and the signature says f32",
        ),
        (lambda m: m.kinds(1.5, True, 300, 1j, 1j), OverflowError, "argument 'c' is an int that u8 cannot hold"),
        (lambda m: m.gap(np.ones(2).view(Sub)), TypeError, "subclass of numpy.ndarray"),
    ],
)
def test_calls_that_do_not_fit(module, call, cls, message):
    for _ in range(2):
        with pytest.raises(cls, match=re.escape(message)):
            call(module)


def test_a_call_that_fitted_before_is_still_checked(module):
    module.scores(np.ones((2, 3)), np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match="both are m"):
        module.scores(np.ones((2, 3)), np.ones(4), np.ones(3))
    with pytest.raises(ValueError, match="says f64\\[3\\]"):
        module.scores(np.ones((2, 3)), np.ones(3), np.ones(4))


def test_later_calls_need_no_python_code(module):
    module.power(2.0, 2)
    before = module.power.hits
    for _ in range(5):
        module.power(2.0, 2)
    assert module.power.hits == before + 5


def test_a_call_that_belongs_on_a_gpu(module, monkeypatch):
    from types import SimpleNamespace

    monkeypatch.setattr(type(module.slope), "signature", lambda self, args: SimpleNamespace(device="cuda:0", key=None))
    with pytest.raises(TypeError, match=r"total\(\) was built for the CPU, and this call belongs on cuda:0: pass"):
        module.total(x=np.ones(3))
