"""Reading and writing through keys of every kind, and views of views, against NumPy."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.staged.util import Staging, check, copied, same

from weft.staged.indexing import getitem, setitem

SLOW = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def shapes(draw, least=1):
    return tuple(draw(st.lists(st.integers(0, 4), min_size=least, max_size=3)))


@st.composite
def entries(draw, n, arrays):
    """One key entry for an axis of size n."""
    kinds = ["slice", "slice"]
    if n:
        kinds.append("int")
        if arrays:
            kinds += ["array", "mask"]
    kind = draw(st.sampled_from(kinds))
    if kind == "int":
        return draw(st.integers(-n, n - 1))
    if kind == "array":
        shape = draw(st.sampled_from([(3,), (1,), (2, 3), (0,)]))
        return (
            np.array(draw(st.lists(st.integers(-n, n - 1), min_size=int(np.prod(shape)), max_size=int(np.prod(shape)))))
            .reshape(shape)
            .astype(int)
        )
    if kind == "mask":
        mask = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
        mask[: min(n, 1)] = True
        return mask
    bound = st.none() | st.integers(-n - 2, n + 2)
    return slice(draw(bound), draw(bound), draw(st.sampled_from([None, None, 1, 2, -1, -2, 3])))


@st.composite
def keys(draw, shape, arrays=True):
    axes = draw(st.integers(0, len(shape)))
    key = [draw(entries(n, arrays)) for n in shape[:axes]]
    if draw(st.booleans()):
        key = [draw(entries(n, arrays)) for n in shape[len(shape) - axes :]] if axes else []
        at = 0
        key.insert(at, Ellipsis)
    elif draw(st.booleans()):
        key.append(Ellipsis)
    for _ in range(draw(st.integers(0, 2))):
        key.insert(draw(st.integers(0, len(key))), None)
    # a mask's count is known at run time only: it meets other arrays under a check of equality, not by broadcasting
    picks = [k for k in key if isinstance(k, np.ndarray)]
    if any(k.dtype == bool for k in picks) and len(picks) > 1:
        key = [slice(None) if isinstance(k, np.ndarray) else k for k in key]
    return key[0] if len(key) == 1 and draw(st.booleans()) else tuple(key)


def staged_key(key, dynamic, args):
    """The key with ints and arrays (and slice bounds) as arguments of the program where ``dynamic``."""

    def put(v):
        args.append(v)
        return len(args) - 1

    def one(k):
        if isinstance(k, np.ndarray):
            return ("arg", put(k))
        if dynamic and type(k) is int:
            return ("arg", put(k))
        if dynamic and isinstance(k, slice):
            return ("slice", tuple(None if b is None else put(b) for b in (k.start, k.stop)), k.step)
        return ("is", k)

    parts = [one(k) for k in key] if isinstance(key, tuple) else [one(key)]

    def build(values):
        out = []
        for p in parts:
            if p[0] == "arg":
                out.append(values[p[1]])
            elif p[0] == "slice":
                out.append(slice(*[None if b is None else values[b] for b in p[1]], p[2]))
            else:
                out.append(p[1])
        return tuple(out) if isinstance(key, tuple) else out[0]

    return build


def numpy_result(f):
    try:
        return f(), None
    except (IndexError, ValueError) as e:
        return None, type(e)


@SLOW
@given(data=st.data())
def test_reads(data):
    shape = data.draw(shapes(0))
    x = np.arange(int(np.prod(shape)), dtype=float).reshape(shape)
    key = data.draw(keys(shape))
    dynamic, symbolic = data.draw(st.booleans()), data.draw(st.booleans())
    args = [x]
    build = staged_key(key, dynamic, args)
    want, error = numpy_result(lambda: x[key])
    if error:
        with pytest.raises(error):
            Staging(lambda *a: getitem(a[0], build(a)), *args, symbolic=symbolic).run(*args)
        return
    s = Staging(lambda *a: getitem(a[0], build(a)), *args, symbolic=symbolic)
    got, _ = s.run(*args)
    same(got, want, where=f"x[{key}] of shape {shape}")


@SLOW
@given(data=st.data())
def test_writes(data):
    shape = data.draw(shapes())
    x = np.arange(int(np.prod(shape)), dtype=float).reshape(shape)
    key = data.draw(keys(shape))
    dynamic, symbolic = data.draw(st.booleans()), data.draw(st.booleans())
    region, error = numpy_result(lambda: x[key].shape)
    if error:
        return
    kind = data.draw(st.sampled_from(["scalar", "full", "last", "ones"]))
    n = {"scalar": (), "full": region, "last": region[-1:], "ones": (1,) * len(region)}[kind]
    v = -1.0 - np.arange(int(np.prod(n)), dtype=float).reshape(n)
    v = float(v) if kind == "scalar" else v
    args = [x, v]
    build = staged_key(key, dynamic, args)

    def f(*a):
        setitem(a[0], build(a), a[1])
        return a[0]

    want = x.copy()
    want[key] = v
    s = Staging(f, *args, symbolic=symbolic)
    got, written = s.run(*copied(args))
    # repeated indices: the last write wins in both
    same(got, want, where=f"x[{key}] = {v!r}, shape {shape}")


@st.composite
def view_steps(draw):
    return draw(
        st.lists(st.sampled_from(["key", "T", "reshape", "ravel", "flip", "newaxis", "swap"]), min_size=1, max_size=4)
    )


@SLOW
@given(data=st.data())
def test_views_of_views(data):
    """A chain of views, written through; the base and other views see it."""
    shape = data.draw(shapes())
    x = np.arange(int(np.prod(shape)), dtype=float).reshape(shape)
    steps = data.draw(view_steps())
    dynamic, symbolic = data.draw(st.booleans()), data.draw(st.booleans())
    args, actions, v = [x], [], x
    for step in steps:
        if step == "key":
            key = data.draw(keys(v.shape, arrays=False))
            if v[key].ndim == 0 or not isinstance(v[key], np.ndarray):
                continue
            build = staged_key(key, dynamic, args)
            actions.append(("key", build))
            v = v[key]
        elif step == "T":
            actions.append(("T", None))
            v = v.T
        elif step == "newaxis":
            actions.append(("newaxis", None))
            v = v[None]
        elif step == "swap" and v.ndim > 1:
            actions.append(("swap", None))
            v = v.swapaxes(0, -1)
        elif step == "flip" and v.ndim:
            actions.append(("flip", None))
            v = v[::-1]
        elif step in ("reshape", "ravel"):
            new = (-1,) if step == "ravel" or v.size == 0 else (v.shape[-1], -1) if v.ndim else (1,)
            w = v.reshape(new)
            if not np.shares_memory(w, x) and x.size:
                continue  # NumPy copies here: tested elsewhere
            actions.append(("reshape", new))
            v = w

    def walk(a, values, base):
        for action, info in actions:
            if action == "key":
                a = a[info(values)]
            elif action == "T":
                a = a.T
            elif action == "newaxis":
                a = a[None]
            elif action == "swap":
                a = a.swapaxes(0, -1)
            elif action == "flip":
                a = a[::-1]
            else:
                a = a.reshape(info)
        return a

    def f(*values):
        base = values[0]
        other = base[..., ::-1]
        view = walk(base, values, base)
        view[...] = view * 10 + 1
        if view.ndim:
            view[..., :1] = -5.0
        return other, view, base

    mine = copied(args)
    want = [w.copy() for w in f(*mine)]
    s = Staging(f, *args, symbolic=symbolic)
    got, written = s.run(*copied(args))
    same(got, want, where=f"{actions} of {shape}")


def test_separated_gathers_come_first():
    x = np.arange(120.0).reshape(2, 3, 4, 5)
    i, j = np.array([0, 1, 1]), np.array([2, 0, 1])
    check(
        lambda np, x, i, j: (x[i, :, j], x[:, i, j], x[i, None, j], x[0, :, j], x[..., i, j], x[i, ..., j], x[:, 1, i]),
        x,
        i,
        j,
    )

    def write(np, x, i, j, v):
        x[i, :, j] = v
        x[0, :, j] += 1.0
        return x

    check(write, x, i, j, np.arange(15.0).reshape(3, 1, 5))


def test_masks():
    x = np.arange(12.0).reshape(3, 4)
    m = x % 3 == 0
    check(lambda np, x, m: (x[m], x[m[:, 0]], x[:, m[0]]), x, m)

    def write(np, x, m):
        x[m] = 0.0
        x[m[:, 0], 1] *= 7
        x[x > 5] -= 1
        return x

    check(write, x, m)


@pytest.mark.parametrize(
    "f, kind",
    [
        (lambda x: x[5], IndexError), (lambda x: x[0, 0, 0], IndexError), (lambda x: x[1.5], IndexError),
        (lambda x: x["a"], IndexError), (lambda x: x[..., ...], IndexError), (lambda x: x[[0, 7]], IndexError),
        (lambda x: x[::0], ValueError), (lambda x: setitem(x, 0, np.ones(3)), ValueError), (lambda x: x[np.array([0.5])], IndexError),
        (lambda x: setitem(x, 0, 1j), TypeError),
    ],
)  # fmt: skip
def test_errors(f, kind):
    x = np.ones((3, 4))
    with pytest.raises(kind):
        Staging(f, x).run(x)
