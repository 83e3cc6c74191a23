"""What a call costs: a compiled function of ten elements, or of one Python float."""

from __future__ import annotations

import sys

import numpy as np
import peers
from timing import Figure, alternate, show

import weft


def into(x, out):
    """Written into a given array."""
    out[:] = 2.0 * x + 1.0


def fresh(x):
    """A new array."""
    return 2.0 * x + 1.0


def number(x):
    """A number."""
    return 2.0 * x + 1.0


def figures(quick: bool = False) -> list[Figure]:
    """Measure."""
    turns = 5 if quick else 31
    x, out = np.arange(10.0), np.zeros(10)
    cases = [("into a given array", into, (x, out), 1e-6), ("a new array", fresh, (x,), 1.5e-6)]
    cases += [("a Python float", number, (3.0,), 0.5e-6), ("a weft.Array", fresh, (weft.Array.from_numpy(x),), None)]
    found = []
    for title, function, args, limit in cases:
        wanted = None if function is into else function(*(np.asarray(a) for a in args))
        ours = weft.jit(function)
        ways = {"weft": _call(ours, args), "python and numpy": _call(function, args)}
        if title == "a weft.Array":
            del ways["python and numpy"]
        if (numba := peers.numba()) and title != "a weft.Array":
            ways["numba"] = _call(numba.njit(function), args)
        if (jax := peers.jax()) and function is not into:
            theirs = jax.jit(function)
            given = tuple(jax.numpy.asarray(a) if isinstance(a, np.ndarray | weft.Array) else a for a in args)
            ways["jax"] = _call(theirs, given)
        for name, f in ways.items():
            out[:] = 0.0
            got = f()
            np.testing.assert_allclose(*(out, fresh(x)) if function is into else (got, wanted), err_msg=name)
        f = Figure(title, alternate(ways, turns), missing=peers.missing("numba", "jax"))
        found.append(f if limit is None else f.within(limit))
    return found


def _call(f, args):
    """A call without the cost of unpacking."""
    match args:
        case (a,):
            return lambda: f(a)
        case (a, b):
            return lambda: f(a, b)
    raise TypeError(args)


if __name__ == "__main__":
    show("a call of ten elements", figures("--quick" in sys.argv))
