"""Small hand-written kernels, compiled and linked as generated code is: no includes, plain ``ld``."""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from weft.runtime import Dispatcher, Plan, paths

sys.path.insert(0, str(Path(__file__).parents[2]))  # makes `tests.runtime.method_table` importable

# Declarations generated code repeats; the ABI header itself includes nothing.
PRELUDE = (paths.include_dir() / "weft" / "abi.h").read_text().replace("#pragma once", "")
SANITIZE = ["-fsanitize=address,undefined", "-g"] if os.environ.get("WEFT_SANITIZE") else []


class Kernels:
    """Compiles C++ function bodies to artifacts, each source once."""

    def __init__(self, folder: Any) -> None:
        self.folder = folder
        self.modules: dict[str, ModuleType] = {}

    def module(self, source: str, names: list[str]) -> ModuleType:
        name = "w" + hashlib.sha256(source.encode()).hexdigest()[:24]
        if name not in self.modules:
            self.modules[name] = self._build(name, source, names)
        return self.modules[name]

    def _build(self, name: str, source: str, names: list[str]) -> ModuleType:
        listed = ", ".join(f'"{entry}"' for entry in names)
        meta = json.dumps({"names": names}).replace('"', '\\"')
        text = f"""{PRELUDE}
{source}
static const char* const names[] = {{{listed}}};
static const WeftEntry entries[] = {{{", ".join(names)}}};
static const WeftArtifact artifact = {{WEFT_ABI_VERSION, "{name}", "{meta}", {len(names)}, names, entries}};
extern "C" __attribute__((visibility("default"))) void* PyInit_{name}() {{ return weft_bind_module(&artifact); }}
"""
        cpp, obj, out = (self.folder / f"{name}{suffix}" for suffix in (".cpp", ".o", ".so"))
        cpp.write_text(text)
        compiler = os.environ.get("CXX", "g++")
        subprocess.run([compiler, "-std=c++17", "-O2", "-fPIC", *SANITIZE, "-c", str(cpp), "-o", str(obj)], check=True)
        subprocess.run(paths.link_command([obj], out, debug=bool(SANITIZE)), check=True)
        loader = importlib.machinery.ExtensionFileLoader(name, str(out))
        spec = importlib.util.spec_from_file_location(name, out, loader=loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        return module

    def entry(self, body: str, prelude: str = "") -> Any:
        """A capsule of one entry with this body; ``in``, ``out``, ``sizes`` and ``ctx`` are in scope."""
        source = f"""{prelude}
static int run(WeftContext* ctx, void** in, void** out, const weft_i64* sizes) {{
  (void)ctx, (void)in, (void)out, (void)sizes;
  {body}
  return WEFT_OK;
}}
"""
        return self.module(source, ["run"]).entries["run"]


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    return Kernels(tmp_path_factory.mktemp("kernels"))


@pytest.fixture
def jitted(kernels: Kernels) -> Callable[..., Dispatcher]:
    """A function that makes a dispatcher whose slow path adds one plan with the given kernel, and runs it."""

    def make(body: str, prelude: str = "", options: dict[str, Any] | None = None, **plan: Any) -> Dispatcher:
        entry = kernels.entry(body, prelude)

        def slow(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            signature = dispatcher.signature(args, kwargs, plan.get("hidden", ()))
            made = Plan(entry, **{"hidden_key": signature.hidden_key, **plan})
            dispatcher.add(signature.key, made)
            dispatcher.slow_calls += 1
            return dispatcher.run(made, args, kwargs)

        dispatcher = Dispatcher(slow, **(options or {}))
        dispatcher.slow_calls = 0
        return dispatcher

    return make
