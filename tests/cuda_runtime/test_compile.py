"""CUDA text to cubins: which compiler is taken, what it is told, what it says, and what the cache keeps.

The compilers are stand-ins: a script for nvcc, a small C library for NVRTC. Where the real ones are, they compile too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from weft.build import cuda
from weft.build.cache import Cache
from weft.errors import CompileError

TEXT = 'extern "C" __global__ void twice(double* x) { x[threadIdx.x] *= 2; }\n'
REAL = list(cuda.candidates())
PATH = os.environ.get("PATH", "")

NVCC = """#!{python}
import sys
if sys.argv[1] == "--version":
    print("Cuda compilation tools, release 12.4, V12.4.131")
elif sys.argv[1] == "--list-gpu-code":
    print("sm_75\\nsm_80\\nsm_86\\nsm_90")
else:
    text = open(sys.argv[-1]).read()
    if "oops" in text:
        sys.stderr.write('kernels.cu(1): error: identifier "oops" is undefined\\n')
        sys.exit(1)
    open(sys.argv[sys.argv.index("-o") + 1], "w").write("\\x7fELF by nvcc " + " ".join(sys.argv[1:]) + text)
"""
NVRTC = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef struct { char text[4096]; char out[8192]; char log[256]; } Program;
int nvrtcVersion(int* major, int* minor) { *major = VERSION; *minor = 6; return 0; }
int nvrtcGetNumSupportedArchs(int* n) { *n = 3; return 0; }
int nvrtcGetSupportedArchs(int* a) { a[0] = 75; a[1] = 80; a[2] = 90; return 0; }
const char* nvrtcGetErrorString(int code) { return code == 6 ? "NVRTC_ERROR_COMPILATION" : "?"; }
int nvrtcCreateProgram(Program** p, const char* text, const char* name, int n, void* a, void* b) {
  *p = calloc(1, sizeof(Program));
  strncpy((*p)->text, text, 4000);
  return n || a || b;
}
int nvrtcCompileProgram(Program* p, int n, const char* const* options) {
  if (strstr(p->text, "oops")) {
    strcpy(p->log, "kernels.cu(1): error: identifier \"oops\" is undefined");
    return 6;
  }
  strcpy(p->out, "\x7f" "ELF by nvrtc");
  for (int k = 0; k < n; ++k) strcat(strcat(p->out, " "), options[k]);
  return 0;
}
int nvrtcGetProgramLogSize(Program* p, size_t* n) { *n = strlen(p->log) + 1; return 0; }
int nvrtcGetProgramLog(Program* p, char* log) { strcpy(log, p->log); return 0; }
int nvrtcGetCUBINSize(Program* p, size_t* n) { *n = strlen(p->out); return 0; }
int nvrtcGetCUBIN(Program* p, char* out) { memcpy(out, p->out, strlen(p->out)); return 0; }
int nvrtcDestroyProgram(Program** p) { free(*p); *p = 0; return 0; }
"""


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def nothing(monkeypatch, tmp_path):
    """No compiler anywhere."""
    monkeypatch.setattr("weft.runtime.paths.nvidia_libraries", lambda name: [])
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "toolkit"))
    (tmp_path / "bin").mkdir()


@pytest.fixture
def nvcc(nothing, tmp_path: Path) -> Path:
    path = tmp_path / "bin" / "nvcc"
    path.write_text(NVCC.format(python=sys.executable))
    path.chmod(0o755)
    return path


@pytest.fixture
def nvrtc(tmp_path: Path):
    """Makes a library of a major version."""

    def make(version: int) -> Path:
        source, out = tmp_path / f"nvrtc{version}.c", tmp_path / f"libnvrtc.so.{version}"
        source.write_text(NVRTC)
        command = ["gcc", "-shared", "-fPIC", f"-DVERSION={version}", str(source), "-o", str(out)]
        subprocess.run(["/usr/bin/env", f"PATH={PATH}", *command], check=True)
        return out

    return make


def test_nvcc(nvcc, cache):
    made = cuda.find()
    assert (made.kind, made.path, made.version) == ("nvcc", str(nvcc), (12, 4))
    assert made.architectures == (75, 80, 86, 90)
    data = cuda.build(TEXT, "sm_80", name="twice", cache=cache).decode()
    assert data.startswith("\x7fELF by nvcc -cubin -arch=sm_80 -std=c++17 -fmad=false")
    assert data.endswith(TEXT)  # all of it, and nothing behind it


def test_nvrtc_comes_first(nvcc, nvrtc, cache, monkeypatch):
    library = nvrtc(12)
    monkeypatch.setattr("weft.runtime.paths.nvidia_libraries", lambda name: ["/nowhere/libnvrtc.so.13", str(library)])
    monkeypatch.setenv("CUDA_PATH", "elsewhere")  # what was found is kept for the same settings
    made = cuda.find()
    assert (made.kind, made.path, made.version, made.architectures) == ("nvrtc", str(library), (12, 6), (75, 80, 90))
    data = cuda.build(TEXT, "sm_90", cache=cache).decode()
    assert data.startswith("\x7fELF by nvrtc -arch=sm_90 -std=c++17 -fmad=false")
    assert "-I" in data


def test_a_library_of_ones_choice(nothing, nvrtc, monkeypatch):
    monkeypatch.setenv("WEFT_NVRTC", str(nvrtc(12)))
    assert cuda.find().about == "NVRTC 12.6"
    monkeypatch.setenv("WEFT_NVRTC", "/nowhere/libnvrtc.so")
    with pytest.raises(cuda.NoDeviceCompiler, match="neither NVRTC nor nvcc"):
        cuda.find()


def test_none(nothing):
    with pytest.raises(cuda.NoDeviceCompiler) as e:
        cuda.build(TEXT, "sm_80")
    assert str(e.value) == (
        "no compiler for GPU code was found, neither NVRTC nor nvcc: pip install 'weft[cuda]' (or 'weft[cuda12]' for a"
        " driver of CUDA 12), or install NVIDIA's CUDA toolkit"
    )


def test_one_that_fits_the_driver(nothing, nvrtc, monkeypatch):
    old, new = nvrtc(12), nvrtc(13)
    monkeypatch.setattr("weft.runtime.paths.nvidia_libraries", lambda name: [str(new), str(old)])
    monkeypatch.setenv("CUDA_PATH", "both")
    assert cuda.find("13.0").version == (13, 6)
    assert cuda.find("12.2").version == (12, 6)
    assert cuda.find().version == (13, 6)
    with pytest.raises(cuda.NoDeviceCompiler) as e:
        cuda.find("11.8")
    assert "NVRTC 13.6 and NVRTC 12.6 cannot make code for this driver, which is for CUDA 11.8" in str(e.value)
    assert "pip install nvidia-cuda-nvrtc-cu11" in str(e.value)


def test_architectures_it_does_not_know(nvcc, cache):
    made = cuda.find()
    assert made.target("sm_86") == "sm_86"
    assert made.target("sm_89") == "sm_86"  # code for 8.6 runs on 8.9
    with pytest.raises(cuda.NoDeviceCompiler) as e:
        cuda.build(TEXT, "sm_120", cache=cache)
    assert "nvcc 12.4" in str(e.value) and "does not compile for this GPU, sm_120 (it knows sm_75, sm_80" in str(
        e.value
    )


@pytest.mark.parametrize("kind", ["nvcc", "nvrtc"])
def test_code_that_does_not_compile(kind, nvcc, nvrtc, cache, monkeypatch):
    if kind == "nvrtc":
        monkeypatch.setenv("WEFT_NVRTC", str(nvrtc(12)))
    with pytest.raises(CompileError) as e:
        cuda.build("oops", "sm_80", cache=cache)
    said = str(e.value)
    assert "this is a defect of weft" in said and 'identifier "oops" is undefined' in said and "-arch=sm_80" in said
    kept = next(line.split()[1] for line in said.splitlines() if line.startswith("  file:"))
    assert Path(kept).read_text() == "oops"


def test_the_cache(nvcc, cache, monkeypatch):
    first = cuda.build(TEXT, "sm_80", name="twice", cache=cache)
    (entry,) = cache.entries()
    assert entry.facts["name"] == "twice" and entry.facts["compiler"] == "nvcc 12.4 for sm_80"
    assert cache.path(entry.key, ".cu").read_text() == TEXT
    compiler = cuda.find()
    nvcc.unlink()
    assert cuda.build(TEXT, "sm_80", compiler=compiler, cache=cache) == first
    for other in ((TEXT + " ", "sm_80"), (TEXT, "sm_90")):
        with pytest.raises(CompileError, match="cannot run"):
            cuda.build(*other, compiler=compiler, cache=cache)
    path = cache.path(entry.key, ".cubin")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CompileError, match="cannot run"):  # damaged: made again
        cuda.build(TEXT, "sm_80", compiler=compiler, cache=cache)
    cache.clear()
    assert [p for p in cache.root.iterdir() if p.is_file()] == []


@pytest.mark.parametrize("compiler", REAL, ids=lambda c: c.kind)
def test_real_compilers(compiler, cache):
    for arch in ("sm_75", "sm_90"):
        data = cuda.build(TEXT, arch, compiler=compiler, cache=cache)
        assert data[:4] == b"\x7fELF" and b"twice" in data
    with pytest.raises(CompileError, match="expected a"):
        cuda.build("this is not C", "sm_90", compiler=compiler, cache=cache)
