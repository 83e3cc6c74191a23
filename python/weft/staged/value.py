"""The staged value: a type, where its content is, and whose rules it follows.

A value has a *flavour*: ``py`` (a Python scalar, weak in promotion), ``np`` (a NumPy array or scalar) or ``weft`` (an
immutable `weft.Array`). NumPy arrays live in *cells*; a value names a cell and a chain of views of it, so that a
write through any view is seen by all. Scalars and weft arrays are immutable and hold an atom.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from weft.errors import (
    ConcretizationTypeError,
    StagingError,
    TracerArrayConversionError,
    TracerBoolConversionError,
    TracerIntegerConversionError,
)
from weft.ir.nodes import Atom, Lit, Var, lit
from weft.ir.sizes import Dim, Size, dim
from weft.ir.types import ArrayType, DType, bool_, c128, f64, i64, scalar
from weft.staged.context import Location, current

FLAVOURS = ("py", "np", "weft")
_numbers = itertools.count()


def join_flavours(*flavours: str) -> str:
    """The flavour of a result of operands with these flavours."""
    return max(flavours, key=FLAVOURS.index) if flavours else "py"


class Cell(Location):
    """The memory of one NumPy array; ``atom`` is its content now."""

    __slots__ = ("atom", "id", "name", "readonly", "stale")

    def __init__(self, atom: Atom, name: str = "", readonly: str = "") -> None:
        self.atom = atom
        self.name = name
        self.readonly = readonly  # why it must not be written
        self.stale: tuple[tuple[Cell, Atom], ...] = ()  # contents that must not have changed when this is read
        self.id = next(_numbers)

    def get(self) -> Any:
        return self.atom

    def set(self, content: Any) -> None:
        self.atom = content

    @property
    def label(self) -> str:
        return f"array '{self.name}'" if self.name else "an array"

    def read(self) -> Atom:
        """The content now."""
        for cell, content in self.stale:
            if cell.atom is not content:
                raise StagingError(
                    "this array may be one of several (it was bound differently on two paths), and one of them has been"
                    " written since",
                    remedy="take a copy where it is bound: `y = a.copy()`",
                    loc=current().loc,
                )
        return self.atom

    def write(self, atom: Atom) -> None:
        """Replace the content."""
        ctx = current()
        if self.readonly:
            raise StagingError(self.readonly, remedy=_WRITE, loc=ctx.loc)
        if self.stale:
            raise StagingError(
                "a write to an array that may be one of several (it was bound differently on two paths)",
                remedy="take a copy where it is bound: `y = a.copy()`",
                loc=ctx.loc,
            )
        ctx.touch(self)
        self.atom = atom
        if isinstance(atom, Var) and not atom.name:
            atom.name = self.name


_WRITE = "write to a copy, `x = x.copy()`, or pass the array as an argument of its own, which may be written"


class View:
    """One step from an array to a view of it."""

    __slots__ = ()

    def get(self, base: Atom) -> Atom:
        """The view of ``base``."""
        raise NotImplementedError

    def put(self, base: Atom, value: Atom) -> Atom:
        """``base`` with the viewed region replaced."""
        raise NotImplementedError


if TYPE_CHECKING:

    def _operator(self: Staged, other: Any, /) -> Any: ...


class Staged:
    """A value known only at run time.

    Parameters
    ----------
    atom
        Its content, for scalars and immutable arrays.
    flavour
        ``py``, ``np`` or ``weft``.
    cell, views
        Where a NumPy array's content is.
    extent
        For integers that are affine in sizes: that expression.
    """

    __slots__ = ("_atom", "cell", "extent", "fact", "flavour", "type", "views")
    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        atom: Atom | None,
        flavour: str,
        *,
        cell: Cell | None = None,
        views: tuple[View, ...] = (),
        type: ArrayType | None = None,
        extent: Size | None = None,
    ) -> None:
        self._atom = atom
        self.flavour = flavour
        self.cell = cell
        self.views = views
        self.extent: Any = extent
        self.fact: tuple[str, Size] | None = None
        if type is None:
            assert atom is not None
            type = atom.type
        self.type = type

    if TYPE_CHECKING:  # attached by staged.arith and staged.indexing
        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _operator
        __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _operator
        __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __lshift__ = __rshift__ = _operator
        __lt__ = __le__ = __gt__ = __ge__ = __getitem__ = _operator

        def __neg__(self) -> Any: ...
        def __pos__(self) -> Any: ...
        def __abs__(self) -> Any: ...
        def __invert__(self) -> Any: ...
        def __setitem__(self, key: Any, value: Any) -> None: ...

    # -- content ---------------------------------------------------------------------------------------------------

    @property
    def atom(self) -> Atom:
        """The content now, as an atom."""
        if self.cell is not None:
            a = self.cell.read()
            for view in self.views:
                a = view.get(a)
            return a
        if self._atom is None:
            self._atom = current().builder.size_value(self.extent)
        return self._atom

    def put(self, value: Atom) -> None:
        """Replace the content of the (view of the) array."""
        ctx = current()
        if self.cell is None:
            raise TypeError("not an array that can be written")
        bases = [self.cell.read()]
        for view in self.views[:-1]:
            bases.append(view.get(bases[-1]))
        for view, base in zip(reversed(self.views), reversed(bases), strict=True) if self.views else ():
            value = view.put(base, value)
        with ctx.builder.at(ctx.loc):
            self.cell.write(value)

    def viewed(self, view: View, type: ArrayType) -> Staged:
        """A view of this array (of its value, for immutable arrays)."""
        if self.cell is not None:
            return Staged(None, self.flavour, cell=self.cell, views=(*self.views, view), type=type)
        return wrap(view.get(self.atom), self.flavour)

    # -- what Python sees ------------------------------------------------------------------------------------------

    @property
    def dtype(self) -> DType:
        """The dtype."""
        return self.type.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.type.rank

    @property
    def shape(self) -> tuple[Any, ...]:
        """The sizes: ints, or staged Python ints where they are symbols."""
        return tuple([size_object(s) for s in self.type.shape])

    @property
    def sizes(self) -> tuple[Size, ...]:
        """The sizes as the IR has them, under the equalities known by now."""
        return tuple([current().resolve(s) for s in self.type.shape])

    def __copy__(self) -> Staged:
        """`copy.copy`, which library code calls: an array of its own where the value is one that can be written."""
        return wrap(self.atom, self.flavour) if self.cell is not None else self

    def __deepcopy__(self, memo: Any) -> Staged:
        return self.__copy__()

    def __repr__(self) -> str:
        return f"<staged {self.flavour} {self.type!r}>"

    def __bool__(self) -> bool:
        ctx = current()
        if self.fact is not None:
            return ctx.decide(*self.fact, "a Python branch on a size")
        if self.type.shape:
            raise ValueError(
                "The truth value of an array with more than one element is ambiguous. Use a.any() or a.all()"
            )
        a = self.atom
        if isinstance(a, Lit):
            return bool(a.value)
        raise TracerBoolConversionError(
            "a Python bool is needed here, but the value is only known at run time",
            remedy="use `np.where`, or an `if` statement in a function that weft stages",
            loc=ctx.loc,
        )

    def __index__(self) -> int:
        ctx = current()
        if self.type.shape or self.dtype.kind not in "iu":
            raise TypeError("only integer scalar arrays can be converted to a scalar index")
        a = self._atom
        if isinstance(a, Lit):
            return int(a.value)
        size = self.extent if self.extent is not None else dim(a)  # type: ignore[arg-type]
        return ctx.fix(size, "a number is needed while staging")

    def __int__(self) -> int:
        if self.type.shape or self.dtype.kind in "iu":
            return self.__index__()
        if isinstance(self.atom, Lit):
            return int(self.atom.value)
        raise TracerIntegerConversionError(
            "a Python integer is needed here, but the value is only known at run time",
            remedy="convert with .astype(int), or pass it as a static argument (static_argnums)",
            loc=current().loc,
        )

    def __float__(self) -> float:
        a = self.atom
        if isinstance(a, Lit):
            return float(a.value)
        raise ConcretizationTypeError(
            "a Python float is needed here, but the value is only known at run time",
            remedy="keep it as an array, or pass it as a static argument (static_argnums)",
            loc=current().loc,
        )

    def __complex__(self) -> complex:
        return complex(self.__float__())

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TracerArrayConversionError(
            "a NumPy array is needed here, but the value is only known at run time",
            remedy="use functions of weft.numpy or NumPy in the compiled function, or weft.pure_callback",
            loc=current().loc,
        )

    def __len__(self) -> int:
        if not self.type.shape:
            raise TypeError("len() of unsized object")
        return current().fix(self.type.shape[0], "the length of an array is needed as a number while staging")

    def __iter__(self) -> Iterator[Any]:
        if not self.type.shape:
            raise TypeError("iteration over a 0-d array")
        for i in range(len(self)):
            yield self[i]  # type: ignore[index]


# -- making values ---------------------------------------------------------------------------------------------------


def wrap(atom: Atom, flavour: str, name: str = "") -> Staged:
    """A new value holding ``atom``; NumPy arrays get a cell of their own."""
    if name and isinstance(atom, Var) and not atom.name:
        atom.name = name
    if flavour == "np" and atom.type.shape:
        return Staged(None, flavour, cell=Cell(atom, name), type=atom.type)
    if flavour == "py" and atom.type.shape:
        raise AssertionError("a Python scalar has rank 0")
    size: Size | None = None
    if not atom.type.shape and atom.type.dtype == i64:
        size = int(atom.value) if isinstance(atom, Lit) else dim(atom)
    return Staged(atom, flavour, extent=size)


def size_object(size: Size) -> Any:
    """A size as Python sees it: an int, or a staged Python int."""
    size = current().resolve(size)
    if isinstance(size, int):
        return size
    return Staged(None, "py", type=scalar(i64), extent=size)


def size_of(x: Any, what: str = "a size") -> Size:
    """The size that a Python int or a staged integer stands for."""
    if isinstance(x, Staged):
        if x.type.shape or x.dtype.kind not in "iu":
            raise TypeError(f"'{x.dtype}' object cannot be interpreted as an integer ({what})")
        if x.extent is not None:
            return current().resolve(x.extent)
        from weft.ir.primitive import REGISTRY

        a = x.atom if x.dtype == i64 else REGISTRY["cast"](x.atom, dtype=i64)
        return int(a.value) if isinstance(a, Lit) else dim(a)
    if isinstance(x, bool | np.bool_) or not hasattr(x, "__index__"):
        raise TypeError(f"'{type(x).__name__}' object cannot be interpreted as an integer ({what})")
    return int(x.__index__())


PY_DTYPES: dict[type, DType] = {bool: bool_, int: i64, float: f64, complex: c128}


def py_kind(dtype: DType) -> type:
    """The Python scalar type of a ``py`` value."""
    return {"b": bool, "i": int, "f": float, "c": complex}[dtype.kind]


def literal(x: Any) -> Lit:
    """The literal of a Python or NumPy scalar."""
    if type(x) in PY_DTYPES:
        if isinstance(x, int) and not -(2**63) <= x < 2**63:
            raise StagingError(f"the integer {x} does not fit 64 bits", remedy="use a float", loc=current().loc)
        return lit(x, PY_DTYPES[type(x)])
    return lit(x, np.asarray(x).dtype)


def is_number(x: Any) -> bool:
    """Whether ``x`` is a scalar known while staging."""
    return type(x) in PY_DTYPES or isinstance(x, np.generic)


def lift(x: Any) -> Staged:
    """Any number, array or nested sequence of them as a staged value."""
    if isinstance(x, Staged):
        return x
    if is_number(x):
        return wrap(literal(x), "py" if type(x) in PY_DTYPES else "np")
    if isinstance(x, np.ndarray) or hasattr(x, "__array__"):
        return constant_array(x)
    raise TypeError(f"cannot make an array of {type(x).__name__!r}")


#: Set by the frontend: brings a captured array into the program as a hidden argument.
capture_array: list[Callable[[Any], Staged]] = []

#: Set by the frontend: calls a function of the user's on staged values.
call_function: list[Callable[..., Any]] = []


def called(fun: Callable[..., Any], *args: Any) -> Any:
    """What a function given to a library function returns; it is staged, as if the program called it."""
    return call_function[-1](fun, args, {}) if call_function else fun(*args)


def constant_array(x: Any) -> Staged:
    """A concrete array that staged code uses."""
    from weft.ir.primitive import REGISTRY

    flavour = "np" if isinstance(x, np.ndarray) else "weft"
    data = np.asarray(x)
    if data.ndim == 0:
        return wrap(lit(data[()], data.dtype), flavour)
    if data.size > 64 and capture_array:
        return capture_array[-1](x)
    flat = [lit(v, data.dtype) for v in data.ravel()]
    return wrap(REGISTRY["make"](*flat, shape=data.shape) if flat else _empty(data), flavour)


def _empty(data: np.ndarray) -> Atom:
    from weft.ir.primitive import REGISTRY

    a: Atom = REGISTRY["broadcast"](lit(0, data.dtype), shape=data.shape, dims=())
    return a


def type_of(x: Any) -> ArrayType:
    """The type of a number or staged value."""
    return x.type if isinstance(x, Staged) else literal(x).type


__all__ = [
    "FLAVOURS",
    "PY_DTYPES",
    "Cell",
    "Dim",
    "Staged",
    "View",
    "call_function",
    "called",
    "capture_array",
    "constant_array",
    "is_number",
    "join_flavours",
    "lift",
    "literal",
    "py_kind",
    "size_object",
    "size_of",
    "type_of",
    "wrap",
]  # fmt: skip
