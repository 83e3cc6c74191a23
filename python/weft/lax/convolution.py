"""Convolutions: one product over patches, which are copied side by side."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.lax.layouts import (
    ConvDimensionNumbers,
    Windows,
    axis_numbers,
    conv_dimension_numbers,
    padtype_to_pads,
    patches,
    places,
    windows_count,
)  # fmt: skip
from weft.lax.operands import error, same_dtype, sizes
from weft.lax.padding import pad
from weft.lax.products import matched, product
from weft.lax.regions import apply, region

TAPS = 64  # window positions up to which a depthwise convolution is a sum of products


def conv_general_dilated(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: Any,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """The convolution of an array with kernels (not flipped: a correlation).

    Parameters
    ----------
    lhs
        The input, by default ``(batch, features, *spatial)``.
    rhs
        The kernels, by default ``(output features, input features, *spatial)``; their sizes are part of the program.
    window_strides
        The step between windows, for each spatial axis.
    padding
        ``"SAME"``, ``"VALID"``, ``"SAME_LOWER"``, or for each spatial axis how many zeros come before and after
        (negative numbers take elements away).
    lhs_dilation, rhs_dilation
        The distance of neighbouring elements of input and kernel.
    dimension_numbers
        The layouts, as `conv_dimension_numbers` takes them.
    feature_group_count
        Into how many groups the input's features are divided, each with kernels of its own.
    batch_group_count
        Into how many groups the batch is divided, each with kernels of its own.
    precision
        Accepted for compatibility.
    preferred_element_type
        The dtype that is computed in and returned.
    out_sharding
        Accepted as None only.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.lax.conv_general_dilated(np.ones((1, 1, 5)), np.ones((1, 1, 3)), (1,), "SAME").tolist()
    [[[2.0, 3.0, 3.0, 3.0, 2.0]]]
    """
    name = "conv_general_dilated"
    x, w = same_dtype(name, (lhs, rhs))
    if preferred_element_type is not None:
        x, w = x.astype(preferred_element_type), w.astype(preferred_element_type)
    if x.ndim != w.ndim or x.ndim < 2:
        raise error(TypeError, f"convolution requires lhs and rhs ndim to be equal, got {x.ndim} and {w.ndim}.")
    rank = x.ndim - 2
    numbers = conv_dimension_numbers(x.shape, w.shape, dimension_numbers)
    strides = axis_numbers(name, "window_strides", window_strides, rank, 1)
    spread = axis_numbers(name, "lhs_dilation", lhs_dilation, rank, 1)
    dilation = axis_numbers(name, "rhs_dilation", rhs_dilation, rank, 1)
    taps = tuple([int(w.shape[k]) for k in numbers.rhs_spec[2:]])
    if isinstance(padding, str) or hasattr(padding, "name"):
        if any([k > 1 for k in spread]):
            raise error(
                ValueError,
                "String padding is not implemented for a convolution with lhs_dilation. Please either exactly specify"
                " the required padding or use conv_transpose.",
            )
        reach = [(k - 1) * d + 1 for k, d in zip(taps, dilation, strict=True)]
        pads = padtype_to_pads([x.shape[k] for k in numbers.lhs_spec[2:]], reach, strides, padding)
    else:
        pads = [(operator.index(a), operator.index(b)) for a, b in padding]
        if len(pads) != rank:
            raise error(
                ValueError, f"padding must have length equal to the number of spatial axes, got {pads} for {rank}"
            )
    job = _Convolution(x, w, numbers, taps, strides, pads, spread, dilation)
    job.group(operator.index(feature_group_count), operator.index(batch_group_count))
    return job.run()


class _Convolution:
    """One convolution, its axes by what they mean; after `group` with an axis of groups, where there are several."""

    def __init__(
        self, x: Any, w: Any, numbers: ConvDimensionNumbers, taps: Sequence[int], strides: Sequence[int],
        pads: Sequence[tuple[int, int]], spread: Sequence[int], dilation: Sequence[int],
    ) -> None:  # fmt: skip
        self.x, self.w = x, w
        self.batch, self.features, *self.sides = numbers.lhs_spec
        self.outputs, self.inputs, *self.taps_at = numbers.rhs_spec
        self.out_spec = tuple(numbers.out_spec)
        self.taps, self.strides, self.pads = tuple(taps), tuple(strides), list(pads)
        self.spread, self.dilation = tuple(spread), tuple(dilation)
        self.group_x: int | None = None
        self.group_w: int | None = None

    def group(self, features: int, batches: int) -> None:
        """Check that the features agree, and give the groups an axis of their own."""
        groups, axis = (features, self.features) if features > 1 else (batches, self.batch)
        if min(features, batches) < 1 or (features > 1 and batches > 1):
            raise error(
                ValueError,
                "At most one of batch_group_count and feature_group_count may be > 1, got"
                f" batch_group_count={batches} and feature_group_count={features}",
            )

        def fail() -> None:
            raise error(
                ValueError,
                "conv_general_dilated lhs feature dimension size divided by feature_group_count must equal the rhs"
                f" input feature dimension size, but {n} // {features} != {sizes(self.w)[self.inputs]}.",
            )

        n = sizes(self.x)[self.features]
        if groups > 1:
            what = "feature" if features > 1 else "batch"
            for side, m in (("lhs " + what, int(self.x.shape[axis])), ("rhs output feature", self._outputs())):
                if m % groups:
                    raise error(
                        ValueError,
                        f"conv_general_dilated {what}_group_count must divide {side} dimension size, but {groups} does"
                        f" not divide {m}.",
                    )
            self._split(groups, axis)
        self.x, self.w = matched(self.x, self.w, [(self.features, self.inputs)], fail)

    def _outputs(self) -> int:
        return int(self.w.shape[self.outputs])

    def _split(self, groups: int, axis: int) -> None:
        n, shape = int(self.x.shape[axis]), self.x.shape
        self.x = wnp.reshape(self.x, (*shape[:axis], groups, n // groups, *shape[axis + 1 :]))
        self.group_x = axis
        self.batch, self.features = [k + (k >= axis) for k in (self.batch, self.features)]
        self.sides = [k + (k >= axis) for k in self.sides]
        axis, shape = self.outputs, self.w.shape
        self.w = wnp.reshape(self.w, (*shape[:axis], groups, self._outputs() // groups, *shape[axis + 1 :]))
        self.group_w = axis
        self.outputs, self.inputs = [k + (k >= axis) for k in (self.outputs, self.inputs)]
        self.taps_at = [k + (k >= axis) for k in self.taps_at]

    def run(self) -> Any:
        """The result."""
        if any([k > 1 for k in self.spread]) and all([k == 1 for k in self.strides]):
            return self._overlapped()
        self._pad()
        if self.group_x is not None and self.x.shape[self.features] == 1 and int(np.prod(self.taps)) <= TAPS:
            return self._depthwise()
        return self._patched()

    def _pad(self) -> None:
        config = [(0, 0, 0)] * self.x.ndim
        for k, (low, high), distance in zip(self.sides, self.pads, self.spread, strict=True):
            config[k] = (low, high, distance - 1)
        self.x = pad(self.x, np.zeros((), self.x.dtype), config)

    def _windows(self) -> dict[int, Windows]:
        parts = zip(self.sides, self.taps, self.strides, self.dilation, strict=True)
        return {k: Windows(windows_count(self.x.shape[k], n, s, d), n, s, d) for k, n, s, d in parts}

    def _groups(self) -> tuple[list[int], Any]:
        """The axis of groups, if there is one, in the patches' order, and as a batch axis of their product."""
        return ([], ((), ())) if self.group_x is None else ([self.group_x], ((0,), (self.group_w,)))

    def _patched(self) -> Any:
        """One product with the patches: their axes end in the features, or begin with them, as the input's do."""
        lead, (one, two) = self._groups()
        windows, rank = self._windows(), len(self.sides)
        outs, taps = [("out", k) for k in self.sides], [("tap", k) for k in self.sides]
        g = len(lead)
        if all([k == 1 for k in (*self.taps, *self.strides)]):  # the input is its own patches
            order: list[Any] = [*lead, self.batch, *self.sides, self.features]
            p = wnp.transpose(self.x, order)
            w = wnp.reshape(
                wnp.transpose(self.w, [*two, *self.taps_at, self.inputs, self.outputs]),
                (*[self.w.shape[k] for k in two], self.w.shape[self.inputs], self.w.shape[self.outputs]),
            )
            out = product(p, w, ((p.ndim - 1,), (g,)), (one, one))
            return self._finish(out, [*range(g), -1], g, list(range(g + 1, g + 1 + rank)))
        if self.features > max([self.batch, *self.sides]):
            p = patches(self.x, [*lead, self.batch, *outs, *taps, self.features], windows)
            inner = tuple(range(g + 1 + rank, p.ndim))
            out = product(p, self.w, (inner, (*self.taps_at, self.inputs)), (one, two))
            return self._finish(out, [*range(g), -1], g, list(range(g + 1, g + 1 + rank)))
        p = patches(self.x, [*lead, self.features, *taps, self.batch, *outs], windows)
        out = product(self.w, p, ((self.inputs, *self.taps_at), tuple(range(g, g + 1 + rank))), (two, one))
        return self._finish(out, list(range(g + 1)), g + 1, list(range(g + 2, g + 2 + rank)))

    def _finish(self, out: Any, features: list[int], batch: int, sides: list[int]) -> Any:
        """The result with its axes in order; ``features`` are its group axis, if there is one, and its output axis."""
        features = [k % out.ndim for k in features]
        if len(features) == 1:
            axes = [batch, *features, *sides]
            return wnp.transpose(out, [axes[self.out_spec.index(k)] for k in range(out.ndim)])
        axes = [batch, -1, *sides]
        perm: list[int] = []
        shape: list[Any] = []
        for k in range(out.ndim - 1):
            axis = axes[self.out_spec.index(k)]
            perm += features if axis == -1 else [axis]
            shape.append(out.shape[features[0]] * out.shape[features[1]] if axis == -1 else out.shape[axis])
        return wnp.reshape(wnp.transpose(out, perm), tuple(shape))

    def _depthwise(self) -> Any:
        """Each feature by itself: a sum over the places in a window, elementwise."""
        assert self.group_x is not None
        windows = self._windows()
        x = wnp.squeeze(self.x, self.features)  # the groups' axis stands before that of one feature each
        sides = [k - (k > self.features) for k in self.sides]
        batch, group = [k - (k > self.features) for k in (self.batch, self.group_x)]
        w = wnp.transpose(self.w, [*self.taps_at, self.group_w, self.outputs, self.inputs])[..., 0]
        counts = [windows[k].count for k in self.sides]
        total = None
        for tap in np.ndindex(*self.taps):
            starts, shape, steps = [0] * x.ndim, list(x.shape), [1] * x.ndim
            for k, t, n, s, d in zip(sides, tap, counts, self.strides, self.dilation, strict=True):
                starts[k], shape[k], steps[k] = t * d, n, s
            part = wnp.expand_dims(region(x, starts, shape, steps), -1)
            factor = w[tap]
            factor = wnp.reshape(factor, (*[1] * group, factor.shape[0], *[1] * (x.ndim - 1 - group), factor.shape[1]))
            total = part * factor if total is None else total + part * factor
        return self._finish(total, [group, -1], batch, sides)

    def _overlapped(self) -> Any:
        """A convolution of a dilated input: what each element adds to the result, added up where it belongs."""
        lead, (one, two) = self._groups()
        rank, g = len(self.sides), len(lead)
        sides = [n for n in [self.x.shape[k] for k in self.sides]]
        reach = [(k - 1) * d for k, d in zip(self.taps, self.dilation, strict=True)]
        x = wnp.transpose(self.x, [*lead, self.batch, *self.sides, self.features])
        w = wnp.transpose(self.w, [*two, self.inputs, *self.taps_at, self.outputs])
        w = wnp.flip(w, tuple(range(g + 1, g + 1 + rank)))
        p = product(x, w, ((x.ndim - 1,), (g,)), (one, one))
        full = [(n - 1) * s + r + 1 for n, s, r in zip(sides, self.spread, reach, strict=True)]
        shape = (*p.shape[: g + 1], *full, p.shape[-1])
        at = range(g + 1, g + 1 + rank)
        windows = {
            k: Windows(n, t, s, d)
            for k, n, t, s, d in zip(at, sides, self.taps, self.spread, self.dilation, strict=True)
        }
        order = [*range(g + 1), *[("out", k) for k in at], *[("tap", k) for k in at], g + 1 + rank]
        _, spec, operands = places(order, len(shape), windows, shape)
        out = apply("accum", wnp.zeros(shape, dtype=p.dtype), p, *operands, spec=spec, mode="fast")
        config = [(0, 0, 0)] * len(shape)
        for k, (low, high), r in zip(at, self.pads, reach, strict=True):
            if bool(shape[k] + low + high < 2 * r):  # there is no room for a window
                low, high = r, r - int(shape[k])
            config[k] = (low - r, high - r, 0)
        return self._finish(pad(out, np.zeros((), p.dtype), config), [*range(g), -1], g, list(at))


# -- special cases -----------------------------------------------------------------------------------------------------


def conv(
    lhs: Any, rhs: Any, window_strides: Sequence[int], padding: str, precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:  # fmt: skip
    """A convolution of ``(batch, features, *spatial)`` with ``(outputs, features, *spatial)`` kernels.

    Parameters
    ----------
    lhs, rhs
        Input and kernels.
    window_strides
        The step between windows, for each spatial axis.
    padding
        ``"SAME"``, ``"VALID"`` or ``"SAME_LOWER"``.
    precision, preferred_element_type
        As for `conv_general_dilated`.
    """
    return conv_general_dilated(
        lhs, rhs, window_strides, padding, precision=precision, preferred_element_type=preferred_element_type
    )


def conv_with_general_padding(
    lhs: Any, rhs: Any, window_strides: Sequence[int], padding: Any, lhs_dilation: Sequence[int] | None,
    rhs_dilation: Sequence[int] | None, precision: Any = None, preferred_element_type: Any = None,
) -> Any:  # fmt: skip
    """`conv`, with any padding and dilations.

    Parameters
    ----------
    lhs, rhs, window_strides, padding, lhs_dilation, rhs_dilation, precision, preferred_element_type
        As for `conv_general_dilated`.
    """
    return conv_general_dilated(
        lhs, rhs, window_strides, padding, lhs_dilation, rhs_dilation, precision=precision,
        preferred_element_type=preferred_element_type,
    )  # fmt: skip
