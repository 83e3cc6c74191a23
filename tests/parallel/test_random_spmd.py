"""Random programs of many devices, against the same program as a vmap."""

from __future__ import annotations

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft import lax

MEETINGS = ["psum", "pmean", "pmax", "all_gather", "scatter", "all_to_all", "ppermute", "groups"]
STEPS = [*MEETINGS, "index", "loop", "local while", "branch", "common while", "nonlinear"]


def program(plan, n):
    """A function of an (n, 3) piece; ``plan`` says what is done to it, in order."""

    groups = [list(range(n))] if n % 2 else [list(range(0, n, 2)), list(range(1, n, 2))]

    def f(x):
        for step, k in plan:
            if step == "psum":
                x = x + 0.1 * lax.psum(x, "i")
            elif step == "pmean":
                x = x - lax.pmean(wnp.sin(x), "i")
            elif step == "pmax":
                x = wnp.minimum(x, lax.pmax(x[k % n], "i"))
            elif step == "all_gather":
                x = x + lax.all_gather(x[0, 0], "i")[:, None]
            elif step == "scatter":
                x = x * 0.5 + lax.psum_scatter(x, "i")
            elif step == "all_to_all":
                x = lax.all_to_all(x, "i", 0, 0)
            elif step == "ppermute":
                x = x + lax.ppermute(x, "i", [(j, (j + k) % n) for j in range(n)])
            elif step == "groups":
                x = x - lax.pmin(x, "i", axis_index_groups=groups)
            elif step == "index":
                x = x + 0.3 * lax.axis_index("i")
            elif step == "loop":
                for j in range(k):
                    x = 0.5 * x + lax.psum(x[j % n, 0], "i") / n
            elif step == "local while":
                while x[0, 0] > 0.5:
                    x = x * 0.5
            elif step == "branch":
                if x[0, 1] > 0.0:
                    x = x - 1.0
                else:
                    x = wnp.cos(x)
            elif step == "common while":
                while lax.pmax(abs(x[0, 2]), "i") > 1.0:
                    x = x * 0.7
            else:
                x = wnp.tanh(x)
        return x

    return f


@pytest.mark.parametrize("seed", range(12))
def test_random_programs(seed, devices):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    plan = tuple((STEPS[k], int(rng.integers(1, 4))) for k in rng.integers(0, len(STEPS), 6))
    f = program(plan, n)
    x = rng.standard_normal((n, n, 3))
    try:
        want = weft.vmap(f, axis_name="i")(x)
    except weft.StagingError:  # lanes of vmap part where devices may meet again; the plan is run without those steps
        plan = tuple(s for s in plan if s[0] not in ("local while", "branch"))
        f = program(plan, n)
        want = weft.vmap(f, axis_name="i")(x)
    got = weft.pmap(f, axis_name="i")(x)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9, err_msg=f"{n} devices, {plan}")


@pytest.mark.parametrize("seed", range(4))
def test_random_gradients_inside(seed, devices):
    rng = np.random.default_rng(100 + seed)
    n = int(rng.integers(2, 6))
    smooth = ["psum", "pmean", "all_gather", "scatter", "all_to_all", "ppermute", "loop", "nonlinear", "index"]
    plan = tuple((smooth[k], int(rng.integers(1, 4))) for k in rng.integers(0, len(smooth), 4))
    f = program(plan, n)
    g = weft.grad(lambda x: wnp.sum(f(x) ** 2))
    x = rng.standard_normal((n, n, 3))
    want = weft.vmap(g, axis_name="i")(x)
    np.testing.assert_allclose(weft.pmap(g, axis_name="i")(x), want, rtol=1e-9, atol=1e-9, err_msg=f"{n}, {plan}")
