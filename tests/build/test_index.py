"""Warm starts: a record holds only while everything it was made from is as it was."""

import subprocess
import sys
import textwrap
import time
import types
from pathlib import Path

import numpy as np
import pytest

from weft.build import index
from weft.build.index import ROOT, Dependency, Guard, Record, Unindexable


def compiled(source: str, name: str = "weft_index_sample") -> types.ModuleType:
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(textwrap.dedent(source), f"{name}.py", "exec"), module.__dict__)
    return module


@pytest.fixture
def sample():
    text = """
    lr = 0.1
    def helper(x):
        return x * 2
    def f(x):
        return helper(x) + lr
    """
    yield lambda old="", new="": compiled(text.replace(old, new) if old else text)
    sys.modules.pop("weft_index_sample", None)


def record(module, **options):
    guards = (Guard.of(module.lr, (*ROOT, ("global", "lr"))),)
    return Record(
        (Dependency.of(module.f), Dependency.of(module.helper)), guards, {"entry": "main", **options}, "a" * 32
    )


def test_round_trip(root, sample):
    m = sample()
    r = record(m)
    assert index.lookup(m.f, "jit", "f64[n]") is None
    assert index.store(m.f, "jit", "f64[n]", r)
    assert index.lookup(m.f, "jit", "f64[n]") == r
    assert index.lookup(m.f, "grad", "f64[n]") is None
    assert index.lookup(m.f, "jit", "f32[n]") is None
    assert index.lookup(sample().f, "jit", "f64[n]") == r, "the same code loaded again"


@pytest.mark.parametrize(
    "old, new, holds",
    [
        ("x * 2", "x * 3", False),
        ("x * 2", "x / 2", False),
        ("lr = 0.1", "lr = 0.2", False),
        ("lr = 0.1", "lr = 1", False),
        ("return helper(x) + lr", "return helper(x) - lr", False),
        ("def helper(x):", "def helper(x, y=1):", False),
        ("return x * 2", "return x * 2.0", False),
        ("return x * 2", "return x * True", False),
        ("lr = 0.1", "# a comment\n    lr = 0.1", True),
        ("def helper(x):\n", "def helper(x):\n        # why\n", True),
    ],
)
def test_changes(root, sample, old, new, holds):
    m = sample()
    index.store(m.f, "jit", "f64", record(m))
    assert (index.lookup(sample(old, new).f, "jit", "f64") is not None) == holds


def test_a_dependency_that_is_gone(root, sample):
    m = sample()
    index.store(m.f, "jit", "f64", record(m))
    del m.helper
    assert index.lookup(m.f, "jit", "f64") is None


def test_several_records_of_one_signature(root, sample):
    m = sample()
    for n in range(12):
        index.store(m.f, "jit", "f64[n]", record(m, n=n))
    assert index.lookup(m.f, "jit", "f64[n]").plan["n"] == 11
    assert index.lookup(m.f, "jit", "f64[n]", accept=lambda plan: plan["n"] == 7).plan["n"] == 7
    assert index.lookup(m.f, "jit", "f64[n]", accept=lambda plan: plan["n"] == 1) is None, "the oldest went"


def test_closures_and_routes(root):
    def make(scale):
        def inner(x):
            return x * scale

        def outer(x):
            return inner(x) + 1

        return outer, inner

    outer, inner = make(3)
    with pytest.raises(Unindexable):
        Dependency.of(inner)
    to_inner = (*ROOT, ("cell", "inner"))
    guard = Guard.of(3, (*to_inner, ("cell", "scale")))
    r = Record((Dependency.of(outer, ROOT), Dependency.of(inner, to_inner)), (guard,), [1], "b")
    assert index.store(outer, "jit", "", r)
    assert index.lookup(make(3)[0], "jit", "") == r
    assert index.lookup(make(4)[0], "jit", "") is None


def test_methods_and_items(root):
    m = compiled("class A:\n  table = {'k': (1, 2)}\n  def go(self, x):\n    return x\n", "weft_index_class")
    a = m.A()
    r = Record(
        (Dependency.of(m.A.go),),
        (Guard.of((1, 2), (("module", m.__name__), ("attr", "A"), ("attr", "table"), ("item", "k"))),),
        0,
        "c",
    )
    assert index.store(a.go, "jit", "", r)
    assert index.lookup(a.go, "jit", "") is not None
    m.A.table["k"] = (1, 3)
    assert index.lookup(a.go, "jit", "") is None


def test_damaged_records_are_misses(root, sample):
    m = sample()
    index.store(m.f, "jit", "", record(m))
    (path,) = (root / "artifacts" / "index").iterdir()
    for text in ("", "{", "[1]", '[{"dependencies": 3}]', "null"):
        path.write_text(text)
        assert index.lookup(m.f, "jit", "") is None
        assert index.store(m.f, "jit", "", record(m))
        assert index.lookup(m.f, "jit", "") is not None


def test_what_cannot_be_recognised_is_not_stored(root, sample):
    m = sample()
    m.f.__defaults__ = ([1, 2],)
    assert not index.store(m.f, "jit", "", Record((), (), 0, "a"))
    assert not index.store(len, "jit", "", Record((), (), 0, "a"))
    with pytest.raises(Unindexable):
        Guard.of(np.zeros(3), ROOT)


def test_descriptions_tell_values_apart():
    values = [0, 0.0, -0.0, False, None, "0", b"0", (0,), (0.0,), np.float32(0), np.float64(0), np.dtype("f4"), np.sin,
              np.cos, np, int, float, {"a": 1}, {"a": 1.0}, frozenset({1}), slice(0), len, ...]  # fmt: skip
    texts = [index.describe(v) for v in values]
    assert len(set(texts)) == len(values)


def test_code_digest_sees_nested_code():
    one, two = compiled("def f():\n  return [lambda x: x + 1]"), compiled("def f():\n  return [lambda x: x + 2]")
    assert index.function_digest(one.f) != index.function_digest(two.f)


def test_digests_are_equal_in_another_process():
    code = (
        "import sys; from weft.build import index\n"
        "def f(x, k={'a': (1, 2.5)}):\n  return x in {1, 2, 'three', None} and (lambda y: y)(k)\n"
        "print(index.function_digest(f))"
    )
    path = str(Path(index.__file__).parents[2])
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": path, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(runs) == 1 and len(runs.pop()) == 33


def test_imports_no_front_end():
    code = "import sys; from weft.build import index, artifact; print([m for m in ('gast', 'jinja2', 'rich') if m in sys.modules])"
    path = str(Path(index.__file__).parents[2])
    out = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert out.stdout == "[]\n", out.stderr


def test_quick(root):
    lines = [f"def g{i}(x, y):\n    z = x * {i}\n    return [z + y for _ in range(3)]" for i in range(20)]
    calls = " + ".join(f"g{i}(x, x)" for i in range(20))
    m = compiled("\n".join([*lines, f"def f(x):\n    return {calls}"]), "weft_index_many")
    deps = tuple(Dependency.of(getattr(m, f"g{i}")) for i in range(20))
    index.store(m.f, "jit", "s", Record(deps, (), {}, "a"))
    best = 9.0
    for _ in range(5):
        index._code_digests.clear()
        began = time.perf_counter()
        assert index.lookup(m.f, "jit", "s") is not None
        best = min(best, time.perf_counter() - began)
    assert best < 0.01  # 0.7 ms on an idle machine
