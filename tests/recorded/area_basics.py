"""Cases that show how cases are written."""

from __future__ import annotations

import numpy as np
from recorded_cases import case

X = np.linspace(-2.0, 2.0, 12).reshape(3, 4)

CASES = [
    case("select", lambda j, x: j.lax.select(x > 0, x, -x), X, grad=True, vmap=True),
    case("at_add", lambda j, x: j.numpy.asarray(x).at[1:, 0].add(2.0), X, grad=True, vmap=True),
]
