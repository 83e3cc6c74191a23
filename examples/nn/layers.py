"""A small neural-network library on weft, in the style of Flax and Equinox.

A layer is a dataclass whose arrays are the leaves of a tree; what else it knows is part of the tree's structure.
``init`` draws a layer's arrays from a key, ``apply`` computes. A model is a layer made of layers, and so a tree, which
`weft.grad`, `weft.jit`, `weft.vmap` and `weft.tree.map` take as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import weft
import weft.numpy as wnp
from weft import lax, nn, random
from weft.tree import static


def layer(cls: type) -> Any:
    """Make a class a dataclass and a container of its arrays; fields made by `static` are no arrays."""
    return weft.tree_util.register_dataclass(dataclass(cls))


# Layers


@layer
class Dense:
    """``x @ weights + bias``."""

    weights: Any
    bias: Any

    @classmethod
    def init(cls, key: Any, inputs: int, outputs: int, dtype: Any = "float32") -> Any:
        weights = nn.initializers.he_normal()(key, (inputs, outputs), dtype)
        return cls(weights, wnp.zeros(outputs, dtype))

    def apply(self, x: Any, key: Any = None) -> Any:
        return x @ self.weights + self.bias


@layer
class Conv:
    """A convolution of images with their channels last, and a bias for each channel."""

    kernel: Any
    bias: Any
    stride: int = static(default=1)
    padding: str = static(default="SAME")

    @classmethod
    def init(
        cls, key: Any, inputs: int, outputs: int, size: int = 3, *, stride: int = 1, padding: str = "SAME",
        dtype: Any = "float32",
    ) -> Any:  # fmt: skip
        kernel = nn.initializers.he_normal()(key, (size, size, inputs, outputs), dtype)
        return cls(kernel, wnp.zeros(outputs, dtype), stride, padding)

    def apply(self, x: Any, key: Any = None) -> Any:
        strides = (self.stride, self.stride)
        layout = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(x, self.kernel, strides, self.padding, dimension_numbers=layout) + self.bias


@layer
class LayerNorm:
    """The last axis brought to mean 0 and variance 1, then scaled and shifted."""

    scale: Any
    shift: Any

    @classmethod
    def init(cls, size: int, dtype: Any = "float32") -> Any:
        return cls(wnp.ones(size, dtype), wnp.zeros(size, dtype))

    def apply(self, x: Any, key: Any = None) -> Any:
        return nn.standardize(x) * self.scale + self.shift


@layer
class MaxPool:
    """The largest of each square of pixels."""

    size: int = static(default=2)

    def apply(self, x: Any, key: Any = None) -> Any:
        window = (1, self.size, self.size, 1)
        return lax.reduce_window(x, -wnp.inf, lax.max, window, window, "VALID")


@layer
class Dropout:
    """While training (where a key is given) a share of the values is dropped, and the others grow for it."""

    rate: float = static(default=0.5)

    def apply(self, x: Any, key: Any = None) -> Any:
        if key is None:
            return x
        keep = random.bernoulli(key, 1.0 - self.rate, x.shape)
        return wnp.where(keep, x / (1.0 - self.rate), 0.0)


@layer
class Function:
    """A function without parameters: an activation, a change of shape."""

    run: Callable[[Any], Any] = static()

    def apply(self, x: Any, key: Any = None) -> Any:
        return self.run(x)


@layer
class Chain:
    """Layers one after the other."""

    layers: tuple[Any, ...]

    def apply(self, x: Any, key: Any = None) -> Any:
        for i, part in enumerate(self.layers):
            x = part.apply(x, None if key is None else random.fold_in(key, i))
        return x


def flatten(x: Any) -> Any:
    """All axes but the first as one."""
    return x.reshape(x.shape[0], -1)


# Losses and what is reported


def cross_entropy(logits: Any, labels: Any) -> Any:
    """The mean of minus the logarithms of the probabilities that the labels are given."""
    chosen = nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return -(nn.log_softmax(logits) * chosen).sum(axis=-1).mean()


def accuracy(logits: Any, labels: Any) -> Any:
    """The share of examples whose label has the largest logit."""
    return (logits.argmax(axis=-1) == labels).mean()


def count(model: Any) -> int:
    """The number of parameters."""
    return sum([x.size for x in weft.tree.leaves(model)])


# Optimisation


@layer
class Adam:
    """Gradient steps scaled by running means of the gradients and of their squares."""

    rate: float = static(default=1e-3)
    decay: float = static(default=0.9)
    decay_squares: float = static(default=0.999)
    epsilon: float = static(default=1e-8)

    def init(self, model: Any) -> Any:
        zeros = weft.tree.map(wnp.zeros_like, model)
        return {"steps": wnp.asarray(0), "mean": zeros, "squares": zeros}

    def update(self, model: Any, grads: Any, state: Any) -> tuple[Any, Any]:
        steps = state["steps"] + 1
        mean = _mix(self.decay, state["mean"], grads)
        squares = _mix(self.decay_squares, state["squares"], weft.tree.map(lambda g: g * g, grads))
        first, second = 1.0 - self.decay**steps, 1.0 - self.decay_squares**steps

        def moved(p: Any, m: Any, s: Any) -> Any:
            return (p - self.rate * (m / first) / (wnp.sqrt(s / second) + self.epsilon)).astype(p.dtype)

        return weft.tree.map(moved, model, mean, squares), {"steps": steps, "mean": mean, "squares": squares}


def _mix(decay: float, old: Any, new: Any) -> Any:
    return weft.tree.map(lambda a, b: decay * a + (1.0 - decay) * b, old, new)
