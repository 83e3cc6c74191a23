"""Fourier transforms against NumPy, compiled, batched and differentiated."""

from __future__ import annotations

import linecache

import numpy as np
import pytest
from tests.staged.util import check, same

import weft
import weft.numpy as wnp

R = np.random.default_rng(0)
V = R.normal(size=7)
V8 = R.normal(size=8)
M = R.normal(size=(4, 6))
T = R.normal(size=(2, 3, 4))
C = M + 1j * R.normal(size=(4, 6))
C5 = R.normal(size=5) + 1j * R.normal(size=5)

CASES = [
    *[(f"np.fft.{f}(a[0])", (x,)) for f in ("fft", "ifft", "hfft", "irfft") for x in (V, V8, M, C, C5)],
    *[(f"np.fft.{f}(a[0])", (x,)) for f in ("rfft", "ihfft") for x in (V, V8, M)],
    *[(f"np.fft.{f}(a[0], {n}, axis={axis}, norm={norm!r})", (M if "rf" in f[:2] or "ih" in f else C,)) for f in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft") for n, axis, norm in ((3, 0, "ortho"), (9, 1, "forward"), (8, -1, "backward"), (6, 1, None), (1, 0, "ortho"))],
    *[(f"np.fft.{f}(a[0])", (x.astype(d),)) for f in ("fft", "ifft") for x, d in ((V, "f4"), (V, "f2"), (C5, "c8"), (V * 9, "i4"), (V > 0, "?"))],
    *[(f"np.fft.{f}(a[0])", (V.astype(d),)) for f in ("rfft", "ihfft", "irfft", "hfft") for d in ("f4", "f2")],
    *[(f"np.fft.{f}(a[0])", (x,)) for f in ("fft2", "ifft2", "fftn", "ifftn", "irfft2", "irfftn") for x in (M, C, T)],
    *[(f"np.fft.{f}(a[0])", (x,)) for f in ("rfft2", "rfftn") for x in (M, T)],
    *[(f"np.fft.{f}(a[0], s=(5, 3), axes=(0, 2), norm='ortho')", (T,)) for f in ("fftn", "ifftn", "rfftn", "irfftn", "fft2", "ifft2", "rfft2", "irfft2")],
    ("np.fft.fftn(a[0], s=(-1, 3), axes=(0, 1))", (T,)), ("np.fft.irfftn(a[0], s=(3, -1), axes=(0, 2))", (T,)), ("np.fft.rfftn(a[0], axes=(2, 0))", (T,)), ("np.fft.fftn(a[0], axes=(0, 0))", (M,)), ("np.fft.fft(a[0], a[1])", (V, 5)), ("np.fft.rfft(a[0], a[1])", (V, 10)), ("np.fft.irfft(a[0], a[1])", (C5, 9)),
    *[(f"np.fft.{f}(a[0]{more})", (x,)) for f in ("fftshift", "ifftshift") for x, more in ((V, ""), (V8, ""), (M, ""), (M, ", axes=1"), (T, ", axes=(0, -1)"))],
    *[(f"np.fft.{f}({n})", ()) for f in ("fftfreq", "rfftfreq") for n in ("8", "7", "1", "8, 0.5", "9, d=0.1")], *[(f"np.fft.{f}(a[0], a[1])", (n, 0.25)) for f in ("fftfreq", "rfftfreq") for n in (8, 7)], ("np.fft.fftfreq(a[0].size)", (V,)),
]  # fmt: skip
IDS = [f"{text}-{k}" for k, (text, _) in enumerate(CASES)]


def python_function(text):
    """The case as a function with source."""
    file, source = f"<fft {text}>", f"def case(*a):\n    return {text}\n"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    space = {"np": np}
    exec(compile(source, file, "exec"), space)
    return space["case"]


@pytest.mark.parametrize(("text", "args"), CASES, ids=IDS)
@pytest.mark.parametrize("symbolic", [True, False], ids=["sym", "lit"])
def test_matches_numpy(text, args, symbolic):
    check(eval("lambda np, *a: " + text), *args, symbolic=symbolic, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("text", "args"), CASES[::5], ids=IDS[::5])
def test_compiled(text, args):
    f = python_function(text)
    same(weft.jit(f)(*args), f(*args), rtol=1e-11, atol=1e-11)


def test_one_program_for_all_sizes():
    f = weft.jit(lambda x: np.fft.irfft(np.fft.rfft(x) * 2, x.size))
    for n in (4, 7, 9, 16):
        x = R.normal(size=n)
        np.testing.assert_allclose(f(x), 2 * x, atol=1e-12)
    info = f.cache_info()
    assert info.compilations + info.loaded == 1, info


def test_public_functions():
    assert isinstance(wnp.fft.fft(V), weft.Array)
    np.testing.assert_allclose(wnp.fft.fftshift(wnp.fft.fftfreq(6)), np.fft.fftshift(np.fft.fftfreq(6)))
    assert set(wnp.fft.__all__) == set(np.fft.__all__)


@pytest.mark.parametrize(
    ("text", "args", "error", "message"),
    [
        ("np.fft.rfft(a[0])", (C5,), TypeError, "rfft"),
        ("np.fft.fft(a[0], 0)", (V,), ValueError, r"Invalid number of FFT data points \(0\) specified"),
        ("np.fft.irfft(a[0])", (np.ones(1),), ValueError, r"Invalid number of FFT data points \(0\) specified"),
        ("np.fft.fft(a[0], norm='odd')", (V,), ValueError, "Invalid norm value odd"),
        ("np.fft.fftn(a[0], s=(3,), axes=(0, 1))", (M,), ValueError, "Shape and axes have different lengths"),
        ("np.fft.fft(a[0], axis=2)", (M,), IndexError, "axis 2 is out of bounds"),
    ],
)
def test_errors_are_numpys(text, args, error, message):
    with pytest.raises(error, match=message):
        weft.jit(python_function(text))(*args)
    with pytest.raises(error):
        python_function(text)(*args)


def test_a_computed_size():
    f = weft.jit(lambda x: np.fft.fft(x, np.sum(x > 0) + 2))
    for x in (V, np.abs(V), -np.abs(V)):
        np.testing.assert_allclose(f(x), np.fft.fft(x, np.sum(x > 0) + 2), atol=1e-12)
    with pytest.raises(ValueError, match="negative|Invalid"):
        weft.jit(lambda x: np.fft.fft(x, np.sum(x > 0)))(-np.abs(V))


GRADS = [
    ("np.sum(np.abs(np.fft.fft(a[0])) ** 4)", V),
    ("np.sum(np.abs(np.fft.ifft(a[0], 5, norm='ortho')) ** 4)", V),
    ("np.sum(np.abs(np.fft.rfft(a[0])) ** 4)", V),
    ("np.sum(np.abs(np.fft.rfft(a[0])) ** 4)", V8),
    ("np.sum(np.abs(np.fft.rfft(a[0], 12)) ** 4)", V8),
    ("np.sum(np.fft.irfft(a[0]) ** 3)", V),
    ("np.sum(np.fft.irfft(a[0] * (1 + 2j), 9) ** 3)", V),
    ("np.sum(np.fft.hfft(a[0] * (1 + 2j)) ** 3)", V),
    ("np.sum(np.abs(np.fft.ihfft(a[0])) ** 4)", V),
    ("np.sum(np.abs(np.fft.rfft2(a[0])) ** 4)", M),
    ("np.sum(np.fft.irfftn(np.fft.rfftn(a[0]) ** 2, s=a[0].shape, axes=(0, 1, 2)) ** 3)", T),
    ("np.sum(np.abs(np.fft.fftn(a[0], s=(3, 5), axes=(0, 2))) ** 4)", T),
]


@pytest.mark.parametrize(("text", "x"), GRADS, ids=[t for t, _ in GRADS])
def test_gradients(text, x):
    f = python_function(text)
    g = weft.grad(f)(x)
    t, u = R.normal(size=x.shape), R.normal(size=x.shape)
    h = 1e-6
    want = (f(x + h * t) - f(x - h * t)) / (2 * h)
    np.testing.assert_allclose(np.sum(g * t), want, rtol=1e-6)
    np.testing.assert_allclose(weft.jvp(f, (x,), (t,))[1], want, rtol=1e-6)
    second = weft.jvp(weft.grad(f), (x,), (t,))[1]
    want = (weft.grad(f)(x + h * t) - weft.grad(f)(x - h * t)) / (2 * h)
    np.testing.assert_allclose(np.sum(second * u), np.sum(want * u), rtol=1e-5)


def test_in_loops_branches_and_lanes():
    def settle(x, k):
        for _ in range(k):
            s = np.fft.rfft(x)
            if np.abs(s[1]) > 1.0:
                s = s * np.exp(-0.1 * np.arange(s.size))
            x = np.fft.irfft(s, x.size)
        return np.sum(x**2)

    xs = R.normal(size=(4, 9)) * np.array([[0.1], [1.0], [2.0], [3.0]])
    np.testing.assert_allclose(weft.vmap(settle, in_axes=(0, None))(xs, 3), [settle(x, 3) for x in xs], rtol=1e-12)
    g = weft.vmap(weft.grad(settle), in_axes=(0, None))(xs, 3)
    for row, x in zip(g, xs):
        np.testing.assert_allclose(row, weft.grad(settle)(x, 3), rtol=1e-10, atol=1e-12)
        t = R.normal(size=9)
        want = (settle(x + 1e-6 * t, 3) - settle(x - 1e-6 * t, 3)) / 2e-6
        np.testing.assert_allclose(np.sum(row * t), want, rtol=1e-6, atol=1e-8)


def test_batched_transform_is_one_transform():
    f = weft.jit(weft.vmap(lambda x: np.fft.rfft(x), in_axes=1))
    np.testing.assert_allclose(f(M), np.fft.rfft(M.T), rtol=1e-12)
    assert str(f.inspect(M).ir).count("rfft(") == 1
