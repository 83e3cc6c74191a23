"""Import a built module from a folder, check it, and time a scalar function: prints seconds as JSON."""

import json
import sys
import time

import numpy as np


def each(f, x, count=20_000):
    """Seconds of a call, the best of several rounds."""
    best = float("inf")
    for _ in range(7):
        start = time.perf_counter()
        for _ in range(count):
            f(x)
        best = min(best, time.perf_counter() - start)
    return best / count


folder, peer = sys.argv[1:]
sys.path.insert(0, folder)
start = time.perf_counter()
import ten  # noqa: E402

took = time.perf_counter() - start
heavy = [m for m in ("gast", "jinja2", "beniget", "click", "rich", "subprocess") if m in sys.modules]
assert ten.line(3.0) == 7.0
assert abs(ten.anomaly(1.0, 0.3) - 1.2880913132118377) < 1e-12
assert abs(ten.slope(1.0, 0.3) - 1.0 / (1.0 - 0.3 * np.cos(1.2880913132118377))) < 1e-9
A, w, y = np.linspace(0, 1, 12).reshape(4, 3), np.ones(3), np.zeros(4)
h = np.array([1e-6, 0, 0])
assert abs(ten.loss_gradient(A, w, y)[0] - (ten.loss(A, w + h, y) - ten.loss(A, w - h, y)) / 2e-6) < 1e-8
x = np.array([1.0, 0.0, 0.5])
ten.settle(x, 1e-6)
assert abs(x[-1] - x[0]) <= 1e-6
calls = {"weft": each(ten.line, 3.0), "python": each(lambda x: 2.0 * x + 1.0, 3.0)}
if peer == "numba":
    import numba

    f = numba.njit(lambda x: 2.0 * x + 1.0)
    assert f(3.0) == 7.0
    calls["numba"] = each(f, 3.0)
print(json.dumps({"import": took, "calls": calls, "heavy": heavy}))
