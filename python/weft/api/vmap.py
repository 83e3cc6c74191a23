"""`weft.vmap`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from weft.api.transformed import Transformed, settled


def vmap(
    fun: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    axis_name: Any = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
) -> Transformed:
    """A function mapped over an axis of its arguments.

    Parameters
    ----------
    fun
        The function of one lane.
    in_axes
        The axis of each positional argument to map over, None for those that every lane shares: an int, or a tuple
        with an entry (or a structure of entries) for each argument. Keyword arguments are mapped over axis 0.
    out_axes
        Where the mapped axis stands in each result; None for results that are the same in every lane.
    axis_name
        A name for the axis, over which lanes communicate by `weft.lax.psum` and its like.
    axis_size
        The number of lanes, needed only where nothing is mapped.
    spmd_axis_name
        Accepted as None only.

    Raises
    ------
    ValueError
        The mapped axes have different sizes, an axis is out of range, nothing is mapped, lanes would write one array.
    StagingError
        Lanes would communicate inside a loop or branch that each runs by itself.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.vmap(lambda x: x * x)(np.arange(3.0)).tolist()
    [0.0, 1.0, 4.0]
    """
    if spmd_axis_name is not None:
        raise NotImplementedError("vmap with spmd_axis_name: name the axis by axis_name")
    if not isinstance(axis_name, str | None):
        raise TypeError(f"vmap axis_name must be a string, got {axis_name!r}")
    in_axes, out_axes, axis_size = settled(in_axes), settled(out_axes), settled(axis_size)
    in_axes = checked_in_axes(in_axes, "vmap")

    def stage_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _vmap(fun, args, kwargs, in_axes, out_axes, axis_size, axis_name)

    named = f", axis_name={axis_name!r}" if axis_name is not None else ""
    title = f"vmap(in_axes={in_axes!r}, out_axes={out_axes!r}, axis_size={axis_size!r}{named})"
    return Transformed(fun, stage_call, title)


def checked_in_axes(in_axes: Any, what: str) -> Any:
    """``in_axes`` in a form that fits a tuple of arguments."""
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if not isinstance(in_axes, int | tuple | dict | type(None)):
        raise TypeError(
            f"{what} in_axes must be an int, None, or a tuple of entries corresponding to the positional arguments"
            f" passed to the function, but got {in_axes!r}."
        )
    return in_axes


def axes_of(in_axes: Any, signature: Any, what: str) -> list[int | None]:
    """The axis of each leaf of a call; keyword arguments are mapped over axis 0."""
    args = structure(signature.args, signature.leaves)
    check_count(in_axes, len(args.children), what)
    rest = structure(signature.kwargs, signature.leaves)
    return [*prefix_axes(in_axes, args, f"{what} in_axes"), *prefix_axes(0, rest, "")]


def check_count(in_axes: Any, count: int, what: str) -> None:
    """Refuse a tuple of axes that is not as long as the arguments."""
    if isinstance(in_axes, tuple) and len(in_axes) != count:
        raise ValueError(
            f"{what} in_axes must be an int, None, or a tuple of entries corresponding to the positional arguments"
            f" passed to the function, but got len(in_axes)={len(in_axes)}, len(args)={count}"
        )


def structure(tree: tuple[Any, ...], leaves: Any) -> Any:
    """A signature's structure in the form of the frontend's."""
    from weft.frontend.structure import Leaf, Tree
    from weft.ir.types import ArrayType

    match tree:
        case ("leaf", i):
            x = leaves[i]
            dtype = np.dtype({"I": "i8"}.get(x.dtype, x.dtype)) if x.flavour == "py" else np.dtype(x.dtype)
            return Tree("leaf", None, (Leaf(ArrayType(dtype, tuple(x.shape)), x.flavour),))
        case ("static", obj):
            return Tree("static", obj, ())
        case ("none",):
            return Tree("static", None, ())
        case ("tuple" | "list", items):
            return Tree(tuple if tree[0] == "tuple" else list, None, tuple([structure(t, leaves) for t in items]))
        case ("dict", keys, items):
            return Tree(dict, tuple(keys), tuple([structure(t, leaves) for t in items]))
        case ("namedtuple", cls, items):
            return Tree(cls, None, tuple([structure(t, leaves) for t in items]))
        case ("custom", cls, aux, items):
            return Tree(("custom", cls), aux, tuple([structure(t, leaves) for t in items]))
    raise TypeError(f"not a structure: {tree!r}")


class Names(tuple[Any, ...]):
    """Names of axes, as one leaf of a structure of them."""


def prefix_axes(axes: Any, tree: Any, what: str) -> list[Any]:
    """The axis (or names of axes) of each leaf, from a structure that is a prefix of the value's."""
    from weft.frontend.structure import describe, leaf_types

    if axes is None or isinstance(axes, int | Names):
        return [axes] * len(leaf_types(tree))
    children = list(axes.values()) if isinstance(axes, dict) else list(axes) if isinstance(axes, tuple | list) else None
    fits = children is not None and tree.kind not in ("leaf", "static") and len(children) == len(tree.children)
    if fits and isinstance(axes, dict):
        fits = tree.kind is dict and set(axes) == set(tree.fixed)
        children = [axes[k] for k in tree.fixed] if fits else children
    if not fits:
        raise ValueError(
            f"{what} specification must be a tree prefix of the corresponding value, got specification {axes!r}"
            f" for value {describe(tree)}."
        )
    assert children is not None
    return [a for c, t in zip(children, tree.children, strict=True) for a in prefix_axes(c, t, what)]


def _vmap(
    fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any], in_axes: Any, out_axes: Any, axis_size: Any,
    axis_name: str | None,
) -> Any:  # fmt: skip
    from weft.api import staging as st
    from weft.api.sites import name_of
    from weft.frontend.trees import flatten, leaf_types, unflatten
    from weft.ir.types import ArrayType
    from weft.staged.arith import prim
    from weft.transforms.batch import batch

    s = st.state()
    if s.varying is not None and axis_name in s.varying.axes:
        raise ValueError(f"vmap axis_name {axis_name!r} is an axis of the mesh of shard_map around it")
    leaves: list[Any] = []
    tree = flatten(tuple(args), s, leaves)
    kw_tree = flatten(dict(kwargs), s, leaves)
    check_count(in_axes, len(args), "vmap")
    axes = prefix_axes(in_axes, tree, "vmap in_axes") + [0] * len(leaf_types(kw_tree))
    mapped: list[tuple[int, int]] = []
    for i, (v, a) in enumerate(zip(leaves, axes, strict=True)):
        if a is None:
            continue
        if not -v.ndim <= a < v.ndim:
            raise ValueError(
                f"vmap was requested to map its argument along axis {a}, which implies that its rank should be at least"
                f" {a + 1 if a >= 0 else -a}, but is only {v.ndim} (its shape is {_shape(v)})"
            )
        mapped.append((i, a % v.ndim))
    size = _lanes(s, leaves, mapped, axis_size)
    types = []
    for i, a in mapped:
        v = leaves[i]
        lane = tuple(n for k, n in enumerate(v.sizes) if k != a)
        flavour = v.flavour if lane or v.flavour != "py" else "np"
        types.append((ArrayType(v.dtype, lane), flavour, name_of(v)))

    def make(staged: list[Any]) -> tuple[Any, dict[str, Any]]:
        new = [st.copied(v, s) for v in leaves]
        for v in (n.cell for n in new if getattr(n, "cell", None) is not None):
            v.readonly = "a write to an argument of vmap that is not mapped: every lane would write the same array"
        for (i, _), p in zip(mapped, staged, strict=True):
            new[i] = p
        rest = iter(new)
        return unflatten(tree, rest, s), unflatten(kw_tree, rest, s)

    with s.axis(axis_name, size):
        inner = st.stage_inner(fun, make, types, [leaves[i].atom for i, _ in mapped])
    f = st.tidy(inner.function)
    literal = s.resolve(size)
    g, flags = batch(f, [True] * len(f.params), size=literal, axis=axis_name)
    atoms = []
    for i, a in mapped:
        x = leaves[i].atom
        if a:
            x = prim("transpose")(x, perm=(a, *[k for k in range(x.type.rank) if k != a]))
        atoms.append(x)
    outs = st.inline(g, atoms)
    for i, result in inner.written:
        leaf, axis = mapped[i]
        _write_back(leaves[leaf], outs[result], flags[result], axis, literal)
    n = len(leaf_types(inner.tree))
    places = prefix_axes(out_axes, inner.tree, "vmap out_axes")
    results = [_placed(o, flag, place, literal) for o, flag, place in zip(outs[:n], flags[:n], places, strict=True)]
    flavours = [
        "np" if leaf.flavour == "py" and o.type.shape else leaf.flavour
        for leaf, o in zip(leaf_types(inner.tree), results, strict=True)
    ]
    return st.take(inner.tree, results, flavours)


def _shape(v: Any) -> str:
    from weft.staged.arith import shape_text

    return shape_text(v.sizes)


def _lanes(s: Any, leaves: list[Any], mapped: list[tuple[int, int]], axis_size: Any) -> Any:
    """The number of lanes, which all mapped axes must agree on."""
    sizes = [leaves[i].sizes[a] for i, a in mapped]
    if axis_size is not None:
        sizes.append(int(axis_size))
    if not sizes:
        raise ValueError("vmap must have at least one non-None value in in_axes")
    first = sizes[0]
    for m in sizes[1:]:
        m, first = s.resolve(m), s.resolve(first)
        if m == first:
            continue
        x, y = s.number(m), s.number(first)
        if x is None or x != y or not s.decide("==", first - m, "mapped axes have one size"):
            shown = ", ".join(str(s.number(n)) if s.number(n) is not None else repr(n) for n in sizes)
            raise ValueError(f"vmap got inconsistent sizes for array axes to be mapped: {shown}")
    return first


def _placed(o: Any, batched: bool, place: int | None, size: Any) -> Any:
    """A result with the mapped axis where ``out_axes`` wants it."""
    from weft.staged.arith import prim

    if place is None:
        if batched:
            raise ValueError("vmap has mapped output but out_axes is None")
        return o
    if not batched:
        shape = (size, *o.type.shape)
        o = prim("broadcast")(o, shape=shape, dims=tuple(range(1, len(shape))))
    rank = o.type.rank
    if not -rank <= place < rank:
        raise ValueError(f"vmap out_axes has {place}, but the mapped result has rank {rank}")
    place %= rank
    if place == 0:
        return o
    perm = [*range(1, place + 1), 0, *range(place + 1, rank)]
    return prim("transpose")(o, perm=tuple(perm))


def _write_back(target: Any, o: Any, batched: bool, axis: int, size: Any) -> None:
    """An argument that lanes wrote in place, each its own part."""
    if target.flavour == "np" and target.cell is not None:
        target.put(_placed(o, batched, axis, size))
