"""Checking derivatives against finite differences."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft import tree_util
from weft.api.directional import jvp, vjp

#: Default tolerances by dtype, absolute and relative.
TOLERANCE = {"float16": 1e-1, "float32": 2e-2, "float64": 1e-5, "complex64": 2e-2, "complex128": 1e-5}
EPS = 1e-4


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int,
    modes: Sequence[str] = ("fwd", "rev"),
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
) -> None:
    """Compare a function's derivatives with finite differences along random directions.

    Parameters
    ----------
    f
        The function.
    args
        Where (a tuple or list of its arguments): floats, arrays, or containers of them; integers stay as they are.
    order
        Up to which order of derivatives.
    modes
        ``"fwd"``, ``"rev"``, or both.
    atol, rtol
        Tolerances; by default 1e-5 in double precision, 2e-2 in single precision.
    eps
        The step, by default 1e-4.

    Raises
    ------
    AssertionError
        A derivative differs; the message says in which mode, and of which derivative of ``f``.

    Examples
    --------
    >>> import math, weft
    >>> weft.check_grads(math.sin, (0.5,), order=2)
    """
    wrong = sorted(set(modes) - {"fwd", "rev"})
    if wrong or isinstance(modes, str):
        raise ValueError(f"modes are 'fwd' and 'rev', got {modes!r}")
    if order < 1:
        raise ValueError(f"order is at least 1, got {order}")
    flat = _Floating(f, tuple(args))
    if not flat.given:
        raise TypeError("check_grads: no argument is a float, so there is nothing to differentiate")
    _check(flat, flat.given, order, tuple(modes), (atol, rtol, EPS if eps is None else eps), flat.__name__)


def _check(
    f: Any, args: tuple[Any, ...], order: int, modes: tuple[str, ...], settings: tuple[Any, Any, float], what: str
) -> None:
    if "fwd" in modes:
        check_jvp(f, functools.partial(jvp, f), args, *settings, err_msg=f"forward mode of {what}")
        if order > 1:
            ones = tuple([np.ones_like(a)[()] for a in args])
            _check(_Forward(f), (*args, *ones), order - 1, modes, settings, f"the jvp of {what}")
    if "rev" in modes:
        check_vjp(f, functools.partial(vjp, f), args, *settings, err_msg=f"reverse mode of {what}")
        if order > 1:
            _check(_Reverse(f), args, order - 1, modes, settings, f"the vjp of {what}")


def check_jvp(
    f: Callable[..., Any], f_jvp: Callable[..., Any], args: Sequence[Any], atol: float | None = None,
    rtol: float | None = None, eps: float = EPS, err_msg: str = "",
) -> None:  # fmt: skip
    """Compare a forward-mode derivative with a finite difference.

    Parameters
    ----------
    f
        A function of floating scalars and arrays.
    f_jvp
        ``f_jvp(primals, tangents) -> (output, output tangent)``.
    args
        Where.
    atol, rtol, eps
        As in `check_grads`.
    err_msg
        What messages begin with.

    Raises
    ------
    AssertionError
        They differ.
    """
    rng = np.random.default_rng(0)
    tangents = tuple([_random(rng, a) for a in args])
    value, tangent = f_jvp(tuple(map(_copy, args)), tangents)
    _close(value, f(*map(_copy, args)), atol, rtol, f"{err_msg}: the value")
    _close(tangent, _difference(f, args, tangents, eps), atol, rtol, f"{err_msg}: the tangent")


def check_vjp(
    f: Callable[..., Any], f_vjp: Callable[..., Any], args: Sequence[Any], atol: float | None = None,
    rtol: float | None = None, eps: float = EPS, err_msg: str = "",
) -> None:  # fmt: skip
    """Compare a reverse-mode derivative with a finite difference; see `check_jvp`.

    ``f_vjp(*args)`` returns the output and a function from its cotangent to a tuple of the arguments'.
    """
    rng = np.random.default_rng(0)
    value, pull = f_vjp(*map(_copy, args))
    _close(value, f(*map(_copy, args)), atol, rtol, f"{err_msg}: the value")
    tangents = tuple([_random(rng, a) for a in args])
    outs = _difference(f, args, tangents, eps)
    cts = tree_util.tree_map(lambda v: _random(rng, v), value)
    back = pull(tree_util.tree_map(np.conj, cts))
    got = sum([_product(t, np.conj(b)) for t, b in zip(tangents, back, strict=True)])
    want = sum([_product(o, c) for o, c in zip(tree_util.tree_leaves(outs), tree_util.tree_leaves(cts), strict=True)])
    dtype = np.result_type(*args)
    _close(np.asarray(got, dtype), np.asarray(want, dtype), atol, rtol, f"{err_msg}: the product of cotangents with it")


def _product(x: Any, y: Any) -> Any:
    return np.real(np.vdot(x, y))


def _difference(f: Any, args: Sequence[Any], tangents: Sequence[Any], eps: float) -> Any:
    up, down = (f(*[a + (sign * eps / 2) * t for a, t in zip(args, tangents, strict=True)]) for sign in (1, -1))
    return tree_util.tree_map(lambda u, d: (np.asarray(u) - np.asarray(d)) / eps, up, down)


def _random(rng: np.random.Generator, like: Any) -> Any:
    """A direction of the type of a value."""
    a = np.asarray(like)
    t = rng.standard_normal(a.shape)
    if a.dtype.kind == "c":
        t = t + 1j * rng.standard_normal(a.shape)
    return np.asarray(t).astype(a.dtype)[()]


def _copy(x: Any) -> Any:
    return x.copy() if isinstance(x, np.ndarray) else x


def _close(got: Any, want: Any, atol: float | None, rtol: float | None, what: str) -> None:
    """Compare two trees leaf by leaf."""
    for g, w in zip(tree_util.tree_leaves(got), tree_util.tree_leaves(want), strict=True):
        default = TOLERANCE[np.asarray(g).dtype.name]
        np.testing.assert_allclose(
            np.asarray(g), np.asarray(w), default if rtol is None else rtol, default if atol is None else atol,
            err_msg=what,
        )  # fmt: skip


def _inexact(x: Any) -> bool:
    return isinstance(x, float | complex) or getattr(getattr(x, "dtype", None), "kind", "") in ("f", "c")


class _Floating:
    """A function of its floating arguments alone, with its floating results alone."""

    def __init__(self, f: Any, args: tuple[Any, ...]) -> None:
        self.f = f
        self.leaves, self.structure = tree_util.tree_flatten(args)
        self.given = tuple([x for x in self.leaves if _inexact(x)])
        self.__name__ = str(getattr(f, "__name__", "f"))

    def __call__(self, *floats: Any) -> Any:
        rest = iter(floats)
        leaves = [next(rest) if _inexact(x) else x for x in self.leaves]
        out = _call(self.f, tree_util.tree_unflatten(self.structure, leaves))
        return tuple([x for x in tree_util.tree_leaves(out) if _inexact(x)])


def _call(f: Any, args: tuple[Any, ...]) -> Any:
    from weft.staged.active import staging

    if not staging():
        return f(*args)
    from weft.frontend.calls import call

    return call(f, tuple(args), {})


class _Forward:
    """A derivative in forward mode, as a function of the arguments and the direction."""

    def __init__(self, f: Any) -> None:
        self.f = f
        self.__name__ = f"jvp_{f.__name__}"

    def __call__(self, *both: Any) -> Any:
        n = len(both) // 2
        value, tangent = jvp(self.f, both[:n], both[n:])
        return (*value, *tangent)


class _Reverse:
    """The derivative in reverse mode along the value itself, as a function of the arguments."""

    def __init__(self, f: Any) -> None:
        self.f = f
        self.__name__ = f"vjp_{f.__name__}"

    def __call__(self, *args: Any) -> Any:
        out, pull = vjp(self.f, *args)
        return pull(out)
