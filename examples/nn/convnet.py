"""A convolutional net for scikit-learn's handwritten digits: ``python examples/nn/convnet.py`` trains it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from layers import Adam, Chain, Conv, Dense, Dropout, Function, MaxPool, accuracy, count, cross_entropy, flatten

import weft
from weft import nn, random

EPOCHS, BATCH = 20, 64
OPTIMISER = Adam(rate=2e-3)


def make(key: Any) -> Chain:
    """Two convolutions and two dense layers, for images of 8 by 8 pixels."""
    keys = random.split(key, 4)
    return Chain(
        (
            Conv.init(keys[0], 1, 16), Function(nn.relu),
            Conv.init(keys[1], 16, 32), Function(nn.relu), MaxPool(2),
            Function(flatten), Dense.init(keys[2], 4 * 4 * 32, 64), Function(nn.relu), Dropout(0.3),
            Dense.init(keys[3], 64, 10),
        )
    )  # fmt: skip


def loss(model: Chain, images: Any, labels: Any, key: Any) -> Any:
    """The cross entropy of a batch."""
    return cross_entropy(model.apply(images, key), labels)


@weft.jit
def step(model: Chain, state: Any, images: Any, labels: Any, key: Any) -> tuple[Chain, Any, Any]:
    """One step of the optimiser; the model after it, its state, and the loss before it."""
    value, grads = weft.value_and_grad(loss)(model, images, labels, key)
    model, state = OPTIMISER.update(model, grads, state)
    return model, state, value


@weft.jit
def score(model: Chain, images: Any, labels: Any) -> Any:
    """The share of images that are recognised."""
    return accuracy(model.apply(images), labels)


def train(
    images: Any, labels: Any, epochs: int = EPOCHS, batch: int = BATCH, seed: int = 0
) -> tuple[Chain, list[float]]:
    """A trained model, and the mean loss of each epoch."""
    key = random.key(seed)
    model = make(random.fold_in(key, 0))
    state, losses = OPTIMISER.init(model), []
    for epoch in range(epochs):
        order_key, *keys = random.split(random.fold_in(key, epoch + 1), len(images) // BATCH + 1)
        order = np.asarray(random.permutation(order_key, len(images)))
        values = []
        for k, once in enumerate(keys):
            chosen = order[k * BATCH : (k + 1) * BATCH]
            model, state, value = step(model, state, images[chosen], labels[chosen], once)
            values.append(value)
        losses.append(float(np.mean(values)))
    return model, losses


def load() -> tuple[Any, Any, Any, Any]:
    """Training images and labels, test images and labels."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    images = (images / 16.0).astype(np.float32).reshape(-1, 8, 8, 1)
    found = train_test_split(images, labels, test_size=0.25, random_state=0, stratify=labels)
    return found[0], found[2], found[1], found[3]


def main() -> None:
    images, labels, test, test_labels = load()
    start = time.perf_counter()
    model, losses = train(images, labels)
    seconds = time.perf_counter() - start
    print(f"{count(model):,} parameters, {len(images):,} images, {EPOCHS} epochs: {seconds:.1f} s")
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.4f}")
    print(f"training images recognised: {100 * float(score(model, images, labels)):.1f} %")
    print(f"    test images recognised: {100 * float(score(model, test, test_labels)):.1f} %")


if __name__ == "__main__":
    main()
