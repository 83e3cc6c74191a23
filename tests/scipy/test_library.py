"""`weft.scipy` beyond what JAX recorded: examples, what is not there, SciPy's own functions, values of 30 digits."""

from __future__ import annotations

import doctest
import importlib
import sys
import types
import warnings

import numpy as np
import pytest

import weft
from weft.scipy import fft, integrate, interpolate, linalg, ndimage, optimize, signal, special, stats

MODULES = (
    "cluster.vq", "factors", "fft", "integrate", "interpolate", "matrices", "matrixfunctions", "ndimage", "optimize.bfgs", "signal",
    "special.bessel", "special.combinatorial", "special.distributions", "special.elementary", "special.harmonics",
    "stats.density", "stats.summary", "sums",
)  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    # in a module of their own: functions of weft's modules are not staged from source
    found = doctest.testmod(importlib.import_module(f"weft.scipy.{name}"), globs={"__name__": "examples"})
    assert found.attempted and not found.failed


def test_examples_of_primitives():
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    for name in special.primitive.__all__:
        for test in finder.find(getattr(special, name), name, globs={}):
            runner.run(test)
    assert runner.tries > 20 and not runner.failures


# made with mpmath at 30 digits
VALUES = {
    "gammainc": [((0.001, 0.1), 0.9981748706780716), ((2.5, 9.0), 0.9966003169270497), ((1e9, 999841886.1169916), 2.8627566016), ((500.0, 480.0), 0.1866)],
    "erfcx": [((5.0,), 0.11070463773306861), ((-1.2,), 8.062854217063882), ((100.0,), 0.005641613782989433)],
    "dawsn": [((1.9,), 0.32297431932281784), ((100.0,), 0.005000250037509375)],
    "expi": [((-1.9,), -0.05620437817453486), ((0.5,), 0.4542199048631736)],
    "expn": [((2, 1.49), 0.07410846155559457), ((1, 1.9), 0.05620437817453486)],
    "spence": [((0.3,), 0.8893776242860387), ((0.51,), 0.5684384438966669), ((1.01,), -0.009975110490083546)],
    "hyp1f1": [((8.0, -2.5, -20.0), 0.03331426132305666), ((0.3, 1.0, 650.0), 7.027532502713777e279)],
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n in VALUES if n != "gammainc"])
def test_values(name):
    for args, want in VALUES[name]:
        np.testing.assert_allclose(getattr(special, name)(*args), want, rtol=1e-12)


def test_gammainc_far_from_its_mean():
    # the left tail of a large shape, where series are long: the normal distribution is near
    np.testing.assert_allclose(special.gammainc(1e9, 999841886.1169916), 2.862756601805e-07, rtol=1e-10)
    a = np.array([0.3, 5.0, 99.0, 101.0, 1e5])
    for x in (a * 0.5, a, a * 1.5):
        np.testing.assert_allclose(special.gammainc(a, x) + special.gammaincc(a, x), 1, rtol=1e-13)


def test_functions_with_identities():
    x = np.linspace(-2, 3, 7)
    np.testing.assert_allclose(special.inv_boxcox(special.boxcox(np.exp(x), 0.3), 0.3), np.exp(x), rtol=1e-12)
    np.testing.assert_allclose(special.inv_boxcox1p(special.boxcox1p(np.exp(x), 0.0), 0.0), np.exp(x), rtol=1e-12)
    np.testing.assert_allclose(special.cosm1(x), np.cos(x) - 1, atol=1e-15)
    np.testing.assert_allclose(special.exprel(x), np.expm1(x) / x, rtol=1e-12)
    np.testing.assert_allclose(special.exp10(x), 10**x, rtol=1e-13)
    assert float(special.factorial2(8)) == 384 and float(special.factorial2(0)) == 1
    assert float(special.binom(10, 3)) == 120 and float(special.comb(52, 5)) == 2598960
    np.testing.assert_allclose(special.huber(1.0, x), np.where(abs(x) <= 1, x * x / 2, abs(x) - 0.5))
    np.testing.assert_allclose(special.pseudo_huber(2.0, x), 4 * (np.sqrt(1 + (x / 2) ** 2) - 1), rtol=1e-13)
    np.testing.assert_allclose(special.stdtr(3.0, x), [stats.t.cdf(v, 3.0) for v in x], rtol=1e-13)
    np.testing.assert_allclose(special.bdtr(2, 5, 0.3), np.sum(stats.binom.pmf(np.arange(3), 5, 0.3)), rtol=1e-13)
    np.testing.assert_allclose(special.bessel_jn(x, v=2)[2], 2 / x * special.bessel_jn(x, v=2)[1] - special.bessel_jn(x, v=2)[0], rtol=1e-9)  # fmt: skip
    np.testing.assert_allclose(special.fdtr(3.0, 4.0, 1.2), special.betainc(1.5, 2.0, 3.6 / 7.6))
    np.testing.assert_allclose(special.gdtr(2.0, 3.0, 1.5) + special.gdtrc(2.0, 3.0, 1.5), 1)
    np.testing.assert_allclose(special.chdtr(3.0, 1.5) + special.chdtrc(3.0, 1.5), 1)
    np.testing.assert_allclose(special.pdtr(3.0, 1.5) + special.pdtrc(3.0, 1.5), 1)
    np.testing.assert_allclose(special.softplus(x), np.log1p(np.exp(x)))


@pytest.mark.parametrize(
    ("family", "shapes", "points"),
    [
        ("binom", (5, 0.3), range(6)), ("geom", (0.3,), range(1, 200)), ("nbinom", (2.5, 0.3), range(200)),
        ("poisson", (2.5,), range(60)), ("bernoulli", (0.3,), range(2)), ("betabinom", (5, 0.7, 2.0), range(6)),
    ],
)  # fmt: skip
def test_discrete_families(family, shapes, points):
    family = getattr(stats, family)
    k = np.array(points, float)
    pmf = np.asarray(family.pmf(k, *shapes))
    np.testing.assert_allclose(pmf.sum(), 1, rtol=1e-9)
    assert float(family.pmf(k[0] + 0.5, *shapes)) == 0 and float(family.pmf(k[0] - 1, *shapes)) == 0
    if hasattr(family, "cdf"):
        np.testing.assert_allclose(family.cdf(k, *shapes), np.cumsum(pmf), rtol=1e-9)
        np.testing.assert_allclose(family.sf(k, *shapes), 1 - np.cumsum(pmf), atol=1e-9)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: stats.t.cdf(x, 3.5), lambda x: stats.laplace.sf(x), lambda x: stats.gennorm.sf(x, 1.3),
        lambda x: stats.truncnorm.cdf(x, -np.inf, 1.0), lambda x: stats.uniform.sf(x, -1, 3),
    ],
)  # fmt: skip
def test_distribution_functions_that_jax_has_not(call):
    x = np.array([-1.7, -0.4, 0.3, 0.9, 2.1])
    h = 1e-6
    slope = (np.asarray(call(x + h)) - np.asarray(call(x - h))) / (2 * h)
    np.testing.assert_allclose(weft.vmap(weft.grad(call))(x), slope, atol=1e-7)


def test_parameters_out_of_range():
    assert np.isnan(stats.norm.pdf(0.0, 0.0, -1.0)) and np.isnan(stats.gamma.pdf(1.0, -1.0))
    assert np.isnan(stats.norm.ppf(1.5)) and np.isnan(stats.beta.cdf(0.5, 0.0, 1.0))
    with pytest.raises(TypeError, match=r"norm\.pdf\(\): missing a required argument"):
        stats.norm.pdf()


def test_minimum_of_rosenbrocks_function():
    def f(x):
        return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2

    for start in ([-1.2, 1.0], [2.0, -1.0], [0.0, 0.0]):
        r = optimize.minimize(f, np.array(start), method="BFGS")
        assert bool(r.success) and int(r.status) == 0
        np.testing.assert_allclose(r.x, [1, 1], rtol=1e-4)
    x = weft.jit(lambda a: optimize.minimize(lambda x, a: ((x - a) ** 2).sum(), np.zeros(2), (a,), method="bfgs").x)
    np.testing.assert_allclose(x(np.array([1.0, 2.0])), [1, 2], rtol=1e-6)
    few = optimize.minimize(f, np.array([-1.2, 1.0]), method="BFGS", options={"maxiter": 2})
    assert int(few.status) == 1 and not bool(few.success) and int(few.nit) == 2


A = np.eye(2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: linalg.schur, AttributeError, "needs the Schur form"),
        (lambda: special.wofz, AttributeError, "dawsn"),
        (lambda: signal.welch, AttributeError, "not there yet"),
        (lambda: stats.nothing, AttributeError, "no attribute 'nothing'"),
        (lambda: optimize.minimize(np.sum, A[0], method="Newton"), ValueError, "method 'BFGS'"),
        (lambda: optimize.minimize(np.sum, A[0], 3, method="BFGS"), TypeError, "must be a tuple"),
        (lambda: optimize.minimize(np.sum, A, method="BFGS"), ValueError, "wants a vector"),
        (lambda: optimize.minimize(np.sum, A[0], method="BFGS", options={"disp": 1}), ValueError, "has the options"),
        (lambda: ndimage.map_coordinates(A, [A], 1), ValueError, "2 axes"),
        (lambda: ndimage.map_coordinates(A, [A, A], 3), NotImplementedError, "orders 0 and 1"),
        (lambda: ndimage.map_coordinates(A, [A, A], 1, "odd"), NotImplementedError, "has the modes"),
        (lambda: fft.dct(A, 3), NotImplementedError, "type 2"),
        (lambda: signal.convolve(A, A[0]), ValueError, "as many axes"),
        (lambda: signal.convolve2d(A, A, boundary="wrap"), NotImplementedError, "pad the array first"),
        (lambda: signal.detrend(A, type="cubic"), ValueError, "has the types"),
        (lambda: interpolate.RegularGridInterpolator([A[0]], A, "cubic"), ValueError, "has the methods"),
        (lambda: interpolate.RegularGridInterpolator([A[0]], A, bounds_error=True), NotImplementedError, "fill_value"),
        (lambda: linalg.qr(A, pivoting=True), NotImplementedError, "no pivoting"),
        (lambda: linalg.expm(A[0]), ValueError, "square"),
        (lambda: linalg.solve(A, A, assume_a="odd"), ValueError, "assume_a is one of"),
        (lambda: linalg.hadamard(3), ValueError, "power of 2"),
        (lambda: stats.rankdata(A, nan_policy="omit"), NotImplementedError, "look for nans before"),
        (lambda: stats.rankdata(A, "odd"), ValueError, "has the methods"),
        (lambda: special.bernoulli(-1), ValueError, "n >= 0"),
        (lambda: special.bessel_jn(1.0, v=60), ValueError, "v < n_iter"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_derivatives_that_are_not_there():
    for f in (lambda a: special.betainc(a, 2.0, 0.3), lambda a: special.hyp1f1(a, 2.0, 0.3)):
        with pytest.raises(weft.StagingError, match="no derivative with respect to a"):
            weft.grad(f)(1.5)


def test_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        special.logit(np.array([0.0, 1.0, 2.0]))
        stats.norm.logpdf(np.array([np.inf, 1e200]))
        stats.expon.logcdf(0.0)
        special.comb(3, 5)


def test_scipys_own_functions(monkeypatch):
    """A program that names SciPy's functions and distributions is understood."""

    class Norm:
        name = "norm"

        def pdf(self, x, *args, **kwargs):
            raise AssertionError("not to be called while staging")

    theirs, distributions = types.ModuleType("scipy.special"), types.ModuleType("scipy.stats")

    def gammainc(a, x):
        raise AssertionError("not to be called while staging")

    def comb(n, k):
        raise AssertionError("not to be called while staging")

    theirs.gammainc, theirs.comb, distributions.norm = gammainc, comb, Norm()
    monkeypatch.setitem(sys.modules, "scipy.special", theirs)
    monkeypatch.setitem(sys.modules, "scipy.stats", distributions)
    out = weft.jit(lambda x: theirs.gammainc(2.0, x) + theirs.comb(4.0 + 0 * x, 2))(np.array([0.5, 1.0]))
    assert type(out) is np.ndarray
    np.testing.assert_allclose(out, 6 + np.asarray(special.gammainc(2.0, np.array([0.5, 1.0]))))
    out = weft.jit(lambda x: distributions.norm.pdf(x, 0.5))(np.array([0.5, 1.0]))
    assert type(out) is np.ndarray
    np.testing.assert_allclose(out, stats.norm.pdf(np.array([0.5, 1.0]), 0.5))


def test_integrate_is_numpys():
    y = np.random.default_rng(0).normal(size=(3, 4))
    np.testing.assert_allclose(integrate.trapezoid(y, dx=2.0), np.trapezoid(y, dx=2.0))
