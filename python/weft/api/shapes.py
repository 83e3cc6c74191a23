"""Shapes and dtypes without values: `eval_shape`, `make_ir`, `typeof`, and calls that are staged but not run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from weft import tree_util
from weft.api.transformed import Transformed
from weft.frontend.stage import Program
from weft.ir.nodes import Lit, Op, vars_in_static
from weft.ir.sizes import eval_size
from weft.ir.types import ArrayType

if TYPE_CHECKING:
    from weft.ir.nodes import Function, Var


class ShapeDtypeStruct:
    """A shape and a dtype, in place of an array of them.

    Parameters
    ----------
    shape
        The sizes.
    dtype
        The dtype.
    sharding, weak_type
        Accepted for compatibility.

    Examples
    --------
    >>> import weft
    >>> weft.ShapeDtypeStruct((2, 3), "float32")
    ShapeDtypeStruct(shape=(2, 3), dtype=float32)
    """

    __slots__ = ("dtype", "shape", "sharding", "weak_type")

    def __init__(self, shape: Any, dtype: Any, *, sharding: Any = None, weak_type: bool = False) -> None:
        if dtype is None:
            raise ValueError("ShapeDtypeStruct: dtype must be given")
        self.shape = (shape,) if isinstance(shape, int) else tuple(shape)
        self.dtype = np.dtype(dtype)
        self.sharding = sharding
        self.weak_type = weak_type

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        n = 1
        for k in self.shape:
            n = n * k
        return n

    def update(self, **changes: Any) -> ShapeDtypeStruct:
        """A copy with another shape or dtype."""
        return ShapeDtypeStruct(**{"shape": self.shape, "dtype": self.dtype, **changes})

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return int(self.shape[0])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShapeDtypeStruct) and (self.shape, self.dtype) == (other.shape, other.dtype)

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __repr__(self) -> str:
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={self.dtype.name})"


def stand_ins(tree: Any) -> Any:
    """A tree with an array, of no memory, for each ShapeDtypeStruct."""
    if not any(isinstance(x, ShapeDtypeStruct) for x in tree_util.tree_leaves(tree)):
        return tree

    def array(x: Any) -> Any:
        return np.broadcast_to(np.zeros((), x.dtype), x.shape) if isinstance(x, ShapeDtypeStruct) else x

    return tree_util.tree_map(array, tree)


def typeof(x: Any) -> ShapeDtypeStruct:
    """The shape and dtype of an array or number.

    Examples
    --------
    >>> import weft
    >>> weft.typeof(weft.numpy.zeros((2, 3)))
    ShapeDtypeStruct(shape=(2, 3), dtype=float64)
    """
    if isinstance(x, bool | int | float | complex):
        return ShapeDtypeStruct((), np.asarray(x).dtype)
    if not hasattr(x, "shape") or not hasattr(x, "dtype"):
        raise TypeError(f"typeof: {type(x).__name__} is no array or number")
    return ShapeDtypeStruct(x.shape, x.dtype)


def eval_shape(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The shapes and dtypes of a function's results; it is staged for the arguments, and neither compiled nor run.

    Parameters
    ----------
    fun
        The function.
    *args, **kwargs
        Its arguments; `ShapeDtypeStruct` may stand for arrays.

    Returns
    -------
    tree
        The result with a `ShapeDtypeStruct` for each array and number.

    Raises
    ------
    ValueError
        A shape depends on values.

    Examples
    --------
    >>> import weft
    >>> weft.eval_shape(lambda a, b: a @ b, *[weft.ShapeDtypeStruct((3, 3), "float32")] * 2)
    ShapeDtypeStruct(shape=(3, 3), dtype=float32)
    """
    return lower(_transformed(fun), args, kwargs).out_info


def _transformed(fun: Callable[..., Any], static_argnums: Any = None) -> Any:
    from weft.api.jit import jit

    if isinstance(fun, Transformed) and static_argnums is None:
        return fun
    return jit(fun, static_argnums=static_argnums)


@dataclass
class Lowered(Program):
    """A call that is staged and not compiled."""

    def __post_init__(self) -> None:
        self._call: Any = None
        self.compiled: Any = None

    def as_text(self) -> str:
        """The IR."""
        from weft.ir.printer import to_text

        return to_text(self.function)

    def compile(self) -> Transformed:
        """The function, with the program for these arguments compiled."""
        from weft.api.compiled import answer_later

        t, args, kwargs = self._call
        answer_later(t, args, kwargs)
        found: Transformed = self.compiled or t
        return found

    @property
    def out_info(self) -> Any:
        """The result with a `ShapeDtypeStruct` for each array and number.

        Raises
        ------
        ValueError
            A shape depends on values.
        """
        env = self._sizes()
        types = [r.type for r in self.function.results]

        def struct(t: ArrayType) -> ShapeDtypeStruct:
            try:
                return ShapeDtypeStruct([eval_size(n, env) for n in t.shape], t.dtype)
            except KeyError:
                raise ValueError(f"the shape of a result, {t}, depends on the values of the arguments") from None

        def result(k: int) -> ShapeDtypeStruct:
            r = self.results[k]
            found = struct(self.function.params[r.leaf].type if r.kind == "leaf" else types[k])
            rows = None if self.spread is None else self.spread.outs[k]
            return found if rows is None else found.update(shape=(max(rows) + 1, *found.shape))

        found = _built(self.tree, result)
        if self.spread is None:
            return found
        whole = self._call[0].parts.unstacked(stand_ins(found), np)
        return tree_util.tree_map(lambda x: typeof(x) if isinstance(x, np.ndarray) else x, whole)

    def _sizes(self) -> dict[Var, Any]:
        """What sizes may name, as far as it is known: sizes of arguments, integers, and what is computed of them."""
        parts = [0] * len(self.leaves) if self.spread is None else [n is not None for n in self.spread.splits]
        env: dict[Var, Any] = {v: self.leaves[p].shape[axis + parts[p]] for v, p, axis in self.function.sizes}
        for p, leaf in zip(self.function.params, self.leaves, strict=True):
            if leaf.flavour == "py" and leaf.dtype == "i":
                env[p] = int(leaf.value)
        for s in self.function.body.stmts:
            if (
                not isinstance(s, Op)
                or s.prim.effect
                or any([o.type.shape or o.type.dtype.kind != "i" for o in s.outs])
            ):
                continue
            if all([isinstance(a, Lit) or a in env for a in s.args]) and not any(
                vars_in_static(tuple(s.attrs.values()))
            ):
                values = [np.asarray(a.value if isinstance(a, Lit) else env[a], a.type.dtype)[()] for a in s.args]
                found = s.prim.numpy(*values, **s.attrs)
                env.update(zip(s.outs, found if isinstance(found, tuple) else (found,), strict=True))
        return env


def _built(tree: tuple[Any, ...], leaf: Callable[[int], Any]) -> Any:
    match tree:
        case ("leaf", k):
            return leaf(k)
        case ("const", x):
            return typeof(x) if isinstance(x, bool | int | float | complex | np.generic) else x
        case ("tuple", items):
            return tuple([_built(t, leaf) for t in items])
        case ("list", items):
            return [_built(t, leaf) for t in items]
        case ("dict", keys, items):
            return dict(zip(keys, [_built(t, leaf) for t in items], strict=True))
        case ("call", make, items):
            return make(*[_built(t, leaf) for t in items])
    raise TypeError(f"not a structure: {tree!r}")


def lower(t: Transformed, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Lowered:
    """Stage a call, in which `ShapeDtypeStruct` may stand for arrays."""
    from weft.api.compiled import stage_only

    args, kwargs = stand_ins((args, kwargs))
    program = stage_only(t, args, kwargs)
    made = Lowered(**{f.name: getattr(program, f.name) for f in fields(Program)})
    made._call = (t, args, kwargs)
    return made


class IR:
    """The IR of a function for some arguments; prints as its text.

    Attributes
    ----------
    function
        The IR itself (`weft.ir.nodes.Function`).
    out_info
        The result with a `ShapeDtypeStruct` for each array and number.
    """

    def __init__(self, lowered: Lowered) -> None:
        self.function: Function = lowered.function
        self.out_info = lowered.out_info
        self._text = lowered.as_text().rstrip()

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__


def make_ir(
    fun: Callable[..., Any], static_argnums: int | Sequence[int] | None = None, *, return_shape: bool = False
) -> Callable[..., Any]:
    """A function that shows the IR of ``fun`` for the arguments it gets.

    Parameters
    ----------
    fun
        The function.
    static_argnums
        Arguments that are known while staging.
    return_shape
        Whether to give the shapes of the results as well.

    Examples
    --------
    >>> import weft
    >>> print(weft.make_ir(lambda x: 2.0 * x + 1.0)(3.0))
    def lambda_(x: f64):
      v1: f64 = mul(2.0:f64, x)
      v2: f64 = add(v1, 1.0:f64)
      yield v2
    """
    t = _transformed(fun, static_argnums)

    def made(*args: Any, **kwargs: Any) -> Any:
        lowered = lower(t, args, kwargs)
        ir = IR(lowered)
        return (ir, lowered.out_info) if return_shape else ir

    return made


make_jaxpr = make_ir
