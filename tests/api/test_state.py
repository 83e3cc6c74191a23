"""State that a compiled function sees or changes: what Python would do, or a refusal; never an old answer."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import gc
import math
import operator
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import weft

RATE = 2.0
FLAG = True
NAME = "double"
TABLE = {"a": 1.0, "b": [2.0, 3.0]}
ARRAY = np.arange(4.0)
NESTED = {"layers": [{"w": np.ones(2)}, {"w": np.ones(2)}], "mode": "sum"}
OPTIONS: dict[str, Any] = {"power": 2, "norm": None}
MODULE = types.ModuleType("settings")


def helper(x: Any) -> Any:
    return x + 1.0


def twice(f: Any, x: Any) -> Any:
    return f(f(x))


class Counter:
    step = 1.0
    scale = {"by": 2.0}

    def __init__(self, n: Any) -> None:
        self.n = n
        self.inner = types.SimpleNamespace(k=1.0, deep=types.SimpleNamespace(on=True))
        self.hook: Any = None

    @property
    def double(self) -> Any:
        return 2 * self.n

    @functools.cached_property
    def squared(self) -> Any:
        return self.n * self.n

    @staticmethod
    def rule(x: Any) -> Any:
        return x + 1.0

    @classmethod
    def by_class(cls, x: Any) -> Any:
        return x * cls.step

    def __call__(self, x: Any) -> Any:
        return x + self.n

    def __len__(self) -> int:
        return 3

    def method(self, x: Any) -> Any:
        return self.n * x + self.step

    def __getitem__(self, i: Any) -> Any:
        return self.n + i

    def __add__(self, x: Any) -> Any:
        return self.n + x


class Sub(Counter):
    pass


class Slotted:
    __slots__ = ("n",)

    def __init__(self, n: float) -> None:
        self.n = n


class Dynamic:
    """Attributes that are computed when they are asked for."""

    values = {"n": 1.0}

    def __getattr__(self, name: str) -> Any:
        if name not in self.values:
            raise AttributeError(name)
        return self.values[name]


class Mode(enum.Enum):
    A = 1
    B = 2


@dataclasses.dataclass
class Config:
    n: int = 2
    name: str = "x"
    items: Any = None


Pair = collections.namedtuple("Pair", "a b")


@pytest.fixture(autouse=True)
def restored() -> Any:
    saved = {k: v for k, v in globals().items() if k.isupper()}
    state = (dict(TABLE), ARRAY.copy(), dict(OPTIONS), dict(Counter.scale), dict(Dynamic.values))
    functions = {c: dict(vars(c)) for c in (Counter, Sub)}
    old = helper
    yield
    globals().update(saved, helper=old)
    TABLE.clear()
    TABLE.update(state[0], b=[2.0, 3.0])
    ARRAY[:] = state[1]
    OPTIONS.clear()
    OPTIONS.update(state[2])
    Counter.scale.clear()
    Counter.scale.update(state[3])
    Dynamic.values.clear()
    Dynamic.values.update(state[4])
    NESTED["layers"] = [{"w": np.ones(2)}, {"w": np.ones(2)}]
    NESTED["mode"] = "sum"
    for c, content in functions.items():
        for k in set(vars(c)) - set(content):
            delattr(c, k)
        for k, v in content.items():
            if not k.startswith("__") or k in ("__call__", "__add__", "__getitem__"):
                setattr(c, k, v)


def same(a: Any, b: Any) -> bool:
    return bool(np.all(np.asarray(a) == np.asarray(b)))


def outcome(f: Any, x: Any) -> Any:
    """The value, or the class of what it raises."""
    try:
        return f(x)
    except weft.StagingError:
        raise
    except Exception as e:
        return type(e).__name__


def check(fun: Callable[[Any], Any], *changes: Callable[[], Any], x: Any = 3.0) -> Any:
    """The compiled function answers as Python does, after each change and when called again."""
    f = weft.jit(fun)
    for change in (lambda: None, *changes):
        change()
        for _ in range(2):
            want, got = outcome(fun, x), outcome(f, x)
            if isinstance(want, str) or isinstance(got, str):
                assert want == got
            else:
                assert same(want, got), f"{got}, and Python gives {want}"
    return f


def put(**values: Any) -> Callable[[], None]:
    """A change of globals."""
    return lambda: globals().update(values)


# -- globals, closures, defaults ---------------------------------------------------------------------------------------


def test_globals() -> None:
    f = check(lambda x: RATE * x, put(RATE=5.0), put(RATE=-1.0))
    assert f.cache_info().compilations + f.cache_info().loaded == 1
    check(lambda x: RATE * x, put(RATE=5), put(RATE=np.float32(2.0)), put(RATE=np.arange(3.0)), put(RATE=True))
    check(lambda x: x if FLAG else -x, put(FLAG=False), put(FLAG=True))
    check(lambda x: x * 2 if NAME == "double" else x, put(NAME="other"))
    check(lambda x: x if RATE is None else RATE, put(RATE=None), put(RATE=1.0))


def test_a_global_is_deleted() -> None:
    globals()["GONE"] = 1.0
    check(lambda x: x + GONE, lambda: globals().pop("GONE"), put(GONE=4.0), lambda: globals().pop("GONE"))  # noqa: F821


def test_a_global_covers_a_builtin() -> None:
    try:
        check(lambda x: abs(x), lambda: globals().__setitem__("abs", lambda x: 7.0), x=-3.0)
    finally:
        globals().pop("abs", None)
    check(lambda x: abs(x), x=-3.0)


def test_globals_of_other_modules() -> None:
    MODULE.rate = 1.0  # type: ignore[attr-defined]
    check(lambda x: MODULE.rate * x, lambda: setattr(MODULE, "rate", 9.0), lambda: delattr(MODULE, "rate"))
    sys.modules["weft_state_test"] = MODULE
    MODULE.rate = 2.0  # type: ignore[attr-defined]

    def f(x: Any) -> Any:
        import weft_state_test

        return weft_state_test.rate * x

    try:
        check(f, lambda: setattr(MODULE, "rate", 9.0))
    except weft.StagingError as e:
        assert "import" in str(e)
    finally:
        del sys.modules["weft_state_test"]


def test_closures() -> None:
    rate, kept = 2.0, [1.0]

    def change(value: Any) -> Callable[[], None]:
        def set_rate() -> None:
            nonlocal rate
            rate = value

        return set_rate

    check(lambda x: rate * x + kept[-1], change(4.0), lambda: kept.append(9.0), change(7), lambda: kept.clear())
    cell: Any = None

    def unset() -> None:
        nonlocal cell
        del cell

    check(lambda x: x if cell is None else 0.0, unset)


def test_defaults() -> None:
    def f(x: Any, by: Any = 2.0, items: Any = [1.0], *, flag: Any = True) -> Any:  # noqa: B006
        return x * by + items[-1] if flag else x

    def defaults(*values: Any) -> Callable[[], None]:
        return lambda: setattr(f, "__defaults__", values)

    check(f, defaults(5.0, [1.0]), lambda: f.__defaults__[1].append(8.0), lambda: f.__kwdefaults__.update(flag=False))

    def g(x: Any) -> Any:
        return f(x)

    f.__defaults__, f.__kwdefaults__ = (2.0, [1.0]), {"flag": True}
    check(g, defaults(5.0, [1.0]), lambda: f.__defaults__[1].append(8.0), lambda: f.__kwdefaults__.update(flag=False))


def test_default_arrays() -> None:
    a = np.ones(3)

    def f(x: Any, a: Any = a) -> Any:
        return x * a

    check(f, lambda: a.fill(7.0))
    check(lambda x: f(x), lambda: a.fill(-1.0))


def test_functions_replaced() -> None:
    check(lambda x: helper(x), put(helper=lambda x: x - 1.0))
    globals()["helper"] = lambda x: x + 1.0
    check(lambda x: twice(helper, x), put(helper=lambda x: 2 * x))
    check(lambda x: math.sin(x))

    def changed(x: Any) -> Any:
        return x

    other = lambda x: 10 * x  # noqa: E731
    check(lambda x: changed(x), lambda: setattr(changed, "__code__", other.__code__))
    g = weft.jit(changed)
    assert g(1.0) == 10.0
    changed.__code__ = (lambda x: x - 5.0).__code__
    assert g(1.0) == changed(1.0) == -4.0


def test_partial_applications() -> None:
    p = functools.partial(lambda a, x, b=1.0: a * x + b, 2.0)
    check(lambda x: p(x), lambda: p.keywords.update(b=5.0))
    q = functools.partial(lambda a, x: a[0] * x, [2.0])
    check(lambda x: q(x), lambda: q.args[0].__setitem__(0, 7.0))
    f = weft.jit(functools.partial(lambda a, x: a["k"] * x, state := {"k": 2.0}))
    assert f(3.0) == 6.0
    state["k"] = 5.0
    assert f(3.0) == 15.0


# -- data --------------------------------------------------------------------------------------------------------------


def test_arrays() -> None:
    check(
        lambda x: np.sum(ARRAY) * x,
        lambda: ARRAY.__setitem__(0, 50.0),
        lambda: ARRAY.fill(1.0),
        put(ARRAY=np.arange(7.0)),
        put(ARRAY=np.arange(7)),
        put(ARRAY=np.ones((2, 2))),
        put(ARRAY=3.0),
        put(ARRAY=weft.numpy.arange(3.0)),
    )


def test_a_view_shows_its_base() -> None:
    base = np.arange(6.0)
    view = base[::2]
    check(lambda x: view * x, lambda: base.fill(4.0))


def test_containers() -> None:
    check(
        lambda x: sum(TABLE["b"]) + TABLE["a"] * x,
        lambda: TABLE.update(a=9.0),
        lambda: TABLE["b"].append(5.0),
        lambda: TABLE["b"].__setitem__(0, -1.0),
        lambda: TABLE.update(b=[1]),
        lambda: TABLE.pop("a"),
    )
    TABLE["a"] = 1.0
    check(lambda x: len(TABLE) * x, lambda: TABLE.update(new=1.0))
    check(lambda x: x if "c" in TABLE else -x, lambda: TABLE.update(c=0.0), lambda: TABLE.pop("c"))


def test_dicts_of_arrays() -> None:
    d = {"a": np.ones(2)}
    check(
        lambda x: sum([np.sum(v) for v in d.values()]) * x,
        lambda: d["a"].fill(3.0),
        lambda: d.update(b=np.ones(5)),
        lambda: d.pop("a"),
        lambda: d.update(b=2.0),
    )


def test_nested_containers() -> None:
    check(
        lambda x: x * sum([np.sum(layer["w"]) for layer in NESTED["layers"]]) if NESTED["mode"] == "sum" else x,
        lambda: NESTED["layers"][1]["w"].fill(4.0),
        lambda: NESTED["layers"].append({"w": np.ones(1)}),
        lambda: NESTED.update(mode="none"),
        lambda: NESTED.update(mode="sum"),
    )


def test_options() -> None:
    check(
        lambda x: x ** OPTIONS["power"] if OPTIONS["norm"] is None else -x,
        lambda: OPTIONS.update(power=3),
        lambda: OPTIONS.update(norm="l2"),
        lambda: OPTIONS.update(norm=None, power=0.5),
    )


def test_constant_tuples_and_sets() -> None:
    globals()["PAIR"] = Pair(1.0, "x")
    check(
        lambda x: PAIR.a * x if PAIR.b == "x" else x,  # noqa: F821
        put(PAIR=Pair(5.0, "x")),
        put(PAIR=Pair(5.0, "y")),
    )
    members = {1, 2}
    check(lambda x: x if 3 in members else -x, lambda: members.add(3), lambda: members.clear())
    frozen = frozenset({1})
    check(lambda x: x if 1 in frozen else -x)
    order = collections.OrderedDict(a=1.0, b=2.0)
    check(lambda x: list(order.values())[0] * x, lambda: order.move_to_end("a"), lambda: order.update(b=7.0))
    queue = collections.deque([1.0], maxlen=2)
    check(lambda x: queue[0] * x, lambda: queue.append(2.0), lambda: queue.append(3.0))


def test_what_cannot_be_watched() -> None:
    counts, raw = collections.Counter(a=1), bytearray(b"ab")
    with pytest.raises(
        weft.StagingError, match="'counts', which the function captures, holds something that is neither"
    ):
        weft.jit(lambda x: counts["a"] * x)(1.0)
    with pytest.raises(weft.StagingError, match="'raw' is a bytearray, which may change without being noticed"):
        weft.jit(lambda x: raw[0] * x)(1.0)


# -- objects -----------------------------------------------------------------------------------------------------------


def test_attributes() -> None:
    c = Counter(2.0)
    check(
        lambda x: c.n * x + c.inner.k if c.inner.deep.on else x,
        lambda: setattr(c, "n", 5.0),
        lambda: setattr(c.inner, "k", 7.0),
        lambda: setattr(c.inner.deep, "on", False),
        lambda: setattr(c, "inner", types.SimpleNamespace(k=3.0, deep=types.SimpleNamespace(on=True))),
        lambda: setattr(c, "n", np.arange(3.0)),
        lambda: c.n.fill(2.0),
        lambda: delattr(c, "n"),
    )


def test_class_attributes() -> None:
    c = Counter(2.0)
    check(
        lambda x: c.step * x,
        lambda: setattr(Counter, "step", 3.0),
        lambda: setattr(c, "step", 4.0),
        lambda: delattr(c, "step"),
    )
    check(lambda x: Counter.scale["by"] * x, lambda: Counter.scale.update(by=9.0))
    check(lambda x: c.scale["by"] * x, lambda: Counter.scale.update(by=3.0), lambda: setattr(c, "scale", {"by": 1.0}))
    s = Sub(1.0)
    check(lambda x: s.step * x, lambda: setattr(Counter, "step", 8.0), lambda: setattr(Sub, "step", 5.0))


def test_methods_and_properties() -> None:
    c = Counter(2.0)
    check(
        lambda x: c.double + x + c.method(x) + c(x),
        lambda: setattr(c, "n", 5.0),
        lambda: setattr(Counter, "double", property(lambda self: -self.n)),
        lambda: setattr(Counter, "method", lambda self, x: 100.0),
        lambda: setattr(Counter, "__call__", lambda self, x: 1000.0),
        lambda: setattr(c, "method", lambda x: 5.0),
    )


def test_static_and_class_methods() -> None:
    c = Counter(2.0)
    check(
        lambda x: c.rule(x) + Counter.rule(x) + c.by_class(x) + Sub.by_class(x),
        lambda: setattr(Counter, "step", 9.0),
        lambda: setattr(Sub, "step", 4.0),
        lambda: setattr(Counter, "rule", staticmethod(lambda x: -x)),
        lambda: setattr(Counter, "by_class", classmethod(lambda cls, x: 3.0)),
    )


def test_operators_and_items() -> None:
    c = Counter(2.0)
    check(
        lambda x: c[1] + (c + x),
        lambda: setattr(c, "n", 7.0),
        lambda: setattr(Counter, "__add__", lambda self, x: 50.0),
        lambda: setattr(Counter, "__getitem__", lambda self, i: 1.0),
    )


def test_an_inherited_method_is_overridden() -> None:
    s = Sub(2.0)
    check(lambda x: s.method(x), lambda: setattr(Sub, "method", lambda self, x: -x), lambda: delattr(Sub, "method"))
    check(lambda x: s(x), lambda: setattr(Sub, "__call__", lambda self, x: -x), lambda: delattr(Sub, "__call__"))


def test_an_object_of_another_class() -> None:
    c = Counter(2.0)
    check(lambda x: c.step * x, lambda: setattr(Sub, "step", 5.0), lambda: setattr(c, "__class__", Sub))
    check(lambda x: x if isinstance(c, Sub) else -x, lambda: setattr(c, "__class__", Counter))


def test_cached_properties() -> None:
    c = Counter(2.0)
    try:
        check(lambda x: c.squared * x, lambda: setattr(c, "n", 5.0), lambda: c.__dict__.pop("squared"))
    except weft.StagingError as e:
        assert "squared" in str(e)


def test_slots_and_computed_attributes() -> None:
    s = Slotted(2.0)
    check(lambda x: s.n * x, lambda: setattr(s, "n", 7.0))
    d = Dynamic()
    check(lambda x: d.n * x, lambda: Dynamic.values.update(n=5.0))


def test_enums_and_configurations() -> None:
    globals()["MODE"] = Mode.A
    check(lambda x: x if MODE is Mode.A else -x, put(MODE=Mode.B))  # noqa: F821
    config = Config()
    check(
        lambda x: config.n * x if config.name == "x" else x,
        lambda: setattr(config, "n", 5),
        lambda: setattr(config, "name", "y"),
    )
    check(lambda x: x if config.items is None else config.items[0], lambda: setattr(config, "items", [4.0]))


def test_hooks() -> None:
    c = Counter(2.0)
    check(
        lambda x: x if c.hook is None else c.hook(x),
        lambda: setattr(c, "hook", lambda x: 2 * x),
        lambda: setattr(c, "hook", lambda x: 3 * x),
        lambda: setattr(c, "hook", weft.jit(lambda x: 4 * x)),
    )


def test_jitted_helpers() -> None:
    rate = [2.0]
    inner = weft.jit(lambda x: rate[0] * x)
    check(lambda x: inner(x), lambda: rate.__setitem__(0, 9.0))
    check(lambda x: weft.grad(lambda v: rate[0] * v * v)(x), lambda: rate.__setitem__(0, 3.0))
    g = weft.grad(lambda v: rate[0] * v * v)
    assert g(1.0) == 6.0
    rate[0] = 5.0
    assert g(1.0) == 10.0
    h = weft.vmap(lambda v: rate[0] * v)
    assert same(h(np.ones(2)), [5.0, 5.0])
    rate[0] = 1.0
    assert same(h(np.ones(2)), [1.0, 1.0])


# -- instances ---------------------------------------------------------------------------------------------------------


def test_methods_of_several_instances() -> None:
    a, b = Counter(2.0), Counter(3.0)
    fa, fb = weft.jit(a.method), weft.jit(b.method)
    assert (fa(1.0), fb(1.0)) == (3.0, 4.0)
    a.n = 10.0
    assert (fa(1.0), fb(1.0)) == (11.0, 4.0)
    fs = [weft.jit(Counter(float(k)).method) for k in range(5)]
    assert [f(1.0) for f in fs] == [1.0, 2.0, 3.0, 4.0, 5.0]


class Jitted:
    def __init__(self, n: float) -> None:
        self.n = n

    @functools.partial(weft.jit, static_argnums=0)
    def static(self, x: Any) -> Any:
        return self.n * x

    @weft.jit
    def plain(self, x: Any) -> Any:
        return self.n * x


def test_jitted_methods() -> None:
    a, b = Jitted(2.0), Jitted(3.0)
    for name in ("static", "plain"):
        assert [getattr(o, name)(1.0) for o in (a, b, a)] == [a.n, b.n, a.n]
        a.n += 10.0
        assert [getattr(o, name)(1.0) for o in (a, b)] == [a.n, b.n]
        a.n = 7
        assert getattr(a, name)(2.0) == 14.0


class Equal:
    """Instances are equal, and hash alike, whatever they hold."""

    def __init__(self, n: float) -> None:
        self.n = n

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Equal)

    def __hash__(self) -> int:
        return 1


def test_equal_but_different_instances() -> None:
    a, b = Equal(2.0), Equal(3.0)
    said = "attribute 'n' of an argument of class Equal, whose `==` is its own"
    with pytest.raises(weft.StagingError, match=said) as e:
        weft.jit(lambda o, x: o.n * x)(a, 1.0)
    assert "static_argnums" in str(e.value)
    with pytest.raises(weft.StagingError, match=said):
        weft.jit(lambda x, o: o[0].n * x)(1.0, o=[a])
    g = weft.jit(lambda o, x: o.n * x, static_argnums=0)
    assert g(a, 1.0) == 2.0  # equal static arguments are the same, as the caller says
    assert weft.jit(lambda o, x: x if isinstance(o, Equal) else -x)(a, 1.0) == 1.0
    globals()["EQUAL"] = a
    check(lambda x: EQUAL.n * x, put(EQUAL=b))  # noqa: F821


def test_addresses_are_used_again() -> None:
    f = weft.jit(lambda o, x: o.n * x)
    for k in range(20):
        assert f(Jitted(float(k)), 1.0) == k
        gc.collect()
    table: dict[str, Any] = {}
    g = weft.jit(lambda x: table["o"].n * x if isinstance(table["o"], Jitted) else x)
    for k in range(20):
        table["o"] = Jitted(float(k))
        assert g(1.0) == k
        gc.collect()
    for k in range(20):
        by = float(k)
        assert weft.jit(lambda x: by * x)(1.0) == k


def test_arguments_are_not_kept_alive() -> None:
    class Big:
        n = 1.0

    f = weft.jit(lambda o, x: x)
    big = Big()
    seen = weakref.ref(big)
    f(big, 1.0)
    del big
    f.clear_cache()
    gc.collect()
    assert seen() is None


# -- changes -----------------------------------------------------------------------------------------------------------


class Bank:
    total = 0.0

    def __init__(self) -> None:
        self.n = 0.0
        self.items = [0.0]
        self.table = {"k": 0.0}
        self.array = np.zeros(2)

    def add(self, x: Any) -> Any:
        self.n += x
        return self.n

    def store(self, x: Any) -> None:
        self.items[0] = x

    def append(self, x: Any) -> None:
        self.items.append(x)

    def key(self, x: Any) -> None:
        self.table["k"] = x

    def fill(self, x: Any) -> None:
        self.array[0] = x

    def inplace(self, x: Any) -> None:
        self.array += x

    def dynamic(self, x: Any) -> None:
        setattr(self, "n", x)

    def shared(self, x: Any) -> None:
        Bank.total = x

    def remove(self, x: Any) -> None:
        del self.n

    def dictionary(self, x: Any) -> None:
        self.__dict__["n"] = x

    def updated(self, x: Any) -> None:
        vars(self).update(n=x)

    def under_a_condition(self, x: Any) -> None:
        if x > 0:
            self.n = x


def global_statement(x: Any) -> None:
    global RATE
    RATE = x


def global_item(x: Any) -> None:
    TABLE["a"] = x


def global_array(x: Any) -> None:
    ARRAY[0] = x


REFUSED = [
    (lambda: Bank().add, "a write to attribute 'n'", "assign it to the attribute outside, `self.n = f"),
    (lambda: Bank().dynamic, "a change to a Bank", "put it in place outside"),
    (lambda: Bank().under_a_condition, "a write to attribute 'n'", "`self.n = f"),
    (lambda: Bank().shared, "a write to attribute 'total'", "`Bank.total = f"),
    (lambda: Bank().store, "a change to a list", "put it in place outside"),
    (lambda: Bank().append, "a change to a list", "build a new one"),
    (lambda: Bank().key, "a change to a dict", "put it in place outside"),
    (lambda: Bank().fill, "a write to a captured array", "pass the array as an argument"),
    (lambda: Bank().inplace, "a write to a captured array", "pass the array as an argument"),
    (lambda: Bank().remove, "this 'del' is not compiled", "leave it in place"),
    (lambda: Bank().dictionary, "a change to a dict", "put it in place outside"),
    (lambda: Bank().updated, r"'vars\(\)' is not compiled", "name the variables"),
    (lambda: global_statement, "assignment to 'RATE'", "return the new value"),
    (lambda: global_item, "a change to a dict", "put it in place outside"),
    (lambda: global_array, "a write to a captured array", "pass the array as an argument"),
    (lambda: lambda x: globals().update(RATE=x), r"'globals\(\)' is not compiled", "name the variables"),
    (lambda: lambda x: [locals(), x], r"'locals\(\)' is not compiled", "name the variables"),
]


@pytest.mark.parametrize(("make", "said", "remedy"), REFUSED, ids=range(len(REFUSED)))
def test_changes_are_refused(make: Any, said: str, remedy: str) -> None:
    f = make()
    with pytest.raises(weft.StagingError, match=said) as e:
        weft.jit(f)(1.0)
    import re

    assert "remedy: " in str(e.value)
    assert re.search(remedy, str(e.value).split("remedy: ")[1])


def test_the_remedy_shows_the_rewriting() -> None:
    with pytest.raises(weft.StagingError) as e:
        weft.jit(Bank().add)(1.0)
    assert "`self.n = f(self.n, ...)`" in str(e.value)


def test_nothing_is_changed_by_a_refusal() -> None:
    bank = Bank()
    for name in ("add", "store", "append", "key", "fill", "dynamic", "dictionary", "updated"):
        with pytest.raises(weft.StagingError):
            weft.jit(getattr(bank, name))(5.0)
    assert (bank.n, bank.items, bank.table, bank.array.tolist()) == (0.0, [0.0], {"k": 0.0}, [0.0, 0.0])


def test_objects_made_inside_may_change() -> None:
    def f(x: Any) -> Any:
        bank = Bank()
        bank.add(x)
        bank.store(2 * x)
        bank.append(3 * x)
        bank.key(x)
        bank.fill(x)
        return bank.add(1.0), bank.items, bank.table, bank.array

    got, want = weft.jit(f)(2.0), f(2.0)
    assert got[:3] == want[:3]
    assert same(got[3], want[3])


def test_the_counter_made_pure() -> None:
    """As JAX's guide on state rewrites it."""

    class Pure:
        def count(self, n: Any) -> Any:
            return n + 1, n

        def reset(self) -> int:
            return 0

    c = Pure()
    count = weft.jit(c.count)
    state = c.reset()
    seen = []
    for _ in range(3):
        state, value = count(state)
        seen.append(value)
    assert seen == [0, 1, 2]


# -- containers that go to the library as a whole ----------------------------------------------------------------------


@dataclasses.dataclass
class Model:
    w: Any
    sub: Any = None


@weft.tree_util.register_pytree_node_class
class Box:
    def __init__(self, x: Any, name: str) -> None:
        self.x, self.name = x, name

    def tree_flatten(self) -> Any:
        return (self.x,), self.name

    @classmethod
    def tree_unflatten(cls, name: Any, children: Any) -> Any:
        return cls(children[0], name)


def test_captured_containers_as_a_whole() -> None:
    model, box = Model(2.0, Model(np.ones(2))), Box(3.0, "a")

    def total(t: Any) -> Any:
        return sum([np.sum(v) for v in weft.tree.leaves(t)])

    changes = [
        lambda: setattr(model, "w", 5.0),
        lambda: model.sub.w.fill(7.0),
        lambda: setattr(model, "sub", [1.0, 2.0]),
        lambda: setattr(box, "x", np.arange(3.0)),
        lambda: setattr(box, "name", "b"),
    ]
    check(lambda x: x * total(model) + total([box]), *changes)
    model, box = Model(2.0, Model(np.ones(2))), Box(3.0, "a")
    check(lambda x: total(weft.grad(lambda m: x * m.w * m.w)(Model(model.w))), *changes[:1])
    f = weft.jit(lambda: (model, box))
    assert f()[0].w == 5.0
    model.w, box.x, box.name = 6.0, 9.0, "c"
    out = f()
    assert (out[0].w, out[1].x, out[1].name) == (6.0, 9.0, "c")
    g = weft.jit(lambda x: weft.grad(lambda m: x * m.w * m.w)(model).w)
    assert g(1.0) == 12.0
    model.w = 1.0
    assert g(1.0) == 2.0


def test_methods_of_models() -> None:
    class Net:
        def __init__(self) -> None:
            self.params = {"w": np.ones(2), "b": Box(1.0, "bias")}

        @weft.jit
        def apply(self, x: Any) -> Any:
            return sum([np.sum(v) for v in weft.tree.leaves(self.params)]) * x

    net, other = Net(), Net()
    assert net.apply(1.0) == 3.0
    net.params["b"].x = 10.0
    assert net.apply(1.0) == 12.0
    net.params["w"][:] = 0.0
    assert net.apply(1.0) == 10.0
    net.params = {"w": 5.0}
    assert net.apply(1.0) == 5.0
    assert other.apply(1.0) == 3.0


# -- what Python would be asked ----------------------------------------------------------------------------------------


class Named:
    """Compares and prints by what it holds."""

    def __init__(self, n: float) -> None:
        self.n = n

    def __eq__(self, other: object) -> Any:
        return isinstance(other, Named) and self.n == other.n

    def __lt__(self, other: Any) -> Any:
        return self.n < other.n

    def __hash__(self) -> int:
        return 1

    def __repr__(self) -> str:
        return f"Named({self.n})"


class Meta(type):
    @property
    def rate(cls) -> Any:
        return cls.held  # type: ignore[attr-defined]


class WithMeta(metaclass=Meta):
    held = 2.0


class Descriptor:
    def __get__(self, obj: Any, cls: Any = None) -> Any:
        return 3.0 * (1.0 if obj is None else obj.n)


class Described:
    v = Descriptor()

    def __init__(self) -> None:
        self.n = 1.0


def test_comparisons_of_objects() -> None:
    a, b = Named(1.0), Named(2.0)
    check(
        lambda x: (x if a == b else -x) + (10 if a < b else 20) + (100 if a != b else 200) + (1000 if a > b else 0),
        lambda: setattr(b, "n", 1.0),
        lambda: setattr(a, "n", 5.0),
        lambda: setattr(Named, "__eq__", lambda self, other: True),
    )
    c = Config(n=2)
    check(lambda x: x if c == Config(n=2) else -x, lambda: setattr(c, "n", 3), lambda: setattr(c, "n", 2))
    check(lambda x: x if c == 3 or c != c else -x)  # noqa: PLR0124


def test_descriptors_metaclasses_and_attributes_of_functions() -> None:
    d = Described()
    check(lambda x: d.v * x, lambda: setattr(d, "n", 4.0))
    check(lambda x: WithMeta.rate * x, lambda: setattr(WithMeta, "held", 5.0))

    def f(x: Any) -> Any:
        return x * f.k  # type: ignore[attr-defined]

    f.k = 2.0  # type: ignore[attr-defined]
    check(f, lambda: setattr(f, "k", 5.0), lambda: delattr(f, "k"))
    c = Counter(1.0)
    check(lambda x: x if hasattr(c, "extra") else -x, lambda: setattr(c, "extra", 1), lambda: delattr(c, "extra"))
    check(lambda x: getattr(c, "more", 2.0) * x, lambda: setattr(c, "more", 7.0), lambda: delattr(c, "more"))
    n = Named(1.0)
    check(lambda x: x if callable(n) else -x, lambda: setattr(Named, "__call__", lambda self: 1))
    check(lambda x: dataclasses.asdict(CONFIG)["n"] * x, lambda: setattr(CONFIG, "n", 6))


CONFIG = Config()
HELD = {"a": 1.0}
UNWATCHED = types.SimpleNamespace(
    chain=collections.ChainMap(HELD),
    proxy=types.MappingProxyType(HELD),
    list=collections.UserList([1.0]),
    view=HELD.values(),
    keys=HELD.keys(),
    space=types.SimpleNamespace(k=1),
    numbers=(v for v in [1.0]),
    iterator=iter([1.0]),
    object=Named(1.0),
)


@pytest.mark.parametrize(
    ("f", "kind"),
    [
        (lambda x: UNWATCHED.chain["a"] * x, "ChainMap"),
        (lambda x: UNWATCHED.proxy["a"] * x, "mappingproxy"),
        (lambda x: UNWATCHED.list[0] * x, "UserList"),
        (lambda x: sum(UNWATCHED.view) * x, "dict_values"),
        (lambda x: [v * x for v in UNWATCHED.numbers], "generator"),
        (lambda x: max(UNWATCHED.iterator) * x, "list_iterator"),
        (lambda x: operator.attrgetter("n")(UNWATCHED.object) * x, "attrgetter|Named"),
        (lambda x: f"{UNWATCHED.object} {x}", "the text of a Named"),
        (lambda x: x * len(str(UNWATCHED.object)), "the text of a Named"),
        (lambda x: print(UNWATCHED.object, x), "the text of a Named"),
        (lambda x: sys.getrecursionlimit() * x, "differs from call to call"),
        (lambda x: x if UNWATCHED.space == types.SimpleNamespace(k=1) else -x, "SimpleNamespace"),
        (lambda x: x if "a" in UNWATCHED.proxy else -x, "mappingproxy"),
        (lambda x: x if UNWATCHED.proxy else -x, "mappingproxy"),
        (lambda x: len(UNWATCHED.view) * x, "dict_values"),
        (lambda x: len(UNWATCHED.keys | {"b"}) * x, "dict_keys"),
    ],
    ids=range(16),
)
def test_objects_that_nothing_watches(f: Any, kind: str) -> None:
    with pytest.raises(weft.StagingError, match=kind) as e:
        weft.jit(f)(1.0)
    assert "remedy: " in str(e.value)


@dataclasses.dataclass(frozen=True)
class Frozen:
    n: int = 3
    sizes: Any = (1, 2)


@functools.lru_cache
def table_of(config: Any) -> Any:
    return tuple([float(k) for k in range(config.n)])


def test_cached_functions_of_configurations() -> None:
    global CONFIG_FROZEN
    CONFIG_FROZEN = Frozen()
    check(
        lambda x: sum(table_of(CONFIG_FROZEN)) * x,
        put(CONFIG_FROZEN=Frozen(5)),
        put(CONFIG_FROZEN=Frozen(2, (3,))),
    )
    CONFIG_FROZEN = Frozen(2, np.ones(1))
    with pytest.raises(
        weft.StagingError, match="the call of 'table_of' is not compiled: it depends on the state of a Frozen"
    ):
        weft.jit(lambda x: table_of(CONFIG_FROZEN)[0] * x)(1.0)
