"""`weft.shard_map`: a function of the pieces that the devices of a mesh have."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from weft.api.pmap import NO_STATIC, Rearranging, Static
from weft.api.spmd import Topology
from weft.api.transformed import Transformed
from weft.api.varying import Varying
from weft.api.vmap import Names, prefix_axes, structure, vmap
from weft.errors import StagingError
from weft.runtime import processes
from weft.runtime.sharding import Mesh, NamedSharding, PartitionSpec, current_mesh

if TYPE_CHECKING:
    from weft.runtime import Signature


def shard_map(
    f: Callable[..., Any] | None = None,
    *,
    out_specs: Any,
    in_specs: Any = None,
    mesh: Mesh | None = None,
    axis_names: set[str] | frozenset[str] = frozenset(),
    check_vma: bool = True,
) -> Any:
    """Map a function over the pieces of its arguments that the devices of a mesh have.

    Called outside compiled code, the devices run it at once, and communicate over the mesh's axes by `weft.lax.psum`
    and its like; `jit` of it is the same. Inside the function of a `jit`, `grad` or `vmap` it is part of the program
    around it.

    Parameters
    ----------
    f
        The function of the pieces. Absent, when used as a decorator with arguments.
    out_specs, in_specs
        `PartitionSpec`: which axes of the results and of the arguments are divided along which axes of the mesh; one
        for all, or a structure that is a prefix of theirs.
    mesh
        The devices; absent, that of the ``with mesh:`` around the call.
    axis_names
        Empty, or all of the mesh's axes.
    check_vma
        Whether results that ``out_specs`` says to be the same along a mesh axis must be so, as far as can be told; and
        whether derivatives inside the function are those of all devices together: cotangents of what devices share are
        added up, a loss that each device has is one of several, and one that `weft.lax.psum` gave is one for all. Else
        derivatives are those of each device's own values, and the user adds.

    Returns
    -------
    callable
        The function of whole arrays.

    Raises
    ------
    ValueError
        An axis is not divisible by the number of pieces; a result differs between devices where it should not.
    StagingError
        Reverse mode inside, of something that devices share or not depending on a branch or the length of a loop.

    Examples
    --------
    >>> import numpy as np, weft
    >>> from weft.sharding import PartitionSpec as P
    >>> mesh = weft.make_mesh((1,), ("i",))
    >>> total = weft.shard_map(lambda x: weft.lax.psum(x.sum(), "i"), mesh=mesh, in_specs=P("i"), out_specs=P())
    >>> float(total(np.arange(4.0)))
    6.0
    """
    if f is None:
        return functools.partial(
            shard_map, out_specs=out_specs, in_specs=in_specs, mesh=mesh, axis_names=axis_names, check_vma=check_vma
        )
    if not callable(f):
        raise TypeError(f"shard_map expects a callable, got {f!r}")
    if in_specs is None:
        raise TypeError("shard_map needs in_specs: how each argument is divided")
    mesh = mesh or current_mesh()
    if mesh is None:
        raise ValueError("shard_map needs a mesh: pass mesh=, or call it inside `with mesh:`")
    if axis_names and set(axis_names) != set(mesh.axis_names):
        raise NotImplementedError("shard_map over some axes of a mesh: give a mesh that has only these")
    for specs in (in_specs, out_specs):
        _check_specs(specs, mesh)
    return ShardMapped(f, mesh, in_specs, out_specs, check_vma)


def _check_specs(specs: Any, mesh: Mesh) -> None:
    for spec in _spec_leaves(specs):
        NamedSharding(mesh, spec)


def _spec_leaves(specs: Any) -> list[PartitionSpec]:
    if isinstance(specs, PartitionSpec):
        return [specs]
    if isinstance(specs, tuple | list | dict):
        return [s for x in (specs.values() if isinstance(specs, dict) else specs) for s in _spec_leaves(x)]
    raise TypeError(f"in_specs and out_specs are made of PartitionSpec, not {specs!r}")


def _map_specs(f: Callable[[PartitionSpec], Any], specs: Any) -> Any:
    if isinstance(specs, PartitionSpec):
        return f(specs)
    if isinstance(specs, dict):
        return {k: _map_specs(f, v) for k, v in specs.items()}
    items = [_map_specs(f, s) for s in specs]
    return type(specs)(*items) if hasattr(specs, "_fields") else type(specs)(items)


class ShardMapped(Rearranging):
    """A function under `shard_map`."""

    def __new__(cls, fun: Callable[..., Any], mesh: Mesh, in_specs: Any, out_specs: Any, check: bool) -> ShardMapped:
        return Rearranging.__new__(cls, fun, "shard_map", NO_STATIC)  # type: ignore[return-value]

    def __init__(self, fun: Callable[..., Any], mesh: Mesh, in_specs: Any, out_specs: Any, check: bool) -> None:
        self.mesh, self.in_specs, self.out_specs, self.checked = mesh, in_specs, out_specs, check
        super().__init__(
            fun, f"shard_map(mesh={mesh!r}, in_specs={in_specs!r}, out_specs={out_specs!r}, check_vma={check})",
            NO_STATIC,
        )  # fmt: skip
        self.single = Transformed(fun, self._stacked_lanes, self.title)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from weft.staged.active import staging

        if kwargs:
            raise TypeError("shard_map takes positional arguments")
        if staging():
            return self.stage_call(args, kwargs)
        if processes.joined() > 1:
            raise NotImplementedError("shard_map across processes: use pmap, whose axis goes through all of them")
        return _each(self.out_specs, super().__call__(*args), self._placed)

    def jitted(self, static: Static) -> Transformed | None:
        """Itself; static arguments make it a part of one program."""
        return None if any(static) else self

    def stacked(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        split = self._divided if self.mesh.platform == "cpu" else self._in_rows
        parts: tuple[Any, ...] = _each(self._per_argument(args), args, split)
        return parts

    def unstacked(self, found: Any, xp: Any) -> Any:
        from weft.runtime.pieces import is_in_pieces

        def whole(x: Any, spec: PartitionSpec) -> Any:
            return self._from_rows(x, spec) if is_in_pieces(x) else self._whole(x, spec, True, xp)

        return _each(self.out_specs, found, whole)

    def _stacked_lanes(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        from weft import numpy as wnp

        whole = _each(self._per_argument(args), args, lambda x, spec: self._whole(x, spec, True, wnp))
        found = self.stage_call(whole, kwargs)
        return _each(self.out_specs, found, self._divided)

    def lanes(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One `vmap` for each axis of the mesh."""
        from weft import numpy as wnp

        if kwargs:
            raise TypeError("shard_map takes positional arguments")
        g: Any = self.body
        for name, size in reversed(self.mesh.shape.items()):

            def place(spec: PartitionSpec, name: str = name) -> int | None:
                return 0 if name in _names(spec) else None

            g = vmap(
                g, in_axes=_map_specs(place, self._per_argument(args)), out_axes=_map_specs(place, self.out_specs),
                axis_name=name, axis_size=size,
            )  # fmt: skip
        parts = _each(self._per_argument(args), args, lambda x, spec: self._divided(x, spec, flat=False))
        return _each(self.out_specs, g.stage_call(parts, {}), lambda x, spec: self._whole(x, spec, False, wnp))

    def _per_argument(self, args: tuple[Any, ...]) -> Any:
        if isinstance(self.in_specs, PartitionSpec):
            return (self.in_specs,) * len(args)
        if len(self.in_specs) != len(args):
            raise ValueError(
                "shard_map in_specs must be one PartitionSpec, or a structure of them for each positional argument:"
                f" {len(self.in_specs)} for {len(args)}"
            )
        return tuple(self.in_specs)

    # -- whole arrays and pieces -----------------------------------------------------------------------------------

    def _plan(self, rank: int, spec: PartitionSpec) -> tuple[list[tuple[str, int]], list[tuple[str, ...]]]:
        """The axes of the mesh that divide an array, in the mesh's order, and the names for each of its axes."""
        names = spec.names(rank)
        used = {n for d in names for n in d}
        return [(n, k) for n, k in self.mesh.shape.items() if n in used], names

    def _divided(self, x: Any, spec: PartitionSpec, *, flat: bool = True) -> Any:
        """An array as its pieces: with an axis for each mesh axis that divides it in front, or one for all of them."""
        from weft import numpy as wnp

        x = wnp.asarray(x)
        axes, names = self._plan(x.ndim, spec)
        if not axes:
            return x
        shape: list[Any] = []
        where: dict[str, int] = {}
        rest: list[int] = []
        for axis, (size, divides) in enumerate(zip(x.shape, names, strict=True)):
            pieces = math.prod([self.mesh.shape[n] for n in divides])
            size = operator.index(size) if pieces > 1 else size  # a number, for the program
            self._check(x.shape, axis, size, divides, pieces)
            for n in divides:
                where[n] = len(shape)
                shape.append(self.mesh.shape[n])
            rest.append(len(shape))
            shape.append(size // pieces if pieces > 1 else size)
        x = wnp.transpose(wnp.reshape(x, tuple(shape)), (*[where[n] for n, _ in axes], *rest))
        if not flat:
            return x
        return wnp.reshape(x, (math.prod([k for _, k in axes]), *x.shape[len(axes) :]))

    def _check(self, shape: Any, axis: int, size: Any, divides: tuple[str, ...], pieces: int) -> None:
        """Raise unless an axis of an argument is divisible."""
        if pieces > 1 and size % pieces:
            raise ValueError(
                f"shard_map applied to {getattr(self, '__name__', 'a function')} was given an argument of shape"
                f" {tuple(shape)} whose axis {axis} is to be divided along mesh axes {divides}, of size {pieces}:"
                " it must be a multiple of that"
            )

    def _whole(self, x: Any, spec: PartitionSpec, flat: bool, xp: Any) -> Any:
        """What `_divided` divided; ``xp`` is the library of the arrays."""
        used = _names(spec)
        axes = [(n, k) for n, k in self.mesh.shape.items() if n in used]
        if not axes:
            return x
        if flat:
            x = xp.reshape(x, (*[k for _, k in axes], *x.shape[1:]))
        rank = x.ndim - len(axes)
        _, names = self._plan(rank, spec)
        front = [n for n, _ in axes]
        perm: list[int] = []
        shape: list[Any] = []
        for axis, divides in enumerate(names):
            perm += [front.index(n) for n in divides]
            perm.append(len(axes) + axis)
            shape.append(x.shape[len(axes) + axis] * math.prod([self.mesh.shape[n] for n in divides]))
        return xp.reshape(xp.transpose(x, tuple(perm)), tuple(shape))

    def _placed(self, x: Any, spec: PartitionSpec) -> Any:
        from weft.runtime.devices import placed

        return placed(x, NamedSharding(self.mesh, spec))

    # -- the same on GPUs: what lies where it is wanted stays there ----------------------------------------------------

    def _rows(self, spec: PartitionSpec) -> tuple[int, ...]:
        """For each device the number of its piece; ``()``: all have the whole."""
        names = self._divides(spec)
        return () if names is None else topology_of(self.mesh).rows(names)

    def _divides(self, spec: PartitionSpec) -> Any:
        """The axes that divide an array, in the mesh's order, or None."""
        used = _names(spec)
        return Names([n for n in self.mesh.shape if n in used]) if used else None

    def _in_rows(self, x: Any, spec: PartitionSpec) -> Any:
        """An argument as its stacked pieces."""
        from weft import numpy as wnp
        from weft.runtime.devices import placed
        from weft.runtime.pieces import shown

        sharding = NamedSharding(self.mesh, spec)
        x = x if isinstance(x, wnp.ndarray) else np.asarray(x)
        for axis, (size, divides) in enumerate(zip(x.shape, spec.names(x.ndim), strict=True)):
            self._check(x.shape, axis, size, divides, math.prod([self.mesh.shape[n] for n in divides]))
        x = placed(x, sharding)
        rows = self._rows(spec)
        shape = (max(rows) + 1, *sharding.shard_shape(x.shape)) if rows else x.shape
        return shown(x, shape, rows, sharding)

    def _from_rows(self, x: Any, spec: PartitionSpec) -> Any:
        """A result from its stacked pieces."""
        from weft.runtime.pieces import shown

        sharding, rows = NamedSharding(self.mesh, spec), self._rows(spec)
        piece = x.shape[1:] if rows else x.shape
        counts = [math.prod([self.mesh.shape[n] for n in names]) for names in spec.names(len(piece))]
        shape = tuple([n * k for n, k in zip(piece, counts, strict=True)])
        return shown(x, shape, None if rows else (), sharding)

    # -- the program of one device -------------------------------------------------------------------------------------

    @property
    def body(self) -> Any:
        return _Body(self.__wrapped__, self._varying if self.checked else None)

    def _varying(self, args: tuple[Any, ...]) -> Varying:
        """What varies over the mesh's axes, given the pieces."""
        found: list[tuple[Any, list[str]]] = []
        _each(self._per_argument(args), args, lambda x, spec: found.append((x, sorted(_names(spec)))))
        return Varying.of_pieces(self.mesh.axis_names, found)

    def layout(self, signature: Signature) -> tuple[Topology, list[Any]]:
        """The mesh, and the axes that divide each leaf."""
        topology = topology_of(self.mesh)
        args = structure(signature.args, signature.leaves)
        specs = self._per_argument(args.children)
        return topology, prefix_axes(_map_specs(self._divides, specs), args, "shard_map in_specs")

    def out_names(self, tree: Any) -> list[Any]:
        """The axes that divide each result."""
        return prefix_axes(_map_specs(self._divides, self.out_specs), tree, "shard_map out_specs")


def topology_of(mesh: Mesh) -> Topology:
    """A mesh as its devices' numbers."""
    return Topology(tuple(mesh.shape.items()), tuple([d.id for d in mesh.devices.flat]), platform=mesh.platform)


def _names(spec: PartitionSpec) -> set[str]:
    return {n for d in spec.names(len(spec)) for n in d}


def _each(specs: Any, x: Any, f: Callable[[Any, PartitionSpec], Any]) -> Any:
    """``f`` of each leaf of a value and its specification."""
    from weft import tree_util

    every = tree_util.tree_broadcast(specs, x, is_leaf=lambda s: isinstance(s, PartitionSpec))
    return tree_util.tree_map(f, x, every)


class _Body:
    """The user's function inside.

    Parameters
    ----------
    fun
        The function.
    varying
        What varies, given the arguments; None: derivatives are those of each device's own values.
    """

    def __init__(self, fun: Callable[..., Any], varying: Callable[[tuple[Any, ...]], Varying] | None) -> None:
        functools.update_wrapper(self, fun, updated=())
        self.__wrapped__, self.varying, self.title = fun, varying, "shard_map"

    def __call__(self, *args: Any) -> Any:
        return self.stage_call(args, {})

    def stage_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Stage the function."""
        from weft.api.staging import state
        from weft.frontend.calls import call

        s = state()
        if self.varying is None and s.varying is not None:
            raise StagingError(
                "shard_map with check_vma=False inside one with check_vma=True: derivatives cannot be both those of all"
                " devices together and of each",
                remedy="pass check_vma to both alike",
                loc=s.loc,
            )
        before, s.varying = s.varying, None if self.varying is None else self.varying(args)
        try:
            return call(self.__wrapped__, args, kwargs)
        finally:
            s.varying = before
