"""Reductions over segments: rows of an array, each of which says which segment it belongs to."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft import numpy as wnp


def _segment(update: str, start: Any, data: Any, segment_ids: Any, num_segments: Any, mode: Any) -> Any:
    data, ids = wnp.asarray(data), wnp.asarray(segment_ids)
    if not data.ndim or ids.ndim != 1:
        raise ValueError(f"the data have {data.ndim} axes and segment_ids {ids.ndim}: there is one number for each row")
    count = wnp.max(ids, initial=-1) + 1 if num_segments is None else num_segments
    if num_segments is not None and not hasattr(num_segments, "ndim") and num_segments < 0:
        raise ValueError("num_segments must be non-negative.")
    into = wnp.full((count, *data.shape[1:]), start, dtype=data.dtype)
    return getattr(into.at[ids], update)(data, mode=mode or "drop", wrap_negative_indices=False)


def _least(dtype: np.dtype[Any]) -> Any:
    return -np.inf if dtype.kind == "f" else False if dtype.kind == "b" else np.iinfo(dtype).min


def _most(dtype: np.dtype[Any]) -> Any:
    return np.inf if dtype.kind == "f" else True if dtype.kind == "b" else np.iinfo(dtype).max


def segment_sum(
    data: Any, segment_ids: Any, num_segments: int | None = None, indices_are_sorted: bool = False,
    unique_indices: bool = False, bucket_size: int | None = None, mode: str | None = None,
) -> Any:  # fmt: skip
    """The sum of the rows of each segment.

    Parameters
    ----------
    data
        The rows.
    segment_ids
        The number of each row's segment, an integer array with as many elements as there are rows. Rows of numbers that
        are out of range, below 0 too, are dropped, unless ``mode`` says otherwise.
    num_segments
        How many segments there are; absent, one more than the largest number.
    indices_are_sorted, unique_indices, bucket_size
        Accepted for JAX's sake.
    mode
        What is done with numbers out of range: as in ``x.at[...].add``; ``"drop"`` if absent.

    Returns
    -------
    Array
        Of shape ``(num_segments, *row)``, of the data's dtype.

    Examples
    --------
    >>> import weft, weft.numpy as wnp
    >>> weft.ops.segment_sum(wnp.array([1.0, 2.0, 4.0]), wnp.array([0, 1, 0]), 3)
    Array([5., 2., 0.])
    """
    return _segment("add", 0, data, segment_ids, num_segments, mode)


def segment_prod(
    data: Any, segment_ids: Any, num_segments: int | None = None, indices_are_sorted: bool = False,
    unique_indices: bool = False, bucket_size: int | None = None, mode: str | None = None,
) -> Any:  # fmt: skip
    """The product of the rows of each segment; 1 where there are none. Parameters as of `segment_sum`."""
    return _segment("multiply", 1, data, segment_ids, num_segments, mode)


def segment_max(
    data: Any, segment_ids: Any, num_segments: int | None = None, indices_are_sorted: bool = False,
    unique_indices: bool = False, bucket_size: int | None = None, mode: str | None = None,
) -> Any:  # fmt: skip
    """The largest of the rows of each segment; the dtype's least value where there are none. Parameters as of
    `segment_sum`."""
    return _segment("max", _least(np.dtype(wnp.asarray(data).dtype)), data, segment_ids, num_segments, mode)


def segment_min(
    data: Any, segment_ids: Any, num_segments: int | None = None, indices_are_sorted: bool = False,
    unique_indices: bool = False, bucket_size: int | None = None, mode: str | None = None,
) -> Any:  # fmt: skip
    """The smallest of the rows of each segment; the dtype's largest value where there are none. Parameters as of
    `segment_sum`."""
    return _segment("min", _most(np.dtype(wnp.asarray(data).dtype)), data, segment_ids, num_segments, mode)
