"""Run by mpirun: pmap over the devices of all processes, against vmap over all pieces in one."""

import numpy as np
import pytest
from every_collective import every_collective

import weft
from weft import lax

weft.distributed.initialize()
with pytest.raises(RuntimeError, match="should only be called once"):
    weft.distributed.initialize()
p, count, here = weft.process_index(), weft.process_count(), weft.local_device_count()
n = weft.device_count()
assert n == here * count
mine = slice(p * here, (p + 1) * here)
rng = np.random.default_rng(0)
square = rng.standard_normal((n, n, 4))


f = every_collective(n)
found = weft.pmap(f, axis_name="i")(square[mine])
wanted = weft.vmap(f, axis_name="i")(square)
for name in found:
    np.testing.assert_allclose(found[name], np.asarray(wanted[name])[mine], rtol=1e-12, err_msg=name)
same = weft.pmap(lambda x: lax.psum(x, "i"), axis_name="i", out_axes=None)(square[mine])
np.testing.assert_allclose(same, square.sum(axis=0), rtol=1e-12)

with pytest.raises(ValueError, match="runs on all devices"):
    weft.pmap(lambda x: x)(np.ones(here + 1))
jitted = weft.jit(weft.pmap(f, axis_name="i"))(square[mine])
np.testing.assert_allclose(jitted["psum"], found["psum"], rtol=1e-12)
with pytest.raises(NotImplementedError, match="inside compiled code, across processes"):
    weft.jit(lambda x: weft.pmap(lambda x: x)(x) + 1.0)(np.ones(here))
with pytest.raises(NotImplementedError, match="shard_map across processes"):
    mesh = weft.make_mesh((here,), ("i",))
    weft.shard_map(lambda x: x, mesh=mesh, in_specs=weft.sharding.P("i"), out_specs=weft.sharding.P("i"))(np.ones(here))
print(f"process {p} agrees with vmap over all pieces")
