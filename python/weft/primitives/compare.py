"""Comparisons, tests of floating values, logic and bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from weft.ir.primitive import Primitive
from weft.ir.types import bool_
from weft.primitives.arithmetic import SCALAR
from weft.primitives.declare import ANY, BOOL, FLOATING, INEXACT, INTEGER, REAL, elementwise
from weft.primitives.samples import Sample, dtypes, values


def _comparison(name: str, kinds: str, symbol: str, numpy: Callable[..., Any]) -> Primitive:
    text = f"{{0}} {symbol} {{1}}"

    def samples() -> list[Sample]:
        found: list[Sample] = []
        for d in dtypes(kinds):
            x, y = values(d, (2, 3), seed=1), values(d, (2, 3), seed=2)
            y[0] = x[0]  # some are equal
            found += [((x, y), {}), ((x, x[0, 0]), {}), ((y[1, 2], x), {}), ((x[0, 1], y[0, 1]), {})]
        return found

    return elementwise(name, kinds, arity=2, numpy=numpy, cpp=text, result=bool_, python=text, samples=samples)


eq = _comparison("eq", ANY, "==", np.equal)
ne = _comparison("ne", ANY, "!=", np.not_equal)
lt = _comparison("lt", BOOL + REAL, "<", np.less)
le = _comparison("le", BOOL + REAL, "<=", np.less_equal)
gt = _comparison("gt", BOOL + REAL, ">", np.greater)
ge = _comparison("ge", BOOL + REAL, ">=", np.greater_equal)

isnan = elementwise("isnan", INEXACT, numpy=np.isnan, cpp="isnan({0})", result=bool_, needs=SCALAR)
isinf = elementwise("isinf", INEXACT, numpy=np.isinf, cpp="isinf({0})", result=bool_, needs=SCALAR)
isfinite = elementwise("isfinite", INEXACT, numpy=np.isfinite, cpp="isfinite({0})", result=bool_, needs=SCALAR)
signbit = elementwise("signbit", FLOATING, numpy=np.signbit, cpp="signbit({0})", result=bool_, needs=SCALAR)

logical_not = elementwise("logical_not", BOOL, numpy=np.logical_not, cpp="!{0}")
invert = elementwise("invert", INTEGER, numpy=np.invert, cpp="~{0}", python="~{0}")
bitand = elementwise("bitand", BOOL + INTEGER, arity=2, numpy=np.bitwise_and, cpp="{0} & {1}", python="{0} & {1}")
bitor = elementwise("bitor", BOOL + INTEGER, arity=2, numpy=np.bitwise_or, cpp="{0} | {1}", python="{0} | {1}")
bitxor = elementwise("bitxor", BOOL + INTEGER, arity=2, numpy=np.bitwise_xor, cpp="{0} ^ {1}", python="{0} ^ {1}")


def _shift_samples() -> list[Sample]:
    found: list[Sample] = []
    for d in dtypes(INTEGER):
        x, y = values(d, (2, 3), seed=1), np.array([[0, 1, 2], [3, 5, 100]]).astype(d)
        found += [((x, y), {}), ((x, y[0, 1]), {}), ((x[0, 0], y[0, 2]), {})]
    return found


shl = elementwise(
    "shl", INTEGER, arity=2, numpy=np.left_shift, cpp="shl({0}, {1})", needs=SCALAR, python="{0} << {1}",
    samples=_shift_samples,
)  # fmt: skip
shr = elementwise(
    "shr", INTEGER, arity=2, numpy=np.right_shift, cpp="shr({0}, {1})", needs=SCALAR, python="{0} >> {1}",
    samples=_shift_samples,
)  # fmt: skip
