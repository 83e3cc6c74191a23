"""ctx->gemm, on OpenBLAS and on the plain loops."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from weft import _runtime
from weft.runtime import Dispatcher, Plan

BODY = """
  weft_i64* p = (weft_i64*)in[3];
  ctx->gemm(ctx, (int)p[0], (int)p[1], (int)p[2], p[3], p[4], p[5], in[0], sizes[1], in[1], sizes[3], in[2], sizes[5], (int)p[6]);
"""


def check(kernels, dtype, ta, tb, m, n, k, accumulate):
    rng = np.random.default_rng(0)

    def sample(*shape):
        real = rng.standard_normal(shape)
        return (real + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else real).astype(dtype)

    a, b, c = sample(*((k, m) if ta else (m, k))), sample(*((n, k) if tb else (k, n))), sample(m, n)
    op = [lambda x: x, lambda x: x.T, lambda x: x.conj().T]
    want = op[ta](a) @ op[tb](b) + (c if accumulate else 0)
    parameters = np.array([np.dtype(dtype).num, ta, tb, m, n, k, accumulate])
    Dispatcher(None).run(Plan(kernels.entry(BODY), mutates=[2], heavy=True), (a, b, c, parameters))
    np.testing.assert_allclose(c, want, rtol=2e-4 if np.dtype(dtype).itemsize // (1 + (np.dtype(dtype).kind == "c")) == 4 else 1e-10,
                               atol=1e-3 if dtype in ("f4", "c8") else 1e-10)  # fmt: skip


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("accumulate", [0, 1])
def test_gemm(kernels, dtype, accumulate):
    for ta in (0, 1, 2):
        for tb in (0, 1, 2):
            for m, n, k in ((1, 1, 1), (3, 4, 5), (17, 1, 9), (1, 20, 7), (5, 6, 0), (0, 3, 2), (130, 140, 150)):
                check(kernels, dtype, ta, tb, m, n, k, accumulate)


def test_openblas_is_found():
    pytest.importorskip("scipy_openblas64")
    assert "openblas" in _runtime.blas_library()


def test_plain_loops():
    code = (
        "import weft.runtime, sys, pytest; from weft import _runtime; _runtime.set_blas_path('');"
        f"sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', {__file__!r}, '-k', 'test_gemm']) or bool(_runtime.blas_library()))"
    )
    run = subprocess.run([sys.executable, "-c", code], env={**os.environ}, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
