"""What code without `jit` costs, and what calls of trees of arrays cost: beside NumPy and JAX."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peers
from timing import ROOT, Figure, alternate, child, show

import weft
import weft.numpy as wnp
import weft.random

CHILD = Path("benchmarks/children/import_only.py")

# Each of an array of ten elements, another, and a module that has NumPy's functions; the first three have the goal.
OPERATIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "x + y": lambda x, y, np: x + y,
    "x * 2.0": lambda x, y, np: x * 2.0,
    "add(x, y)": lambda x, y, np: np.add(x, y),
    "exp(x)": lambda x, y, np: np.exp(x),
    "x.sum()": lambda x, y, np: x.sum(),
    "x[3]": lambda x, y, np: x[3],
    "x.at[3].set(1.0)": lambda x, y, np: x.at[3].set(1.0),
}


def scaled(tree):
    """A tree of 50 arrays, each times two."""
    out = {}
    for name, layer in tree.items():
        out[name] = {"w": layer["w"] * 2.0, "b": layer["b"] * 2.0, "more": [m * 2.0 for m in layer["more"]]}
    return out


def one(tree):
    """One number of the tree."""
    return tree["layer3"]["w"][0]


def normal(key):
    """A million normal numbers."""
    return weft.random.normal(key, (1_000_000,), "float32")


def figures(quick: bool = False) -> list[Figure]:
    """Measure."""
    return [*_operations(quick), *_trees(quick), *_random(quick), _imports(quick)]


def _operations(quick: bool) -> list[Figure]:
    a, b = np.arange(10.0), np.linspace(0.0, 1.0, 10)
    jax = peers.jax()
    found = []
    for k, (title, f) in enumerate(OPERATIONS.items()):
        arrays = {"weft": (wnp.asarray(a), wnp.asarray(b), wnp), "numpy": (a, b, np)}
        if jax is not None:
            arrays["jax"] = (jax.numpy.asarray(a), jax.numpy.asarray(b), jax.numpy)
        if ".at[" in title:
            del arrays["numpy"]
        want = np.asarray(f(*arrays["weft"]))
        for name, given in arrays.items():
            np.testing.assert_allclose(f(*given), want, rtol=1e-12, err_msg=f"{title}: {name}")
        ways = {name: _bound(f, given) for name, given in arrays.items()}
        figure = Figure(f"{title}, ten elements", alternate(ways, 5 if quick else 31), missing=peers.missing("jax"))
        if k < 3:
            figure.within(figure.seconds["numpy"] + 3e-6)
            figure.goal = "≤ numpy's + 3 µs"
        found.append(figure)
    return found


def _bound(f: Callable[..., Any], given: tuple[Any, ...]) -> Callable[[], Any]:
    x, y, space = given
    return lambda: f(x, y, space)


def _trees(quick: bool) -> list[Figure]:
    jax = peers.jax()

    def tree(make: Callable[[Any], Any]) -> Any:
        layer = lambda i: {"w": make(np.arange(4.0) + i), "b": make(np.ones(4)), "more": [make(np.ones(3))] * 3}
        return {f"layer{i}": layer(i) for i in range(10)}

    found = []
    for title, f in (("fifty arrays in, a number out", one), ("fifty arrays in, fifty out", scaled)):
        ways: dict[str, Callable[[], Any]] = {}
        compiled, given = weft.jit(f), tree(wnp.asarray)
        ways["weft"] = lambda compiled=compiled, given=given: compiled(given)
        if jax is not None:
            theirs, arrays = jax.jit(f), tree(jax.numpy.asarray)
            ways["jax"] = lambda theirs=theirs, arrays=arrays: theirs(arrays)
        want = weft.tree.leaves(f(tree(np.asarray)))
        for name, call in ways.items():
            for x, y in zip(weft.tree.leaves(call()), want, strict=True):
                np.testing.assert_array_equal(np.asarray(x), y, err_msg=name)
        figure = Figure(title, alternate(ways, 5 if quick else 31), missing=peers.missing("jax"))
        found.append(figure.within(15e-6))
    return found


def _random(quick: bool) -> list[Figure]:
    jax = peers.jax()
    compiled, key = weft.jit(normal), weft.random.PRNGKey(1)
    ways: dict[str, Callable[[], Any]] = {"weft": lambda: compiled(key)}
    if jax is not None:
        theirs, other = jax.jit(lambda k: jax.random.normal(k, (1_000_000,), "float32")), jax.random.PRNGKey(1)
        ways["jax"] = lambda: theirs(other).block_until_ready()
        np.testing.assert_allclose(ways["weft"](), np.asarray(ways["jax"]()), rtol=1e-5, atol=1e-6)
    figure = Figure("1e6 normal float32", alternate(ways, 5 if quick else 15), missing=peers.missing("jax"))
    return [figure.beats("jax")]


def _imports(quick: bool) -> Figure:
    names = {"weft": "weft.numpy", "numpy": "numpy"} | ({} if peers.jax() is None else {"jax": "jax.numpy"})
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(2 if quick else 9):
        for name, module in names.items():
            times[name].append(child(CHILD, module)["seconds"])
    figure = Figure("import weft.numpy", {n: statistics.median(t) for n, t in times.items()})
    figure.missing = peers.missing("jax")
    figure.within(figure.seconds["numpy"] + 0.06)
    figure.goal = "≤ numpy's + 60 ms"
    return figure


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "benchmarks"))
    show("without jit, and trees of arrays", figures("--quick" in sys.argv))
