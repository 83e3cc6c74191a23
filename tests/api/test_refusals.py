"""What cannot be differentiated: a table of programs, each with the line, the reason, and what to do instead."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest

import weft

X = np.array([0.3, 1.2, -0.7])


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr("weft.api.warm.load", lambda t, signature: None)


FLAGS = {"seen": 0.0}


def changes_a_captured_dict(x):
    FLAGS["seen"] = x  # <- FLAGS["seen"]
    return x * x


def changes_an_outer_array(x):
    total = np.zeros(3)

    def inner(v):
        total[0] = v
        return v * v

    return weft.grad(inner)(x)  # <- weft.grad(inner)(x)


def always_raises(x):
    def inner(v):
        raise ValueError("no")

    return weft.grad(inner)(x)  # <- weft.grad(inner)(x)


@weft.custom_vjp
def reverse_only(x):
    return x * x


reverse_only.defvjp(lambda x: (x * x, x), lambda x, ct: (2.0 * ct * x,))


def forward_of_reverse(x):
    return weft.jvp(reverse_only, (x,), (x,))[1]  # <- weft.jvp(reverse_only, (x,), (x,))


def closes_over(x):
    @weft.custom_jvp
    def f(y):
        return y * x

    f.defjvp(lambda p, t: (f(p[0]), t[0]))
    return f(2.0)  # <- f(2.0)


@weft.custom_jvp
def no_rule(x):
    return x * x


def without_a_rule(x):
    return no_rule(x)  # <- no_rule(x)


@weft.custom_jvp
def square(x):
    return x * x


square.defjvp(lambda p, t: (square(p[0]), t[0] * t[0]))


def nonlinear_rule(x):
    return square(x)  # <- square(x)


def breaks(x):
    for _ in weft.checkpoint(range(10)):  # <- for _ in
        if x > 3.0:
            break
        x = x * 1.5
    return x


def general_eigenvectors(x):
    a = np.array([[x, 1.0], [2.0, 3.0]]).astype(complex)
    return np.linalg.eig(a)[1][0, 0].real  # <- np.linalg.eig(a)


#: (program, type of error, reason, remedy); the line is the one marked in the program, if one is.
LINES = [
    (weft.grad(changes_a_captured_dict), TypeError, "that the compiled function did not make", "build a new one"),
    (
        weft.jit(changes_an_outer_array),
        TypeError,
        "changes array 'total', which is not its own",
        "return the new value",
    ),
    (weft.jit(always_raises), TypeError, "raises on every path", ""),
    (weft.jit(forward_of_reverse), TypeError, "can't apply forward-mode differentiation", "with custom_jvp"),
    (weft.grad(closes_over), TypeError, "with respect to a closed-over value", "as an argument of its own"),
    (weft.grad(without_a_rule), AttributeError, "No JVP defined for custom_jvp function no_rule using defjvp", ""),
    (weft.grad(nonlinear_rule), TypeError, "is not linear in the tangents", "sums of products"),
    (weft.grad(breaks), TypeError, "a checkpointed loop with a 'break'", "skip the rest of the body"),
    (weft.grad(general_eigenvectors), TypeError, "eigenvectors of a general matrix have no derivative", "eigvals"),
]


@pytest.mark.parametrize(("f", "kind", "reason", "remedy"), LINES, ids=lambda v: getattr(v, "__name__", None))
def test_line_reason_remedy(f, kind, reason, remedy):
    with pytest.raises(kind) as info:
        f(2.0)
    message = str(info.value)
    assert reason in message, message
    assert remedy in message, message
    fun = f.__wrapped__
    lines, start = inspect.getsourcelines(fun)
    offset, text = next((k, t) for k, t in enumerate(lines) if "# <- " in t)
    assert f"test_refusals.py:{start + offset} " in message, message
    marked = text.split("# <- ")[1].strip()
    assert marked in message


#: (call, type of error, reason): arguments and results that have no derivative, in JAX's words.
TYPES = [
    (lambda: weft.grad(lambda x: x * x)(3), TypeError, "grad requires real- or complex-valued inputs .* got int64"),
    (lambda: weft.grad(lambda x: x * 1.0)(True), TypeError, "got bool.*set allow_int to True"),
    (
        lambda: weft.grad(lambda x: x)(X),
        TypeError,
        "Gradient only defined for scalar-output functions. Output had shape",
    ),
    (
        lambda: weft.grad(lambda x: (x, x))(2.0),
        TypeError,
        "Gradient only defined for scalar-output functions. Output was",
    ),
    (
        lambda: weft.grad(lambda x: None)(2.0),
        TypeError,
        "Gradient only defined for scalar-output functions. Output was None",
    ),
    (
        lambda: weft.grad(lambda x: int(3))(2.0),
        TypeError,
        "requires real-valued outputs .* integer outputs, use weft.vjp",
    ),
    (lambda: weft.grad(lambda x: x * 1j)(2.0), TypeError, "pass holomorphic=True .* weft.vjp|pass holomorphic=True"),
    (lambda: weft.grad(lambda x: x, holomorphic=True)(2.0), TypeError, "holomorphic=True requires inputs with complex"),
    (
        lambda: weft.grad(lambda z: abs(z), holomorphic=True)(2j),
        TypeError,
        "holomorphic=True requires outputs with complex",
    ),
    (lambda: weft.grad(lambda x: x, has_aux=True)(2.0), TypeError, "expects the function to return a pair"),
    (lambda: weft.grad(lambda x: x, argnums=1)(2.0), ValueError, "argnums 1 out of range: .* got only 1 positional"),
    (lambda: weft.grad(lambda x: x, argnums=0.5), TypeError, "not iterable|argnums must be"),
    (lambda: weft.grad(3), TypeError, "expects a callable"),
    (lambda: weft.jacfwd(lambda x: x)(np.arange(3)), TypeError, "jacfwd requires real-valued inputs .* got int64"),
    (lambda: weft.jacfwd(lambda x: x)(2j), TypeError, "jacfwd requires real-valued inputs .* got complex128"),
    (lambda: weft.jacfwd(lambda z: abs(z), holomorphic=True)(2j), TypeError, "requires outputs with complex dtype"),
    (lambda: weft.jacrev(lambda x: x)(np.arange(3)), TypeError, "jacrev requires real- or complex-valued inputs"),
    (lambda: weft.jacrev(lambda x: x * 1j)(X), TypeError, "jacrev requires real-valued outputs"),
    (lambda: weft.jacrev(lambda x: (x, 3))(X), TypeError, "jacrev requires real-valued outputs .* got int64"),
    (lambda: weft.jvp(math.sin, 2.0, 1.0), TypeError, "must be tuples or lists; found float and float"),
    (lambda: weft.jvp(math.sin, (2.0,), (1.0, 2.0)), TypeError, "must have the same tree structure"),
    (lambda: weft.jvp(np.sin, (X,), (1.0,)), TypeError, r"primal float64\[3\] and tangent float64\[\]"),
    (lambda: weft.jvp(np.sin, (X,), (X.astype(np.float32),)), TypeError, r"tangent float32\[3\]"),
    (
        lambda: weft.jvp(lambda n: n * 1.0, (3,), (1,)),
        TypeError,
        "has dtype float0, but got int64.* Close over the integer",
    ),
    (lambda: weft.vjp(np.sin, X)[1](1.0), ValueError, r"expected float64\[3\], but got float64\[\]"),
    (lambda: weft.vjp(np.sin, X)[1]((X,)), ValueError, "unexpected tree structure of argument to vjp function"),
    (lambda: weft.linearize(np.sin, X)[1](X, X), TypeError, "must have the same tree structure"),
]


@pytest.mark.parametrize(("call", "kind", "reason"), TYPES)
def test_arguments_and_results(call, kind, reason):
    with pytest.raises(kind, match=reason):
        call()


def test_where_a_derivative_stops():
    """What has no derivative but may be used: it counts as constant."""
    assert weft.grad(lambda x: x * weft.lax.stop_gradient(x))(3.0) == 3.0
    assert weft.grad(lambda x: x * math.floor(x))(3.5) == 3.0
    assert weft.grad(lambda x: x * np.argmax(np.array([x, 1.0])))(0.5) == 1.0
    assert weft.grad(lambda x: x * (x > 1.0))(2.0) == 1.0
    assert weft.grad(lambda x: x * int(x))(2.5) == 2.0
    assert weft.grad(lambda x: np.round(x) + np.sign(x))(2.5) == 0.0
