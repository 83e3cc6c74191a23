"""From a first call to a dispatch plan: stage, simplify, lower, render, compile, and what to do without a compiler."""

from __future__ import annotations

import functools
import inspect
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from weft.api.config import config
from weft.api.transformed import Inspection, Transformed
from weft.runtime import Plan, Signature

if TYPE_CHECKING:
    from weft.codegen.cuda import CudaText
    from weft.frontend.stage import Program
    from weft.ir.nodes import Function

_lock = threading.RLock()
_warned: set[str] = set()


@dataclass
class Compiled:
    """A program of a transformed function, in whatever stages were made."""

    program: Program | None
    function: Function | None
    module: Any = None
    signature: Signature | None = None
    guards: list[tuple[str, int, list[tuple[int, int]], str]] = field(default_factory=list)
    interpreter: Any = None


def first_call(t: Transformed, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer a call for which no plan holds: from the disk cache, or by compiling."""
    from weft.staged.active import staging

    if staging():
        return t.stage_call(args, kwargs)
    if config.disable_jit and t.title == "jit" and not is_own(t.__wrapped__):
        return t.__wrapped__(*args, **kwargs)
    if config.debug_nans:
        from weft.api.nans import checked_call

        return checked_call(t.parts.single if t.parts else t, args, kwargs)
    return answer(t, args, kwargs)


def is_own(fun: Any) -> bool:
    """Whether a function is of weft's library."""
    return str(getattr(fun, "__module__", "")).split(".")[0] == "weft"


def answer(t: Transformed, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer a call outside a staging."""
    run: Callable[[], Any]
    with _lock:
        plan = t.find(args, kwargs)  # another thread may have compiled meanwhile
        run = _prepared(t, args, kwargs) if plan is None else functools.partial(t.run, plan, args, kwargs)
    return run()


def answer_later(t: Transformed, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Compile what answers a call like this one."""
    args = given(t, args)
    with _lock:
        if t.find(args, kwargs) is None:
            _prepared(t, args, kwargs)


def _prepared(t: Transformed, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], Any]:
    """What answers a call, with a plan for the next one like it."""
    signature = t.signature(args, kwargs)
    for leaf in signature.leaves:
        if leaf.flavour == "py" and leaf.dtype == "I":
            raise OverflowError(f"the integer {leaf.path} = {leaf.value} does not fit 64 bits")
    plan = _interpreted(t, signature) or _plan(t, signature, args, kwargs)
    if not isinstance(plan, Plan):
        return plan  # type: ignore[no-any-return]
    t.add(signature.key, plan)
    return functools.partial(t.run, plan, args, kwargs)


def _plan(t: Transformed, signature: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A plan for a call, or a function that answers it."""
    from weft.api import warm

    def target(hidden: list[Any]) -> Any:
        return t.signature(args, kwargs, hidden).device if hidden else signature.device

    loaded = warm.load(t, signature)
    if loaded is not None and (t.parts or (loaded[0].device is None) == (target(loaded[0].hidden) is None)):
        recipe, module = loaded
        t._loaded += 1
        t._programs.append(Compiled(None, None, module, signature, recipe.guards))
        t._reasons.append("loaded from the disk cache")
    else:
        made = compile_call(t, signature, target)
        if not isinstance(made, tuple):
            leaves = made.applies(signature)
            assert leaves is not None
            return functools.partial(made.run, leaves)
        recipe, module = made
    hidden_key = t.signature(args, kwargs, recipe.hidden).hidden_key if recipe.hidden else None
    return recipe.plan(module, hidden_key)


def _interpreted(t: Transformed, signature: Signature) -> Any:
    """An interpreted program that answers this call, where there is no compiler."""
    for c in t._programs:
        if c.interpreter is not None and c.signature is not None and c.signature.key == signature.key:
            leaves = c.interpreter.applies(signature)
            if leaves is not None:
                return functools.partial(c.interpreter.run, leaves)
    return None


def stage_only(t: Transformed, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Program:
    """Stage a call."""
    with _lock:
        return stage_signature(t, t.signature(given(t, args), kwargs))


def given(t: Transformed, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments as programs take them."""
    return t.parts.stacked(args) if t.parts else args


def stage_signature(t: Transformed, signature: Signature) -> Program:
    """Stage a signature and optimise the result."""
    from weft.frontend.stage import stage

    if t.parts:
        return t.parts.stage_parts(signature, name_of(t))  # type: ignore[no-any-return]
    return finished(stage(t, signature, name_of(t)))


def finished(program: Program) -> Program:
    """A program that was just staged, optimised."""
    from weft.api.assumptions import assume

    program.function = optimise(program.function)
    assume(program)
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


def compile_call(t: Transformed, signature: Signature, target: Callable[[list[Any]], Any]) -> Any:
    """Compile a signature: a recipe and the module; without a compiler, an interpreter of it.

    Parameters
    ----------
    t, signature
        The function and the call.
    target
        The device that the call runs on if these values are captured; None for the CPU.
    """
    from weft.api import warm
    from weft.api.recipe import recipe_of
    from weft.build.artifact import NoCompiler, build, find_toolchain

    reason = why(t, signature)
    if t.parts and find_toolchain() is None:
        return compile_call(t.parts.single, signature, target)
    program = stage_signature(t, signature)
    if program.spread is not None:
        device = None if program.spread.topology.platform == "cpu" else program.spread.topology
    else:
        device = target([source.entry() for source, _ in program.captures.hidden])
    if find_toolchain() is None:
        if device is not None:
            raise NoCompiler
        from weft.api.interpreted import Interpreted

        warn_once(
            "no C++ compiler was found: weft interprets functions with NumPy, which gives the same results slowly."
            " Install g++ or clang++, or set CXX (`weft doctor` tells more)."
        )
        made = Interpreted(program)
        t._programs.append(Compiled(program, program.function, None, signature, program.guards, made))
        t._reasons.append(reason)
        return made
    if device is None:
        cpp, meta = render(program.function)
        kernels = None
    else:
        text, meta = render_cuda(program.function)
        cpp, kernels = text.host, {"text": text.device, "kernels": list(text.kernels), "fails": meta["fails"]}
    module = build(cpp, name=program.function.name)
    recipe = recipe_of(program, meta, kernels)
    t._programs.append(Compiled(program, program.function, module, signature, program.guards))
    t._reasons.append(reason)
    warm.store(t, signature, program, recipe, module)
    return recipe, module


def render(f: Function) -> tuple[str, dict[str, Any]]:
    """Lower a function and print it as C++."""
    from weft.codegen import cpp
    from weft.lowering import lower

    program = lower(f)
    return cpp(program), program.meta


def render_cuda(f: Function) -> tuple[CudaText, dict[str, Any]]:
    """Lower a function and print it for a CUDA device."""
    from weft.codegen.cuda import cuda
    from weft.lowering import lower

    program = lower(f)
    return cuda(program), program.meta


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


# -- looking ---------------------------------------------------------------------------------------------------------


def inspect_call(t: Transformed, args: tuple[Any, ...], kwargs: dict[str, Any], target: str) -> Inspection:
    """The stages of the program for these arguments."""
    from weft.build import artifact
    from weft.build import cache as caches
    from weft.ir.printer import to_text
    from weft.ir.unparse import to_python

    if target not in ("cpp", "cuda"):
        raise ValueError(f"unknown target {target!r}: weft generates 'cpp' and 'cuda'")
    program = stage_only(t, args, kwargs)
    if target == "cuda":
        text, _ = render_cuda(program.function)
        return Inspection(to_text(program.function), text.host, to_python(program.function), None, text.device)
    cpp, _ = render(program.function)
    path = None
    if artifact.find_toolchain() is not None:
        module = artifact.build(cpp, name=program.function.name)
        path = str(caches.default().path(module.__name__, ".cpp"))
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
    try:
        return to_python(stage_only(t, (1.0,) * len(needed), {}).function)
    except Exception as e:
        raise ValueError(
            f"the source of {name_of(t)!r} depends on the types of its arguments, and it does not fit Python floats:"
            " call it first, or look at .inspect(*arguments).python"
        ) from e
