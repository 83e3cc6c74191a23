"""Programs for many devices are found again in another process, for the same devices divided in the same way."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

PROGRAM = """
import functools, json, sys
import numpy as np
import weft
import weft.numpy as wnp
from weft import lax
from weft.sharding import P

W = np.arange(3.0)
LIMIT = {limit}

def body(x, scale):
    y = lax.psum(x * W, "{axis}") * scale
    if LIMIT:
        y = y + lax.axis_index("{axis}")
    return y, lax.pmax(x.sum(), "{axis}")

@functools.partial(weft.pmap, axis_name="{axis}", in_axes=(0, None), out_axes=(0, None), static_broadcasted_argnums=1)
def f(x, scale):
    return body(x, scale)

mesh = weft.sharding.Mesh(np.array(weft.devices("cpu")[:4][::{step}]).reshape({shape}), ("a", "b"))

@weft.jit
@functools.partial(weft.shard_map, mesh=mesh, in_specs=P("a", "b"), out_specs=P(("a", "b")))
def g(x):
    return lax.psum(x, "b") + lax.axis_index("a")

moved = weft.pmap(lambda x: {{"y": x @ x}}, in_axes=1)
try:
    y, top = f(np.arange({n} * 3.0).reshape({n}, 3), {scale})
except ValueError as e:
    print(json.dumps(dict(error=str(e))))
    sys.exit()
W[:] = 1.0
again, _ = f(np.ones(({n}, 3)), {scale})
z = g(np.arange(32.0).reshape(4, 8))
m = moved(np.ones((3, 4)))
print(json.dumps(dict(
    y=y.tolist(), top=float(top), again=again.tolist(), z=z.tolist(), m=m["y"].tolist(),
    where=[[s.device.id for s in v.addressable_shards] for v in (y, z, m["y"])],
    loaded=[t.cache_info().loaded for t in (f, g, moved)], compiled=[t.cache_info().compilations for t in (f, g, moved)],
    frontend="gast" in sys.modules, templates="jinja2" in sys.modules,
)))
"""
PLAIN = {"limit": True, "axis": "i", "n": 4, "scale": 2, "step": 1, "shape": (2, 2)}


@pytest.fixture
def run(tmp_path):
    def go(devices=8, **settings):
        script = tmp_path / "program.py"
        script.write_text(PROGRAM.format(**{**PLAIN, **settings}))
        done = subprocess.run(
            [sys.executable, "-B", str(script)], capture_output=True, text=True, timeout=120,
            env={**os.environ, "WEFT_CACHE_DIR": str(tmp_path / "cache"), "WEFT_CPU_DEVICES": str(devices)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        out = json.loads(done.stdout)
        if "error" not in out:
            check(out, **{**PLAIN, **settings})
        return out

    return go


def check(out, limit, axis, n, scale, step, shape):
    x = np.arange(n * 3.0).reshape(n, 3)
    ranks = np.arange(n)[:, None] if limit else 0
    np.testing.assert_allclose(out["y"], (x * np.arange(3.0)).sum(axis=0) * scale + np.zeros((n, 1)) + ranks)
    assert out["top"] == x.sum(axis=1).max()
    np.testing.assert_allclose(out["again"], np.full((n, 3), n * scale) + ranks)
    a, b = shape
    blocks = np.arange(32.0).reshape(a, 4 // a, b, 8 // b).sum(axis=2) + np.arange(a)[:, None, None]
    np.testing.assert_allclose(out["z"], np.concatenate([np.tile(block, (b, 1)) for block in blocks]))
    assert out["m"] == [3.0] * 4
    assert out["where"] == [list(range(n)), list(range(4))[::step], list(range(4))]


def test_a_second_process_neither_stages_nor_compiles(run):
    cold = run()
    assert (cold["loaded"], cold["compiled"]) == ([0, 0, 0], [1, 1, 1]) and cold["frontend"]
    warm = run()
    assert (warm["loaded"], warm["compiled"]) == ([1, 1, 1], [0, 0, 0])
    assert not warm["frontend"] and not warm["templates"]
    assert run(devices=4)["loaded"] == [1, 1, 1]


@pytest.mark.parametrize(
    ("change", "loaded"),
    [
        ({"n": 8}, [0, 1, 1]), ({"limit": False}, [0, 1, 1]), ({"axis": "j"}, [0, 1, 1]), ({"scale": 3}, [0, 1, 1]),
        ({"step": -1}, [1, 0, 1]), ({"shape": (4, 1)}, [1, 0, 1]), ({"shape": (1, 4)}, [1, 0, 1]),
    ],
)  # fmt: skip
def test_what_is_another_program(run, change, loaded):
    run()
    assert run(**change)["loaded"] == loaded
    assert run(**change)["loaded"] == run()["loaded"] == [1, 1, 1]


def test_devices_that_are_not_there_any_more(run):
    run(n=8)
    assert "requires 8 logical devices, but only 4 are available" in run(devices=4, n=8)["error"]


SHARDED = """
import numpy as np, weft
from weft.sharding import NamedSharding, P
mesh = weft.sharding.Mesh(np.array(weft.devices("cpu")[:4][::{step}]), ("a",))
rows = NamedSharding(mesh, P("{axis}"))

@weft.jit
def f(x):
    x = weft.lax.with_sharding_constraint(x, rows)
    return weft.shard_map(lambda x: x + weft.lax.axis_index("a"), mesh=mesh, in_specs=P("a"), out_specs=P("a"))(x)

assert f(np.zeros(8)).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
print(f.cache_info().loaded)
"""


def test_captured_meshes_and_shardings_are_recognised(tmp_path):
    def run(step=1, axis="a"):
        script = tmp_path / "program.py"
        script.write_text(SHARDED.format(step=step, axis=axis))
        done = subprocess.run(
            [sys.executable, "-B", str(script)], capture_output=True, text=True, timeout=120,
            env={**os.environ, "WEFT_CACHE_DIR": str(tmp_path / "cache"), "WEFT_CPU_DEVICES": "4"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    assert [run(), run(), run(step=-1), run(step=-1), run()] == [0, 1, 0, 1, 1]
