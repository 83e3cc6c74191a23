"""Every public function by a sample call: eagerly, staged, with sizes known and not, against NumPy."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tests.numpy.samples import IN_PLACE, KINKS, RAGGED, SAMPLES
from tests.numpy.test_derivatives import float_arguments, random_like, tangent_check
from tests.numpy.test_functions import CASES
from tests.staged.util import Staging, copied, same, snp

import weft.numpy as wnp
from weft.ir.interpret import evaluate
from weft.ir.types import c128, f64
from weft.ir.verify import verify
from weft.numpy.registry import MODULES
from weft.transforms.batch import batch
from weft.transforms.reverse import vjp


def function(text):
    return eval(f"lambda np, *a: ({text})")


def expected(sample):
    with np.errstate(all="ignore"):
        return function(sample.numpy or sample.text)(np, *copied(sample.args))


def test_every_function_has_a_sample():
    texts = [s.text for s in SAMPLES] + [name for name in CASES]
    for module, prefix in (("weft.numpy", r"np"), ("weft.numpy.linalg", r"np\.linalg"), ("weft.numpy.fft", r"np\.fft")):
        named = set(re.findall(prefix + r"\.(\w+)\b", " ".join(texts)))
        missing = set(MODULES[module]) - named - IN_PLACE
        assert not missing, f"no sample call of {sorted(missing)} ({module})"


@pytest.mark.parametrize("sample", [s for s in SAMPLES if "along_axis" not in s.text], ids=lambda s: s.text)
def test_staged(sample):
    fn, want = function(sample.text), expected(sample)
    for symbolic in (True, False):
        with np.errstate(all="ignore"):
            got, _ = Staging(lambda *xs: fn(snp, *xs), *sample.args, symbolic=symbolic).run(*copied(sample.args))
        same(got, want, 1e-10, 1e-12, sample.text)


ALL = [(s.text, s.args, s.numpy) for s in SAMPLES]
ALL += [(name.rsplit("-", 1)[0], args, "") for name, (_, args, _) in CASES.items() if "np." in name]
GROUPS = 12


@pytest.mark.parametrize("group", range(GROUPS))
def test_eager(group):
    """`weft.numpy` on concrete arguments, NumPy's arrays and weft's: the same values, dtypes and shapes."""
    for text, args, numpy in ALL[group::GROUPS]:
        fn = function(text)
        with np.errstate(all="ignore"):
            want = function(numpy or text)(np, *copied(args))
        for given in (copied(args), [wnp.asarray(x) if isinstance(x, np.ndarray) else x for x in args]):
            same(fn(wnp, *given), want, 1e-12, 1e-12, text)


# -- derivatives and batches -----------------------------------------------------------------------------------------------

STAGEABLE = [s for s in SAMPLES if "along_axis" not in s.text]


def staged(sample):
    fn = function(sample.text)
    with np.errstate(all="ignore"):
        return Staging(lambda *xs: fn(snp, *xs), *copied(sample.args)).function


def differentiable(sample):
    if any(name in sample.text for name in KINKS):
        return False
    return any(float_arguments(sample.args)) and not any(
        isinstance(a, np.ndarray) and a.dtype.kind in "fc" and a.dtype not in (f64, c128) for a in sample.args
    )


@pytest.mark.parametrize("sample", [s for s in STAGEABLE if differentiable(s)], ids=lambda s: s.text)
def test_derivatives(sample):
    """Both modes: forward against differences, reverse against forward."""
    f = staged(sample)
    active = float_arguments(sample.args)
    values = [np.asarray(a)[()] for a in sample.args]
    rng = np.random.default_rng(1)
    with np.errstate(all="ignore"):
        ts, got = tangent_check(f, active, values, 0, rng)
        cts = [random_like(rng, t) for t in got]
        back = evaluate(vjp(f, active), *values, *cts)[len(f.results) :]
    left = sum(np.real(np.sum(c * t)) for c, t in zip(cts, got, strict=True))
    right = sum(np.real(np.sum(c * t)) for c, t in zip(back, ts, strict=True))
    np.testing.assert_allclose(right, left, rtol=1e-8, atol=1e-8)


def lanes(a):
    """Three arguments like this one, stacked."""
    if a.dtype.kind in "fc":
        return np.stack([a, a * a.dtype.type(1.05), a * a.dtype.type(0.93)])
    return np.stack([a, np.flip(a, 0), a])


@pytest.mark.parametrize(
    "sample", [s for s in STAGEABLE if any(isinstance(a, np.ndarray) for a in s.args)], ids=lambda s: s.text
)
def test_batches(sample):
    """A batch against a loop."""
    f = staged(sample)
    flags = [isinstance(a, np.ndarray) for a in sample.args]
    args = [lanes(a) if flag else np.asarray(a)[()] for a, flag in zip(sample.args, flags, strict=True)]
    if any(name in sample.text for name in RAGGED) and not re.search("size=|trim_leading", sample.text):
        with pytest.raises(ValueError, match="depends on the lane"):
            batch(f, flags)
        return
    with np.errstate(all="ignore"):
        g, batched = batch(f, flags)
        got = evaluate(verify(g), *args)
        rows = [evaluate(f, *[a[k] if on else a for a, on in zip(args, flags, strict=True)]) for k in range(3)]
    for x, on, *want in zip(got, batched, *rows, strict=True):
        same(x, np.stack(want) if on else want[0], 1e-9, 1e-10, sample.text)
