"""The expression of every elementwise primitive, for every dtype, as device code: against its NumPy meaning."""

from __future__ import annotations

import numpy as np
import pytest
from tests.cuda import build
from tests.primitives import test_cpp as cpp

from weft.ir.primitive import REGISTRY
from weft.ir.types import SHORT, f16, is_complex

KERNELS = [
    (name, dtypes, attrs)
    for name, dtypes, attrs in cpp.KERNELS
    if f16 not in (*dtypes, cpp.out_dtype(name, dtypes, attrs))
]


def source(number: int, name: str, dtypes: tuple, attrs: dict) -> str:
    """A kernel that applies a primitive to arrays."""
    out = cpp.out_dtype(name, dtypes, attrs)
    params = "".join(f", const {SHORT[d]}* __restrict x{k}" for k, d in enumerate(dtypes))
    expr = REGISTRY[name].kind.cpp([f"x{k}[i]" for k in range(len(dtypes))], list(dtypes), out)
    return (
        f'extern "C" __global__ void k{number}({SHORT[out]}* __restrict y{params}, i64 n) {{ // {name}\n'
        f"  const Thread team;\n  for (i64 i = team.index(); i < n; i += team.count()) y[i] = {expr};\n}}\n"
    )


TEXT = (
    '#include "team.h"\n#include "complex.h"\n'
    + cpp.HEADERS
    + "namespace weft {\n"
    + "".join(source(k, *kernel) for k, kernel in enumerate(KERNELS))
    + "}\n"
)


@pytest.fixture(scope="module")
def device() -> build.Device:
    return build.Device(TEXT, tuple(f"k{k}" for k in range(len(KERNELS))))


@pytest.mark.parametrize("name", cpp.ELEMENTWISE)
def test_expression_is_numpy_meaning(device, name):
    for number, (kernel, dtypes, attrs) in enumerate(KERNELS):
        if kernel != name:
            continue
        operands = [np.ascontiguousarray(x) for x in cpp.operands_for(name, dtypes, attrs)]
        out = cpp.out_dtype(name, dtypes, attrs)
        got = np.zeros(len(operands[0]), out)
        device(f"k{number}", 3, got, *operands, len(got))
        with np.errstate(all="ignore"):
            want = REGISTRY[name].numpy(*operands, **attrs)
        bound = cpp.tolerance(name, dtypes, out)
        parts = ((got.real, want.real), (got.imag, want.imag)) if is_complex(out) else ((got, want),)
        for x, y in parts:
            scale = bound * np.abs(want[np.isfinite(want)]).max() if is_complex(out) and bound else 0
            wrong = np.flatnonzero(~np.isclose(x, y, rtol=bound, atol=scale, equal_nan=True))[:6]
            assert not wrong.size, f"{name} {dtypes} {attrs}: " + "; ".join(
                f"{[o[k] for o in operands]}: {got[k]} for {want[k]}" for k in wrong
            )


@pytest.mark.parametrize("arch", build.compilers())
def test_compiles_for(arch):
    build.nvcc(TEXT, arch)
