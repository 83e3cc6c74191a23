"""Collectives between GPUs: csrc/cuda by itself over the fake driver and a stand-in for NCCL, which is strict."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pybind11
import pytest
from tests.cuda_runtime.conftest import compile_library

from weft.primitives import collective

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OPERATIONS = ["psum", "pmax", "pmin", "all_gather", "psum_scatter", "all_to_all", "ppermute"]  # as C++ numbers them
REDUCTIONS = {"psum": "?bBiIlLqQefdFD", "psum_scatter": "?bBiIlLqQefdFD", "pmax": "?bBiIlLqQ", "pmin": "?bBiIlLqQ"}
DTYPES = "?bBhHiIlLqQefdFD"


class Request(ctypes.Structure):
    """As exchange.cpp has it."""

    _fields_ = (
        [(n, ctypes.c_int) for n in "operation moves devices first total dtype rank result_rank repeat last".split()]
        + [(n, ctypes.POINTER(ctypes.c_int)) for n in ("move", "device")]
        + [(n, ctypes.c_char_p) for n in ("name", "id")]
        + [(n, ctypes.POINTER(ctypes.c_longlong)) for n in ("dims", "result_dims")]
        + [(n, ctypes.POINTER(ctypes.c_void_p)) for n in ("operands", "results")]
    )


class Exchange:
    """csrc/cuda's collectives on arrays of the host."""

    def __init__(self, path):
        self.lib = ctypes.CDLL(str(path))
        for name in ("exchange_arrays", "exchange_new_id", "exchange_synchronise"):
            getattr(self.lib, name).restype = ctypes.c_char_p

    def new_id(self):
        made = ctypes.create_string_buffer(128)
        self.check(self.lib.exchange_new_id(made))
        return made.raw

    def synchronise(self, device):
        self.check(self.lib.exchange_synchronise(device))

    def __call__(self, name, operands, *, perm=(), devices=None, first=0, total=0, party=None, repeat=1, last=0):
        operands = [np.asarray(x, order="C") for x in operands]
        count, shape = len(operands), operands[0].shape
        places = total or count
        if name == "all_gather":
            out = (places, *shape)
        else:
            out = shape[1:] if name == "psum_scatter" else shape
        results = [np.full(out, 77).astype(operands[0].dtype) for _ in operands]

        def ints(values, kind):
            return (kind * max(1, len(values)))(*values)

        request = Request(
            OPERATIONS.index(name), len(perm), count, first, total, operands[0].dtype.num, len(shape), len(out),
            repeat, last, ints([k for move in perm for k in move], ctypes.c_int),
            ints(range(count) if devices is None else devices, ctypes.c_int), name.encode(), party,
            ints(shape, ctypes.c_longlong), ints(out, ctypes.c_longlong),
            ints([x.ctypes.data for x in operands], ctypes.c_void_p),
            ints([y.ctypes.data for y in results], ctypes.c_void_p),
        )  # fmt: skip
        # The id has zeros in it, and c_char_p points at the whole of it.
        self.check(self.lib.exchange_arrays(ctypes.byref(request)))
        return results

    def violations(self):
        fake = ctypes.CDLL(os.environ["WEFT_CUDA_DRIVER"])
        fake.fake_violations.restype = ctypes.c_char_p
        return fake.fake_violations().decode()

    def check(self, message):
        if message is not None:
            raise RuntimeError(message.decode())


@pytest.fixture(scope="session")
def exchange_path(tmp_path_factory):
    """csrc/cuda as a library of its own."""
    includes = [ROOT / "csrc/include", sysconfig.get_path("include"), pybind11.get_include(), np.get_include()]
    sources = [HERE / "exchange.cpp", *(ROOT / "csrc/cuda").glob("*.cpp"), ROOT / "csrc/runtime/collective.cpp"]
    out = tmp_path_factory.mktemp("exchange") / "exchange.so"
    return compile_library(out, *sources, flags=["-fvisibility=hidden", *(f"-I{folder}" for folder in includes)])


@pytest.fixture
def exchange(nccl, exchange_path, monkeypatch):
    """Calls it, with the fake driver and NCCL."""
    monkeypatch.setenv("WEFT_CUDA_DRIVER", str(nccl.path))
    made = Exchange(exchange_path)
    yield made
    for device in range(4):
        made.synchronise(device)


def values(name, dtype, n, shape=(5,)):
    rng = np.random.default_rng(sum(map(ord, name + dtype)) + n)
    shape = (n, *((n,) if name in ("psum_scatter", "all_to_all") else ()), *shape)
    x = rng.integers(0, 2, shape) if dtype == "?" else rng.integers(-40, 40, shape)
    x = x * (1 + 0.5j) if dtype in "FD" else x * 0.25 if dtype in "efd" else x
    return x.astype(dtype)


def expected(name, x, perm=()):
    """By the primitives' own meaning."""
    n = len(x)
    attrs = {"size": n} if name in ("all_gather", "psum_scatter") else {}
    more = {"perm": tuple(perm)} if name == "ppermute" else {"groups": None, **attrs}
    return getattr(collective, name).numpy(x, axis="i", **more)


PERMS = {1: [(), ((0, 0),)], 2: [((0, 1), (1, 0)), ((1, 0),)], 3: [((0, 1), (1, 2), (2, 0)), ((2, 2), (0, 1))]}
PERMS[4] = [((0, 1), (1, 2), (2, 3), (3, 0)), ((1, 3), (3, 0)), ()]


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
    before = nccl.count("cuStreamSynchronize")
    x = values("psum", "q", 4)
    for last in range(4):
        np.testing.assert_array_equal(exchange("psum", list(x), repeat=3, last=last)[2], x.sum(0) * 16)
    turned = exchange("ppermute", list(x), perm=PERMS[4][0], repeat=5, last=2)
    np.testing.assert_array_equal(turned, np.roll(x, 5, axis=0))
    assert nccl.count("cuStreamSynchronize") - before == 5 * 5


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
from tests.cuda_runtime.test_nccl import OPERATIONS, PERMS, REDUCTIONS, Exchange, expected, values

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


@pytest.mark.parametrize("layout", [(2, 2), (1, 3), (1, 1), (4,)], ids=str)
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


@pytest.mark.parametrize("function", ["ncclGroupStart", "ncclAllReduce", "ncclGroupEnd"])
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
    # Nothing hangs, and the next call works with new communicators.
    for device in range(3):
        exchange.synchronise(device)
    assert nccl.count("ncclCommAbort") == given_up + 3
    np.testing.assert_array_equal(exchange("psum", list(x))[0], x.sum(0))
    assert nccl.count("ncclCommInitAll") == made + 1


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


# -- the library -------------------------------------------------------------------------------------------------------

ASK = """
import weft
from weft import _runtime
from weft.cli import doctor
weft.devices("gpu")
for ask in (_runtime.nccl_version, _runtime.nccl_library, _runtime.exchange_id):
    try:
        print(ask())
    except RuntimeError as e:
        print(e)
print([f for f in doctor.check_gpus() if f.what == "NCCL"])
"""


def test_a_missing_library(run):
    said = run(ASK, "devices=2", WEFT_NCCL="/nowhere/libnccl.so.2").splitlines()
    assert said[0] == said[1] == said[2]
    assert said[0].startswith(
        "collectives between GPUs need NCCL, which was not found (/nowhere/libnccl.so.2: cannot open shared object"
    )
    assert said[0].endswith("Install it: `pip install --upgrade nvidia-nccl-cu12`, or let WEFT_NCCL name the library")
    assert "Finding(state='warn', what='NCCL', detail='collectives between GPUs need NCCL, which was" in said[3]
    assert "cu13`" in run(ASK, "devices=2 version=13000", WEFT_NCCL="/nowhere/libnccl.so.2")


def test_an_old_library(run, nccl_path):
    for number, name in ((2804, "2.8.4"), (21510, "2.15.10")):
        said = run(ASK, "devices=2", WEFT_NCCL=str(nccl_path), WEFT_FAKE_NCCL=f"version={number}")
        assert f"NCCL ({nccl_path}) is too old: it is {name}, and weft needs 2.16.0. Install it: `pip" in said


def test_not_nccl(run, tmp_path):
    source, out = tmp_path / "old.c", tmp_path / "libother.so"
    source.write_text("int ncclGetUniqueId(void* id) { return 0; }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", str(source), "-o", str(out)], check=True)
    assert f"NCCL's library {out} has no ncclGetVersion. Install it" in run(ASK, "devices=2", WEFT_NCCL=str(out))


def test_a_library_that_is_there(run, nccl_path):
    said = run(ASK, "devices=2", WEFT_NCCL=str(nccl_path)).splitlines()
    assert said[:2] == ["2.32.3", str(nccl_path)] and said[2].startswith(f"b'{nccl_path.parent}/party_")
    assert f"state='ok', what='NCCL', detail='2.32.3 ({nccl_path})'" in said[3]
    assert run(ASK, "devices=1", WEFT_NCCL=str(nccl_path)).splitlines()[3] == "[]"


def test_found_in_an_installed_package(run, nccl_path, tmp_path):
    folder = tmp_path / "nvidia" / "nccl" / "lib"
    folder.mkdir(parents=True)
    (folder / "libnccl.so.2").symlink_to(nccl_path)
    assert run(ASK, "devices=2", PYTHONPATH=str(tmp_path)).splitlines()[1] == str(folder / "libnccl.so.2")


# -- the stand-in itself -----------------------------------------------------------------------------------------------

DECLARED = re.findall(r"X\((\w+), (nccl\w+),", (ROOT / "csrc/cuda/nccl.h").read_text())
PACKAGES = [Path(p) / "nvidia/nccl" for p in (sysconfig.get_path("purelib"), os.environ.get("WEFT_TEST_NCCL", ""))]
HEADERS = [p / "include/nccl.h" for p in PACKAGES if (p / "include/nccl.h").exists()]
HEADERS += [p for p in (Path("/usr/include/nccl.h"), Path("/usr/local/cuda/include/nccl.h")) if p.exists()]
CUDA = Path("/usr/local/cuda/include")


def test_the_stand_in_has_every_function(nccl_path):
    exported = subprocess.run(["nm", "-D", "--defined-only", str(nccl_path)], capture_output=True, text=True).stdout
    assert set(re.findall(r" T (nccl\w+)", exported)) == {name for _, name in DECLARED} and len(DECLARED) > 12


def violation(fake):
    found = fake.violations
    fake.heal()
    return found.strip()


def test_the_stand_in_is_strict(nccl, nccl_path, exchange):
    lib, driver = ctypes.CDLL(str(nccl_path)), nccl.lib
    made = (ctypes.c_void_p * 2)()
    assert lib.ncclCommInitAll(made, 2, (ctypes.c_int * 2)(0, 1)) == 0
    streams, memory = [], []
    for device in (0, 1):
        driver.fake_set_current(device)
        streams.append(ctypes.c_void_p())
        memory.append(ctypes.c_ulonglong())
        driver.cuStreamCreate(ctypes.byref(streams[-1]), 0)
        driver.cuMemAlloc_v2(ctypes.byref(memory[-1]), 64)

    def reduce(k, count=8, device=None, stream=None, offset=0):
        driver.fake_set_current(k if device is None else device)
        at = ctypes.c_void_p(memory[k].value + offset)
        where = streams[k if stream is None else stream]
        return lib.ncclAllReduce(at, at, ctypes.c_size_t(count), 8, 0, ctypes.c_void_p(made[k]), where)

    def group(*calls):
        lib.ncclGroupStart()
        for call in calls:
            call()
        code = lib.ncclGroupEnd()
        return code, violation(nccl)

    assert reduce(0) == 5 and violation(nccl) == "NCCL: ncclAllReduce: outside of a group"
    assert group(lambda: reduce(0)) == (5, "NCCL: a collective that some members do not call")
    assert group(lambda: reduce(0), lambda: reduce(1, 4)) == (5, "NCCL: members that differ in what they call")
    assert group(lambda: reduce(0, device=1)) == (5, "NCCL: ncclAllReduce: another device is current")
    assert group(lambda: reduce(0, stream=1)) == (5, "NCCL: ncclAllReduce: a stream of another device")
    assert group(lambda: reduce(0, 9)) == (5, "NCCL: ncclAllReduce: sends what is not the device's memory")
    assert group(lambda: reduce(1, 8, offset=8)) == (5, "NCCL: ncclAllReduce: sends what is not the device's memory")

    def send(k, other, count=8):
        driver.fake_set_current(k)
        call = (ctypes.c_void_p(memory[k].value), ctypes.c_size_t(count), 0, other, ctypes.c_void_p(made[k]))
        return lib.ncclSend(*call, streams[k])

    assert group(lambda: send(0, 1))[1] == "NCCL: something sent that is not received, or awaited and not sent"
    assert group(lambda: reduce(0), lambda: reduce(1)) == (0, "")
    for device in (0, 1):
        driver.fake_set_current(device)
        assert driver.cuStreamSynchronize(streams[device]) == 0
        driver.cuMemFree_v2(memory[device])
    context = ctypes.c_void_p()
    driver.cuCtxPopCurrent_v2(ctypes.byref(context))


# -- the real thing, where it is ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [h for h in HEADERS[:1] if (CUDA / "cuda_runtime.h").exists()], ids=str)
def test_names_and_types_agree_with_nccl_h(header, tmp_path):
    lines = "\n".join(f"  check(&::{name}, weft::cuda::Nccl().{member});" for member, name in DECLARED)
    source = tmp_path / "check.cpp"
    source.write_text(f"""
#include <type_traits>
#include "{header}"
#include "{ROOT}/csrc/cuda/nccl.h"

// Equal in size and kind, argument by argument.
template <class A, class B>
constexpr bool alike = sizeof(A) == sizeof(B) && std::is_pointer_v<A> == std::is_pointer_v<B> &&
    std::is_class_v<A> == std::is_class_v<B> && std::is_trivially_copyable_v<A>;
template <class R, class... A, class S, class... B>
void check(R (*)(A...), S (*)(B...)) {{
  static_assert(sizeof...(A) == sizeof...(B), "another number of arguments");
  static_assert(alike<R, S> && (alike<A, B> && ...), "another type");
}}
void all() {{
{lines}
}}
using namespace weft::cuda;
static_assert(ncclSuccess == 0 && NCCL_VERSION(2, 16, 0) == kNeededNccl && NCCL_UNIQUE_ID_BYTES == sizeof(NcclId));
static_assert(int(kInt8) == ncclInt8 && int(kUint8) == ncclUint8 && int(kInt32) == ncclInt32);
static_assert(int(kUint32) == ncclUint32 && int(kInt64) == ncclInt64 && int(kUint64) == ncclUint64);
static_assert(int(kFloat16) == ncclFloat16 && int(kFloat32) == ncclFloat32 && int(kFloat64) == ncclFloat64);
static_assert(int(kSum) == ncclSum && int(kMax) == ncclMax && int(kMin) == ncclMin);
""")
    includes = [f"-I{ROOT}/csrc/include", f"-I{CUDA}", f"-I{CUDA}/cccl"]
    done = subprocess.run(
        ["g++", "-std=c++17", "-fsyntax-only", *includes, str(source)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("library", [h.parents[1] / "lib/libnccl.so.2" for h in HEADERS[:1]], ids=str)
def test_the_real_library_opens(run, library):
    if not library.exists():
        library = Path("libnccl.so.2")
    text = "import weft\nfrom weft import _runtime\nweft.devices('gpu')\nprint(_runtime.nccl_version(), "
    said = run(text + "len(_runtime.exchange_id()))", "devices=2", WEFT_NCCL=str(library))
    assert re.fullmatch(r"2\.\d+\.\d+ 128\n", said)
