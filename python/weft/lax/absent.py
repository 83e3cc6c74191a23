"""Names of `jax.lax` that are not here, and what to write instead."""

from __future__ import annotations

_TOKENS = "effects are always in the program's order: no token is needed"
_ALGORITHM = "products are computed in the dtype of their operands; preferred_element_type chooses another"
_SHARDING = "arrays lie on one device"
_PRIMITIVE = "weft's primitives are in weft.primitives"

ABSENT: dict[str, str] = {
    "AccuracyMode": "functions have one accuracy",
    "DotAlgorithm": _ALGORITHM,
    "DotAlgorithmPreset": _ALGORITHM,
    "RaggedDotDimensionNumbers": "write a product for each group, with weft.lax.dynamic_slice",
    "RandomAlgorithm": "weft.random has one generator, Threefry",
    "Tolerance": "functions have one accuracy",
    "after_all": _TOKENS,
    "create_token": _TOKENS,
    "custom_linear_solve": "write the solver's loop, which has derivatives, or give it a rule with weft.custom_vjp",
    "custom_root": "write the solver's loop, which has derivatives, or give it a rule with weft.custom_vjp",
    "dce_sink": "weft.debug.callback keeps a value",
    "pswapaxes": "write weft.lax.all_to_all(x, axis_name, axis, axis)",
    "precv": _SHARDING,
    "psend": _SHARDING,
    "ragged_all_to_all": "weft.lax.all_to_all exchanges parts of equal sizes",
    "ragged_dot": "write a product for each group, with weft.lax.dynamic_slice",
    "ragged_dot_general": "write a product for each group, with weft.lax.dynamic_slice",
    "random_gamma_grad": "weft.random.gamma has its derivative",
    "rng_bit_generator": "write weft.random.bits(key, shape)",
    "scaled_dot": "multiply by the scales, and write weft.lax.dot_general",
    "shape_as_value": "x.shape has run-time sizes as they are",
    "stage": "weft.jit compiles a function",
}


def message(name: str) -> str:
    """The text of the AttributeError for a name."""
    if name in ABSENT:
        return f"module 'weft.lax' has no attribute {name!r}: {ABSENT[name]}"
    if name.endswith("_p"):
        return f"module 'weft.lax' has no attribute {name!r}: {_PRIMITIVE}"
    return f"module 'weft.lax' has no attribute {name!r}"
