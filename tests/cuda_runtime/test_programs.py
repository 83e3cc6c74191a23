"""The language's programs by jitted calls on the fake GPU: arguments written in place, output, exceptions and all."""

from __future__ import annotations

import copy

import pytest
from tests.programs import language
from tests.programs.harness import PROGRAMS, agree, outcome

import weft

OURS = [p for p in PROGRAMS if p.fn.__module__ == language.__name__]


@pytest.mark.parametrize("p", OURS, ids=lambda p: p.name)
def test_agrees_with_python(p, fake, gpu):
    assert len(OURS) > 20
    f = weft.jit(p.fn, **p.jit)
    for args in p.calls():
        want = outcome(p.fn, copy.deepcopy(args))
        with weft.default_device(gpu):
            for _ in range(2):
                agree(outcome(f, copy.deepcopy(args)), want, p, "on the GPU")
