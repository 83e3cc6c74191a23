"""Functions that take functions: along axes, over axes, by pieces, on grids, elementwise."""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft.numpy.common import (
    Staged,
    array,
    axis_of,
    broadcast_shapes,
    emit,
    lit,
    move,
    op_error,
    reshape,
    shape_of,
    spread,
    truth,
)  # fmt: skip
from weft.numpy.elementwise import where
from weft.numpy.registry import PUBLIC, Entry, arrays, concrete, enter, flavoured, implements
from weft.numpy.search import indices
from weft.staged.active import staging


def _mapped(function: Callable[..., Any], times: int, args: Sequence[Any], in_axes: Any = 0) -> Any:
    """A function mapped over the first axes of arguments, as many as ``times`` says, while staging."""
    import weft  # transformations stand above the library

    if not times:
        return function(*args)
    mapped: Any = function
    for _ in range(times):
        mapped = weft.vmap(mapped, in_axes)
    return mapped.stage_call(tuple(args), {})


def _given(function: Any) -> Any:
    """A function that NumPy calls with its arrays, called with arrays of weft."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return concrete(function(*[arrays(a) if isinstance(a, np.ndarray) else a for a in args], **kwargs))

    return call if callable(function) else function


def _called(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """A call while staging of a function that somebody else wrote: it is staged from its source."""
    import weft

    if isinstance(function, types.FunctionType | types.MethodType):
        return weft.jit(function).stage_call(tuple(args), dict(kwargs))
    return function(*args, **kwargs)


# -- along axes --------------------------------------------------------------------------------------------------------


def _np_along(func1d: Any, axis: Any, arr: Any, *args: Any, **kwargs: Any) -> Any:
    return np.apply_along_axis(_given(func1d), axis, arr, *args, **kwargs)


@implements(np.apply_along_axis, run=_np_along)
def apply_along_axis(func1d: Any, axis: Any, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """A function of rows applied to each row along an axis; its results stand where the axis was."""
    x = array(arr)
    k = axis_of(axis, x.ndim)
    lead = [n for j, n in enumerate(x.sizes) if j != k]
    rows = move(x, k, x.ndim - 1)

    def one(row: Any) -> Any:
        return func1d(row, *args, **kwargs)

    out = array(_mapped(one, len(lead), [rows]))
    # the axes of one result follow the others: they go to where the axis was
    n = len(lead)
    perm = [*range(k), *range(n, out.ndim), *range(k, n)]
    return emit("transpose", out, perm=tuple(perm)) if perm != sorted(perm) else out


def _np_over(func: Any, a: Any, axes: Any) -> Any:
    return np.apply_over_axes(_given(func), a, axes)


@implements(np.apply_over_axes, run=_np_over)
def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    """A function of an array and an axis applied for one axis after another."""
    x = array(a)
    rank = x.ndim
    for axis in axes if isinstance(axes, list | tuple | np.ndarray) else (axes,):
        k = axis_of(axis, rank)
        y = array(func(x, k))
        if y.ndim == rank - 1:
            y = reshape(y, (*y.sizes[:k], 1, *y.sizes[k:]))
        if y.ndim != rank:
            raise op_error(ValueError, "function is not returning an array of the correct shape")
        x = y
    return x


def _np_piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    return np.piecewise(x, condlist, [_given(f) for f in funclist], *args, **kw)


@implements(np.piecewise, run=_np_piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """The function of the last condition that holds, of each element; a last extra function where none does."""
    v = array(x)
    conditions = list(condlist) if isinstance(condlist, list | tuple) else [condlist]
    if len(conditions) and not isinstance(conditions[0], list | tuple | np.ndarray | Staged) and v.ndim:
        conditions = [conditions]
    tests = [truth(array(c)) for c in conditions]
    functions = list(funclist)
    if len(functions) == len(tests) + 1:
        none: Any = None
        for t in tests:
            none = t if none is None else emit("bitor", none, t)
        tests.append(emit("logical_not", none))
    if len(functions) != len(tests):
        n = len(tests)
        raise op_error(ValueError, f"with {n} condition(s), either {n} or {n + 1} functions are expected")
    out = emit("broadcast", lit(0, v.dtype), shape=v.sizes, dims=()) if v.sizes else array(lit(0, v.dtype))
    for t, f in zip(tests, functions, strict=True):
        y = array(f(v, *args, **kw) if callable(f) else f, v.dtype)
        out = where(t, y, out)
    return out


def _np_fromfunction(function: Any, shape: Any, *, dtype: Any = float, **kwargs: Any) -> Any:
    return np.fromfunction(_given(function), shape, dtype=dtype, **kwargs)


@implements(np.fromfunction, creates=True, run=_np_fromfunction)
def fromfunction(function: Any, shape: Any, *, dtype: Any = float, **kwargs: Any) -> Any:
    """A function of the indices of each element, given as arrays."""
    grids = indices(shape, np.dtype(dtype))
    parts = [emit("index", grids, lit(k), *[lit(0)] * len(shape_of(shape)), spec=_slab(grids), mode="fast")
             for k in range(len(shape_of(shape)))]  # fmt: skip
    return function(*parts, **kwargs)


def _slab(x: Staged) -> Any:
    from weft.ir.nodes import At, Span

    return (At(), *[Span(n) for n in x.sizes[1:]])


# -- elementwise -------------------------------------------------------------------------------------------------------

_CORE = re.compile(r"\(([^()]*)\)")


def _parsed(signature: str) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """The names of the core axes of operands and results."""
    text = signature.replace(" ", "")
    sides = text.split("->")
    name = r"\((?:\w+(?:,\w+)*)?\)"
    if len(sides) != 2 or not all(re.fullmatch(f"{name}(?:,{name})*", s) for s in sides):
        raise ValueError(f"not a valid gufunc signature: {signature}")
    found = [[tuple([n for n in core.split(",") if n]) for core in _CORE.findall(side)] for side in sides]
    return found[0], found[1]


class vectorize:
    """A function of elements, or of small arrays, applied to all that arrays hold (operands broadcast).

    Parameters
    ----------
    pyfunc
        The function.
    excluded
        Positions and names of arguments that go to the function as they are.
    signature
        The axes that the function itself takes and gives, as in ``"(n,k),(k)->(n)"``; none if absent.

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> wnp.vectorize(lambda a, b: a * b)(wnp.arange(3.0), 2.0)
    Array([0., 2., 4.])
    """

    def __init__(self, pyfunc: Any, *, excluded: Any = frozenset(), signature: str | None = None) -> None:
        if not callable(pyfunc):
            raise TypeError("When used as a decorator, vectorize takes a function: vectorize(pyfunc)")
        self.pyfunc = pyfunc
        self.excluded = frozenset(excluded or ())
        if any(not isinstance(e, int | str) or (isinstance(e, int) and e < 0) for e in self.excluded):
            raise ValueError(f"excluded holds positions and names of arguments, not {set(self.excluded)!r}")
        self.signature = signature
        self._flavour: str | None = None
        self._cores = None if signature is None else _parsed(signature)
        functools.update_wrapper(self, pyfunc, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function of all elements."""
        if staging():
            return self._staged(args, kwargs)
        names = tuple(sorted(kwargs))
        return self._compiled(len(args), names)(*args, *[kwargs[n] for n in names])

    def __repr__(self) -> str:
        return f"<weft.numpy.vectorize of {getattr(self.pyfunc, '__name__', self.pyfunc)!r}>"

    @functools.cached_property
    def _programs(self) -> dict[Any, Any]:
        return {}

    def _compiled(self, count: int, names: tuple[str, ...]) -> Any:
        import weft

        if (count, names) not in self._programs:

            def program(*values: Any) -> Any:
                return self._staged(values[:count], dict(zip(names, values[count:], strict=True)))

            static = [e for e in self.excluded if isinstance(e, int) and e < count]
            static += [count + k for k, n in enumerate(names) if n in self.excluded]
            program.__name__ = program.__qualname__ = getattr(self.pyfunc, "__name__", "vectorized")
            program.__module__ = "weft.numpy"
            self._programs[count, names] = weft.jit(program, static_argnums=tuple(static))
        return self._programs[count, names]

    def _staged(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        at = [k for k in range(len(args)) if k not in self.excluded]
        mapped_names = [n for n in kwargs if n not in self.excluded]
        operands = [array(args[k]) for k in at] + [array(kwargs[n]) for n in mapped_names]
        cores = self._cores[0] if self._cores else [()] * len(operands)
        if len(cores) != len(operands):
            raise op_error(
                TypeError,
                f"wrong number of positional arguments: expected {len(cores)}, got {len(operands)} that are mapped",
            )
        leads = []
        for v, core in zip(operands, cores, strict=True):
            if v.ndim < len(core):
                raise op_error(ValueError, f"an operand with {v.ndim} axes for the core axes {core}")
            leads.append(v.sizes[: v.ndim - len(core)])
        shape = broadcast_shapes("vectorize", *leads)
        flat = []
        for v, lead, core in zip(operands, leads, cores, strict=True):
            size = v.sizes[len(lead) :]
            flat.append(v if not lead else spread(v, (*shape, *size)))
            del core
        axes = [0 if lead else None for lead in leads]

        def one(*values: Any) -> Any:
            given = list(args)
            for k, v in zip(at, values, strict=False):
                given[k] = v
            named = dict(kwargs) | dict(zip(mapped_names, values[len(at) :], strict=True))
            return _called(self.pyfunc, given, named)

        out = _mapped(one, len(shape), flat, tuple(axes))
        return out if self._flavour is None else flavoured(out, self._flavour)


class _Elementwise(vectorize):
    """What `frompyfunc` gives."""

    def __init__(self, func: Any, nin: int, nout: int, identity: Any) -> None:
        super().__init__(func)
        self.nin, self.nout, self.nargs, self.identity = nin, nout, nin + nout, identity

    def __call__(self, *args: Any) -> Any:
        if len(args) != self.nin:
            raise TypeError(f"{self!r} takes {self.nin} arguments, not {len(args)}")
        return super().__call__(*args)

    def __repr__(self) -> str:
        return f"<weft.numpy.frompyfunc of {getattr(self.pyfunc, '__name__', self.pyfunc)!r}>"

    def outer(self, A: Any, B: Any, /) -> Any:
        """The function of all pairs of elements."""
        x, y = PUBLIC["asarray"](A), PUBLIC["asarray"](B)
        return self(PUBLIC["reshape"](x, (*x.shape, *[1] * y.ndim)), y)


def frompyfunc(func: Any, /, nin: int, nout: int, *, identity: Any = None) -> Any:
    """A function of numbers as one of arrays, elementwise; with ``outer``.

    Parameters
    ----------
    func
        The function.
    nin, nout
        The number of its arguments and results.
    identity
        Kept as an attribute.

    Examples
    --------
    >>> import weft.numpy as wnp
    >>> wnp.frompyfunc(lambda a, b: a + 2 * b, 2, 1)(wnp.arange(3), 1)
    Array([2, 3, 4])
    """
    return _Elementwise(func, nin, nout, identity)


# -- NumPy's own, in code that is staged -------------------------------------------------------------------------------


def _vectorize(
    pyfunc: Any, otypes: Any = None, doc: Any = None, excluded: Any = None, cache: Any = False, signature: Any = None
) -> Any:
    made = vectorize(pyfunc, excluded=excluded or (), signature=signature)
    made._flavour = "np"
    return made


def _frompyfunc(func: Any, /, nin: int, nout: int, *, identity: Any = None) -> Any:
    made = frompyfunc(func, nin, nout, identity=identity)
    made._flavour = "np"
    return made


enter(Entry("vectorize", _vectorize, np.vectorize, keep=True, creates=True), (np.vectorize,), public=False)
enter(Entry("frompyfunc", _frompyfunc, np.frompyfunc, keep=True, creates=True), (np.frompyfunc,), public=False)
