"""The classifier of digits, trained by many devices: of one process, or of several on one machine or more.

``WEFT_CPU_DEVICES=8 python examples/digits_parallel.py``
``WEFT_CPU_DEVICES=2 mpirun -n 4 python examples/digits_parallel.py``

Each device has a part of every batch; gradients are averaged over all devices. The losses do not depend on how the
devices are divided among processes.
"""

from __future__ import annotations

import functools
import os
import sys

import digits
import numpy as np

import weft
from weft import lax
from weft.distributed.process import STARTED

RATE = 0.5


@functools.partial(weft.pmap, axis_name="devices", in_axes=(0, 0, 0), donate_argnums=(0,))
def update(params, images, labels):
    """A step of gradient descent on this device's part of a batch; the loss is that of the whole batch."""
    value, grads = weft.value_and_grad(digits.loss)(params, images, labels)
    value, grads = lax.pmean((value, grads), axis_name="devices")
    return weft.tree.map(lambda p, g: p - RATE * g, params, grads), value


def made_up(n=2048, seed=0):
    """Images of ten noisy patterns, where scikit-learn's digits are not at hand."""
    rng = np.random.default_rng(seed)
    patterns = rng.random((10, 64))
    labels = rng.integers(0, 10, n)
    return np.clip(patterns[labels] + 0.3 * rng.standard_normal((n, 64)), 0.0, 1.0), labels


def real():
    """scikit-learn's handwritten digits."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    return images[order] / 16.0, labels[order]


def train(images, labels, steps=200, batch=512, show=print):
    """Train on all devices; the losses and the parameters."""
    here, everywhere = weft.local_device_count(), weft.device_count()
    first = weft.process_index() * here
    params = weft.device_put_replicated(digits.init(), weft.local_devices())
    rng = np.random.default_rng(1)  # the same batches in each process
    losses = []
    for step in range(steps):
        chosen = rng.integers(0, len(images), batch).reshape(everywhere, -1)[first : first + here]
        params, value = update(params, images[chosen], labels[chosen])
        if step % 20 == 0 or step == steps - 1:
            losses.append(float(value[0]))
            if weft.process_index() == 0:
                show(f"step {step:4d}   loss {losses[-1]:.9f}")
    return losses, weft.tree.map(lambda p: np.asarray(p[0]), params)


def main(data="real", steps="200"):
    """Train, and say how good it is."""
    if any(name in os.environ for name in STARTED):
        weft.distributed.initialize()
    images, labels = real() if data == "real" else made_up()
    split = len(images) * 3 // 4
    _, params = train(images[:split], labels[:split], int(steps))
    if weft.process_index() == 0:
        print(f"{weft.process_count()} processes with {weft.local_device_count()} devices each")
        print(f"recognised: {digits.accuracy(params, images[split:], labels[split:]):.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
