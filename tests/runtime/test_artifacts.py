"""The binding object, and how artifacts are linked."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from weft.runtime import paths


def test_paths_exist():
    assert paths.templates_dir().name in ("templates", "_templates")
    assert (paths.include_dir() / "weft" / "abi.h").is_file()
    assert paths.binding_object().is_file()


def test_module(kernels):
    source = """
    static int one(WeftContext*, void**, void** out, const weft_i64*) { *(double*)out[0] = 1; return 0; }
    static int two(WeftContext*, void**, void** out, const weft_i64*) { *(double*)out[0] = 2; return 0; }
    """
    module = kernels.module(source, ["one", "two"])
    assert module.__name__.startswith("w")
    assert sorted(module.entries) == ["one", "two"]
    assert json.loads(module.meta) == {"names": ["one", "two"]}
    assert "weft.entry" in repr(module.entries["one"])


def test_wrong_abi(kernels):
    # Also shows that a C++ exception thrown inside an artifact is caught there.
    source = """
    #undef WEFT_ABI_VERSION
    #define WEFT_ABI_VERSION 999
    static int one(WeftContext*, void**, void**, const weft_i64*) { return 0; }
    """
    with pytest.raises(ImportError, match="another version"):
        kernels.module(source, ["one"])


def test_loads_in_a_fresh_process(kernels):
    module = kernels.module("static int other(WeftContext*, void**, void**, const weft_i64*) { return 0; }", ["other"])
    code = (
        "import sys, importlib.machinery, importlib.util\n"
        f"spec = importlib.util.spec_from_file_location({module.__name__!r}, {module.__file__!r})\n"
        "m = importlib.util.module_from_spec(spec); spec.loader.exec_module(m); print(list(m.entries))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "['other']", run.stderr


def test_math_functions_link(kernels):
    from weft.runtime import Dispatcher, Plan

    prelude = 'extern "C" double exp(double);'
    entry = kernels.entry("*(double*)out[0] = exp(*(double*)in[0]);", prelude)
    plan = Plan(entry, results=[("scalar", "f8", 0, "py", -1)], tree=("leaf", 0))
    assert Dispatcher(None).run(plan, (0.0,)) == 1.0


def test_import_is_light():
    code = (
        "import sys, weft, weft.runtime\n"
        "print([m for m in ('gast', 'jinja2', 'beniget', 'scipy_openblas64', 'subprocess') if m in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() in ("[]", "['subprocess']")
