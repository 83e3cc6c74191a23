"""A built function does what its source does, for all sizes that its signature allows."""

import itertools
import threading

import numpy as np
import pytest

import weft

SOURCE = """
    SCALE = 2.5
    TABLE = np.array([1.0, 2.0, 3.0])
    SINGLE = np.float32(0.1)
    NESTED = {"a": [1.0, 2], "b": (TABLE, 1j)}

    @export("f64[n] -> f64")
    def branches(x):
        if x.shape[0] > 100:
            return x[0]
        if x.shape[0] > 3:
            return x[1]
        return np.sum(x)

    branches_gradient = export("f64[n] -> f64[n]")(weft.grad(branches))

    @export("f64[n], f64[m] -> f64")
    def equal(x, y):
        if x.shape[0] == y.shape[0]:
            return np.sum(x)
        if x.shape[0] > y.shape[0]:
            return np.sum(y)
        return -1.0

    @export("f64[n, m], f64[m] -> f64[n]")
    def scores(A, w):
        return np.tanh(A @ w)

    @export("f64[n, n], f64[n] -> f64[n]")
    def inner(A, b):
        out = np.zeros_like(b)
        out[2:-2] = A[0, 2:-2] + b[2:-2]
        return out

    @export("f64[n] -> f64")
    def last(x):
        for v in x:
            found = v
        return found

    @export("f64[n] -> f64")
    def smallest(x):
        return x.min()

    @export("f64[n], i64")
    def shift(x, k):
        for i in range(k):
            x[i] = x[i] + k

    @export("i64, i64 -> i64")
    def span(a, b):
        s = 0
        for i in range(a, b, 2):
            s += i
        return s

    @export("i64 -> f64[k]")
    def ones(k):
        return np.ones(k)

    @export("f64[n] -> f64[n], f64[n]")
    def both(x):
        return np.sort(x), x * SCALE + TABLE.sum() + NESTED["a"][0] + NESTED["b"][0][2]

    @export("f32[n] -> f32[n]")
    def single(x):
        return x * SINGLE

    @export("f64[n], f64[n] -> f64[n]")
    def same(x, y):
        return x

    @export("f64[n] -> f64, f64[n]")
    def named(x):
        return {"sum": x.sum(), "twice": [x * 2]}

    @export("f64[3] -> f64[3]")
    @export("f64[n] -> f64[n]")
    def cross(x):
        return x * len(x.shape)
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    from tests.aot.conftest import Project

    p = Project(tmp_path_factory.mktemp("values"), SOURCE)
    done = p.build()
    assert done.exit_code == 0, done.output
    return p.load(), p.source()


def agree(module, source, name, *args):
    """Values, types and exceptions of one call."""
    ours, theirs = [[np.copy(a) if isinstance(a, np.ndarray) else a for a in args] for _ in range(2)]
    fn = getattr(source, name)
    try:
        wanted = fn(*theirs)
    except (IndexError, ValueError, UnboundLocalError) as e:
        with pytest.raises(type(e)):
            getattr(module, name)(*ours)
        return
    for _ in range(2):  # the second call needs no Python code
        again = [np.copy(a) if isinstance(a, np.ndarray) else a for a in args]
        found = getattr(module, name)(*again)
    assert type(found) is type(wanted)
    np.testing.assert_equal(again, theirs)
    if wanted is None:
        return
    if isinstance(wanted, dict):
        wanted, found = [wanted["sum"], *wanted["twice"]], [found["sum"], *found["twice"]]
    for a, b in zip(*[x if isinstance(x, list | tuple) else [x] for x in (found, wanted)], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)
        assert np.asarray(a).dtype == np.asarray(b).dtype and np.shape(a) == np.shape(b)


ONE = ["branches", "last", "smallest", "both", "named", "cross"]


@pytest.mark.parametrize("name", ONE)
def test_every_size(modules, name):
    for n in (0, 1, 2, 3, 4, 5, 99, 100, 101, 102, 1000):
        agree(*modules, name, np.linspace(3.0, 1.0, n))


@pytest.mark.parametrize("name", ["equal", "shift", "span", "ones", "scores", "inner", "single", "same"])
def test_pairs_of_sizes(modules, name):
    for n, m in itertools.product(range(6), repeat=2):
        x, y = np.linspace(1.0, 2.0, n), np.linspace(3.0, 5.0, m)
        given = {
            "equal": (x, y), "shift": (x, m - 2), "span": (n - 2, 3 * m - 2), "ones": (n,), "same": (x, x + 1),
            "scores": (np.outer(x, y), y), "inner": (np.outer(x, x), x), "single": (x.astype(np.float32),),
        }[name]  # fmt: skip
        agree(*modules, name, *given)


def test_gradient_in_every_region(modules):
    module, source = modules
    for n in (1, 2, 3, 4, 50, 101):
        x = np.linspace(1.0, 2.0, n)
        np.testing.assert_array_equal(module.branches_gradient(x), weft.grad(source.branches)(x))


def test_arrays_that_are_not_plain(modules):
    module, _ = modules
    x = np.arange(20.0)
    np.testing.assert_array_equal(module.cross(x[::-2]), x[::-2])
    np.testing.assert_array_equal(module.cross(x.astype(">f8")), x)
    np.testing.assert_array_equal(module.scores(np.ones((4, 3)).T, np.ones(4)), np.tanh(np.full(3, 4.0)))
    y = np.arange(10.0)
    module.shift(y[::2], 2)
    np.testing.assert_array_equal(y[:5], [2, 1, 4, 3, 4])


def test_weft_arrays(modules):
    module, _ = modules
    x = weft.Array.from_numpy(np.arange(3.0))
    found = module.both(x)
    assert [type(v) for v in found] == [type(v) for v in weft.jit(modules[1].both)(x)]
    np.testing.assert_array_equal(np.asarray(found[0]), np.arange(3.0))
    mixed = module.equal(x, np.ones(3))
    assert float(mixed) == 3.0
    with pytest.raises(
        TypeError, match=r"argument 'x' is written in place, and must be a NumPy array, not a weft.Array"
    ):
        module.shift(x, 1)


def test_an_argument_that_is_returned_is_the_argument(modules):
    module, _ = modules
    x, y = np.ones(3), np.zeros(3)
    assert module.same(x, y) is x
    assert module.same(x, x) is x, "one array twice is fine where nothing is written"


def test_threads(modules):
    module, source = modules
    wrong = []

    def work(k):
        for n in range(1, 40):
            if module.branches(np.full(n, float(k))) != source.branches(np.full(n, float(k))):
                wrong.append((k, n))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not wrong


def test_levels_compute_the_same(built, monkeypatch):
    from weft.runtime.processor import cpu_features

    text = """
        @export("f64[n], f64 -> f64[n]")
        def f(x, a):
            return np.exp(-x * a) / (1.0 + x * x)
    """
    module, source = built(text, march="")
    x = np.linspace(0.0, 3.0, 1001)
    wanted = source.f(x, 0.3)
    np.testing.assert_allclose(module.f(x, 0.3), wanted, rtol=4e-16 * 4)
    assert module.__weft__["level"].startswith("x86-64")
    if "avx2" in cpu_features():
        assert module.__weft__["level"] != "x86-64"


def test_captured_values_are_those_of_the_build(built):
    module, source = built(
        """
        STEP = 2.0

        @export("f64 -> f64")
        def step(x):
            return x + STEP
        """
    )
    source.STEP = 100.0
    assert source.step(1.0) == 101.0
    assert module.step(1.0) == 3.0


def test_host_functions(built, capfd):
    module, source = built(
        """
        @export("f64[n] -> f64")
        def checked(x):
            assert x[0] > -100.0, "too small"
            if x[0] < 0:
                raise ValueError(f"negative: {x[0]}")
            print("first", x[0])
            return np.median(x)
        """
    )
    assert module.checked(np.array([3.0, 1.0, 2.0])) == 2.0
    assert capfd.readouterr().out == "first 3.0\n"
    with pytest.raises(ValueError, match=r"^negative: -1.0$"):
        module.checked(-np.ones(3))
    with pytest.raises(AssertionError, match="too small"):
        module.checked(-np.full(3, 1000.0))


def test_constants_and_containers_that_are_captured(built):
    module, source = built(
        """
        CONFIG = {"rate": 0.5, "steps": 3, "name": "adam", "pair": (1, np.float32(2))}

        @export("f64 -> f64, f32, c128, f64")
        def f(x):
            return x * CONFIG["rate"] + CONFIG["steps"], CONFIG["pair"][1], 1j, float("nan")
        """
    )
    found, wanted = module.f(2.0), source.f(2.0)
    np.testing.assert_equal(found, wanted)
    assert [type(v) for v in found] == [type(v) for v in wanted]


def test_a_size_that_the_program_names(built):
    module, source = built(
        """
        import functools

        @export("f64[n] -> f64")
        def five(x):
            if x.shape[0] == 5:
                return x[4]
            if x.shape[0] == 11:
                return x[10]
            return -1.0

        def both(a, x):
            return a * x

        twice = export("f64 -> f64")(functools.partial(both, 2.0))
        """
    )
    for n in range(13):
        assert module.five(np.arange(1.0, n + 1)) == source.five(np.arange(1.0, n + 1))
    assert module.twice(4.0) == 8.0 and module.twice.__doc__ is None


def test_an_exception_holds_for_the_sizes_that_raise_it(built):
    module, source = built(
        """
        @export("f64[n, m] -> f64")
        def thirds(x):
            if x.shape[0] == 1:
                if x.shape[1] > 6:
                    raise ValueError("too many")
                if x.shape[1] == 4:
                    return np.min(x[:0])
            return x.sum()
        """
    )
    for n in (1, 2):
        for m in (1, 2, 3, 4, 5, 6, 7, 20):
            agree(module, source, "thirds", np.arange(1.0, n * m + 1).reshape(n, m))
