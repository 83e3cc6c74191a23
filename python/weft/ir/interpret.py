"""The NumPy interpreter: the meaning of the IR, against which everything else is checked.

Values are NumPy scalars and arrays that are never changed once bound, so views are shared freely inside; results are
copied on the way out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft.ir.nodes import (
    Atom,
    Block,
    Call,
    For,
    Function,
    If,
    Lit,
    Map,
    Op,
    Span,
    Stmt,
    Var,
    While,
)  # fmt: skip
from weft.ir.primitive import Collective
from weft.ir.sizes import Dim, Size, eval_size
from weft.ir.types import ArrayType

Env = dict[Var, Any]


class InterpretError(AssertionError):
    """A value does not have its type: a mistake in a rule, never in the user's program."""


def evaluate(function: Function, *args: Any) -> list[Any]:
    """Run ``function`` on NumPy values.

    Parameters
    ----------
    function
        What to run.
    *args
        One array or scalar per parameter. Arrays must have the parameter's dtype; Python numbers are converted.

    Returns
    -------
    list
        The results, arrays and NumPy scalars of exactly the IR's dtypes, none sharing memory with an argument. Results
        that update a parameter are returned like the others; the arguments are never changed.
    """
    return [np.array(r) if isinstance(r, np.ndarray) else r for r in _function(function, args)]


#: Called with each op, its operands and results while a function is evaluated; ops that print are then left out.
Watch = Callable[[Op, Sequence[Any], Sequence[Any]], None]
_watching: list[Watch] = []


def watched(function: Function, watch: Watch, *args: Any) -> list[Any]:
    """`evaluate`, telling ``watch`` of each op."""
    _watching.append(watch)
    try:
        return evaluate(function, *args)
    finally:
        _watching.pop()


def interpret(function: Function) -> Callable[..., list[Any]]:
    """A callable that runs ``function`` through `evaluate`."""
    return lambda *args: evaluate(function, *args)


def _function(f: Function, args: Sequence[Any]) -> list[Any]:
    if len(args) != len(f.params):
        raise TypeError(f"{f.name}() takes {len(f.params)} arguments, got {len(args)}")
    values = [_argument(f, p, a) for p, a in zip(f.params, args, strict=True)]
    env: Env = {v: np.int64(np.shape(values[p])[axis]) for v, p, axis in f.sizes}
    env.update(zip(f.params, values, strict=True))
    for p, v in zip(f.params, values, strict=True):
        want = _shape(p.type, env)
        if np.shape(v) != want:
            raise ValueError(f"{f.name}(): {p.name or p} has shape {np.shape(v)}, expected {want}")
    return _block(f.body, env)


def _argument(f: Function, p: Var, a: Any) -> Any:
    if isinstance(a, bool | int | float | complex):
        a = np.asarray(a).astype(p.type.dtype)
    value = np.asarray(a)
    if value.dtype != p.type.dtype or value.ndim != p.type.rank:
        raise TypeError(f"{f.name}(): {p.name or p} is {value.dtype} of rank {value.ndim}, expected {p.type}")
    return value[()] if value.ndim == 0 else value


# -- sizes and values ------------------------------------------------------------------------------------------------


def _size(s: Size, env: Env) -> int:
    return s if isinstance(s, int) else int(eval_size(s, env))


def _shape(t: ArrayType, env: Env) -> tuple[int, ...]:
    return tuple([_size(s, env) for s in t.shape])


def _static(value: Any, env: Env) -> Any:
    """An attribute with its sizes as numbers."""
    if isinstance(value, Dim):
        return _size(value, env)
    if type(value) is tuple:
        return tuple([_static(v, env) for v in value])
    if isinstance(value, Span):
        return Span(_size(value.size, env), value.step)
    return value


def _atom(a: Atom, env: Env) -> Any:
    return a.value if isinstance(a, Lit) else env[a]


def _atoms(atoms: Sequence[Atom], env: Env) -> list[Any]:
    return [a.value if isinstance(a, Lit) else env[a] for a in atoms]


def _bind(outs: Sequence[Var], values: Sequence[Any], env: Env, what: str) -> None:
    """Bind results, checking that each has exactly its type."""
    if len(outs) != len(values):
        raise InterpretError(f"{what}: {len(values)} values for {len(outs)} results")
    for v, x in zip(outs, values, strict=True):
        env[v] = x
    for v, x in zip(outs, values, strict=True):
        if isinstance(x, np.generic) != (v.type.rank == 0) or getattr(x, "dtype", None) != v.type.dtype:
            raise InterpretError(f"{what}: result {v} is {x!r}, not {v.type}")
        if v.type.rank and x.shape != _shape(v.type, env):
            raise InterpretError(f"{what}: result {v} has shape {x.shape}, not {_shape(v.type, env)}")


def _stack(rows: Sequence[Any], out: Var, env: Env, lead: Sequence[int]) -> Any:
    """Values collected in row-major order of ``lead``, as one array of ``out``'s type."""
    stacked = np.empty((len(rows), *_shape(out.type, env)[len(lead) :]), out.type.dtype)
    for k, row in enumerate(rows):
        stacked[k] = row
    return stacked.reshape(*lead, *stacked.shape[1:])


# -- statements ------------------------------------------------------------------------------------------------------


def _block(b: Block, env: Env) -> list[Any]:
    for s in b.stmts:
        _stmt(s, env)
    return _atoms(b.results, env)


def _stmt(s: Stmt, env: Env) -> None:
    match s:
        case Op():
            _op(s, env)
        case For():
            _for(s, env)
        case While():
            _while(s, env)
        case If():
            _bind(s.outs, _block(s.then if _atom(s.pred, env) else s.orelse, env), env, "if")
        case Map():
            _map(s, env)
        case Call():
            _bind(s.outs, _function(s.func, _atoms(s.args, env)), env, s.func.name)
        case _:
            raise TypeError(f"not a statement: {s!r}")


def _op(s: Op, env: Env) -> None:
    attrs = {k: _static(v, env) for k, v in s.attrs.items()}
    args = _atoms(s.args, env)
    if _watching and s.prim.effect == "io":
        return
    if isinstance(s.prim.kind, Collective):
        raise NameError(f"unbound axis name: {attrs['axis']}")
    value = s.prim.numpy(*args, **attrs)
    values = value if isinstance(value, tuple) else (value,)
    if _watching:
        _watching[-1](s, args, values)
    _bind(s.outs, [x[()] if isinstance(x, np.ndarray) and x.ndim == 0 else x for x in values], env, s.prim.name)


def _for(s: For, env: Env) -> None:
    trip, n = max(_size(s.trip, env), 0), len(s.inits)
    carries = _atoms(s.inits, env)
    collected: list[list[Any]] = [[None] * trip for _ in s.outs[n:]]
    for k in reversed(range(trip)) if s.reverse else range(trip):
        _bind(s.body.params, [np.int64(k), *carries], env, "for")
        results = _block(s.body, env)
        carries = results[:n]
        for rows, row in zip(collected, results[n:], strict=True):
            rows[k] = row
    stacked = [_stack(rows, out, env, (trip,)) for rows, out in zip(collected, s.outs[n:], strict=True)]
    _bind(s.outs, [*carries, *stacked], env, "for")


def _while(s: While, env: Env) -> None:
    n = len(s.inits)
    carries = _atoms(s.inits, env)
    collected: list[list[Any]] = [[] for _ in s.outs[n + 1 :]]
    trip = 0
    while True:
        _bind(s.cond.params, carries, env, "while")
        (again,) = _block(s.cond, env)
        if not again:
            break
        _bind(s.body.params, carries, env, "while")
        results = _block(s.body, env)
        carries = results[:n]
        for rows, row in zip(collected, results[n:], strict=True):
            rows.append(row)
        trip += 1
    env[s.outs[n]] = np.int64(trip)  # the stacked results' sizes name it
    stacked = [_stack(rows, out, env, (trip,)) for rows, out in zip(collected, s.outs[n + 1 :], strict=True)]
    _bind(s.outs, [*carries, np.int64(trip), *stacked], env, "while")


def _map(s: Map, env: Env) -> None:
    lead = [max(_size(z, env), 0) for z in s.sizes]
    n = len(s.inits)
    accumulators = _atoms(s.inits, env)
    elements: list[list[Any]] = [[] for _ in s.outs[n:]]
    for place in np.ndindex(*lead):
        _bind(s.body.params, [*map(np.int64, place), *accumulators], env, "map")
        results = _block(s.body, env)
        accumulators = results[:n]
        for rows, row in zip(elements, results[n:], strict=True):
            rows.append(row)
    stacked = [_stack(rows, out, env, lead) for rows, out in zip(elements, s.outs[n:], strict=True)]
    _bind(s.outs, [*accumulators, *stacked], env, "map")
