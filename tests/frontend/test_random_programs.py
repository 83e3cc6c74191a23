"""Random programs mean what Python means, or are refused; never anything else.

``WEFT_RANDOM_PROGRAMS=500:2000`` tries these seeds instead of the usual ones (``make random`` does, overnight),
``WEFT_RANDOM_COMPILED=1`` compiles all.
"""

import ast
import copy
import importlib.util
import os
import re
import sys
import tempfile
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from tests.frontend.random_programs import program, shrunk
from tests.programs.harness import Program, agree, interpreted, outcome

import weft
from weft.api.interpreted import Interpreted

SEEDS = os.environ.get("WEFT_RANDOM_PROGRAMS", "")
FIRST, LAST = map(int, (SEEDS or "0:60").split(":"))
#: How many programs are differentiated, and how many are batched.
DERIVED, BATCHED = (LAST - FIRST, LAST - FIRST) if SEEDS else (300, 30)
#: How many of ten must not be refused; of ten thousand tens, some are.
LEAST = 0 if SEEDS else 3
COMPILED = os.environ.get("WEFT_RANDOM_COMPILED", "") == "1"
FOLDER = Path(tempfile.mkdtemp(prefix="weft-random-"))
NUMBERS = count()

#: What may be refused: writes where it is not certain which array is written, and variables bound on some paths only.
REFUSED = re.compile(
    r"may be one of several|which the loop binds to other arrays|assigned on one path only|used before it is assigned"
    r"|a loop that may not run|may not have a value yet|overlaps|on the two paths|types that do not join of a condition"
)


def load(text: str):
    """The function of a program, from a file of its own (weft reads source)."""
    name = f"weft_random_{next(NUMBERS)}"
    path = FOLDER / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module.program


def samples():
    rng = np.random.default_rng(3)
    for x, y, n, k in ((0.7, -0.3, 3, 1), (-0.4, 0.9, 0, 2), (0.2, 0.1, 5, 4), (1.5, 1.0, 1, 0)):
        yield (x, y, n, k, rng.uniform(-1, 1, 5), rng.uniform(-1, 1, 5), rng.uniform(-1, 1, (3, 5)))


def trial(text: str, compiled: bool = COMPILED) -> str:
    """Compare a program with Python on all samples."""
    fn = load(text)
    p = Program(fn, list, rtol=1e-10)
    ways = {"interpreted": interpreted(fn)} | ({"compiled": weft.jit(fn)} if compiled else {})
    for args in samples():
        want = outcome(fn, args)
        for how, run in ways.items():
            try:
                got = outcome(run, args)
            except weft.StagingError as e:
                if REFUSED.search(str(e)):
                    return f"refused: {e.reason}"
                raise
            if got.error and REFUSED.search(got.error[1]):
                return f"refused: {got.error[1]}"
            agree(got, want, p, how)
    return "same"


def failure(text: str, compiled: bool = COMPILED) -> str:
    """What goes wrong with a program, in a word; empty if nothing does, or if Python itself refuses it."""
    try:
        ast.parse(text)
        fn = load(text)
        for args in samples():
            if outcome(fn, args).error and "large" not in str(outcome(fn, args).error):
                return ""
    except Exception:
        return ""
    try:
        trial(text, compiled)
    except AssertionError as e:
        return "differs: " + str(e).strip().split(":")[0]
    except Exception as e:
        return type(e).__name__
    return ""


@pytest.fixture(autouse=True)
def checked(monkeypatch):
    monkeypatch.setenv("WEFT_VERIFY", "1")
    monkeypatch.setattr("weft.api.warm.load", lambda t, signature: None)


@pytest.mark.parametrize("start", range(FIRST, LAST, 10))
def test_random_programs(start):
    outcomes = []
    for seed in range(start, start + 10):
        text = program(seed)
        try:
            outcomes.append(trial(text, COMPILED or seed % 10 == 0))
        except Exception:
            kind = failure(text)
            small = shrunk(text, lambda t, kind=kind: failure(t) == kind) if kind else text
            print(f"seed {seed}\n{small}")
            trial(small)
            raise
    assert outcomes.count("same") >= LEAST, outcomes


# -- transformations -------------------------------------------------------------------------------------------------

NUMS = (0, 1, 4, 5, 6)  # the inexact arguments


def number_of(fn):
    """A scalar function of a program's results."""

    def loss(x, y, n, k, a, b, m):
        f, g, z, u, v, w, p, q, t = fn(x, y, n, k, a, b, m)
        arrays = np.sum(u * np.arange(1.0, 6.0)) + np.sum(np.sin(v)) + np.sum(w * w) + np.sum(p) - 2 * np.sum(q)
        return f + 2 * g + 3 * z + t + arrays

    return loss


def staged_once(fn):
    """``fn`` run by the IR interpreter, staged again only when a call needs another program."""
    t, programs = weft.jit(fn), []

    def run(*args):
        for it in programs:
            if (leaves := it.applies(t.signature(args, {}))) is not None:
                return it.run(leaves)
        programs.append(Interpreted(t.lower(*args)))
        return programs[-1].run(programs[-1].applies(t.signature(args, {})))

    return run


def slope(loss, args, directions, h=1e-6):
    """The derivative of ``loss`` along a direction by differences; None where it has a kink or a jump."""

    def at(t):
        new = list(copy.deepcopy(args))
        for i, d in zip(NUMS, directions):
            new[i] = new[i] + t * d
        with np.errstate(all="ignore"):
            return loss(*new)

    before, here, after = at(-h), at(0.0), at(h)
    left, right = (here - before) / h, (after - here) / h
    return 0.5 * (left + right) if abs(left - right) <= 1e-4 * (1.0 + abs(left)) else None


def derivatives_agree(fn, compiled: bool) -> None:
    """Reverse mode against forward mode and finite differences along one direction, and compiled against interpreted."""
    loss = number_of(fn)
    derivative = weft.value_and_grad(loss, argnums=NUMS)
    gradient_of, compiled_of = staged_once(derivative), weft.jit(derivative)

    def forward(n, k, xs, ts):
        return weft.jvp(lambda x, y, a, b, m: loss(x, y, n, k, a, b, m), xs, ts)[1]

    tangent_of = staged_once(forward)
    for args in samples():
        if outcome(fn, args).error:
            continue
        directions = tuple(np.cos(np.arange(np.size(args[i])) + i).reshape(np.shape(args[i]))[()] for i in NUMS)
        directions = tuple(d if np.ndim(d) else float(d) for d in directions)
        value, gradient = gradient_of(*copy.deepcopy(args))
        np.testing.assert_allclose(value, loss(*copy.deepcopy(args)), rtol=1e-10)
        if compiled:
            again, gradient_again = compiled_of(*copy.deepcopy(args))
            for g, v in zip([again, *gradient_again], [value, *gradient], strict=True):
                np.testing.assert_allclose(g, v, rtol=1e-9, atol=1e-9)
        reverse = sum(float(np.sum(g * d)) for g, d in zip(gradient, directions, strict=True))
        xs = tuple(copy.deepcopy(args[i]) for i in NUMS)
        tangent = tangent_of(args[2], args[3], xs, directions)
        np.testing.assert_allclose(reverse, tangent, rtol=1e-8, atol=1e-8)
        if (wanted := slope(loss, args, directions)) is not None:
            np.testing.assert_allclose(reverse, wanted, rtol=1e-4, atol=1e-4)


def lanes_agree(fn, compiled: bool) -> None:
    """A batch, integers included, against a loop over its lanes; arguments written in place too."""
    for args in samples():
        lanes = [
            tuple(v + lane if i in (2, 3) else v * (1 - 0.3 * lane) for i, v in enumerate(args)) for lane in range(3)
        ]
        want = [outcome(fn, lane) for lane in lanes]
        if any(w.error for w in want):
            continue
        batch = tuple(np.stack([np.asarray(lane[i]) for lane in lanes]) for i in range(7))
        mapped = weft.vmap(fn)
        got = (weft.jit(mapped) if compiled else interpreted(mapped))(*batch)
        for lane, w in enumerate(want):
            for g, v in zip([*got, *batch], [*w.value, *w.args], strict=True):
                np.testing.assert_allclose(g[lane], v, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("law", "start"),
    [(derivatives_agree, 1000 + FIRST + k) for k in range(0, DERIVED, 10)]
    + [(lanes_agree, 1000 + FIRST + k) for k in range(0, BATCHED, 10)],
)
def test_random_transformations(law, start):
    tried = 0
    for seed in range(start, start + 10):
        try:
            law(load(program(seed)), COMPILED or seed % 10 == 0)
            tried += 1
        except weft.StagingError as e:
            if not REFUSED.search(str(e)) and "argument of vmap" not in str(e):
                raise
        except Exception:
            print(f"seed {seed}\n{program(seed)}")
            raise
    assert tried >= LEAST
