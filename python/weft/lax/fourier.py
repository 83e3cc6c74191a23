"""`fft`, and small functions that stand alone."""

from __future__ import annotations

import enum
import operator
from collections.abc import Callable, Sequence
from typing import Any

import weft.numpy as wnp
from weft import tree
from weft.lax.operands import array, error, sizes

_np: Any = wnp.fft


class FftType(enum.IntEnum):
    """The kinds of transforms."""

    FFT = 0
    IFFT = 1
    RFFT = 2
    IRFFT = 3


def fft(x: Any, fft_type: Any, fft_lengths: Sequence[int]) -> Any:
    """A Fourier transform over the last axes.

    Parameters
    ----------
    x
        An array: real for RFFT, else complex.
    fft_type
        An `FftType`, or its name.
    fft_lengths
        The lengths of the transforms, one for each of the last axes.

    Examples
    --------
    >>> import numpy as np, weft
    >>> weft.lax.fft(np.ones(4), "RFFT", (4,)).tolist()
    [(4+0j), 0j, 0j]
    """
    try:
        kind = FftType[fft_type.upper()] if isinstance(fft_type, str) else FftType(int(fft_type))
    except (KeyError, ValueError):
        raise error(ValueError, f"Unknown FFT type {fft_type!r}") from None
    x, lengths = array(x), tuple([operator.index(n) for n in fft_lengths])
    if kind is FftType.RFFT and x.dtype.kind == "c":
        raise error(ValueError, f"only real valued inputs supported for rfft, got {x.dtype}")
    axes = tuple(range(x.ndim - len(lengths), x.ndim))
    expected = [*lengths[:-1], lengths[-1] // 2 + 1] if kind is FftType.IRFFT and lengths else list(lengths)
    found = sizes(x)[x.ndim - len(lengths) :]
    if any([m != n for m, n in zip(found, expected, strict=True) if m != "?"]):
        raise error(
            ValueError,
            f"{kind.name} input's last {len(lengths)} axes must have sizes {tuple(expected)} for fft_lengths {lengths},"
            f" got {tuple(found)}",
        )
    if not lengths:
        return x
    transform = {FftType.FFT: _np.fftn, FftType.IFFT: _np.ifftn, FftType.RFFT: _np.rfftn,
                 FftType.IRFFT: _np.irfftn}[kind]  # fmt: skip
    return transform(x, s=lengths, axes=axes)


def optimization_barrier(operand: Any, /) -> Any:
    """A tree of arrays, as it is.

    Parameters
    ----------
    operand
        The tree.
    """
    return tree.map(array, operand)


def with_sharding_constraint(x: Any, shardings: Any) -> Any:
    """A tree of arrays, divided over devices in some way.

    Inside compiled code, which runs in one place, the values go on as they are: it is a hint there, as in JAX.

    Parameters
    ----------
    x
        The tree.
    shardings
        A sharding (or a `PartitionSpec`, for the mesh of the ``with mesh:`` around the call) for all, or a structure of
        them that is a prefix of the tree.

    Raises
    ------
    ValueError
        An array has fewer axes than are said to be divided; outside compiled code, an axis' size is not a multiple of
        the number of pieces.

    Examples
    --------
    >>> import numpy as np, weft
    >>> from weft.sharding import NamedSharding, PartitionSpec as P
    >>> rows = NamedSharding(weft.make_mesh((1,), ("i",)), P("i"))
    >>> weft.lax.with_sharding_constraint(np.arange(2.0), rows).sharding.spec
    PartitionSpec('i',)
    """
    from weft.api.placing import constrained

    return constrained(x, shardings)


def platform_dependent(
    *args: Any, default: Callable[..., Any] | None = None, **per_platform: Callable[..., Any]
) -> Any:
    """The value of the function for the platform at hand.

    Parameters
    ----------
    *args
        What the function is given.
    default
        The function for platforms that are not named.
    **per_platform
        Functions by platform: ``cpu``, ``cuda``.

    Examples
    --------
    >>> import weft
    >>> float(weft.lax.platform_dependent(2.0, cpu=lambda x: x + 1.0, default=lambda x: x))
    3.0
    """
    from weft.lax.reductions import call
    from weft.runtime.devices import default_backend

    found = per_platform.get({"gpu": "cuda"}.get(default_backend(), default_backend()), default)
    if found is None:
        raise error(NotImplementedError, f"platform_dependent: no function for {default_backend()!r}, and no default")
    return call(found, *args)


def rng_uniform(a: Any, b: Any, shape: Sequence[int]) -> Any:
    """Not available: numbers come from explicit keys."""
    raise NotImplementedError("rng_uniform has no key: use weft.random.uniform(key, shape, minval=a, maxval=b)")


def composite(decomposition: Callable[..., Any], name: str, version: int = 0) -> Callable[..., Any]:
    """A function as it is: weft has no named composite operations.

    Parameters
    ----------
    decomposition
        The function.
    name, version
        Accepted for compatibility.
    """
    return decomposition
