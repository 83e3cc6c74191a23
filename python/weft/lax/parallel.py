"""Communication over a named axis: of `vmap` (``axis_name=``), inside the function that is mapped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft import tree_util
from weft.numpy.common import (
    Staged,
    array,
    astype,
    axis_of,
    current,
    emit,
    number,
    op_error,
    product,
    reshape,
    static_int,
)
from weft.numpy.elementwise import where
from weft.staged.active import staging
from weft.staged.value import size_object

AxisName = str | tuple[str, ...]
Groups = tuple[tuple[int, ...], ...] | None


def _sizes(axis_name: Any, what: str) -> dict[str, Any]:
    """The named axes and their sizes, outermost first."""
    names = axis_name if isinstance(axis_name, tuple | list) else (axis_name,)
    if not staging():
        raise NameError(f"unbound axis name: {names[0]}. {what} is for functions that vmap maps over a named axis")
    axes = current().axes
    for name in names:
        if not isinstance(name, str):
            raise op_error(TypeError, f"{what}: an axis name is a string, not {name!r}")
        if name not in axes:
            bound = f"the axes here are {', '.join(map(repr, axes))}" if axes else "no mapped axis has a name here"
            raise op_error(NameError, f"unbound axis name: {name}. {what} is called where {bound}")
    if len(set(names)) != len(names):
        raise op_error(ValueError, f"{what}: an axis is named twice in {names!r}")
    return {name: axes[name] for name in names}


def _one(axes: dict[str, Any], what: str) -> tuple[str, Any]:
    if len(axes) != 1:
        raise op_error(NotImplementedError, f"{what} is over one axis, not {tuple(axes)!r}")
    return next(iter(axes.items()))


def _number(size: Any, why: str) -> int:
    return current().fix(size, why)


def _groups(groups: Any, axes: dict[str, Any], what: str) -> Groups:
    """Groups of lanes, checked: each lane in one, all of one size."""
    if groups is None:
        return None
    _, size = _one(axes, f"{what} with axis_index_groups")
    found = tuple([tuple([static_int(k, "axis_index_groups") for k in g]) for g in groups])
    n = _number(size, f"{what} in groups of lanes")
    if sorted([k for g in found for k in g]) != list(range(n)):
        raise op_error(ValueError, f"axis_index_groups must cover all indices exactly once: {found} for {n} of them")
    if len({len(g) for g in found}) != 1:
        raise op_error(ValueError, f"axis_index_groups must all have the same size: {found}")
    return found


def _shared() -> frozenset[str]:
    """The axes inside `shard_map` over which derivatives add up what devices share."""
    varying = current().varying
    return frozenset() if varying is None else varying.axes


def _mapped(f: Callable[[Staged], Any], x: Any) -> Any:
    return tree_util.tree_map(lambda leaf: f(array(leaf)), x)


def _moved(x: Staged, source: int, to: int) -> Staged:
    perm = [k for k in range(x.ndim) if k != source]
    perm.insert(to, source)
    return x if perm == sorted(perm) else emit("transpose", x, perm=tuple(perm))


def _merged(x: Staged, axis: int) -> Staged:
    """Axis ``axis`` and the next as one."""
    s = x.sizes
    return reshape(x, (*s[:axis], product(s[axis : axis + 2]), *s[axis + 2 :]))


def _divided(x: Staged, axis: int, n: int, what: str) -> Staged:
    """An axis as ``n`` parts of equal length; the parts stand in front."""
    d = _number(x.sizes[axis], what)
    if d % n:
        raise op_error(ValueError, f"{what}: the size of axis {axis}, {d}, is not a multiple of {n}")
    s = x.sizes
    return _moved(reshape(x, (*s[:axis], n, d // n, *s[axis + 1 :])), axis, 0)


# -- reductions --------------------------------------------------------------------------------------------------------


def psum(x: Any, axis_name: AxisName, *, axis_index_groups: Sequence[Sequence[int]] | None = None) -> Any:
    """The sum over a named axis, the same for all of it.

    Parameters
    ----------
    x
        A tree of arrays. A Python number gives its product with the axis' size, also a Python number: ``psum(1, name)``
        is the size.
    axis_name
        The name, or a tuple of names, of axes mapped around the call.
    axis_index_groups
        Lists of positions on the axis; the sum is over each list. They cover the axis, and are equally long.

    Raises
    ------
    NameError
        No axis of this name is mapped around the call.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.vmap(lambda x: x / weft.lax.psum(x, "i"), axis_name="i")(np.array([1.0, 3.0])).tolist()
    [0.25, 0.75]
    """
    axes = _sizes(axis_name, "psum")
    groups = _groups(axis_index_groups, axes, "psum")

    def leaf(v: Any) -> Any:
        if not groups and isinstance(v, int | float | complex) and not isinstance(v, bool | np.generic):
            for size in axes.values():
                v = size_object(size) * v
            return v
        v = array(v)
        v = astype(v, np.int64) if v.dtype.kind == "b" else v
        for name in axes:
            shared = not groups and name in _shared()
            v = emit("psum_invariant" if shared else "psum", v, axis=name, groups=groups)
        return v

    return tree_util.tree_map(leaf, x)


def pmean(x: Any, axis_name: AxisName, *, axis_index_groups: Sequence[Sequence[int]] | None = None) -> Any:
    """The mean over a named axis; arguments as for `psum`.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.vmap(lambda x: x - weft.lax.pmean(x, "i"), axis_name="i")(np.array([1.0, 3.0])).tolist()
    [-1.0, 1.0]
    """
    total = psum(x, axis_name, axis_index_groups=axis_index_groups)
    count = len(axis_index_groups[0]) if axis_index_groups else axis_size(axis_name)
    return tree_util.tree_map(lambda v: v / count, total)


def _extreme(name: str, x: Any, axis_name: AxisName, axis_index_groups: Any) -> Any:
    axes = _sizes(axis_name, name)
    groups = _groups(axis_index_groups, axes, name)

    def leaf(v: Staged) -> Staged:
        for axis in axes:
            v = emit(name, v, axis=axis, groups=groups)
        return v

    return _mapped(leaf, x)


def pmax(x: Any, axis_name: AxisName, *, axis_index_groups: Sequence[Sequence[int]] | None = None) -> Any:
    """The largest value over a named axis; arguments as for `psum`."""
    return _extreme("pmax", x, axis_name, axis_index_groups)


def pmin(x: Any, axis_name: AxisName, *, axis_index_groups: Sequence[Sequence[int]] | None = None) -> Any:
    """The smallest value over a named axis; arguments as for `psum`."""
    return _extreme("pmin", x, axis_name, axis_index_groups)


def _best(x: Any, axis_name: str, reduce: Any, what: str) -> Any:
    _one(_sizes(axis_name, what), what)

    def leaf(v: Staged) -> Any:
        return pmin(where(v == reduce(v, axis_name), axis_index(axis_name), axis_size(axis_name)), axis_name)

    return _mapped(leaf, x)


def pargmax(x: Any, axis_name: str) -> Any:
    """The first position on a named axis where ``x`` is largest."""
    return _best(x, axis_name, pmax, "pargmax")


def pargmin(x: Any, axis_name: str) -> Any:
    """The first position on a named axis where ``x`` is smallest."""
    return _best(x, axis_name, pmin, "pargmin")


# -- exchanges ---------------------------------------------------------------------------------------------------------


def all_gather(
    x: Any, axis_name: AxisName, *, axis_index_groups: Sequence[Sequence[int]] | None = None, axis: int = 0,
    tiled: bool = False,
) -> Any:  # fmt: skip
    """The values of the whole axis, on all of it.

    Parameters
    ----------
    x
        A tree of arrays.
    axis_name, axis_index_groups
        As for `psum`.
    axis
        Where the results have the new axis.
    tiled
        The values are joined along this axis, instead of stacked along a new one.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.vmap(lambda x: weft.lax.all_gather(x, "i"), axis_name="i")(np.array([1.0, 3.0])).tolist()
    [[1.0, 3.0], [1.0, 3.0]]
    """
    axes = _sizes(axis_name, "all_gather")
    groups = _groups(axis_index_groups, axes, "all_gather")

    def leaf(v: Staged) -> Staged:
        at = axis_of(axis, v.ndim + (not tiled))
        for k, (name, size) in enumerate(reversed(axes.items())):
            v = emit("all_gather", v, axis=name, size=size, groups=groups)
            v = _merged(v, 0) if k else v
        v = _moved(v, 0, at)
        return _merged(v, at) if tiled else v

    return _mapped(leaf, x)


def psum_scatter(
    x: Any, axis_name: AxisName, *, scatter_dimension: int = 0,
    axis_index_groups: Sequence[Sequence[int]] | None = None, tiled: bool = False,
) -> Any:  # fmt: skip
    """The sum over a named axis, each position getting its part of it.

    Parameters
    ----------
    x
        A tree of arrays.
    axis_name, axis_index_groups
        As for `psum`; one axis.
    scatter_dimension
        The axis of ``x`` that is divided; its size is that of the named axis (of a group).
    tiled
        Its size is a multiple of that, and the axis is kept.
    """
    axes = _sizes(axis_name, "psum_scatter")
    groups = _groups(axis_index_groups, axes, "psum_scatter")
    name, size = _one(axes, "psum_scatter")
    n = len(groups[0]) if groups else _number(size, "psum_scatter over an axis")

    def leaf(v: Staged) -> Staged:
        at = axis_of(scatter_dimension, v.ndim)
        if not tiled and _number(v.sizes[at], "psum_scatter") != n:
            raise op_error(
                ValueError,
                f"psum_scatter: axis {at} of the operand has size {_number(v.sizes[at], 'psum_scatter')}, the named"
                f" axis {n}; they must agree, or be given tiled=True",
            )
        v = _divided(v, at, n, "psum_scatter") if tiled else _moved(v, at, 0)
        return emit("psum_scatter", v, axis=name, size=n, groups=groups)

    return _mapped(leaf, x)


def all_to_all(
    x: Any, axis_name: AxisName, split_axis: int, concat_axis: int, *,
    axis_index_groups: Sequence[Sequence[int]] | None = None, tiled: bool = False,
) -> Any:  # fmt: skip
    """Each position sends a part of its value to each other.

    Parameters
    ----------
    x
        A tree of arrays.
    axis_name, axis_index_groups
        As for `psum`; one axis.
    split_axis
        The axis of ``x`` that is divided among the positions; its size is that of the named axis (of a group).
    concat_axis
        Where the results have the axis of the senders.
    tiled
        The split axis' size is a multiple of that and the axis is kept; parts are joined along the concat axis.
    """
    axes = _sizes(axis_name, "all_to_all")
    groups = _groups(axis_index_groups, axes, "all_to_all")
    name, size = _one(axes, "all_to_all")
    n = len(groups[0]) if groups else _number(size, "all_to_all over an axis")

    def leaf(v: Staged) -> Staged:
        split, join = axis_of(split_axis, v.ndim), axis_of(concat_axis, v.ndim)
        if not tiled and _number(v.sizes[split], "all_to_all") != n:
            raise op_error(
                ValueError,
                "all_to_all requires the size of the mapped axis axis_name to equal x.shape[split_axis], but they are"
                f" {n} and {_number(v.sizes[split], 'all_to_all')} respectively.",
            )
        v = _divided(v, split, n, "all_to_all") if tiled else _moved(v, split, 0)
        v = emit("all_to_all", v, axis=name, groups=groups)
        v = _moved(v, 0, join)
        return _merged(v, join) if tiled else v

    return _mapped(leaf, x)


def ppermute(x: Any, axis_name: str, perm: Sequence[tuple[int, int]]) -> Any:
    """Send values from positions to others; who receives none has zeros.

    Parameters
    ----------
    x
        A tree of arrays.
    axis_name
        The axis.
    perm
        Pairs ``(source, destination)``, each position at most once on either side.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.vmap(lambda x: weft.lax.ppermute(x, "i", [(0, 1), (1, 2)]), axis_name="i")(np.arange(1.0, 4.0)).tolist()
    [0.0, 1.0, 2.0]
    """
    name, size = _one(_sizes(axis_name, "ppermute"), "ppermute")
    n = _number(size, "ppermute over an axis")
    pairs = tuple([(static_int(a, "perm"), static_int(b, "perm")) for a, b in perm])
    for side, what in zip(zip(*pairs, strict=True), ("sources", "destinations"), strict=False):
        if len(set(side)) != len(side) or not all(0 <= k < n for k in side):
            raise op_error(ValueError, f"ppermute {what} must be unique and between 0 and {n - 1}, got {pairs}")
    return _mapped(lambda v: emit("ppermute", v, axis=name, perm=pairs), x)


def pshuffle(x: Any, axis_name: str, perm: Sequence[int]) -> Any:
    """`ppermute` where position ``i`` receives from ``perm[i]``, a permutation."""
    _, size = _one(_sizes(axis_name, "pshuffle"), "pshuffle")
    if sorted(perm) != list(range(_number(size, "pshuffle over an axis"))):
        raise op_error(ValueError, f"`perm` does not represent a permutation: {perm}")
    return ppermute(x, axis_name, [(a, b) for b, a in enumerate(perm)])


def pbroadcast(x: Any, axis_name: str, source: int) -> Any:
    """The value at one position, on all of the axis."""
    _one(_sizes(axis_name, "pbroadcast"), "pbroadcast")
    found = _mapped(lambda v: psum(where(axis_index(axis_name) == source, v, number(0, v)), axis_name), x)
    return pcast(found, axis_name, to="varying") if axis_name in _shared() else found


def pcast(x: Any, axis_name: AxisName, *, to: str) -> Any:
    """The same value, as one that each device has for itself.

    Inside `shard_map`, derivatives add up over a mesh axis the cotangents of what does not vary over it. That happens
    here; where a value that does not vary meets one that does, it happens by itself.

    Parameters
    ----------
    x
        A tree of arrays.
    axis_name
        The axes over which the results vary.
    to
        ``"varying"``.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.vmap(lambda x: weft.lax.pcast(x, "i", to="varying"), axis_name="i")(np.arange(2.0)).tolist()
    [0.0, 1.0]
    """
    axes = _sizes(axis_name, "pcast")
    if to != "varying":
        raise op_error(NotImplementedError, f"pcast with to={to!r}: a value is made to vary, by to='varying'")

    def leaf(v: Staged) -> Staged:
        for name in axes:
            v = emit("pvary", v, axis=name, sure=True) if name in _shared() else v
        return v

    return _mapped(leaf, x)


# -- the axis itself ---------------------------------------------------------------------------------------------------


def axis_index(axis_name: AxisName) -> Any:
    """The position on a named axis, an int64; over several, counted through them with the last one fastest.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.vmap(lambda x: x * weft.lax.axis_index("i"), axis_name="i")(np.ones(3)).tolist()
    [0.0, 1.0, 2.0]
    """
    total: Any = None
    for name, size in _sizes(axis_name, "axis_index").items():
        here = emit("axis_index", axis=name)
        total = here if total is None else total * size_object(size) + here
    return total


def axis_size(axis_name: AxisName) -> Any:
    """The size of a named axis, or the product of several, as an int."""
    total: Any = 1
    for size in _sizes(axis_name, "axis_size").values():
        total = total * size_object(size)
    return total
