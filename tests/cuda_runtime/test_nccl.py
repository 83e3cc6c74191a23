"""Collectives between GPUs: csrc/cuda by itself over the fake driver and a stand-in for NCCL, which is strict."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.cuda import build as emulator
from tests.cuda_runtime.exchange import DTYPES, OPERATIONS, PERMS, REDUCTIONS, expected, values

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("name", OPERATIONS)
def test_values(exchange, name, n):
    for dtype in REDUCTIONS.get(name, DTYPES):
        x = values(name, dtype, n)
        for perm in PERMS[n] if name == "ppermute" else [()]:
            for last in range(n):
                got = exchange(name, list(x), perm=perm, last=last)
                want = expected(name, x, perm)
                for k in range(n):
                    assert got[k].dtype == want.dtype
                    np.testing.assert_array_equal(got[k], want[k], err_msg=f"{dtype} {perm}")


def test_one_device_needs_no_nccl(exchange, nccl, monkeypatch):
    for dtype in "hHefd":
        for name in ("psum", "pmax", "psum_scatter"):
            x = values(name, dtype, 1)
            np.testing.assert_array_equal(exchange(name, list(x), devices=(2,)), expected(name, x))


def test_one_source_of_several(exchange):
    x = values("ppermute", "d", 3)
    got = exchange("ppermute", list(x), perm=((1, 0), (1, 2)))
    np.testing.assert_array_equal(got, [x[1], np.zeros(5), x[1]])


def test_large_and_small(exchange):
    x = np.random.default_rng(0).standard_normal((4, 300_001)).astype("f4")
    for got in exchange("psum", list(x), last=3):
        np.testing.assert_array_equal(got, ((x[0] + x[1]) + x[2]) + x[3])
    np.testing.assert_array_equal(exchange("psum", [np.float64(1), np.float64(2)]), [3, 3])
    for name in OPERATIONS:
        shape = (2, 2, 0) if name in ("psum_scatter", "all_to_all") else (2, 0)
        assert exchange(name, list(np.ones(shape)), perm=((0, 1),) if name == "ppermute" else ())[1].size == 0


def test_other_devices_and_orders(exchange, nccl):
    x = values("psum_scatter", "d", 3)
    for devices in ((3, 1, 0), (1, 2, 3), (0, 1, 3)):
        np.testing.assert_array_equal(exchange("psum_scatter", list(x), devices=devices), expected("psum_scatter", x))


def test_results_are_operands_again_without_waiting(exchange, nccl):
    """Many collectives are queued before anything runs, and each runs behind what it needs."""
    before = nccl.count("cuStreamQuery")
    x = values("psum", "q", 4)
    for last in range(4):
        np.testing.assert_array_equal(exchange("psum", list(x), repeat=3, last=last)[2], x.sum(0) * 16)
    turned = exchange("ppermute", list(x), perm=PERMS[4][0], repeat=5, last=2)
    np.testing.assert_array_equal(turned, np.roll(x, 5, axis=0))
    assert nccl.count("cuStreamQuery") - before == 5 * 5  # what it waits by


def test_communicators_are_made_once(exchange, nccl):
    x = values("psum", "d", 2)
    exchange("psum", list(x), devices=(2, 0))
    made = nccl.count("ncclCommInitAll")
    exchange("all_gather", list(x), devices=(2, 0))
    exchange("psum", list(x), devices=(2, 0))
    assert nccl.count("ncclCommInitAll") == made
    exchange("psum", list(x), devices=(0, 2))
    assert nccl.count("ncclCommInitAll") == made + 1


# -- several processes -------------------------------------------------------------------------------------------------

PROCESS = """
import sys
import numpy as np
from tests.cuda_runtime.exchange import OPERATIONS, PERMS, REDUCTIONS, Exchange, expected, values

path, party, first, here, total = sys.argv[1], bytes.fromhex(sys.argv[2]), *map(int, sys.argv[3:])
exchange = Exchange(path)
mine = slice(first, first + here)
for name in OPERATIONS:
    for dtype in REDUCTIONS.get(name, "?hqfD")[::3]:
        x = values(name, dtype, total)
        for perm in PERMS[total] if name == "ppermute" else [()]:
            got = exchange(name, list(x[mine]), perm=perm, first=first, total=total, party=party, last=here - 1)
            np.testing.assert_array_equal(got, expected(name, x, perm)[mine])
x = values("psum", "q", total)
got = exchange("psum", list(x[mine]), first=first, total=total, party=party, repeat=4)
np.testing.assert_array_equal(got[0], x.sum(0) * total**3)
print("fine", exchange.violations())
"""


def launch(exchange, nccl, exchange_path, nccl_path, layout, text=PROCESS):
    """What each process says; `layout`: how many devices each has."""
    party = exchange.new_id()
    env = os.environ | {"PYTHONPATH": str(ROOT), "WEFT_CUDA_DRIVER": str(nccl.path), "WEFT_NCCL": str(nccl_path)}
    started = []
    try:
        for k, here in enumerate(layout):
            numbers = map(str, (sum(layout[:k]), here, sum(layout)))
            command = [sys.executable, "-c", text, str(exchange_path), party.hex(), *numbers]
            env["WEFT_FAKE"] = f"devices={here}"
            started.append(
                subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            )
        return [process.communicate(timeout=100) for process in started]
    finally:
        for process in started:
            process.kill()


@pytest.mark.parametrize("layout", [(2, 2), (1, 3), (1, 1), (4,), (8,), (3, 5)], ids=str)
def test_across_processes(exchange, nccl, exchange_path, nccl_path, layout):
    for out, err in launch(exchange, nccl, exchange_path, nccl_path, layout):
        assert out == "fine \n", err


def test_across_processes_that_differ(exchange, nccl, exchange_path, nccl_path):
    """What the real one might do wrong or hang at, the stand-in tells."""
    text = PROCESS.partition("for name in")[0] + (
        "try:\n"
        "    exchange('psum', list(np.ones((here, 3 + first))), first=first, total=total, party=party)\n"
        "except RuntimeError as e:\n"
        "    print(e, exchange.violations())\n"
    )
    for out, err in launch(exchange, nccl, exchange_path, nccl_path, (1, 1), text):
        assert "CUDA_ERROR_LAUNCH_FAILED" in out and "NCCL: processes that differ in what they call" in out, err


# -- errors ------------------------------------------------------------------------------------------------------------


def test_what_nccl_does_not_do_as_numpy_does_is_refused(exchange):
    for name, known in REDUCTIONS.items():
        for dtype in DTYPES:
            if dtype in known or (name in ("pmax", "pmin") and dtype in "FD"):
                continue
            with pytest.raises(RuntimeError, match="with NumPy's meaning: all_gather the values"):
                exchange(name, list(values(name, dtype, 2)))
    with pytest.raises(RuntimeError, match=r"CudaDevice\(id=1\): it does not reduce this dtype"):
        exchange("pmax", list(values("pmax", "D", 2)))


@pytest.mark.parametrize("function", ["ncclGroupStart", "ncclAllReduce"])
def test_a_call_that_fails(exchange, nccl, function):
    x = values("psum", "d", 3)
    exchange("psum", list(x))
    made, given_up = nccl.count("ncclCommInitAll"), nccl.count("ncclCommAbort")
    nccl.fail(function, 1, n=2 if function == "ncclAllReduce" else 1)
    with pytest.raises(RuntimeError) as caught:
        exchange("psum", list(x))
    assert re.fullmatch(
        r"psum between CudaDevice\(id=0\), CudaDevice\(id=1\), CudaDevice\(id=2\) failed: "
        rf"{function}: unhandled cuda error; the fake library's words \(NCCL 2\.32\.3, \S+/libnccl\.so\.2\)",
        str(caught.value),
    )
    # Nothing was queued, and the next call works.
    for device in range(3):
        exchange.synchronise(device)
    np.testing.assert_array_equal(exchange("psum", list(x))[0], x.sum(0))
    assert (nccl.count("ncclCommInitAll"), nccl.count("ncclCommAbort")) == (made, given_up)


def test_sending_that_fails(exchange, nccl):
    x = values("all_to_all", "d", 2)
    for function in ("ncclSend", "ncclRecv"):
        nccl.fail(function, 3, n=3)
        with pytest.raises(RuntimeError, match=f"failed: {function}: internal error"):
            exchange("all_to_all", list(x))
    np.testing.assert_array_equal(exchange("all_to_all", list(x)), expected("all_to_all", x))


def test_communicators_that_cannot_be_made(exchange, nccl):
    x = values("psum", "d", 3)
    nccl.fail("ncclCommInitAll", 2)
    with pytest.raises(RuntimeError, match="failed: ncclCommInitAll: unhandled system error"):
        exchange("psum", list(x), devices=(0, 1, 2)[::-1])
    np.testing.assert_array_equal(exchange("psum", list(x), devices=(0, 1, 2)[::-1])[0], x.sum(0))
    with pytest.raises(RuntimeError, match="failed: ncclCommInitAll: invalid usage"):
        exchange("psum", list(x), devices=(1, 1, 2))


def test_a_party_that_makes_no_sense(exchange):
    x = list(values("psum", "d", 2))
    with pytest.raises(RuntimeError, match=r"devices of several processes need an id"):
        exchange("psum", x, total=3)
    with pytest.raises(RuntimeError, match="places that are not there"):
        exchange("psum", x, first=1, total=2)


BROKEN = """
import ctypes, os, sys
import numpy as np
from tests.cuda_runtime.exchange import Exchange

exchange, fake = Exchange(sys.argv[1]), ctypes.CDLL(os.environ["WEFT_CUDA_DRIVER"])

def fail(name, n, code):
    fake.fake_fail(name.encode(), ctypes.c_long(n), code)

x = [np.ones(3)] * 2
exchange("psum", x)
exchange("psum", x, devices=(2, 0))
exec(sys.argv[2])
for ask in (lambda: exchange("psum", x), lambda: exchange("psum", x), lambda: exchange.synchronise(0),
            lambda: exchange.synchronise(2), lambda: exchange.synchronise(1)):
    try:
        ask()
    except RuntimeError as e:
        print(e)
print(fake.fake_count(b"ncclCommAbort"), fake.fake_contexts(), exchange.violations())
"""
ILLEGAL = "CUDA error CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered) on CudaDevice(id=1)"
GIVEN_UP = "the collectives between GPUs were given up: {}. The process has to be started again"


def after(nccl, exchange_path, nccl_path, what):
    """What is said to five who ask, and how often a communicator was given up."""
    env = {"PYTHONPATH": str(ROOT), "WEFT_CUDA_DRIVER": str(nccl.path), "WEFT_NCCL": str(nccl_path)}
    command = [sys.executable, "-c", BROKEN, str(exchange_path), what]
    done = subprocess.run(
        command, env=os.environ | env | {"WEFT_FAKE": "devices=3"}, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("what", "why"), [("", ILLEGAL), ("fail('remote error', 1, 6)", "NCCL: remote process exited")]
)
def test_a_gpu_that_breaks_keeps_nobody_waiting(nccl, exchange_path, nccl_path, what, why):
    """And what the others have then is not taken for a result."""
    lines = after(nccl, exchange_path, nccl_path, f"{what}; fake.fake_break(1)" if what else "fake.fake_break(1)")
    said = GIVEN_UP.format(why)
    assert lines[0] == lines[2] == lines[3] == said
    assert lines[1].startswith(ILLEGAL) and lines[4].startswith(ILLEGAL) and lines[5] == "4 0 "


def test_a_collective_of_which_a_part_was_queued(nccl, exchange_path, nccl_path):
    lines = after(nccl, exchange_path, nccl_path, "fail('ncclGroupEnd', 1, 1)")
    assert lines[0].startswith("psum between CudaDevice(id=0), CudaDevice(id=1) failed: ncclGroupEnd: unhandled cuda")
    assert lines[1:5] == [GIVEN_UP.format(lines[0])] * 4 and lines[5] == "4 0 "


PMAP = """
import ctypes, functools, os, numpy as np, weft
from weft import lax
from weft.build import cuda
from tests.cuda import build as emulator
from tests.cuda_runtime.conftest import emulated
cuda.build = emulated
fake = ctypes.CDLL(os.environ["WEFT_CUDA_DRIVER"])
fake.fake_violations.restype = ctypes.c_char_p

@functools.partial(weft.pmap, axis_name="i", devices=weft.devices("gpu"))
def f(x):
    return x - lax.pmean(x * 2.0, "i")

x = np.arange(6.0).reshape(3, 2)
print(np.asarray(f(x)).tolist())
y = f(x)
fake.fake_fail(b"kernel", ctypes.c_long(2), 719)
for ask in (lambda: np.asarray(y), lambda: np.asarray(f(x))):
    try:
        print(ask())
    except RuntimeError as e:
        print(e)
print(fake.fake_violations())
"""


def test_a_kernel_that_fails_on_one_gpu(run, nccl_path):
    settings = {"WEFT_CXXFLAGS": f"-DWEFT_THREADS={emulator.THREADS}", "PYTHONPATH": str(ROOT)}
    said = run(PMAP, "devices=3 memory=67108864", WEFT_NCCL=str(nccl_path), **settings).splitlines()
    assert said[0] == "[[-4.0, -5.0], [-2.0, -3.0], [0.0, -1.0]]"
    assert "CUDA_ERROR_LAUNCH_FAILED" in said[1] and "CUDA_ERROR_LAUNCH_FAILED" in said[2] and said[3] == "b''"
