"""Keys of both kinds: as arguments, results and what functions close over; what is refused."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft import random

RAW, TYPED = random.PRNGKey(7), random.key(7)


def data(x):
    """Keys, also inside containers, as their words."""
    if isinstance(x, tuple | list):
        return [data(v) for v in x]
    return np.asarray(random.key_data(x)).tolist()


def test_a_typed_key_is_an_array_of_keys():
    keys = random.split(TYPED, (2, 3))
    assert (keys.shape, keys.ndim, keys.size, len(keys), keys.dtype.name) == ((2, 3), 2, 6, 2, "key<fry>")
    assert repr(keys.dtype) == "key<fry>" and keys.dtype == random.key_dtype() and hash(keys.dtype) is not None
    words = np.asarray(random.key_data(keys))
    assert words.shape == (2, 3, 2) and words.dtype == np.uint32
    np.testing.assert_array_equal(random.key_data(keys[1, 2]), words[1, 2])
    np.testing.assert_array_equal(random.key_data(keys[:, 0]), words[:, 0])
    np.testing.assert_array_equal(random.key_data(keys[..., 1]), words[:, 1])
    np.testing.assert_array_equal(random.key_data(keys[1]), words[1])
    np.testing.assert_array_equal(random.key_data(keys[np.array([1, 0, 1])]), words[[1, 0, 1]])
    np.testing.assert_array_equal(random.key_data(keys.reshape(3, -1)), words.reshape(3, 2, 2))
    np.testing.assert_array_equal(random.key_data(keys.reshape((6,))), words.reshape(6, 2))
    np.testing.assert_array_equal(random.key_data(keys.flatten()), words.reshape(6, 2))
    np.testing.assert_array_equal(random.key_data(keys.ravel()), words.reshape(6, 2))
    np.testing.assert_array_equal([random.key_data(k) for k in keys], words)
    np.testing.assert_array_equal(random.key_data(keys.copy().block_until_ready()), words)


def test_typed_keys_are_compared():
    keys = random.split(TYPED, 3)
    np.testing.assert_array_equal(keys == keys[1], [False, True, False])
    np.testing.assert_array_equal(keys != keys[1], [True, False, True])
    assert bool(random.key(1) == random.key(1)) and not bool(random.key(1) == random.key(2))
    assert bool(random.wrap_key_data(RAW) == TYPED)


def test_a_typed_key_prints_and_is_pickled():
    assert repr(random.key(3)) == "Array((), dtype=key<fry>) overlaying:\n[0 3]"
    assert bool(pickle.loads(pickle.dumps(TYPED)) == TYPED)


def test_both_kinds_draw_the_same():
    np.testing.assert_array_equal(random.normal(RAW, (3,)), random.normal(TYPED, (3,)))
    assert isinstance(random.split(TYPED), random.KeyArray) and isinstance(random.fold_in(TYPED, 1), random.KeyArray)
    assert isinstance(random.split(RAW), weft.Array) and isinstance(random.clone(TYPED), random.KeyArray)
    assert data(random.split(RAW)) == data(random.split(TYPED))
    assert random.key_impl(RAW) == random.key_impl(TYPED) == "threefry2x32"
    np.testing.assert_array_equal(random.uniform(np.array([0, 7], np.uint32)), random.uniform(RAW))


def unpacked(key):
    a, b = random.split(key)
    first, *rest = random.split(b, 3)
    return a, first, rest


def iterated(key):
    return [random.uniform(k) for k in random.split(key, 3)]


def looped(key, n):
    total = 0.0
    for i in range(n):
        key, once = random.split(key)
        total += random.uniform(random.fold_in(once, i))
    return key, total


def seeded(seed):
    return random.PRNGKey(seed), random.key_data(random.key(seed))


def described(key):
    return key.shape, key.ndim, key.size, wnp.ones(key.shape), key[0] == key[1]


@pytest.mark.parametrize("key", [RAW, TYPED], ids=["raw", "typed"])
def test_compiled(key):
    assert data(weft.jit(unpacked)(key)) == data(unpacked(key))
    np.testing.assert_array_equal(weft.jit(iterated)(key), iterated(key))
    got, want = weft.jit(looped)(key, 5), looped(key, 5)
    assert type(got[0]) is type(want[0]) and data(got[0]) == data(want[0])
    np.testing.assert_allclose(got[1], want[1], rtol=1e-15)
    np.testing.assert_array_equal(
        weft.jit(lambda x: x + random.uniform(key, (2,)))(1.0), 1.0 + random.uniform(key, (2,))
    )


@pytest.mark.parametrize("seed", [0, -3, 2**40 + 5, -(2**63)])
def test_seeds_of_compiled_programs(seed):
    np.testing.assert_array_equal(weft.jit(seeded)(seed), seeded(seed))


@pytest.mark.parametrize("seed", [np.int32(-3), np.uint64(2**63 + 9), np.int8(5), True])
def test_typed_seeds_of_compiled_programs(seed):
    np.testing.assert_array_equal(weft.jit(seeded)(seed), seeded(seed))


def test_attributes_of_keys_in_compiled_programs():
    shape, ndim, size, ones, same = weft.jit(described)(random.split(TYPED, 3))
    assert (shape, ndim, size, bool(same)) == ((3,), 1, 3, False)
    np.testing.assert_array_equal(ones, np.ones(3))


@pytest.mark.parametrize("key", [RAW, TYPED], ids=["raw", "typed"])
def test_transformations(key):
    keys = random.split(key, 4)
    want = [random.normal(k, (2,)) for k in keys]
    np.testing.assert_allclose(weft.vmap(lambda k: random.normal(k, (2,)))(keys), want, rtol=1e-14)
    np.testing.assert_allclose(weft.jit(weft.vmap(lambda k: random.normal(k, (2,))))(keys), want, rtol=1e-14)
    split = weft.vmap(lambda k: random.split(k)[1])(keys)
    assert type(split) is type(keys) and data(split) == [data(random.split(k)[1]) for k in keys]
    np.testing.assert_allclose(
        weft.grad(lambda x, k: (x * random.normal(k, (3,))).sum())(2.0, key),
        np.sum(random.normal(key, (3,))),
        rtol=1e-14,
    )
    last, drawn = weft.lax.scan(lambda k, _: (random.split(k)[0], random.uniform(k)), key, None, length=3)
    k = key
    for i in range(3):
        np.testing.assert_array_equal(drawn[i], random.uniform(k))
        k = random.split(k)[0]
    assert data(last) == data(k)


def until(key):
    x = n = 0.0
    while x < 0.9:
        key, once = random.split(key)
        x = random.uniform(once)
        n += 1
    return key, n, x


def branched(key, again):
    if again:
        key = random.fold_in(key, 1)
    return random.uniform(key)


def test_keys_in_control_flow():
    got, want = weft.jit(until)(TYPED), until(TYPED)
    assert data(got[0]) == data(want[0]) and got[1:] == want[1:]
    for again in (True, False):
        assert weft.jit(branched)(TYPED, again) == branched(TYPED, again)
        drawn = weft.lax.cond(again, lambda k: random.uniform(random.fold_in(k, 1)), random.uniform, TYPED)
        assert drawn == branched(TYPED, again)
    last, total = weft.lax.fori_loop(
        0, 3, lambda i, c: (random.fold_in(c[0], i), c[1] + random.uniform(c[0])), (TYPED, 0.0)
    )
    key, sum_ = TYPED, 0.0
    for i in range(3):
        key, sum_ = random.fold_in(key, i), sum_ + random.uniform(key)
    assert data(last) == data(key)
    np.testing.assert_allclose(total, sum_, rtol=1e-15)


def test_lanes_of_a_loop_have_their_own_ends():
    keys = random.split(TYPED, 6)
    ends, counts, drawn = weft.vmap(until)(keys)
    want = [until(k) for k in keys]
    assert data(ends) == [data(w[0]) for w in want]
    np.testing.assert_array_equal(counts, [w[1] for w in want])
    np.testing.assert_array_equal(drawn, [w[2] for w in want])


def test_keys_made_inside():
    assert data(weft.jit(lambda: random.split(random.key(3)))()) == data(random.split(random.key(3)))
    assert data(weft.vmap(random.key)(np.arange(3))) == [[0, 0], [0, 1], [0, 2]]
    assert data(weft.vmap(lambda i: random.fold_in(TYPED, i))(np.arange(2))) == [
        data(random.fold_in(TYPED, i)) for i in range(2)
    ]
    shape = weft.eval_shape(lambda k: random.normal(k, (3,), "float32"), TYPED)
    assert (shape.shape, shape.dtype) == ((3,), np.float32)


def test_keys_have_no_derivative():
    with pytest.raises(TypeError, match="grad requires real- or complex-valued inputs"):
        weft.grad(lambda k: random.uniform(k))(TYPED)


def test_keys_in_trees():
    tree = {"a": TYPED, "b": [random.split(TYPED)]}
    assert len(weft.tree.leaves(tree)) == 2
    again = weft.tree.map(lambda x: x, tree)
    assert isinstance(again["a"], random.KeyArray) and bool(again["a"] == TYPED)


ERRORS = [
    (lambda: random.uniform(3), TypeError, "a key is made by weft.random.key"),
    (lambda: random.uniform("a"), TypeError, "a key is made by weft.random.key"),
    (lambda: random.uniform(np.zeros(3, np.uint32)), TypeError, r"ends with \(2,\), and is not \(3,\)"),
    (lambda: random.uniform(np.zeros(2, np.int32)), TypeError, "uint32, not int32"),
    (lambda: random.uniform(np.zeros((3, 2), np.uint32)), ValueError, r"key array of shape \(3,\).*Use weft.vmap"),
    (lambda: random.split(random.split(TYPED)), ValueError, r"split accepts a single key.*\(2,\)"),
    (lambda: random.PRNGKey(2**63), OverflowError, "does not fit 64 bits"),
    (lambda: random.PRNGKey(1.5), TypeError, "seed must be an integer"),
    (lambda: random.PRNGKey(np.arange(2)), TypeError, r"PRNGKey accepts a scalar seed.*\(2,\)"),
    (lambda: random.key(TYPED), TypeError, "key accepts a scalar seed, but was given a PRNG key"),
    (lambda: random.key(0, impl="rbg"), ValueError, 'unrecognized PRNG implementation "rbg".*threefry2x32'),
    (lambda: random.key(0, impl="rbg", dtype="rbg"), ValueError, "Cannot specify both"),
    (lambda: random.wrap_key_data(RAW, impl="rbg", dtype="rbg"), ValueError, "Cannot specify both"),
    (lambda: random.wrap_key_data(np.zeros(3, np.uint32)), TypeError, r"ends with \(2,\)"),
    (lambda: random.fold_in(RAW, -1), OverflowError, "out of bounds for uint32"),
    (lambda: random.fold_in(RAW, 2**32), OverflowError, "out of bounds for uint32"),
    (lambda: random.fold_in(RAW, np.arange(2)), TypeError, "fold_in accepts a scalar.*Use weft.vmap"),
    (lambda: random.split(RAW, -1), ValueError, "negative dimensions"),
    (lambda: random.split(RAW, 2.5), TypeError, "a size must be an integer, not 2.5"),
    (lambda: np.asarray(TYPED), TypeError, "cannot be converted to a NumPy array: take weft.random.key_data"),
    (lambda: bool(TYPED), TypeError, "cannot be converted to boolean"),
    (lambda: TYPED + 1, TypeError, "unsupported operand"),
    (lambda: hash(TYPED), TypeError, "unhashable"),
    (lambda: len(TYPED), TypeError, "unsized"),
    (lambda: list(TYPED), TypeError, "0-d key array"),
    (lambda: TYPED == 3, TypeError, "keys are compared with keys, not with int"),
    (lambda: TYPED.sum(), AttributeError, "arrays of keys have no attribute 'sum'"),
]


@pytest.mark.parametrize("case", range(len(ERRORS)))
def test_errors(case):
    run, kind, message = ERRORS[case]
    with pytest.raises(kind, match=re.compile(message, re.S)):
        run()
