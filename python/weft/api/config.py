"""Settings: `weft.config`, and `weft.debug_nans`, `weft.disable_jit`, `weft.enable_x64`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from weft import dtypes


class Config:
    """weft's settings, by attribute or by name, for good or for the time of a ``with`` statement.

    Each can be set in the environment when the program starts: ``WEFT_DEBUG_NANS=1``. They hold for all threads.

    Examples
    --------
    >>> import weft
    >>> weft.config.debug_nans
    False
    >>> weft.config.update("debug_nans", False)
    >>> with weft.config(debug_nans=True, default_float="float32"):
    ...     weft.config.debug_nans, weft.numpy.zeros(2).dtype
    (True, dtype('float32'))
    """

    __slots__ = ("_debug_nans", "_disable_jit")

    def __init__(self) -> None:
        self._debug_nans = self._disable_jit = False
        for name in ("debug_nans", "disable_jit"):
            text = os.environ.get(f"WEFT_{name.upper()}", "")
            if text.lower() not in _WORDS:
                raise ValueError(f"WEFT_{name.upper()} is {text!r}: write 1 or 0")
            if _WORDS[text.lower()]:
                setattr(self, name, True)

    @property
    def debug_nans(self) -> bool:
        """Whether compiled calls that give a NaN raise, with the line of the operation that made it."""
        return self._debug_nans

    @debug_nans.setter
    def debug_nans(self, on: bool) -> None:
        self._debug_nans = bool(on)
        self._watch()

    @property
    def disable_jit(self) -> bool:
        """Whether calls of functions that `weft.jit` made run the Python function itself."""
        return self._disable_jit

    @disable_jit.setter
    def disable_jit(self, on: bool) -> None:
        self._disable_jit = bool(on)
        self._watch()

    @property
    def enable_x64(self) -> bool:
        """True: 64-bit types are always there, and are the defaults as in NumPy."""
        return True

    @enable_x64.setter
    def enable_x64(self, on: bool) -> None:
        if not on:
            raise ValueError(
                "weft always has 64-bit types; for float32 where no dtype is given, set weft.config.default_float ="
                " 'float32'"
            )

    def _watch(self) -> None:
        from weft import _runtime

        _runtime.set_watched(self._debug_nans or self._disable_jit)

    @property
    def default_float(self) -> np.dtype[Any]:
        """The dtype of floating results whose operands have no dtype of their own; also ``WEFT_DEFAULT_FLOAT``.

        It switches `weft.numpy`'s creation functions and conversions of Python numbers (``zeros(3)``,
        ``asarray([0.5])``, ``linspace(0, 1, 5)``), the defaults of `weft.random`, and the complex dtype that goes with
        it. Operands that have dtypes promote as in NumPy, and functions of NumPy itself keep NumPy's default.
        """
        return dtypes.default_float()

    @default_float.setter
    def default_float(self, dtype: Any) -> None:
        dtypes.set_default_float(dtype)

    @property
    def cpu_devices(self) -> int:
        """How many devices the CPU is: also ``WEFT_CPU_DEVICES``, and JAX's name ``num_cpu_devices``.

        They share memory and cores; see `weft.devices`. It can be set until the first use of a second one.
        """
        from weft import _runtime

        return len(_runtime.cpu_devices())

    @cpu_devices.setter
    def cpu_devices(self, count: int) -> None:
        from weft import _runtime

        _runtime.set_cpu_devices(count)

    num_cpu_devices = cpu_devices

    @property
    def cpu_enable_async_dispatch(self) -> bool:
        """Whether a long call returns at once, with arrays that are still being computed; also ``WEFT_ASYNC``."""
        from weft import _runtime

        return _runtime.queueing() != "never"

    @cpu_enable_async_dispatch.setter
    def cpu_enable_async_dispatch(self, on: bool) -> None:
        from weft import _runtime

        _runtime.set_queueing("by cost" if on else "never")

    @property
    def values(self) -> dict[str, Any]:
        """All settings and what they are now."""
        return {name: getattr(self, name) for name in _SETTINGS}

    def update(self, name: str, value: Any) -> None:
        """Set a setting by name; JAX's names, which begin with ``jax_``, are understood.

        Raises
        ------
        AttributeError
            There is no such setting.
        """
        own = name.removeprefix("jax_").removeprefix("weft_")
        if own not in _SETTINGS:
            raise AttributeError(f"Unrecognized config option: {name}; there are {', '.join(_SETTINGS)}")
        setattr(self, own, value)

    @contextmanager
    def __call__(self, **settings: Any) -> Iterator[Config]:
        """Settings for the time of a ``with`` statement."""
        before = [(name, getattr(self, name)) for name in settings if name in _SETTINGS]
        try:
            for name, value in settings.items():
                self.update(name, value)
            yield self
        finally:
            for name, value in before:
                setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _SETTINGS and name not in Config.__slots__:
            raise AttributeError(f"Unrecognized config option: {name}; there are {', '.join(_SETTINGS)}")
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return "\n".join([f"{name} = {value}" for name, value in self.values.items()])


_SETTINGS = tuple([name for name, kind in vars(Config).items() if isinstance(kind, property) and name != "values"])
_WORDS = {"": False, "0": False, "false": False, "off": False, "no": False} | dict.fromkeys(
    ("1", "true", "on", "yes"), True
)
config = Config()


@contextmanager
def debug_nans(on: bool = True) -> Iterator[None]:
    """Find the operation that makes a NaN.

    Inside, a compiled function that returns a NaN is run again by the interpreter, operation by operation, and
    FloatingPointError tells the user's line of the first one that makes a NaN of operands without any; also where it
    belongs to a derivative. When off, calls cost nothing more.

    Parameters
    ----------
    on
        Whether to look for NaNs.

    Examples
    --------
    >>> import numpy as np, weft
    >>> with weft.debug_nans(True):
    ...     weft.jit(lambda x: np.log(x))(np.float64(-1.0))
    Traceback (most recent call last):
    ...
    FloatingPointError: invalid value (nan) encountered in log
    """
    with config(debug_nans=on):
        yield


def disable_jit(disable: bool = True) -> AbstractContextManager[Config]:
    """Run functions made by `weft.jit` as the Python that they are, for prints, debuggers and bisecting.

    Inside, what `weft.grad`, `weft.vmap` and the other transformations were given is still compiled, and so are the
    functions of `weft.lax`.

    Parameters
    ----------
    disable
        Whether to.

    Examples
    --------
    >>> import weft
    >>> @weft.jit
    ... def f(x):
    ...     return type(x).__name__
    >>> with weft.disable_jit():
    ...     f([1.0])
    'list'
    """
    return config(disable_jit=disable)


def enable_x64(on: bool = True) -> AbstractContextManager[Config]:
    """JAX's switch for 64-bit types, which weft always has: changes nothing, and refuses to switch them off.

    Examples
    --------
    >>> import weft
    >>> with weft.enable_x64():
    ...     weft.numpy.zeros(2).dtype
    dtype('float64')
    """
    return config(enable_x64=on)
