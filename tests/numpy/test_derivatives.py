"""Derivatives of library functions and of indexing: to second order in both modes, and at the points of conventions."""

from __future__ import annotations

import linecache
import math

import numpy as np
import pytest
from tests.numpy.test_functions import CASES
from tests.staged.util import Staging, copied, snp

import weft
from weft.ir.interpret import evaluate
from weft.ir.types import c128, f64, is_inexact
from weft.transforms.forward import jvp
from weft.transforms.reverse import vjp

# -- the table of library functions --------------------------------------------------------------------------------------

#: Points where the function is not differentiable: nan among the elements, or a quantile just at an element.
KINKS = {"np.median(a[0], axis=1)", "np.quantile(a[0], a[1])", "np.sort(a[0])", "np.unique(a[0])"}


def is_kink(name, args):
    text = name.rsplit("-", 1)[0]
    has_nan = any(np.isnan(a).any() for a in args if isinstance(a, np.ndarray) and a.dtype.kind == "f")
    return text in KINKS and (has_nan or "quantile" in text)


def float_arguments(args):
    return [isinstance(a, np.ndarray | float) and np.asarray(a).dtype in (f64, c128) for a in args]


DIFFERENTIABLE = [n for n, (_, args, _) in CASES.items() if any(float_arguments(args)) and not is_kink(n, args)]


def random_like(rng, a):
    a = np.asarray(a)
    x = rng.normal(size=a.shape)
    return (x + 1j * rng.normal(size=a.shape) if a.dtype.kind == "c" else x)[()]


def tangent_check(f, active, args, skip, rng):
    """Forward mode against differences; the tangents of the results after the first ``skip``."""
    ts = [random_like(rng, a) for a, on in zip(args, active, strict=True) if on]
    kinds = [r for r in f.results[skip:] if is_inexact(r.type.dtype)]
    got = evaluate(jvp(f, active), *args, *ts)[-len(kinds) :] if kinds else []

    def at(step):
        moving = iter(ts)
        moved = [a + step * next(moving) if on else a for a, on in zip(args, active, strict=True)]
        results = evaluate(f, *moved)[skip:]
        return [r for r, o in zip(results, f.results[skip:], strict=True) if is_inexact(o.type.dtype)]

    for t, up, down in zip(got, at(1e-5), at(-1e-5), strict=True):
        want = (up - down) / 2e-5
        scale = max(1.0, float(np.abs(want).max()) if np.size(want) else 1.0)
        np.testing.assert_allclose(t, want, rtol=1e-4, atol=1e-5 * scale)
    return ts, got


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_functions_to_second_order(name):
    fn, args, _ = CASES[name]
    args = copied(args)
    rng = np.random.default_rng(1)
    with np.errstate(all="ignore"):
        f = Staging(lambda *xs: fn(snp, *xs), *args).function
        outs = [r for r in f.results if is_inexact(r.type.dtype)]
        active = float_arguments(args)
        values = [np.asarray(a)[()] for a in args]
        if not all(r.type.dtype in (f64, c128) for r in outs):
            return  # differences in single precision say nothing
        ts, got = tangent_check(f, active, values, 0, rng)
        cts = [random_like(rng, t) for t in got]
        gradient = vjp(f, active)
        back = evaluate(gradient, *values, *cts)[len(f.results) :]
        left = sum(np.real(np.sum(c * t)) for c, t in zip(cts, got, strict=True))
        right = sum(np.real(np.sum(c * t)) for c, t in zip(back, ts, strict=True))
        np.testing.assert_allclose(right, left, rtol=1e-8, atol=1e-8)
        tangent_check(gradient, [*active, *[True] * len(cts)], [*values, *cts], len(f.results), rng)


# -- reads and writes ----------------------------------------------------------------------------------------------------

R = np.random.default_rng(0)
X = R.normal(size=6)
M = R.normal(size=(4, 5))

PROGRAMS = {
    "slices": ("y = x[1:5:2] * x[::-2]\n    return np.sum(y ** 2 * np.arange(2.0, 4.0)[0])", R.normal(size=4)),
    "negative steps": ("return np.sum(x[4:1:-1] * x[::-1][:3] ** 2)", X),
    "rows and columns": ("return np.sum(x[1] ** 3) + np.sum(x[:, -2] * x[:, 0]) + x[2, 3] ** 2", M),
    "new axes and ellipsis": ("return np.sum(x[..., 1:2, None] * x[:, None, :] ** 2)", M),
    "repeated picks": ("i = np.array([0, 2, 2, -1, 2])\n    return np.sum(x[i] ** 3 * np.arange(1.0, 6.0))", X),
    "picked rows": ("return np.sum(x[[0, 0, 3], 1:] ** 2 * x[1, [0, 1, 1, 4]])", M),
    "pairs of picks": ("return np.sum(x[[0, 1, 1, 0], [2, 3, 3, 2]] ** 3)", M),
    "masked reads": ("return np.sum(x[x > 0] ** 3) + np.sum(x[(x < 0) & (x > -1)])", X),
    "masked writes": ("y = x.copy()\n    y[y > 0] = 0.5\n    y[x < -0.5] *= x[0]\n    return np.sum(y ** 3)", X),
    "scalar writes": ("y = np.zeros(6)\n    for i in range(6):\n        y[5 - i] = x[i] * x[0]\n    y[2] = 1.0\n    return np.sum(y ** 3)", X),
    "writes through views": ("y = x.copy()\n    v = y[1:5]\n    v[1:3] = x[0:2] ** 2\n    y[2] *= v[3]\n    return np.sum(y ** 3)", X),
    "transposed writes": ("y = np.ones((5, 4))\n    y.T[1:3] = x[1:3] ** 2\n    y[::2, 0] += x[0, 0]\n    return np.sum(y ** 2)", M),
    "repeated writes": ("y = np.zeros(3)\n    y[[0, 1, 1, 2, 0, 0]] = x\n    return np.sum(y ** 3)", X),
    "repeated additions": ("y = np.zeros(3)\n    np.add.at(y, [0, 1, 1, 2, 0, 0], x * x)\n    return np.sum(y ** 3)", X),
    "additions once": ("y = x.copy()\n    y[[0, 1, 1]] += x[[3, 4, 5]]\n    return np.sum(y ** 3)", X),
    "updates of immutable arrays": ("z = wnp.asarray(x)\n    z = z.at[[0, 1, 1]].add(z[3:] ** 2).at[2].set(z[0]).at[4:].multiply(z[1])\n    return wnp.sum(z ** 3)", X),
    "largest of repeated": ("z = wnp.zeros(3).at[wnp.array([0, 0, 1, 1, 2, 2])].max(wnp.asarray(x))\n    return wnp.sum(z ** 3)", X),
    "take along": ("i = np.argsort(x, axis=1)\n    return np.sum(np.take_along_axis(x, i, axis=1) ** 3 * np.arange(5.0))", M),
    "take and clip": ("return np.sum(np.take(x, [7, 0, 3], mode='clip') ** 3)", X),
    "put along": ("y = x.copy()\n    np.put_along_axis(y, np.argmax(x, axis=1)[:, None], x[:, :1] ** 2, axis=1)\n    return np.sum(y ** 3)", M),
    "filled diagonal": ("y = x[:, :4].copy()\n    np.fill_diagonal(y, x[0, 0])\n    return np.sum(y ** 3)", M),
    "sorted": ("y = np.sort(x, axis=0)\n    return np.sum(y ** 2 * np.arange(4.0)[:, None]) + np.sort(x, axis=None)[7] ** 3", M),
    "order": ("return np.sum(x[np.argsort(x)] * np.arange(6.0) ** 2) + x[np.lexsort((x, np.array([0, 1, 0, 1, 0, 1])))][2] ** 2", X),
    "partition": ("return np.sum(np.partition(x, 2)[:2]) ** 3 + x[np.argpartition(x, 3)[3]] ** 2", X),
    "quantiles": ("return np.median(x) ** 3 + np.percentile(x, 33.0) ** 2 + np.sum(np.quantile(x, [0.15, 0.77]) ** 3)", X),
    "median of rows": ("return np.sum(np.median(x, axis=0) ** 3) + np.sum(np.median(x, axis=1) ** 2)", M),
    "search": ("return np.interp(0.3, np.sort(x), x ** 2) + np.sum(x[np.searchsorted(np.sort(x), [0.1, 0.2])])", X),
    "unique": ("return np.sum(np.unique(np.concatenate((x, x))) ** 3)", X),
    "running": ("return np.sum(np.cumsum(x) ** 2) + np.sum(np.cumprod(x) ** 2) + np.sum(np.maximum.accumulate(x) ** 3)", X),
    "running down": ("return np.sum(np.minimum.accumulate(x[::-1]) ** 3 * np.arange(6.0)) + np.sum(np.cumprod(x[::-1])[::2])", X),
    "products": ("return np.prod(x) + np.sum(np.prod(x[:4].reshape(2, 2), axis=0) ** 2)", X),
    "extremes": ("return np.max(x) ** 3 + np.min(x) ** 2 + np.sum(np.maximum(x, 0.3) ** 2) + np.ptp(x) ** 2", X),
    "clipped": ("return np.sum(np.clip(x, -0.4, 0.5) ** 3) + np.sum(np.fmin(x, 0.1) ** 2)", X),
    "chosen": ("return np.sum(np.where(x > 0, np.sin(x), x ** 3)) + np.sum(np.select([x < -0.5, x < 0.5], [x ** 2, x ** 3], 1.0))", X),
    "remainders": ("return np.sum((x * 7 % 1.3) ** 2) + np.sum((x * 5 // 2) * x) + np.sum(np.fmod(x * 9, -2.0) ** 2)", X),
    "remainders by x": ("return np.sum(7.3 % x) ** 2 + np.sum(np.divmod(5.1, x)[1] ** 2)", X),
    "powers": ("return np.sum(np.abs(x) ** x) + np.sum(x ** 3) + np.sum(2.0 ** x) + np.sum(np.power(x, -2.0))", X),
    "angles": ("return np.sum(np.arctan2(x, x[::-1]) ** 2) + np.sum(np.hypot(x, x[::-1]) ** 3)", X),
    "complex": ("z = x[:3] + 1j * x[3:]\n    return np.sum(np.abs(z ** 3)) + np.sum(np.angle(z) ** 2) + np.real(np.sum(np.exp(z) / z.conj()))", X),
    "complex functions": ("z = np.sqrt(x + 2j) * np.log(x - 1j)\n    return np.sum(np.abs(np.tanh(z)) ** 2) + np.imag(np.prod(z))", X),
    "convolved": ("return np.sum(np.convolve(x, x[:3]) ** 2) + np.sum(np.correlate(x, x[2:], 'same') ** 3)", X),
    "padded": ("return np.sum(np.pad(x, 2, mode='reflect') ** 3) + np.sum(np.roll(x, 2) * x ** 2) + np.sum(np.repeat(x, 2)[3:] ** 3)", X),
}  # fmt: skip


def program(body):
    """A function of ``x`` with this body."""
    file, source = f"<derivative of {body}>", f"def case(x):\n    {body if 'return' in body else 'return ' + body}\n"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    import weft.numpy as wnp

    space = {"np": np, "wnp": wnp, "math": math}
    exec(compile(source, file, "exec"), space)
    return space["case"]


def differences(f, x, t, h):
    return (np.asarray(f(x + h * t)) - np.asarray(f(x - h * t))) / (2 * h)


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_programs_to_second_order(name):
    body, x = PROGRAMS[name]
    f = program(body)
    g = weft.grad(f)
    rng = np.random.default_rng(2)
    t = rng.normal(size=x.shape)
    want = float(differences(lambda v: float(f(v)), x, t, 1e-6))
    np.testing.assert_allclose(np.sum(g(x) * t), want, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(weft.jvp(f, (x,), (t,))[1], want, rtol=1e-5, atol=1e-6)
    second = differences(g, x, t, 1e-5)
    got = weft.jvp(g, (x,), (t,))[1]
    np.testing.assert_allclose(got, second, rtol=1e-4, atol=1e-4 * max(1.0, np.abs(second).max()))
    u = rng.normal(size=x.shape)
    weight = weft.grad(lambda v, u: np.sum(weft.grad(f)(v) * u))
    np.testing.assert_allclose(np.sum(weight(x, u) * t), np.sum(got * u), rtol=1e-8, atol=1e-8)


# -- conventions ---------------------------------------------------------------------------------------------------------

INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    ("body", "x", "want"),
    [
        ("abs(x)", 0.0, 0.0), ("np.abs(x)", -0.0, 0.0), ("np.sign(x)", 0.0, 0.0), ("x ** 2", 0.0, 0.0), ("x ** 0", 0.0, 0.0), ("x ** 1.0", 0.0, 1.0), ("x ** 3", 0.0, 0.0),
        ("np.sqrt(x)", 0.0, INF), ("np.hypot(x, 0.0)", 0.0, 0.0), ("np.maximum(x, 0.0)", 0.0, 0.5), ("max(x, 0.0)", 1.0, 1.0), ("np.minimum(x, x)", 2.0, 1.0),
        ("np.clip(x, 0.0, 1.0)", 0.5, 1.0), ("np.clip(x, 0.0, 1.0)", 1.5, 0.0), ("np.floor(x)", 1.0, 0.0), ("np.round(x)", 0.3, 0.0), ("x // 2.0", 5.0, 0.0), ("x % 2.0", 5.0, 1.0), ("-x % 2.0", 5.0, -1.0), ("5.0 % x", 2.0, -2.0),
        ("np.arctan2(x, 0.0)", 2.0, 0.0), ("np.arctan2(x, -1.0)", 0.0, -1.0), ("np.sinc(x)", 0.0, 0.0), ("np.logaddexp(x, -np.inf)", 1.0, 1.0), ("np.real(abs(x + 0j))", 0.0, 0.0), ("np.heaviside(x, 0.5)", 0.0, 0.0),
        ("np.copysign(x, -1.0)", 2.0, -1.0), ("np.nan_to_num(x)", NAN, 0.0),
    ],
)  # fmt: skip
def test_conventions(body, x, want):
    f = program(body)
    np.testing.assert_array_equal(weft.grad(f)(x), want)
    np.testing.assert_array_equal(weft.jvp(f, (x,), (1.0,))[1], want)


@pytest.mark.parametrize(
    ("body", "x", "want"),
    [
        ("np.max(x)", [1.0, 3, 3], [0, 0.5, 0.5]), ("np.min(x)", [2.0, 2, 2], [1 / 3] * 3), ("np.ptp(x)", [1.0, 3, 3], [-1, 0.5, 0.5]),
        ("np.sort(x)[1]", [2.0, 2, 1], [1, 0, 0]), ("np.median(x)", [2.0, 2, 2], [0, 1, 0]), ("np.maximum.accumulate(x)[2]", [1.0, 1, 0], [0.5, 0.5, 0]), ("np.maximum.accumulate(x)[1]", [3.0, 1, 2], [1, 0, 0]),
        ("np.prod(x)", [0.0, 2, 3], [6, 0, 0]), ("np.prod(x)", [0.0, 2, 0], [0, 0, 0]), ("np.cumprod(x)[2]", [0.0, 2, 3], [6, 0, 0]), ("np.std(x)", [2.0, 2, 2], [0, 0, 0]), ("np.linalg.norm(x)", [0.0, 0, 0], [0, 0, 0]),
        ("np.max(np.abs(x))", [-2.0, 2, 1], [-0.5, 0.5, 0]), ("np.sum(x[np.argmax(x)])", [2.0, 2, 1], [1, 0, 0]), ("np.sum(np.where(x > 0, x, 0.0))", [0.0, 1, NAN], [0, 1, 0]),
    ],
)  # fmt: skip
def test_conventions_of_arrays(body, x, want):
    f, x = program(body), np.array(x)
    np.testing.assert_allclose(weft.grad(f)(x), want, atol=1e-15)
    forward = [weft.jvp(f, (x,), (e,))[1] for e in np.eye(len(x))]
    np.testing.assert_allclose(forward, want, atol=1e-15)


def hessian(f, x):
    rows = [weft.jvp(weft.grad(f), (x,), (e,))[1] for e in np.eye(len(x))]
    back = [weft.grad(lambda v, e: np.sum(weft.grad(f)(v) * e))(x, e) for e in np.eye(len(x))]
    np.testing.assert_allclose(rows, back, atol=1e-12)
    return np.array(rows)


@pytest.mark.parametrize(
    "body", ["np.prod(x)", "np.cumprod(x)[-1]", "np.multiply.reduce(x)", "np.prod(x.reshape(2, 2))"]
)
@pytest.mark.parametrize("x", [[0.0, 2, 3, 4], [0.0, 2, 0, 4], [1.0, 0, 0, 0]])
def test_second_derivatives_of_products_with_zeros(body, x):
    x = np.array(x)
    want = np.array([[0.0 if i == j else np.prod(np.delete(x, [i, j])) for j in range(4)] for i in range(4)])
    np.testing.assert_allclose(hessian(program(body), x), want, atol=1e-12)


def test_second_derivatives_where_a_value_is_filled_in():
    for body, x, want in (
        ("np.sinc(x)", 0.0, -np.pi**2 / 3), ("np.sinc(x)", 1e-4, -np.pi**2 / 3 + np.pi**4 / 10 * 1e-8), ("x ** 2", 0.0, 2.0), ("x ** 3.0", 0.0, 0.0), ("np.abs(x) ** 2", 0.0, 0.0),
        ("np.exp(x) * np.abs(x)", 0.0, 0.0), ("np.logaddexp(x, 0.0)", 0.0, 0.25), ("np.nan_to_num(x * x)", 0.5, 2.0),
    ):  # fmt: skip
        f = program(body)
        np.testing.assert_allclose(weft.grad(weft.grad(f))(x), want, rtol=1e-10, atol=1e-12, err_msg=body)
        np.testing.assert_allclose(weft.jvp(weft.grad(f), (x,), (1.0,))[1], want, rtol=1e-10, atol=1e-12, err_msg=body)


# -- nan does not leak ---------------------------------------------------------------------------------------------------


def root_or_zero(x):
    if x > 0:
        return math.sqrt(x)
    return 0.0


def log_or_line(x):
    y = x
    if x > 1.0:
        y = np.log(x - 1.0)
    return y * 2.0


def test_the_branch_not_taken_leaks_nothing():
    xs = np.array([-1.0, 0.0, 4.0, 1.0, -3.0, 9.0, 0.25, 0.0, 16.0])
    want = np.array([0.5 / math.sqrt(x) if x > 0 else 0.0 for x in xs])
    for f in (weft.grad(root_or_zero), lambda x: weft.jvp(root_or_zero, (x,), (1.0,))[1]):
        np.testing.assert_array_equal([f(x) for x in xs], want)
    np.testing.assert_array_equal(weft.vmap(weft.grad(root_or_zero))(xs), want)
    np.testing.assert_array_equal(weft.jit(weft.vmap(weft.grad(log_or_line)))(np.array([1.0, 0.0, 3.0])), [2, 2, 1])
    np.testing.assert_array_equal(weft.grad(weft.grad(root_or_zero))(0.0), 0)


def test_select_itself_leaks_nothing_but_what_it_chooses_from_may():
    # the derivative of a branch that np.where does not choose is multiplied by 0, and 0 * inf is nan: choose the operand
    leaking = program("np.sum(np.where(x > 0, np.sqrt(x), 0.0))")
    safe = program("np.sum(np.where(x > 0, np.sqrt(np.where(x > 0, x, 1.0)), 0.0))")
    x = np.array([0.0, 4.0])
    assert np.isnan(weft.grad(leaking)(x)[0])
    np.testing.assert_array_equal(weft.grad(safe)(x), [0, 0.25])
    # what is chosen from is not touched: a nan or inf there does no harm
    direct = program("np.sum(np.where(np.isfinite(x), x, 0.0) ** 2)")
    np.testing.assert_array_equal(weft.grad(direct)(np.array([NAN, INF, 3.0])), [0, 0, 6])


# -- complex numbers -----------------------------------------------------------------------------------------------------


def test_complex_derivatives_follow_jax():
    # of f(x + iy) = u, the gradient is du/dx - i du/dy, so that Re(gradient * tangent) is the change
    z = np.array([1 + 2j, -0.5 + 0.3j])
    (g,) = weft.vjp(program("np.sum(np.abs(x) ** 2)"), z)[1](1.0)
    np.testing.assert_allclose(g, 2 * z.conj())
    (g,) = weft.vjp(program("np.real(np.sum(x ** 3))"), z)[1](1.0)
    np.testing.assert_allclose(g, 3 * z**2)
    (g,) = weft.vjp(program("np.imag(np.sum(x.conj() * 2))"), z)[1](1.0)
    np.testing.assert_allclose(g, [2j, 2j])
    g = weft.grad(program("np.sum(x * x * x)"), holomorphic=True)(z)
    np.testing.assert_allclose(g, 3 * z**2)
    for body in (
        "np.exp(x) / x",
        "np.sqrt(x) * np.log(x)",
        "np.tanh(x) ** 2",
        "np.abs(x) * x",
        "np.angle(x) + 0j",
        "x ** (2 + 1j)",
    ):
        f = program(body)
        t = np.array([0.3 - 1j, 2 + 0.1j])
        want = (f(z + 1e-6 * t) - f(z - 1e-6 * t)) / 2e-6
        np.testing.assert_allclose(weft.jvp(f, (z,), (t,))[1], want, rtol=1e-6, err_msg=body)
        ct = np.array([1 - 2j, 0.5 + 1j])
        (g,) = weft.vjp(f, z)[1](ct)
        np.testing.assert_allclose(np.real(np.sum(g * t)), np.real(np.sum(ct * want)), rtol=1e-6, err_msg=body)


# -- what has no derivative ------------------------------------------------------------------------------------------------


def test_integers_between_have_derivative_zero():
    for body in (
        "float(np.argmax(x))",
        "np.sum(np.argsort(x)) * 1.0",
        "np.sum(x > 0) + 0.0",
        "np.sum(np.round(x))",
        "np.sum(x.astype(int)) * 1.5",
    ):
        f = program(body)
        np.testing.assert_array_equal(weft.grad(f)(X), np.zeros(6))
