"""Second derivatives of every differentiable program: the four nestings of the two modes, and differences of the first.

All five give the same number, the curvature ``t @ H @ t`` of a function of the program's result along a direction.
"""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import tests.programs.derivatives  # noqa: F401
import tests.programs.in_place  # noqa: F401
import tests.programs.language  # noqa: F401
import tests.programs.numeric  # noqa: F401
import tests.programs.objectives  # noqa: F401
from tests.programs.harness import PROGRAMS, directions, leaves_of, moved, rebuilt, single, weighted

import weft
from weft.api.interpreted import Interpreted


def inner(g, t):
    """The inner product of two structures, in a form that weft stages."""
    if isinstance(g, tuple | list):
        total = 0.0
        for a, b in zip(g, t):
            total = total + inner(a, b)
        return total
    if isinstance(g, dict):
        return inner(list(g.values()), list(t.values()))
    if dataclasses.is_dataclass(g):
        return inner(
            [getattr(g, f.name) for f in dataclasses.fields(g)], [getattr(t, f.name) for f in dataclasses.fields(t)]
        )
    return np.sum(g * t)


def nestings(loss, nums):
    """The curvature by each nesting of modes, and the slope, as functions of all arguments and the direction."""
    every = tuple(range(len(nums)))

    def at(args):
        def f(*xs):
            full = list(args)
            for n, x in zip(nums, xs):
                full[n] = x
            return loss(*full)

        return f

    def slope(args, xs, ts):
        return inner(weft.grad(at(args), argnums=every)(*xs), ts)

    def along(args, xs, ts):
        return weft.jvp(at(args), xs, ts)[1]

    def reverse_over_reverse(args, xs, ts):
        return inner(weft.grad(lambda *v: slope(args, v, ts), argnums=every)(*xs), ts)

    def forward_over_reverse(args, xs, ts):
        return weft.jvp(lambda *v: slope(args, v, ts), xs, ts)[1]

    def reverse_over_forward(args, xs, ts):
        return inner(weft.grad(lambda *v: along(args, v, ts), argnums=every)(*xs), ts)

    def forward_over_forward(args, xs, ts):
        return weft.jvp(lambda *v: along(args, v, ts), xs, ts)[1]

    return slope, [reverse_over_reverse, forward_over_reverse, reverse_over_forward, forward_over_forward]


def staged(fn, *args):
    """``fn`` staged for these arguments, run by the IR interpreter."""
    t = weft.jit(fn)
    it = Interpreted(t.lower(*args))

    def run(*args):
        leaves = it.applies(t.signature(args, {}))
        assert leaves is not None
        return float(it.run(leaves))

    return run


SMOOTH = [p for p in PROGRAMS if p.grad]


@pytest.mark.parametrize("p", SMOOTH, ids=lambda p: p.name)
def test_nested_modes(p, monkeypatch):
    monkeypatch.setenv("WEFT_VERIFY", "1")
    args = (p.grad_calls or p.calls)()[0]
    slope, ways = nestings(weighted(p.fn), p.grad)
    xs = tuple(copy.deepcopy(args[n]) for n in p.grad)  # the same array twice would be another program
    ts = tuple(rebuilt(args[n], iter(directions(args[n], 7 * n + 1))) for n in p.grad)
    with np.errstate(all="ignore"):
        found = [staged(way, args, xs, ts)(args, xs, ts) for way in ways]
    small = single(args)
    np.testing.assert_allclose(found[1:], found[0], rtol=1e-3 if small else 1e-7, atol=1e-3 if small else 1e-7)
    if not small:
        h, first = 1e-5, staged(slope, args, xs, ts)
        up, down = (tuple(moved(x, leaves_of(t), s) for x, t in zip(xs, ts)) for s in (h, -h))
        wanted = (first(args, up, ts) - first(args, down, ts)) / (2 * h)
        np.testing.assert_allclose(found[0], wanted, rtol=1e-4, atol=1e-4)


def test_there_are_many():
    assert len(SMOOTH) >= 60
