"""Settings: by attribute, by name, in a ``with`` statement, in the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import weft
import weft.numpy as wnp

NAMES = ["debug_nans", "disable_jit", "enable_x64", "default_float"]
NAMES += ["cpu_devices", "num_cpu_devices", "cpu_enable_async_dispatch"]


def test_settings_are_listed() -> None:
    assert sorted(weft.config.values) == sorted(NAMES)
    assert "debug_nans = False" in repr(weft.config).splitlines()


def test_unknown_settings() -> None:
    with pytest.raises(AttributeError, match="Unrecognized config option: speed; there are debug_nans"):
        weft.config.speed = 1
    with pytest.raises(AttributeError, match="Unrecognized config option: jax_speed"):
        weft.config.update("jax_speed", 1)
    with pytest.raises(AttributeError, match="Unrecognized config option: speed"), weft.config(speed=1):
        pass
    with pytest.raises(AttributeError):
        weft.config.update("values", {})


def test_for_the_time_of_a_block() -> None:
    with weft.config(debug_nans=True, default_float="float32") as c:
        assert c is weft.config
        assert weft.config.debug_nans
        assert wnp.zeros(2).dtype == np.float32
        with weft.config(debug_nans=False):
            assert not weft.config.debug_nans
        assert weft.config.debug_nans
    assert not weft.config.debug_nans
    assert wnp.zeros(2).dtype == np.float64
    with pytest.raises(KeyError), weft.config(debug_nans=True):
        raise KeyError
    assert not weft.config.debug_nans
    with pytest.raises(AttributeError, match="nonsense"), weft.config(debug_nans=True, nonsense=1):
        pass
    assert not weft.config.debug_nans


def test_names_of_jax() -> None:
    weft.config.update("jax_enable_x64", True)
    weft.config.update("jax_debug_nans", False)
    with pytest.raises(ValueError, match="set weft.config.default_float"):
        weft.config.update("jax_enable_x64", False)
    with weft.enable_x64():
        assert wnp.zeros(1).dtype == np.float64
    with weft.experimental.enable_x64():
        pass
    with pytest.raises(ValueError, match="weft always has 64-bit types"), weft.enable_x64(False):
        pass


@weft.jit
def kind(x: Any) -> Any:
    return type(x).__name__


def test_disable_jit() -> None:
    f = weft.jit(lambda x, n: [len(x)] * n, static_argnums=1)
    assert f([1.0], 2) == [1, 1]
    before = f.cache_info()
    with weft.disable_jit():
        assert kind({1}) == "set"
        assert f({"not": "a number"}, 1) == [1]
        assert weft.grad(weft.jit(lambda x: x * x))(3.0) == 6.0
        np.testing.assert_array_equal(weft.vmap(weft.jit(lambda x: -x))(np.ones(3)), -np.ones(3))
        with weft.disable_jit(False):
            assert f([1.0], 2) == [1, 1]
    assert f.cache_info().compilations == before.compilations
    with pytest.raises(TypeError):
        kind({1: object()}, 2)


def test_library_functions_stay_compiled() -> None:
    def step(carry: Any, x: Any) -> Any:
        return carry + x, carry

    with weft.disable_jit():
        total, before = weft.lax.scan(step, 0.0, np.arange(4.0))
    assert float(total) == 6.0
    np.testing.assert_array_equal(before, [0.0, 0.0, 1.0, 3.0])


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"WEFT_DEBUG_NANS": "1"}, "True False"),
        ({"WEFT_DISABLE_JIT": "true"}, "False True"),
        ({"WEFT_DISABLE_JIT": "0", "WEFT_DEBUG_NANS": ""}, "False False"),
    ],
)
def test_environment(environment: dict[str, str], said: str) -> None:
    text = "import weft; print(weft.config.debug_nans, weft.config.disable_jit)"
    done = subprocess.run(
        [sys.executable, "-c", text], env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.stdout.strip() == said


def test_wrong_environment() -> None:
    env = {**os.environ, "WEFT_DEBUG_NANS": "maybe"}
    done = subprocess.run([sys.executable, "-c", "import weft; weft.config"], env=env, capture_output=True, text=True)
    assert "WEFT_DEBUG_NANS is 'maybe': write 1 or 0" in done.stderr
