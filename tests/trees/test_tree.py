"""Trees taken apart and put together by Python: `weft.tree`, `weft.tree_util`."""

from __future__ import annotations

import collections
import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

import weft
from weft import tree, tree_util
from weft.tree_util import DictKey, FlattenedIndexKey, GetAttrKey, SequenceKey, keystr

Point = collections.namedtuple("Point", "x y")


class Named:
    """A container with auxiliary data."""

    def __init__(self, children: Any, name: str) -> None:
        self.children, self.name = children, name


tree_util.register_pytree_node(Named, lambda c: (c.children, c.name), lambda aux, children: Named(list(children), aux))


@tree_util.register_dataclass
@dataclasses.dataclass
class Layer:
    w: Any
    name: str = tree.static(default="dense")


@dataclasses.dataclass(frozen=True)
class Plain:
    a: Any
    b: Any


TREES: list[tuple[Any, list[Any], str]] = [
    (1, [1], "*"),
    (None, [], "None"),
    ((), [], "()"),
    ([], [], "[]"),
    ({}, [], "{}"),
    ((1,), [1], "(*,)"),
    ([1, {"k2": (3, 4), "k1": 2}, 5], [1, 2, 3, 4, 5], "[*, {'k1': *, 'k2': (*, *)}, *]"),
    ({"a": 1, "b": (2, None)}, [1, 2], "{'a': *, 'b': (*, None)}"),
    (Point(1, [2]), [1, 2], "CustomNode(namedtuple[Point], [*, [*]])"),
    (collections.OrderedDict(b=1, a=2), [1, 2], "CustomNode(OrderedDict[('b', 'a')], [*, *])"),
    (collections.defaultdict(int, {"q": 1}), [1], "CustomNode(defaultdict[(<class 'int'>, ('q',))], [*])"),
    (collections.deque([1, (2,)], 4), [1, 2], "CustomNode(deque[4], [*, (*,)])"),
    (Named([1, (2,)], "aux"), [1, 2], "CustomNode(Named[aux], [*, (*,)])"),
    (Layer(3), [3], "CustomNode(Layer[('dense',)], [*])"),
    (Plain(1, {"z": 2}), [1, 2], "CustomNode(Plain[('a', 'b')], [*, {'z': *}])"),
]


@pytest.mark.parametrize(("t", "leaves", "text"), TREES, ids=lambda x: str(x)[:20])
def test_leaves_structures_and_their_texts(t: Any, leaves: list[Any], text: str) -> None:
    found, treedef = tree.flatten(t)
    assert found == leaves == tree.leaves(t)
    assert repr(treedef) == f"PyTreeDef({text})"
    assert treedef.num_leaves == len(leaves)
    assert treedef == tree.structure(t)
    assert hash(treedef) == hash(tree.structure(t))
    back = tree.unflatten(treedef, leaves)
    assert type(back) is type(t)
    assert tree.flatten(back) == (leaves, treedef)
    assert pickle.loads(pickle.dumps(treedef)) == treedef


def test_one_structure_has_other_leaves() -> None:
    assert tree.structure({"b": 1, "a": 2}) == tree.structure({"a": 0, "b": 0})
    assert tree.structure(Named([1], "x")) != tree.structure(Named([1], "y"))
    assert tree.structure(Layer(1, "x")) != tree.structure(Layer(1, "y"))
    assert tree.structure((1, 2)) != tree.structure([1, 2])
    assert tree.structure(1) != "*"


def test_mapped_trees_keep_their_kind() -> None:
    for t, leaves, _ in TREES:
        out = tree.map(lambda x: 10 * x, t)
        assert type(out) is type(t)
        assert tree.leaves(out) == [10 * x for x in leaves]
    assert tree.map(lambda x, y: x + y, {"a": (1, 2)}, {"a": (10, 20)}) == {"a": (11, 22)}
    assert tree.map(lambda x, y: (x, y), [1, 2], [{"a": 3}, None]) == [(1, {"a": 3}), (2, None)]
    q = tree.map(lambda x: x, collections.deque([1], 7))
    assert q.maxlen == 7
    assert tree.map(lambda x: x, collections.defaultdict(list, a=1))["new"] == []
    assert list(tree.map(lambda x: x, {"b": 1, "a": 2})) == ["b", "a"]


def test_leaves_as_told() -> None:
    stop = lambda x: isinstance(x, tuple) or x is None  # noqa: E731
    assert tree.leaves([1, (2, 3), None], is_leaf=stop) == [1, (2, 3), None]
    assert str(tree.structure([1, (2, 3)], is_leaf=stop)) == "PyTreeDef([*, *])"
    assert tree.map(len, [(1, 2), (3,)], is_leaf=stop) == [2, 1]
    assert tree.leaves([Plain(1, 2)], is_leaf=lambda x: isinstance(x, Plain)) == [Plain(1, 2)]


def test_combined_leaves() -> None:
    assert tree.reduce(lambda a, b: a - b, [1, (2, 3)]) == -4
    assert tree.reduce(lambda a, b: a - b, [1, (2, 3)], 10) == 4
    assert tree.reduce(lambda a, b: a + b, [], 7) == 7
    with pytest.raises(TypeError, match="empty iterable with no initial value"):
        tree.reduce(lambda a, b: a, [])
    assert tree.reduce_associative(lambda a, b: (a, b), [1, 2, 3, 4, 5]) == ((1, 2), (3, (4, 5)))
    assert tree.reduce_associative(max, [], identity=3) == 3
    with pytest.raises(TypeError, match="Must specify identity"):
        tree.reduce_associative(max, [])
    assert tree.all([1, {"a": True}])
    assert not tree.all([1, {"a": 0}])


def test_transposed_and_broadcast() -> None:
    outer, inner = tree.structure([0, 0]), tree.structure({"a": 0, "b": 0})
    t = [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    assert tree.transpose(outer, inner, t) == {"a": [1, 3], "b": [2, 4]}
    assert tree.transpose(outer, None, t) == {"a": [1, 3], "b": [2, 4]}
    assert tree.broadcast((1, 2), ([0, 0], {"a": 0})) == ([1, 1], {"a": 2})
    with pytest.raises(
        ValueError, match=r"the trees differ at the root: the structure has a dict of 2, the tree has a"
    ):
        tree.transpose(outer, inner, [(1, 2), (3, 4)])
    with pytest.raises(TypeError, match=r"a structure \(weft\.tree\.structure of a tree\) is needed here, not \[1\]"):
        tree.transpose([1], inner, t)


DIFFERENT = [
    ({"a": 1, "b": 2}, {"a": 1}, r"at the root: .* a dict of 2, tree 2 has a dict of 1; keys only in the first tree: \['b'\]"),
    ({"a": {"c": 1}}, {"a": {"d": 1}}, r"at \['a'\]: .*keys \['c'\], tree 2 with keys \['d'\]"),
    ([1, (2, 3)], [1, (2, 3, 4)], r"at \[1\]: the first tree has a tuple of 2, tree 2 has a tuple of 3"),
    ([1, {"k": (2, 3)}], [1, {"k": [2, 3]}], r"at \[1\]\['k'\]: the first tree has a tuple of 2, tree 2 has a list of 2"),
    ([1, (2,)], 5, r"at the root: the first tree has a list of 2, tree 2 has a leaf of type int"),
    ([None, 1], [2, 1], r"at \[0\]: the first tree has None, tree 2 has a leaf of type int"),
    (Point([1], 2), Point((1,), 2), r"at \.x: the first tree has a list of 1, tree 2 has a tuple of 1"),
    ([Named([1], "p")], [Named([1], "q")], r"at \[0\]: the first tree has a Named with 'p', tree 2 with 'q'"),
    (Named([1, [2]], "p"), Named([1, 2], "p"), r"at \[<flat index 1>\]: the first tree has a list of 1, tree 2 has a leaf"),
    (Layer([1]), Layer(1), r"at \.w: the first tree has a list of 1"),
    (Plain(1, 2), Layer(1), r"at the root: the first tree has a Plain, tree 2 has a Layer"),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "said"), DIFFERENT, ids=range(len(DIFFERENT)))
def test_where_trees_differ(a: Any, b: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tree.map(lambda x, y: x, a, b)


def test_number_of_leaves() -> None:
    with pytest.raises(ValueError, match="Too few leaves for PyTreeDef; expected 2, got 1"):
        tree.unflatten(tree.structure([1, 2]), [1])
    with pytest.raises(ValueError, match="Too many leaves for PyTreeDef; expected 2, got 3"):
        tree.unflatten(tree.structure([1, 2]), iter([1, 2, 3]))
    with pytest.raises(TypeError, match="a structure"):
        tree.unflatten([1, 2], [1, 2])


def test_paths() -> None:
    t = {"p": Point(1, [2]), "c": Named([3], "n"), "l": Layer(4), "d": Plain(5, None)}
    pairs, treedef = tree.flatten_with_path(t)
    assert [(keystr(p), x) for p, x in pairs] == [
        ("['c'][<flat index 0>]", 3), ("['d'].a", 5), ("['l'].w", 4), ("['p'].x", 1), ("['p'].y[0]", 2),
    ]  # fmt: skip
    assert treedef == tree.structure(t)
    assert pairs[-1][0] == (DictKey("p"), GetAttrKey("y"), SequenceKey(0))
    assert pairs[0][0] == (DictKey("c"), FlattenedIndexKey(0))
    assert keystr(pairs[-1][0], simple=True, separator="/") == "p/y/0"
    assert tree.leaves_with_path([1]) == [((SequenceKey(0),), 1)]
    assert tree.map_with_path(lambda p, x, y: f"{keystr(p)}={x + y}", [1, {"a": 2}], [3, {"a": 4}]) == [
        "[0]=4", {"a": "[1]['a']=6"},
    ]  # fmt: skip
    deep = lambda path, x: len(path) == 1  # noqa: E731
    pairs, treedef = tree.flatten_with_path([1, (2, 3)], is_leaf=deep, is_leaf_takes_path=True)
    assert [x for _, x in pairs] == [1, (2, 3)]
    assert str(treedef) == "PyTreeDef([*, *])"
    with pytest.raises(ValueError, match=r"at \[1\]"):
        tree.map_with_path(lambda p, x, y: x, [1, [2]], [1, 2])


def test_structures() -> None:
    t = tree.structure((1, [2, None]))
    assert [str(c) for c in tree_util.treedef_children(t)] == ["PyTreeDef(*)", "PyTreeDef([*, None])"]
    assert str(tree_util.treedef_tuple([tree.structure(1), t])) == "PyTreeDef((*, (*, [*, None])))"
    assert tree_util.treedef_is_leaf(tree.structure(1))
    assert not tree_util.treedef_is_leaf(t)
    assert t.flatten_up_to(({"a": 1}, [(2,), None])) == [{"a": 1}, (2,)]
    assert str(tree.structure([1, 2]).compose(tree.structure((1,)))) == "PyTreeDef([(*,), (*,)])"
    assert tree.structure({"b": 1}).node_data() == (dict, ["b"])
    assert tree.structure(Named([1], "n")).node_data() == (Named, "n")
    assert tree.structure(1).node_data() is None
    assert t.num_nodes == 5
    assert tree_util.build_tree(t, [5, [6, None]]) == (5, [6, None])
    assert tree_util.all_leaves([1, 2])
    assert not tree_util.all_leaves([1, (2,)])
    assert tree_util.flatten_one_level(Named([1, [2]], "n")) == ([1, [2]], "n")
    with pytest.raises(ValueError, match="can't tree-flatten type"):
        tree_util.flatten_one_level(1)
    assert [tree_util.is_tree_node(c) for c in (dict, Point, Named, Plain, int, str)] == [True] * 4 + [False] * 2


# -- registration ------------------------------------------------------------------------------------------------------


def test_a_class_is_registered_once() -> None:
    with pytest.raises(ValueError, match="Duplicate custom PyTreeDef type registration"):
        tree_util.register_pytree_node(Named, lambda c: ((), None), lambda aux, c: None)
    with pytest.raises(ValueError, match="Duplicate"):
        tree_util.register_pytree_node(dict, lambda c: ((), None), lambda aux, c: None)
    with pytest.raises(TypeError, match="takes a class"):
        tree_util.register_pytree_node(Named([], ""), lambda c: ((), None), lambda aux, c: None)


def test_classes_that_flatten_themselves() -> None:
    @tree_util.register_pytree_node_class
    class Pair:
        def __init__(self, a: Any, b: Any) -> None:
            self.a, self.b = a, b

        def tree_flatten(self) -> Any:
            return (self.a, self.b), "pair"

        @classmethod
        def tree_unflatten(cls, aux: Any, children: Any) -> Any:
            assert aux == "pair"
            return cls(*children)

    out = tree.map(lambda x: -x, Pair(1, (2,)))
    assert (out.a, out.b) == (-1, (-2,))

    @tree_util.register_pytree_with_keys_class
    class Keyed(Pair):
        def tree_flatten_with_keys(self) -> Any:
            return ((GetAttrKey("a"), self.a), (GetAttrKey("b"), self.b)), "pair"

    assert [keystr(p) for p, _ in tree.leaves_with_path(Keyed(1, [2]))] == [".a", ".b[0]"]
    assert tree.leaves(Keyed(1, [2])) == [1, 2]


def test_dataclasses_with_fixed_fields() -> None:
    @dataclasses.dataclass
    class A:
        x: Any
        n: int

    tree_util.register_dataclass(A, data_fields=["x"], meta_fields=["n"])
    assert tree.map(lambda v: v + 1, A(1, 5)) == A(2, 5)
    assert tree.structure(A(1, 5)) != tree.structure(A(1, 6))

    @dataclasses.dataclass
    class B:
        x: Any
        cached: Any = None

    with pytest.raises(ValueError, match=r"missing: \['cached'\], unknown: \['y'\]"):
        tree_util.register_dataclass(B, ["x", "y"], [])
    with pytest.raises(TypeError, match="both given, or none"):
        tree_util.register_dataclass(B, ["x"])
    tree_util.register_dataclass(B, ["x"], [], drop_fields=["cached"])
    assert tree.map(lambda v: v, B(1, "big")) == B(1, None)
    with pytest.raises(TypeError, match="is no dataclass"):
        tree_util.register_dataclass(int)

    class C:
        def __init__(self, p: Any) -> None:
            self.p = p

    tree_util.register_dataclass(C, data_fields=["p"], meta_fields=[])
    assert tree.map(lambda v: 2 * v, C(4)).p == 8


def test_a_dataclass_registered_after_it_was_flattened() -> None:
    @dataclasses.dataclass
    class Late:
        x: Any
        n: int

    assert tree.leaves(Late(1, 2)) == [1, 2]
    tree_util.register_dataclass(Late, ["x"], ["n"])
    assert tree.leaves(Late(1, 2)) == [1]


def test_plain_dataclasses_are_containers() -> None:
    @dataclasses.dataclass(slots=True)
    class Slots:
        a: Any
        b: Any = dataclasses.field(init=False, default=0)

    x = Slots(1)
    x.b = 5
    out = tree.map(lambda v: v + 1, [x])[0]
    assert (out.a, out.b) == (2, 6)


def test_static_classes_and_partial() -> None:
    @tree_util.register_static
    class Mode(str):
        pass

    assert tree.leaves([Mode("a"), 1]) == [1]
    assert tree.structure(Mode("a")) != tree.structure(Mode("b"))
    assert tree.map(lambda x: x + 1, [Mode("a"), 1]) == ["a", 2]
    p = tree_util.Partial(max, 1, key=2)
    assert tree.leaves(p) == [1, 2]
    assert str(tree.structure(p)) == "PyTreeDef(CustomNode(Partial[<built-in function max>], [(*,), {'key': *}]))"
    doubled = tree.map(lambda x: 2 * x, p)
    assert (doubled.func, doubled.args, doubled.keywords) == (max, (2,), {"key": 4})


def test_historical_names() -> None:
    assert weft.tree_map is weft.tree_multimap is tree.map is tree_util.tree_map
    assert weft.tree_leaves is tree.leaves
    assert weft.tree_structure is tree.structure
    assert weft.tree_flatten is tree.flatten
    assert weft.tree_unflatten is tree.unflatten
    assert weft.tree_reduce is tree.reduce
    assert weft.tree_transpose is tree.transpose
    assert weft.tree_all is tree.all
    assert weft.treedef_is_leaf is tree_util.treedef_is_leaf
    assert not hasattr(tree, "tree_map")
    assert not hasattr(tree_util, "map")


def test_arrays_are_leaves() -> None:
    t = {"w": np.ones((2, 3)), "b": weft.numpy.zeros(3)}
    out = tree.map(np.shape, t)
    assert out == {"w": (2, 3), "b": (3,)}
