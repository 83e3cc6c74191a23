"""What `weft.jit`, `weft.grad`, `weft.vmap` and the others return: a callable that compiles at its first call."""

from __future__ import annotations

import functools
import inspect
import operator
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from weft import _runtime
from weft.pytrees import flatten_custom
from weft.runtime import Dispatcher


class CacheInfo(NamedTuple):
    """What a compiled function has done so far.

    Attributes
    ----------
    compilations
        How many programs were staged and compiled.
    hits
        How many calls were answered by them.
    loaded
        How many programs came from the disk cache without staging.
    reasons
        Why each program was staged: ``"first call"``, a new signature, or the guard that failed.
    """

    compilations: int
    hits: int
    loaded: int
    reasons: tuple[str, ...]


class Inspection(NamedTuple):
    """The stages of a compiled call, as text.

    Attributes
    ----------
    ir
        The IR after all transformations.
    cpp
        The generated C++; with ``target="cuda"`` the host's part, which queues kernels.
    python
        The IR as runnable NumPy Python.
    path
        The generated file in the cache, if it was compiled.
    cuda
        With ``target="cuda"`` the kernels, as CUDA C++.
    """

    ir: str
    cpp: str
    python: str
    path: str | None
    cuda: str | None = None


@_runtime.inherit_vectorcall
class Transformed(Dispatcher):
    """A function under a transformation.

    Calling it flattens the arguments, finds the program compiled for their types and structure (sizes are free), and
    runs it. The first call with a signature stages the function's source and compiles it.

    Attributes
    ----------
    parts
        Of a function that runs on many devices, what stages it for one (``stage_parts``), and ``single``, the function
        on one device.
    """

    parts: Any = None

    def __init__(
        self,
        fun: Callable[..., Any],
        stage_call: Callable[[tuple[Any, ...], dict[str, Any]], Any],
        title: str,
        static_argnums: Sequence[int] = (),
        static_argnames: Sequence[str] = (),
    ) -> None:
        if not callable(fun):
            raise TypeError(f"weft.{title.split('(')[0]} expects a callable, got {fun!r}")
        self._stage_call = stage_call
        self.title = title
        self.static = (tuple(static_argnums), tuple(static_argnames))
        self._programs: list[Any] = []
        self._loaded = 0
        self._reasons: list[str] = []
        functools.update_wrapper(self, fun, updated=())  # type: ignore[arg-type]
        self.__wrapped__ = fun

    def __new__(
        cls, fun: Any, stage_call: Any, title: str, static_argnums: Sequence[int] = (),
        static_argnames: Sequence[str] = (),
    ) -> Transformed:  # fmt: skip
        holder: list[Any] = []

        def slow(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            from weft.api.compiled import first_call

            try:
                return first_call(holder[0], args, kwargs)
            except Exception as e:
                if explained(e):
                    raise e.with_traceback(None) from None
                raise

        self: Transformed = Dispatcher.__new__(
            cls,
            slow,  # type: ignore[call-arg]
            tuple(static_argnums),
            tuple(static_argnames),
            flatten_custom,
        )
        holder.append(self)
        return self

    def stage_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Stage a call of this function inside another one."""
        return self._stage_call(args, kwargs)

    def inspect(self, *args: Any, target: str = "cpp", **kwargs: Any) -> Inspection:
        """The IR, generated C++ and Python of the program for these arguments.

        Examples
        --------
        >>> import weft
        >>> print(weft.jit(lambda x: x + 1.0).inspect(2.0).python)  # doctest: +ELLIPSIS
        def ...
        """
        from weft.api.compiled import inspect_call

        return inspect_call(self, args, kwargs, target)

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """The staged program for these arguments (`weft.ShapeDtypeStruct` may stand for arrays), not compiled."""
        from weft.api.shapes import lower

        return lower(self, args, kwargs)

    def eval_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shapes and dtypes of the results; see `weft.eval_shape`."""
        from weft.api.shapes import lower

        return lower(self, args, kwargs).out_info

    @property
    def source(self) -> str:
        """The transformed function as Python: for the arguments of the latest call, or for Python floats before one."""
        from weft.api.compiled import source_of

        return source_of(self)

    def cache_info(self) -> CacheInfo:
        """Compilations, hits, and the reason of each compilation."""
        return CacheInfo(len(self._programs) - self._loaded, self.hits, self._loaded, tuple(self._reasons))

    def clear_cache(self) -> None:
        """Forget the compiled programs (the disk cache keeps its artifacts)."""
        self.clear()
        self._programs.clear()
        self._reasons.clear()
        self._loaded = 0

    def __repr__(self) -> str:
        return f"<weft.{self.title} of {getattr(self.__wrapped__, '__qualname__', self.__wrapped__)!r}>"


def explained(e: Exception) -> bool:
    """Whether a message shows the user's line itself: weft's own frames would only hide it."""
    return "\n  --> " in str(e) and os.environ.get("WEFT_TRACEBACK") != "full"


def settled(x: Any) -> Any:
    """A setting such as ``argnums``: numbers in it that staged code computed or captured become known, under guards."""
    if isinstance(x, tuple | list):
        return type(x)(settled(v) for v in x)
    if isinstance(x, dict):
        return {k: settled(v) for k, v in x.items()}
    return operator.index(x) if hasattr(x, "__index__") and not isinstance(x, bool) else x


def parameters(fun: Callable[..., Any]) -> inspect.Signature | None:
    """The signature of the user's function."""
    try:
        return inspect.signature(fun)
    except (TypeError, ValueError):
        return None
