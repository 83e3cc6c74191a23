"""Functions for neural networks: activations, normalisations, attention, initialisers."""

import importlib
from typing import Any

from weft.nn.activations import (
    celu,
    elu,
    gelu,
    glu,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    identity,
    leaky_relu,
    log1mexp,
    log_sigmoid,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_sign,
    softplus,
    sparse_plus,
    sparse_sigmoid,
    squareplus,
    swish,
    tanh,
)
from weft.nn.attention import dot_product_attention
from weft.nn.functions import log_softmax, logmeanexp, one_hot, softmax, standardize
from weft.scipy.sums import logsumexp

__all__ = [
    "celu", "dot_product_attention", "elu", "gelu", "glu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "identity", "leaky_relu", "log1mexp", "log_sigmoid", "log_softmax", "logmeanexp", "logsumexp", "mish", "one_hot",
    "relu", "relu6", "selu", "sigmoid", "silu", "soft_sign", "softmax", "softplus", "sparse_plus", "sparse_sigmoid",
    "squareplus", "standardize", "swish", "tanh",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """`initializers` are imported when they are first named."""
    if name == "initializers":
        return importlib.import_module("weft.nn.initializers")
    raise AttributeError(f"module 'weft.nn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), "initializers"])
