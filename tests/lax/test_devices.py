"""Programs with lax's operations as CUDA code, in the emulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.cuda.harness import Emulated

import weft
import weft.numpy as wnp
from weft import lax
from weft.ir.interpret import evaluate


def image(*shape: int) -> Any:
    return np.sin(np.arange(float(np.prod(shape)))).reshape(shape)


def convolution(x, w):
    y = lax.conv_general_dilated(x, w, (1, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return wnp.sum(y * y)


def transposed(x, w):
    y = lax.conv_transpose(x, w, (2, 2), "SAME")
    return wnp.sum(y * y)


def pooled(x):
    y = lax.reduce_window(x, -np.inf, lax.max, (1, 3, 2, 1), (1, 2, 1, 1), "SAME")
    return wnp.sum(y * y)


def recurrent(h, xs):
    def step(h, x):
        h = wnp.tanh(h * 0.5 + x)
        return h, h * x

    h, ys = lax.scan(step, h, xs)
    return wnp.sum(h) + wnp.sum(ys * ys)


def gathered(x):
    numbers = lax.GatherDimensionNumbers((2, 3), (), (0, 1))
    places = np.array([[[0, 1], [2, 3]], [[1, 1], [0, 3]]])
    return wnp.sum(lax.gather(x, places, numbers, (2, 3), mode="clip") ** 2)


CASES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (convolution, (image(2, 6, 5, 3), image(3, 2, 3, 4))),
    (transposed, (image(2, 4, 3, 3), image(3, 2, 3, 4))),
    (pooled, (image(2, 6, 5, 3),)),
    (recurrent, (image(4), image(6, 4))),
    (gathered, (image(4, 5),)),
]


@pytest.mark.parametrize("derivative", [False, True], ids=["value", "derivative"])
@pytest.mark.parametrize(("f", "args"), CASES, ids=[f.__name__ for f, _ in CASES])
def test_device_code_agrees_with_the_interpreter(f: Any, args: tuple[Any, ...], derivative: bool) -> None:
    program = weft.jit(weft.grad(f, argnums=tuple(range(len(args)))) if derivative else f).lower(*args).function
    wanted = evaluate(program, *args)
    emulated = Emulated(program)
    for seed in range(3):
        for got, want in zip(emulated(*args, seed=seed), wanted, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)
