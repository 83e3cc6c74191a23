"""`weft.nn` beyond what JAX recorded: errors, examples, sizes, dtypes, aliases."""

from __future__ import annotations

import doctest
import importlib
import warnings

import numpy as np
import pytest

import weft
from weft import nn

X = np.linspace(-3, 3, 13)
Q = np.random.default_rng(0).normal(size=(2, 3, 4, 5))


@pytest.mark.parametrize("name", ["activations", "attention", "functions"])
def test_examples(name):
    found = doctest.testmod(importlib.import_module(f"weft.nn.{name}"))
    assert found.attempted and not found.failed


def test_names():
    assert nn.swish is nn.silu and nn.hard_swish is nn.hard_silu
    assert "initializers" in dir(nn) and set(nn.__all__) <= set(dir(nn))
    with pytest.raises(AttributeError, match="no attribute 'rleu'"):
        nn.rleu  # noqa: B018


def test_arrays_of_every_kind():
    for x in (X, weft.numpy.asarray(X), list(X)):
        found = nn.elu(x)
        assert isinstance(found, weft.Array)
        np.testing.assert_allclose(found, np.where(X > 0, X, np.expm1(X)))
    assert nn.relu(np.array([-1, 2])).dtype == np.int64 and nn.relu(np.float16(-1)).dtype == np.float16
    assert float(nn.sigmoid(0)) == 0.5 and nn.sigmoid(np.float32(1)).dtype == np.float32


@pytest.mark.parametrize("name", ["relu", "gelu", "softmax", "standardize", "logsumexp", "log_softmax"])
def test_programs_serve_every_size(name):
    f = weft.jit(weft.vmap(getattr(nn, name)))
    for n in (2, 3, 7):
        x = np.random.default_rng(n).normal(size=(n, n + 1))
        np.testing.assert_allclose(f(x), np.stack([getattr(nn, name)(r) for r in x]), rtol=1e-12)


def test_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isneginf(nn.log1mexp(0.0)) and np.isneginf(nn.logsumexp(np.full(3, -np.inf)))
        nn.softmax(np.array([np.inf, 1.0]))
        nn.gelu(np.array([1e200, -np.inf]))


def test_second_derivatives():
    for name in ("gelu", "silu", "softplus", "mish", "log_sigmoid", "selu", "squareplus"):
        f = getattr(nn, name)
        d = weft.vmap(weft.grad(weft.grad(f)))(X + 0.01)
        h = 1e-4
        np.testing.assert_allclose(d, (f(X + 0.01 + h) - 2 * f(X + 0.01) + f(X + 0.01 - h)) / h**2, atol=1e-6)


def test_attention_in_float64_keeps_its_precision():
    logits = np.einsum("btnh,bsnh->bnts", Q, Q) / np.sqrt(5)
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    np.testing.assert_allclose(nn.dot_product_attention(Q, Q, Q), np.einsum("bnts,bsnh->btnh", weights, Q), rtol=1e-13)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.standardize(X, algorithm="slow"), "'fast' and 'stable'"),
        (lambda: nn.one_hot(1, 3, axis=2), "axis 2 is out of bounds"),
        (lambda: nn.glu(X), "equal division"),
        (lambda: nn.dot_product_attention(Q[0, 0], Q, Q), "query must have 3 or 4 axes"),
        (lambda: nn.dot_product_attention(Q, Q, Q[:1]), "value must have the shape"),
        (lambda: nn.dot_product_attention(Q, Q[:, :, :3], Q[:, :, :3]), "multiple of that of key heads"),
        (lambda: nn.dot_product_attention(Q, Q, Q.astype(np.float32)), "value has dtype float32"),
        (lambda: nn.dot_product_attention(Q, Q, Q, implementation="cudnn"), "implementations None and 'xla'"),
        (lambda: nn.dot_product_attention(Q, Q, Q, mask=np.ones((1, 1, 3, 3))), "mask must be bools"),
        (lambda: nn.dot_product_attention(Q, Q, Q, query_seq_lengths=np.ones(3, int)), "one integer for each element"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_flags_are_known():
    with pytest.raises(TypeError, match="approximate must be True or False"):
        weft.jit(lambda x, a: nn.gelu(x, a))(X, X)
