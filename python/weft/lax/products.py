"""Products of arrays: `dot`, `dot_general`, `batch_matmul`."""

from __future__ import annotations

import enum
import functools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.lax.operands import array, error, same_dtype, sizes, text
from weft.lax.regions import apply, is_staged

DotDimensionNumbers = tuple[tuple[Sequence[int], Sequence[int]], tuple[Sequence[int], Sequence[int]]]

PrecisionLike = Any


class Precision(enum.Enum):
    """Accepted where JAX takes it; products are computed in the dtype of their operands."""

    DEFAULT = 0
    HIGH = 1
    HIGHEST = 2


def matched(x: Any, y: Any, axes: Sequence[tuple[int, int]], fail: Any) -> tuple[Any, Any]:
    """Two arrays whose sizes along pairs of axes are known to be equal; ``fail()`` raises where they are not."""
    for i, j in axes:
        m, n = sizes(x)[i], sizes(y)[j]
        if m != n and "?" not in (m, n):
            fail()
    if not is_staged(x, y) or not axes:
        return x, y
    from weft.numpy.common import agree, array_of, under

    x, y = array_of(x), array_of(y)
    shape = list(y.sizes)
    for i, j in axes:
        agree(x.sizes[i], y.sizes[j], fail)
        shape[j] = x.sizes[i]
    return x, under(y, tuple(shape))


def _axes(name: str, axes: Sequence[Any], ndim: int, what: str) -> tuple[int, ...]:
    found = tuple([operator.index(k) for k in axes])
    if any([not 0 <= k < ndim for k in found]):
        raise error(
            TypeError, f"{name} requires {what} dimensions to be nonnegative and less than the number of axes of the"
            f" operand, got {found} for {ndim} axes"
        )  # fmt: skip
    return found


def dot_general(
    lhs: Any,
    rhs: Any,
    dimension_numbers: DotDimensionNumbers,
    precision: Any = None,
    preferred_element_type: Any = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """The product of two arrays over any of their axes.

    Parameters
    ----------
    lhs, rhs
        Arrays.
    dimension_numbers
        ``((lhs_contracting, rhs_contracting), (lhs_batch, rhs_batch))``: axes that are summed over, and axes that both
        have and the result keeps in front. Its other axes are the left array's, then the right one's.
    precision
        Accepted for compatibility.
    preferred_element_type
        The dtype that is computed in and returned.
    out_sharding
        Accepted as None only.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.lax.dot_general(np.ones((2, 3)), np.ones((4, 3)), (((1,), (1,)), ((), ()))).tolist()
    [[3.0, 3.0, 3.0, 3.0], [3.0, 3.0, 3.0, 3.0]]
    """
    x, y = array(lhs), array(rhs)
    dtype = np.result_type(x.dtype, y.dtype) if preferred_element_type is None else np.dtype(preferred_element_type)
    (x_in, y_in), (x_batch, y_batch) = dimension_numbers
    contract = (_axes("dot_general", x_in, x.ndim, "contracting"), _axes("dot_general", y_in, y.ndim, "contracting"))
    batch = (_axes("dot_general", x_batch, x.ndim, "batch"), _axes("dot_general", y_batch, y.ndim, "batch"))
    for what, (p, q) in (("contracting", contract), ("batch", batch)):
        if len(p) != len(q):
            raise error(
                TypeError, f"dot_general requires equal numbers of {what} dimensions, got {len(p)} and {len(q)}"
            )

        x, y = matched(x, y, list(zip(p, q, strict=True)), functools.partial(_unequal, what, x, y, p, q))
    return product(x.astype(dtype), y.astype(dtype), contract, batch)


def _unequal(what: str, x: Any, y: Any, p: tuple[int, ...], q: tuple[int, ...]) -> None:
    mine, theirs = tuple([sizes(x)[k] for k in p]), tuple([sizes(y)[k] for k in q])
    raise error(TypeError, f"dot_general requires {what} dimensions to have the same shape, got {mine} and {theirs}.")


def product(x: Any, y: Any, contract: Any, batch: Any = ((), ())) -> Any:
    """The product over axes whose sizes are known to be equal."""
    if x.dtype.kind == "b":
        return product(x.astype(np.int64), y.astype(np.int64), contract, batch) > 0
    return apply("dot", x, y, contract=contract, batch=batch)


def dot(
    lhs: Any,
    rhs: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    *,
    dimension_numbers: DotDimensionNumbers | None = None,
    out_sharding: Any = None,
) -> Any:
    """The product of vectors and matrices.

    Parameters
    ----------
    lhs, rhs
        Vectors or matrices; with ``dimension_numbers`` any arrays, as for `dot_general`.
    precision
        Accepted for compatibility.
    preferred_element_type
        The dtype that is computed in and returned.
    dimension_numbers
        As for `dot_general`.
    out_sharding
        Accepted as None only.

    Examples
    --------
    >>> import numpy as np, weft
    >>> float(weft.lax.dot(np.arange(3.0), np.ones(3)))
    3.0
    """
    x, y = array(lhs), array(rhs)
    if dimension_numbers is None:
        plain = x.ndim in (1, 2) and y.ndim in (1, 2)
        m, n = (sizes(x)[-1], sizes(y)[0]) if plain else (0, 1)
        if not plain or (m != n and "?" not in (m, n)):
            raise error(
                ValueError,
                "lax.dot: dimension_numbers must be specified when not performing simple un-batched matrix-matrix,"
                f" matrix-vector, or vector-vector products; got lhs_shape={text(x)} rhs_shape={text(y)}",
            )
        dimension_numbers = (((x.ndim - 1,), (0,)), ((), ()))
    return dot_general(x, y, dimension_numbers, precision, preferred_element_type)


def batch_matmul(lhs: Any, rhs: Any, precision: Any = None) -> Any:
    """Products of matrices, one for each index of the axes in front.

    Parameters
    ----------
    lhs, rhs
        Arrays with two or more axes, all but the last two of one shape.
    precision
        Accepted for compatibility.
    """
    x, y = same_dtype("batch_matmul", (lhs, rhs))
    if min(x.ndim, y.ndim) < 2:
        raise error(ValueError, f"Arguments to batch_matmul must be at least 2D, got {x.ndim}, {y.ndim}")
    if x.ndim != y.ndim:
        raise error(ValueError, f"Arguments to batch_matmul must have same ndim, got {x.ndim}, {y.ndim}")
    lanes = tuple(range(x.ndim - 2))
    return dot_general(x, y, (((x.ndim - 1,), (x.ndim - 2,)), (lanes, lanes)))
