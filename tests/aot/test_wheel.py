"""The example package becomes a wheel, which runs in an environment without compilers and generators."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from weft.cmake import directory

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "orbit"

# Python runs this when it starts: what the new environment lacks comes from the one that runs the tests, but for all
# that generates or compiles code.
SITE = """
import sys, site
class Forbidden:
    names = {"gast", "beniget", "jinja2", "click", "rich", "pybind11", "scikit_build_core", "ziglang"}
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Forbidden())
for folder in FOLDERS:
    site.addsitedir(folder)
"""

PROGRAM = """
import math, shutil, sys
import numpy as np
import orbit
from orbit import _compiled

assert not shutil.which("g++") and not shutil.which("cc"), "a compiler"
assert _compiled.__file__.startswith(sys.prefix), _compiled.__file__
e = orbit.anomaly(1.0, 0.3)
assert abs(e - 0.3 * math.sin(e) - 1.0) < 1e-12
h = 1e-6
radius = lambda m: 1.0 - 0.3 * math.cos(orbit.anomaly(m, 0.3))
assert abs(orbit.radial_speed(1.0, 0.3) - (radius(1 + h) - radius(1 - h)) / (2 * h)) < 1e-8
m = np.linspace(0.0, 3.0, 50)
np.testing.assert_allclose(orbit.anomalies(m, np.full(50, 0.3)), [orbit.anomaly(x, 0.3) for x in m], rtol=1e-12)
p, v = np.array([[1.0, 0.0], [2.0, 0.0]]), np.array([[0.0, 1.0], [0.0, 0.5]])
before = orbit.energies(p, v)
orbit.drift(p, v, 0.001, 1000)
np.testing.assert_allclose(orbit.energies(p, v), before, rtol=1e-4)
np.testing.assert_allclose(p[0], [math.cos(1.0), math.sin(1.0)], atol=1e-5)
try:
    orbit.energies(p, v[:1])
except ValueError as error:
    print(error)
print(_compiled.__weft__["level"])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The example's wheel, built as `pip wheel` builds it, without network."""
    assert shutil.which("cmake") or importlib.util.find_spec("cmake"), "CMake is needed to test it"
    root = tmp_path_factory.mktemp("wheel")
    source = root / "orbit"
    shutil.copytree(EXAMPLE, source)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-build-isolation"]
    options = ["--no-deps", "--no-index", "-C", f"cmake.define.weft_DIR={directory()}", "-w", str(root / "dist")]
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    done = subprocess.run([*command, *options, str(source)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = (root / "dist").glob("*.whl")
    return found


def test_what_is_in_the_wheel(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    assert {f"orbit/_compiled{suffix}", "orbit/_compiled.pyi", "orbit/__init__.py"} <= set(names)
    assert not [n for n in names if n.endswith((".cpp", ".o", ".d"))]


def test_runs_where_there_is_no_compiler(wheel, tmp_path):
    environment = tmp_path / "fresh"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    folder = Path(
        subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True
        ).stdout.strip()
    )
    zipfile.ZipFile(wheel).extractall(folder)
    folders = [p for p in sys.path if p.endswith("-packages")]
    (folder / "sitecustomize.py").write_text(SITE.replace("FOLDERS", repr(folders)))
    clean = {"PATH": str(tmp_path / "nothing"), "HOME": str(tmp_path), "WEFT_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run([python, "-c", PROGRAM], capture_output=True, text=True, env=clean, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said, level = done.stdout.splitlines()
    assert said == (
        "energies(): axis 0 of 'positions' is 2 and axis 0 of 'velocities' is 1:"
        " both are n in 'f64[n, 2], f64[n, 2] -> f64[n]'"
    )
    assert re.match(r"x86-64|generic", level)
    assert not (tmp_path / "cache").exists(), "nothing was compiled"


def test_cmake_builds_again_when_the_source_changes_and_from_committed_sources(tmp_path):
    source = tmp_path / "project"
    source.mkdir()
    model = source / "cmake_model.py"
    model.write_text("import weft\n\n\n@weft.export('f64 -> f64')\ndef f(x):\n    return x + 1.0\n")
    generated = source / "generated"
    weft = [sys.executable, "-m", "weft"]
    subprocess.run([*weft, "build", model, "--name", "kept", "--sources", generated], check=True)
    (source / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(p LANGUAGES CXX)\nfind_package(weft 0.1 CONFIG REQUIRED)\n"
        "weft_add_module(made FROM cmake_model.py:f MARCH x86-64)\nweft_add_module(kept SOURCES generated MARCH x86-64)\n"
    )
    build = tmp_path / "build"
    tools = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}

    def run(*command):
        return subprocess.run(command, check=True, capture_output=True, text=True, env=tools).stdout

    run("cmake", "-S", source, "-B", build, f"-Dweft_DIR={directory()}", f"-DPython_EXECUTABLE={sys.executable}")
    run("cmake", "--build", build)

    def values():
        folders = [str(build / "weft" / name) for name in ("made", "kept")]
        code = f"import sys; sys.path[:0] = {folders}; import made, kept; print(made.f(1.0), kept.f(1.0))"
        return run(sys.executable, "-c", code).strip()

    assert values() == "2.0 2.0"
    times = {f: f.stat().st_mtime_ns for f in build.glob("weft/*/*.so")}
    run("cmake", "--build", build)
    assert times == {f: f.stat().st_mtime_ns for f in build.glob("weft/*/*.so")}, "nothing to do"
    model.write_text(model.read_text().replace("1.0", "5.0"))
    run("cmake", "--build", build)
    assert values() == "6.0 2.0"


def test_cmake_says_what_is_wrong(tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(p LANGUAGES NONE)\nfind_package(weft CONFIG REQUIRED)\n"
        "weft_add_module(made)\n"
    )
    tools = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    command = ["cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-Dweft_DIR={directory()}"]
    python = f"-DPython_EXECUTABLE={sys.executable}"
    done = subprocess.run([*command, python], capture_output=True, text=True, env=tools)
    assert done.returncode != 0
    assert "weft_add_module(made): write FROM with a package, module or file, or SOURCES" in " ".join(
        done.stderr.split()
    )
