"""Reductions over segments."""

from __future__ import annotations

import numpy as np
from recorded_cases import case

X = np.sin(np.arange(12.0)).reshape(6, 2)
IDS = np.array([0, 2, 0, 7, 1, 2])

CASES = [
    case("sum", lambda j, x, i: j.ops.segment_sum(x, i, 4), X, IDS, grad=True, vmap=True),
    case("sum_all", lambda j, x, i: j.ops.segment_sum(x, i), X, IDS, compiled=False),
    case("prod", lambda j, x, i: j.ops.segment_prod(x, i, 4), X, IDS),
    case("max", lambda j, x, i: j.ops.segment_max(x, i, 4), X, IDS, grad=True, vmap=True),
    case("min", lambda j, x, i: j.ops.segment_min(x, i, 4, indices_are_sorted=False), X, IDS, grad=True),
    case("max_int", lambda j, x, i: j.ops.segment_max(x, i, 4), np.arange(6), IDS),
    case("sum_negative", lambda j, x, i: j.ops.segment_sum(x, i, 4), X, IDS - 1, grad=True),
]
