"""Signatures, plans and guards."""

from __future__ import annotations

import copy
import gc
import pickle
import types
import weakref
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest

from weft.runtime import Array, Dispatcher, Plan

DOUBLE = "*(double*)out[0] = *(double*)in[0] * 2;"
PY = [("scalar", "f8", 0, "py", -1)]
LEAF = ("leaf", 0)
Point = namedtuple("Point", "x y")


def plain() -> Dispatcher:
    return Dispatcher(lambda args, kwargs: (args, kwargs))


def test_python_float(jitted):
    f = jitted(DOUBLE, results=PY, tree=LEAF)
    assert f(1.5) == 3.0
    assert (f.slow_calls, f.hits) == (1, 0)
    assert f(2.5) == 5.0
    assert type(f(2.5)) is float
    assert (f.slow_calls, f.hits) == (1, 2)


@pytest.mark.parametrize(
    ("dtype", "ctype", "value", "expected"),
    [
        ("i8", "long long", 7, 7),
        ("i4", "int", 7, 7),
        ("u1", "unsigned char", 200, 200),
        ("?", "bool", True, True),
        ("f4", "float", 0.5, 0.5),
        ("f8", "double", 0.1, 0.1),
    ],
)
def test_scalar_results(jitted, dtype, ctype, value, expected):
    body = f"*({ctype}*)out[0] = *({ctype}*)in[0];"
    argument = np.dtype(dtype).type(value)
    for flavour, kind in (("py", type(argument.item())), ("np", np.dtype(dtype).type), ("weft", Array)):
        f = jitted(body, results=[("scalar", dtype, 0, flavour, -1)], tree=LEAF)
        result = f(argument)
        assert type(result) is kind
        assert np.asarray(result) == expected
        if flavour != "py":
            assert result.dtype == np.dtype(dtype)


def test_complex(jitted):
    body = "double* a = (double*)in[0]; double* r = (double*)out[0]; r[0] = a[1]; r[1] = a[0];"
    f = jitted(body, results=[("scalar", "c16", 0, "py", -1)], tree=LEAF)
    assert f(1 + 2j) == 2 + 1j
    assert f(np.complex128(3 + 4j)) == 4 + 3j


def test_flavours_make_signatures():
    f = plain()
    values = [1.0, 1, True, 1j, np.float64(1), np.float32(1), np.ones(()), np.ones(3), np.ones(1), np.ones(0)]
    values += [np.ones((3, 3)), Array.from_numpy(np.ones(3)), None, (1.0,), [1.0], {"a": 1.0}, "x", Point(1.0, 2.0)]
    keys = [f.signature((value,)).key for value in values]
    assert len(set(keys)) == len(keys)
    assert f.signature((np.ones(3),)).key == f.signature((np.ones(7),)).key
    assert hash(f.signature((np.ones(3),)).key) == hash(f.signature((np.ones(7),)).key)
    assert f.signature((np.ones(3, np.longlong),)).key == f.signature((np.ones(3, np.int64),)).key


def test_signature_description():
    f = plain()
    array = np.ones((2, 3), np.float32)
    s = f.signature(((1, [array]), None, {"k": 2.0}, Point(True, "name")), {"z": 1j, "a": array})
    assert s.args == (
        "tuple",
        [
            ("tuple", [("leaf", 0), ("list", [("leaf", 1)])]),
            ("none",),
            ("dict", ("k",), [("leaf", 2)]),
            ("namedtuple", Point, [("leaf", 3), ("static", "name")]),
        ],
    )
    assert s.kwargs == ("dict", ("a", "z"), [("leaf", 4), ("leaf", 5)])
    assert [leaf.flavour for leaf in s.leaves] == ["py", "np", "py", "py", "np", "py"]
    assert [leaf.dtype for leaf in s.leaves] == ["i", np.dtype("f4"), "f", "b", np.dtype("f4"), "c"]
    assert [leaf.shape for leaf in s.leaves] == [(), (2, 3), (), (), (2, 3), ()]
    assert [leaf.alias for leaf in s.leaves] == [None, None, None, None, 1, None]
    assert s.leaves[1].value is array
    assert [leaf.path for leaf in s.leaves] == [
        "args[0][0]",
        "args[0][1][0]",
        "args[2]['k']",
        "args[3].x",
        "kwargs['a']",
        "kwargs['z']",
    ]


def test_keywords_are_sorted(jitted):
    f = jitted("*(double*)out[0] = *(double*)in[0] - *(double*)in[1];", results=PY, tree=LEAF)
    assert f(a=3.0, b=1.0) == 2.0
    assert f(b=1.0, a=3.0) == 2.0
    assert f.hits == 1
    assert f(5.0, b=1.0) == 4.0
    assert f.slow_calls == 2


def test_big_int_goes_slow():
    f = plain()
    assert f(2**70) == ((2**70,), {})
    leaf = f.signature((2**70,)).leaves[0]
    assert (leaf.dtype, leaf.value) == ("I", 2**70)
    assert f.signature((2**63 - 1,)).leaves[0].dtype == "i"
    assert f.signature((-(2**63),)).leaves[0].dtype == "i"


def test_int_table_and_guards(jitted, kernels):
    even = kernels.entry("*(long long*)out[0] = 100 + sizes[0];")
    other = kernels.entry("*(long long*)out[0] = 200 + sizes[1];")
    results = [("scalar", "i8", 0, "py", -1)]
    f = Dispatcher(lambda args, kwargs: "slow")
    key = f.signature((np.ones(3), 5)).key
    # table: [len(a), n]; len(a) == n, then n >= len(a) + 1, then n != 0
    f.add(key, Plan(even, guards=[("==", 0, [(0, 1), (1, -1)])], results=results, tree=LEAF))
    f.add(key, Plan(other, guards=[(">=", -1, [(1, 1), (0, -1)])], results=results, tree=LEAF))
    assert f(np.ones(3), 3) == 103
    assert f(np.ones(3), 5) == 205
    assert f(np.ones(5), 3) == "slow"
    assert f.hits == 2
    assert len(f.plans()) == 2
    g = Dispatcher(lambda args, kwargs: "slow")
    g.add(g.signature((1,)).key, Plan(even, guards=[("!=", 0, [(0, 1)])], results=results, tree=LEAF))
    assert g(0) == "slow"
    assert g(4) == 104
    with pytest.raises(RuntimeError, match="guard 0 on sizes"):
        g.run(g.plans()[0], (0,), {})
    g.clear()
    assert g(4) == "slow"


def test_statics_guard(kernels):
    entry = kernels.entry("*(double*)out[0] = 1;")
    names = {"helper": len, "other": 1}
    cell = (lambda value: lambda: value)(print).__closure__[0]
    holder = types.SimpleNamespace(method=abs)
    f = Dispatcher(lambda args, kwargs: "slow")
    statics = [("dict", names, "helper", len), ("cell", cell, print), ("attr", holder, "method", abs)]
    f.add(f.signature(()).key, Plan(entry, statics=statics, results=PY, tree=LEAF))
    assert f() == 1.0
    names["other"] = 2
    assert f() == 1.0
    names["helper"] = max
    assert f() == "slow"
    del names["helper"]
    assert f() == "slow"
    names["helper"] = len
    assert f() == 1.0
    cell.cell_contents = max
    assert f() == "slow"
    del cell.cell_contents
    assert f() == "slow"
    cell.cell_contents = print
    assert f() == 1.0
    del holder.method
    assert f() == "slow"
    holder.method = max
    assert f() == "slow"
    with pytest.raises(RuntimeError, match="'method' is another object now"):
        f.run(f.plans()[0], ())


def test_statics_in_mutated_dict_are_seen_again(kernels):
    entry = kernels.entry("*(double*)out[0] = 1;")
    names = {"helper": len}
    f = Dispatcher(lambda args, kwargs: "slow")
    f.add(f.signature(()).key, Plan(entry, statics=[("dict", names, "helper", len)], results=PY, tree=LEAF))
    for _ in range(3):
        assert f() == 1.0
        names["helper"] = max
        assert f() == "slow"
        names["helper"] = len


def test_statics_of_functions_classes_and_instances(kernels):
    class A:
        def method(self):
            return 1

    class B(A):
        pass

    def g(x=1, *, y=2):
        return x + y

    b, d = B(), {"k": 1}
    entry = kernels.entry("*(double*)out[0] = 1;")
    f = Dispatcher(lambda args, kwargs: "slow")
    statics = [
        ("code", g, g.__code__), ("defaults", g, g.__defaults__), ("kwdefaults", g, g.__kwdefaults__),
        ("lookup", B, "method", A.__dict__["method"]), ("lookup", B, "other"), ("own", b, "method"), ("type", b, B),
        ("length", d, 1), ("dict", d, "gone"), ("attr", b, "extra"), ("own", len, "attribute"),
    ]  # fmt: skip
    f.add(f.signature(()).key, Plan(entry, statics=statics, results=PY, tree=LEAF))
    old = g.__code__, g.__defaults__, g.__kwdefaults__, A.method
    changes = [
        (lambda: setattr(g, "__code__", (lambda x=1, *, y=2: 0).__code__), lambda: setattr(g, "__code__", old[0])),
        (lambda: setattr(g, "__defaults__", (5,)), lambda: setattr(g, "__defaults__", old[1])),
        (lambda: setattr(g, "__defaults__", None), lambda: setattr(g, "__defaults__", old[1])),
        (lambda: setattr(g, "__kwdefaults__", {"y": 2}), lambda: setattr(g, "__kwdefaults__", old[2])),
        (lambda: setattr(A, "method", lambda self: 2), lambda: setattr(A, "method", old[3])),
        (lambda: setattr(B, "method", old[3]), lambda: None),  # the same function
        (lambda: setattr(B, "method", None), lambda: delattr(B, "method")),
        (lambda: setattr(A, "other", 1), lambda: delattr(A, "other")),
        (lambda: setattr(b, "method", old[3]), lambda: delattr(b, "method")),
        (lambda: setattr(b, "__class__", A), lambda: setattr(b, "__class__", B)),
        (lambda: d.update(new=1), lambda: d.pop("new")),
        (lambda: d.update(gone=1), lambda: d.pop("gone")),
        (lambda: setattr(B, "extra", 1), lambda: delattr(B, "extra")),
    ]
    for k, (change, back) in enumerate(changes):
        assert f() == 1.0, k
        change()
        assert f() == (1.0 if k == 5 else "slow"), k
        back()
    assert f() == 1.0
    for wrong in (("code", len, 1), ("lookup", b, "x", 1), ("length", [], 1), ("length", d)):
        with pytest.raises(ValueError, match="Plan: "):
            Plan(entry, statics=[wrong], results=PY, tree=LEAF)


def test_hidden_values(jitted):
    names = {"rate": 0.5}
    body = "*(double*)out[0] = *(double*)in[0] * *(double*)in[1];"
    f = jitted(body, results=PY, tree=LEAF, hidden=[("dict", names, "rate")])
    assert f(4.0) == 2.0
    names["rate"] = 2.0
    assert f(4.0) == 8.0
    assert f.slow_calls == 1
    names["rate"] = 2  # another type: staged again
    assert f(4.0) != 8.0  # the kernel reads the int's bits as a double
    assert f.slow_calls == 2
    del names["rate"]
    with pytest.raises(NameError):
        f(4.0)


def test_hidden_arrays_follow_arguments(kernels):
    weights = np.arange(6.0).reshape(2, 3)
    holder = types.SimpleNamespace(w=weights)
    entry = kernels.entry(
        "long long* r = (long long*)out[0]; *r = sizes[0] * 10000 + sizes[1] * 1000 + sizes[2] * 100 + sizes[3] * 10 + sizes[4];"
    )
    f = plain()
    hidden = [("attr", holder, "w"), ("value", 9)]
    s = f.signature((np.ones(4), 7), {}, hidden)
    assert [leaf.shape for leaf in s.leaves] == [(4,), (), (2, 3), ()]
    assert s.hidden == [("leaf", 2), ("leaf", 3)]
    plan = Plan(
        entry,
        hidden=hidden,
        hidden_key=s.hidden_key,
        guards=[("==", -4, [(0, 1)]), ("==", -3, [(2, 1)]), ("==", -7, [(3, 1)]), ("==", -9, [(4, 1)])],
        results=[("scalar", "i8", 0, "py", -1)],
        tree=LEAF,
    )
    f.add(s.key, plan)
    assert f(np.ones(4), 7) == 42379  # dims of every leaf, then ints of every leaf
    holder.w = np.ones((2, 1))
    assert f(np.ones(4), 7) != 42379
    assert f.hits == 1
    # Without a key, the values at construction say it.
    holder.w = weights
    again = Plan(entry, hidden=hidden, results=[("scalar", "i8", 0, "py", -1)], tree=LEAF)
    assert f.run(again, (np.ones(4), 7)) == 42379


def test_hidden_alias_of_an_argument(kernels):
    a = np.ones(3)
    f = plain()
    hidden = [("value", a)]
    apart, same = f.signature((np.ones(3),), {}, hidden), f.signature((a,), {}, hidden)
    assert apart.key == same.key
    assert apart.hidden_key != same.hidden_key
    assert same.leaves[1].alias == 0


def test_static_arguments(kernels):
    entry = kernels.entry("*(double*)out[0] = *(double*)in[0];")
    f = Dispatcher(lambda args, kwargs: "slow", (1, -1), ("mode",))
    s = f.signature((1.0, 2, 3.0), {"mode": 4})
    assert s.args == ("tuple", [("leaf", 0), ("static", 2), ("static", 3.0)])
    assert s.kwargs == ("dict", ("mode",), [("static", 4)])
    f.add(s.key, Plan(entry, results=PY, tree=LEAF))
    assert f(5.0, 2, 3.0, mode=4) == 5.0
    assert f(5.0, True, 3.0, mode=4) == "slow"
    assert f(5.0, 2.0, 3.0, mode=4) == "slow"
    assert f(5.0, 2, 3.0, mode=5) == "slow"
    with pytest.raises(TypeError, match=r"Non-hashable static arguments.*args\[1\].*list"):
        f(5.0, [], 3.0)
    with pytest.raises(TypeError, match=r"Non-hashable static arguments.*kwargs\['mode'\]"):
        f.signature((5.0, 1, 3.0), {"mode": {}})


def test_static_equality_is_typed():
    f = Dispatcher(None, (0,))

    def key(value):
        return f.signature((value,)).key

    assert key((1, 2)) == key((1, 2))
    assert key((1, 2)) != key((1, True + 1.0))
    assert key((1,)) != key((True,))
    assert key(0.0) != key(-0.0)
    assert key(float("nan")) == key(float("nan"))
    assert key("ab") == key("".join(["a", "b"]))


def test_unhashable_argument_is_named():
    f = plain()
    with pytest.raises(TypeError, match=r"args\[0\]\['s'\] has type <class 'set'>"):
        f({"s": {1}})


def test_ndarray_subclasses():
    f = plain()
    with pytest.raises(TypeError, match=r"numpy\.asarray"):
        f(np.ma.masked_array([1.0]))


def test_custom_containers(jitted):
    @dataclass
    class Pair:
        left: object
        right: object
        name: str = "p"

    calls = []

    def flatten(obj):
        calls.append(obj)
        return ((obj.left, obj.right), obj.name) if isinstance(obj, Pair) else None

    body = "*(double*)out[0] = *(double*)in[0] - *(double*)in[1];"
    f = jitted(body, results=PY, tree=LEAF, options={"flatten_custom": flatten})
    assert f(Pair(3.0, 1.0)) == 2.0
    assert f(Pair(4.0, 1.0)) == 3.0
    assert f(Pair(4.0, 1.0, "q")) == 3.0
    assert f.slow_calls == 2
    s = f.signature((Pair(1.0, (2.0,)),))
    assert s.args == ("tuple", [("custom", Pair, "p", [("leaf", 0), ("tuple", [("leaf", 1)])])])
    assert [leaf.path for leaf in s.leaves] == ["args[0]<0>", "args[0]<1>[0]"]
    calls.clear()
    f.signature((len, len, max))  # one question for each type
    assert len(calls) == 1


def test_bad_flattener():
    f = Dispatcher(None, flatten_custom=lambda obj: 3)
    with pytest.raises(TypeError, match="must return"):
        f(object())


def test_flattener_errors_pass():
    def flatten(obj):
        raise LookupError("no")

    with pytest.raises(LookupError):
        Dispatcher(None, flatten_custom=flatten)(object())


def test_trees(jitted):
    body = "*(double*)out[0] = 1; *(double*)out[1] = 2;"
    results = [("scalar", "f8", 0, "py", -1), ("scalar", "f8", 0, "np", -1), ("leaf", "f8", 0, "np", 0)]

    def returned(tree):
        return jitted(body, results=results, tree=tree)(np.ones(2))

    assert returned(("tuple", [("leaf", 0), ("leaf", 1)])) == (1.0, 2.0)
    assert returned(("list", [("const", None), ("tuple", [])])) == [None, ()]
    assert returned(("dict", ["b", "a"], [("leaf", 1), ("leaf", 0)])) == {"b": 2.0, "a": 1.0}
    assert list(returned(("dict", ["b", "a"], [("leaf", 1), ("leaf", 0)]))) == ["b", "a"]
    assert returned(("call", Point, [("leaf", 0), ("call", max, [("leaf", 0), ("leaf", 1)])])) == Point(1.0, 2.0)
    assert returned(("const", "x")) == "x"
    with pytest.raises(ZeroDivisionError):
        returned(("call", lambda a: 1 / 0, [("leaf", 0)]))
    a = np.ones(2)
    assert jitted(body, results=results, tree=("leaf", 2))(a) is a


def test_plan_refuses_nonsense(kernels):
    entry = kernels.entry("")
    for options in (
        {"tree": ("leaf", 0)},
        {"tree": ("what",)},
        {"guards": [("<", 0, [])]},
        {"results": [("thing", "f8", 0, "py", -1)]},
        {"results": [("array", "f8", 1, "py", -1)]},
        {"hidden": [("global", 1, 2)]},
    ):
        with pytest.raises(ValueError, match="Plan"):
            Plan(entry, **options)
    with pytest.raises(TypeError, match="unexpected keyword"):
        Plan(entry, colour=1)
    with pytest.raises(ValueError, match=r"weft\.entry|PyCapsule"):
        Plan(3)


def test_slow_errors_pass():
    def slow(args, kwargs):
        raise KeyError("slow")

    with pytest.raises(KeyError):
        Dispatcher(slow)(1)


def test_function_behaviour():
    f = plain()
    f.__name__ = f.__qualname__ = "square"
    f.__doc__ = "Doc."
    f.__wrapped__ = len
    assert "square" in repr(f)
    assert f.__doc__ == "Doc."
    assert f.__wrapped__ is len
    assert copy.deepcopy(f) is f
    assert weakref.ref(f)() is f

    class Model:
        call = f

    model = Model()
    assert model.call(2)[0] == (model, 2)
    assert Model.call is f
    bound = model.call
    assert bound.__self__ is model


PICKLED = plain()
PICKLED.__qualname__ = PICKLED.__name__ = "PICKLED"
PICKLED.__module__ = __name__


def test_pickle_by_name():
    import sys

    if __name__ not in sys.modules:
        pytest.skip("the module is not importable by name")
    assert pickle.loads(pickle.dumps(PICKLED)) is PICKLED


def test_cycles_are_collected(kernels):
    entry = kernels.entry("")
    names: dict[str, object] = {}
    f = Dispatcher(names.get)
    names["f"] = f
    f.add(f.signature((1,)).key, Plan(entry, statics=[("dict", names, "f", f)], owner=f))
    f.itself = f
    gone = weakref.ref(f)
    del f, names
    gc.collect()
    assert gone() is None


def test_reentrant_equality(kernels):
    entry = kernels.entry("*(double*)out[0] = 1;")

    class Nasty:
        def __hash__(self):
            return 1

        def __eq__(self, other):
            f.clear()
            return True

    f = Dispatcher(lambda args, kwargs: "slow")
    f.add(f.signature((Nasty(),)).key, Plan(entry, results=PY, tree=LEAF))
    assert f(Nasty()) == "slow"
    assert f.plans() == []


def test_lists_that_shrink():
    class Shrinker:
        pass

    items = [Shrinker(), 1.0, 2.0]

    def flatten(obj):
        del items[1:]
        return ((), None)

    f = Dispatcher(lambda args, kwargs: "slow", flatten_custom=flatten)
    with pytest.raises(RuntimeError, match="changed its size"):
        f(items)


def test_deep_nesting():
    value: list = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(RecursionError):
        plain()(value)


def test_many_leaves(jitted):
    body = "double s = 0; for (int i = 0; i < 300; ++i) s += ((double*)in[i])[0]; *(double*)out[0] = s;"
    f = jitted(body, results=PY, tree=LEAF)
    arrays = [np.full(2, float(i)) for i in range(300)]
    assert f(arrays) == sum(range(300))
    assert f(arrays) == sum(range(300))
    assert f.hits == 1


def test_aliases_among_many_arrays():
    f = plain()
    arrays = [np.full(2, float(i)) for i in range(100)]
    leaves = f.signature((arrays, arrays[70], arrays[3], np.ones(2))).leaves
    assert [leaf.alias for leaf in leaves[100:]] == [70, 3, None]
    assert all(leaf.alias is None for leaf in leaves[:100])


def test_numpy_scalars_stay_immutable(jitted):
    def write(view):
        view[()] = 5

    f = jitted("WeftView v = {in[0], 12, 0, 0}; return ctx->host(ctx, 0, 1, &v);", host=[write])
    x = np.float64(1)
    f(x)
    f(x)
    assert x == 1


def test_high_ranks(kernels):
    f = plain()
    a, b = np.ones((2,) * 20), np.ones((2,) * 19 + (1,))
    assert f.signature((a,)).key != f.signature((b,)).key
    assert f.signature((a,)).leaves[0].shape == a.shape
    entry = kernels.entry("ctx->result(ctx, 0, 20, sizes);")
    for flavour in ("np", "weft"):
        plan = Plan(entry, results=[("array", "f8", 20, flavour, -1)], tree=LEAF)
        assert f.run(plan, (a,)).shape == a.shape
