"""The first call of a three-line function in this process."""

import json
import sys
import time

start = time.perf_counter()
import numpy as np  # noqa: E402

numpy_there = time.perf_counter()
import weft  # noqa: E402

imported = time.perf_counter()


@weft.jit
def smooth(x, rate):
    """Three lines."""
    for i in range(1, x.size):
        x[i] += rate * (x[i - 1] - x[i])
    return x.sum()


x = np.ones(10)
before = time.perf_counter()
total = smooth(x, 0.5)
seconds = time.perf_counter() - before
assert total == 10.0
heavy = [name for name in ("gast", "jinja2", "beniget") if name in sys.modules]
info = smooth.cache_info()
print(
    json.dumps(
        {
            "seconds": seconds, "numpy": numpy_there - start, "weft": imported - numpy_there, "heavy": heavy,
            "loaded": info.loaded, "cpp": smooth.inspect(x, 0.5).cpp if "--cpp" in sys.argv else "",
        }
    )
)  # fmt: skip
