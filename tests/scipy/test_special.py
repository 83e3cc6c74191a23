"""Special functions: against values computed to 50 digits, at their special points, and in compiled programs."""

from __future__ import annotations

import subprocess
import sys
import types

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft.scipy import special

# made with mpmath at 50 digits
VALUES = {
    "erf": [((-3.7,), -0.9999998328489421), ((-1.2,), -0.9103139782296353), ((-0.31,), -0.33890815031079025), ((1e-09,), 1.1283791670955127e-09), ((0.04,), 0.04511110614512475), ((0.5,), 0.5204998778130465), ((1.0,), 0.8427007929497149), ((1.37,), 0.947312398035252), ((2.9,), 0.9999589021219005), ((6.5,), 1.0), ((14.2,), 1.0), ((31.0,), 1.0)],
    "erfc": [((-3.7,), 1.9999998328489421), ((-1.2,), 1.9103139782296354), ((-0.31,), 1.3389081503107902), ((1e-09,), 0.9999999988716208), ((0.04,), 0.9548888938548753), ((0.5,), 0.4795001221869535), ((1.0,), 0.15729920705028513), ((1.37,), 0.052687601964748), ((2.9,), 4.109787809945886e-05), ((6.5,), 3.8421483271206475e-20), ((14.2,), 1.063964354864168e-89)],
    "erfinv": [((-0.99999,), -3.123413274341571), ((-0.7,), -0.7328690779592167), ((-1e-08,), -8.86226925452758e-09), ((0.1,), 0.08885599049425769), ((0.5,), 0.4769362762044699), ((0.93,), 1.2812143237490627), ((0.999999999999,), 5.042031898572696)],
    "erfcinv": [((1e-200,), 21.37478304902626), ((1e-10,), 4.572824967389486), ((0.2,), 0.9061938024368232), ((0.9,), 0.08885599049425767), ((1.4,), -0.37080715859355784), ((1.99,), -1.8213863677184494)],
    "gammaln": [((-3.7,), -1.3797399049658245), ((-1.2,), 1.5791760340399836), ((-0.31,), 1.444393249433249), ((1e-09,), 20.723265836369194), ((0.04,), 3.1970781737673057), ((0.5,), 0.5723649429247001), ((1.0,), 0.0), ((1.37,), -0.11730545385898765), ((2.9,), 0.6028696102493114), ((6.5,), 5.662562059857142), ((14.2,), 23.07422102415836), ((31.0,), 74.65823634883016), ((171.5,), 709.1431630309282), ((100000000.0,), 1742068066.1038346)],
    "gamma": [((-3.7,), 0.2516439959024227), ((-1.2,), 4.850957140522098), ((-0.31,), -4.23927917728179), ((1e-09,), 999999999.4227843), ((0.04,), 24.46095502285612), ((0.5,), 1.772453850905516), ((1.0,), 1.0), ((1.37,), 0.8893135074291016), ((2.9,), 1.827355080624036), ((6.5,), 287.88527781504433), ((14.2,), 10495590191.787754), ((31.0,), 2.6525285981219107e+32), ((170.3,), 1.99158755723589e+305)],
    "digamma": [((-3.7,), -0.8450768588704194), ((-1.2,), 4.868324766627196), ((-0.31,), 1.9771162823508097), ((1e-09,), -1000000000.5772156), ((0.04,), -25.513274878916828), ((0.5,), -1.9635100260214235), ((1.0,), -0.5772156649015329), ((1.37,), -0.09259870818786115), ((2.9,), 0.8824999506377439), ((6.5,), 1.792911330399933), ((14.2,), 2.617617623689491), ((31.0,), 3.4177714660188583), ((100000000.0,), 18.420680738952367)],
    "i0e": [((-3.7,), 0.2160494416729737), ((-1.2,), 0.41978207893513303), ((-0.31,), 0.7511741388072831), ((1e-09,), 0.999999999), ((0.04,), 0.9611737933612698), ((0.5,), 0.6450352704491501), ((1.0,), 0.46575960759364043), ((1.37,), 0.38807812372534756), ((2.9,), 0.24775573045084867), ((6.5,), 0.15980484901763226), ((14.2,), 0.10684019588876487), ((31.0,), 0.07194649669698383), ((700.0,), 0.015081295651531358), ((19.9,), 0.0900085888643896)],
    "i1e": [((-3.7,), -0.18383785802735622), ((-1.2,), -0.21525685937698316), ((-0.31,), -0.11505538978751603), ((1e-09,), 4.999999995000001e-10), ((0.04,), 0.01921963219702213), ((0.5,), 0.1564208031848717), ((1.0,), 0.20791041534970844), ((1.37,), 0.21822219662118164), ((2.9,), 0.19877728162727987), ((6.5,), 0.1469386457237643), ((14.2,), 0.10300671483619338), ((31.0,), 0.07077639283438568), ((700.0,), 0.015070519444716848), ((19.9,), 0.0877171021317061)],
    "i0": [((-3.7,), 8.738617524169397), ((-1.2,), 1.3937255841340643), ((-0.31,), 1.0241696859364604), ((1e-09,), 1.0), ((0.04,), 1.0004000400017778), ((0.5,), 1.0634833707413236), ((1.0,), 1.2660658777520084), ((1.37,), 1.527223514099423), ((2.9,), 4.502748661326274), ((6.5,), 106.2928582439956), ((14.2,), 156933.73775663527), ((31.0,), 2089962966491.9038)],
    "i1": [((-3.7,), -7.435745796535337), ((-1.2,), -0.7146779415526431), ((-0.31,), -0.15686940795256626), ((1e-09,), 5e-10), ((0.04,), 0.020004000266675558), ((0.5,), 0.2578943053908963), ((1.0,), 0.565159103992485), ((1.37,), 0.8587808732402615), ((2.9,), 3.6126072124369073), ((6.5,), 97.73501077403152), ((14.2,), 151302.87471679552), ((31.0,), 2055972795294.5647)],
    "expit": [((-3.7,), 0.024127021417669196), ((-1.2,), 0.23147521650098238), ((-0.31,), 0.42311473886795364), ((1e-09,), 0.50000000025), ((0.04,), 0.5099986668799654), ((0.5,), 0.6224593312018546), ((1.0,), 0.7310585786300049), ((1.37,), 0.7973801535688696), ((2.9,), 0.9478464369215822), ((6.5,), 0.998498817743263), ((14.2,), 0.9999993192023291), ((31.0,), 0.9999999999999656), ((-700.0,), 9.85967654375977e-305), ((40.0,), 1.0)],
    "logit": [((1e-12,), -27.63102111592755), ((0.1,), -2.197224577336219), ((0.499,), -0.004000005333346137), ((0.9,), 2.1972245773362196)],
    "log_expit": [((-3.7,), -3.724422845933779), ((-1.2,), -1.4632824673380311), ((-0.31,), -0.8601118864387145), ((1e-09,), -0.6931471800599454), ((0.04,), -0.673347167228034), ((0.5,), -0.4740769841801067), ((1.0,), -0.3132616875182228), ((1.37,), -0.2264237332725457), ((2.9,), -0.053562776217963175), ((6.5,), -0.0015023101597542838), ((14.2,), -6.807979026546896e-07), ((31.0,), -3.4424771084699174e-14), ((-800.0,), -800.0), ((30.0,), -9.357622968839737e-14)],
    "entr": [((1e-09,), 2.072326583694641e-08), ((0.3,), 0.3611918412977808), ((2.5,), -2.2907268296853878)],
    "ndtr": [((-12.0,), 1.776482112077679e-33), ((-2.5,), 0.006209665325776135), ((0.0,), 0.5), ((0.7,), 0.758036347776927), ((3.0,), 0.9986501019683699)],
    "ndtri": [((1e-100,), -21.273453560965326), ((1e-05,), -4.264890793922825), ((0.3,), -0.5244005127080408), ((0.8,), 0.8416212335729144)],
    "factorial": [((0.0,), 1.0), ((0.5,), 0.886226925452758), ((3.0,), 6.0), ((20.0,), 2.43290200817664e+18)],
    "xlogy": [((0.5, 3.0), 0.5493061443340549), ((2.0, 0.01), -9.210340371976182), ((-1.5, 7.0), -2.9188652235829697)],
    "xlog1py": [((0.5, 3.0), 0.6931471805599453), ((2.0, 1e-09), 1.999999999e-09), ((-1.5, -0.7), 1.8059592064889038)],
    "zeta": [((1.01, 2.0), 99.57794333849678), ((2.0, 0.1), 101.43329915079275), ((2.0, 1.0), 1.6449340668482264), ((3.5, 7.0), 0.003681929219641926), ((12.0, 11.0), 5.062187906360513e-13), ((20.0, 2.5), 1.1008345466854143e-08), ((60.0, 1.5), 2.7197216389365646e-11), ((2.0, -0.5), 8.934802200544679), ((3.0, -2.3), -34.356896264635154)],
    "polygamma": [((0, 0.3), -3.502524222200133), ((1, 0.7), 2.834049156694611), ((1, 12.0), 0.08690187287176838), ((2, 3.3), -0.12375118526494272), ((5, 0.9), 228.60140011674952), ((1, -0.4), 9.886209670902357), ((2, -2.7), -68.9329390232638)],
    "betaln": [((0.5, 0.5), 1.1447298858494002), ((3.0, 7.5), -5.713113802085085), ((20.0, 0.1), 1.9554043352967616)],
    "beta": [((0.5, 0.5), 3.141592653589793), ((3.0, 7.5), 0.003302373581011352), ((-0.5, 0.7), -1.0023182305362714)],
    "rel_entr": [((0.3, 0.7), -0.25418935811616106), ((2.0, 1.9), 0.10258658877510116)],
    "kl_div": [((0.3, 0.7), 0.1458106418838389), ((2.0, 1.5), 0.07536414490356186)],
    "multigammaln": [((3.5, 1), 1.2009736023470743), ((4.2, 3), 6.0791276195549875)],
}  # fmt: skip
INF, NAN = np.inf, np.nan

#: Where a zero that is not at 0 is near, or what is left of two nearly equal terms: a bound on the error itself.
ABSOLUTE = {"digamma": 1e-15, "gammaln": 1e-15, "kl_div": 1e-15, "polygamma": 0.0}


@pytest.mark.parametrize("name", list(VALUES))
def test_values(name):
    f = getattr(special, name)
    for args, want in VALUES[name]:
        got = float(f(*args))
        assert abs(got - want) <= 3e-14 * abs(want) + ABSOLUTE.get(name, 0.0), (name, args, got, want)


ELEMENTWISE = [n for n in VALUES if n != "multigammaln"]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_compiled_and_single(name):
    f = getattr(special, name)
    rows = [np.array(c) for c in zip(*[args for args, _ in VALUES[name]])]
    want = np.array([w for _, w in VALUES[name]])
    compiled = weft.jit(lambda *xs: f(*xs))
    np.testing.assert_allclose(compiled(*rows), want, rtol=1e-13, atol=1e-14)
    fine = (np.abs(want) < 1e30) & (np.abs(want) > 1e-30) & np.all([np.abs(r) > 1e-30 for r in rows], axis=0)
    single = [r[fine].astype("f4") for r in rows if name != "polygamma"]
    if single:
        got = compiled(*single)
        assert np.asarray(got).dtype == np.float32
        exact = f(*[r.astype("f8") for r in single])
        np.testing.assert_allclose(got, exact, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "args", "want"),
    [
        ("erf", (INF,), 1.0), ("erf", (-INF,), -1.0), ("erf", (NAN,), NAN), ("erfc", (-INF,), 2.0), ("erfc", (40.0,), 0.0),
        ("erfinv", (1.0,), INF), ("erfinv", (-1.0,), -INF), ("erfinv", (1.5,), NAN), ("erfcinv", (0.0,), INF), ("erfcinv", (2.0,), -INF), ("erfcinv", (-0.1,), NAN), ("erfcinv", (1.0,), 0.0),
        ("gammaln", (0.0,), INF), ("gammaln", (-3.0,), INF), ("gammaln", (1.0,), 0.0), ("gammaln", (2.0,), 0.0), ("gammaln", (INF,), INF),
        ("gamma", (0.0,), INF), ("gamma", (-0.0,), -INF), ("gamma", (-2.0,), NAN), ("gamma", (200.0,), INF), ("gamma", (5.0,), 24.0),
        ("digamma", (0.0,), -INF), ("digamma", (-0.0,), INF), ("digamma", (-4.0,), NAN), ("psi", (INF,), INF),
        ("zeta", (1.0, 2.0), INF), ("zeta", (0.5, 2.0), NAN), ("zeta", (2.0, 0.0), INF), ("zeta", (2.0, -3.0), INF), ("zeta", (2.5, -0.5), NAN), ("zeta", (1e300, 20.0), 0.0), ("zeta", (400.0, 1.0), 1.0),
        ("xlogy", (0.0, 0.0), 0.0), ("xlogy", (0.0, NAN), NAN), ("xlogy", (0.0, -1.0), 0.0), ("xlog1py", (0.0, -1.0), 0.0),
        ("entr", (0.0,), 0.0), ("entr", (-1.0,), -INF), ("entr", (NAN,), NAN), ("rel_entr", (0.0, 1.0), 0.0), ("rel_entr", (1.0, 0.0), INF), ("rel_entr", (NAN, 1.0), NAN), ("kl_div", (0.0, 2.0), 2.0), ("kl_div", (-1.0, 2.0), INF),
        ("expit", (-INF,), 0.0), ("expit", (INF,), 1.0), ("expit", (NAN,), NAN), ("logit", (0.0,), -INF), ("logit", (1.0,), INF), ("logit", (1.5,), NAN),
        ("i0e", (0.0,), 1.0), ("i1e", (-0.0,), -0.0), ("i0e", (INF,), 0.0), ("i1", (0.0,), 0.0), ("factorial", (-1.0,), 0.0), ("factorial", (4,), 24.0),
        ("gammasgn", (-0.5,), -1.0), ("gammasgn", (-1.5,), 1.0), ("gammasgn", (-1.0,), NAN), ("gammasgn", (-0.0,), -1.0), ("gammasgn", (3.0,), 1.0), ("ndtr", (-INF,), 0.0), ("ndtri", (0.0,), -INF), ("ndtri", (0.5,), 0.0),
    ],
)  # fmt: skip
def test_special_points(name, args, want):
    f = getattr(special, name)
    for got in (float(f(*args)), float(weft.jit(lambda *xs: f(*xs))(*args))):
        np.testing.assert_array_equal(got, want)
        assert want != want or np.signbit(got) == np.signbit(want)


def test_dtypes_and_broadcasting():
    assert special.erf(np.float32(0.5)).dtype == np.float32 and special.erf(2).dtype == np.float64
    assert special.erf(np.float16(0.5)).dtype == np.float64  # as SciPy has it
    out = special.xlogy(np.arange(3.0)[:, None], np.arange(1.0, 5.0))
    np.testing.assert_allclose(out, np.arange(3.0)[:, None] * np.log(np.arange(1.0, 5.0)))
    assert isinstance(out, weft.Array)
    with pytest.raises(weft.StagingError, match="of complex numbers"):
        special.erf(1j)


# -- sums of exponentials ----------------------------------------------------------------------------------------------

X = np.random.default_rng(0).normal(size=(3, 4)) * 5


def test_logsumexp_and_softmax():
    np.testing.assert_allclose(special.logsumexp(X), np.log(np.sum(np.exp(X))))
    np.testing.assert_allclose(special.logsumexp(X, axis=1, keepdims=True), np.log(np.sum(np.exp(X), 1, keepdims=True)))
    b = np.array([1.0, 0.0, 2.0, -0.5])
    want = np.sum(b * np.exp(X), 1)
    out, sign = special.logsumexp(X, axis=1, b=b, return_sign=True)
    np.testing.assert_allclose(sign * np.exp(out), want)
    assert float(special.logsumexp([1000.0, 1000.0])) == 1000 + np.log(2)
    assert float(special.logsumexp([-INF, -INF])) == -INF and float(special.logsumexp([INF, 0.0])) == INF
    assert float(special.logsumexp([INF, 1.0], b=[0.0, 1.0])) == 1.0
    np.testing.assert_allclose(special.softmax(X + 1000, axis=0), np.exp(X) / np.sum(np.exp(X), 0))
    np.testing.assert_allclose(special.log_softmax(X, axis=1), np.log(np.exp(X) / np.sum(np.exp(X), 1, keepdims=True)))
    np.testing.assert_allclose(weft.grad(lambda x: special.logsumexp(x))(X), np.exp(X) / np.sum(np.exp(X)), rtol=1e-12)
    np.testing.assert_allclose(
        weft.grad(lambda x: special.logsumexp(x))(np.array([-1e4, 3.0, 3.0])), [0, 0.5, 0.5], rtol=1e-15
    )


# -- derivatives -------------------------------------------------------------------------------------------------------

POINTS = {
    "erf": (0.7,), "erfc": (1.3,), "erfinv": (0.4,), "erfcinv": (0.3,), "gammaln": (2.3,), "gamma": (2.3,), "digamma": (1.7,),
    "expit": (-1.1,), "logit": (0.3,), "log_expit": (-2.0,), "i0e": (1.2,), "i1e": (-1.2,), "i0": (0.8,), "i1": (0.0,), "ndtr": (0.4,),
    "ndtri": (0.2,), "entr": (0.4,), "factorial": (2.5,), "xlogy": (1.2, 0.7), "xlog1py": (1.2, 0.7), "betaln": (1.5, 2.5), "beta": (1.5, 2.5),
    "rel_entr": (0.6, 0.3), "kl_div": (0.6, 0.3),
}  # fmt: skip


@pytest.mark.parametrize("name", list(POINTS))
def test_derivatives_to_third_order(name):
    f, args = getattr(special, name), POINTS[name]
    for k in range(len(args)):
        g = lambda x, k=k: f(*args[:k], x, *args[k + 1 :])  # noqa: E731
        for _ in range(3):
            d = weft.grad(g)
            h = 1e-5
            want = (float(g(args[k] + h)) - float(g(args[k] - h))) / (2 * h)
            np.testing.assert_allclose(d(args[k]), want, rtol=1e-6, atol=1e-8)
            np.testing.assert_allclose(weft.jvp(g, (args[k],), (1.0,))[1], d(args[k]), rtol=1e-12, atol=1e-14)
            if name in ("i0", "i1") and args[k] == 0.0:
                break  # i1e has a kink at 0, from its factor exp(-|x|)
            g = d


def test_derivatives_of_orders_of_polygamma():
    d = weft.grad(lambda x: special.polygamma(1, x))
    np.testing.assert_allclose(d(0.9), float(special.polygamma(2, 0.9)), rtol=1e-13)
    with pytest.raises(weft.StagingError, match="no derivative with respect to its first argument"):
        weft.grad(lambda s: special.zeta(s, 2.0))(3.0)


def test_derivatives_at_zero():
    assert weft.grad(lambda y: special.xlogy(0.0, y))(0.0) == 0
    assert weft.grad(lambda x: special.xlogy(x, 2.0))(0.0) == np.log(2)
    assert weft.grad(lambda x: special.i0e(x))(0.0) == 0 and weft.grad(lambda x: special.i1e(x))(0.0) == 0.5
    assert weft.grad(lambda x: special.expit(x))(-800.0) == 0 and weft.grad(lambda x: special.erf(x))(30.0) == 0
    g = weft.vmap(weft.grad(lambda x: special.rel_entr(x, 1.0)))(np.array([0.0, -1.0, 1.0]))
    np.testing.assert_array_equal(g, [0, 0, 1])


# -- what is not there -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: special.zeta(2.0), "without q, Riemann's function"),
        (lambda: special.factorial(3, exact=True), "math.factorial"),
        (lambda: special.polygamma(1, 1j), "of complex numbers"),
    ],
)
def test_refused(call, message):
    with pytest.raises(weft.StagingError, match=message):
        call()


def test_multigammaln_checks_its_argument():
    with pytest.raises(ValueError, match="not met"):
        special.multigammaln(0.5, 3)


# -- SciPy's own functions -----------------------------------------------------------------------------------------------


class Ufunc:
    """Stands for a compiled function of SciPy: it has a name, and no source."""

    def __init__(self, name):
        self.__name__ = name

    def __call__(self, x):
        raise AssertionError("not to be called while staging")


def test_scipys_functions_are_known_by_identity(monkeypatch):
    module = types.ModuleType("scipy.special")
    module.erf, module.datetime = Ufunc("erf"), np.datetime_data
    monkeypatch.setitem(sys.modules, "scipy.special", module)
    out = weft.jit(lambda x: module.erf(x) + 1.0)(np.array([0.0, 0.5]))
    assert type(out) is np.ndarray
    np.testing.assert_allclose(out, [1.0, 1.5204998778130465], rtol=1e-15)
    np.testing.assert_allclose(weft.grad(lambda x: module.erf(x))(0.0), 2 / np.sqrt(np.pi))
    with pytest.raises(weft.StagingError, match="datetime_data' is not compiled"):
        weft.jit(lambda x: module.datetime(x))(1.0)


def test_imports_are_lazy():
    code = (
        "import sys, weft, weft.numpy as wnp; weft.scipy;"
        "print([m for m in ('scipy', 'weft.scipy.special', 'weft.primitives') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_in_programs():
    def loglik(rate, counts):
        total = 0.0
        for k in range(counts.shape[0]):
            total += special.xlogy(counts[k], rate) - rate - special.gammaln(counts[k] + 1.0)
        return total

    counts = np.array([0.0, 2.0, 5.0, 1.0])
    want = sum(c * np.log(2.5) - 2.5 - float(special.gammaln(c + 1)) for c in counts)
    np.testing.assert_allclose(weft.jit(loglik)(2.5, counts), want, rtol=1e-13)
    np.testing.assert_allclose(weft.grad(loglik)(2.5, counts), np.sum(counts) / 2.5 - 4, rtol=1e-12)
    lanes = weft.vmap(loglik, in_axes=(0, None))(np.array([1.0, 2.5]), counts)
    np.testing.assert_allclose(lanes[1], want, rtol=1e-13)
    assert "special.erf(x)" in weft.grad(lambda x: special.erf(x) ** 2).source
    assert wnp is weft.numpy
