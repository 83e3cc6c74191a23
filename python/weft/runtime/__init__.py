"""The runtime: arrays, dispatch, threads, and where the installed files lie."""

from __future__ import annotations

import atexit
import importlib.util
import os
import sys
from typing import Any

from weft import _runtime
from weft._runtime import Dispatcher, Leaf, Plan, Signature
from weft.pytrees import flatten_custom
from weft.runtime.array import Array

__all__ = ["Array", "Dispatcher", "Leaf", "Plan", "Signature", "flatten_value"]


def _find_blas() -> str:
    # The package is looked for without importing it: the runtime opens the library at the first product.
    spec = importlib.util.find_spec("scipy_openblas64")
    if spec is None or spec.origin is None:
        return ""
    suffix = ".dylib" if os.uname().sysname == "Darwin" else ".so"
    return os.path.join(os.path.dirname(spec.origin), "lib", "libscipy_openblas64_" + suffix)


_runtime.set_blas_path(_find_blas())


def _close_queues() -> None:
    """At the program's end: queued calls are finished; after an unhandled error, only those that have begun."""
    _runtime.close_queues(getattr(sys, "last_type", None) is None)


atexit.register(_close_queues)


def _no_plan(args: object, kwargs: object) -> None:
    raise RuntimeError("the flattener is not called")


def flatten_value(value: Any) -> Signature:
    """One value taken apart as an argument would be; its structure is the only one of ``args``."""
    return _flattener.signature((value,))


_flattener = Dispatcher(_no_plan, (), (), flatten_custom)
