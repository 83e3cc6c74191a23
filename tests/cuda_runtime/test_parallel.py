"""What devices of the CPU do together (tests/parallel), done by GPUs: NCCL's stand-in carries their collectives."""

from __future__ import annotations

import faulthandler
import functools

import pytest
from tests.parallel.test_jit_spread import *  # noqa: F403
from tests.parallel.test_pmap import *  # noqa: F403
from tests.parallel.test_random_spmd import *  # noqa: F403
from tests.parallel.test_shard_map import *  # noqa: F403

import weft


@pytest.fixture
def devices(nccl, monkeypatch):
    """Eight GPUs, on which `pmap` runs and of which meshes are made."""
    weft.config.cpu_devices = 8
    gpus = weft.devices("gpu")
    monkeypatch.setattr(weft, "pmap", functools.partial(weft.pmap, backend="gpu"))
    monkeypatch.setattr(weft, "make_mesh", functools.partial(weft.make_mesh, devices=gpus))
    faulthandler.dump_traceback_later(120, exit=True)
    yield gpus
    faulthandler.cancel_dump_traceback_later()
