"""The neural-network library among the examples: small, and its numbers are those that the same text gives with JAX."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import weft
from weft import nn, random

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "nn"
sys.path.insert(0, str(FOLDER))

import convnet  # noqa: E402
import layers  # noqa: E402


@pytest.fixture(scope="module")
def images():
    """Ten patterns, and noise over them."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 640)
    patterns = rng.random((10, 8, 8, 1)).astype(np.float32)
    return (patterns[labels] + 0.3 * rng.normal(size=(640, 8, 8, 1))).astype(np.float32), labels


def test_the_library_is_small():
    assert len((FOLDER / "layers.py").read_text().splitlines()) < 200


def test_training_goes_as_with_jax(images):
    """Three epochs of ten steps: the losses that JAX 0.10.2 computes from the same keys (with 64-bit types on)."""
    model, losses = convnet.train(*images, epochs=3)
    np.testing.assert_allclose(losses, [2.2122726440429688, 1.544313907623291, 0.8676122426986694], rtol=1e-3)
    info = convnet.step.cache_info()
    assert info.compilations + info.loaded == 1
    assert float(convnet.score(model, *images)) > 0.9
    assert all(x.dtype == np.float32 for x in weft.tree.leaves(model))


def test_one_loss_as_with_jax(images):
    model = convnet.make(random.key(1))
    assert layers.count(model) == 3 * 3 * 16 + 16 + 3 * 3 * 16 * 32 + 32 + 512 * 64 + 64 + 64 * 10 + 10
    got = [convnet.loss(model, images[0][:64], images[1][:64], random.fold_in(random.key(1), i)) for i in range(3)]
    np.testing.assert_allclose(got, [3.2590635, 3.2641492, 3.0882592], rtol=1e-5)


def test_a_model_is_a_tree(images):
    model = convnet.make(random.key(0))
    assert len(weft.tree.leaves(model)) == 8
    grads = weft.jit(weft.grad(convnet.loss))(model, images[0][:5], images[1][:5], random.key(1))
    assert weft.tree.structure(grads) == weft.tree.structure(model)
    assert [g.shape for g in weft.tree.leaves(grads)] == [p.shape for p in weft.tree.leaves(model)]


def test_gradient_is_that_of_differences():
    """Of a small model in float64, in a direction."""
    keys = random.split(random.key(3), 3)
    conv = layers.Conv.init(keys[0], 2, 3, 2, stride=2, padding="VALID", dtype="float64")
    dense = layers.Dense.init(keys[1], 12, 4, "float64")
    norm = layers.LayerNorm.init(3, "float64")
    model = layers.Chain((conv, norm, layers.Function(nn.gelu), layers.Function(layers.flatten), dense))
    x, labels = random.normal(keys[2], (5, 4, 4, 2)), np.array([0, 1, 2, 3, 0])

    def loss(model):
        return layers.cross_entropy(model.apply(x), labels)

    leaves, structure = weft.tree.flatten(model)
    direction = [random.normal(random.fold_in(keys[2], i), p.shape) for i, p in enumerate(leaves)]
    moved = lambda e: weft.tree.unflatten(structure, [p + e * d for p, d in zip(leaves, direction)])
    want = (loss(moved(1e-6)) - loss(moved(-1e-6))) / 2e-6
    got = sum(float((g * d).sum()) for g, d in zip(weft.tree.leaves(weft.grad(loss)(model)), direction))
    np.testing.assert_allclose(got, want, rtol=1e-7)


def test_dropout_needs_a_key():
    x = np.ones((40, 50))
    drop = layers.Dropout(0.25)
    np.testing.assert_array_equal(drop.apply(x), x)
    dropped = np.asarray(drop.apply(x, random.key(0)))
    assert set(np.unique(dropped)) == {0.0, 1 / 0.75} and 0.2 < (dropped == 0).mean() < 0.3


def test_max_pool():
    x = np.arange(32.0).reshape(2, 4, 4, 1)
    np.testing.assert_array_equal(layers.MaxPool(2).apply(x)[..., 0], x[:, 1::2, 1::2, 0])


def test_adam_by_hand():
    """Two steps on one parameter."""
    adam = layers.Adam(rate=0.1)
    model, state = {"w": np.array([1.0, -2.0])}, None
    state = adam.init(model)
    m, s, w = np.zeros(2), np.zeros(2), model["w"]
    for k in (1, 2):
        g = np.array([0.5, -3.0]) * k
        model, state = adam.update(model, {"w": g}, state)
        m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g * g
        w = w - 0.1 * (m / (1 - 0.9**k)) / (np.sqrt(s / (1 - 0.999**k)) + 1e-8)
        np.testing.assert_allclose(model["w"], w, rtol=1e-12)
    assert state["steps"] == 2
