"""`jax.nn`: values, derivatives at ordinary and at special points, attention."""

from __future__ import annotations

from typing import Any

import numpy as np
from recorded_cases import Case, case

X = np.array([[-3.7, -1.2, -0.31, 0.04], [0.5, 1.37, 2.9, 6.5]])
AT_ENDS = np.array([-1.0, 0.0, 1.0, 3.0, 6.0, -3.0])
FAR = np.array([-1e4, -800.0, -40.0, 40.0, 800.0, 1e4])
ODD = np.array([-np.inf, np.inf, np.nan, -0.0])
F32 = X.astype(np.float32)
INTS = np.array([-2, 0, 3, 9])
SMOOTH = (
    "celu", "elu", "gelu", "leaky_relu", "log_sigmoid", "mish", "selu", "sigmoid", "silu", "soft_sign", "softplus",
    "squareplus", "tanh",
)  # fmt: skip
CORNERED = ("hard_sigmoid", "hard_silu", "hard_tanh", "identity", "relu", "relu6", "sparse_plus", "sparse_sigmoid")


def activation(name: str) -> list[Case]:
    def run(j: Any, x: Any) -> Any:
        return getattr(j.nn, name)(x)

    found = [
        case(name, run, X, grad=True, vmap=True),
        case(f"{name}_f32", run, F32, grad=True, rtol=2e-5, atol=3e-6),
        case(f"{name}_far", run, FAR, grad=True),
        case(f"{name}_odd", run, ODD),
    ]
    if name not in ("silu", "soft_sign", "squareplus", "tanh", "sigmoid"):  # what becomes of integers there is NumPy's
        found.append(case(f"{name}_ints", run, INTS))
    if name in CORNERED:
        found.append(case(f"{name}_ends", run, AT_ENDS, grad=name not in ("hard_silu", "sparse_sigmoid")))
    return found


ROWS = np.array([[1.0, 2.0, -1.0], [800.0, 799.0, -800.0], [0.0, 0.0, 0.0]])
EMPTY_ROWS = np.array([[-np.inf, -np.inf], [-np.inf, 1.0], [0.5, 2.0]])
MASK = np.array([[True, False, True], [True, True, False], [False, True, True]])
WEIGHTS = np.array([[0.5, -1.0, 2.0], [1.0, 0.0, 3.0], [0.0, 0.0, 1.0]])
AXES = [case(f"{name}_{axis}", lambda j, x, name=name, axis=axis: getattr(j.nn, name)(x, axis), ROWS, grad=True, vmap=axis != 0)
        for name in ("softmax", "log_softmax", "logsumexp", "logmeanexp", "standardize") for axis in (-1, 0, (0, 1), None)]  # fmt: skip
MASKED = [
    case(f"{name}_where", lambda j, x, name=name: getattr(j.nn, name)(x, axis=-1, where=MASK), ROWS, grad=True, vmap=True)
    for name in ("softmax", "log_softmax", "logsumexp", "logmeanexp", "standardize")
]  # fmt: skip

R = np.random.default_rng(0)


def arrays(*shapes: tuple[int, ...]) -> list[Any]:
    return [R.normal(size=s).astype(np.float32) for s in shapes]


QKV = arrays((2, 5, 4, 3), (2, 6, 4, 3), (2, 6, 4, 3))
FEW = arrays((2, 5, 4, 3), (2, 6, 2, 3), (2, 6, 2, 3))
BIAS, MASKS = R.normal(size=(2, 4, 5, 6)).astype(np.float32), R.random((2, 1, 5, 6)) > 0.3
LENGTHS = np.array([3, 5], np.int32), np.array([4, 6], np.int32)
CLOSE: Any = {"rtol": 2e-5, "atol": 2e-6, "grad": True}


def attention(j: Any, q: Any, k: Any, v: Any, *rest: Any, **options: Any) -> Any:
    return j.nn.dot_product_attention(q, k, v, *rest, **options)


ATTENTION = [
    case("attention", attention, *QKV, **CLOSE, vmap=True),
    case("attention_3", attention, *[x[0] for x in QKV], **CLOSE),
    case("attention_bias", lambda j, q, k, v, b: attention(j, q, k, v, b), *QKV, BIAS, **CLOSE, vmap=True),
    case("attention_mask", lambda j, q, k, v, m: attention(j, q, k, v, None, m), *QKV, MASKS, **CLOSE),
    case("attention_both", lambda j, q, k, v: attention(j, q, k, v, BIAS[:, :1], MASKS, scale=0.3), *FEW, **CLOSE),
    case("attention_causal", lambda j, q, k, v: attention(j, q, k, v, is_causal=True), *FEW, **CLOSE, vmap=True),
    case("attention_window", lambda j, q, k, v: attention(j, q, k, v, local_window_size=(1, 2)), *QKV, **CLOSE),
    case("attention_window_one", lambda j, q, k, v: attention(j, q, k, v, local_window_size=1), *QKV, **CLOSE),
    case(
        "attention_lengths",
        lambda j, q, k, v, m, n: attention(j, q, k, v, query_seq_lengths=m, key_value_seq_lengths=n),
        *FEW, *LENGTHS, **CLOSE,
    ),
    case("attention_residual", lambda j, q, k, v: attention(j, q, k, v, BIAS, return_residual=True), *FEW, **CLOSE),
]  # fmt: skip

CASES = [
    *[c for name in (*SMOOTH, *CORNERED) for c in activation(name)],
    case("gelu_exact", lambda j, x: j.nn.gelu(x, approximate=False), X, grad=True, vmap=True),
    case("gelu_exact_far", lambda j, x: j.nn.gelu(x, False), FAR, grad=True),
    case("elu_alpha", lambda j, x, a: j.nn.elu(x, a), X, X[0], grad=True, vmap=True),
    case("celu_alpha", lambda j, x, a: j.nn.celu(x, a), X, X[1], grad=True, vmap=True),
    case("leaky_slope", lambda j, x, a: j.nn.leaky_relu(x, a), X, X[1], grad=True, vmap=True),
    case("squareplus_b", lambda j, x, b: j.nn.squareplus(x, b), X, X[1], grad=True, vmap=True),
    case("log1mexp", lambda j, x: j.nn.log1mexp(x), np.array([1e-9, 0.1, 0.69, 0.7, 5.0, 50.0]), grad=True, vmap=True),
    case("log1mexp_odd", lambda j, x: j.nn.log1mexp(x), np.array([-1.0, 0.0, np.inf, np.nan])),
    *[case(f"glu_{a}", lambda j, x, a=a: j.nn.glu(x, a), X, grad=True, vmap=a != 0) for a in (-1, 0, 1)],
    *AXES,
    *MASKED,
    *[
        case(f"{name}_empty", lambda j, x, name=name: getattr(j.nn, name)(x, axis=-1), EMPTY_ROWS[1:], grad=True)
        for name in ("softmax", "log_softmax", "logsumexp")
    ],
    case("logsumexp_all_low", lambda j, x: j.nn.logsumexp(x, axis=-1), EMPTY_ROWS, grad=True),
    case("logsumexp_weights", lambda j, x, b: j.nn.logsumexp(x, axis=-1, b=b), ROWS, WEIGHTS, grad=True, vmap=True),
    case("logsumexp_sign", lambda j, x, b: j.nn.logsumexp(x, 1, b, True, True), ROWS, -WEIGHTS, grad=True),
    case("logsumexp_sign_kept", lambda j, x: j.nn.logsumexp(x, None, None, True, True), ROWS, grad=True),
    case("standardize_stable", lambda j, x: j.nn.standardize(x, algorithm="stable"), ROWS, grad=True, vmap=True),
    case(
        "standardize_given", lambda j, x, m, v: j.nn.standardize(x, 0, m, v, 0.1), X, X[1], X[1] + 1, grad=True,
        vmap=False,
    ),
    *[case(f"one_hot_{a}", lambda j, x, a=a: j.nn.one_hot(x, 4, axis=a), np.array([[0, 3, 1], [-1, 4, 2]]), vmap=a == -1)
      for a in (-1, 0, 1)],
    case("one_hot_dtype", lambda j, x: j.nn.one_hot(x, 3, dtype=np.int32), np.array([0, 2])),
    case("one_hot_number", lambda j: j.nn.one_hot(2, 3)),
    *ATTENTION,
]  # fmt: skip
