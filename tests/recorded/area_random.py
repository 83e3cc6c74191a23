"""Bits, integers and uniform numbers of `weft.random`: JAX's bit for bit; orders and choices, which follow from them."""

from __future__ import annotations

import numpy as np
from recorded_cases import case

K = np.array([0, 42], np.uint32)
L = np.array([4026531840, 305419896], np.uint32)
EXACT = {"rtol": 0.0, "atol": 0.0}
X = np.arange(24.0).reshape(4, 6)
P = np.array([0.1, 0.25, 0.0, 0.4, 0.25])
LOGITS = np.linspace(-2.0, 1.5, 12).reshape(3, 4)


def typed(j, k):
    """The key as one of the new style."""
    return j.random.wrap_key_data(j.numpy.asarray(k))


CASES = [
    # keys
    *[
        case(f"seed_{s}", lambda j, s=s: (j.random.PRNGKey(s), j.random.key_data(j.random.key(s))), compiled=False)
        for s in (0, 1, -1, -(2**40), 2**32 - 1, 2**32, 2**63 - 1, -(2**63), True)
    ],
    *[
        case(f"seed_{np.dtype(t).name}", lambda j, s: j.random.PRNGKey(s), np.asarray(v, t))
        for t, v in ((np.int32, -3), (np.uint32, 7), (np.int64, -3), (np.uint64, 2**63 + 5), (np.int8, -1))
    ],
    case("split", lambda j, k: j.random.split(k), K, vmap=True),
    case("split_n", lambda j, k: j.random.split(k, 5), L, vmap=True),
    case("split_shape", lambda j, k: j.random.split(k, (2, 3)), K, vmap=True),
    case("split_none", lambda j, k: j.random.split(k, 0), K),
    case("split_unpacked", lambda j, k: [j.random.split(s)[1] for s in j.random.split(k, 3)], K, vmap=True),
    case("fold_in", lambda j, k: [j.random.fold_in(k, i) for i in (0, 1, 2**32 - 1)], K, vmap=True),
    case("fold_in_array", lambda j, k, i: j.random.fold_in(k, i), K, np.asarray(-5)),
    case("typed", lambda j, k: j.random.key_data(j.random.split(j.random.fold_in(typed(j, k), 3), 4)), K, vmap=True),
    case("typed_index", lambda j, k: j.random.key_data(j.random.split(typed(j, k), (4, 2))[1:3, 0]), K, vmap=True),
    case("typed_draw", lambda j, k: j.random.uniform(j.random.split(typed(j, k))[1], (3,)), K, vmap=True, **EXACT),
    case("clone", lambda j, k: j.random.clone(k), K),
    # bits
    *[
        case(f"bits_{t}_{len(s)}d", lambda j, k, t=t, s=s: j.random.bits(k, s, t), K, vmap=True)
        for t in ("uint8", "uint16", "uint32", "uint64") for s in ((), (7,), (2, 3, 4))
    ],
    case("bits_default", lambda j, k: j.random.bits(k, (3,)), L),
    case("bits_empty", lambda j, k: j.random.bits(k, (3, 0)), L),
    case("bits_one", lambda j, k: j.random.bits(k, (1,)), L, vmap=True),
    case("bits_long", lambda j, k: j.random.bits(k, (5000,), "uint8"), L),
    # uniform numbers
    *[
        case(f"uniform_{t}_{len(s)}d", lambda j, k, t=t, s=s: j.random.uniform(k, s, t), K, vmap=True, **EXACT)
        for t in ("float16", "float32", "float64") for s in ((), (7,), (3, 5))
    ],
    *[
        case(
            f"uniform_{t}_{name}", lambda j, k, t=t, r=r: j.random.uniform(k, (300,), t, r[0], r[1]), K,
            vmap=True, **EXACT,
        )
        for t in ("float32", "float64") for name, r in (("odd", (-3.3, 7.7)), ("ints", (-1, 3)), ("down", (2.5, -1.25)))
    ],
    case("uniform_default", lambda j, k: j.random.uniform(k), K, vmap=True, **EXACT),
    case(
        "uniform_bounds", lambda j, a, b, k: j.random.uniform(k, (3, 4), minval=a, maxval=b),
        LOGITS, np.asarray(4.5), K, grad=True, vmap=True,
    ),
    case("uniform_empty", lambda j, k: j.random.uniform(k, (0, 3), "float32"), K),
    # integers
    *[
        case(f"randint_{t}", lambda j, k, t=t, r=r: j.random.randint(k, (200,), r[0], r[1], t), K, vmap=True)
        for t, r in (
            ("int8", (-100, 100)), ("uint8", (0, 256)), ("int16", (-5, 3000)), ("uint16", (7, 65536)),
            ("int32", (-(2**31), 2**31 - 1)), ("uint32", (3, 2**32 - 1)), ("int64", (-(10**12), 10**15)),
            ("uint64", (0, 2**62)),
        )
    ],
    case("randint_beyond", lambda j, k: j.random.randint(k, (50,), 0, 2**31, "int32"), K),
    case("randint_whole", lambda j, k: j.random.randint(k, (50,), -(2**31), 2**31, "int32"), K),
    case("randint_reversed", lambda j, k: j.random.randint(k, (5,), 4, 1), K),
    case("randint_scalar", lambda j, k: j.random.randint(k, (), 0, 10), L, vmap=True),
    case(
        "randint_arrays", lambda j, k, a, b: j.random.randint(k, (3, 4), a, b),
        K, np.arange(4) - 2, np.array([[5], [9], [1000]]),
    ),
    case("randint_float_bounds", lambda j, k: j.random.randint(k, (9,), 1.9, 6.9), K),
    # bools and signs
    case("bernoulli", lambda j, k: j.random.bernoulli(k, 0.3, (50,)), K, vmap=True),
    case("bernoulli_default", lambda j, k: j.random.bernoulli(k), K, vmap=True),
    case("bernoulli_array", lambda j, k, p: j.random.bernoulli(k, p), K, P),
    case("bernoulli_f32", lambda j, k, p: j.random.bernoulli(k, p, (4, 5)), K, P.astype("float32")),
    case("bernoulli_high", lambda j, k: j.random.bernoulli(k, 0.3, (50,), "high"), K),
    case("rademacher", lambda j, k: j.random.rademacher(k, (50,)), K, vmap=True),
    case("rademacher_f32", lambda j, k: j.random.rademacher(k, (3, 5), "float32"), K),
    case("geometric", lambda j, k: j.random.geometric(k, 0.2, (50,)), K),
    case("geometric_array", lambda j, k, p: j.random.geometric(k, p, (3, 2), "int32"), K, np.array([0.5, 0.9])),
    # orders and choices
    case("permutation_int", lambda j, k: j.random.permutation(k, 10), K),
    case("permutation_long", lambda j, k: j.random.permutation(k, 2000), K),
    case("permutation_vector", lambda j, k: j.random.permutation(k, np.arange(7.0)), L),
    case("permutation_rows", lambda j, x, k: j.random.permutation(k, x), X, K, grad=True, vmap=True),
    case("permutation_columns", lambda j, x, k: j.random.permutation(k, x, 1), X, K, vmap=True),
    case("permutation_independent", lambda j, x, k: j.random.permutation(k, x, -1, True), X, K, vmap=True),
    case("permutation_one", lambda j, k: j.random.permutation(k, 1), K),
    case("permutation_none", lambda j, k: j.random.permutation(k, 0), K),
    case("choice_int", lambda j, k: j.random.choice(k, 10, (20,)), K, vmap=True),
    case("choice_scalar", lambda j, k: j.random.choice(k, 10), K, vmap=True),
    case("choice_rows", lambda j, x, k: j.random.choice(k, x, (3, 2)), X, K, vmap=True, grad=True),
    case("choice_columns", lambda j, x, k: j.random.choice(k, x, (5,), axis=1), X, K),
    case("choice_without", lambda j, k: j.random.choice(k, 10, (4,), replace=False), K),
    case("choice_rows_without", lambda j, x, k: j.random.choice(k, x, (2, 2), False), X, K),
    case("choice_columns_without", lambda j, x, k: j.random.choice(k, x, (4,), False, axis=1), X, K),
    case("choice_p", lambda j, k, p: j.random.choice(k, 5, (30,), p=p), K, P),
    case("choice_p_f32", lambda j, k, p: j.random.choice(k, 5, (30,), p=p), K, P.astype("float32")),
    case("choice_p_without", lambda j, k, p: j.random.choice(k, 5, (3,), False, p), K, P),
    case("choice_empty", lambda j, k: j.random.choice(k, 5, (0, 2)), K),
    case("categorical", lambda j, x, k: j.random.categorical(k, x), LOGITS, K),
    case("categorical_axis", lambda j, x, k: j.random.categorical(k, x, 0), LOGITS, K),
    case("categorical_shape", lambda j, x, k: j.random.categorical(k, x, shape=(20, 3)), LOGITS, K),
    case("categorical_front", lambda j, x, k: j.random.categorical(k, x, 0, (5, 4)), LOGITS, K),
    case("categorical_f32", lambda j, x, k: j.random.categorical(k, x), LOGITS.astype("float32"), K),
    case("categorical_high", lambda j, x, k: j.random.categorical(k, x, mode="high"), LOGITS, K),
    case("categorical_without", lambda j, x, k: j.random.categorical(k, x, shape=(3, 3), replace=False).astype("int64"), LOGITS, K),
]  # fmt: skip
