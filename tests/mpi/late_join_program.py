"""Run by mpirun: a process that has used pmap by itself cannot join others any more."""

import numpy as np
import pytest

import weft

assert weft.pmap(lambda x: x)(np.ones(1)).shape == (1,)
with pytest.raises(RuntimeError, match="before any function made by pmap is called"):
    weft.distributed.initialize()
assert not weft.distributed.is_initialized()
print("refused")
