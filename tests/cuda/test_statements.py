"""What tests/codegen asserts of each kind of statement, of CUDA code as well: the same values and the same errors."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from tests.codegen import test_statements
from tests.codegen.harness import Compiled
from tests.codegen.test_statements import *  # noqa: F403
from tests.cuda.harness import Emulated

SEEDS = range(5)


class Both(Compiled):
    """Code for the CPU, which must do what the same for a device does."""

    def __call__(self, *args: Any, fail_alloc_at: int = -1) -> list[Any]:
        try:
            want: Any = super().__call__(*args, fail_alloc_at=fail_alloc_at)
        except Exception as e:
            want = e
        if fail_alloc_at < 0:
            device = Emulated(self.function)
            for seed in SEEDS:
                with contextlib.redirect_stdout(io.StringIO()):
                    self.compare(device, args, want, seed)
        if isinstance(want, Exception):
            raise want
        return want

    def compare(self, device: Emulated, args: Any, want: Any, seed: int) -> None:
        if isinstance(want, Exception):
            with pytest.raises(type(want)) as raised:
                device(*args, seed=seed)
            assert str(raised.value) == str(want)
            return
        for k, (g, w) in enumerate(zip(device(*args, seed=seed), want, strict=True)):
            g, w = np.asarray(g), np.asarray(w)
            assert (g.dtype, g.shape) == (w.dtype, w.shape)
            rtol = 1e-5 if w.dtype in (np.float32, np.complex64) else 1e-12
            np.testing.assert_allclose(g, w, rtol=rtol, atol=rtol, err_msg=f"result {k}, seed {seed}")


@pytest.fixture(autouse=True)
def both(monkeypatch):
    monkeypatch.setattr(test_statements, "Compiled", Both)
