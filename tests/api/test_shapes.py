"""`eval_shape`, `ShapeDtypeStruct`, `make_ir`, lowering without running, names, caches."""

from __future__ import annotations

import collections
import dataclasses
from typing import Any

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft import ShapeDtypeStruct as Struct

Point = collections.namedtuple("Point", "x y")


@weft.tree_util.register_dataclass
@dataclasses.dataclass
class Layer:
    w: Any
    name: str = weft.tree.static(default="dense")


def test_shapes_of_results() -> None:
    def f(t, n):
        return {"sum": t["a"][:, None] + t["b"], "n": 3, "none": None, "t": (t["a"].astype("int8"), n * 1.5)}

    spec = {"a": Struct((4,), "float32"), "b": Struct((5,), "float64")}
    assert weft.eval_shape(f, spec, 2) == {
        "sum": Struct((4, 5), "float64"), "n": Struct((), "int64"), "none": None,
        "t": (Struct((4,), "int8"), Struct((), "float64")),
    }  # fmt: skip


def test_it_is_neither_compiled_nor_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: Any) -> None:
        raise AssertionError("compiled")

    monkeypatch.setattr("weft.build.artifact.build", refused)
    big = Struct((10**6, 10**6), "float32")
    assert weft.eval_shape(lambda a: a @ a, big) == big
    assert weft.eval_shape(lambda a: a[::2].T, big).shape == (10**6, 500_000)


def test_structures_and_transformations() -> None:
    out = weft.eval_shape(
        lambda p: Layer(p.x @ p.y, "new"), Point(Struct((2, 3), "float64"), Struct((3, 4), "float64"))
    )
    assert out == Layer(Struct((2, 4), "float64"), "new")
    assert weft.eval_shape(weft.grad(lambda layer: wnp.sum(layer.w)), Layer(Struct((2,), "float32"))).w.shape == (2,)
    assert weft.eval_shape(weft.vmap(lambda x: x[:2]), Struct((7, 3), "float64")).shape == (7, 2)
    f = weft.jit(lambda x, n: wnp.zeros((n, *x.shape)), static_argnums=1)
    assert f.eval_shape(Struct((2,), "float64"), 5).shape == (5, 2)
    assert weft.eval_shape(lambda x, n: wnp.zeros((n + 1, *x.shape)), Struct((2,), "float64"), 5).shape == (6, 2)


def test_shapes_that_depend_on_values() -> None:
    with pytest.raises(ValueError, match="the shape of a result, f32.*, depends on the values of the arguments"):
        weft.eval_shape(lambda a: a[a > 0], Struct((4,), "float32"))


def test_structs() -> None:
    s = Struct((2, 3), np.float32)
    assert (s.shape, s.dtype, s.ndim, s.size, len(s)) == ((2, 3), np.dtype("float32"), 2, 6, 2)
    assert repr(s) == "ShapeDtypeStruct(shape=(2, 3), dtype=float32)"
    assert s == Struct([2, 3], "f4")
    assert hash(s) == hash(Struct((2, 3), "f4"))
    assert s != Struct((2, 3), "f8")
    assert s.update(shape=(1,)) == Struct((1,), "f4")
    with pytest.raises(ValueError, match="dtype must be given"):
        Struct((2,), None)
    with pytest.raises(TypeError, match="unsized"):
        len(Struct((), "f4"))
    assert weft.tree.leaves([s, None]) == [s]


def test_typeof() -> None:
    assert weft.typeof(np.zeros((2, 3), "f4")) == Struct((2, 3), "f4")
    assert weft.typeof(wnp.ones(2)) == Struct((2,), "f8")
    assert weft.typeof(3) == Struct((), "int64")
    assert weft.typeof(s := Struct((1,), "i4")) == s
    with pytest.raises(TypeError, match="typeof: str is no array or number"):
        weft.typeof("x")
    out = weft.jit(lambda x: wnp.zeros(weft.typeof(x).shape, weft.typeof(x).dtype))(np.ones(3, "f4"))
    assert (out.shape, out.dtype) == ((3,), np.float32)


def test_make_ir() -> None:
    ir, shape = weft.make_ir(lambda x, n: n * x, static_argnums=1, return_shape=True)(np.ones(3), 3)
    assert str(ir) == "def lambda_[x_n](x: f64[x_n]):\n  v1: f64[x_n] = mul(3.0:f64, x)\n  yield v1"
    assert shape == ir.out_info == Struct((3,), "float64")
    assert ir.function.params[0].name == "x"
    assert "rfor" in str(weft.make_jaxpr(weft.grad(lambda x: _loop(x)))(Struct((5,), "float64")))


def _loop(x):
    for i in range(1, x.size):
        x[i] *= x[i - 1]
    return x[-1]


def test_lowered_calls() -> None:
    f = weft.jit(lambda x: x + 1)
    lowered = f.lower(Struct((4,), "float32"))
    assert lowered.out_info == Struct((4,), "float32")
    assert "add(x, 1.0:f32)" in lowered.as_text()
    assert f.cache_info().compilations == 0
    g = lowered.compile()
    assert f.cache_info().compilations == 1
    np.testing.assert_array_equal(g(np.ones(4, "f4")), np.full(4, 2, "f4"))
    assert f.cache_info()[:2] == (1, 1)


def test_names() -> None:
    def f(x):
        with weft.named_scope("first"):
            y = x + 1
        return weft.named_call(lambda v: v * 2, name="double")(y)

    assert weft.jit(f)(1.0) == f(1.0) == 4.0
    named = weft.named_call(f, name="other")
    assert (named.__name__, named(1.0)) == ("other", 4.0)
    assert "def other" in str(weft.make_ir(named)(1.0))
    assert weft.named_call(f) is f

    @weft.named_scope("decorated")
    def g(x):
        return x

    assert g(3) == 3
    with pytest.raises(TypeError, match="must be a string"):
        weft.named_scope(3)


def test_compile_time_evaluation_is_not_needed() -> None:
    with weft.ensure_compile_time_eval():
        assert wnp.add(1, 2) == 3

    def f(x):
        with weft.ensure_compile_time_eval():
            return x

    with pytest.raises(weft.StagingError, match="Python computes what is known there without being told"):
        weft.jit(f)(1.0)


def test_clear_caches() -> None:
    f, g = weft.jit(lambda x: x + 1), weft.grad(lambda x: x * x)
    f(1.0)
    g(1.0)
    assert f.cache_info().compilations + f.cache_info().loaded == 1
    weft.clear_caches()
    assert f.cache_info()[:3] == g.cache_info()[:3] == (0, 0, 0)
    assert (f(1.0), g(1.0)) == (2.0, 2.0)
