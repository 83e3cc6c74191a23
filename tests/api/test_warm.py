"""Warm starts in a second process, and what must make it stage again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import json, sys
import numpy as np
import weft

RATE = 0.5
TABLE = np.arange(4.0)
LIMIT = {limit}

def helper(x):
    return x * {factor}

def loss(w, x):
    return np.sum((x @ w - helper(1.0)) ** 2)

@weft.jit
def step(w, x):
    return w - RATE * weft.grad(loss)(w, x)

@weft.jit
def lookup(i):
    return TABLE[i] + (1.0 if LIMIT else 2.0)

w, x = np.ones(3), np.arange(6.0).reshape(2, 3)
first = step(w, x).tolist()
RATE = 0.25
second = step(w, x).tolist()
try:
    lookup(7)
    error = ""
except IndexError as e:
    error = str(e)
print(json.dumps(dict(
    first=first, second=second, lookup=lookup(2), error=error, info=step.cache_info(), loaded=lookup.cache_info().loaded,
    frontend="gast" in sys.modules, templates="jinja2" in sys.modules,
)))
"""


def run(folder: Path, cache: Path, env: dict[str, str] | None = None, **settings: Any) -> dict[str, Any]:
    """Run the program in a process of its own."""
    file = folder / "program.py"
    file.write_text(PROGRAM.format(**{"factor": 2.0, "limit": True, **settings}))
    done = subprocess.run(
        [sys.executable, "-B", str(file)],
        env={**os.environ, "WEFT_CACHE_DIR": str(cache), **(env or {})},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    out: dict[str, Any] = json.loads(done.stdout)
    out["stderr"] = done.stderr
    return out


def expected(factor: float, limit: bool) -> dict[str, Any]:
    import numpy as np

    w, x = np.ones(3), np.arange(6.0).reshape(2, 3)
    g = 2 * x.T @ (x @ w - factor)
    return {
        "first": (w - 0.5 * g).tolist(),
        "second": (w - 0.25 * g).tolist(),
        "lookup": 2.0 + (1.0 if limit else 2.0),
        "error": "index 7 is out of bounds for axis 0 with size 4",
    }


def check(out: dict[str, Any], factor: float = 2.0, limit: bool = True) -> None:
    want = expected(factor, limit)
    assert out["first"] == pytest.approx(want["first"])
    assert out["second"] == pytest.approx(want["second"])
    assert (out["lookup"], out["error"]) == (want["lookup"], want["error"])


def test_a_second_process_neither_stages_nor_compiles(tmp_path: Path) -> None:
    cold = run(tmp_path, tmp_path / "cache")
    check(cold)
    assert cold["info"][:3] == [1, 1, 0] and cold["frontend"]
    warm = run(tmp_path, tmp_path / "cache")
    check(warm)
    assert warm["info"][:3] == [0, 1, 1] and warm["loaded"] == 1
    assert not warm["frontend"] and not warm["templates"]


def test_a_changed_helper_is_staged_again(tmp_path: Path) -> None:
    run(tmp_path, tmp_path / "cache")
    changed = run(tmp_path, tmp_path / "cache", factor=3.0)
    check(changed, factor=3.0)
    assert changed["info"][:3] == [1, 1, 0] and changed["loaded"] == 1


def test_a_changed_captured_flag_is_staged_again(tmp_path: Path) -> None:
    run(tmp_path, tmp_path / "cache")
    changed = run(tmp_path, tmp_path / "cache", limit=False)
    check(changed, limit=False)
    assert changed["info"][:3] == [0, 1, 1] and changed["loaded"] == 0


def test_without_a_compiler_results_are_the_same_after_one_warning(tmp_path: Path) -> None:
    out = run(tmp_path, tmp_path / "cache", {"CXX": str(tmp_path / "no-compiler"), "PATH": str(tmp_path)})
    check(out)
    assert out["stderr"].count("no C++ compiler was found") == 1
    assert out["info"][0] == 1


def test_threads_that_meet_at_a_first_call_compile_once() -> None:
    import threading

    import numpy as np

    import weft

    f = weft.jit(lambda x: x * 3.25 + 0.125)
    results: list[Any] = []
    threads = [threading.Thread(target=lambda n=n: results.append(f(np.ones(n)).sum() / n)) for n in range(2, 10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == [3.375] * 8
    info = f.cache_info()
    assert info.compilations + info.loaded == 1
