"""From a first call to a dispatch plan: stage, simplify, lower, render, compile, and what to do without a compiler."""

from __future__ import annotations

import builtins
import inspect
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from weft.api.transformed import Inspection, Transformed
from weft.runtime import Plan, Signature

if TYPE_CHECKING:
    from weft.frontend.stage import Program
    from weft.ir.nodes import Function

_lock = threading.RLock()
_warned: set[str] = set()


@dataclass
class Compiled:
    """A program of a transformed function, in whatever stages were made."""

    program: Program | None
    function: Function | None
    cpp: str
    module: Any = None
    signature: Signature | None = None
    guards: list[tuple[str, int, list[tuple[int, int]], str]] = field(default_factory=list)


def signature_of(t: Transformed, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Signature:
    """The signature of a call."""
    return t.signature(args, kwargs)


def first_call(t: Transformed, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer a call for which no plan holds: from the disk cache, or by compiling."""
    from weft.api import warm
    from weft.staged.context import staging

    if staging():
        return t.stage_call(args, kwargs)
    with _lock:
        signature = signature_of(t, args, kwargs)
        plan = warm.load(t, signature, args, kwargs)
        if plan is None:
            plan = compile_call(t, signature)
        if isinstance(plan, Plan):
            t.add(signature.key, plan)
    if isinstance(plan, Plan):
        return t.run(plan, args, kwargs)
    return plan(args, kwargs)


def stage_only(t: Transformed, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Program:
    """Stage a call."""
    return stage_signature(t, signature_of(t, args, kwargs))


def stage_signature(t: Transformed, signature: Signature) -> Program:
    """Stage a signature and optimise the result."""
    from weft.frontend.stage import stage

    program = stage(t, signature, name_of(t))
    program.function = optimise(program.function)
    return program


def name_of(t: Any) -> str:
    """A C identifier for a function."""
    parts = []
    while isinstance(t, Transformed):
        title = t.title.split("(")[0]
        if title != "jit":
            parts.append(title)
        t = t.__wrapped__
    name = getattr(t, "__name__", type(t).__name__)
    name = "lambda_" if name == "<lambda>" else "".join(c if c.isalnum() and c.isascii() else "_" for c in name)
    return "_".join([*parts, name])


def optimise(f: Function) -> Function:
    """The passes that every program goes through before lowering."""
    from weft.transforms.pipeline import optimise as run

    return run(f)


def compile_call(t: Transformed, signature: Signature) -> Plan | Callable[..., Any]:
    """Compile a signature; without a compiler, a function that interprets."""
    from weft.api import warm
    from weft.build.artifact import NoCompiler, build
    from weft.build.artifact import find_toolchain

    program = stage_signature(t, signature)
    assert program.function is not None
    reason = why(t, signature)
    if find_toolchain() is None:
        warn_once(
            "no C++ compiler was found: weft interprets functions with NumPy, which gives the same results slowly."
            " Install g++ or clang++, or set CXX (`weft doctor` tells more)."
        )
        t._programs.append(Compiled(program, program.function, "", None, signature, program.guards))
        t._reasons.append(reason)
        return plan_of(program, interpreted_entry(program), None)
    cpp, meta = render(program.function)
    try:
        module = build(cpp, name=program.function.name)
    except NoCompiler:
        return plan_of(program, interpreted_entry(program), None)
    t._programs.append(Compiled(program, program.function, cpp, module, signature, program.guards))
    t._reasons.append(reason)
    warm.store(t, signature, program, meta, module)
    return plan_of(program, module, meta)


def render(f: Function) -> tuple[str, dict[str, Any]]:
    """Lower a function and print it as C++."""
    from weft.codegen import cpp
    from weft.lowering import lower

    program = lower(f)
    return cpp(program, name=f.name), program.meta


def why(t: Transformed, signature: Signature) -> str:
    """Why a program is compiled now: what is new, or which guard failed."""
    if not t._programs:
        return "first call"
    same = [c for c in t._programs if c.signature is not None and c.signature.key == signature.key]
    if not same:
        return "new signature: " + ", ".join(describe_leaf(x) for x in signature.leaves)
    table = [n for x in signature.leaves for n in x.shape]
    table += [x.value for x in signature.leaves if x.flavour == "py" and x.dtype == "i"]
    for kind, const, terms, reason in same[-1].guards:
        if any(slot >= len(table) for slot, _ in terms):
            continue
        n = const + sum(table[slot] * c for slot, c in terms)
        if not {"==": n == 0, ">=": n >= 0, "!=": n != 0}[kind]:
            return f"guard failed: {reason}"
    return "a captured object changed"


def describe_leaf(leaf: Any) -> str:
    """A leaf's type in words."""
    if leaf.flavour == "py":
        return {"f": "float", "i": "int", "b": "bool", "c": "complex"}[leaf.dtype]
    return f"{leaf.dtype}{list(leaf.shape)}" if leaf.shape else str(leaf.dtype)


def warn_once(message: str) -> None:
    """A warning, once in a process."""
    if message not in _warned:
        _warned.add(message)
        warnings.warn(message, RuntimeWarning, stacklevel=5)


# -- plans -----------------------------------------------------------------------------------------------------------


def plan_of(program: Program, module: Any, meta: dict[str, Any] | None) -> Any:
    """The runtime's plan for a compiled program (or the interpreter's function)."""
    captures = program.captures
    statics = [(*source.entry(), value) for source, value in captures.statics if source.kind != "value"]
    hidden = [source.entry() for source, _ in captures.hidden]
    results = [(r.kind, r.dtype, r.rank, r.flavour, r.leaf) for r in program.results]
    guards = [(kind, const, terms) for kind, const, terms, _ in program.guards]
    if meta is None:
        return module
    entry = next(iter(module.entries.values()))
    return Plan(
        entry, owner=module, guards=guards, statics=statics, hidden=hidden, results=results, tree=program.tree,
        mutates=program.mutates, host=host_functions(meta), heavy=bool(meta.get("heavy")),
    )  # fmt: skip


def host_functions(meta: dict[str, Any]) -> list[Callable[..., Any]]:
    """The Python functions that a program calls back: raise, print, NumPy's meaning of a primitive."""
    return [host_function(dict(entry)) for entry in meta.get("host", ())]


def host_function(entry: dict[str, Any]) -> Callable[..., Any]:
    """One host function from its description."""
    from weft.runtime import hostcalls

    return hostcalls.make(entry)


def interpreted_entry(program: Program) -> Callable[[tuple[Any, ...], dict[str, Any]], Any]:
    """A function that runs the program by the IR interpreter."""
    from weft.api.interpreted import Interpreted

    return Interpreted(program)


# -- looking ---------------------------------------------------------------------------------------------------------


def inspect_call(t: Transformed, args: tuple[Any, ...], kwargs: dict[str, Any], target: str) -> Inspection:
    """The stages of the program for these arguments."""
    from weft.build import artifact
    from weft.ir.printer import to_text
    from weft.ir.unparse import to_python

    if target != "cpp":
        raise ValueError(f"unknown target {target!r}: weft generates 'cpp'")
    program = stage_only(t, args, kwargs)
    cpp, _ = render(program.function)
    path = None
    if artifact.find_toolchain() is not None:
        path = getattr(artifact.build(cpp, name=program.function.name), "__file__", None)
        path = path and str(path).rsplit(".", 1)[0].split(".")[0] + ".cpp"
    return Inspection(to_text(program.function), cpp, to_python(program.function), path)


def source_of(t: Transformed) -> str:
    """The transformed function as Python."""
    from weft.ir.unparse import to_python

    for c in reversed(t._programs):
        if c.function is not None:
            return to_python(c.function)
        if c.signature is not None:
            return to_python(stage_signature(t, c.signature).function)
    fun = t
    while isinstance(fun, Transformed):
        fun = fun.__wrapped__  # type: ignore[assignment]
    needed = [
        p for p in inspect.signature(fun).parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]  # fmt: skip
    return to_python(stage_only(t, (1.0,) * len(needed), {}).function)


def exception(name: str) -> type[BaseException]:
    """One of Python's exceptions by its name."""
    found = getattr(builtins, name, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else RuntimeError


_ = (np, Sequence)
