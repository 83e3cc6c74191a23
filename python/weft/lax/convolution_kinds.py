"""Other convolutions: transposed ones, patches, kernels that differ from window to window; shapes of results."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.lax.convolution import conv_general_dilated
from weft.lax.layouts import (
    ConvDimensionNumbers,
    Windows,
    axis_numbers,
    conv_dimension_numbers,
    padtype_to_pads,
    patches,
    windows_count,
)  # fmt: skip
from weft.lax.operands import error, same_dtype, sizes
from weft.lax.padding import pad
from weft.lax.products import matched, product


def conv_transpose(
    lhs: Any, rhs: Any, strides: Sequence[int], padding: Any, rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None, transpose_kernel: bool = False, precision: Any = None,
    preferred_element_type: Any = None, use_consistent_padding: bool = False,
) -> Any:  # fmt: skip
    """A convolution that makes an array larger, as the transpose of one with strides does.

    Parameters
    ----------
    lhs, rhs
        Input and kernels, by default channels last: ``("NHWC", "HWIO", "NHWC")``.
    strides
        How many times larger each spatial axis becomes.
    padding
        ``"SAME"``, ``"VALID"``, or the padding of the convolution whose transpose this is.
    rhs_dilation
        The distance of neighbouring elements of the kernel.
    dimension_numbers
        The layouts, as `conv_dimension_numbers` takes them.
    transpose_kernel
        Take the kernel of the convolution that is transposed: flipped, and with features exchanged.
    precision, preferred_element_type
        As for `conv_general_dilated`.
    use_consistent_padding
        Numbers in ``padding`` are those of the transposed convolution, as names are.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.lax.conv_transpose(np.ones((1, 2, 1)), np.ones((3, 1, 1)), (2,), "SAME")[0, :, 0].tolist()
    [1.0, 1.0, 2.0, 1.0]
    """
    x, w = same_dtype("conv_transpose", (lhs, rhs))
    rank = x.ndim - 2
    if dimension_numbers is None:
        letters = "HWD"[:rank]
        if rank > 3:
            raise error(ValueError, "No 4+ dimensional dimension_number defaults.")
        dimension_numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    numbers = conv_dimension_numbers(x.shape, w.shape, dimension_numbers)
    strides = axis_numbers("conv_transpose", "strides", strides, rank, 1)
    dilation = axis_numbers("conv_transpose", "rhs_dilation", rhs_dilation, rank, 1)
    reach = [(int(w.shape[k]) - 1) * d + 1 for k, d in zip(numbers.rhs_spec[2:], dilation, strict=True)]
    pads: Any
    if isinstance(padding, str):
        pads = [_transposed_padding(k, s, padding.upper()) for k, s in zip(reach, strides, strict=True)]
    elif use_consistent_padding:
        pads = [(k - 1 - a, k - 1 - b) for k, (a, b) in zip(reach, padding, strict=True)]
    else:
        pads = padding
    if transpose_kernel:
        w = wnp.flip(w, tuple(numbers.rhs_spec[2:]))
        w = wnp.swapaxes(w, numbers.rhs_spec[0], numbers.rhs_spec[1])
    return conv_general_dilated(
        x, w, (1,) * rank, pads, strides, dilation, numbers, precision=precision,
        preferred_element_type=preferred_element_type,
    )  # fmt: skip


def _transposed_padding(k: int, s: int, padding: str) -> tuple[int, int]:
    if padding == "SAME":
        total = k + s - 2
        low = k - 1 if s > k - 1 else -(-total // 2)
    elif padding == "VALID":
        total = k + s - 2 + max(k - s, 0)
        low = k - 1
    else:
        raise error(ValueError, f"Padding mode must be 'SAME' or 'VALID', got {padding!r}.")
    return low, total - low


def conv_general_dilated_patches(
    lhs: Any, filter_shape: Sequence[int], window_strides: Sequence[int], padding: Any,
    lhs_dilation: Sequence[int] | None = None, rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None, precision: Any = None, preferred_element_type: Any = None,
) -> Any:  # fmt: skip
    """What lies under each window of a convolution, as features.

    Parameters
    ----------
    lhs
        The input.
    filter_shape
        The windows' sizes.
    window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers, precision, preferred_element_type
        As for `conv_general_dilated`.

    Returns
    -------
    Array
        The features are the input's, each with all places of the window.
    """
    x = wnp.asarray(lhs)
    rank = x.ndim - 2
    taps = tuple([operator.index(k) for k in filter_shape])
    numbers = conv_dimension_numbers(x.shape, (1,) * x.ndim, dimension_numbers)
    strides = axis_numbers("conv_general_dilated_patches", "window_strides", window_strides, rank, 1)
    spread = axis_numbers("conv_general_dilated_patches", "lhs_dilation", lhs_dilation, rank, 1)
    dilation = axis_numbers("conv_general_dilated_patches", "rhs_dilation", rhs_dilation, rank, 1)
    if isinstance(padding, str):
        reach = [(k - 1) * d + 1 for k, d in zip(taps, dilation, strict=True)]
        padding = padtype_to_pads([x.shape[k] for k in numbers.lhs_spec[2:]], reach, strides, padding)
    batch, features, *sides = numbers.lhs_spec
    config = [(0, 0, 0)] * x.ndim
    for k, (low, high), distance in zip(sides, padding, spread, strict=True):
        config[k] = (operator.index(low), operator.index(high), distance - 1)
    x = pad(x, np.zeros((), x.dtype), config)
    windows = {
        k: Windows(windows_count(x.shape[k], n, s, d), n, s, d)
        for k, n, s, d in zip(sides, taps, strides, dilation, strict=True)
    }
    p = patches(x, [batch, features, *[("tap", k) for k in sides], *[("out", k) for k in sides]], windows)
    shape = (p.shape[0], p.shape[1] * int(np.prod(taps)), *p.shape[2 + rank :])
    out = wnp.transpose(wnp.reshape(p, shape), [tuple(numbers.out_spec).index(k) for k in range(x.ndim)])
    return out if preferred_element_type is None else out.astype(preferred_element_type)


def conv_shape_tuple(lhs_shape: Any, rhs_shape: Any, strides: Any, pads: Any, batch_group_count: int = 1) -> Any:
    """The shape of the convolution of arrays of these shapes, with axes in `conv`'s order."""
    if isinstance(pads, str):
        pads = padtype_to_pads(lhs_shape[2:], rhs_shape[2:], strides, pads)
    sides = [
        max((n + low + high - k) // s + 1, 0)
        for n, k, s, (low, high) in zip(lhs_shape[2:], rhs_shape[2:], strides, pads, strict=True)
    ]
    return (lhs_shape[0] // batch_group_count, rhs_shape[0], *sides)


def conv_general_shape_tuple(
    lhs_shape: Any, rhs_shape: Any, window_strides: Any, padding: Any, dimension_numbers: Any
) -> Any:
    """The shape of the convolution of arrays of these shapes."""
    numbers = conv_dimension_numbers(lhs_shape, rhs_shape, dimension_numbers)
    left, right = [lhs_shape[k] for k in numbers.lhs_spec], [rhs_shape[k] for k in numbers.rhs_spec]
    out = conv_shape_tuple(left, right, window_strides, padding)
    return tuple([out[tuple(numbers.out_spec).index(k)] for k in range(len(out))])


def conv_general_dilated_local(
    lhs: Any, rhs: Any, window_strides: Sequence[int], padding: Any, filter_shape: Sequence[int],
    lhs_dilation: Sequence[int] | None = None, rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None, precision: Any = None,
) -> Any:  # fmt: skip
    """A convolution with kernels of its own for each window.

    Parameters
    ----------
    lhs
        The input.
    rhs
        The kernels: ``(output features, input features times places in a window, *windows)`` in the kernel's layout.
    filter_shape
        The windows' sizes.
    window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers, precision
        As for `conv_general_dilated`.
    """
    x, w = same_dtype("conv_general_dilated_local", (lhs, rhs))
    numbers = conv_dimension_numbers(x.shape, w.shape, dimension_numbers)
    p = conv_general_dilated_patches(
        x, filter_shape, window_strides, padding, lhs_dilation, rhs_dilation,
        ConvDimensionNumbers(numbers.lhs_spec, numbers.rhs_spec, tuple(range(x.ndim))),
    )  # fmt: skip
    w = wnp.transpose(w, tuple(numbers.rhs_spec))  # outputs, patches, windows
    sides = tuple(range(2, x.ndim))

    def fail() -> None:
        raise error(
            ValueError,
            f"conv_general_dilated_local: kernels of shape {tuple(sizes(w))} (features first) do not fit patches of"
            f" shape {tuple(sizes(p))}",
        )

    p, w = matched(p, w, [(k, k) for k in (1, *sides)], fail)
    out = wnp.moveaxis(product(p, w, ((1,), (1,)), (sides, sides)), (-2, -1), (0, 1))
    return wnp.transpose(out, [tuple(numbers.out_spec).index(k) for k in range(x.ndim)])


def conv_general_permutations(dimension_numbers: Any) -> list[tuple[int, ...]]:
    """The orders of axes that three strings stand for, as numbers of axes."""
    lhs, rhs, out = dimension_numbers
    return [tuple(spec) for spec in conv_dimension_numbers(lhs, rhs, (lhs, rhs, out))]


def conv_transpose_shape_tuple(
    lhs_shape: Any, rhs_shape: Any, window_strides: Any, padding: Any, dimension_numbers: Any
) -> Any:
    """The shape of the transposed convolution of arrays of these shapes."""
    numbers = conv_dimension_numbers(lhs_shape, rhs_shape, dimension_numbers)
    left, right = [lhs_shape[k] for k in numbers.lhs_spec], [rhs_shape[k] for k in numbers.rhs_spec]
    if isinstance(padding, str):
        padding = [_transposed_padding(k, s, padding) for k, s in zip(right[2:], window_strides, strict=True)]
    sides = [
        (n - 1) * s + 1 + low + high - k + 1
        for n, k, s, (low, high) in zip(left[2:], right[2:], window_strides, padding, strict=True)
    ]
    shape = (left[0], right[0], *sides)
    return tuple([shape[tuple(numbers.out_spec).index(k)] for k in range(len(shape))])
