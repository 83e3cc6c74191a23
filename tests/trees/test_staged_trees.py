"""Trees in arguments, results and bodies of compiled functions."""

from __future__ import annotations

import collections
import dataclasses
from typing import Any

import numpy as np
import pytest

import weft
from weft import tree, tree_util

Point = collections.namedtuple("Point", "x y")
X = np.arange(4.0)


class Named:
    """A container with auxiliary data."""

    def __init__(self, child: Any, name: str) -> None:
        self.child, self.name = child, name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and same(self.child, other.child) and self.name == other.name


tree_util.register_pytree_node(Named, lambda c: ((c.child,), c.name), lambda aux, children: Named(children[0], aux))


@tree_util.register_dataclass
@dataclasses.dataclass
class Layer:
    w: Any
    n: int = tree.static(default=3)
    name: str = tree.static(default="dense")

    def __call__(self, x: Any) -> Any:
        return self.w * x + self.n

    @property
    def twice(self) -> Any:
        return 2 * self.w


@dataclasses.dataclass
class Plain:
    w: Any
    sub: Any = None


@dataclasses.dataclass(slots=True)
class Slots:
    w: Any


def same(a: Any, b: Any) -> bool:
    """Whether two trees have one structure and equal leaves."""
    return tree.structure(a) == tree.structure(b) and all(
        np.array_equal(x, y) for x, y in zip(tree.leaves(a), tree.leaves(b), strict=True)
    )


TREES = [
    Layer(X),
    Plain(X, Plain(1.0)),
    Slots(X),
    Point(X, 1.0),
    Named((X, None), "n"),
    collections.OrderedDict(b=X, a=1.0),
    collections.defaultdict(int, b=X),
    {"b": X, "a": (1.0, None)},
    collections.deque([X, 1.0], 5),
    [{"k": [X]}, (X,), None],
]


def through(t: Any) -> Any:
    return t


def mapped(t: Any) -> Any:
    return tree.map(lambda v: 2.0 * v + 1.0, t)


def carried(t: Any) -> Any:
    for _ in range(10):
        t = tree.map(lambda v: v + 1.0, t)
    return t


def until(t: Any) -> Any:
    i = 0
    while i < 5:
        t = tree.map(lambda v: v + 1.0, t)
        i += 1
    return t


def chosen(t: Any) -> Any:
    return t if np.sum(tree.leaves(t)[0]) > 1e6 else tree.map(lambda v: -v, t)


@pytest.mark.parametrize("f", [through, mapped, carried, until, chosen])
@pytest.mark.parametrize("t", TREES, ids=lambda t: type(t).__name__)
def test_through_compiled_functions(f: Any, t: Any) -> None:
    out = weft.jit(f)(t)
    assert type(out) is type(t)
    assert same(out, f(t))


@pytest.mark.parametrize("t", TREES, ids=lambda t: type(t).__name__)
def test_through_transformations(t: Any) -> None:
    def loss(t: Any) -> Any:
        return sum([np.sum(v * v) for v in tree.leaves(t)])

    assert same(weft.grad(loss)(t), tree.map(lambda v: 2 * v, t))
    assert same(weft.jit(lambda t: weft.grad(loss)(t))(t), tree.map(lambda v: 2 * v, t))
    lanes = tree.map(lambda v: np.stack([v, 2 * np.asarray(v), 3 * np.asarray(v)]), t)
    got = weft.vmap(mapped)(lanes)
    assert same(got, mapped(lanes))
    value, tangent = weft.jvp(mapped, (t,), (t,))
    assert same(value, mapped(t))
    assert same(tangent, tree.map(lambda v: 2.0 * v, t))


def test_equal_dicts_whatever_their_order() -> None:
    f = weft.jit(lambda d: {k: 2 * v for k, v in d.items()})
    assert f({"b": 1.0, "a": 2.0}) == f({"a": 2.0, "b": 1.0}) == {"a": 4.0, "b": 2.0}
    assert weft.jit(lambda d: tree.leaves(d))({"b": 1.0, "a": 2.0}) == [2.0, 1.0]
    assert weft.grad(lambda d: d["a"] * d["b"])({"b": 3.0, "a": 2.0}) == {"a": 3.0, "b": 2.0}


def test_fixed_fields_are_known_while_staging() -> None:
    def f(layer: Any) -> Any:
        s = 0.0 * layer.w
        for _ in range(layer.n):
            s = s + layer.w
        return s.reshape(layer.n - 1, 2), layer.name, Layer(layer.w, layer.n + 1)

    g = weft.jit(f)
    s, name, out = g(Layer(X))
    np.testing.assert_array_equal(s, 3 * X.reshape(2, 2))
    assert (name, out.n) == ("dense", 4)
    with pytest.raises(ValueError, match="cannot reshape array of size 4 into shape"):
        g(Layer(X, 4))
    assert g(Layer(X, 3, "x"))[1] == "x"
    assert g.cache_info().compilations == 2


def test_methods_and_properties_of_arguments() -> None:
    f = weft.jit(lambda layer, x: layer(x) + layer.twice)
    np.testing.assert_array_equal(f(Layer(X), 2.0), 4 * X + 3)
    np.testing.assert_array_equal(f(Layer(X, 7), 2.0), 4 * X + 7)


def test_a_fixed_part_must_be_known() -> None:
    with pytest.raises(weft.StagingError, match="the fixed part of a Layer is a run-time value") as e:
        weft.jit(lambda x, n: Layer(x, n))(X, 3)
    assert "name its field among the data_fields" in str(e.value)
    with pytest.raises(weft.StagingError, match="the fixed part of a Layer is a run-time value"):
        weft.jit(lambda x, n: Layer(x, n) if np.sum(x) > 1 else Layer(x, 2))(X, 3)


def test_structures_while_staging(capfd: pytest.CaptureFixture[str]) -> None:
    def f(t: Any) -> Any:
        print(tree.structure(t))
        flat, treedef = tree.flatten(t)
        if treedef == tree.structure({"a": 0, "b": 0}):
            return tree.unflatten(treedef, [2 * v for v in flat])
        return tree.map_with_path(lambda path, v: len(path) * v, t)

    assert weft.jit(f)({"b": 1.0, "a": 2.0}) == {"a": 4.0, "b": 2.0}
    assert weft.jit(f)({"b": [1.0], "c": 2.0}) == {"b": [2.0], "c": 2.0}
    assert capfd.readouterr().out == "PyTreeDef({'a': *, 'b': *})\nPyTreeDef({'b': [*], 'c': *})\n"


def test_trees_differ_in_compiled_code() -> None:
    with pytest.raises(ValueError, match=r"differ at \['a'\]: the first tree has a list of 1, tree 2 has a leaf"):
        weft.jit(lambda a, b: tree.map(lambda p, q: p, a, b))({"a": [1.0]}, {"a": 1.0})


def test_what_a_library_function_made_may_be_changed() -> None:
    def f(t: Any) -> Any:
        out = tree.map(lambda v: 2 * v, t)
        out["a"].append(5.0)
        out["b"].w = 1.0
        flat = tree.leaves(out)
        flat[0] = 9.0
        return out, flat

    t = {"a": [1.0], "b": Layer(2.0)}
    out, flat = weft.jit(f)(t)
    assert out == {"a": [2.0, 5.0], "b": Layer(1.0)}
    assert flat == [9.0, 5.0, 1.0]
    assert t == {"a": [1.0], "b": Layer(2.0)}


def append(t: Any) -> Any:
    t["a"].append(1.0)
    return t


def update(t: Any) -> Any:
    t.update(a=1.0)
    return t


def attribute(t: Any) -> Any:
    t.w = 1.0
    return t


def rotate(t: Any) -> Any:
    t.rotate(1)
    return t


@pytest.mark.parametrize(
    ("f", "t"),
    [
        (append, {"a": [2.0]}),
        (update, {"a": 2.0}),
        (update, collections.OrderedDict(a=2.0)),
        (update, collections.defaultdict(int, a=2.0)),
        (lambda t: t["new"], collections.defaultdict(int, a=2.0)),
        (lambda t: tree.map(lambda x: x, [t], is_leaf=lambda x: x is t)[0].pop("a"), {"a": 2.0}),
        (rotate, collections.deque([1.0, 2.0])),
        (attribute, Layer(2.0)),
        (attribute, Plain(2.0)),
        (attribute, Slots(2.0)),
        (attribute, Named(2.0, "n")),
    ],
    ids=range(11),
)
def test_arguments_are_not_changed(f: Any, t: Any) -> None:
    with pytest.raises(weft.StagingError, match="that the compiled function did not make"):
        weft.jit(f)(t)


def test_containers_made_inside() -> None:
    def f(x: float) -> Any:
        ordered = collections.OrderedDict()
        counts: Any = collections.defaultdict(lambda: 0.0)
        lists: Any = collections.defaultdict(list)
        last: Any = collections.deque(maxlen=2)
        for i in range(3):
            last.append(x * i)
        if x > 0:
            ordered["z"] = x
            lists["a"].append(x)
        else:
            ordered["z"] = -x
            lists["a"].append(-x)
        ordered["a"] = last[-1]
        counts["n"] += x
        return ordered, dict(counts), dict(lists), last

    assert weft.jit(f)(2.0) == f(2.0)
    assert weft.jit(f)(-2.0) == f(-2.0)


def test_partial_arguments() -> None:
    f = weft.jit(lambda p, y: p(y))
    add = lambda a, b: a + b  # noqa: E731
    assert f(tree_util.Partial(add, 1.0), 2.0) == 3.0
    assert f(tree_util.Partial(add, 5.0), 2.0) == 7.0
    assert f.cache_info().compilations == 1
    assert f(tree_util.Partial(lambda a, b: a * b, 5.0), 2.0) == 10.0


def test_structures_are_part_of_the_signature() -> None:
    f = weft.jit(lambda t: tree.reduce(lambda a, b: a + b, t))
    assert [f(Named(1.0, "a")), f(Named(2.0, "a")), f(Named(3.0, "b"))] == [1.0, 2.0, 3.0]
    assert f.cache_info().compilations == 2
    with pytest.raises(TypeError, match="hash"):
        f(Named(1.0, ["unhashable"]))


def test_warm_starts_of_layers(tmp_path: Any) -> None:
    """Programs over dataclass arguments, with methods, are found again by another process."""
    import os
    import subprocess
    import sys

    (tmp_path / "layers.py").write_text(
        "import dataclasses, weft\n"
        "from weft import tree, tree_util\n"
        "@tree_util.register_dataclass\n"
        "@dataclasses.dataclass\n"
        "class Layer:\n"
        "    w: float\n"
        "    n: int = tree.static(default=2)\n"
        "    def __call__(self, x):\n"
        "        return self.w * x + self.n\n"
        "@dataclasses.dataclass\n"
        "class Model:\n"
        "    first: Layer\n"
        "    second: Layer\n"
        "    def __call__(self, x):\n"
        "        return self.second(self.first(x))\n"
        "@weft.jit\n"
        "def apply(model, x):\n"
        "    return model(x)\n"
        "print(apply(Model(Layer(2.0), Layer(3.0, 5)), 1.0), apply.cache_info().loaded)\n"
    )
    said = []
    for _ in range(2):
        env = {**os.environ, "WEFT_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", "import layers"], env=env, capture_output=True, text=True, check=True
        )
        said.append(done.stdout.split())
    assert said == [["17.0", "0"], ["17.0", "1"]]
    text = (tmp_path / "layers.py").read_text()
    (tmp_path / "layers.py").write_text(
        text.replace("    def __call__(self, x):\n        return self.w", "    def __post_init__(self):\n"
                     "        self.scale = 10 * self.w\n    def __call__(self, x):\n        return self.scale")
    )  # fmt: skip
    done = subprocess.run([sys.executable, "-c", "import layers"], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["665.0", "0"]


def test_classes_registered_after_a_call() -> None:
    @dataclasses.dataclass
    class Late:
        w: Any
        n: int = 2

    class Later:
        def __init__(self, x: float) -> None:
            self.x = x

    f = weft.jit(lambda t: tree.map(lambda v: v + 1, t))
    assert f(Late(1.0)) == Late(2.0, 3)
    tree_util.register_dataclass(Late, ["w"], ["n"])
    assert f(Late(1.0)) == Late(2.0, 2)
    g = weft.jit(lambda t: t.x + 1)
    old = Later(1.0)
    assert g(old) == 2.0
    tree_util.register_pytree_node(Later, lambda t: ((t.x,), None), lambda aux, children: Later(*children))
    assert [g(Later(float(k))) for k in range(3)] == [1.0, 2.0, 3.0]
    assert g.cache_info().compilations == 2


def test_fields_are_read_at_each_call() -> None:
    class Missing:
        def __init__(self) -> None:
            self.a = 1.0

    tree_util.register_dataclass(Missing, ["a"], ["b"])
    f = weft.jit(lambda t: t.a)
    with pytest.raises(AttributeError, match="'b'"):
        f(Missing())
    t = Missing()
    t.b = [1]  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="hash"):
        f(t)
    layer = Layer(X)
    g = weft.jit(lambda layer: layer.w * layer.n)
    np.testing.assert_array_equal(g(layer), 3 * X)
    layer.n, layer.w = 2, X + 1
    np.testing.assert_array_equal(g(layer), 2 * X + 2)
    deep: Any = 1.0
    for _ in range(5000):
        deep = Plain(deep)
    with pytest.raises(RecursionError):
        weft.jit(lambda t: 1.0)(deep)


@pytest.mark.parametrize("t", TREES, ids=lambda t: type(t).__name__)
def test_through_loops_of_the_library(t: Any) -> None:
    def step(carry: Any, x: Any) -> Any:
        return tree.map(lambda v: v + x["k"], carry), carry

    xs = {"k": np.arange(3.0)}
    carry, seen = weft.jit(lambda t: weft.lax.scan(step, t, xs))(t)
    assert type(carry) is type(t)
    assert same(carry, tree.map(lambda v: v + 3.0, t))
    assert same(seen, tree.map(lambda v: np.stack([v, v, v + 1.0]), t))
    out = weft.jit(lambda t, c: weft.lax.cond(c, lambda t: t, lambda t: tree.map(lambda v: -v, t), t))(t, False)
    assert same(out, tree.map(lambda v: -v, t))
    out = weft.lax.fori_loop(0, 4, lambda i, t: tree.map(lambda v: v + i, t), t)
    assert same(out, tree.map(lambda v: v + 6.0, t))
