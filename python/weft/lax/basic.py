"""Small functions: choices, and values without derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from weft.numpy.common import agree, array, emit, op_error, shape_text, truth, under
from weft.numpy.common import select as choose
from weft.numpy.registry import MODULES, Entry, enter


def _library(name: str, impl: Callable[..., Any], eager: Callable[..., Any]) -> Callable[..., Any]:
    """Enter a function of `weft.lax`, and give its public form."""
    enter(Entry(name, impl, eager), (), module="weft.lax")
    return MODULES["weft.lax"][name]


def _stop_gradient(x: Any) -> Any:
    """``x``, without a derivative.

    Parameters
    ----------
    x
        An array or number.
    """
    return emit("stop_gradient", array(x))


def _select(pred: Any, on_true: Any, on_false: Any) -> Any:
    """Elements of ``on_true`` where ``pred`` holds, else of ``on_false``.

    Parameters
    ----------
    pred
        Bools: one, or an array of the others' shape.
    on_true, on_false
        Arrays of one shape and dtype.
    """
    cond, a, b = truth(array(pred)), array(on_true), array(on_false)
    if a.dtype != b.dtype:
        raise op_error(TypeError, f"select cases must have the same dtype, got {a.dtype} and {b.dtype}")

    def fail() -> None:
        raise op_error(
            TypeError,
            "select cases must have the same shapes, and pred theirs or none: got"
            f" {shape_text(cond.sizes)}, {shape_text(a.sizes)}, {shape_text(b.sizes)}",
        )

    for v in (b, cond):
        if v is cond and not cond.sizes:
            continue
        if v.ndim != a.ndim:
            fail()
        for m, n in zip(a.sizes, v.sizes, strict=True):
            agree(m, n, fail)
    b = under(b, a.sizes)
    return choose(under(cond, a.sizes) if cond.sizes else cond, a, b)


def _select_now(pred: Any, on_true: Any, on_false: Any) -> Any:
    a, b = np.asarray(on_true), np.asarray(on_false)
    if a.dtype != b.dtype or a.shape != b.shape or np.shape(pred) not in ((), a.shape):
        raise TypeError(
            f"select cases must have the same dtype and shape, got {a.dtype}{a.shape} and {b.dtype}{b.shape}"
        )
    return np.where(pred, a, b)


stop_gradient = _library("stop_gradient", _stop_gradient, np.array)
select = _library("select", _select, _select_now)
