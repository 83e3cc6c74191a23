"""Where the arguments and results of `weft.jit` are put: ``in_shardings``, ``out_shardings``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import weft.numpy as wnp
from weft import tree_util
from weft.api.shapes import Lowered, ShapeDtypeStruct
from weft.api.transformed import CacheInfo, Inspection, Transformed
from weft.runtime import Array
from weft.runtime.devices import placed
from weft.runtime.sharding import NamedSharding, PartitionSpec, Sharding, alike, current_mesh
from weft.staged.active import staging


class _Free:
    """In place of None, which trees have no leaves for: wherever it is."""

    def __repr__(self) -> str:
        return "None"


FREE = _Free()


class Placing(Transformed):
    """A compiled function whose arguments and results are divided over devices as is said."""

    def __new__(cls, inner: Transformed, in_shardings: Any, out_shardings: Any) -> Placing:
        return Transformed.__new__(cls, inner, None, "jit")  # type: ignore[return-value]

    def __init__(self, inner: Transformed, in_shardings: Any, out_shardings: Any) -> None:
        title = f"jit(in_shardings={in_shardings!r}, out_shardings={out_shardings!r})"
        super().__init__(inner, self._nested, title)
        self.inner = inner
        in_shardings = tuple(in_shardings) if isinstance(in_shardings, list) else in_shardings
        self.into = checked(in_shardings, "jit in_shardings")
        self.out = checked(out_shardings, "jit out_shardings")
        _one_place(self.into, self.out)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if staging():
            return self.stage_call(args, kwargs)
        found = self.inner(*self._put(args, kwargs), **kwargs)
        return _each(self.out, found, "jit out_shardings", _moved)

    def _nested(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Inside compiled code nothing is moved."""
        from weft.frontend.calls import call

        found = call(self.inner, self._put(args, kwargs), kwargs)
        return _each(self.out, found, "jit out_shardings", _moved)

    def _put(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """The positional arguments where they are to be."""
        if self.into is FREE:
            return args
        if kwargs:
            raise ValueError("jit with in_shardings takes positional arguments: it would not know where to put others")
        fixed = {k % len(args) for k in self.inner.static[0] if -len(args) <= k < len(args)}
        rest = tuple([a for k, a in enumerate(args) if k not in fixed])
        if isinstance(self.into, tuple) and len(self.into) != len(rest):
            raise ValueError(
                "jit in_shardings must be one sharding, or a tuple with an entry (or a structure of entries) for each"
                f" positional argument that is not static: it has {len(self.into)}, for {len(rest)}"
            )
        moved = iter(_each(self.into, rest, "jit in_shardings", _put))
        return tuple([a if k in fixed else next(moved) for k, a in enumerate(args)])

    # -- looking ---------------------------------------------------------------------------------------------------

    def inspect(self, *args: Any, target: str = "cpp", **kwargs: Any) -> Inspection:
        return self.inner.inspect(*self._put(args, kwargs), target=target, **kwargs)

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        lowered: Lowered = self.inner.lower(*self._put(args, kwargs), **kwargs)
        lowered.compiled = self
        return lowered

    def eval_shape(self, *args: Any, **kwargs: Any) -> Any:
        return self.lower(*args, **kwargs).out_info

    @property
    def source(self) -> str:
        return self.inner.source

    def cache_info(self) -> CacheInfo:
        return self.inner.cache_info()

    def clear_cache(self) -> None:
        self.inner.clear_cache()


def constrained(x: Any, shardings: Any) -> Any:
    """What `weft.lax.with_sharding_constraint` does.

    Raises
    ------
    ValueError
        No sharding is said for an array; outside compiled code, an array cannot be divided so.
    """
    what = "with_sharding_constraint shardings"
    specs = checked(shardings, what)
    if any([s is FREE for s in tree_util.tree_leaves(specs, _is_setting)]):
        raise ValueError(f"{what}: None is no sharding")
    return _each(specs, x, what, _moved)


def checked(shardings: Any, what: str) -> Any:
    """A structure of shardings, with `FREE` for None.

    Raises
    ------
    TypeError
        Something else is in it.
    """

    def leaf(s: Any) -> Any:
        if s is not None and not isinstance(s, Sharding | PartitionSpec):
            raise TypeError(
                f"{what} is made of shardings (weft.sharding.NamedSharding, SingleDeviceSharding, ...), PartitionSpec"
                f" and None, not of {s!r}"
            )
        return FREE if s is None else s

    return tree_util.tree_map(leaf, shardings, is_leaf=_is_setting)


def _one_place(*settings: Any) -> None:
    """Refuse shardings over different devices: one program runs in one place."""
    found = [s for tree in settings for s in tree_util.tree_leaves(tree, _is_setting) if isinstance(s, Sharding)]
    other = [s for s in found if s.device_set != found[0].device_set]
    if other:
        ids = [sorted([d.id for d in s.device_set]) for s in (found[0], other[0])]
        raise ValueError(f"Received incompatible devices for jitted computation: shardings over {ids[0]} and {ids[1]}")


def _is_setting(x: Any) -> bool:
    return x is None or isinstance(x, Sharding | PartitionSpec | _Free)


def _each(settings: Any, x: Any, what: str, f: Callable[[Any, Sharding], Any]) -> Any:
    """``f`` of each leaf of a value and its sharding."""
    if settings is FREE:
        return x
    try:
        every = tree_util.tree_broadcast(settings, x, is_leaf=_is_setting)
    except ValueError as e:
        raise ValueError(f"{what} must be a tree prefix of the value: {e}") from None

    def put(v: Any, s: Any) -> Any:
        return v if s is FREE else f(v, _sharding(s, what))

    return tree_util.tree_map(put, x, every)


def _sharding(s: Any, what: str) -> Sharding:
    if isinstance(s, Sharding):
        return s
    mesh = current_mesh()
    if mesh is None:
        raise RuntimeError(f"{what} has a PartitionSpec, which needs a mesh: call it inside `with mesh:`")
    return NamedSharding(mesh, s)


def _put(x: Any, sharding: Sharding) -> Any:
    """An argument where it is to be."""
    if staging():
        return _moved(x, sharding)
    if isinstance(x, Array) and (x._sharding is not None or x.committed):
        if not alike(x.sharding, sharding, x.shape):
            raise ValueError(
                "jit in_shardings is not how an argument is divided that was put somewhere already: it is"
                f" {sharding}, and the argument of shape {x.shape} has {x.sharding}. Put it there by weft.device_put,"
                " or leave out its entry"
            )
        return x
    if isinstance(x, int | float | complex):  # stays a number, which takes the dtype of others
        sharding.check(())
        return x
    return _moved(x, sharding)


def _moved(x: Any, sharding: Sharding) -> Any:
    """A value where it is to be; inside compiled code, and for shapes, only whether it has the axes."""
    if isinstance(x, ShapeDtypeStruct):
        sharding.check(x.shape)
        return x
    if staging():
        x = wnp.asarray(x)
        if isinstance(sharding, NamedSharding):
            sharding.spec.names(x.ndim)
        return x
    return placed(x, sharding)
