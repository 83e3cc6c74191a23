"""Library functions that are staged from their own source."""

from __future__ import annotations

import os

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft.api.written import written


@written("f", "times")
def repeated(f, x, times, scale=1.0):
    """``f`` applied several times."""
    while times > 0 and wnp.sum(x) < 100.0:
        x = f(x) * scale
        times -= 1
    return x


def double(x):
    return 2 * x


def test_eager_compiled_differentiated_and_batched() -> None:
    assert repeated(double, np.ones(2), 3).tolist() == [8.0, 8.0]
    assert repeated(double, np.ones(2), times=9).tolist() == [64.0, 64.0]
    assert repeated(double, np.ones(2), 2, scale=3.0).tolist() == [36.0, 36.0]
    assert weft.jit(lambda x: repeated(double, x, 3))(np.ones(2)).tolist() == [8.0, 8.0]
    assert weft.grad(lambda x: wnp.sum(repeated(double, x, 3)))(np.ones(2)).tolist() == [8.0, 8.0]
    assert weft.vmap(lambda x: repeated(double, x, 9))(np.array([[1.0, 1.0], [30.0, 30.0]])).tolist() == [
        [64.0, 64.0],
        [60.0, 60.0],
    ]


def test_functions_made_anew_share_a_program() -> None:
    out = [repeated(lambda x: x + k, np.zeros(1), 2).tolist() for k in (1.0, 2.0, 1.0)]
    assert out == [[2.0], [4.0], [2.0]]


def test_wrong_arguments() -> None:
    with pytest.raises(TypeError, match="repeated\\(\\): missing a required argument: 'times'"):
        repeated(double, 1.0)


def test_a_second_process_stages_nothing(tmp_path) -> None:
    import subprocess
    import sys

    script = tmp_path / "twice.py"
    script.write_text(
        "import sys\nimport numpy as np, weft\n"
        "def step(c, x):\n    return c + x, c * x\n"
        "def large(x):\n    return x > 1.0\n"
        "def halve(x):\n    return x / 2\n"
        "print(weft.lax.scan(step, 0.0, np.arange(3.0))[1], weft.lax.while_loop(large, halve, 7.0))\n"
        "print(float(weft.random.gamma(weft.random.PRNGKey(0), 2.0)) > 0)\n"
        "print('gast' in sys.modules)\n"
    )
    env = {**os.environ, "WEFT_CACHE_DIR": str(tmp_path / "cache")}
    first, second = [
        subprocess.run([sys.executable, script], capture_output=True, text=True, env=env, check=True).stdout.split("\n")
        for _ in range(2)
    ]
    assert first[:2] == second[:2]
    assert (first[2], second[2]) == ("True", "False")  # gast: whether source was parsed
