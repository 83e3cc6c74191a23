"""Layouts of convolutions, windows along axes, and what lies under them."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import weft.numpy as wnp
from weft.ir.nodes import Gather, Span
from weft.lax.operands import error
from weft.lax.regions import apply, count
from weft.staged.context import current
from weft.staged.value import Staged, size_of


class ConvDimensionNumbers(NamedTuple):
    """Where the axes of a convolution are.

    Attributes
    ----------
    lhs_spec
        Of the input: the batch axis, the feature axis, then the spatial ones.
    rhs_spec
        Of the kernel: the output feature axis, the input feature axis, then the spatial ones.
    out_spec
        Of the result: as for the input.
    """

    lhs_spec: Sequence[int]
    rhs_spec: Sequence[int]
    out_spec: Sequence[int]


ConvGeneralDilatedDimensionNumbers = None | ConvDimensionNumbers | tuple[str, str, str]


def conv_dimension_numbers(lhs_shape: Any, rhs_shape: Any, dimension_numbers: Any) -> ConvDimensionNumbers:
    """Layouts of a convolution as numbers of axes.

    Parameters
    ----------
    lhs_shape, rhs_shape
        The shapes of input and kernel, of one length.
    dimension_numbers
        None (``("NCHW", "OIHW", "NCHW")``), three strings such as ``("NHWC", "HWIO", "NHWC")``, or a
        `ConvDimensionNumbers`.

    Examples
    --------
    >>> import weft
    >>> weft.lax.conv_dimension_numbers((1, 8, 8, 3), (3, 3, 3, 4), ("NHWC", "HWIO", "NHWC"))
    ConvDimensionNumbers(lhs_spec=(0, 3, 1, 2), rhs_spec=(3, 2, 0, 1), out_spec=(0, 3, 1, 2))
    """
    if isinstance(dimension_numbers, ConvDimensionNumbers):
        return dimension_numbers
    rank = len(lhs_shape)
    if rank != len(rhs_shape):
        raise error(TypeError, f"convolution requires lhs and rhs ndim to be equal, got {rank} and {len(rhs_shape)}.")
    if dimension_numbers is None:
        axes = tuple(range(rank))
        return ConvDimensionNumbers(axes, axes, axes)
    specs = tuple(dimension_numbers)
    if len(specs) != 3:
        raise error(TypeError, f"convolution dimension_numbers list/tuple must be length 3, got {len(specs)}.")
    if not all([isinstance(s, str) for s in specs]):
        return ConvDimensionNumbers(*[tuple(s) for s in specs])
    for s in specs:
        if len(s) != rank:
            raise error(
                TypeError,
                "convolution dimension_numbers elements must each have length equal to the number of axes, got"
                f" {tuple(map(len, specs))} for {rank} axes",
            )
    for s, letters in zip(specs, ("NC", "OI", "NC"), strict=True):
        first, second = letters[0], letters[1]
        if s.count(first) != 1 or s.count(second) != 1 or len(set(s)) != rank:
            raise error(
                TypeError,
                f"convolution dimension_numbers elements must contain {first!r} and {second!r} exactly once and a"
                f" character for each spatial axis, got {s!r}.",
            )
    spatial = [c for c in specs[0] if c not in "NC"]
    for s, letters in ((specs[1], "OI"), (specs[2], "NC")):
        if sorted(c for c in s if c not in letters) != sorted(spatial):
            raise error(
                TypeError,
                "convolution dimension_numbers elements must each have the same set of spatial characters, got"
                f" {specs}.",
            )
    order = [c for c in specs[1] if c not in "OI"]  # the kernel's order

    def numbered(s: str, letters: str) -> tuple[int, ...]:
        return tuple([s.index(c) for c in (*letters, *order)])

    return ConvDimensionNumbers(numbered(specs[0], "NC"), numbered(specs[1], "OI"), numbered(specs[2], "NC"))


def padtype_to_pads(
    in_shape: Sequence[Any], window_shape: Sequence[int], window_strides: Sequence[int], padding: Any
) -> list[tuple[int, int]]:
    """The padding before and after each spatial axis that ``"SAME"``, ``"SAME_LOWER"`` or ``"VALID"`` stand for.

    Parameters
    ----------
    in_shape, window_shape, window_strides
        The sizes of input and windows, and the steps between windows.
    padding
        The name.
    """
    name = padding.upper() if isinstance(padding, str) else str(getattr(padding, "name", padding))
    if name == "VALID":
        return [(0, 0)] * len(in_shape)
    if name not in ("SAME", "SAME_LOWER"):
        raise error(
            ValueError, f"Unrecognized padding type: expected 'VALID', 'SAME' or 'SAME_LOWER', got {padding!r}."
        )
    found = []
    for n, k, stride in zip(in_shape, window_shape, window_strides, strict=True):
        if stride == 1:
            total = k - 1
        else:
            m = int(n)  # how much depends on the size
            total = max((-(-m // stride) - 1) * stride + k - m, 0)
        low = total // 2
        found.append((low, total - low) if name == "SAME" else (total - low, low))
    return found


def axis_numbers(name: str, what: str, values: Any, rank: int, least: int) -> tuple[int, ...]:
    found = (1,) * rank if values is None else tuple([operator.index(v) for v in values])
    if len(found) != rank:
        raise error(
            TypeError, f"{name} {what} should have length equal to the number of spatial axes, got {found} for {rank}"
        )
    if any([v < least for v in found]):
        raise error(ValueError, f"All elements of {what} must be at least {least}, got {found}.")
    return found


def places(order: Sequence[Any], ndim: int, windows: dict[int, Windows], n: Sequence[Any]) -> tuple[Any, ...]:
    """Where the elements under windows are.

    Parameters
    ----------
    order
        The result's axes: an axis k of the array that has no windows as ``k``; ``("out", k)`` counts the windows along
        axis k and ``("tap", k)`` the places in them.
    ndim, n
        The array's number of axes, and its sizes.
    windows
        The windows of each axis that has some.

    Returns
    -------
    perm, spec, operands
        How the array is to be transposed, and the place of the windows in it as `index` takes it.
    """
    tuples = [i for i, label in enumerate(order) if isinstance(label, tuple)]
    block = list(order[tuples[0] : tuples[-1] + 1])  # these axes are gathered together
    shape = tuple(
        [n[b] if isinstance(b, int) else windows[b[1]].count if b[0] == "out" else windows[b[1]].size for b in block]
    )

    def along(values: Any, label: Any) -> Any:
        return wnp.reshape(values, tuple([-1 if b == label else 1 for b in block]))

    before = [k for k in order[: tuples[0]]]
    after = [k for k in order[tuples[-1] + 1 :]]
    perm = [*before, *[k for k in range(ndim) if k not in before and k not in after], *after]
    spec: list[Any] = []
    operands: list[Any] = []
    for k in perm:
        if k in before or k in after:
            spec.append(Span(size_of(n[k])))
            operands.append(0)
            continue
        if k in windows:
            w = windows[k]
            at = along(count(w.count) * w.step, ("out", k)) + along(count(w.size) * w.dilation, ("tap", k))
        else:
            at = along(count(n[k]), k)
        spec.append(Gather())
        operands.append(wnp.broadcast_to(at, shape))
    return perm, tuple(spec), operands


class Windows(NamedTuple):
    """Windows along an axis: how many, their size, the steps from one to the next and between places in one."""

    count: Any
    size: int
    step: int
    dilation: int


def patches(x: Any, order: Sequence[Any], windows: dict[int, Windows]) -> Any:
    """The elements of ``x`` under windows; ``order`` names the result's axes, as for `places`."""
    perm, spec, operands = places(order, x.ndim, windows, x.shape)
    x = x if perm == sorted(perm) else wnp.transpose(x, perm)
    return apply("index", x, *operands, spec=spec, mode="fast")


def windows_count(n: Any, size: int, step: int, dilation: int) -> Any:
    """How many windows fit into an axis."""
    reach = (size - 1) * dilation + 1
    if reach == step == 1:
        return n
    if isinstance(n, Staged) and current().number(size_of(n)) is None:  # the size is computed at run time
        return wnp.maximum(n - (reach - 1) if step == 1 else (n - reach) // step + 1, 0)
    if bool(n < reach):
        return 0
    return n - (reach - 1) if step == 1 else (n - reach) // step + 1
