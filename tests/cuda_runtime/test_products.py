"""Matrix products on a GPU: through cuBLAS where it opens (a stand-in here), else by a kernel of weft's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.cuda import build as emulator

ROOT = Path(__file__).resolve().parents[2]

CUBLAS = r"""
// Column by column, as cuBLAS counts.
#include <complex.h>
#include <stdio.h>
#include <stdlib.h>
static int calls;
int stand_in_calls() { return calls; }
int cublasCreate_v2(void** h) { *h = malloc(1); return getenv("NO_CUBLAS") ? 1 : 0; }
int cublasSetStream_v2(void* h, void* s) { return 0; }
extern void fake_open(int);
extern void fake_close(int);
#define GEMM(name, T, CONJ) \
int name(void* h, int ta, int tb, int m, int n, int k, const T* alpha, const T* a, int lda, const T* b, int ldb, \
         const T* beta, T* c, int ldc) { \
  ++calls; \
  if (lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m) return 7; \
  fake_open(0); \
  for (int i = 0; i < m; ++i) for (int j = 0; j < n; ++j) { \
    T s = 0; \
    for (int l = 0; l < k; ++l) { \
      T x = ta ? a[i * lda + l] : a[l * lda + i], y = tb ? b[l * ldb + j] : b[j * ldb + l]; \
      s += (ta == 2 ? CONJ(x) : x) * (tb == 2 ? CONJ(y) : y); \
    } \
    c[j * ldc + i] = *alpha * s + (*beta == 0 ? 0 : *beta * c[j * ldc + i]); \
  } \
  fake_close(0); \
  return 0; \
}
#define SAME(x) (x)
GEMM(cublasSgemm_v2, float, SAME)
GEMM(cublasDgemm_v2, double, SAME)
GEMM(cublasCgemm_v2, float complex, conjf)
GEMM(cublasZgemm_v2, double complex, conj)
"""

PROGRAM = """
import ctypes, os, numpy as np, weft, weft.numpy as wnp
from weft import _runtime
from weft.runtime import paths
from weft.build import cuda
from tests.cuda_runtime.conftest import emulated
cuda.build = emulated
paths.nvidia_libraries = lambda name: ["/nowhere/libcublas.so.13", os.environ["STAND_IN"]]
(gpu,) = weft.devices("gpu")

@weft.jit
def product(a, b):
    return a @ b

def calls():
    return ctypes.CDLL(os.environ["STAND_IN"]).stand_in_calls()

rng = np.random.default_rng(0)
for dtype in ("f4", "f8", "c8", "c16"):
    for m, k, n in ((40, 30, 50), (2, 70, 3), (64, 64, 64)):
        a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
        if dtype[0] == "c":
            a, b = a * (1 + 2j), b - 1j
            a, b = a.astype(dtype), b.astype(dtype)
        for x, y in ((a, b), (a.T.copy().T, b), (a, b.T.copy().T)):
            got = product(weft.device_put(x, gpu), weft.device_put(y, gpu))
            np.testing.assert_allclose(np.asarray(got), x @ y, rtol=1e-3 if dtype in ("f4", "c8") else 1e-10, atol=1e-3)

    @weft.jit
    def turned(a, b):
        return a.T @ b.T, wnp.conj(a).T @ a

    got = turned(weft.device_put(a, gpu), weft.device_put(b, gpu))
    np.testing.assert_allclose(np.asarray(got[0]), a.T @ b.T, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(np.asarray(got[1]), a.conj().T @ a, rtol=1e-3, atol=1e-3)
print(calls() > 0, os.path.basename(_runtime.cublas_library()))
"""


@pytest.fixture(scope="session")
def stand_in(driver, tmp_path_factory):
    """A library with cuBLAS's names, which computes at once: it must come after what is queued."""
    folder = tmp_path_factory.mktemp("cublas")
    source, out = folder / "cublas.c", folder / "libcublas.so.12"
    source.write_text(CUBLAS)
    command = ["gcc", "-O1", "-w", "-shared", "-fPIC", str(source), "-o", str(out), str(driver.path), "-lm"]
    subprocess.run(command, check=True)
    return out


FLAGS = f"-DWEFT_THREADS={emulator.THREADS}"


def test_through_a_library(run, stand_in):
    said = run(PROGRAM, "devices=1 memory=67108864", STAND_IN=str(stand_in), WEFT_CXXFLAGS=FLAGS, PYTHONPATH=str(ROOT))
    assert said == "True libcublas.so.12\n"


def test_one_that_does_not_fit_the_driver_is_none(run, stand_in):
    settings = {"STAND_IN": str(stand_in), "NO_CUBLAS": "1", "WEFT_CXXFLAGS": FLAGS, "PYTHONPATH": str(ROOT)}
    assert run(PROGRAM, "devices=1 memory=67108864", **settings) == "False libcublas.so.12\n"
