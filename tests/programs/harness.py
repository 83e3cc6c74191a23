"""Runs ordinary Python functions through every way weft has of running them, and compares with Python.

A program is a plain function with sample calls. `check` runs it as Python, through the IR interpreter and as compiled
C++: values, dtypes, Python types of results, mutated arguments and printed text must agree. `check_gradients` compares
reverse mode with forward mode and finite differences, `check_vmap` a batch with a loop over its lanes. `check_cuda`
and what follows it run the same, the gradient and the batch as CUDA code in the emulator of tests/cuda.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
from tests.cuda.harness import Emulated

import weft
from weft.api.interpreted import Interpreted

Calls = Callable[[], list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Program:
    """A function, its sample calls, and what can be done with it."""

    fn: Callable[..., Any]
    calls: Calls
    grad: tuple[int, ...] = ()
    second: bool = False
    vmap: Any = None  # in_axes, or None
    rtol: float = 1e-12
    grad_rtol: float = 2e-5
    jit: dict[str, Any] = field(default_factory=dict)
    grad_calls: Calls | None = None  # where some of the sample calls are not differentiable
    loose: bool = False  # the result's Python type depends on the data: a Python number and a NumPy scalar are alike

    @property
    def name(self) -> str:
        return self.fn.__name__


PROGRAMS: list[Program] = []


def program(calls: Calls, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as a program."""

    def register(fn: Callable[..., Any]) -> Callable[..., Any]:
        PROGRAMS.append(Program(fn, calls, **options))
        return fn

    return register


# -- running ---------------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What a call did."""

    value: Any
    args: tuple[Any, ...]
    printed: str
    error: tuple[str, str] | None


def outcome(f: Callable[..., Any], args: tuple[Any, ...]) -> Outcome:
    """Call ``f`` on copies of the arguments."""
    args = copy.deepcopy(args)
    out = io.StringIO()
    value, error = None, None
    with contextlib.redirect_stdout(out), np.errstate(all="ignore"):
        try:
            value = f(*args)
        except weft.StagingError:
            raise
        except Exception as e:
            error = (type(e).__name__, str(e).split("\n")[0])
    return Outcome(value, args, out.getvalue(), error)


def interpreted(fn: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """``fn`` staged at each call and run by the IR interpreter."""
    t = weft.jit(fn, **options)

    def run(*args: Any) -> Any:
        it = Interpreted(t.lower(*args))
        leaves = it.applies(t.signature(args, {}))
        assert leaves is not None, "a program must apply to the call it was staged for"
        return it.run(leaves)

    return run


def same(got: Any, want: Any, rtol: float, where: str = "result") -> None:
    """Assert equal structure, Python types, dtypes, shapes and values."""
    if isinstance(want, np.ndarray | np.generic):
        assert type(got) is type(want), f"{where}: {type(got).__name__} for {type(want).__name__}"
        assert got.dtype == want.dtype, f"{where}: {got.dtype} for {want.dtype}"
        assert got.shape == want.shape, f"{where}: {got.shape} for {want.shape}"
        eps = 2e-5 if want.dtype in (np.float32, np.complex64) else rtol
        np.testing.assert_allclose(got, want, rtol=eps, atol=eps, err_msg=where)
        if want.dtype.kind in "biu":
            assert np.array_equal(got, want), where
        return
    assert type(got) is type(want), f"{where}: {got!r} ({type(got).__name__}) for {want!r} ({type(want).__name__})"
    if isinstance(want, float | complex):
        np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol, err_msg=where)
    elif isinstance(want, tuple | list):
        assert len(got) == len(want), f"{where}: {got!r} for {want!r}"
        for i, (g, w) in enumerate(zip(got, want, strict=True)):
            same(g, w, rtol, f"{where}[{i}]")
    elif isinstance(want, dict):
        assert list(got) == list(want), f"{where}: keys {list(got)} for {list(want)}"
        for k in want:
            same(got[k], want[k], rtol, f"{where}[{k!r}]")
    elif dataclasses.is_dataclass(want):
        for f in dataclasses.fields(want):
            same(getattr(got, f.name), getattr(want, f.name), rtol, f"{where}.{f.name}")
    else:
        assert got == want, f"{where}: {got!r} for {want!r}"


def agree(got: Outcome, want: Outcome, p: Program, how: str) -> None:
    """Assert that two calls did the same."""
    assert got.error == want.error, f"{how}: raised {got.error} where Python raised {want.error}"
    assert got.printed == want.printed, f"{how}: printed {got.printed!r} for {want.printed!r}"
    if want.error is None:
        value, expected = got.value, want.value
        if p.loose and np.ndim(value) == np.ndim(expected) == 0:
            value, expected = float(value), float(expected)
        same(value, expected, p.rtol, f"{how}: result")
        same(got.args, want.args, p.rtol, f"{how}: arguments")


def check(p: Program) -> None:
    """Python, the interpreter and compiled code agree on every sample call."""
    compiled = weft.jit(p.fn, **p.jit)
    for args in p.calls():
        want = outcome(p.fn, args)
        agree(outcome(interpreted(p.fn, **p.jit), args), want, p, "interpreted")
        agree(outcome(compiled, args), want, p, "compiled")
        agree(outcome(compiled, args), want, p, "compiled again")


# -- derivatives -----------------------------------------------------------------------------------------------------


def leaves_of(x: Any) -> list[Any]:
    """The numbers and arrays in a structure."""
    if isinstance(x, tuple | list):
        return [v for item in x for v in leaves_of(item)]
    if isinstance(x, dict):
        return [v for item in x.values() for v in leaves_of(item)]
    if dataclasses.is_dataclass(x) and not isinstance(x, type):
        return [v for f in dataclasses.fields(x) for v in leaves_of(getattr(x, f.name))]
    return [x]


def rebuilt(like: Any, leaves: Any) -> Any:
    """A structure like another one over new leaves (an iterator)."""
    if isinstance(like, tuple) and hasattr(like, "_fields"):
        return type(like)(*[rebuilt(v, leaves) for v in like])
    if isinstance(like, tuple | list):
        return type(like)(rebuilt(v, leaves) for v in like)
    if isinstance(like, dict):
        return {k: rebuilt(v, leaves) for k, v in like.items()}
    if dataclasses.is_dataclass(like) and not isinstance(like, type):
        return type(like)(**{f.name: rebuilt(getattr(like, f.name), leaves) for f in dataclasses.fields(like)})
    return next(leaves)


def inexact(x: Any) -> bool:
    return isinstance(x, float) or (isinstance(x, np.ndarray | np.generic) and x.dtype.kind == "f")


def moved(x: Any, direction: Sequence[Any], h: float) -> Any:
    """``x + h * direction`` leaf by leaf."""
    new = []
    for v, d in zip(leaves_of(x), direction, strict=True):
        if not inexact(v):
            new.append(v)
        elif isinstance(v, np.ndarray):
            new.append((v + h * d).astype(v.dtype))
        else:
            new.append(type(v)(v + h * d))
    return rebuilt(x, iter(new))


def directions(x: Any, seed: int) -> list[Any]:
    """A random direction for each leaf (zero for integers)."""
    rng = np.random.default_rng(seed)
    out: list[Any] = []
    for v in leaves_of(x):
        if not inexact(v):
            out.append(0.0)
        elif isinstance(v, np.ndarray):
            out.append(rng.standard_normal(v.shape).astype(v.dtype))
        else:
            out.append(float(rng.standard_normal()))
    return out


def scalar(x: Any) -> float:
    """A number from a result: a fixed combination of its inexact leaves."""
    total = 0.0
    for i, v in enumerate(leaves_of(x)):
        if inexact(v):
            v64 = np.asarray(v, dtype=float)
            total += float(np.sum(v64 * np.cos(np.arange(v64.size).reshape(v64.shape) + i)))
    return total


def weighted(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A scalar function of a program's result, as `scalar`, in a form that weft stages."""

    def total(x: Any, i: Any) -> Any:
        if isinstance(x, tuple | list):
            out, n = 0.0, i
            for item in x:
                part, n = total(item, n)
                out = out + part
            return out, n
        if isinstance(x, dict):
            return total(list(x.values()), i)
        if dataclasses.is_dataclass(x):
            return total([getattr(x, f.name) for f in dataclasses.fields(x)], i)
        if isinstance(x, float | np.floating):
            return x * np.cos(float(i)), i + 1
        if isinstance(x, np.ndarray) and x.dtype.kind == "f":
            return np.sum(x * np.cos(np.arange(x.size).reshape(x.shape) + i)), i + 1
        return 0.0, i + 1

    def loss(*args: Any) -> Any:
        return total(fn(*args), 0)[0]

    return loss


def numeric(f: Callable[..., float], args: tuple[Any, ...], nums: Sequence[int], ds: Sequence[Any], h: float) -> float:
    """The central difference of ``f`` along a direction."""

    def at(t: float) -> float:
        new = list(copy.deepcopy(args))
        for n, d in zip(nums, ds, strict=True):
            new[n] = moved(new[n], d, t)
        with np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
            return f(*new)

    return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)


def dot(gradient: Any, direction: Sequence[Any]) -> float:
    """The inner product of a gradient with a direction."""
    return float(
        sum(np.sum(np.asarray(g, dtype=float) * d) for g, d in zip(leaves_of(gradient), direction, strict=True))
    )


def check_gradients(p: Program) -> None:
    """Reverse mode against forward mode and finite differences."""
    loss = weighted(p.fn)
    for args in (p.grad_calls or p.calls)():
        single = any(
            isinstance(v, np.ndarray | np.generic) and v.dtype == np.float32 for n in p.grad for v in leaves_of(args[n])
        )
        h, rtol = (1e-2, 2e-2) if single else (1e-4, p.grad_rtol)
        ds = [directions(args[n], 7 * n + 1) for n in p.grad]
        want = numeric(lambda *a: scalar(p.fn(*a)), args, p.grad, ds, h)
        with contextlib.redirect_stdout(io.StringIO()):
            gradient = weft.grad(loss, argnums=p.grad)(*copy.deepcopy(args))
            reverse = sum(dot(g, d) for g, d in zip(gradient, ds, strict=True))

            def along(*xs: Any, args: tuple[Any, ...] = args) -> Any:
                full = list(args)
                for n, x in zip(p.grad, xs, strict=True):
                    full[n] = x
                return loss(*full)

            if all(inexact(v) for n in p.grad for v in leaves_of(args[n])):
                primals = tuple(copy.deepcopy(args[n]) for n in p.grad)
                tangents = tuple(rebuilt(args[n], iter(d)) for n, d in zip(p.grad, ds, strict=True))
                _, tangent = weft.jvp(along, primals, tangents)
                np.testing.assert_allclose(tangent, reverse, rtol=1e-3 if single else 1e-8, atol=1e-8)
        np.testing.assert_allclose(reverse, want, rtol=rtol, atol=rtol, err_msg=f"{p.name}: reverse mode")
        for g, n in zip(gradient, p.grad, strict=True):
            for v, x in zip(leaves_of(g), leaves_of(args[n]), strict=True):
                assert np.shape(v) == np.shape(x)
                if inexact(x):
                    assert np.asarray(v).dtype == np.asarray(x).dtype


def check_second(p: Program) -> None:
    """The derivative of the gradient: reverse over reverse, and forward over reverse, against differences of it."""
    loss = weighted(p.fn)
    args = p.calls()[0]
    nums = p.grad
    ds = [directions(args[n], 11 * n + 3) for n in nums]

    def slope(*a: Any) -> Any:
        gs = weft.grad(loss, argnums=nums)(*a)
        out = 0.0
        for g in gs:
            out = out + gathered(g)
        return out

    def gathered(g: Any) -> Any:
        if isinstance(g, tuple | list):
            out = 0.0
            for item in g:
                out = out + gathered(item)
            return out
        if isinstance(g, dict):
            return gathered(list(g.values()))
        return np.sum(np.sin(g)) if isinstance(g, np.ndarray) else np.sin(g)

    def eager(*a: Any) -> float:
        gs = weft.grad(loss, argnums=nums)(*a)
        return float(sum(np.sum(np.sin(v)) for g in gs for v in leaves_of(g)))

    want = numeric(eager, args, nums, ds, 1e-4)
    gradient = weft.grad(slope, argnums=nums)(*copy.deepcopy(args))
    reverse = sum(dot(g, d) for g, d in zip(gradient, ds, strict=True))
    np.testing.assert_allclose(reverse, want, rtol=1e-4, atol=1e-5, err_msg=f"{p.name}: reverse over reverse")


# -- batches ---------------------------------------------------------------------------------------------------------


def lanes_of(p: Program, count: int = 3) -> tuple[tuple[Any, ...], list[tuple[Any, ...]]]:
    """Batched arguments and the arguments of each lane: the first sample call, its numbers moved a little."""
    first = p.calls()[0]
    axes = p.vmap if isinstance(p.vmap, tuple) else (p.vmap,) * len(first)
    rng = np.random.default_rng(5)
    lanes: list[tuple[Any, ...]] = []
    for k in range(count):
        lane = []
        for a, axis in zip(first, axes, strict=True):
            if axis is None or k == 0 or not inexact(a):
                lane.append(copy.deepcopy(a) if axis is None or not isinstance(a, int) else a + k)
            else:
                lane.append(a * (1 + 0.1 * k) if np.ndim(a) == 0 else a + 0.05 * rng.standard_normal(np.shape(a)))
        lanes.append(tuple(lane))
    batched = tuple(
        lanes[0][i] if axis is None else np.stack([np.asarray(lane[i]) for lane in lanes], axis=axis)
        for i, axis in enumerate(axes)
    )
    return batched, lanes


def close(got: Any, want: Any, rtol: float, where: str) -> None:
    for g, w in zip(leaves_of(got), leaves_of(want), strict=True):
        np.testing.assert_allclose(g, w, rtol=rtol, atol=rtol, err_msg=where)


def check_vmap(p: Program) -> None:
    """A batch against a loop over its lanes, of the function and of its gradient."""
    batched, lanes = lanes_of(p)
    got = weft.vmap(p.fn, in_axes=p.vmap)(*copy.deepcopy(batched))
    for k, lane in enumerate(lanes):
        want = p.fn(*copy.deepcopy(lane))
        close([np.asarray(v)[k] for v in leaves_of(got)], leaves_of(want), 1e-9, f"{p.name}: lane {k}")
    if p.grad:
        derivative = weft.grad(weighted(p.fn), argnums=p.grad)
        mapped = weft.jit(weft.vmap(derivative, in_axes=p.vmap))(*copy.deepcopy(batched))
        for k, lane in enumerate(lanes):
            want = derivative(*copy.deepcopy(lane))
            close([np.asarray(v)[k] for v in leaves_of(mapped)], leaves_of(want), 1e-8, f"{p.name}: gradient, lane {k}")


# -- CUDA ------------------------------------------------------------------------------------------------------------

SEEDS = (0, 3)  # queued, with a library; at once, without one, in a random order


def emulated(fn: Callable[..., Any], seed: int, **options: Any) -> Callable[..., Any]:
    """``fn`` staged at each call, compiled for CUDA and run in the emulator."""
    t = weft.jit(fn, **options)

    def run(*args: Any) -> Any:
        it = Interpreted(t.lower(*args))
        leaves = it.applies(t.signature(args, {}))
        assert leaves is not None, "a program must apply to the call it was staged for"
        with mock.patch("weft.api.interpreted.evaluate", lambda f, *values: Emulated(f)(*values, seed=seed)):
            return it.run(leaves)

    return run


def check_cuda(p: Program) -> None:
    """CUDA code and Python agree on every sample call."""
    for args in p.calls():
        want = outcome(p.fn, args)
        for seed in SEEDS:
            agree(outcome(emulated(p.fn, seed, **p.jit), args), want, p, f"CUDA, seed {seed}")


def check_cuda_gradient(p: Program) -> None:
    """The gradient as CUDA code gives what it gives compiled for the CPU."""
    derivative = weft.grad(weighted(p.fn), argnums=p.grad)
    for args in (p.grad_calls or p.calls)():
        with contextlib.redirect_stdout(io.StringIO()):
            want = weft.jit(derivative)(*copy.deepcopy(args))
            for seed in SEEDS:
                got = emulated(derivative, seed)(*copy.deepcopy(args))
                close(got, want, 2e-5 if single(args) else 1e-9, f"{p.name}: gradient by CUDA, seed {seed}")


def check_cuda_vmap(p: Program) -> None:
    """A batch, and its gradient, as CUDA code against the lanes one by one."""
    batched, lanes = lanes_of(p)
    functions = [p.fn, *([weft.grad(weighted(p.fn), argnums=p.grad)] if p.grad else [])]
    for f in functions:
        wanted = [f(*copy.deepcopy(lane)) for lane in lanes]
        for seed in SEEDS:
            got = emulated(weft.vmap(f, in_axes=p.vmap), seed)(*copy.deepcopy(batched))
            for k, want in enumerate(wanted):
                parts = [np.asarray(v)[k] for v in leaves_of(got)]
                close(parts, leaves_of(want), 1e-8, f"{p.name}: lane {k} by CUDA, seed {seed}")


def single(args: tuple[Any, ...]) -> bool:
    """Whether float32 is among the arguments."""
    return any(isinstance(v, np.ndarray | np.generic) and v.dtype == np.float32 for v in leaves_of(args))
