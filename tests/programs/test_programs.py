"""Every program through every way of running it."""

import os

import pytest
import tests.programs.derivatives  # noqa: F401
import tests.programs.in_place  # noqa: F401
import tests.programs.language  # noqa: F401
import tests.programs.numeric  # noqa: F401
import tests.programs.objectives  # noqa: F401
from tests.programs.harness import (
    PROGRAMS,
    Program,
    check,
    check_cuda,
    check_cuda_gradient,
    check_cuda_vmap,
    check_gradients,
    check_second,
    check_vmap,
)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Stage at every first call, and verify the IR after each pass."""
    monkeypatch.setenv("WEFT_VERIFY", "1")
    monkeypatch.setattr("weft.api.warm.load", lambda t, signature: None)


def named(programs: list[Program]):
    return pytest.mark.parametrize("p", programs, ids=lambda p: p.name)


@named(PROGRAMS)
def test_agrees_with_python(p):
    check(p)


@named([p for p in PROGRAMS if p.grad])
def test_gradients(p):
    check_gradients(p)


@named([p for p in PROGRAMS if p.second])
def test_second_derivatives(p):
    check_second(p)


@named([p for p in PROGRAMS if p.vmap is not None])
def test_batches(p):
    check_vmap(p)


@named(PROGRAMS)
def test_cuda(p):
    check_cuda(p)


@named([p for p in PROGRAMS if p.grad])
def test_gradients_by_cuda(p):
    check_cuda_gradient(p)


@named([p for p in PROGRAMS if p.vmap is not None])
def test_batches_by_cuda(p):
    check_cuda_vmap(p)


def test_there_are_many():
    assert len(PROGRAMS) >= 60
    assert "WEFT_VERIFY" in os.environ
