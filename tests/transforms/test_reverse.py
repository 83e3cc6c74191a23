"""Reverse mode: values against forward mode, second order, and what is saved."""

from __future__ import annotations

import numpy as np
import pytest
from derivative_checks import check_both, directions, inexact
from ir_programs import PROGRAMS

from weft.ir.interpret import evaluate
from weft.transforms.forward import jvp
from weft.transforms.reverse import vjp

# programs whose second derivatives are left out: steep enough that differences say nothing
STEEP = set()


@pytest.mark.parametrize("name", PROGRAMS)
def test_against_forward_mode(name):
    p = PROGRAMS[name]()
    check_both(p.f, p.args, p.active)


@pytest.mark.parametrize("name", [n for n in PROGRAMS if n not in STEEP])
def test_second_order(name):
    p = PROGRAMS[name]()
    g = vjp(p.f, p.active)
    rng = np.random.default_rng(3)
    n = len(p.f.params)
    # results' sizes at the arguments
    primal = evaluate(p.f, *p.args)
    cts = [rng.normal(size=np.shape(r)) for r in primal if np.asarray(r).dtype.kind == "f"]
    assert len(g.params) == n + len(cts)
    check_both(g, (*p.args, *cts), (*p.active, *[True] * len(cts)), tol=2e-5)
    j = jvp(p.f, p.active)
    check_both(j, (*p.args, *directions(p.args, p.active)), inexact(j), tol=2e-5)
