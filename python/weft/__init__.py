"""weft: a source-to-source transforming compiler for numeric Python."""

import importlib
from typing import Any

from weft.api.directional import jvp, linearize, vjp
from weft.api.export import export
from weft.api.grad import grad, value_and_grad
from weft.api.jit import jit
from weft.api.vmap import vmap
from weft.errors import CompileError, StagingError
from weft.runtime import Array
from weft.runtime.devices import (
    Device,
    block_until_ready,
    default_backend,
    default_device,
    device_count,
    device_get,
    device_put,
    device_put_replicated,
    device_put_sharded,
    devices,
    effects_barrier,
    local_device_count,
    local_devices,
    process_count,
    process_index,
)

__version__ = "0.1.0"

__all__ = [
    "Array", "CompileError", "Device", "ShapeDtypeStruct", "StagingError", "block_until_ready", "check_grads",
    "checkpoint", "checkpoint_policies", "clear_caches", "config", "custom_jvp", "custom_vjp", "debug_nans",
    "default_backend", "default_device", "device_count", "device_get", "device_put",
    "device_put_replicated", "device_put_sharded", "devices", "disable_jit",
    "effects_barrier", "enable_x64", "ensure_compile_time_eval", "eval_shape", "export", "grad", "hessian", "hvp",
    "io_callback", "jacfwd",
    "jacobian", "jacrev", "jit", "jvp", "linearize", "local_device_count", "local_devices", "make_array_from_callback",
    "make_array_from_process_local_data", "make_array_from_single_device_arrays", "make_ir", "make_jaxpr", "make_mesh",
    "named_call", "named_scope", "pmap", "process_count", "process_index", "pure_callback", "remat",
    "shard_map", "typeof", "value_and_grad", "vjp", "vmap",
]  # fmt: skip

_SUBMODULES = (
    "ad_checkpoint", "debug", "distributed", "dlpack", "dtypes", "experimental", "lax",
    "nn", "numpy", "ops", "random", "scipy", "sharding", "test_util",
    "tree", "tree_util",
)  # fmt: skip

_LATER = {
    "check_grads": "weft.test_util",
    "checkpoint": "weft.api.checkpoint",
    "checkpoint_policies": "weft.api.checkpoint",
    "ShapeDtypeStruct": "weft.api.shapes",
    "clear_caches": "weft.api.naming",
    "config": "weft.api.config",
    "custom_jvp": "weft.api.custom",
    "custom_vjp": "weft.api.custom",
    "debug_nans": "weft.api.config",
    "disable_jit": "weft.api.config",
    "enable_x64": "weft.api.config",
    "ensure_compile_time_eval": "weft.api.naming",
    "eval_shape": "weft.api.shapes",
    "hessian": "weft.api.jacobians",
    "hvp": "weft.api.jacobians",
    "jacfwd": "weft.api.jacobians",
    "jacobian": "weft.api.jacobians",
    "jacrev": "weft.api.jacobians",
    "io_callback": "weft.api.callbacks",
    "make_array_from_callback": "weft.runtime.assembling",
    "make_array_from_process_local_data": "weft.runtime.assembling",
    "make_array_from_single_device_arrays": "weft.runtime.assembling",
    "make_ir": "weft.api.shapes",
    "make_jaxpr": "weft.api.shapes",
    "make_mesh": "weft.sharding",
    "named_call": "weft.api.naming",
    "named_scope": "weft.api.naming",
    "pmap": "weft.api.pmap",
    "pure_callback": "weft.api.callbacks",
    "remat": "weft.api.checkpoint",
    "shard_map": "weft.api.shard_map",
    "typeof": "weft.api.shapes",
}

_LATER |= dict.fromkeys(
    ("tree_all", "tree_flatten", "tree_leaves", "tree_map", "tree_multimap", "tree_reduce", "tree_structure",
     "tree_transpose", "tree_unflatten", "treedef_is_leaf"),
    "weft.tree_util",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    """Library modules, and the less common functions, are imported when they are first named."""
    if name in _SUBMODULES:
        return importlib.import_module(f"weft.{name}")
    if name in _LATER:
        value = globals()[name] = getattr(importlib.import_module(_LATER[name]), name)
        return value
    raise AttributeError(f"module 'weft' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBMODULES, *_LATER})
