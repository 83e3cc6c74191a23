"""Primitives on arrays at hand or staged ones alike; rectangular parts of arrays that are known to be in range."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from weft.api.written import compiled
from weft.ir.nodes import Atom, Span, lit
from weft.ir.primitive import REGISTRY
from weft.ir.types import i64
from weft.numpy.common import array_of, cast, of
from weft.numpy.registry import arrays, concrete
from weft.runtime import eager
from weft.staged.active import staging
from weft.staged.value import Staged, lift, size_of


def is_staged(*xs: Any) -> bool:
    """Whether one of these values is only known at run time (sequences: one of theirs)."""
    return any([is_staged(*x) if isinstance(x, list | tuple) else isinstance(x, Staged) for x in xs])


def apply(name: str, *args: Any, **attrs: Any) -> Any:
    """A primitive of values: emitted where one of them is staged, else computed by its NumPy meaning."""
    if not staging() or not (is_staged(*args) or _symbolic(attrs)):
        import weft.primitives  # noqa: F401  (declares them)

        if eager.active and eager.is_elsewhere(args, {}):
            stage = _stage(name, tuple(sorted(attrs.items())))
            return compiled(stage, f"{name}({sorted(attrs.items())!r})", apply=apply)(*args)
        return arrays(REGISTRY[name].numpy(*[np.asarray(concrete(a)) for a in args], **attrs))
    out = REGISTRY[name](*[_atom(a) for a in args], **attrs)
    return tuple(map(of, out)) if isinstance(out, tuple) else of(out)


@functools.cache
def _stage(name: str, attrs: tuple[tuple[str, Any], ...]) -> Any:
    """What stages a primitive on arrays of another device."""
    return lambda funs, args, kwargs: apply(name, *args, **dict(attrs))


def _symbolic(attrs: dict[str, Any]) -> bool:
    spec = attrs.get("spec", ())
    return any([isinstance(e, Span) and not isinstance(e.size, int) for e in spec])


def _atom(x: Any) -> Atom:
    return lit(x) if type(x) is int else array_of(x).atom


def count(n: Any) -> Any:
    """0, 1, ... n - 1."""
    if not staging():
        return arrays(np.arange(n, dtype=i64))
    return of(REGISTRY["iota"](size=size_of(n), dtype=i64))


def place(start: Any) -> Any:
    """The start of a region: an int, or a run-time one as int64."""
    return of(cast(lift(start).atom, i64)) if isinstance(start, Staged) else int(start)


def spans(sizes: Sequence[Any], steps: Sequence[int] | None = None) -> tuple[Span, ...]:
    """The specification of a region of these sizes, every ``steps``-th element of each axis."""
    return tuple([Span(size_of(n), k) for n, k in zip(sizes, steps or [1] * len(sizes), strict=True)])


def region(x: Any, starts: Sequence[Any], sizes: Sequence[Any], steps: Sequence[int] | None = None) -> Any:
    """The part of an array from ``starts``, of these sizes, every ``steps``-th element."""
    return apply("index", x, *map(place, starts), spec=spans(sizes, steps), mode="fast")


def with_region(x: Any, part: Any, starts: Sequence[Any], steps: Sequence[int] | None = None, add: bool = False) -> Any:
    """``x`` with that part of it replaced (or added to)."""
    spec = spans(part.shape, steps)
    return apply("accum" if add else "store", x, part, *map(place, starts), spec=spec, mode="fast")
