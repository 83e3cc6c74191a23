"""The driver's functions as csrc/cuda declares them, against NVIDIA's own header where there is one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEADERS = [p for p in (Path("/usr/local/cuda/include/cuda.h"), Path("/usr/include/cuda.h")) if p.exists()][:1]
DECLARED = re.findall(r"X\((\w+), (cu\w+),", (ROOT / "csrc/cuda/driver.h").read_text())


def test_the_table_is_read():
    assert len(DECLARED) > 30 and ("launch", "cuLaunchKernel") in DECLARED


def test_the_fake_driver_has_every_function(driver):
    exported = subprocess.run(["nm", "-D", "--defined-only", str(driver.path)], capture_output=True, text=True).stdout
    names = set(re.findall(r" T (cu\w+)", exported))
    assert names == {name for _, name in DECLARED}


@pytest.mark.parametrize("header", HEADERS, ids=str)
def test_names_and_types_agree_with_cuda_h(header, tmp_path):
    text = header.read_text()
    renamed = dict(re.findall(r"#define (cu\w+)\s+(?:__CUDA_API_PTSZ\()?(cu\w+?_v\d+)\b", text))
    lines = []
    for member, name in DECLARED:
        plain = re.sub(r"_v\d+$", "", name)
        assert renamed.get(plain, plain) == name, f"cuda.h calls {plain} by another name"
        lines.append(f"  check(&::{plain}, weft::cuda::Driver().{member});")
    source = tmp_path / "check.cpp"
    source.write_text(f"""
#include <type_traits>
#include "{header}"
#include "{ROOT}/csrc/cuda/driver.h"

// Equal in size and kind, argument by argument: pointers for pointers, and numbers of one size for numbers.
template <class A, class B>
constexpr bool alike = sizeof(A) == sizeof(B) && std::is_pointer_v<A> == std::is_pointer_v<B> &&
    std::is_floating_point_v<A> == std::is_floating_point_v<B>;
template <class R, class... A, class S, class... B>
void check(R (*)(A...), S (*)(B...)) {{
  static_assert(sizeof...(A) == sizeof...(B), "another number of arguments");
  static_assert(alike<R, S> && (alike<A, B> && ...), "another type");
}}
void all() {{
{chr(10).join(lines)}
}}
using namespace weft::cuda;
static_assert(kSuccess == CUDA_SUCCESS && kInvalidValue == CUDA_ERROR_INVALID_VALUE);
static_assert(kOutOfMemory == CUDA_ERROR_OUT_OF_MEMORY && kDeinitialized == CUDA_ERROR_DEINITIALIZED);
static_assert(kStubLibrary == CUDA_ERROR_STUB_LIBRARY && kNoDevice == CUDA_ERROR_NO_DEVICE);
static_assert(kInvalidImage == CUDA_ERROR_INVALID_IMAGE && kNoBinary == CUDA_ERROR_NO_BINARY_FOR_GPU);
static_assert(kUnsupportedPtx == CUDA_ERROR_UNSUPPORTED_PTX_VERSION && kNotReady == CUDA_ERROR_NOT_READY);
static_assert(kMismatch == CUDA_ERROR_SYSTEM_DRIVER_MISMATCH && kHeapLimit == CU_LIMIT_MALLOC_HEAP_SIZE);
static_assert(kMajor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
static_assert(kMinor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
static_assert(kNonBlocking == CU_STREAM_NON_BLOCKING && kNoTiming == CU_EVENT_DISABLE_TIMING);
static_assert(kErrorLog == CU_JIT_ERROR_LOG_BUFFER && kErrorLogBytes == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES);
""")
    command = ["g++", "-std=c++17", "-fsyntax-only", f"-I{ROOT}/csrc/include", str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
