"""The C++ expression of every elementwise primitive, for every dtype, against its NumPy meaning."""

from __future__ import annotations

import ctypes
import itertools
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import weft.primitives  # noqa: F401
from weft.ir.primitive import REGISTRY, Elementwise
from weft.ir.types import SHORT, ArrayType, bool_, f16, is_complex, is_float, is_integer, real_dtype

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["-std=c++17", "-march=native", "-fwrapv", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"]
ELEMENTWISE = sorted(n for n, p in REGISTRY.items() if isinstance(p.kind, Elementwise))
# +0 and -0 are equal extremes: which one comes is not said
SIGN_OF_ZERO_OPEN = {"maximum", "minimum", "fmax", "fmin"}


def specials(dtype):
    """Values of a dtype where implementations differ."""
    if dtype == bool_:
        return np.array([False, True])
    if is_integer(dtype):
        info = np.iinfo(dtype)
        some = [0, 1, 2, 3, 5, 7, 8, 63, 64, 100, info.max, info.max - 1]
        return np.array([*some, *([-1, -2, -3, -7, info.min, info.min + 1] if info.min else [])], dtype)
    if is_float(dtype):
        some = [
            0.0,
            -0.0,
            1,
            -1,
            0.5,
            -0.5,
            2,
            2.5,
            -3.5,
            3,
            0.1,
            -7.3,
            20,
            700,
            -700,
            1e-3,
            1e4,
            np.nan,
            np.inf,
            -np.inf,
        ]
        with np.errstate(all="ignore"):
            return np.array([*some, np.finfo(dtype).max, np.finfo(dtype).tiny]).astype(dtype)
    parts = [0.0, 1, -0.5, 2, -3.25, 0.1]
    return np.array([complex(x, y) for x in parts for y in parts], dtype)


def in_range(x, dtype):
    """The values whose conversion to ``dtype`` C defines."""
    if is_integer(dtype) and x.dtype.kind in "fc":
        real, info = x.real.astype(np.float64), np.iinfo(dtype)
        return x[np.isfinite(real) & (real > max(info.min, -1e18)) & (real < min(info.max, 1e18)) & (real > -1)]
    return x


def signatures(name):
    """Operand dtypes and attributes that the type rule accepts."""
    prim = REGISTRY[name]
    if name == "select":
        return [((bool_, d, d), {}) for d in SHORT]
    if name == "cast":
        return [((d,), {"dtype": e}) for d in SHORT for e in SHORT]
    arity = len(prim.samples()[0][0])
    found = []
    for d in SHORT:
        try:
            prim.type_rule(*[ArrayType(d)] * arity)
        except TypeError:
            continue
        found.append(((d,) * arity, {}))
    return found


KERNELS = [(name, dtypes, attrs) for name in ELEMENTWISE for dtypes, attrs in signatures(name)]

HEADERS = "".join(f'#include "{h}"\n' for h in sorted({h for n in ELEMENTWISE for h in REGISTRY[n].kind.needs}))


def out_dtype(name, dtypes, attrs):
    return REGISTRY[name].type_rule(*map(ArrayType, dtypes), **attrs)[0].dtype


def source(number, name, dtypes, attrs):
    out = out_dtype(name, dtypes, attrs)
    params = ", ".join(f"const {SHORT[d]}* __restrict x{k}" for k, d in enumerate(dtypes))
    expr = REGISTRY[name].kind.cpp([f"x{k}[i]" for k in range(len(dtypes))], list(dtypes), out)
    return (
        f'extern "C" void k{number}({SHORT[out]}* __restrict y, {params}, i64 n) {{ // {name}\n'
        f"  for (i64 i = 0; i < n; ++i) {{\n    auto v = {expr};\n    y[i] = v;\n"
        f'    static_assert(__is_same(decltype(v), {SHORT[out]}), "{name}");\n  }}\n}}\n'
    )


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++")
    folder = tmp_path_factory.mktemp("cpp")
    halves = []
    for part in range(2):  # two compilers at once
        text = HEADERS + "namespace weft {\n"
        text += "".join(source(k, *kernel) for k, kernel in enumerate(KERNELS) if k % 2 == part) + "}\n"
        path = folder / f"part{part}.cpp"
        path.write_text(text)
        command = [compiler, "-O3", *FLAGS, "-fPIC", "-c", "-I", str(ROOT / "csrc/kernels")]
        halves.append(
            subprocess.Popen([*command, str(path), "-o", str(path.with_suffix(".o"))], stderr=subprocess.PIPE)
        )
    for p in halves:
        _, errors = p.communicate()
        assert p.returncode == 0, errors.decode()[:1500]
    objects = [str(folder / f"part{part}.o") for part in range(2)]
    subprocess.run([compiler, "-shared", *objects, "-o", str(folder / "all.so"), "-lm"], check=True)
    return ctypes.CDLL(str(folder / "all.so"))


def operands_for(name, dtypes, attrs):
    if name == "cast":
        return [in_range(specials(dtypes[0]), attrs["dtype"])]
    columns = [specials(d) for d in dtypes]
    if name in ("pow", "div", "reciprocal") and is_complex(dtypes[0]):
        columns[-1] = columns[-1][columns[-1] != 0]
        columns[0] = columns[0][columns[0] != 0] if name == "pow" else columns[0]
    if len(dtypes) == 1:
        return columns
    rows = list(itertools.product(*[range(len(c)) for c in columns]))
    return [np.array([c[r[k]] for r in rows]) for k, c in enumerate(columns)]


def tolerance(name, dtypes, out):
    """Exact where arithmetic is; a few units in the last place for the math library."""
    prim = REGISTRY[name]
    if out.kind in "biu":
        return 0.0
    if not is_complex(dtypes[-1]) and prim.kind.cost <= 8 and name != "sqrt":
        return 0.0
    return {2: 2e-3, 4: 2e-6, 8: 1e-14}[real_dtype(out).itemsize]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_expression_is_numpy_meaning(library, name):
    for number, (kernel, dtypes, attrs) in enumerate(KERNELS):
        if kernel != name:
            continue
        operands = operands_for(name, dtypes, attrs)
        out = out_dtype(name, dtypes, attrs)
        got = np.zeros(len(operands[0]), out)
        pointers = [ctypes.c_void_p(x.ctypes.data) for x in (got, *operands)]
        getattr(library, f"k{number}")(*pointers, ctypes.c_longlong(len(got)))
        want = REGISTRY[name].numpy(*operands, **attrs)
        where = f"{name} {dtypes} {attrs}"
        bound = tolerance(name, dtypes, out)
        for x, y in ((got.real, want.real), (got.imag, want.imag)) if is_complex(out) else ((got, want),):
            scale = bound * np.abs(want[np.isfinite(want)]).max() if is_complex(out) and bound else 0
            try:
                np.testing.assert_allclose(x, y, rtol=bound, atol=scale)
            except AssertionError as e:
                wrong = [
                    tuple(o[k] for o in operands)
                    for k in np.flatnonzero(~np.isclose(x, y, rtol=bound, atol=scale, equal_nan=True))[:6]
                ]
                raise AssertionError(f"{where} at {wrong}: {e}") from None
            if is_float(out) and name not in SIGN_OF_ZERO_OPEN and out != f16:
                zero = y == 0
                np.testing.assert_array_equal(np.signbit(x[zero]), np.signbit(y[zero]), err_msg=where)


def test_header_needs_nothing_else():
    for header in (ROOT / "csrc/kernels").glob("*.h"):
        if header.name in ("scalar.h", "complex.h", "special.h"):
            text = header.read_text()
            included = [line for line in text.splitlines() if line.startswith("#include")]
            assert all(line.startswith('#include "') for line in included), header
