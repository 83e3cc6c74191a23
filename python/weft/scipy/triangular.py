"""Solves with triangular matrices."""

from __future__ import annotations

from typing import Any

from weft.ir.types import is_complex
from weft.numpy.common import (
    Staged,
    agree,
    broadcast_shapes,
    check,
    emit,
    op_error,
    reshape,
    spread,
    static_bool,
    static_int,
    under,
    unsupported,
)  # fmt: skip
from weft.numpy.linear import inputs, square
from weft.numpy.registry import MODULES
from weft.scipy.library import library

LINALG = "weft.scipy.linalg"
_TRANS = {
    0: (False, False),
    1: (True, False),
    2: (True, True),
    "N": (False, False),
    "T": (True, False),
    "C": (True, True),
}


def _finite(*xs: Staged) -> None:
    for x in xs:
        fine = emit("isfinite", emit("abs", x) if is_complex(x.dtype) else x)
        check(emit("reduce_and", fine, axes=tuple(range(fine.ndim))), ValueError, "array must not contain infs or NaNs")


def _system(a: Any, b: Any, check_finite: Any) -> tuple[Staged, Staged, bool]:
    """Matrices with equal leading axes, and whether the right side was one vector."""
    x, y = inputs(a, b)
    x = square(x)
    vector = y.ndim == 1
    if y.ndim == 0:
        raise op_error(ValueError, "the right side is a scalar: give a vector or a matrix")
    if vector:
        y = reshape(y, (y.sizes[0], 1))

    def fail() -> None:
        raise op_error(ValueError, "shapes of a and b are incompatible: they have different numbers of rows")

    agree(x.sizes[-1], y.sizes[-2], fail)
    y = under(y, (*y.sizes[:-2], x.sizes[-1], y.sizes[-1]))
    if static_bool(check_finite, "check_finite"):
        _finite(x, y)
    lead = broadcast_shapes("solve_triangular", x.sizes[:-2], y.sizes[:-2])
    return spread(x, (*lead, *x.sizes[-2:])), spread(y, (*lead, *y.sizes[-2:])), vector


@library(LINALG)
def solve_triangular(
    a: Any, b: Any, trans: Any = 0, lower: Any = False, unit_diagonal: Any = False, overwrite_b: Any = False,
    check_finite: Any = True,
) -> Any:  # fmt: skip
    """``x`` with ``a @ x = b``, where only one triangle of ``a`` is read.

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> from weft.scipy import linalg
    >>> linalg.solve_triangular(wnp.array([[2.0, 0.0], [1.0, 1.0]]), wnp.array([2.0, 3.0]), lower=True)
    Array([1., 2.])
    """
    trans = static_int(trans, "trans") if isinstance(trans, Staged) else trans
    if trans not in _TRANS:
        raise unsupported(f"solve_triangular with trans={trans!r}", "trans=0, 1 or 2")
    transposed, conjugated = _TRANS[trans]
    x, y, vector = _system(a, b, check_finite)
    if conjugated and is_complex(x.dtype):
        x = emit("conj", x)
    attrs = {"lower": static_bool(lower, "lower"), "unit": static_bool(unit_diagonal, "unit_diagonal")}
    out = emit("triangular_solve", x, y, trans=transposed, **attrs)
    return reshape(out, out.sizes[:-1]) if vector else out


@library(LINALG)
def cho_solve(c_and_lower: Any, b: Any, overwrite_b: Any = False, check_finite: Any = True) -> Any:
    """``x`` with ``a @ x = b``, given ``(c, lower)`` with the Cholesky factor of ``a``.

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> from weft.scipy import linalg
    >>> c = wnp.linalg.cholesky(wnp.array([[4.0, 2.0], [2.0, 2.0]]))
    >>> linalg.cho_solve((c, True), wnp.array([6.0, 4.0]))
    Array([1., 1.])
    """
    c, lower = c_and_lower
    lower = static_bool(lower, "lower")
    y = solve_triangular(c, b, 0 if lower else 2, lower, check_finite=check_finite)
    return solve_triangular(c, y, 2 if lower else 0, lower, check_finite=False)


__all__ = ["cho_solve", "solve_triangular"]
globals().update({name: MODULES[LINALG][name] for name in __all__})
