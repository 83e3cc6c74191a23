"""Run by mpirun: collectives in groups of the devices of all processes, against vmap over all pieces in one."""

import numpy as np
import pytest

import weft
import weft.numpy as wnp
from weft import lax

weft.distributed.initialize()
p, here, n = weft.process_index(), weft.local_device_count(), weft.device_count()
mine = slice(p * here, (p + 1) * here)
x = np.random.default_rng(0).standard_normal((n, n, 4))


def program(groups):
    size = len(groups[0])

    def f(x):
        return {
            "psum": lax.psum(x, "i", axis_index_groups=groups),
            "pmean": x - lax.pmean(x, "i", axis_index_groups=groups),
            "pmax": lax.pmax(x, "i", axis_index_groups=groups), "pmin": lax.pmin(x, "i", axis_index_groups=groups),
            "all_gather": lax.all_gather(x, "i", axis_index_groups=groups),
            "tiled": lax.all_gather(x, "i", axis_index_groups=groups, axis=1, tiled=True),
            "scatter": lax.psum_scatter(x[:size], "i", axis_index_groups=groups),
            "all_to_all": lax.all_to_all(x[:size], "i", 0, 0, axis_index_groups=groups),
            "both": lax.psum(lax.psum(x, "i", axis_index_groups=groups), "i"),
            "gradient": weft.grad(lambda v: wnp.sum(v * lax.psum(v * v, "i", axis_index_groups=groups)))(x),
        }  # fmt: skip

    return f


for groups in ([[0, 1], [2, 3]], [[0, 2], [1, 3]], [[3, 0], [1, 2]], [[2, 0, 3, 1]], [[0], [3], [1], [2]]):
    f = program(groups)
    found = weft.pmap(f, axis_name="i")(x[mine])
    wanted = weft.vmap(f, axis_name="i")(x)
    for name in found:
        np.testing.assert_allclose(found[name], np.asarray(wanted[name])[mine], rtol=1e-12, err_msg=name)
with pytest.raises(ValueError, match="must cover all indices exactly once"):
    weft.pmap(lambda x: lax.psum(x, "i", axis_index_groups=[[0]]), axis_name="i")(np.ones(here))
print(f"process {p}: groups agree with vmap")
