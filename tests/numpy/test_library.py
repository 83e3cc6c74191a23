"""Every public function by a sample call: eagerly, staged, with sizes known and not, against NumPy."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tests.numpy.samples import IN_PLACE, SAMPLES
from tests.numpy.test_functions import CASES
from tests.staged.util import Staging, copied, same, snp

import weft.numpy as wnp
from weft.numpy.registry import MODULES


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
