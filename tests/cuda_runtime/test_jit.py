"""Jitted calls on the fake GPU, end to end: staged, lowered, printed, run in the emulator."""

from __future__ import annotations

import numpy as np

import weft
import weft.numpy as wnp


def test_smoke(fake, gpu):
    x = np.linspace(0, 1, 1000)
    a = weft.device_put(x, gpu)

    @weft.jit
    def f(x):
        return wnp.sum(np.sin(x) * 2 + 1), x * 3

    s, y = f(a)
    assert y.device is gpu and s.device is gpu
    np.testing.assert_allclose(np.asarray(s), np.sum(np.sin(x) * 2 + 1))
    np.testing.assert_array_equal(np.asarray(y), x * 3)
