"""Finding NCCL; the stand-in itself, and weft's declarations against the real one."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

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
