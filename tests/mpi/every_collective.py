"""A function of one piece that calls every collective, for the programs of this folder."""

from __future__ import annotations

import weft
import weft.numpy as wnp
from weft import lax


def every_collective(n):
    """Of ``n`` pieces."""

    def f(x):
        return {
            "psum": lax.psum(x, "i"), "pmean": x - lax.pmean(x, "i"), "pmax": lax.pmax(x, "i"),
            "all_gather": lax.all_gather(x[0], "i"), "scatter": lax.psum_scatter(x, "i"),
            "all_to_all": lax.all_to_all(x, "i", 0, 0), "where": lax.axis_index("i") * lax.axis_size("i"),
            "permuted": lax.ppermute(x, "i", [(k, (k + 1) % n) for k in range(n)]),
            "gradient": weft.grad(lambda v: wnp.sum(v * lax.psum(v * v, "i")))(x), "size": lax.psum(1, "i"),
        }  # fmt: skip

    return f
