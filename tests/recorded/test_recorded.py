"""weft against results that JAX recorded (see `recorded_cases.py`)."""

from __future__ import annotations

import functools
import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weft

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from recorded_cases import Case, leaves, total  # noqa: E402

AREAS = sorted(p.stem.removeprefix("area_") for p in HERE.glob("area_*.py"))
CASES = [(area, c) for area in AREAS for c in importlib.import_module(f"area_{area}").CASES]


@functools.cache
def recorded(area: str) -> dict[str, Any]:
    return dict(np.load(HERE / "data" / f"{area}.npz"))


def compare(c: Case, found: Any, expected: list[Any]) -> None:
    got = leaves(found)
    assert len(got) == len(expected)
    for x, y in zip(got, expected, strict=True):
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        if x.dtype.kind in "fc" and (c.rtol or c.atol):
            np.testing.assert_allclose(x, y, rtol=c.rtol, atol=c.atol)
        else:
            np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(("area", "c"), [pytest.param(a, c, id=f"{a}-{c.name}") for a, c in CASES])
def test_recorded(area: str, c: Case) -> None:
    data = recorded(area)
    expected = []
    while f"{c.name}/{len(expected)}" in data:
        expected.append(data[f"{c.name}/{len(expected)}"])
    assert expected, "not recorded: run tests/recorded/record.py"
    compare(c, c.run(weft, *c.args), expected)
    if c.compiled:
        compare(c, weft.jit(functools.partial(c.run, weft))(*c.args), expected)
    if c.grad:
        gradient = weft.jit(weft.grad(total(weft, c.run)))(*c.args)
        np.testing.assert_allclose(gradient, data[f"{c.name}/grad"], rtol=max(c.rtol, 1e-6), atol=max(c.atol, 1e-9))
    if c.vmap:
        other = [_changed(a) for a in c.args]
        lanes = [c.run(weft, *c.args), c.run(weft, *other)]
        stacked = [np.stack(parts) for parts in zip(*map(leaves, lanes), strict=True)]
        batch = [np.stack([a, b]) for a, b in zip(c.args, other, strict=True)]
        compare(c, weft.vmap(functools.partial(c.run, weft))(*batch), stacked)


def _changed(a: Any) -> Any:
    """Another argument of the same type."""
    a = np.asarray(a)
    return (a * 0.75).astype(a.dtype) if a.dtype.kind in "fc" else np.flip(a).copy()
