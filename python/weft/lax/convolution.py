"""Convolutions: one product over patches, which are copied side by side."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import weft.numpy as wnp
from weft.ir.nodes import Gather, Span
from weft.lax.operands import error, same_dtype, sizes
from weft.lax.products import matched, product
from weft.lax.regions import apply, count, region
from weft.lax.shapes import pad
from weft.staged.context import current
from weft.staged.value import Staged, size_of

TAPS = 64  # window positions up to which a depthwise convolution is a sum of products


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


def _numbers(name: str, what: str, values: Any, rank: int, least: int) -> tuple[int, ...]:
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
    strides = _numbers(name, "window_strides", window_strides, rank, 1)
    spread = _numbers(name, "lhs_dilation", lhs_dilation, rank, 1)
    dilation = _numbers(name, "rhs_dilation", rhs_dilation, rank, 1)
    taps = tuple([int(w.shape[k]) for k in numbers.rhs_spec[2:]])
    if isinstance(padding, str) or hasattr(padding, "name"):
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
        batch, group = self.batch - (self.batch > self.features), self.group_x
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
    strides = _numbers("conv_transpose", "strides", strides, rank, 1)
    dilation = _numbers("conv_transpose", "rhs_dilation", rhs_dilation, rank, 1)
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
    strides = _numbers("conv_general_dilated_patches", "window_strides", window_strides, rank, 1)
    spread = _numbers("conv_general_dilated_patches", "lhs_dilation", lhs_dilation, rank, 1)
    dilation = _numbers("conv_general_dilated_patches", "rhs_dilation", rhs_dilation, rank, 1)
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
