"""`weft.jit`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from weft.api.transformed import Transformed, parameters
from weft.runtime import eager


def jit(
    fun: Callable[..., Any] | None = None,
    *,
    in_shardings: Any = None,
    out_shardings: Any = None,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Iterable[str] | None = None,
    donate_argnums: int | Sequence[int] | None = None,
    donate_argnames: str | Iterable[str] | None = None,
    inline: bool = False,
) -> Any:
    """Compile a function.

    Parameters
    ----------
    fun
        A Python function with source. Absent, when `jit` is used as a decorator with arguments. One made by `weft.pmap`
        or `weft.shard_map` goes on to run on its devices.
    in_shardings, out_shardings
        How the positional arguments and the results are divided over devices: a sharding (or a `PartitionSpec`, for the
        mesh of the ``with mesh:`` around the call) for all, or a structure of them that is a prefix of the tuple of
        arguments that are not static, or of the result. None: as they come. Arguments that are not divided yet are put
        so; to compute on the pieces, use `weft.shard_map`.
    static_argnums, static_argnames
        Arguments that are known while staging: a new program is compiled for each value (which must be hashable).
    donate_argnums, donate_argnames
        Arguments whose memory the caller gives up. NumPy arguments are written in place as the function says;
        immutable arrays are reused only where nothing else holds them, so this is a hint.
    inline
        Accepted for compatibility: staged functions are always inlined.

    Returns
    -------
    Transformed
        A callable with ``inspect``, ``cache_info``, ``clear_cache`` and ``source``.

    Raises
    ------
    StagingError
        At the first call: something in the function is not compiled.
    ValueError
        An argument that was put on devices before is not divided as ``in_shardings`` says; an array cannot be.

    Examples
    --------
    >>> import numpy as np, weft
    >>> @weft.jit
    ... def total(x):
    ...     s = 0.0
    ...     for v in x:
    ...         s += v * v
    ...     return s
    >>> float(total(np.arange(4.0)))
    14.0
    """
    if fun is None:
        return functools.partial(
            jit, in_shardings=in_shardings, out_shardings=out_shardings, static_argnums=static_argnums,
            static_argnames=static_argnames, donate_argnums=donate_argnums, donate_argnames=donate_argnames,
            inline=inline,
        )  # fmt: skip
    if not callable(fun):
        raise TypeError(f"Expected a callable value, got {fun!r}")
    nums = _tuple(static_argnums)
    names = _tuple(static_argnames)
    nums, names = _both(fun, nums, names)
    made = _spread(fun, nums, names) or _compiled(fun, nums, names)
    if in_shardings is None and out_shardings is None:
        return made
    from weft.api.placing import Placing

    return Placing(made, in_shardings, out_shardings)


def _spread(fun: Any, nums: tuple[int, ...], names: tuple[str, ...]) -> Transformed | None:
    """A function that runs on many devices is compiled already."""
    made: Transformed | None = fun.jitted((nums, names)) if hasattr(type(fun), "jitted") else None
    return made


def _compiled(fun: Callable[..., Any], nums: tuple[int, ...], names: tuple[str, ...]) -> Transformed:
    def stage_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        from weft.frontend.calls import call

        return call(fun, args, kwargs)

    return Transformed(fun, stage_call, "jit", nums, names)


def _load_eager() -> Callable[..., Any]:
    from weft.api.eager import apply

    return apply


eager.enter(_load_eager)


def _tuple(x: Any) -> tuple[Any, ...]:
    return () if x is None else (x,) if isinstance(x, int | str) else tuple(x)


def _both(fun: Any, nums: tuple[int, ...], names: tuple[str, ...]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """A static argument is static however it is passed."""
    sig = parameters(fun)
    if sig is None:
        return nums, names
    params = list(sig.parameters)
    for n in names:
        if n not in params and not any(p.kind is p.VAR_KEYWORD for p in sig.parameters.values()):
            raise ValueError(f"static_argnames names {n!r}, which is not a parameter of the function ({params})")
    for i in nums:
        if not -len(params) <= i < len(params) and not any(p.kind is p.VAR_POSITIONAL for p in sig.parameters.values()):
            raise ValueError(f"static_argnums has {i}, but the function takes {len(params)} positional argument(s)")
    more = tuple(params[n] for n in nums if -len(params) <= n < len(params) and params[n] not in names)
    where = tuple(params.index(n) for n in names if n in params and params.index(n) not in nums)
    return (*nums, *where), (*names, *more)
