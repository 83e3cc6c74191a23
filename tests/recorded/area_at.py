"""``x.at[key]``: every kind of key, every update, every mode; several results of one key in each case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from recorded_cases import Case, case

X = np.linspace(0.5, 3.0, 12).reshape(3, 4)
I = np.array([2, 7, -1, -9, 0])  # noqa: E741
PAIRS = np.array([[0, 2], [5, 1]])

#: Keys by name: of the array, and of the integers that are data.
KEYS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "integer": (lambda i: i, (np.int64(-5),)),
    "integers": (lambda i, k: (i, k), (np.int64(1), np.int64(9))),
    "array": (lambda i: i, (I,)),
    "array_behind": (lambda i: (slice(None), i), (PAIRS,)),
    "array_and_integer": (lambda i, k: (i, k), (I, np.int64(3))),
    "two_arrays": (lambda i, k: (i, k), (I, np.array([3, 0, -9, 1, 2]))),
    "array_and_new_axis": (lambda i: (i, None, slice(1, 3)), (np.array([1, 8]),)),
    "new_axis": (lambda i: (None, ..., i), (np.int64(2),)),
    "slices": (lambda i: (slice(1, 9), slice(None, None, -2)), (np.int64(0),)),
}

UPDATES = ("set", "add", "subtract", "multiply", "divide", "power")
EXTREMES = ("min", "max")  # JAX's derivatives of these are wrong for clipped indices


def updates(name: str, mode: str, names: tuple[str, ...], **options: Any) -> Callable[..., Any]:
    def run(j: Any, x: Any, *data: Any) -> Any:
        place = j.numpy.asarray(x).at[KEYS[name][0](*data)]
        return [getattr(place, n)(1.75, mode=mode, **options) for n in names]

    return run


def reads(name: str, **options: Any) -> Callable[..., Any]:
    def run(j: Any, x: Any, *data: Any) -> Any:
        place = j.numpy.asarray(x).at[KEYS[name][0](*data)]
        return [place.get(mode="clip", **options), place.get(mode="fill", fill_value=2.5, **options)]

    return run


def _cases() -> list[Case]:
    found = []
    for name, (_, data) in KEYS.items():
        for mode in ("clip", "drop"):
            found.append(case(f"{name}_{mode}", updates(name, mode, UPDATES), X, *data, grad=True, vmap=True))
            found.append(case(f"{name}_{mode}_extremes", updates(name, mode, EXTREMES), X, *data, vmap=True))
        found.append(case(f"{name}_get", reads(name), X, *data, grad=True, vmap=True))
    return found


def _values(j: Any, x: Any, v: Any) -> Any:
    x = j.numpy.asarray(x)
    return [
        x.at[j.numpy.asarray(I)].set(v, mode="drop"),
        x.at[:, j.numpy.asarray(PAIRS)].add(v[:3, :2, None], mode="drop"),
        x.at[1].multiply(v[0]),
        x.at[1:, None, 2].set(v[:2, :1]),
    ]


def _no_wrap(j: Any, x: Any) -> Any:
    place = j.numpy.asarray(x).at[j.numpy.asarray(I)]
    return [
        place.get(mode="fill", fill_value=0.0, wrap_negative_indices=False),
        place.get(mode="clip", wrap_negative_indices=False),
        place.add(1.0, mode="drop", wrap_negative_indices=False),
    ]


def _masks(j: Any, x: Any) -> Any:
    x = j.numpy.asarray(x)
    return [x.at[x > 1].set(0.25), x.at[x > 1].multiply(3.0), x.at[x[:, 0] > 1, 2].add(x[0, 0], mode="drop")]


def _dtypes(j: Any, x: Any) -> Any:
    found = []
    for dtype in ("bool", "int8", "uint16", "int64", "float32", "complex64"):
        y = j.numpy.asarray(x).astype(dtype)
        found += [y.at[1, 1].set(3), y.at[9].get(mode="fill"), y.at[9].get(mode="fill", fill_value=1)]
        found += [y.at[0].add(2.75)] if dtype != "bool" else []
        found += [y.at[0].divide(2)] if dtype in ("int64", "float32", "complex64") else []
    return found


CASES = [
    *_cases(),
    case("apply", lambda j, x: [j.numpy.asarray(x).at[:, 1:].apply(lambda v: v * v),
                                j.numpy.asarray(x).at[j.numpy.asarray([0, 2, 0])].apply(lambda v: v * 2.0 + 1.0),
                                j.numpy.asarray(x).at[j.numpy.asarray([0, 7, 0])].apply(lambda v: v * 2.0, mode="drop")],
         X, vmap=True),
    case("values", _values, X, np.linspace(1.0, 2.0, 20).reshape(5, 4), grad=True, vmap=True),
    case("no_wrap", _no_wrap, X, grad=True, vmap=True),
    case("masks", _masks, X, grad=True, vmap=True),
    case("dtypes", _dtypes, np.arange(6.0).reshape(3, 2)),
    case("scalar", lambda j, x: [j.numpy.asarray(x).at[()].set(2.0), j.numpy.asarray(x).at[...].add(2.0),
                                 j.numpy.asarray(x).at[None].multiply(3.0)], np.float64(1.5), grad=True, vmap=True),
]  # fmt: skip
