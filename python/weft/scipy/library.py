"""How functions that NumPy has not are declared, and run on concrete arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from weft.ir.interpret import evaluate
from weft.ir.nodes import Function, Var
from weft.ir.types import ArrayType
from weft.numpy.registry import Entry, enter
from weft.staged.context import Context
from weft.staged.value import Staged, wrap

F = TypeVar("F", bound=Callable[..., Any])


def library(module: str, *names: str) -> Callable[[F], F]:
    """Enter an implementation over staged values as a function of ``module``, under its own name or ``names``."""

    def decorate(impl: F) -> F:
        for name in names or (impl.__name__.rstrip("_"),):
            enter(Entry(name, impl, at_once(impl)), (), module=module)
        return impl

    return decorate


def at_once(impl: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy arrays and numbers: the implementation staged for them, and interpreted."""

    @functools.wraps(impl)
    def run(*args: Any, **kwargs: Any) -> Any:
        params: list[Var] = []
        given: list[Any] = []

        def bring(x: Any) -> Any:
            if isinstance(x, tuple | list):
                return type(x)([bring(v) for v in x])
            if not isinstance(x, np.ndarray | np.generic):
                return x
            params.append(Var(ArrayType(x.dtype, np.shape(x))))
            given.append(x)
            return wrap(params[-1], "weft")

        args, kwargs = tuple(map(bring, args)), {k: bring(v) for k, v in kwargs.items()}
        results: list[Any] = []
        with Context() as ctx, ctx.builder.scope(params) as block:
            tree = impl(*args, **kwargs)
            block.results = tuple([r.atom for r in _leaves(tree)])
        results = evaluate(Function(impl.__name__, block), *given)
        return tuple(results) if isinstance(tree, tuple) else results[0]

    return run


def _leaves(tree: Any) -> list[Staged]:
    return list(tree) if isinstance(tree, tuple) else [tree]
