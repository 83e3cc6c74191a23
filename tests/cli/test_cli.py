"""The command line."""

import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import weft as package
from weft.build import cache as caches
from weft.build import toolchain
from weft.cli import doctor, kept, show
from weft.cli.commands import weft


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WEFT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def run(*args):
    return CliRunner().invoke(weft, args)


# -- show --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def jit(monkeypatch):
    """A stand-in for `weft.jit` that notes its arguments."""
    seen = types.SimpleNamespace(args=None)

    def jit(fn):
        def inspect(*args):
            seen.args = args
            if len(args) != 2:
                raise TypeError(f"{fn.__name__}() takes 2 arguments, got {len(args)}")
            return types.SimpleNamespace(
                python="def f(x, s):\n    return x * s\n", ir="y = mul(x, s)\n", cpp="int f();\n"
            )

        return types.SimpleNamespace(inspect=inspect)

    monkeypatch.setattr(package, "jit", jit, raising=False)
    return seen


@pytest.fixture
def sample(tmp_path):
    path = tmp_path / "sample_functions.py"
    path.write_text("limit = 3\n\ndef scale(x, s):\n    return x * s\n\nclass Model:\n    def step(self, x): ...\n")
    return str(path)


def test_show(jit, sample):
    done = run("show", f"{sample}:scale", "--args", "f64[n], f64")
    assert done.exit_code == 0, done.output
    assert done.output.index("Python") < done.output.index("return x * s") < done.output.index("y = mul(x, s)")
    assert done.output.index("y = mul(x, s)") < done.output.index("int f();")
    x, s = jit.args
    assert x.dtype == np.float64 and x.ndim == 1 and isinstance(s, float)


def test_show_only_one(jit, sample):
    assert run("show", f"{sample}:scale", "--args", "f64[n], f64", "--only", "ir").output.strip() == "y = mul(x, s)"


def test_show_side_by_side(jit, sample, monkeypatch, capsys):
    import rich.console

    plain = rich.console.Console
    monkeypatch.setattr(rich.console, "Console", lambda: plain(width=180, force_terminal=True, color_system=None))
    show.display({"python": "a = 1", "ir": "b = 2", "cpp": "int c;"}, plain=False)
    lines = capsys.readouterr().out.splitlines()
    assert any("a = 1" in line and "b = 2" in line and "int c;" in line for line in lines)
    monkeypatch.setattr(rich.console, "Console", lambda: plain(width=80, force_terminal=True, color_system=None))
    show.display({"python": "a = 1", "ir": "b = 2", "cpp": "int c;"}, plain=False)
    lines = capsys.readouterr().out.splitlines()
    assert not any("a = 1" in line and "b = 2" in line for line in lines)
    assert any("int c;" in line for line in lines)


@pytest.mark.parametrize(
    "name, args, says",
    [
        ("scale", "", "write package.module:name"),
        ("nowhere.at.all:f", "", "cannot import nowhere.at.all"),
        ("missing.py:f", "", "there is no file missing.py"),
        ("{sample}:other", "", "has no 'other'; it has scale, Model"),
        ("{sample}:limit", "", "is not a function but int"),
        ("{sample}:scale", "f64[n", "--args: 'f64[n'"),
        ("{sample}:scale", "f64", "takes 2 arguments, got 1"),
    ],
)
def test_show_errors(jit, sample, name, args, says):
    done = run("show", name.format(sample=sample), "--args", args)
    assert done.exit_code == 1
    assert says in done.output
    assert "Traceback" not in done.output


# -- cache -------------------------------------------------------------------------------------------------------------


def test_cache(private_cache):
    root = private_cache / "cache" / "artifacts"
    assert run("cache", "path").output.strip() == str(root)
    assert "no artifacts" in run("cache").output
    cache = caches.default()
    for key, name in (("a" * 32, "jacobi"), ("b" * 32, "grad(root)")):
        cache.get_or_build(key, "text", lambda source, out: out.write_bytes(b"x" * 2048) and None, {"name": name})
    for command in (("cache",), ("cache", "list")):
        out = run(*command).output
        assert "jacobi" in out and "grad(root)" in out and "a" * 12 in out
        assert "2 artifacts, 4." in out.replace("\n", " ") and "KiB of 1.0 GiB" in out
    assert "removed 2 artifacts" in run("cache", "clear").output
    assert "no artifacts" in run("cache", "list").output


def test_sizes_and_ages():
    assert [kept.size_text(n) for n in (10, 2048, 5 << 20, 3 << 30, 5 << 40)] == [
        "10 B", "2.0 KiB", "5.0 MiB", "3.0 GiB", "5120.0 GiB",
    ]  # fmt: skip
    assert [kept.age_text(s) for s in (3, 120, 7200, 200_000)] == ["now", "2 min ago", "2 h ago", "2 d ago"]


# -- doctor ------------------------------------------------------------------------------------------------------------


def test_doctor():
    done = run("doctor")
    assert "weft" in done.output and "cores" in done.output and "cache" in done.output
    assert "the check failed" not in done.output


def test_doctor_names_the_remedy(monkeypatch):
    monkeypatch.setattr(toolchain, "_found", {})
    monkeypatch.setenv("CXX", "/bin/false")
    done = run("doctor")
    assert done.exit_code == 1
    assert "CXX=/bin/false does not work" in done.output
    assert "remedy: unset CXX" in done.output


def test_doctor_without_a_compiler(monkeypatch):
    monkeypatch.setattr(toolchain, "_found", {})
    monkeypatch.setattr(toolchain, "candidates", lambda: [])
    monkeypatch.delenv("CXX", raising=False)
    (found,) = doctor.check_compiler()
    assert found.state == doctor.WARN and "interpreted" in found.detail and "g++" in found.remedy


def test_a_check_that_fails_is_a_finding(monkeypatch):
    def check_moon():
        raise RuntimeError("not there")
        yield

    monkeypatch.setattr(doctor, "CHECKS", (check_moon,))
    (found,) = doctor.findings()
    assert found.state == doctor.FAIL and found.what == "moon" and "not there" in found.detail
    assert run("doctor").exit_code == 1


def test_lazy():
    code = "import sys, weft.cli; print([m for m in ('click', 'rich', 'numpy') if m in sys.modules])"
    root = str(Path(package.__file__).parents[1])
    out = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": root}, capture_output=True, text=True)
    loaded = out.stdout.strip()
    assert "click" not in loaded and "rich" not in loaded, out


def test_as_a_module():
    root = str(Path(package.__file__).parents[1])
    out = subprocess.run([sys.executable, "-m", "weft", "-h"], env={"PYTHONPATH": root}, capture_output=True, text=True)
    assert out.returncode == 0 and "doctor" in out.stdout, out.stderr
