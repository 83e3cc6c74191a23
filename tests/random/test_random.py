"""What recorded results do not show: shapes known at run time, long arrays, devices, refusals, defaults, fusion."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from fractions import Fraction

import numpy as np
import pytest
from tests.cuda.harness import Emulated

import weft
import weft.numpy as wnp
from weft import random
from weft.ir.interpret import evaluate

K = random.PRNGKey(7)
WORDS = np.array([0, 7], np.uint32)
RATES = np.array([0.3, 1.0, 4.0])


def test_the_hash_is_threefry():
    """Of the vectors published with the generator."""
    for key, at, want in (
        ((0, 0), (0, 0), 0x6B20015999BA4EFE),
        ((2**32 - 1,) * 2, (2**32 - 1,) * 2, 0x1CB996FCBB002BE7),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), 0xC4923A9C483DF7A0),
    ):
        words = [np.uint32(w) for w in (*key, *at)]
        assert int(random.threefry(*words)) == want
        assert int(random.threefry_bits(*words)) == (want >> 32) ^ (want & 0xFFFFFFFF)
        assert int(weft.jit(random.threefry)(*words)) == want


PROGRAMS = {
    "bits": lambda k, x: random.bits(k, x.shape),
    "bits_rows": lambda k, x: random.bits(k, (x.shape[0], 3), "uint8"),
    "uniform": lambda k, x: random.uniform(k, x.shape, minval=-3.3, maxval=7.7),
    "normal": lambda k, x: random.normal(k, (2, x.shape[0]), "float32"),
    "sum": lambda k, x: (x * random.normal(k, x.shape)).sum(),
    "randint": lambda k, x: random.randint(k, x.shape, 0, x.shape[0]),
    "permutation": lambda k, x: random.permutation(k, x),
    "permutation_of_size": lambda k, x: random.permutation(k, x.shape[0]),
    "choice": lambda k, x: random.choice(k, x, (2,), replace=False),
    "choice_p": lambda k, x: random.choice(k, x, x.shape, p=x / x.sum()),
    "categorical": lambda k, x: random.categorical(k, x, shape=(5,)),
    "bernoulli": lambda k, x: random.bernoulli(k, x),
    "gamma": lambda k, x: random.gamma(k, x),
    "dirichlet": lambda k, x: random.dirichlet(k, x, (2,)),
    "poisson": lambda k, x: random.poisson(k, x * 9),
    "binomial": lambda k, x: random.binomial(k, 50, x / 8),
    "multinomial": lambda k, x: random.multinomial(k, 9, x / x.sum()),
    "split": lambda k, x: random.split(k, x.shape[0]),
    "truncated_normal": lambda k, x: random.truncated_normal(k, -x, x),
    "multivariate_normal": lambda k, x: random.multivariate_normal(k, x, wnp.diag(x)),
    "ball": lambda k, x: random.ball(k, 3, shape=x.shape),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_sizes_known_at_run_time(name):
    """One program serves several sizes, and draws what an eager call draws."""
    run = weft.jit(PROGRAMS[name])
    for x in (RATES, np.linspace(0.2, 5.0, 7)):
        got, want = np.asarray(run(K, x)), np.asarray(PROGRAMS[name](K, x))
        assert (got.dtype, got.shape) == (want.dtype, want.shape)
        np.testing.assert_allclose(got, want, rtol=1e-6 if got.dtype == np.float32 else 1e-12)
    if name not in ("permutation", "permutation_of_size", "choice", "choice_p"):
        assert run.cache_info().compilations + run.cache_info().loaded == 1


@pytest.mark.parametrize(
    "name", ["bits", "uniform", "normal", "sum", "randint", "bernoulli", "gamma", "poisson", "split"]
)
def test_other_ways_to_run(name):
    """The interpreter's results, and the same bits from code for devices."""
    x = np.linspace(0.2, 5.0, 300)
    function = weft.jit(PROGRAMS[name]).lower(WORDS, x).function
    want = np.asarray(weft.jit(PROGRAMS[name])(K, x))
    for got in (evaluate(function, WORDS, x)[0], Emulated(function)(WORDS, x, seed=1)[0]):
        if want.dtype.kind == "f" and name != "uniform":
            np.testing.assert_allclose(got, want, rtol=1e-5 if want.dtype == np.float32 else 1e-11, atol=1e-6)
        else:
            np.testing.assert_array_equal(got, want)


def test_positions_beyond_32_bits():
    """Elements far behind are computed without those before them."""
    at = np.array([0, 5, 2**32 - 1, 2**32, 2**33 - 1])
    got = weft.jit(lambda k, i: random.bits(k, (2**33,), "uint32")[i])(K, at)
    want = random.threefry_bits(np.uint32(0), np.uint32(7), (at >> 32).astype(np.uint32), at.astype(np.uint32))
    np.testing.assert_array_equal(got, want)


def test_drawing_is_fused():
    """A sum of normal numbers is one loop, and no array of them is made."""
    lowered = weft.jit(lambda k: random.normal(k, (100000,), "float32").sum()).lower(WORDS)
    text = weft.jit(lambda k: random.normal(k, (100000,), "float32").sum()).inspect(WORDS)
    assert "threefry_bits(" in text.cpp and "scratch(ctx" not in text.cpp
    assert lowered.function.results[0].type.shape == ()


def test_default_float():
    with weft.config(default_float="float32"):
        for name in ("uniform", "normal", "exponential", "gumbel"):
            assert getattr(random, name)(K, (2,)).dtype == np.float32
        np.testing.assert_array_equal(random.uniform(K, (4,)), random.uniform(K, (4,), "float32"))
        assert random.gamma(K, 2.0).dtype == random.binomial(K, 5, 0.5).dtype == np.float32
        assert random.bernoulli(K, 0.5, (3,)).dtype == bool
    assert random.uniform(K).dtype == np.float64


def nearest(exact, dtype):
    """A fraction rounded to a number, halves to even."""
    if dtype == np.float64:
        return float(exact)
    near = np.float32(float(exact))
    some = [near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))]
    return min(some, key=lambda v: (abs(Fraction(float(v)) - exact), int(v.view(np.int32)) & 1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bounds_are_met_with_one_rounding(dtype):
    """`uniform` between bounds is as exact as can be, whether it runs at once or compiled: JAX's bits depend on it."""
    from weft.random.arguments import fma

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 2000)) * 10.0 ** rng.integers(-4, 4, (2, 2000))
    z = -x * y * (1 + rng.normal(size=2000) * 10.0 ** rng.integers(-17, 3, 2000))
    x, y, z = [v.astype(dtype) for v in (x, y, z)]
    want = [nearest(Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c)), dtype) for a, b, c in zip(x, y, z)]
    np.testing.assert_array_equal(fma(x, y, z), want)
    np.testing.assert_array_equal(weft.jit(fma)(x, y, z), want)


def test_erfinv_of_float32():
    """A few units in the last place, from the middle to the last number before 1."""
    from weft.random.arguments import erfinv

    x = np.concatenate([np.linspace(-0.999, 0.999, 999), 1 - 2.0 ** -np.arange(5, 25), [1e-6, 1e-30, 0.0]]).astype("f4")
    want = np.asarray(erfinv(x.astype(np.float64)))
    for got in (erfinv(x), weft.jit(erfinv)(x)):
        assert np.asarray(got).dtype == np.float32
        np.testing.assert_allclose(got, want, rtol=6e-7)


def slope(a, x, step=1e-6):
    """How the point x of the gamma distribution moves with its parameter: by a numerical integral of the density."""
    t = np.linspace(0.0, x ** (a / 4), 400001)[1:]  # u = t ** (4 / a): the integrand is smooth at 0
    density = lambda p: np.exp((p - 1) * np.log(t ** (4 / a)) - t ** (4 / a)) * 4 / a * t ** (4 / a - 1)
    share = lambda p: np.trapezoid(np.append(0, density(p)), np.append(0, t))
    from math import gamma

    change = (share(a + step) / gamma(a + step) - share(a - step) / gamma(a - step)) / (2 * step)
    return -change / (x ** (a - 1) * np.exp(-x) / gamma(a))


@pytest.mark.parametrize("a", [0.6, 1.0, 2.5, 9.0])
def test_derivative_of_gamma(a):
    for seed in range(4):
        key = random.PRNGKey(seed)
        got = weft.grad(lambda a: random.gamma(key, a))(a)
        np.testing.assert_allclose(got, slope(a, float(random.gamma(key, a))), rtol=2e-4)
        log = weft.grad(lambda a: random.loggamma(key, a))(a)
        np.testing.assert_allclose(log, got / random.gamma(key, a), rtol=1e-12)
        _, forward = weft.jvp(lambda a: random.gamma(key, a), (a,), (1.0,))
        np.testing.assert_allclose(forward, got, rtol=1e-12)


def test_derivative_of_gamma_at_the_ends():
    """Of samples that are too small for a number, and of very large ones."""
    key = random.PRNGKey(3)
    tiny = weft.grad(lambda a: random.gamma(key, a).sum())(np.array([1e-4, 1e-3, 1e-3]))
    np.testing.assert_allclose(tiny, [0.0, 11.1781658, 0.0], rtol=1e-8)  # JAX's
    large = weft.grad(lambda a: random.gamma(key, a).sum())(np.array([1e4, 1e6]))
    assert np.all((0.99 < large) & (large < 1.01))
    assert np.isnan(weft.grad(lambda a: random.gamma(key, a))(0.0))
    assert np.isnan(weft.grad(lambda a: random.gamma(key, a))(np.nan))


def test_second_derivative_of_gamma():
    """The derivative of the first one, the sample moving along."""
    from weft.random.gammas import _slope

    got = weft.grad(weft.grad(lambda a: random.gamma(K, a)))(2.0)
    x, e = float(random.gamma(K, 2.0)), 1e-5
    along = lambda a, x: float(_slope(np.float64(a), np.float64(x)))
    want = (along(2 + e, x) - along(2 - e, x)) / (2 * e)
    want += (along(2.0, x + e) - along(2.0, x - e)) / (2 * e) * along(2.0, x)
    np.testing.assert_allclose(got, want, rtol=1e-6)


ERRORS = [
    (lambda: random.bits(K, (2,), "int32"), ValueError, "`bits` must be an unsigned int dtype, got int32"),
    (lambda: random.uniform(K, (2,), int), ValueError, "`uniform` must be a float dtype, got int64"),
    (lambda: random.normal(K, (2,), int), ValueError, "`normal` must be a float or complex dtype, got int64"),
    (lambda: random.uniform(K, -1), ValueError, "negative dimensions are not allowed"),
    (lambda: random.uniform(K, (2, 1.5)), TypeError, "a size must be an integer, not 1.5"),
    (lambda: random.uniform(K, (2,), np.longdouble), ValueError, "is not a dtype of weft"),
    (lambda: random.normal(K, (2,), np.longdouble), ValueError, "is not a dtype of weft"),
    (lambda: random.uniform(K, (2, 2), minval=np.zeros(3)), ValueError, r"shape \(3,\) does not broadcast.*\(2, 2\)"),
    (lambda: random.randint(K, (3,), 0, 10, float), TypeError, "randint only accepts integer dtypes, got float64"),
    (lambda: random.randint(K, (3,), np.zeros(2, int), 4), ValueError, r"randint: a parameter of shape \(2,\)"),
    (lambda: random.bernoulli(K, 1), TypeError, "`p` must have a floating dtype, got int64"),
    (lambda: random.bernoulli(K, 0.5, mode="x"), ValueError, "expected 'high' or 'low'"),
    (lambda: random.bernoulli(K, np.ones(3), (2,)), ValueError, r"bernoulli: a parameter of shape \(3,\)"),
    (lambda: random.gumbel(K, mode="x"), ValueError, "mode of gumbel"),
    (lambda: random.poisson(K, 1.0, dtype=float), ValueError, "`poisson` must be an int dtype, got float64"),
    (lambda: random.choice(K, 5, (7,), replace=False), ValueError, r"size 7\) than population \(size 5"),
    (lambda: random.choice(K, 5, 7), TypeError, "must be a sequence, got 7"),
    (lambda: random.choice(K, 0, (2,)), ValueError, "a must be greater than 0"),
    (lambda: random.choice(K, 5, (2,), p=np.ones(4)), ValueError, r"p has shape \(4,\) and a.shape\[axis\] is 5"),
    (lambda: random.permutation(K, 5.0), TypeError, "x must be an integer or at least 1-dimensional"),
    (lambda: random.permutation(K, np.zeros((2, 2)), 2), np.exceptions.AxisError, "axis 2 is out of bounds"),
    (lambda: random.categorical(K, np.zeros(3), shape=(9,), replace=False), ValueError, "size 9"),
    (lambda: random.categorical(K, np.zeros((3, 2)), shape=(4,)), ValueError, "categorical: a parameter of shape"),
    (lambda: random.categorical(K, np.zeros(3, int)), ValueError, "`categorical` must be a float dtype, got int64"),
    (lambda: random.beta(K, np.float64(1), 2, dtype="float32"), TypeError, "cannot safely cast.*float64 to float32"),
    (lambda: random.gamma(K, np.ones(2), (3,)), ValueError, r"gamma: a parameter of shape \(2,\)"),
    (lambda: random.dirichlet(K, 1.0), ValueError, "alpha.ndim >= 1"),
    (lambda: random.multivariate_normal(K, 1.0, np.eye(2)), ValueError, "mean.ndim >= 1"),
    (lambda: random.multivariate_normal(K, np.ones(2), np.ones(2)), ValueError, "cov.ndim >= 2"),
    (lambda: random.multivariate_normal(K, np.ones(3), np.eye(2)), ValueError, "for n=3"),
    (lambda: random.multivariate_normal(K, np.ones(2), np.eye(2), method="qr"), ValueError, "method must be one of"),
    (lambda: weft.jit(lambda n: random.uniform(K, (n,)))(-1), ValueError, "negative dimensions are not allowed"),
    (lambda: weft.jit(lambda n: random.uniform(K, (n,)))(1.5), TypeError, "a size must be an integer"),
]


@pytest.mark.parametrize("case", range(len(ERRORS)))
def test_errors(case):
    run, kind, message = ERRORS[case]
    with pytest.raises(kind, match=re.compile(message, re.S)):
        run()


def test_multivariate_normal_of_singular_covariance():
    """Factors by other methods have the same square; the samples lie in its range."""
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    for method in ("svd", "eigh"):
        x = np.asarray(random.multivariate_normal(K, np.zeros(2), a, (200,), method=method))
        np.testing.assert_allclose(x[:, 1], 2 * x[:, 0], atol=1e-7)
        assert 0.7 < np.var(x[:, 0]) < 1.4


@pytest.mark.parametrize("module", [m.name for m in pkgutil.iter_modules(random.__path__)])
def test_examples(module):
    found = doctest.testmod(importlib.import_module(f"weft.random.{module}"), globs={"__name__": "examples"})
    assert not found.failed


def test_every_function_has_an_example():
    for name in random.__all__:
        thing = getattr(random, name)
        if inspect.isfunction(thing) and not name.startswith("threefry"):
            assert ">>> " in (thing.__doc__ or ""), name
