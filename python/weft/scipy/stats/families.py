"""How distributions are declared: the functions of a standard variable give those with location and scale."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import weft.numpy as wnp
from weft.scipy.arguments import inexact, quiet

PACKAGE = "weft.scipy.stats"
Standard = Callable[..., Any]

_TITLES = {
    "pdf": "The density", "logpdf": "The logarithm of the density", "pmf": "The probability",
    "logpmf": "The logarithm of the probability", "cdf": "The distribution function",
    "logcdf": "The logarithm of the distribution function", "sf": "One less the distribution function",
    "logsf": "The logarithm of one less the distribution function", "ppf": "The inverse of the distribution function",
    "isf": "The inverse of one less the distribution function", "entropy": "The entropy",
}  # fmt: skip


class Family(types.ModuleType):
    """The functions of one distribution: a module, so that it can be imported as in JAX."""

    def __init__(self, name: str, doc: str) -> None:
        super().__init__(f"{PACKAGE}.{name}", doc)
        sys.modules[self.__name__] = self
        self.title = name

    def add(self, name: str, first: str, shapes: Sequence[str], more: dict[str, Any], run: Standard) -> None:
        """Enter ``run(first, *shapes, *more)`` as a function of arrays that go together."""
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        params = [inspect.Parameter(p, kind) for p in (*([first] if first else []), *shapes)]
        params += [inspect.Parameter(p, kind, default=d) for p, d in more.items()]
        signature = inspect.Signature(params)
        title = f"{self.title}.{name}"

        def function(*args: Any, **kwargs: Any) -> Any:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as e:
                raise TypeError(f"{title}(): {e}") from None
            bound.apply_defaults()
            return run(*inexact(*bound.args))

        function.__name__, function.__qualname__, function.__module__ = name, title, PACKAGE
        function.__doc__ = f"{_TITLES[name]} of {self.__doc__}"
        function.__dict__["__signature__"] = signature
        setattr(self, name, quiet(function))


def _within(lower: Any, upper: Any, y: Any, shapes: Sequence[Any]) -> tuple[Any, Any, Any]:
    """Where y lies below and above the support, and y moved inside from there."""
    if callable(lower) or callable(upper):
        low = lower(*shapes) if callable(lower) else wnp.asarray(lower)
        high = upper(*shapes) if callable(upper) else wnp.asarray(upper)
        inner = wnp.where(wnp.isfinite(low), low, wnp.where(wnp.isfinite(high), high, 0))
    else:
        low, high = lower, upper
        inner = 0 if low == -np.inf else low + 1 if high == np.inf else (low + high) / 2
    below, above = y < low, y > high
    if not callable(lower) and not callable(upper) and (low, high) == (-np.inf, np.inf):
        return below, above, y
    return below, above, wnp.where(below | above, inner, y)


def continuous(
    name: str, doc: str, shapes: Sequence[str] = (), *, lower: Any = -np.inf, upper: Any = np.inf,
    valid: Callable[..., Any] | None = None, **functions: Standard,
) -> Family:  # fmt: skip
    """Declare a distribution of real numbers.

    Parameters
    ----------
    name, doc
        What it is called, and what follows "The density of".
    shapes
        Its parameters besides location and scale.
    lower, upper
        The ends of its support, functions of the shapes where they depend on them.
    valid
        Whether shapes are allowed; elsewhere all is nan.
    functions
        ``logpdf`` and others of ``(y, *shapes)`` for y in the support; what is not given follows where it can.
    """
    family = Family(name, doc)
    given = dict(functions)
    given["pdf"] = lambda y, *s: wnp.exp(functions["logpdf"](y, *s))
    for plain, log in (("cdf", "logcdf"), ("sf", "logsf")):
        if plain in functions and log not in functions:
            given[log] = lambda y, *s, plain=plain: wnp.log(functions[plain](y, *s))
        elif log in functions and plain not in functions:
            given[plain] = lambda y, *s, log=log: wnp.exp(functions[log](y, *s))
    outside = {
        "pdf": (0, 0), "logpdf": (-np.inf, -np.inf), "cdf": (0, 1), "logcdf": (-np.inf, 0), "sf": (1, 0),
        "logsf": (0, -np.inf),
    }  # fmt: skip

    def fine(scale: Any, s: Sequence[Any]) -> Any:
        return scale > 0 if valid is None else (scale > 0) & valid(*s)

    def at(which: str, standard: Standard) -> Standard:
        def run(x: Any, *rest: Any) -> Any:
            *s, loc, scale = rest
            below, above, y = _within(lower, upper, (x - loc) / scale, s)
            found = standard(y, *s)
            if which == "pdf":
                found = found / scale
            elif which == "logpdf":
                found = found - wnp.log(scale)
            low, high = outside[which]
            found = wnp.where(below, low, wnp.where(above, high, found))
            return wnp.where(fine(scale, s), found, np.nan)

        return run

    def quantile(standard: Standard) -> Standard:
        def run(q: Any, *rest: Any) -> Any:
            *s, loc, scale = rest
            good = (q >= 0) & (q <= 1) & fine(scale, s)
            return wnp.where(good, loc + scale * standard(q, *s), np.nan)

        return run

    for which, standard in given.items():
        made = quantile(standard) if which in ("ppf", "isf") else at(which, standard)
        family.add(which, "q" if which in ("ppf", "isf") else "x", shapes, {"loc": 0, "scale": 1}, made)
    return family


def discrete(
    name: str, doc: str, shapes: Sequence[str], *, lower: float, upper: Any = np.inf,
    valid: Callable[..., Any], logpmf: Standard, cdf: Standard | None = None, sf: Standard | None = None,
    ppf: Standard | None = None,
) -> Family:  # fmt: skip
    """Declare a distribution of whole numbers from ``lower`` to ``upper``; as `continuous`, with a location alone."""
    family = Family(name, doc)

    def probability(log: bool) -> Standard:
        def run(k: Any, *rest: Any) -> Any:
            *s, loc = rest
            below, above, y = _within(lower, upper, k - loc, s)
            outside = below | above | (y != wnp.floor(y))
            y = wnp.where(outside, lower, y)
            found = wnp.where(outside, -np.inf, logpmf(y, *s))
            found = found if log else wnp.exp(found)
            return wnp.where(valid(*s), found, np.nan)

        return run

    def cumulative(standard: Standard, ends: tuple[int, int]) -> Standard:
        def run(k: Any, *rest: Any) -> Any:
            *s, loc = rest
            y = wnp.floor(k - loc)
            high = upper(*s) if callable(upper) else upper
            below, above = y < lower, y >= high
            found = standard(wnp.where(below | above, lower, y), *s)
            found = wnp.where(below, ends[0], wnp.where(above, ends[1], found))
            return wnp.where(valid(*s) & ~wnp.isnan(k), found, np.nan)

        return run

    def quantile(q: Any, *rest: Any) -> Any:
        *s, loc = rest
        assert ppf is not None
        return wnp.where((q >= 0) & (q <= 1) & valid(*s), loc + ppf(q, *s), np.nan)

    family.add("logpmf", "k", shapes, {"loc": 0}, probability(True))
    family.add("pmf", "k", shapes, {"loc": 0}, probability(False))
    if cdf is not None:
        family.add("cdf", "k", shapes, {"loc": 0}, cumulative(cdf, (0, 1)))
    if sf is not None:
        family.add("sf", "k", shapes, {"loc": 0}, cumulative(sf, (1, 0)))
    if ppf is not None:
        family.add("ppf", "q", shapes, {"loc": 0}, quantile)
    return family
