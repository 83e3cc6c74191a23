"""General gathers and scatters."""

from __future__ import annotations

import enum
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import weft.numpy as wnp
from weft.ir.nodes import At, Gather
from weft.lax.operands import array, error, same_dtype, text
from weft.lax.regions import apply, count
from weft.staged.value import Staged


class GatherScatterMode(enum.Enum):
    """What is done with indices out of bounds: moved into the array, left out, trusted not to occur."""

    CLIP = 0
    FILL_OR_DROP = 1
    PROMISE_IN_BOUNDS = 2
    ONE_HOT = 3

    @classmethod
    def from_any(cls, mode: Any) -> GatherScatterMode:
        """A mode from itself, its name, or None (`FILL_OR_DROP`)."""
        if isinstance(mode, cls):
            return mode
        names = {"clip": cls.CLIP, "fill": cls.FILL_OR_DROP, "drop": cls.FILL_OR_DROP, None: cls.FILL_OR_DROP,
                 "promise_in_bounds": cls.PROMISE_IN_BOUNDS}  # fmt: skip
        if mode not in names:
            raise error(ValueError, f'Unknown gather mode "{mode}"')
        return names[mode]


class GatherDimensionNumbers(NamedTuple):
    """The axes of a gather.

    Attributes
    ----------
    offset_dims
        Axes of the result that run over the slices.
    collapsed_slice_dims
        Axes of the operand of which slices have one position, which the result lacks.
    start_index_map
        The operand's axis of each component of an index.
    operand_batching_dims, start_indices_batching_dims
        Axes of operand and indices that go together.
    """

    offset_dims: tuple[int, ...]
    collapsed_slice_dims: tuple[int, ...]
    start_index_map: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    start_indices_batching_dims: tuple[int, ...] = ()


class ScatterDimensionNumbers(NamedTuple):
    """The axes of a scatter.

    Attributes
    ----------
    update_window_dims
        Axes of the updates that run over the windows.
    inserted_window_dims
        Axes of the operand of which windows have one position, which the updates lack.
    scatter_dims_to_operand_dims
        The operand's axis of each component of an index.
    operand_batching_dims, scatter_indices_batching_dims
        Axes of operand and indices that go together.
    """

    update_window_dims: Sequence[int]
    inserted_window_dims: Sequence[int]
    scatter_dims_to_operand_dims: Sequence[int]
    operand_batching_dims: Sequence[int] = ()
    scatter_indices_batching_dims: Sequence[int] = ()


class _Places:
    """Where slices of an array are: one integer array per axis, all of the result's shape.

    Parameters
    ----------
    x
        The array.
    indices
        The start of each slice: the last axis has its components.
    window
        The axes of the result that run over a slice.
    fixed
        The axes of which a slice has one position.
    mapped
        The array's axis of each component.
    together
        Pairs of an axis of the array and one of the indices that go together.
    counts
        The slices' sizes, for each axis of the array.
    """

    def __init__(
        self, x: Any, indices: Any, window: Sequence[int], fixed: Sequence[int], mapped: Sequence[int],
        together: Sequence[tuple[int, int]], counts: Sequence[Any],
    ) -> None:  # fmt: skip
        self.x, self.mapped = x, tuple(mapped)
        indices = wnp.moveaxis(indices, -1, 0).astype(np.int64)
        rank = indices.ndim - 1 + len(window)
        lanes = [k for k in range(rank) if k not in window]
        batching = [a for a, _ in together]
        kept = [k for k in range(x.ndim) if k not in fixed and k not in batching]
        if len(kept) != len(window) or int(indices.shape[0]) != len(mapped):
            raise error(
                TypeError,
                f"gather or scatter: {len(window)} window axes and {int(indices.shape[0])} index components for an"
                f" array of {x.ndim} axes, of which slices keep {len(kept)} and {len(mapped)} are indexed",
            )
        shape: list[Any] = [0] * rank
        for k, n in zip(lanes, indices.shape[1:], strict=True):
            shape[k] = n
        for k, axis in zip(sorted(window), kept, strict=True):
            shape[k] = counts[axis]
        self.shape = tuple(shape)
        self.lanes = lanes

        def along(v: Any, axes: Sequence[int]) -> Any:
            """An array standing along axes of the result."""
            return wnp.reshape(v, tuple([v.shape[list(axes).index(k)] if k in axes else 1 for k in range(rank)]))

        self.starts: dict[int, Any] = {}
        for component, axis in enumerate(self.mapped):
            self.starts[axis] = along(indices[component], lanes)
        self.offsets: dict[int, Any] = {}
        for k, axis in zip(sorted(window), kept, strict=True):
            self.offsets[axis] = along(count(counts[axis]), [k])
        for axis, of_indices in together:
            self.offsets[axis] = along(count(x.shape[axis]), [lanes[of_indices]])
        self.counts = counts

    def limited(self) -> Any:
        """Bring starts into range; where they were, None if that is everywhere."""
        inside = None
        for axis, start in self.starts.items():
            last = self.x.shape[axis] - self.counts[axis]
            ok = (start >= 0) & (start <= last)
            inside = ok if inside is None else inside & ok
            self.starts[axis] = wnp.minimum(wnp.maximum(start, 0), last)
        return inside

    def arrays(self) -> list[Any]:
        """The positions along each axis."""
        found = []
        for axis in range(self.x.ndim):
            at = self.starts.get(axis, 0)
            if axis in self.offsets:
                at = at + self.offsets[axis]
            found.append(wnp.broadcast_to(at, self.shape))
        return found


def _ints(xs: Sequence[Any]) -> tuple[int, ...]:
    return tuple([operator.index(v) for v in xs])


def _fill(dtype: np.dtype[Any], value: Any) -> Any:
    if value is not None:
        return wnp.asarray(value).astype(dtype)
    if dtype.kind in "fc":
        return wnp.asarray(np.array(np.nan, dtype))
    if dtype.kind == "b":
        return wnp.asarray(True)
    return wnp.asarray(np.array(np.iinfo(dtype).min if dtype.kind == "i" else np.iinfo(dtype).max, dtype))


def gather(
    operand: Any, start_indices: Any, dimension_numbers: GatherDimensionNumbers, slice_sizes: Sequence[Any], *,
    unique_indices: bool = False, indices_are_sorted: bool = False, mode: Any = None, fill_value: Any = None,
) -> Any:  # fmt: skip
    """Slices of an array at many places.

    Parameters
    ----------
    operand
        The array.
    start_indices
        Integers; the last axis has the components of each place.
    dimension_numbers
        What the axes mean.
    slice_sizes
        The slices' sizes, for each axis of the array.
    unique_indices, indices_are_sorted
        Accepted for compatibility.
    mode
        What slices out of bounds give: ``"clip"`` (the default) the nearest slice, ``"fill"`` the ``fill_value``.
    fill_value
        NaN unless given; of integers the lowest, or the largest unsigned one.

    Examples
    --------
    >>> import numpy as np, weft
    >>> numbers = weft.lax.GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,))
    >>> weft.lax.gather(np.arange(6.0).reshape(3, 2), np.array([[2], [0]]), numbers, (1, 2)).tolist()
    [[4.0, 5.0], [0.0, 1.0]]
    """
    x, indices = array(operand), array(start_indices)
    if indices.dtype.kind not in "iu":
        raise error(TypeError, f"start_indices must have an integer type; got {indices.dtype}")
    d, counts = dimension_numbers, [n if isinstance(n, Staged) else operator.index(n) for n in slice_sizes]
    if len(counts) != x.ndim:
        raise error(
            TypeError,
            f"Gather op must have one slice size for every input dimension; got {tuple(counts)} for {text(x)}",
        )
    how = GatherScatterMode.CLIP if mode is None else GatherScatterMode.from_any(mode)
    together = list(zip(_ints(d.operand_batching_dims), _ints(d.start_indices_batching_dims), strict=True))
    places = _Places(
        x, indices, _ints(d.offset_dims), _ints(d.collapsed_slice_dims), _ints(d.start_index_map), together, counts
    )
    inside = places.limited()
    spec = (Gather() if places.shape else At(),) * x.ndim
    out = apply("index", x, *places.arrays(), spec=spec, mode="fast") if x.ndim else x
    if how is GatherScatterMode.FILL_OR_DROP and inside is not None:
        out = wnp.where(inside, out, _fill(x.dtype, fill_value))
    return out


def index_take(src: Any, idxs: Any, axes: Sequence[int]) -> Any:
    """The elements of an array at integer arrays along some of its axes.

    Parameters
    ----------
    src
        The array.
    idxs
        For each axis an integer array, all of one shape, which stands first in the result.
    axes
        The axes.
    """
    x, where, axes = array(src), [array(i) for i in idxs], _ints(axes)
    indices = wnp.stack([i.ravel() for i in where], axis=-1)
    n = where[0].ndim
    rest = [k for k in range(x.ndim) if k not in axes]
    numbers = GatherDimensionNumbers(tuple(range(1, 1 + len(rest))), tuple(axes), tuple(axes))
    sizes = [1 if k in axes else m for k, m in enumerate(x.shape)]
    out = gather(x, indices, numbers, sizes, mode="clip")
    return out if n == 1 else wnp.reshape(out, (*where[0].shape, *out.shape[1:]))


def _scatter(
    name: str, operand: Any, scatter_indices: Any, updates: Any, numbers: ScatterDimensionNumbers, mode: Any,
    change: Callable[[Any, Any, dict[str, Any]], Any],
) -> Any:  # fmt: skip
    x, v = same_dtype(name, (operand, updates))
    indices = array(scatter_indices)
    if indices.dtype.kind not in "iu":
        raise error(TypeError, f"indices must have an integer type; got {indices.dtype}")
    if not x.ndim:
        return change(wnp.reshape(x, (1,)).at[(np.zeros(v.shape, np.int64),)], v, {})[0]
    d = numbers
    window, inserted, batching = (
        sorted(_ints(d.update_window_dims)),
        _ints(d.inserted_window_dims),
        _ints(d.operand_batching_dims),
    )
    fixed = {*inserted, *batching}
    kept = iter([v.shape[k] for k in window])
    counts = [1 if k in fixed else next(kept) for k in range(x.ndim)]
    together = list(zip(batching, _ints(d.scatter_indices_batching_dims), strict=True))
    places = _Places(x, indices, window, inserted, _ints(d.scatter_dims_to_operand_dims), together, counts)
    how = GatherScatterMode.from_any(mode)
    inside = places.limited()
    where = places.arrays()
    options: dict[str, Any] = {"mode": "promise_in_bounds"}
    if how is GatherScatterMode.FILL_OR_DROP and inside is not None:
        where = [wnp.where(inside, where[0], -1), *where[1:]]
        options = {"mode": "drop", "wrap_negative_indices": False}
    return change(x.at[tuple(where)], v, options)


_DOC = """

    Parameters
    ----------
    operand
        The array.
    scatter_indices
        Integers; the last axis has the components of each place.
    updates
        The windows that are written, of the array's dtype.
    dimension_numbers
        What the axes mean.
    indices_are_sorted, unique_indices
        Accepted for compatibility.
    mode
        What is done with windows out of bounds: ``"drop"`` (the default) leaves them out, ``"clip"`` moves them.
    """


def _scattering(name: str, method: str, doc: str) -> Callable[..., Any]:
    def function(
        operand: Any, scatter_indices: Any, updates: Any, dimension_numbers: ScatterDimensionNumbers, *,
        indices_are_sorted: bool = False, unique_indices: bool = False, mode: Any = None,
    ) -> Any:  # fmt: skip
        def change(place: Any, v: Any, options: dict[str, Any]) -> Any:
            return getattr(place, method)(v, **options)

        return _scatter(name, operand, scatter_indices, updates, dimension_numbers, mode, change)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc + _DOC
    return function


scatter = _scattering("scatter", "set", "An array with windows written at many places.")
scatter_add = _scattering("scatter_add", "add", "An array with windows added at many places.")
scatter_sub = _scattering("scatter_sub", "subtract", "An array with windows subtracted at many places.")
scatter_mul = _scattering("scatter_mul", "multiply", "An array multiplied by windows at many places.")
scatter_min = _scattering("scatter_min", "min", "An array limited from above by windows at many places.")
scatter_max = _scattering("scatter_max", "max", "An array limited from below by windows at many places.")


def scatter_apply(
    operand: Any, scatter_indices: Any, func: Callable[[Any], Any], dimension_numbers: ScatterDimensionNumbers, *,
    update_shape: Sequence[Any] = (), indices_are_sorted: bool = False, unique_indices: bool = False, mode: Any = None,
) -> Any:  # fmt: skip
    """An array with a function applied at many places.

    Parameters
    ----------
    operand, scatter_indices, dimension_numbers, indices_are_sorted, unique_indices, mode
        As for `scatter`.
    func
        An elementwise function.
    update_shape
        The shape that updates would have.
    """
    x = array(operand)
    v = wnp.zeros(tuple(update_shape), dtype=x.dtype)
    return _scatter(
        "scatter_apply", x, scatter_indices, v, dimension_numbers, mode,
        lambda place, _, options: place.apply(func, **options),
    )  # fmt: skip
