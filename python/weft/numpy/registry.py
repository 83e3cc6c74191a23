"""The table of functions that weft stages natively, and the public functions made from it.

An *implementation* is ordinary Python over staged values (and numbers, which are staged values that are known). It is
entered under the NumPy callable whose meaning it has; the same entry gives the public function of `weft.numpy`. What
flavour results have, where ``out=`` goes and what is said of unknown keywords is settled here for all of them.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import types
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from weft import _runtime, dtypes
from weft.errors import StagingError
from weft.runtime import eager
from weft.staged.arith import op_error
from weft.staged.context import current, staging
from weft.staged.indexing import setitem
from weft.staged.value import Staged, wrap

F = TypeVar("F", bound=Callable[..., Any])

#: What the frontend calls in place of a function that staged code calls: NumPy's, and the public ones of weft.
NUMPY: dict[Any, Callable[..., Any]] = {}

#: The same for objects that are subscripted rather than called (``np.mgrid[0:n]``), by identity.
SUBSCRIPTED: dict[int, Callable[[Any], Any]] = {}

#: Those of them that make new arrays, and so are staged even when all their arguments are known.
CREATORS: set[Any] = set()

#: The public functions by module and name.
MODULES: defaultdict[str, dict[str, Callable[..., Any]]] = defaultdict(dict)

#: Those of `weft.numpy`.
PUBLIC = MODULES["weft.numpy"]

#: Modules of other packages whose functions are understood, and the modules of weft that have functions of their names.
FOREIGN = {
    f"scipy.{name}": f"weft.scipy.{name}"
    for name in ("fft", "integrate", "linalg", "ndimage", "optimize", "signal", "special", "stats")
}

#: The public function with the meaning of each NumPy callable.
MEANINGS: dict[Any, Callable[..., Any]] = {}

#: The entry behind each implementation, and behind the public functions of each module.
ENTRIES: dict[Callable[..., Any], Entry] = {}
ENTRIES_OF: defaultdict[str, dict[str, Entry]] = defaultdict(dict)


@dataclass(frozen=True, eq=False)
class Entry:
    """One function.

    Attributes
    ----------
    name
        What messages call it.
    impl
        Its implementation over staged values.
    numpy
        The NumPy callable with the same meaning.
    keep
        Results keep the flavour that the implementation gives them.
    creates
        It makes new arrays of known arguments.
    run
        What concrete arguments run, where that is not ``numpy``: it takes keywords that NumPy's function lacks.
    """

    name: str
    impl: Callable[..., Any]
    numpy: Callable[..., Any]
    keep: bool = False
    creates: bool = False
    run: Callable[..., Any] | None = None

    @cached_property
    def concrete(self) -> Callable[..., Any]:
        """What concrete arguments run."""
        return self.run or self.numpy

    @cached_property
    def signature(self) -> inspect.Signature:
        """The parameters it takes; ``out`` among them is dealt with here."""
        s = inspect.signature(self.impl)
        params = [p.replace(annotation=p.empty) for p in s.parameters.values()]
        return s.replace(parameters=params, return_annotation=s.empty)

    def stage(self, flavour: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the implementation; its results get ``flavour``."""
        out = None
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as e:
            raise StagingError(
                f"{self.name}(): {e}", remedy=f"weft supports {self.name}{self.signature}", loc=current().loc
            ) from None
        if "out" in bound.arguments:
            out = bound.arguments.pop("out")
        if bound.arguments.pop("device", None) is not None:
            raise StagingError(
                f"{self.name}() with device= inside compiled code, which runs on one device",
                remedy="call it outside, or put the arguments of the compiled function there with weft.device_put",
                loc=current().loc,
            )
        mask = None
        if out is not None and isinstance(self.numpy, np.ufunc):
            mask = bound.arguments.pop("where", None)
        result = self.impl(*bound.args, **bound.kwargs)
        if flavour == "weft" and not self.keep and out is None:
            result = by_default(result, bound.arguments, _narrowed)
        if out is not None:
            if mask is not None and mask is not True:
                from weft.numpy.elementwise import where

                out = out[0] if isinstance(out, tuple) else out
                result = where(mask, result, out)
            return write_out(self.name, out, result)
        return result if self.keep else flavoured(result, flavour)


# -- the default float dtype -------------------------------------------------------------------------------------------


def by_default(result: Any, given: dict[str, Any], narrow: Callable[[Any], Any]) -> Any:
    """A floating result in the default float dtype, if no argument has a dtype of its own."""
    if isinstance(result, tuple):
        parts = [by_default(r, given, narrow) for r in result]
        return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)
    if isinstance(result, list):
        return [by_default(r, given, narrow) for r in result]
    if getattr(getattr(result, "dtype", None), "kind", "") not in ("f", "c"):
        return result
    return result if has_dtype(given) else narrow(result)


def has_dtype(x: Any) -> bool:
    """Whether an argument has a dtype, or is one."""
    if isinstance(x, Staged):
        return x.flavour != "py"
    if isinstance(x, dict):
        return x.get("dtype") is not None or any(map(has_dtype, x.values()))
    if isinstance(x, list | tuple):
        return any(map(has_dtype, x))
    if isinstance(x, slice):
        return any(map(has_dtype, (x.start, x.stop, x.step)))
    return hasattr(x, "dtype") or isinstance(x, np.dtype) or (isinstance(x, type) and x in _DTYPE_CLASSES)


_DTYPE_CLASSES = {float, complex, int, bool, *np.sctypeDict.values()}


def concrete_result(result: Any, *given: Any) -> Any:
    """What NumPy gave for these arguments, as results of `weft.numpy`."""
    return arrays(by_default(result, {"args": given}, _narrow), given)


def staged_result(result: Any, *given: Any) -> Any:
    """What an implementation gave for these arguments, as results of `weft.numpy`."""
    return flavoured(by_default(result, {"args": given}, _narrowed), "weft")


def _default_of(dtype: Any) -> Any:
    return dtypes.default_float() if dtype.kind == "f" else dtypes.default_complex()


def _narrowed(result: Staged) -> Staged:
    from weft.staged.arith import cast

    target = _default_of(result.dtype)
    return result if result.dtype == target else wrap(cast(result.atom, target), result.flavour)


def _narrow(result: Any) -> Any:
    return np.asarray(result).astype(_default_of(result.dtype), copy=False)


# -- results -----------------------------------------------------------------------------------------------------------


def flavoured(result: Any, flavour: str) -> Any:
    """A result, or a tuple or list of them, with this flavour."""
    if isinstance(result, Staged):
        return result if result.flavour == flavour else wrap(result.atom, flavour)
    if isinstance(result, tuple):
        parts = [flavoured(r, flavour) for r in result]
        return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)
    if isinstance(result, list):
        return [flavoured(r, flavour) for r in result]
    return result


def write_out(name: str, out: Any, result: Any) -> Any:
    """Write results into the arrays given as ``out=``."""
    if isinstance(result, tuple):
        outs = out if isinstance(out, tuple) else (out,)
        if len(outs) != len(result):
            raise op_error(TypeError, f"{name}(): out= must be a tuple of {len(result)} arrays")
        return tuple([r if o is None else write_out(name, o, r) for o, r in zip(outs, result, strict=True)])
    if isinstance(out, tuple) and len(out) == 1:
        return result if out[0] is None else write_out(name, out[0], result)
    if not isinstance(out, Staged) or out.cell is None:
        raise StagingError(
            f"{name}(): out= must be a NumPy array of the function being staged",
            remedy="use the result: `y = ...`",
            loc=current().loc,
        )
    if not np.can_cast(result.dtype, out.dtype, "same_kind"):
        raise op_error(
            TypeError,
            f"Cannot cast {name} output from dtype('{result.dtype}') to dtype('{out.dtype}') with casting rule"
            " 'same_kind'",
        )
    setitem(out, ..., result)
    return out


def implements(
    *numpy: Any,
    name: str = "",
    keep: bool = False,
    creates: bool = False,
    module: str = "weft.numpy",
    run: Callable[..., Any] | None = None,
) -> Callable[[F], F]:
    """Register an implementation.

    Parameters
    ----------
    numpy
        The NumPy callables that it stands for; none for functions that NumPy has not, which run eagerly by their
        ``eager`` attribute.
    name
        The public name, where it is not the implementation's own (without a trailing underscore).
    keep
        Results keep the flavour that the implementation gives them (dtype constructors, tests that give Python bools).
    creates
        It makes new arrays of known arguments, so it is staged even then.
    module
        Where its public function is.
    run
        What concrete arguments run, where that is not NumPy's function.
    """

    def decorate(impl: F) -> F:
        own = name or impl.__name__.rstrip("_")
        meaning = numpy[0] if numpy else run or getattr(impl, "eager", None)
        assert meaning is not None, own
        enter(Entry(own, impl, meaning, keep, creates, run), numpy, module=module)
        return impl

    return decorate


def enter(entry: Entry, numpy: tuple[Any, ...], public: bool = True, module: str = "weft.numpy") -> None:
    """Put an entry into the tables."""
    ENTRIES[entry.impl] = entry
    staged = _staged("np", entry)
    for f in numpy:
        NUMPY[f] = staged
        if entry.creates:
            CREATORS.add(f)
    if public:
        function = _public(entry, module)
        MODULES[module][entry.name] = function
        ENTRIES_OF[module][entry.name] = entry
        MEANINGS.update(dict.fromkeys(numpy, function))
        NUMPY[function] = _staged("weft", entry)
        if entry.creates:
            CREATORS.add(function)


def native(function: Any) -> Callable[..., Any] | None:
    """What staged code calls in place of a function; None for one that weft does not know.

    A function of SciPy is known if weft has one of its name; SciPy is not imported for it.
    """
    found = NUMPY.get(function)
    if found is not None:
        return found
    name = getattr(function, "__name__", None)
    for theirs, ours in FOREIGN.items():
        module = sys.modules.get(theirs)
        if module is not None and isinstance(name, str) and getattr(module, name, None) is function:
            importlib.import_module(ours)
            entry = ENTRIES_OF[ours].get(name)
            public = getattr(sys.modules[ours], name, None)
            if entry is not None:
                NUMPY[function] = _staged("np", entry)
                return NUMPY[function]
            if callable(public):
                NUMPY[function] = _plain(public)
                return NUMPY[function]
    return _of_distribution(function)


def _of_distribution(function: Any) -> Callable[..., Any] | None:
    """What stands for a method of one of SciPy's distributions, as ``scipy.stats.norm.pdf`` is."""
    stats = sys.modules.get("scipy.stats")
    if stats is None or not isinstance(function, types.MethodType):
        return None
    owner = function.__self__
    name = getattr(owner, "name", None)
    if not isinstance(name, str) or getattr(stats, name, None) is not owner:
        return None
    family = getattr(importlib.import_module("weft.scipy.stats"), name, None)
    public = getattr(family, function.__name__, None)
    return _plain(public) if callable(public) else None


def _plain(public: Callable[..., Any]) -> Callable[..., Any]:
    """What stands for a function of another package: weft's own, with NumPy's flavour."""

    @functools.wraps(public)
    def function(*args: Any, **kwargs: Any) -> Any:
        return flavoured(public(*args, **kwargs), "np")

    return function


def _staged(flavour: str, entry: Entry) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        return entry.stage(flavour, args, kwargs)

    function.__name__ = function.__qualname__ = entry.name
    function.__doc__ = entry.impl.__doc__
    return function


def _public(entry: Entry, module: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        if staging() and (entry.creates or any(map(has_staged, args)) or any(map(has_staged, kwargs.values()))):
            return entry.stage("weft", args, kwargs)
        if kwargs:
            params = entry.signature.parameters
            unknown = ", ".join(sorted(set(kwargs) - set(params)))
            if unknown and not any(p.kind is p.VAR_KEYWORD for p in params.values()):
                raise TypeError(f"{entry.name}() got an unexpected keyword argument: {unknown}")
            if kwargs.get("out") is not None:
                raise TypeError(f"{entry.name}(): out= is not supported, since weft arrays are immutable")
            if isinstance(entry.numpy, np.ufunc) and kwargs.get("where", True) is not True:
                raise TypeError(f"{entry.name}(): where= needs out=; use weft.numpy.where(cond, ..., other)")
        device = kwargs.pop("device", None) if takes_device else None
        if device is not None:
            return _runtime.device_put(function(*args, **kwargs), device_of(device), True)
        if eager.active and eager.is_elsewhere(args, kwargs):
            return _elsewhere(entry, function, args, kwargs)
        if entry.keep or dtypes.default_float() is _F64:
            return _runtime.call_eagerly(entry.concrete, args, kwargs)
        kwargs = {k: concrete(v) for k, v in kwargs.items()}
        plain = [concrete(a) for a in args]
        with np.errstate(all="ignore"):
            result = entry.concrete(*plain, **kwargs)
        result = by_default(result, {"args": plain, **_named(entry, plain), **kwargs}, _narrow)
        return arrays(result, (*plain, *kwargs.values()))

    code = entry.impl.__code__
    takes_device = "device" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    function.__name__ = function.__qualname__ = entry.name
    function.__module__ = module
    function.__doc__ = entry.impl.__doc__
    function.__dict__["__wrapped__"] = entry.impl  # for its signature
    return function


_F64 = np.dtype(np.float64)


def _named(entry: Entry, args: list[Any]) -> dict[str, Any]:
    """A dtype that was given by position."""
    try:
        return {"dtype": entry.signature.bind_partial(*args).arguments.get("dtype")}
    except TypeError:
        return {}


def device_of(device: Any) -> Any:
    """A device, or the first one of the platform that is named."""
    from weft.runtime.devices import Device, devices

    if isinstance(device, str):
        return devices(device)[0]
    if not isinstance(device, Device):
        raise TypeError(f"a device is one of weft.devices(), not {device!r}")
    return device


def _elsewhere(entry: Entry, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A call on another device than the CPU: compiled; new arrays are made by the host and sent."""
    if not entry.creates:
        return eager.apply(function, *args, **kwargs)
    made = entry.concrete(*map(concrete, args), **{k: concrete(v) for k, v in kwargs.items()})
    return eager.sent(arrays(made), args, kwargs)


def has_staged(x: Any) -> bool:
    """Whether a value is staged, or a sequence or dict holds a staged value."""
    if isinstance(x, Staged):
        return True
    if isinstance(x, list | tuple):
        return any(map(has_staged, x))
    if isinstance(x, dict):
        return any(map(has_staged, x.values()))
    return isinstance(x, slice) and any(map(has_staged, (x.start, x.stop, x.step)))


def needs_staging(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call of a function of the table must be staged, rather than run now."""
    return function in CREATORS or has_staged(args) or has_staged(kwargs)


# -- concrete arguments ------------------------------------------------------------------------------------------------


def concrete(x: Any) -> Any:
    """An argument for NumPy: weft arrays become NumPy arrays that share their memory."""
    kind = type(x)
    if kind in (int, float, bool, str, np.ndarray, type(None)):
        return x
    if kind in (list, tuple):
        return kind([concrete(v) for v in x])
    if kind is slice:
        return slice(concrete(x.start), concrete(x.stop), concrete(x.step))
    return np.asarray(x) if hasattr(kind, "at") and hasattr(kind, "__array__") else x


def arrays(x: Any, given: tuple[Any, ...] = ()) -> Any:
    """A result of NumPy with arrays and scalars as `weft.Array`; ``given`` are the arguments it was computed from."""
    if isinstance(x, np.ndarray | np.generic | bool | float | complex):
        from weft.runtime.array import Array

        a = np.asarray(x)
        # a fresh result is given away; a view is copied, unless of a weft array; so is an argument itself
        own = a.base is None and not any(a is g for g in given)
        return Array.from_numpy(a, copy=not (own or isinstance(a.base, Array)))
    if isinstance(x, tuple):
        parts = [arrays(v, given) for v in x]
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    if isinstance(x, list):
        return [arrays(v, given) for v in x]
    return x
