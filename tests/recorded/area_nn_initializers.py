"""`jax.nn.initializers`: the same numbers for the same key."""

from __future__ import annotations

from typing import Any

import numpy as np
from recorded_cases import Case, case

F32 = np.float32
SHAPE = (3, 3, 4, 5)


def made(name: str, *args: Any, shape: tuple[int, ...] = SHAPE, suffix: str = "", **options: Any) -> Case:
    def run(j: Any) -> Any:
        return getattr(j.nn.initializers, name)(*args, **options)(j.random.key(7), shape, F32)

    return case(name + suffix, run, rtol=2e-5, atol=2e-6)


CASES = [
    made("constant", 2.5),
    made("uniform", 0.3),
    made("normal", 0.3),
    made("truncated_normal", 0.3),
    *[made(f"{family}_{kind}") for family in ("glorot", "lecun", "he", "xavier", "kaiming") for kind in ("uniform", "normal")],
    *[made("variance_scaling", 1.7, m, d, suffix=f"_{m}_{d}") for m in ("fan_in", "fan_out", "fan_avg", "fan_geo_avg") for d in ("normal", "uniform")],
    made("variance_scaling", 1.7, "fan_in", "normal", in_axis=(0, 1), out_axis=2, batch_axis=(3,), suffix="_axes"),
    case("zeros", lambda j: j.nn.initializers.zeros(j.random.key(0), (2, 3), F32)),
    case("ones", lambda j: j.nn.initializers.ones(j.random.key(0), (2, 3), F32)),
]  # fmt: skip
