"""`weft.custom_jvp`, `weft.custom_vjp`: functions with derivatives of their own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any


class Ruled:
    """A function that stays one call until it is differentiated. Called outside compiled code it just runs."""

    title = "ruled"
    __name__: str

    def __init__(self, fun: Callable[..., Any]) -> None:
        if not callable(fun):
            raise TypeError(f"weft.{self.title.split('(')[0]} expects a callable, got {fun!r}")
        functools.update_wrapper(self, fun, updated=())
        self.__wrapped__ = fun

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from weft.staged.active import staging

        if staging():
            return self.stage_call(args, kwargs)
        return self.__wrapped__(*args, **kwargs)

    def __get__(self, obj: Any, owner: Any = None) -> Any:
        return self if obj is None else functools.partial(self, obj)

    def __repr__(self) -> str:
        return f"<weft.{self.title} of {getattr(self.__wrapped__, '__qualname__', self.__wrapped__)!r}>"

    def stage_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Stage a call of this function inside compiled code."""
        raise NotImplementedError


class _Custom(Ruled):
    """What both kinds of rules share."""

    def __init__(
        self, fun: Callable[..., Any], nondiff_argnums: int | Sequence[int] = (),
        nondiff_argnames: str | Sequence[str] = (),
    ) -> None:  # fmt: skip
        super().__init__(fun)
        nums = (nondiff_argnums,) if isinstance(nondiff_argnums, int) else tuple(nondiff_argnums)
        names = (nondiff_argnames,) if isinstance(nondiff_argnames, str) else tuple(nondiff_argnames)
        if names:
            params = list(inspect.signature(fun).parameters)
            unknown = [n for n in names if n not in params]
            if unknown:
                raise ValueError(f"nondiff_argnames names {unknown[0]!r}, which is not a parameter ({params})")
            nums = (*nums, *[params.index(n) for n in names])
        self.nondiff_argnums = tuple(sorted(set(nums)))
        self.title = f"{type(self).__name__}(nondiff_argnums={self.nondiff_argnums!r})"

    def positional(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments by position, defaults included."""
        from weft.frontend.calls import default_value
        from weft.frontend.frame import StagedFunction, StagedMethod

        if isinstance(self.__wrapped__, StagedFunction | StagedMethod):
            if kwargs:
                raise TypeError(f"{self.__name__}() is called with keyword arguments: pass them by position")
            return args
        try:
            bound = inspect.signature(self.__wrapped__).bind(*args, **kwargs)
        except TypeError as e:
            raise TypeError(f"{self.__name__}(): {e}") from None
        bound.apply_defaults()
        if bound.kwargs:
            raise TypeError(
                f"{self.__name__}() has keyword-only arguments, which a {type(self).__name__} function cannot have"
            )
        return tuple([default_value(a) for a in bound.args])

    def site(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The staged call."""
        from weft.api.sites import Frozen, Site
        from weft.api.staging import state
        from weft.errors import StagingError

        given = self.positional(args, kwargs)
        nondiff = frozenset([n % len(given) for n in self.nondiff_argnums if -len(given) <= n < len(given)])
        s = state()
        functions = {n: getattr(self, n, None) for n in ("__wrapped__", "jvp", "fwd", "bwd")}
        frozen = s.memo.get(("frozen", id(self))) or Frozen(functions)
        site = Site(s, self.__name__, given, nondiff, frozen)
        site.stage(frozen.functions["__wrapped__"])
        if site.written:
            raise StagingError(
                f"{self.__name__} writes an argument in place, which its rule could not tell",
                remedy="write to a copy and return that",
                loc=site.s.loc,
            )
        return site

    def rules(self, frozen: Any, *names: str) -> list[Any]:
        """The rules at a call; a later call of a program for which they are others is staged anew."""
        from weft.api.staging import state
        from weft.frontend.capture import attr_source, extend
        from weft.frontend.frame import StagedFunction, StagedMethod

        captures = state().captures
        path = captures.path(self)
        for name in names:
            rule = getattr(self, name)
            if not isinstance(rule, StagedFunction | StagedMethod):
                captures.read(attr_source(self, name, path), rule)
                captures.note(rule, extend(path, "attr", name))
        return [frozen.functions[name] for name in names]


class custom_jvp(_Custom):
    """A function whose derivative is given by a rule for forward mode; reverse mode follows from it.

    Parameters
    ----------
    fun
        The function.
    nondiff_argnums, nondiff_argnames
        Arguments that are not differentiated; the rule gets them first, by themselves.

    Raises
    ------
    AttributeError
        It is differentiated, and no rule was given.
    TypeError
        The rule does not return a pair of an output and a tangent like it; or a derivative is wanted with respect to
        something that the function closes over.

    Examples
    --------
    >>> import math, weft
    >>> @weft.custom_jvp
    ... def log1pexp(x):
    ...     return math.log(1.0 + math.exp(x))
    >>> @log1pexp.defjvp
    ... def log1pexp_jvp(primals, tangents):
    ...     (x,), (t,) = primals, tangents
    ...     return log1pexp(x), (1.0 - 1.0 / (1.0 + math.exp(x))) * t
    >>> weft.grad(log1pexp)(0.0)
    0.5
    """

    jvp: Callable[..., Any] | None = None

    def defjvp(self, jvp: Callable[..., Any], symbolic_zeros: bool = False) -> Callable[..., Any]:
        """Give the rule, ``jvp(*nondiff, primals, tangents) -> (output, output tangent)``; returns it.

        ``symbolic_zeros`` is accepted as False only: absent tangents are arrays of zeros.
        """
        if symbolic_zeros:
            raise NotImplementedError("defjvp with symbolic_zeros=True: tangents that are zero are arrays here")
        self.jvp = jvp
        return jvp

    def defjvps(self, *jvps: Callable[..., Any] | None) -> None:
        """Give a rule for each argument, ``jvp(tangent, output, *primals) -> output tangent`` (None: no dependence).

        Examples
        --------
        >>> import weft
        >>> @weft.custom_jvp
        ... def f(x, y):
        ...     return x * y
        >>> f.defjvps(lambda t, out, x, y: t * y, lambda t, out, x, y: x * t)
        >>> weft.grad(f, argnums=(0, 1))(2.0, 3.0)
        (3.0, 2.0)
        """
        if self.nondiff_argnums:
            raise TypeError("Can't use ``defjvps`` with ``nondiff_argnums``.")
        self.parts = jvps
        self.jvp = functools.partial(_by_parts, self)

    def stage_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Stage a call; the rule is staged when a derivative needs it."""
        from weft.api.rulings import jvp_rule
        from weft.ir.rules import CustomJVP

        site = self.site(args, kwargs)
        return site.call(CustomJVP(self.__name__, site.explicit, jvp_rule(self, site), site.shared))


def _by_parts(fun: custom_jvp, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
    from weft.api.rulings import by_parts

    return by_parts(getattr(fun, "fn", fun), primals, tangents)  # staging wraps functions that library code is given


class custom_vjp(_Custom):
    """A function whose derivative is given by a rule for reverse mode.

    Parameters
    ----------
    fun
        The function.
    nondiff_argnums, nondiff_argnames
        Arguments that are not differentiated; ``bwd`` gets them first, by themselves.

    Raises
    ------
    AttributeError
        It is differentiated, and no rule was given.
    TypeError
        It is differentiated in forward mode; what the rule returns has another structure than it should.

    Examples
    --------
    >>> import numpy as np, weft
    >>> @weft.custom_vjp
    ... def clipped(x, limit):
    ...     return x
    >>> clipped.defvjp(lambda x, limit: (x, limit), lambda limit, ct: (np.clip(ct, -limit, limit), None))
    >>> weft.grad(lambda x: 5.0 * clipped(x, 1.0))(3.0)
    1.0
    """

    fwd: Callable[..., Any] | None = None
    bwd: Callable[..., Any] | None = None

    def defvjp(
        self,
        fwd: Callable[..., Any],
        bwd: Callable[..., Any],
        symbolic_zeros: bool = False,
        optimize_remat: bool = False,
    ) -> None:
        """Give the rule.

        Parameters
        ----------
        fwd
            ``fwd(*args) -> (output, residuals)``, with the function's own arguments.
        bwd
            ``bwd(*nondiff, residuals, cotangent) -> cotangents``, a tuple with one for each argument that is
            differentiated; None stands for zeros.
        symbolic_zeros, optimize_remat
            Accepted as False only.
        """
        if symbolic_zeros or optimize_remat:
            raise NotImplementedError("defvjp: symbolic_zeros and optimize_remat are not supported")
        self.fwd, self.bwd = fwd, bwd

    def stage_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Stage a call; the rule is staged when a derivative needs it."""
        from weft.api.rulings import vjp_rule
        from weft.ir.rules import CustomVJP

        site = self.site(args, kwargs)
        return site.call(CustomVJP(self.__name__, site.explicit, vjp_rule(self, site), site.shared))
