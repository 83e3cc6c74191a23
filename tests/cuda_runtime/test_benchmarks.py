"""The programs of benchmarks/gpu, at small sizes on the fake GPU: they build, and their checks hold."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import weft

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu"


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


programs = load("gpu_programs")
CASES = [c for c in vars(programs).values() if isinstance(c, programs.Case)]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.function.__name__)
def test_programs(fake, gpu, case):
    args = case.inputs(case.quick)
    there = [weft.device_put(a, gpu) if isinstance(a, np.ndarray) else a for a in args]
    found = weft.jit(case.function)(*there)
    assert {r.device for r in (found if isinstance(found, tuple) else (found,))} == {gpu}
    case.check(weft.device_get(found), *args)


def test_what_runs_without_waiting_is_queued(fake, gpu):
    for case in CASES:
        there = [weft.device_put(a, gpu) if isinstance(a, np.ndarray) else a for a in case.inputs(case.quick)]
        f = weft.jit(case.function)
        weft.block_until_ready(f(*there))
        waits = fake.count("cuStreamSynchronize")
        found = f(*there)
        assert fake.count("cuStreamSynchronize") == waits, case.name
        weft.block_until_ready(found)


@pytest.mark.parametrize("count", [1, 3])
def test_what_several_do_together(nccl, count, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    run = load("run")
    found = run.together(weft.devices("gpu")[:count], quick=True)
    assert [f.name.split()[0] for f in found] == ["a", "psum", "all_gather", "ppermute"]
    assert all(f.ours > 0 for f in found)


def test_checks_find_mistakes():
    for case in CASES:
        args = case.inputs(case.quick)
        wrong = [np.full(8, 30)] * 4 if case is programs.LORENZ else np.full_like(np.atleast_1d(args[0]), 3.25)
        with pytest.raises(AssertionError):
            case.check(wrong, *args)


def test_without_a_gpu_it_says_so(run):
    text = f"""
import subprocess, sys
done = subprocess.run([sys.executable, {str(FOLDER / "run.py")!r}], capture_output=True, text=True)
print(done.returncode, done.stderr)
"""
    said = run(text, WEFT_CUDA_DRIVER="/nowhere")
    assert said.startswith("1 Nothing is measured, since there is no GPU here.\nUnknown backend: 'gpu' requested")
