"""Complex functions on devices: NumPy's values over the plane, at branch cuts, and for infinities and NaN."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tests.cuda import build

NAMES = "exp log sqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh".split()
SPELLED = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh",
           "atanh": "arctanh"}  # fmt: skip
TYPES = {"c128": (np.complex128, 4e-15), "c64": (np.complex64, 2e-6)}
TEXT = (
    '#include "team.h"\n#include "complex.h"\nnamespace weft {\n'
    + "".join(
        f'extern "C" __global__ void {n}_{t}(const {t}* x, {t}* y, i64 n) {{\n  const Thread team;\n'
        f"  for (i64 i = team.index(); i < n; i += team.count()) y[i] = {n}(x[i]);\n}}\n"
        for n in NAMES
        for t in TYPES
    )
    + "".join(
        f'extern "C" __global__ void pow_{t}(const {t}* x, const {t}* z, {t}* y, i64 n) {{\n  const Thread team;\n'
        "  for (i64 i = team.index(); i < n; i += team.count()) y[i] = pow(x[i], z[i]);\n}\n"
        for t in TYPES
    )
    + "}\n"
)


@pytest.fixture(scope="module")
def device() -> build.Device:
    return build.Device(TEXT, tuple(f"{n}_{t}" for n in [*NAMES, "pow"] for t in TYPES))


def meaning(name: str, x: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return getattr(np, SPELLED.get(name, name))(x)


def applied(device: build.Device, name: str, t: str, x: np.ndarray) -> np.ndarray:
    x = x.astype(TYPES[t][0])
    got = np.empty_like(x)
    device(f"{name}_{t}", 2, x, got, len(x))
    return got


def plane(scale: float) -> np.ndarray:
    rng = np.random.default_rng(3)
    return (rng.standard_normal(2000) + 1j * rng.standard_normal(2000)) * scale


@pytest.mark.parametrize("t", TYPES)
@pytest.mark.parametrize("name", NAMES)
def test_values(device, name, t):
    """Both parts within some units in the last place of the whole."""
    dtype, bound = TYPES[t]
    for scale in (1e-12, 1e-3, 0.3, 1, 4, 30, 1e4, 1e12):
        x = plane(scale).astype(dtype)
        want = meaning(name, x.astype(np.complex128))
        size, last = np.abs(want), 1e300 if t == "c128" else 1e37
        fits = (size < last) & (size > 1 / last)
        if name in ("tan", "tanh", "sin", "cos", "sinh", "cosh", "exp"):
            fits &= (np.abs(x.real) < 1e5) & (np.abs(x.imag) < 1e5)
        got = applied(device, name, t, x)[fits]
        off = np.abs(got - want[fits]) / np.abs(want[fits])
        assert off.max(initial=0) < bound, f"{name}({x[fits][off.argmax()]}) = {got[off.argmax()]}, off by {off.max()}"


@pytest.mark.parametrize("name", NAMES)
def test_special_values(device, name):
    """Infinities, NaN and zeros of both signs, as the C library under NumPy has them; signs of zeros included."""
    parts = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, np.inf, -np.inf, np.nan]
    x = np.array([complex(a, b) for a, b in itertools.product(parts, parts)])
    got, want = applied(device, name, "c128", x), meaning(name, x)
    wrong = []
    for z, g, w in zip(x, got, want, strict=True):
        for a, b, other in ((g.real, w.real, w.imag), (g.imag, w.imag, w.real)):
            if np.isnan(other) and not np.isnan(b):  # C99 leaves the sign open
                a, b = abs(a), abs(b)
            if not np.isclose(a, b, rtol=1e-14, equal_nan=True) or (np.signbit(a) != np.signbit(b) and not np.isnan(b)):
                wrong.append(f"{name}({z}) = {g} for {w}")
    assert not wrong, "\n".join(dict.fromkeys(wrong))


def test_the_ends_of_the_range(device):
    """What overflows on the way but not in the end."""
    for name, points in {
        "exp": [709.9 + 0.785j, 710.1 - 2.2j],
        "sinh": [710.2 + 1j, -710.3 + 2j],
        "cosh": [710.2 + 1j, -710.3 + 2j],
        "sin": [1 + 710.2j, 2 - 710.3j],
        "cos": [1 + 710.2j, 2 - 710.3j],
        "sqrt": [1e308 + 1.7e308j, -1.7e308 - 1.7e308j, 5e-324 + 5e-324j, 1e-310 - 3e-312j],
        "log": [1.7e308 + 1.7e308j, 1e-320 + 1e-320j, 0.6 + 0.8j, 1 + 1e-9j, 0.9999999 + 1e-12j],
        "atanh": [1e300 + 1e299j, 1e-200 + 1e-200j, 1 + 1e-15j, 1 - 1e-15 + 0j],
        "asin": [1e150 + 1e150j, 1 + 1e-14j],
        "acosh": [1e150 + 1e150j, 1 + 1e-14j],
    }.items():
        x = np.array(points)
        got, want = applied(device, name, "c128", x), meaning(name, x)
        for a, b in ((got.real, want.real), (got.imag, want.imag)):
            np.testing.assert_allclose(a, b, rtol=1e-14, err_msg=name)


@pytest.mark.parametrize("t", TYPES)
def test_power(device, t):
    dtype, bound = TYPES[t]
    x, z = plane(1.5).astype(dtype), plane(2)[::-1].astype(dtype)
    z[::5] = np.arange(len(z[::5])) % 9 - 4  # whole exponents go by multiplication
    got = np.empty_like(x)
    device(f"pow_{t}", 2, x, np.ascontiguousarray(z), got, len(x))
    want = x.astype(np.complex128) ** z.astype(np.complex128)
    assert (np.abs(got - want) / np.abs(want)).max() < 40 * bound
