"""The table itself: names, signatures, import cost, and what is staged."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.staged.util import Staging, same

import weft.lax
import weft.numpy as wnp
from weft.numpy.host import HOST
from weft.numpy.registry import CREATORS, ENTRIES, MODULES, NUMPY, needs_staging

X = np.arange(6.0).reshape(2, 3)

#: Keywords of the array API standard and of JAX that NumPy's functions lack.
MORE = {
    "assume_unique_indices", "descending", "device", "dtype", "fill_value", "initial", "inplace", "length", "mode", "precision", "preferred_element_type", "promote_integers", "size",
    "stable", "strip_zeros", "total_repeat_length", "method", "unique_indices", "indices_are_sorted", "unroll", "trim_leading_zeros", "where", "wrap_negative_indices",
}  # fmt: skip


@pytest.mark.parametrize("entry", list(ENTRIES.values()), ids=lambda e: e.name)
def test_parameters_are_numpys(entry):
    """Names, order and defaults of parameters agree with NumPy's."""
    try:
        theirs = inspect.signature(entry.numpy).parameters
    except (TypeError, ValueError):
        return
    if isinstance(entry.numpy, np.ufunc | type) or any(p.kind is p.VAR_POSITIONAL for p in theirs.values()):
        return
    if "." in entry.name or entry.name in ("where", "arange", "stop_gradient", "select", "frompyfunc"):
        return
    ours = entry.signature.parameters
    names = [n for n, p in theirs.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY)]
    mine = [n for n, p in ours.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY)]
    assert mine == names[: len(mine)], (entry.name, mine, names)
    for n, p in ours.items():
        if p.kind is p.VAR_KEYWORD or (n in ("shape",) and entry.name == "reshape"):
            continue
        if n not in theirs and n in MORE and p.kind is p.KEYWORD_ONLY:
            continue
        assert n in theirs, (entry.name, n)
        d, e = p.default, theirs[n].default
        if e is inspect.Parameter.empty:
            assert d is e, (entry.name, n)
        elif not (d is None or str(e) == "<no value>"):
            assert d == e or (d != d and e != e) or d in (float, int), (entry.name, n, d, e)


def test_public_functions_are_native():
    for name in wnp.__all__:
        f = getattr(wnp, name)
        if callable(f) and getattr(f, "__module__", "") == "weft.numpy" and name not in HOST:
            assert f in NUMPY and f.__doc__, name
    assert NUMPY[np.abs] is NUMPY[np.absolute] and wnp.abs is wnp.absolute and wnp.concat is wnp.concatenate


def test_aliases_and_submodules():
    assert wnp.linalg.norm is not None and "norm" not in wnp.__all__
    for name in ("acos", "pow", "amax", "around", "permute_dims", "bitwise_invert", "true_divide", "mod", "ix_"):
        assert name in wnp.__all__


def test_creators_are_staged_without_staged_arguments():
    assert np.zeros in CREATORS and wnp.zeros in CREATORS and np.sin not in CREATORS
    assert needs_staging(np.zeros, (3,), {}) and not needs_staging(np.sin, (1.0,), {})


def test_importing_is_light():
    code = "import sys, weft.numpy; print([m for m in ('gast', 'jinja2', 'weft.frontend', 'weft.primitives') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_lax_while_staging():
    s = Staging(lambda x: (weft.lax.stop_gradient(x), weft.lax.select(x > 1, x, -x), weft.lax.select(True, x, -x)), X)
    got, _ = s.run(X)
    same(got, (X, np.where(X > 1, X, -X), X))
    with pytest.raises(TypeError):
        Staging(lambda x: weft.lax.select(x > 1, x, x[0]), X)


def test_the_list_of_supported_functions_is_complete():
    assert weft.scipy.linalg.__all__ and weft.scipy.special.__all__

    text = (Path(__file__).parents[2] / "docs" / "numpy.md").read_text()
    listed = set(re.findall(r"`(\w+)`", text))
    for module in ("weft.numpy", "weft.numpy.linalg", "weft.numpy.fft", "weft.scipy.special", "weft.scipy.linalg"):
        assert {name for name in MODULES[module] if name[0] != "_"} <= listed, module
