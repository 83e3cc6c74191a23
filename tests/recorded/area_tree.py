"""Trees: order of leaves, structures as text, paths, and transformations over containers."""

from __future__ import annotations

import collections
from typing import Any

import numpy as np
from recorded_cases import case

X = np.linspace(-1.0, 1.0, 6).reshape(2, 3)
Y = np.arange(3.0)
Point = collections.namedtuple("Point", "x y")


def tree(x: Any, y: Any) -> Any:
    return {"b": [x, (y, None)], "a": Point(y, {"z": x, "k": y[0]}), "o": collections.OrderedDict(q=y, p=x)}


def text(run: Any) -> Any:
    """Strings as arrays of code points, with their lengths."""
    return lambda j, *args: np.frombuffer(str(run(j, *args)).encode("utf-8"), np.uint8)


PAIR = {"f": 1, "g": (2, [3, None])}
TEXTS = [
    5, None, (), [], {}, (1,), [1, (2, None)], {"b": 1, "a": {"d": 2, "c": 3}}, Point(1, 2),
    collections.OrderedDict(b=1, a=(2,)), collections.defaultdict(list, x=1), [Point((1, 2), None), {3: 4}],
]  # fmt: skip

CASES = [
    *[case(f"text{i}", text(lambda j, t=t: j.tree.structure(t)), compiled=False) for i, t in enumerate(TEXTS)],
    *[
        case(
            f"paths{i}",
            text(lambda j, t=t: [j.tree_util.keystr(p) for p, _ in j.tree.leaves_with_path(t)]),
            compiled=False,
        )
        for i, t in enumerate(TEXTS)
    ],
    case(
        "simple_paths",
        text(lambda j: [j.tree_util.keystr(p, simple=True, separator="/") for p, _ in j.tree.leaves_with_path(PAIR)]),
        compiled=False,
    ),
    case("composed", text(lambda j: j.tree.structure([1, 2]).compose(j.tree.structure((3, None)))), compiled=False),
    case(
        "tuple", text(lambda j: j.tree_util.treedef_tuple([j.tree.structure(1), j.tree.structure([2])])), compiled=False
    ),
    case("children", text(lambda j: j.tree_util.treedef_children(j.tree.structure(PAIR))), compiled=False),
    case("leaves", lambda j, x, y: j.tree.leaves(tree(x, y)), X, Y, grad=True),
    case("map", lambda j, x, y: j.tree.leaves(j.tree.map(lambda v: 2 * v + 1, tree(x, y))), X, Y, grad=True),
    case(
        "map_two",
        lambda j, x, y: j.tree.leaves(j.tree.map(lambda a, b: a * j.numpy.sum(b), tree(x, y), tree(y, x))),
        X,
        Y,
        grad=True,
    ),
    case("prefix", lambda j, x, y: j.tree.map(lambda a, b: a + b["k"][0], [x, y], [{"k": (y,)}, {"k": (x,)}]), X, Y),
    case("reduce", lambda j, x, y: j.tree.reduce(lambda a, b: a + j.numpy.sum(b), tree(x, y), 0.0), X, Y, grad=True),
    case("associative", lambda j, x: j.tree.reduce_associative(lambda a, b: a - b, [x, 2 * x, 3 * x, x * x, x]), X),
    case(
        "transpose",
        lambda j, x, y: j.tree.transpose(j.tree.structure([0, 0]), None, [{"a": x, "b": y}, {"a": 2 * x, "b": y}]),
        X,
        Y,
        grad=True,
    ),
    case("broadcast", lambda j, x, y: j.tree.broadcast((x, y), ([0, 0], {"k": 0, "j": (0,)})), X, Y),
    case(
        "stopped",
        lambda j, x: j.tree.map(lambda v: v[0], [(x, 1), (2 * x, 2)], is_leaf=lambda v: isinstance(v, tuple)),
        X,
    ),
    case(
        "with_path", lambda j, x: j.tree.map_with_path(lambda p, v: len(p) * v, {"a": x, "b": [x, (x,)]}), X, grad=True
    ),
    case("all", lambda j, x: j.tree.all({"a": True, "b": [1, x.size]}), X, compiled=False),
    case("partial", lambda j, x: j.tree_util.Partial(lambda a, b: a - b, x)(2.0), X, grad=True),
    case("grads", lambda j, x, y: j.grad(lambda t: j.numpy.sum(t["w"][0] * t["b"]) ** 2)({"w": [x], "b": y}), X, Y),
]
