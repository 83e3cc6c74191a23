"""The programs of tests/programs, built ahead of time in one module: every sample call does what Python does."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import io
import re
from typing import Any

import numpy as np
import pytest
from tests.programs import language, numeric  # noqa: F401  (they register programs)
from tests.programs.harness import PROGRAMS, Program

from weft.aot.collect import Exported
from weft.aot.make import generate
from weft.api.export import Export
from weft.build.aot import Compilation, chosen_levels, suffix
from weft.build.signature import parse_signature
from weft.runtime.built import name_of

# What cannot be built says so: a comprehension over an array needs its length as a number.
NEEDS_NUMBERS = {"lambdas_and_partials", "comprehensions"}


def signature_of(args: tuple[Any, ...]) -> str | None:
    """The types of a sample call, equal sizes under one name; None where a signature cannot say them."""
    names: dict[int, str] = {}
    python = {bool: "bool", int: "i64", float: "f64", complex: "c128"}
    types = []
    for a in args:
        if type(a) in python:
            types.append(python[type(a)])
        elif isinstance(a, np.ndarray) and a.dtype.kind in "biufc":
            sizes = [names.setdefault(n, f"s{n}") for n in a.shape]
            types.append(f"{name_of(a.dtype)}[{', '.join(sizes)}]")
        elif isinstance(a, np.float32):
            types.append("f32")
        else:
            return None
    return ", ".join(types)


def cases() -> dict[str, tuple[Program, str, list[tuple[Any, ...]]]]:
    """Of each program a signature and the sample calls that fit it."""
    found = {}
    for p in PROGRAMS:
        if p.jit or p.name in NEEDS_NUMBERS:
            continue
        calls = p.calls()
        signatures = [signature_of(c) for c in calls]
        if None not in signatures:
            found[p.name] = (p, str(signatures[0]), [c for c, s in zip(calls, signatures) if s == signatures[0]])
    return found


CASES = cases()


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    work = tmp_path_factory.mktemp("programs")
    exported = []
    for name, (p, text, _) in CASES.items():
        sizes = set(re.findall(r"s\d+", text))
        least = dict.fromkeys(sizes, 2) if len(sizes) > 2 else {}
        exported.append(Exported(name, p.fn, (Export(p.fn, parse_signature(text), least, name, "tests", {}),)))
    compilation = Compilation(work, chosen_levels("x86-64"))

    def compile_kernels(staged, file, content):
        (work / file).write_text(content)
        compilation.kernels(work / file, staged.exported.name)

    text = generate("every_program", exported, "tests", compile_kernels)
    (work / "every_program.cpp").write_text(text.files["every_program.cpp"])
    compilation.module(work / "every_program.cpp")
    path = work / ("every_program" + suffix())
    compilation.link(path, "every_program")
    spec = importlib.util.spec_from_file_location("every_program", path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def answer(fn, args):
    """The result or exception of a call, its arguments afterwards, and what it printed."""
    args, printed = copy.deepcopy(args), io.StringIO()
    with contextlib.redirect_stdout(printed), np.errstate(all="ignore"):
        try:
            result = fn(*args)
        except Exception as e:
            result = type(e)
    return result, args, printed.getvalue()


def same(ours, theirs):
    if isinstance(theirs, tuple | list):
        for a, b in zip(ours, theirs, strict=True):
            same(a, b)
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        same(list(ours.values()), list(theirs.values()))
    elif theirs is None or isinstance(theirs, str | type):
        assert ours == theirs
    else:
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_program(module, name):
    p, _, calls = CASES[name]
    for args in calls:
        ours, theirs = answer(getattr(module, name), args), answer(p.fn, args)
        assert p.loose or type(ours[0]) is type(theirs[0])
        same(ours, theirs)


def test_most_programs_are_here():
    assert len(CASES) > 60
