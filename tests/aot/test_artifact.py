"""Artifacts that are stale, foreign or broken: an error that says what to do, at import."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import types

import pytest

from weft import _runtime
from weft.build import aot
from weft.runtime import processor
from weft.runtime.built import FORMAT, bind

TEXT = """
    @export("f64 -> f64")
    def f(x):
        return x + 1.0
"""


def module(name="built_somewhere"):
    return types.ModuleType(name)


def meta(**changed):
    return json.dumps({"format": FORMAT, "weft": "0.0.9", "doc": "", "functions": [], **changed})


def test_another_interface():
    with pytest.raises(
        ImportError, match=r"built_somewhere was built with another version of weft, whose interface is 1;"
    ):
        bind(module(), 1, meta(), [("x86_64", "", [])])


def test_another_format():
    with pytest.raises(
        ImportError, match=r"built with weft 0.0.9, whose modules this one does not read: build it again"
    ):
        bind(module(), _runtime.ABI_VERSION, meta(format=FORMAT + 1), [("x86_64", "", [])])


def test_another_processor(monkeypatch):
    monkeypatch.delenv("WEFT_MARCH", raising=False)
    monkeypatch.setattr(processor, "cpu_features", lambda: frozenset(["sse2"]))
    with pytest.raises(
        ImportError,
        match=r"built_somewhere was built for processors of the level native, and this one lacks avx2, fma: build it with"
        r" `weft build --march x86-64`",
    ):
        bind(module(), _runtime.ABI_VERSION, meta(), [("native", "avx2 fma", [])])


def test_the_best_level_that_runs(monkeypatch):
    monkeypatch.delenv("WEFT_MARCH", raising=False)
    levels = [("x86_64_v4", "avx2 avx512f", 4), ("x86_64_v3", "avx2", 3), ("x86_64", "", 1)]
    for features, level in (((), 1), (("avx2",), 3), (("avx512f",), 1), (("avx2", "avx512f"), 4)):
        monkeypatch.setattr(processor, "cpu_features", lambda features=features: frozenset(features))
        assert processor.choose_level("m", levels)[1] == level
    monkeypatch.setenv("WEFT_MARCH", "x86-64-v3")
    assert processor.choose_level("m", levels) == ("x86_64_v3", 3)
    monkeypatch.setenv("WEFT_MARCH", "native")
    with pytest.raises(ImportError, match="WEFT_MARCH is 'native', but m was built for x86-64-v4, x86-64-v3, x86-64"):
        processor.choose_level("m", levels)


def test_levels_of_the_command_line():
    assert [level.name for level in aot.chosen_levels("")] == [
        n for n in ("x86-64-v4", "x86-64-v3", "x86-64", "generic") if n in aot.known_levels()
    ]
    assert [level.name for level in aot.chosen_levels("native")] == ["native"]
    features = processor.cpu_features()
    assert set(aot.known_levels()["native"].needs.split()) <= features
    assert "-march=native" not in [f for level in aot.chosen_levels("") for f in level.flags]


def run(code, *options, **environment):
    """A Python of its own, without site-packages if ``-S`` is among the options."""
    return subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}
    )


def test_without_weft(project):
    p = project(TEXT)
    assert p.build().exit_code == 0
    done = run(f"import sys; sys.path[:0] = [{str(p.out)!r}]; import {p.name}", "-S", "-E")
    assert done.returncode == 1
    assert (
        f"ImportError: {p.name} was built with weft and needs its runtime, which is not installed: pip install weft"
        in (done.stderr)
    )


def test_with_an_older_weft(project):
    p = project(TEXT)
    assert p.build().exit_code == 0
    code = f"import sys; sys.path[:0] = [{str(p.out)!r}]; sys.modules['weft.runtime.built'] = None; import {p.name}"
    done = run(code)
    assert "needs its runtime, and the weft that is installed is too old: pip install -U weft" in done.stderr


def test_a_module_of_other_sources(project):
    """Kernels and the module's own file do not belong together: the static assertion and the linker say so."""
    p, q = project(TEXT), project(TEXT.replace("f(x)", "g(x)"))
    from tests.aot.conftest import weft

    for each in (p, q):
        weft(each.file, "--name", "mixed", "--sources", each.root / "generated")
    shutil.copy(q.root / "generated" / "mixed.cpp", p.root / "generated" / "mixed.cpp")
    done = weft("--from", p.root / "generated", "-o", p.out, "--march", "x86-64")
    assert done.exit_code == 1
    assert re.search(r"the built module mixed cannot be loaded: .*undefined symbol: weft_entries_mixed_g", done.output)
    assert not list(p.out.glob("*.so"))


def test_another_abi_does_not_compile(project):
    from tests.aot.conftest import weft

    p = project(TEXT)
    weft(p.file, "--name", p.name, "--sources", p.root / "generated")
    path = p.root / "generated" / f"{p.name}.cpp"
    path.write_text(path.read_text().replace(f"WEFT_ABI_VERSION == {_runtime.ABI_VERSION},", "WEFT_ABI_VERSION == 1,"))
    done = weft("--from", p.root / "generated", "-o", p.out, "--march", "x86-64")
    assert done.exit_code == 1
    assert "these sources were generated by another version of weft: generate them again" in done.output


def test_something_else_in_the_modules_place(project):
    p = project(TEXT)
    assert p.build().exit_code == 0
    p.library.write_text("version https://git-lfs.github.com/spec/v1\n")
    done = run(f"import sys; sys.path[:0] = [{str(p.out)!r}]; import {p.name}")
    assert done.returncode == 1 and "ImportError" in done.stderr


def test_imports_nothing_heavy(project):
    p = project(TEXT)
    assert p.build().exit_code == 0
    code = (
        f"import sys; sys.path[:0] = [{str(p.out)!r}]; import {p.name} as m; print(m.f(1.0))\n"
        "heavy = ('gast', 'beniget', 'jinja2', 'click', 'rich', 'subprocess', 'weft.frontend', 'weft.aot',"
        " 'weft.build', 'weft.lowering')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = run(code, PATH="")
    assert done.stdout.split("\n")[:2] == ["2.0", "[]"], done.stdout + done.stderr


def test_inside_a_package(project, tmp_path):
    p = project(TEXT)
    assert p.build().exit_code == 0
    package = tmp_path / "within"
    package.mkdir()
    (package / "__init__.py").write_text("")
    shutil.copy(p.library, package)
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}]; from within.{p.name} import f; import pickle\n"
        "print(f.__module__, pickle.loads(pickle.dumps(f)) is f)"
    )
    assert run(code).stdout.strip() == f"within.{p.name} True"


def test_the_file_has_pythons_suffix(project):
    p = project(TEXT)
    assert p.build().exit_code == 0
    assert p.library.name == p.name + sysconfig.get_config_var("EXT_SUFFIX")


def test_two_modules_in_one_process(built):
    a, _ = built(TEXT)
    b, _ = built(TEXT.replace("1.0", "10.0"))
    assert (a.f(1.0), b.f(1.0)) == (2.0, 11.0)
