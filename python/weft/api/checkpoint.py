"""`weft.checkpoint`: derivatives that compute values again instead of keeping them."""

from __future__ import annotations

import functools
import os
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from weft.api.custom import Ruled

if TYPE_CHECKING:
    from weft.ir.nodes import Op

Policy = Callable[["Op"], bool]


def checkpoint(
    fun: Any = None,
    *,
    prevent_cse: bool = True,
    policy: Policy | None = None,
    static_argnums: int | Sequence[int] = (),
    levels: int = 2,
) -> Any:
    """A function, or a loop, whose derivative keeps little and computes the rest again.

    Parameters
    ----------
    fun
        A function; or what a ``for`` statement runs over (a range, an array, ``enumerate`` of one). Absent, when
        `checkpoint` is used as a decorator with arguments.
    prevent_cse
        Accepted for compatibility: the second computation is always kept apart from the first.
    policy
        What a derivative keeps of the inside of a function: one of `weft.checkpoint_policies`. By default nothing.
    static_argnums
        Accepted for compatibility: what is known while staging stays known.
    levels
        For a loop: n iterations keep the carried values about ``levels * n ** (1 / levels)`` times, and are run
        ``levels`` times by a derivative, and once more backwards.

    Returns
    -------
    callable or iterable
        What computes, or iterates, as ``fun`` does.

    Raises
    ------
    StagingError
        A checkpointed loop has a ``break`` or ``return`` in it, or would have to be unrolled.

    Examples
    --------
    >>> import math, weft
    >>> f = weft.checkpoint(lambda x: math.sin(math.sin(x)))
    >>> round(weft.grad(f)(0.5), 6)
    0.778644
    >>> def flow(x, n):
    ...     for i in weft.checkpoint(range(n)):
    ...         x = x + 0.01 * math.sin(x)
    ...     return x
    >>> round(weft.grad(flow)(1.0, 1000), 6)
    0.000191
    """
    if fun is None:
        return functools.partial(
            checkpoint, prevent_cse=prevent_cse, policy=policy, static_argnums=static_argnums, levels=levels
        )
    if not callable(fun):
        return _loop(fun, levels)
    if policy is not None and not callable(policy):
        raise TypeError(f"policy is a function of an operation (see weft.checkpoint_policies), got {policy!r}")
    return _Remat(fun, policy)


def _loop(iterable: Any, levels: int) -> Any:
    from weft.api.transformed import settled
    from weft.staged.checkpoint import Checkpointed

    levels = settled(levels)
    if not isinstance(levels, int) or isinstance(levels, bool) or levels < 1:
        raise ValueError(f"checkpoint(levels=...) is a number of levels, at least 1, got {levels!r}")
    if not hasattr(iterable, "__iter__") and not hasattr(iterable, "trip"):
        raise TypeError(f"weft.checkpoint expects a function, or what a loop runs over, got {iterable!r}")
    return Checkpointed(iterable, levels)


class _Remat(Ruled):
    """A function whose inside is computed again by a derivative."""

    def __init__(self, fun: Callable[..., Any], policy: Policy | None) -> None:
        self.title = "checkpoint" if policy is None else f"checkpoint(policy={policy_name(policy)})"
        super().__init__(fun)
        self.policy = policy

    def stage_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Stage a call; derivatives find it as one."""
        from weft.api.sites import Site
        from weft.api.staging import state
        from weft.frontend import calls
        from weft.ir.rules import Remat

        if self.policy is everything_saveable:
            return calls.call(self.__wrapped__, args, kwargs)
        names = tuple(kwargs)
        count = len(args)

        def call(*both: Any) -> Any:
            return calls.call(self.__wrapped__, both[:count], dict(zip(names, both[count:], strict=True)))

        call.__module__ = "weft.api.checkpoint"
        site = Site(state(), getattr(self, "__name__", "function"), (*args, *kwargs.values()), frozenset())
        site.stage(call)
        return site.call(Remat(None if self.policy is nothing_saveable else self.policy))


remat = checkpoint


def checkpoint_name(x: Any, name: str) -> Any:
    """``x``, under a name that `checkpoint_policies.save_only_these_names` can tell.

    Parameters
    ----------
    x
        An array, a number, or a container of them.
    name
        The name.

    Examples
    --------
    >>> import math, weft
    >>> from weft.ad_checkpoint import checkpoint_name
    >>> policy = weft.checkpoint_policies.save_only_these_names("s")
    >>> @weft.checkpoint(policy=policy)
    ... def f(x):
    ...     return math.sin(checkpoint_name(math.sin(x), "s"))
    >>> round(weft.grad(f)(0.5), 6)
    0.778644
    """
    from weft.staged.active import staging

    if not staging():
        return x
    from weft.api.staging import state
    from weft.frontend.trees import flatten, unflatten
    from weft.ir.primitive import REGISTRY
    from weft.staged.value import wrap

    s = state()
    leaves: list[Any] = []
    tree = flatten(x, s, leaves)
    named = [wrap(REGISTRY["named"](v.atom, label=str(name)), v.flavour) for v in leaves]
    return unflatten(tree, iter(named), s)


# -- policies --------------------------------------------------------------------------------------------------------


def everything_saveable(op: Op) -> bool:
    """Keep all: as without `checkpoint`."""
    return True


def nothing_saveable(op: Op) -> bool:
    """Keep nothing but the arguments."""
    return False


def dots_saveable(op: Op) -> bool:
    """Keep the results of products of matrices and vectors."""
    from weft.ir.primitive import Library

    return isinstance(op.prim.kind, Library) and op.prim.kind.routine == "gemm"


def dots_with_no_batch_dims_saveable(op: Op) -> bool:
    """Keep the results of products that are not products of stacks."""
    return dots_saveable(op) and not any(op.attrs["batch"])


def save_only_these_names(*names: str) -> Policy:
    """Keep the values with these names, which `checkpoint_name` gave them."""

    def policy(op: Op) -> bool:
        return op.attrs.get("label") in names

    policy.__name__ = f"save_only_these_names{names!r}"
    return policy


def policy_name(policy: Policy) -> str:
    """A policy in a title, which tells programs apart also in other processes."""
    name = str(getattr(policy, "__name__", repr(policy)))
    if getattr(policy, "__module__", None) == __name__:
        return name
    from weft.build.index import Unindexable, describe

    try:
        return describe(policy)
    except Unindexable:
        return f"{name} {id(policy)} of process {os.getpid()}"


checkpoint_policies = types.SimpleNamespace(
    everything_saveable=everything_saveable,
    nothing_saveable=nothing_saveable,
    dots_saveable=dots_saveable,
    checkpoint_dots=dots_saveable,
    dots_with_no_batch_dims_saveable=dots_with_no_batch_dims_saveable,
    checkpoint_dots_with_no_batch_dims=dots_with_no_batch_dims_saveable,
    save_only_these_names=save_only_these_names,
)
