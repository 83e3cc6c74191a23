"""Sample calls of every public function in compiled code, many in one program."""

from __future__ import annotations

import linecache

import numpy as np
import pytest
from tests.numpy.samples import RAGGED, SAMPLES
from tests.numpy.test_derivatives import float_arguments, random_like
from tests.numpy.test_functions import CASES
from tests.numpy.test_library import differentiable, lanes
from tests.staged.util import copied, same

import weft
import weft.numpy as wnp

ALL = [(s.text, s.args, s.numpy) for s in SAMPLES]
ALL += [(name.rsplit("-", 1)[0], args, "") for name, (_, args, _) in CASES.items()][::4]
GROUPS = 16


def program(rows):
    """A function whose results are those of all the calls, with their source, and its arguments."""
    lines, values = ["def program(*given):"], []
    for k, (text, args, _) in enumerate(rows):
        lines.append(f"    a = given[{len(values)}:{len(values) + len(args)}]")
        lines.append(f"    r{k} = {text}")
        values += copied(args)
    lines.append("    return (" + ", ".join(f"r{k}" for k in range(len(rows))) + ",)")
    source = "\n".join(lines) + "\n"
    file = f"<{len(rows)} samples from {rows[0][0]}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    space = {"np": np}
    exec(compile(source, file, "exec"), space)
    return space["program"], values


@pytest.mark.parametrize("group", range(GROUPS))
def test_compiled(group):
    rows = [r for r in ALL[group::GROUPS] if "round(a[" not in r[0][:8]]
    f, values = program(rows)
    if any("weft" in r[0] for r in rows):
        f.__globals__["np"] = wnp
    got = weft.jit(f)(*values)
    for (text, args, numpy), g in zip(rows, got, strict=True):
        with np.errstate(all="ignore"):
            want = eval(f"lambda np, *a: ({numpy or text})")(np, *copied(args))
        same(g, want, 1e-9, 1e-10, text)


# -- derivatives and batches, compiled: the interpreter of the IR is the meaning, against which the others are tested -----

#: A third of the samples: all of them are differentiated and batched by the interpreter in `test_library`.
HALVES = 2
DIFFERENTIABLE = [s for s in SAMPLES if differentiable(s) and not s.numpy][::3]
BATCHABLE = [
    s for s in SAMPLES
    if any(isinstance(a, np.ndarray) for a in s.args) and not any(name in s.text for name in RAGGED)
][1::3]  # fmt: skip


def total(results):
    """A number that all floating results are in."""
    out = 0.0
    for x in results:
        if isinstance(x, tuple | list):
            out = out + total(x)
        elif x.dtype in (np.float64, np.complex128):
            out = out + np.nansum(np.cos(np.real(x))) + np.nansum(np.sin(np.imag(x)))
    return out


@pytest.mark.parametrize("group", range(HALVES))
def test_gradients(group):
    """Along one direction, against a difference."""
    rows = [(s.text, s.args, "") for s in DIFFERENTIABLE[group::HALVES]]
    f, values = program(rows)
    active = tuple([k for k, on in enumerate(float_arguments(values)) if on])
    gradient = weft.jit(weft.grad(lambda *given: total(f(*given)), active))(*values)
    rng = np.random.default_rng(3)
    directions = [np.real(random_like(rng, values[k])) for k in active]
    slope = sum(np.real(np.sum(g * d)) for g, d in zip(gradient, directions, strict=True))

    def at(step):
        moved = list(values)
        for k, d in zip(active, directions, strict=True):
            moved[k] = values[k] + step * d
        with np.errstate(all="ignore"):
            return float(total(_as_numpy(f(*moved))))

    np.testing.assert_allclose(slope, (at(1e-6) - at(-1e-6)) / 2e-6, rtol=1e-5)


def _as_numpy(x):
    return [_as_numpy(v) for v in x] if isinstance(x, tuple | list) else np.asarray(x)


@pytest.mark.parametrize("group", range(HALVES))
def test_batches(group):
    rows = [(s.text, s.args, s.numpy) for s in BATCHABLE[group::HALVES]]
    f, values = program(rows)
    axes = tuple([0 if isinstance(a, np.ndarray) else None for a in values])
    stacked = [lanes(a) if isinstance(a, np.ndarray) else a for a in values]
    got = weft.jit(weft.vmap(f, axes))(*stacked)
    single = weft.jit(f)
    for k in range(3):
        want = single(*[a[k] if on == 0 else a for a, on in zip(stacked, axes, strict=True)])
        for (text, _, _), g, w in zip(rows, got, want, strict=True):
            same(_lane(g, k), w, 1e-8, 1e-9, text)


def _lane(x, k):
    return [_lane(v, k) for v in x] if isinstance(x, tuple | list) else np.asarray(x)[k]
