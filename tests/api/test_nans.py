"""`debug_nans` names the line that makes a NaN; `check_grads` finds wrong derivatives."""

from __future__ import annotations

import numpy as np
import pytest

import weft
from weft.test_util import check_grads, check_jvp, check_vjp

X = np.array([0.1, 3.0])


@pytest.fixture(autouse=True)
def off():
    yield
    assert not weft.config.debug_nans
    weft.config.debug_nans = False


def root(x):
    y = x * 2.0
    z = np.sqrt(y - 1.0)  # <- np.sqrt(y - 1.0)
    return np.sum(z)


def masked(x):
    safe = np.where(x > 0.0, np.sqrt(x), 0.0)  # <- np.sqrt(x)
    return np.sum(safe)


def in_place(x):
    x[0] = np.log(x[1])  # <- np.log(x[1])


def in_a_loop(x):
    s = 1.0
    for i in range(5):
        if i == 3:
            s = s * np.log(x[0] - i)  # <- np.log(x[0] - i)
    return s


inner = weft.checkpoint(lambda x: np.sum(np.arccos(x * 20.0)))  # <- np.arccos(x * 20.0)


@weft.custom_vjp
def ruled(x):
    return np.sum(x)


ruled.defvjp(lambda x: (ruled(x), x), lambda x, ct: (ct * np.log(-x),))  # <- np.log(-x)


@pytest.mark.parametrize(
    ("f", "make", "backward"),
    [
        (root, weft.jit, False),
        (root, weft.grad, False),
        (root, lambda f: weft.vmap(lambda x: f(x[None])), False),
        (masked, weft.grad, True),
        (masked, lambda f: lambda x: weft.vmap(weft.grad(f))(x[:, None]), True),
        (masked, weft.hessian, False),  # the tangent of the root is already one
        (in_place, weft.jit, False),
        (in_a_loop, weft.jit, False),
        (inner, weft.grad, False),
        (ruled, weft.grad, False),
    ],
)
def test_the_line_is_named(f, make, backward):
    import inspect

    x = np.array([0.0, 3.0]) if f is masked else -X if f is in_place else X.copy()
    before = x.copy()
    with weft.debug_nans(True), pytest.raises(FloatingPointError, match="invalid value .nan. encountered in") as info:
        make(f)(x)
    message = str(info.value)
    lines, start = inspect.getsourcelines(inspect.getmodule(test_the_line_is_named))
    line = int(message.split("test_nans.py:")[1].split()[0].strip())
    text = lines[line - 1]
    assert "# <- " in text, message
    marked = text.split("# <- ")[1].strip()
    assert marked in message and text.index(marked) == text.index(text.strip()) + message.split("\n")[-1].index("^") - 6
    assert ("backward pass" in message) == backward
    if f is not in_place:
        np.testing.assert_array_equal(x, before)


def test_on_and_off():
    g = weft.jit(root)
    assert np.isnan(g(X))
    with weft.debug_nans(True):
        assert weft.config.debug_nans
        assert g(X + 1.0) == pytest.approx(root(X + 1.0))
        with pytest.raises(FloatingPointError):
            g(X)
        with weft.debug_nans(False):
            assert np.isnan(g(X))
    hits = g.cache_info().hits
    assert np.isnan(g(X))
    assert g.cache_info().hits == hits + 1 and g.cache_info().compilations + g.cache_info().loaded == 1
    weft.config.update("jax_debug_nans", True)
    assert weft.config.debug_nans
    weft.config.update("debug_nans", False)
    with pytest.raises(AttributeError, match="Unrecognized config option: debug_everything"):
        weft.config.update("debug_everything", True)


def test_nans_that_come_in():
    with weft.debug_nans(True):
        with pytest.raises(FloatingPointError, match=r"in the argument args\[0\]\['w'\] of <?lambda"):
            weft.jit(lambda p: p["w"] * 2.0)({"w": np.array([1.0, np.nan])})
        assert weft.jit(lambda x: (x[0], "text", 3))(np.array([1.0, np.nan])) == (1.0, "text", 3)


def test_nothing_is_printed_again(capfd):
    def f(x):
        print("once", x)
        return np.log(x)

    with weft.debug_nans(True), pytest.raises(FloatingPointError):
        weft.jit(f)(np.float64(-1.0))
    assert capfd.readouterr().out == "once -1.0\n"


# -- check_grads -----------------------------------------------------------------------------------------------------


def test_right_derivatives_pass():
    check_grads(lambda x, n: np.sum(np.sin(x) * n), (X, 3), order=3)
    check_grads(lambda p: {"a": np.sin(p["w"]) * p["b"], "n": 3}, ({"w": X, "b": 2.0},), order=2)
    check_grads(lambda z: z * z * np.exp(z), (np.array([0.2 + 1j, 0.4]),), order=2)
    check_grads(lambda x: np.sum(np.sin(x)), (X.astype(np.float32),), order=1, eps=1e-2)
    check_grads(weft.vmap(lambda x: x**3), (X,), order=2, modes=["rev"])

    def writes(x):
        x[0] = x[1] ** 2
        return x

    x = X.copy()
    weft.check_grads(writes, (x,), order=2)
    np.testing.assert_array_equal(x, X)


def wrong_by_two():
    f = weft.custom_jvp(lambda x: np.sin(x))
    f.__name__ = "sine"
    f.defjvp(lambda p, t: (f(p[0]), 2 * np.cos(p[0]) * t[0]))
    return f


def wrong_at_second_order():
    f = weft.custom_jvp(lambda x: np.sin(x))
    f.__name__ = "sine"
    f.defjvp(lambda p, t: (f(p[0]), weft.lax.stop_gradient(np.cos(p[0])) * t[0]))
    return f


def wrong_value():
    f = weft.custom_jvp(lambda x: np.sin(x))
    f.__name__ = "sine"
    f.defjvp(lambda p, t: (f(p[0]) + 1.0, np.cos(p[0]) * t[0]))
    return f


def test_wrong_derivatives_are_found():
    for mode, text in (("fwd", "forward mode of sine: the tangent"), ("rev", "reverse mode of sine")):
        with pytest.raises(AssertionError, match=text):
            check_grads(wrong_by_two(), (0.3,), order=1, modes=(mode,))
        check_grads(wrong_at_second_order(), (0.3,), order=1, modes=(mode,))
        with pytest.raises(AssertionError, match=f"mode of the {'jvp' if mode == 'fwd' else 'vjp'} of sine"):
            check_grads(wrong_at_second_order(), (0.3,), order=2, modes=(mode,))
        with pytest.raises(AssertionError, match="mode of sine: the value"):
            check_grads(wrong_value(), (0.3,), order=1, modes=(mode,))
    check_grads(wrong_by_two(), (0.3,), order=1, atol=10.0)


def test_single_rules():
    check_jvp(np.sin, lambda p, t: (np.sin(p[0]), np.cos(p[0]) * t[0]), (0.3,))
    check_vjp(np.sin, lambda x: (np.sin(x), lambda ct: (ct * np.cos(x),)), (0.3,))
    with pytest.raises(AssertionError, match="mine: the tangent"):
        check_jvp(np.sin, lambda p, t: (np.sin(p[0]), t[0]), (0.3,), err_msg="mine")


def test_what_check_grads_refuses():
    with pytest.raises(ValueError, match="modes are"):
        check_grads(np.sin, (0.3,), 1, modes=("forward",))
    with pytest.raises(ValueError, match="modes are"):
        check_grads(np.sin, (0.3,), 1, modes="fwd")
    with pytest.raises(ValueError, match="order"):
        check_grads(np.sin, (0.3,), 0)
    with pytest.raises(TypeError, match="no argument is a float"):
        check_grads(lambda n: n, (3,), 1)
