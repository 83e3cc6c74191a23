"""What the derivative tests check, for any function: finite differences, and forward against reverse mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.ir.interpret import evaluate
from weft.ir.nodes import Function
from weft.ir.verify import verify
from weft.transforms.forward import jvp
from weft.transforms.reverse import split_vjp, vjp


def inexact(f: Function) -> tuple[bool, ...]:
    return tuple([p.type.dtype.kind in "fc" for p in f.params])


def floats(results: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(r) for r in results if np.asarray(r).dtype.kind in "fc"]


def directions(args: Sequence[Any], active: Sequence[bool], seed: int = 1) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=np.shape(a)) * 0.5 for a, on in zip(args, active) if on]


def moved(args: Sequence[Any], active: Sequence[bool], ts: Sequence[Any], h: float) -> list[Any]:
    it = iter(ts)
    return [a + h * next(it) if on else a for a, on in zip(args, active)]


def check_jvp(f: Function, args: Sequence[Any], active: Sequence[bool], *, tol: float = 2e-6) -> Function:
    """Forward mode against central differences."""
    j = verify(jvp(f, active), after="jvp")
    ts = directions(args, active)
    out = evaluate(j, *args, *ts)
    want = evaluate(f, *args)
    for a, b in zip(out[: len(want)], want):
        np.testing.assert_array_equal(a, b)
    h = 1e-5
    up, down = (floats(evaluate(f, *moved(args, active, ts, s * h))) for s in (1, -1))
    assert len(out) == len(want) + len(up)
    for t, u, d in zip(out[len(want) :], up, down):
        fd = (u - d) / (2 * h)
        np.testing.assert_allclose(t, fd, rtol=tol, atol=tol * (1 + np.max(np.abs(fd), initial=0)))
    return j


def check_vjp(f: Function, args: Sequence[Any], active: Sequence[bool], j: Function, *, tol: float = 1e-9) -> Function:
    """Reverse mode against forward mode: <ct, J t> = <J' ct, t>; and its two halves against the whole."""
    g = verify(vjp(f, active), after="vjp")
    ts = directions(args, active)
    primal = evaluate(f, *args)
    n = len(primal)
    forward = evaluate(j, *args, *ts)[n:]
    rng = np.random.default_rng(2)
    cts = [rng.normal(size=np.shape(t)) for t in forward]
    out = evaluate(g, *args, *cts)
    for a, b in zip(out[:n], primal):
        np.testing.assert_array_equal(a, b)
    left = sum([float(np.sum(c * t)) for c, t in zip(cts, forward)])
    right = sum([float(np.sum(c * t)) for c, t in zip(out[n:], ts)])
    scale = 1 + sum([float(np.sum(np.abs(c * t))) for c, t in zip(cts, forward)])
    assert abs(left - right) <= tol * scale, (left, right)
    first, second = split_vjp(f, active)
    verify(first, after="split")
    verify(second, after="split")
    saved = evaluate(first, *args)
    back = evaluate(second, *saved[n:], *cts)
    for a, b in zip(back, out[n:]):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    return g


def check_both(
    f: Function, args: Sequence[Any], active: Sequence[bool], *, tol: float = 2e-6
) -> tuple[Function, Function]:
    """Both modes; returns the derivative functions."""
    j = check_jvp(f, args, active, tol=tol)
    return j, check_vjp(f, args, active, j)
