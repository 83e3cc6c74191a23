"""Modules built ahead of time: their functions, made when the module is imported.

A built module brings its compiled entries and, as JSON, what `weft build` found out about them. Its functions are
dispatchers as those of `weft.jit` are. A call's key is met first by Python code here, which says what is wrong with it
or finds the program for it; later calls with the key run that program without any.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from weft import _runtime
from weft.runtime import Array, Dispatcher, Plan
from weft.runtime.processor import choose_level

FORMAT = 1  # of the JSON text

_NUMBERS: dict[str, tuple[type, ...]] = {
    "f64": (float, int), "i64": (int,), "bool": (bool,), "c128": (complex, float, int), "f32": (float, int),
    "c64": (complex, float, int), "f16": (float, int),
}  # fmt: skip
_PYTHON: dict[str, type] = {"f64": float, "i64": int, "bool": bool, "c128": complex}


def dtype_of(name: str) -> np.dtype[Any]:
    """The dtype that a signature calls so."""
    codes = {"i": "int", "u": "uint", "f": "float", "c": "complex"}
    return np.dtype("bool" if name == "bool" else codes[name[0]] + name[1:])


def name_of(dtype: np.dtype[Any]) -> str:
    """What signatures call a dtype."""
    codes = {"i": "i", "u": "u", "f": "f", "c": "c"}
    return f"{codes[dtype.kind]}{8 * dtype.itemsize}" if dtype.kind in codes else str(dtype)


def bind(module: Any, abi: int, text: str, levels: Sequence[tuple[str, str, list[list[Any]]]]) -> None:
    """Give a built module its functions. Called by the module itself, while it is imported.

    Raises
    ------
    ImportError
        It was built for another weft, or for other processors.
    """
    name = module.__name__
    if abi != _runtime.ABI_VERSION:
        raise ImportError(
            f"{name} was built with another version of weft, whose interface is {abi}; that of the weft installed here"
            f" is {_runtime.ABI_VERSION}: build it again with `weft build`, or install the weft it was built with"
        )
    meta = json.loads(text)
    if meta["format"] != FORMAT:
        raise ImportError(
            f"{name} was built with weft {meta['weft']}, whose modules this one does not read: build it again with"
            " `weft build`, or install that version"
        )
    level, entries = choose_level(name, levels)
    for number, description in enumerate(meta["functions"]):
        f = Built(name, description, entries[number])
        setattr(module, f.__name__, f)
    module.__doc__ = meta["doc"]
    module.__all__ = [description["name"] for description in meta["functions"]]
    module.__weft__ = {"weft": meta["weft"], "level": level.replace("_", "-")}


class Misfit(Exception):
    """Why a call does not fit a signature, and the class of the exception to raise: a TypeError if its types do not."""

    def __init__(self, message: str, cls: type[Exception] = TypeError) -> None:
        super().__init__(message)
        self.cls = cls


@_runtime.inherit_vectorcall
class Built(Dispatcher):
    """A function compiled ahead of time."""

    def __init__(self, module: str, description: dict[str, Any], entries: list[Any]) -> None:
        self.__name__ = self.__qualname__ = description["name"]
        self.__module__ = module
        self.__doc__ = description["doc"] or None
        self._parameters: list[list[Any]] = description["parameters"]
        self._names = [p[0] for p in self._parameters]
        self._overloads: list[dict[str, Any]] = description["overloads"]
        self._frozen: list[Any] = description["frozen"]
        self._entries = entries
        self._plans: dict[tuple[int, int], Plan] = {}

    def __new__(cls, module: str, description: dict[str, Any], entries: list[Any]) -> Built:
        holder: list[Any] = []

        def slow(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            return holder[0]._first_call(args, kwargs)

        self: Built = Dispatcher.__new__(cls, slow, (), (), _foreign)  # type: ignore[call-arg]
        holder.append(self)
        return self

    @property
    def signatures(self) -> tuple[str, ...]:
        """The signatures it was exported with."""
        return tuple([o["signature"] for o in self._overloads])

    @property
    def __signature__(self) -> inspect.Signature:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        least = min(len(o["args"]) for o in self._overloads)
        return inspect.Signature([
            inspect.Parameter(p[0], kind, default=p[1] if len(p) > 1 else inspect.Parameter.empty if i < least else ...)
            for i, p in enumerate(self._parameters)
        ])  # fmt: skip

    def __repr__(self) -> str:
        return f"<built function {self.__module__}.{self.__qualname__}>"

    # -- calls that no plan answers ------------------------------------------------------------------------------------

    def _first_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = self._bound(args, kwargs)
        misfits: list[Misfit] = []
        for convert in (False, True):
            for number, overload in enumerate(self._overloads):
                try:
                    values, sizes = self._fit(overload, given, convert)
                except Misfit as e:
                    misfits.append(e)
                    continue
                return self._answer(number, values, sizes, args, kwargs)
        misfits = misfits[len(self._overloads) :]
        typed = [e for e in misfits if e.cls is not TypeError]  # the nearest ones
        if typed or len(misfits) == 1:
            nearest = (typed or misfits)[0]
            raise nearest.cls(f"{self.__name__}(): {nearest}") from None
        said = "".join(f"\n  {o['signature']}: {e}" for o, e in zip(self._overloads, misfits, strict=True))
        raise TypeError(f"{self.__name__}(): no signature fits{said}") from None

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """The arguments by position, `...` where there is none."""
        name, names = self.__name__, self._names
        if len(args) > len(names):
            takes = f"{len(names)} argument(s) ({', '.join(names)})" if names else "no arguments"
            raise TypeError(f"{name}() takes {takes}, and {len(args)} were given")
        given = [*args, *[...] * (len(names) - len(args))]
        for key, value in kwargs.items():
            if key not in names:
                raise TypeError(f"{name}() got an unexpected keyword argument {key!r}; it takes {', '.join(names)}")
            if given[names.index(key)] is not ...:
                raise TypeError(f"{name}() got multiple values for argument {key!r}")
            given[names.index(key)] = value
        return given

    def _fit(self, overload: dict[str, Any], given: list[Any], convert: bool) -> tuple[list[Any], dict[str, int]]:
        """The arguments as one signature takes them, and its sizes."""
        values: list[Any] = []
        sizes: dict[str, int] = {}
        seen: dict[str, str] = {}
        late: Misfit | None = None
        wanted = overload["args"]
        for i, value in enumerate(given):
            name = self._names[i]
            if i >= len(wanted):
                if value is not ...:
                    raise Misfit(f"argument {name!r} is not in the signature '{overload['signature']}'")
                continue
            if value is ...:
                if len(self._parameters[i]) < 2 or wanted[i][1] is not None:
                    raise Misfit(f"missing argument {name!r}, which the signature says is {text_of(wanted[i])}")
                value, converted = self._parameters[i][1], True
            else:
                converted = convert
            values.append(fitted(name, value, wanted[i], converted))
            for axis, size in enumerate(wanted[i][1] or ()):
                try:
                    check_size(overload, name, wanted[i], axis, np.shape(value)[axis], sizes, seen, size)
                except Misfit as e:
                    late = late or e  # all types are looked at first
        if late is not None:
            raise late
        return values, sizes

    def _answer(
        self, number: int, values: list[Any], sizes: dict[str, int], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run the program for these arguments, and remember it."""
        overload = self._overloads[number]
        self._check_written(overload["writes"], values)
        flavour = "weft" if any(isinstance(v, Array) for v in values) else "np"
        index = self._program(overload, flavour, sizes, integers(overload, self._names, values))
        program = overload["programs"][index]
        if "raises" in program:
            cls, message = program["raises"]
            from weft.errors import exception_class

            raise exception_class(cls)(message)
        positional = tuple(values)
        signature = self.signature(positional)
        if signature.device is not None:
            raise TypeError(
                f"{self.__name__}() was built for the CPU, and this call belongs on {signature.device}: pass"
                " weft.device_get of its arrays, outside of weft.default_device"
            )
        plan = self._plans.get((number, index))
        if plan is None:
            plan = self._plans[number, index] = self._plan(overload, program, positional)
        if not kwargs and len(args) == len(values) and all(a is v for a, v in zip(args, values, strict=True)):
            self.add(signature.key, plan)
        return self.run(plan, positional)

    def _program(self, overload: dict[str, Any], flavour: str, sizes: dict[str, int], ints: dict[str, int]) -> int:
        """The number of the program for a flavour, sizes, and integer arguments."""
        known = {**sizes, **ints}
        flavours = set()
        for index, p in enumerate(overload["programs"]):
            if all(min(sizes[s], 2) == n for s, n in p["sizes"].items()):
                if all(_holds(kind, c + sum(known[s] * k for s, k in terms)) for kind, c, terms in p["guards"]):
                    if p["flavour"] in ("any", flavour):
                        return index
                    flavours.add(p["flavour"])
        if flavours == {"np"}:
            why = f" ({overload['numpy_only']})" if "numpy_only" in overload else ""
            raise TypeError(f"{self.__name__}() was built for NumPy arrays only{why}: pass np.asarray of a weft.Array")
        said = ", ".join(f"{s} = {n}" for s, n in known.items())
        raise ValueError(f"{self.__name__}() was not built for {said}")

    def _check_written(self, written: list[int], values: list[Any]) -> None:
        for i in written:
            if not isinstance(values[i], np.ndarray):
                raise TypeError(
                    f"{self.__name__}(): argument {self._names[i]!r} is written in place, and must be a NumPy array,"
                    f" not a {kind_of(values[i])}"
                )
            for j, other in enumerate(values):
                if j != i and other is values[i]:
                    raise ValueError(
                        f"{self.__name__}(): arguments {self._names[min(i, j)]!r} and {self._names[max(i, j)]!r} are"
                        f" one array, and {self._names[i]!r} is written: pass a copy of one of them"
                    )

    def _plan(self, overload: dict[str, Any], program: dict[str, Any], args: tuple[Any, ...]) -> Plan:
        from weft.runtime import hostcalls
        from weft.runtime.stored import decode_host, decode_tree, decode_value

        where = slots(overload["args"], self._names, program["sizes_frozen"])
        hidden = [("value", decode_value(self._frozen[k])) for k in program["frozen"]]
        asked = [(kind, const, [(where[s], c) for s, c in terms]) for kind, const, terms in program["guards"]]
        host = [decode_host(entry) for entry in program["host"]]
        return Plan(
            self._entries[program["entry"]],
            guards=[*signature_guards(overload["args"]), *asked],
            hidden=hidden,
            hidden_key=self.signature(args, {}, hidden).hidden_key,
            results=[(k, None if d is None else np.dtype(d), *rest) for k, d, *rest in program["results"]],
            tree=decode_tree(program["tree"]),
            mutates=program["mutates"],
            host=[hostcalls.make(entry) for entry in host],
            heavy=program["heavy"],
            ordered=any(map(hostcalls.is_ordered, host)),
        )  # fmt: skip


def _foreign(obj: Any) -> tuple[tuple[Any, ...], None] | None:
    """For the runtime: what is no number, array or container has no content, so that `fitted` refuses it."""
    return None if isinstance(obj, np.ndarray) else ((), None)


def _holds(kind: str, n: int) -> bool:
    return n == 0 if kind == "==" else n >= 0 if kind == ">=" else n != 0


def signature_guards(args: Sequence[Sequence[Any]]) -> list[tuple[str, int, list[tuple[int, int]]]]:
    """That numbers are what the signature says, and sizes with one name equal."""
    guards: list[tuple[str, int, list[tuple[int, int]]]] = []
    first: dict[str, int] = {}
    for slot, size in enumerate([s for _, shape in args for s in shape or ()]):
        if isinstance(size, int):
            guards.append(("==", -size, [(slot, 1)]))
        elif first.setdefault(size, slot) != slot:
            guards.append(("==", 0, [(slot, 1), (first[size], -1)]))
    return guards


def slots(args: Sequence[Sequence[Any]], names: Sequence[str], sizes_frozen: int) -> dict[str, int]:
    """Where sizes and integer arguments stand in the table that a plan's guards read."""
    sizes = [s for _, shape in args for s in shape or ()]
    found = {s: sizes.index(s) for s in sizes if isinstance(s, str)}
    ints = [name for name, spec in zip(names, args, strict=False) if spec == ["i64", None]]
    return found | {f"int {name}": len(sizes) + sizes_frozen + k for k, name in enumerate(ints)}


def integers(overload: dict[str, Any], names: Sequence[str], values: Sequence[Any]) -> dict[str, int]:
    """The integer arguments, as guards name them."""
    found = zip(names, overload["args"], values, strict=False)
    return {f"int {name}": value for name, spec, value in found if spec == ["i64", None]}


def text_of(spec: Sequence[Any]) -> str:
    """A type as signatures write it."""
    return spec[0] if spec[1] is None else f"{spec[0]}[{', '.join(map(str, spec[1]))}]"  # type: ignore[no-any-return]


def kind_of(value: Any) -> str:
    """What a value is, in the words of signatures."""
    if isinstance(value, np.ndarray | Array):
        text = f"{name_of(value.dtype)}[{', '.join(map(str, value.shape))}]"
        return text if isinstance(value, np.ndarray) else f"weft.Array {text}"
    if isinstance(value, np.generic):
        return f"numpy.{type(value).__name__}"
    return type(value).__name__


def fitted(name: str, value: Any, spec: Sequence[Any], convert: bool) -> Any:
    """An argument as its type in the signature says.

    Parameters
    ----------
    name
        The argument's name, for messages.
    value
        The argument.
    spec
        The name of a dtype, and sizes (None for a scalar).
    convert
        Whether a number of another type may be converted, where that keeps its value as NumPy's rules for Python's
        numbers have it.

    Raises
    ------
    Misfit
        It does not fit.
    """
    dtype, shape = spec
    if shape is None:
        return fitted_number(name, value, dtype, convert)
    said = f"argument {name!r} is {kind_of(value)}, and the signature says {text_of(spec)}"
    if not isinstance(value, np.ndarray | Array):
        raise Misfit(f"{said}: pass a NumPy array")
    if value.ndim != len(shape):
        raise Misfit(f"{said}: it has {value.ndim} axes, not {len(shape)}")
    if value.dtype.newbyteorder("=") != dtype_of(dtype):
        raise Misfit(f"{said}: convert it, as with {name}.astype(np.{dtype_of(dtype).name})")
    return value


def fitted_number(name: str, value: Any, dtype: str, convert: bool) -> Any:
    """A number as the signature says; see `fitted`."""
    python = _PYTHON.get(dtype)
    scalar = dtype_of(dtype).type
    if type(value) is (python or scalar):
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise Misfit(f"argument {name!r} is an int that does not fit 64 bits", OverflowError)
        return value
    if convert and isinstance(value, scalar):
        return value.item() if python else value
    fits = isinstance(value, _NUMBERS.get(dtype, (int,))) and not isinstance(value, np.generic)
    if convert and fits and (dtype == "bool") == isinstance(value, bool):
        try:
            return python(value) if python else scalar(value)
        except OverflowError:
            raise Misfit(f"argument {name!r} is an int that {dtype} cannot hold", OverflowError) from None
    raise Misfit(f"argument {name!r} is {kind_of(value)}, and the signature says {dtype}")


def check_size(
    overload: dict[str, Any], name: str, spec: Sequence[Any], axis: int, n: int, sizes: dict[str, int],
    seen: dict[str, str], size: int | str,
) -> None:  # fmt: skip
    """Compare one size with the signature; names get their numbers.

    Raises
    ------
    Misfit
        It is another.
    """
    here = f"axis {axis} of {name!r}" if len(spec[1]) > 1 else f"the size of {name!r}"
    if isinstance(size, int):
        if n != size:
            raise Misfit(f"{here} is {n}, and the signature says {text_of(spec)}", ValueError)
        return
    least = overload["least"].get(size, 0)
    if n < least:
        raise Misfit(f"{here} is {n}, and {size} is {least} at least in '{overload['signature']}'", ValueError)
    if sizes.setdefault(size, n) != n:
        raise Misfit(
            f"{seen[size]} is {sizes[size]} and {here} is {n}: both are {size} in '{overload['signature']}'", ValueError
        )
    seen.setdefault(size, here)


__all__ = ["FORMAT", "Built", "bind"]
