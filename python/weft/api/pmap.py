"""`weft.pmap`: one program on many devices."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from weft.api.spmd import Topology
from weft.api.transformed import Transformed, settled
from weft.api.vmap import axes_of, check_count, checked_in_axes, prefix_axes, vmap
from weft.runtime import processes
from weft.runtime.devices import local_device_count
from weft.runtime.sharding import PmapSharding

if TYPE_CHECKING:
    from weft.frontend.stage import Program
    from weft.runtime import Signature
    from weft.runtime.devices import Device


def pmap(
    fun: Callable[..., Any],
    axis_name: str | None = None,
    *,
    in_axes: Any = 0,
    out_axes: Any = 0,
    static_broadcasted_argnums: int | Iterable[int] = (),
    devices: Sequence[Device] | None = None,
    backend: str | None = None,
    axis_size: int | None = None,
    donate_argnums: int | Iterable[int] = (),
    global_arg_shapes: Hashable = None,
) -> Any:
    """Run a function on many devices at once, each on its part of the arguments.

    The values are those of `vmap`. Called outside compiled code, one program runs on all devices, which communicate by
    `weft.lax.psum` and its like; `jit` of it is the same. Inside the function of a `jit`, `grad` or `vmap` the parts
    are lanes of the program around it.

    Parameters
    ----------
    fun
        The function of one part.
    axis_name
        A name for the mapped axis.
    in_axes
        The axis of each argument that is divided, one piece for each device; None: all devices get the whole. As for
        `vmap`.
    out_axes
        Where the pieces stand in the results; None for results that are the same on all devices.
    static_broadcasted_argnums
        Arguments that are known while staging.
    devices
        The devices, as many as there are pieces. Absent: the first ones of this process.
    backend
        Accepted as None or ``"cpu"``.
    axis_size
        The number of pieces, needed only where nothing is divided.
    donate_argnums
        Accepted for compatibility.
    global_arg_shapes
        Accepted as None only.

    Returns
    -------
    Transformed
        A callable. Its results are `weft.Array`, whose ``sharding`` says which device holds which piece.

    Raises
    ------
    ValueError
        More pieces than devices; the divided axes have different sizes; a result that differs between devices has
        ``out_axes=None``.

    Examples
    --------
    >>> import numpy as np, weft
    >>> n = weft.local_device_count()
    >>> weft.pmap(lambda x: x * x)(np.arange(2.0 * n).reshape(n, 2)).shape == (n, 2)
    True
    """
    if global_arg_shapes is not None:
        raise NotImplementedError("pmap with global_arg_shapes: arguments have the shapes they have")
    if backend not in (None, "cpu", "gpu", "cuda"):
        raise ValueError(f"pmap with backend={backend!r}: it is 'cpu' or 'gpu'")
    if not isinstance(axis_name, str | None):
        raise TypeError(f"pmap axis_name must be a string, got {axis_name!r}")
    in_axes, out_axes, axis_size = settled(in_axes), settled(out_axes), settled(axis_size)
    in_axes = checked_in_axes(in_axes, "pmap")
    static = static_broadcasted_argnums
    static = (static,) if isinstance(static, int) else tuple(static)
    made = Pmapped if _leading(in_axes) and _leading(out_axes) else MovedPmapped
    platform = "gpu" if backend == "cuda" else backend
    numbers = None
    if devices is not None:
        platform, numbers = _numbers(devices, platform)
    return made(fun, _Options(axis_name, in_axes, out_axes, axis_size, platform, numbers), (static, ()))


def _numbers(devices: Sequence[Any], backend: str | None) -> tuple[str | None, tuple[int, ...]]:
    """The platform of devices, and their numbers."""
    platforms = {d.platform for d in devices} | ({backend} if backend else set())
    if len(platforms) > 1:
        raise ValueError(f"pmap runs on devices of one platform, not of {sorted(platforms)}")
    return next(iter(platforms), None), tuple([int(d.id) for d in devices])


def _leading(axes: Any) -> bool:
    """Whether all axes are the first one, or None."""
    if isinstance(axes, tuple | list):
        return all(map(_leading, axes))
    if isinstance(axes, dict):
        return all(map(_leading, axes.values()))
    return axes is None or axes == 0


class _Options:
    def __init__(
        self, axis_name: str | None, in_axes: Any, out_axes: Any, axis_size: int | None, platform: str | None,
        devices: tuple[int, ...] | None,
    ) -> None:  # fmt: skip
        self.axis_name, self.in_axes, self.out_axes = axis_name, in_axes, out_axes
        self.axis_size, self.platform, self.devices = axis_size, platform, devices

    def __repr__(self) -> str:
        return (
            f"axis_name={self.axis_name!r}, in_axes={self.in_axes!r}, out_axes={self.out_axes!r},"
            f" axis_size={self.axis_size!r}, backend={self.platform!r}, devices={self.devices!r}"
        )


#: The static arguments of a function: positions, and names.
Static = tuple[tuple[int, ...], tuple[str, ...]]
NO_STATIC: Static = ((), ())


class Spreading(Transformed):
    """A function that runs on many devices."""

    def __new__(cls, fun: Any, title: str, static: Static) -> Spreading:
        made = Transformed.__new__(cls, fun, None, title, *static)
        assert isinstance(made, Spreading)
        made.spreads = True
        return made

    def __init__(self, fun: Any, title: str, static: Static) -> None:
        self.parts = self
        super().__init__(fun, self._nested, title, *static)

    single: Transformed

    def lanes(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Stage a call with the pieces as lanes."""
        raise NotImplementedError

    def jitted(self, static: Static) -> Transformed | None:
        """This function, which is compiled already, under `weft.jit` with these static arguments; None: a program
        around it is made."""
        raise NotImplementedError

    def stacked(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments of a call, the pieces along the leading axes."""
        return args

    def unstacked(self, found: Any, xp: Any) -> Any:
        """The results, given with the pieces along the leading axes; ``xp`` is the library of their arrays."""
        return found

    def _nested(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Inside compiled code: parts are lanes of that program."""
        if processes.joined() > 1:
            raise NotImplementedError(
                f"{self.title.split('(')[0]} inside compiled code, across processes: call it by itself, with jit, grad"
                " or vmap inside it"
            )
        return self.lanes(args, kwargs)

    def layout(self, signature: Signature) -> tuple[Topology, list[Any]]:
        """The devices, and for each leaf the axes along which it is divided (None: all devices get it)."""
        raise NotImplementedError

    def out_names(self, tree: Any) -> list[Any]:
        """The same of the results, given their structure."""
        raise NotImplementedError

    def stage_parts(self, signature: Signature, name: str) -> Program:
        """The program of one device's part."""
        from weft.api.spmd import stage

        topology, names = self.layout(signature)
        return stage(self.body, signature, name, topology, names, self.out_names, self.checked)

    checked = True

    @property
    def body(self) -> Any:
        """The function of one part."""
        return self.__wrapped__


class Rearranging(Spreading):
    """One whose pieces stand elsewhere than along the leading axes."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from weft import numpy as wnp
        from weft.staged.active import staging

        if staging():
            return self.stage_call(args, kwargs)
        return self.unstacked(super().__call__(*self.stacked(args), **kwargs), wnp)


class Pmapped(Spreading):
    """A function under `pmap`."""

    def __new__(cls, fun: Any, options: _Options, static: Static) -> Pmapped:
        return Spreading.__new__(cls, fun, "pmap", static)  # type: ignore[return-value]

    def __init__(self, fun: Any, options: _Options, static: Static) -> None:
        self.asked = self.options = options
        super().__init__(fun, f"pmap({options!r})", static)
        self.single = Transformed(fun, self._stacked_lanes, f"vmap({options!r})", *static)

    def lanes(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self._lanes(self.asked, args, kwargs)

    def _stacked_lanes(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self._lanes(self.options, args, kwargs)

    def _lanes(self, o: _Options, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        names = self.static[1]
        fixed = self._fixed(args)
        axes, fun = o.in_axes, self.__wrapped__
        if fixed or any([k in kwargs for k in names]):
            check_count(axes, len(args), "pmap")
            axes = tuple([a for k, a in enumerate(axes) if k not in fixed]) if isinstance(axes, tuple) else axes
            fun = _Fixed(fun, {k: args[k] for k in fixed}, {k: kwargs[k] for k in names if k in kwargs})
            args = tuple([a for k, a in enumerate(args) if k not in fixed])
            kwargs = {k: v for k, v in kwargs.items() if k not in names}
        mapped = vmap(fun, axes, o.out_axes, axis_name=o.axis_name, axis_size=o.axis_size)
        return mapped.stage_call(args, kwargs)

    def _fixed(self, args: tuple[Any, ...]) -> set[int]:
        """The positions of static arguments."""
        return {k % len(args) for k in self.static[0] if -len(args) <= k < len(args)}

    def jitted(self, static: Static) -> Transformed | None:
        """With further static arguments."""
        if not any(static):
            return self
        nums, names = self.static
        return type(self)(self.__wrapped__, self.asked, ((*nums, *static[0]), (*names, *static[1])))

    def layout(self, signature: Signature) -> tuple[Topology, list[Any]]:
        """One axis, of as many devices as there are pieces."""
        o = self.options
        axes = axes_of(o.in_axes, signature, "pmap")
        count = self._count(signature, axes)
        platform = o.platform or ("cpu" if signature.device is None else signature.device.platform)
        devices = _devices(o.devices, count, platform)
        topology = Topology(((o.axis_name, count),), devices, processes.joined(), platform)
        return topology, [None if a is None else (o.axis_name,) for a in axes]

    def out_names(self, tree: Any) -> list[Any]:
        """What ``out_axes`` says."""
        o = self.options
        return [None if a is None else (o.axis_name,) for a in prefix_axes(o.out_axes, tree, "pmap out_axes")]

    def _count(self, signature: Signature, axes: Sequence[Any]) -> int:
        sizes = []
        for leaf, a in zip(signature.leaves, axes, strict=True):
            if a is None:
                continue
            if not leaf.shape:
                raise ValueError(
                    f"pmap was requested to map its argument along axis {a}, which implies that its rank should be at"
                    f" least 1, but is only 0 ({leaf.path} is a scalar)"
                )
            sizes.append((leaf.shape[0], leaf.path))
        if self.options.axis_size is not None:
            sizes.append((self.options.axis_size, "axis_size"))
        if not sizes:
            raise ValueError("pmap must have at least one non-None value in in_axes")
        if len({n for n, _ in sizes}) > 1:
            shown = ", ".join([f"{path} has {n}" for n, path in sizes])
            raise ValueError(f"pmap got inconsistent sizes for array axes to be mapped: {shown}")
        return int(sizes[0][0])


class _Fixed:
    """A function some of whose arguments are given already."""

    title = "pmap"

    def __init__(self, fun: Any, args: dict[int, Any], kwargs: dict[str, Any]) -> None:
        functools.update_wrapper(self, fun, updated=())
        self.__wrapped__, self.args, self.kwargs = fun, args, kwargs

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.stage_call(args, kwargs)

    def stage_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Stage a call with the other arguments."""
        from weft.frontend.calls import call

        rest = iter(args)
        every = [self.args[k] if k in self.args else next(rest) for k in range(len(args) + len(self.args))]
        return call(self.__wrapped__, tuple(every), {**kwargs, **self.kwargs})


class MovedPmapped(Rearranging, Pmapped):
    """The same where other axes than the first ones are divided: arrays are rearranged before and after."""

    def __init__(self, fun: Any, options: _Options, static: Static) -> None:
        o = options
        super().__init__(
            fun,
            _Options(o.axis_name, _zeroed(o.in_axes), _zeroed(o.out_axes), o.axis_size, o.platform, o.devices),
            static,
        )
        self.asked = options
        self.title = f"pmap({o!r})"

    def stacked(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        from weft import numpy as wnp

        axes, fixed = self.asked.in_axes, self._fixed(args)
        check_count(axes, len(args), "pmap")
        each = axes if isinstance(axes, tuple) else (axes,) * len(args)
        return tuple([x if k in fixed else _moved(each[k], x, False, wnp) for k, x in enumerate(args)])

    def unstacked(self, found: Any, xp: Any) -> Any:
        return _moved(self.asked.out_axes, found, True, xp)


def _zeroed(axes: Any) -> Any:
    if isinstance(axes, tuple | list):
        return type(axes)(map(_zeroed, axes))
    if isinstance(axes, dict):
        return {k: _zeroed(v) for k, v in axes.items()}
    return None if axes is None else 0


def _moved(axes: Any, x: Any, back: bool, xp: Any) -> Any:
    """The arrays of a tree with their axis in front, or from there where it belongs."""
    from weft import tree_util
    from weft.runtime.pieces import is_in_pieces, shown

    if isinstance(axes, tuple | list | dict):
        if isinstance(axes, dict):
            return {k: _moved(axes[k], v, back, xp) for k, v in x.items()}
        items = [_moved(a, v, back, xp) for a, v in zip(axes, x, strict=True)]
        return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)
    if axes is None or axes == 0:
        return x
    places = (0, axes) if back else (axes, 0)

    def move(v: Any) -> Any:
        if back and is_in_pieces(v):
            shape = (*v.shape[1:][: axes % v.ndim], v.shape[0], *v.shape[1:][axes % v.ndim :])
            return shown(v, shape, None, PmapSharding(v.sharding.devices, axes % v.ndim))
        made = xp.moveaxis(v, *places)
        before = getattr(v, "_sharding", None)
        if back and before is not None:
            made._sharding = PmapSharding(before.devices, axes % v.ndim)
        return made

    return tree_util.tree_map(move, x)


def _devices(numbers: tuple[int, ...] | None, count: int, platform: str) -> tuple[int, ...]:
    """The devices of a call with so many pieces."""
    if processes.count() > 1:
        every = tuple(range(local_device_count(platform)))
        if count != len(every) or numbers not in (None, every):
            raise ValueError(
                f"pmap across {processes.count()} processes runs on all devices: this one has {len(every)}, and passes"
                f" {count} pieces"
            )
        return every
    if numbers is not None:
        if len(numbers) != count:
            raise ValueError(f"pmap is given {len(numbers)} devices, and arguments in {count} pieces")
        return numbers
    have = local_device_count(platform)
    if count > have:
        more = f" Set WEFT_CPU_DEVICES={count} for as many virtual CPU devices." if platform == "cpu" else ""
        raise ValueError(
            f"compiling computation that requires {count} logical devices, but only {have} are available"
            f" (num_replicas={count}).{more}"
        )
    return tuple(range(count))
