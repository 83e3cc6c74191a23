"""An artifact as generated code makes it: linked with the binding object, called through the dispatcher."""

import subprocess
import sys

import numpy as np
import pytest

from weft.build import artifact

pytest.importorskip("weft._runtime")
from weft.runtime import Dispatcher, Plan, paths  # noqa: E402

BODY = """
extern "C" __attribute__((simd("notinbranch"), nothrow, leaf, const)) double exp(double);
static int run(WeftContext* ctx, void** in, void** out, const weft_i64* sizes) {
  double* __restrict y = (double*)ctx->result(ctx, 0, 1, sizes);
  if (!y) return WEFT_NO_MEMORY;
  const double* x = (const double*)in[0];
  for (weft_i64 i = 0; i < sizes[0]; i++) y[i] = exp(x[i]) * SCALE;
  return WEFT_OK;
}
static const char* const names[] = {"run"};
static const WeftEntry entries[] = {run};
static const WeftArtifact artifact = {WEFT_ABI_VERSION, "@HASH@", "{}", 1, names, entries};
extern "C" __attribute__((visibility("default"))) void* PyInit_@HASH@() { return weft_bind_module(&artifact); }
"""


def text(scale=2.0):
    abi = (paths.include_dir() / "weft" / "abi.h").read_text().replace("#pragma once", "")
    return abi + BODY.replace("SCALE", repr(scale))


def test_runs(root, compiler):
    module = artifact.build(text(), name="scaled_exp")
    assert module.meta == "{}"
    assert len(module.__name__) == 32

    def slow(args, kwargs):
        key = d.signature(args, kwargs).key
        plan = Plan(
            module.entries["run"], owner=module, results=[("array", np.dtype("f8"), 1, "np", 0)], tree=("leaf", 0)
        )
        d.add(key, plan)
        return d.run(plan, args, kwargs)

    d = Dispatcher(slow)
    x = np.linspace(-2, 2, 1001)
    np.testing.assert_allclose(d(x), np.exp(x) * 2.0, rtol=1e-15)


def test_loads_in_a_new_process(root, compiler):
    key = artifact.build(text(3.0)).__name__
    code = (
        "import sys; from weft.build import artifact\n"
        f"print(artifact.load({key!r}).__name__, 'subprocess' in sys.modules and 'gast' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert out.stdout == f"{key} False\n", out.stderr
