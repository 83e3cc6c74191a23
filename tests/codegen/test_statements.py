"""Each kind of statement, and the corners of each: carries that swap, no iterations, failures, memory that runs out."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from tests.codegen.harness import ROOT, Compiled

import weft.primitives  # noqa: F401
from weft.ir.builder import Builder
from weft.ir.interpret import evaluate
from weft.ir.nodes import At, Function, Gather, Span, Var, lit
from weft.ir.primitive import REGISTRY
from weft.ir.sizes import dim
from weft.ir.types import ArrayType, DType, bool_, f32, f64, i64, scalar
from weft.ir.verify import verify


class Make:
    """A function under construction: parameters by name, primitives as attributes."""

    def __init__(self, **params: Any) -> None:
        self.sizes: list[tuple[Var, int, int]] = []
        known: dict[str, Var] = {}
        vs = []
        for k, (name, (dtype, *shape)) in enumerate(params.items()):
            sizes = []
            for axis, s in enumerate(shape):
                if isinstance(s, str) and s not in known:
                    known[s] = Var(scalar(i64), s)
                    self.sizes.append((known[s], k, axis))
                sizes.append(dim(known[s]) if isinstance(s, str) else s)
            v = Var(ArrayType(dtype, tuple(sizes)), name)
            vs.append(v)
            setattr(self, name, v)
        for name, v in known.items():
            setattr(self, name, v)
        self.params = tuple(vs)
        self.b = Builder()
        self.b.__enter__()
        self._scope = self.b.scope(self.params)
        self.block = self._scope.__enter__()

    def done(self, *results: Any, updates: dict[int, int] | None = None) -> Function:
        self.block.results = results
        self._scope.__exit__(None, None, None)
        self.b.__exit__()
        return verify(Function("f", self.block, tuple(self.sizes), updates or {}))

    def __getattr__(self, name: str) -> Any:
        return REGISTRY[name.rstrip("_")]


def check(f: Function, *args: Any, text: str = "") -> Compiled:
    """The compiled function gives what the interpreter gives."""
    want = evaluate(f, *[np.copy(a) if isinstance(a, np.ndarray) else a for a in args])
    c = Compiled(f)
    for k, (g, w) in enumerate(zip(c(*args), want, strict=True)):
        np.testing.assert_allclose(g, w, rtol=1e-6 if np.asarray(w).dtype == np.float32 else 1e-12, err_msg=str(k))
    return c


def body_of(c: Compiled) -> str:
    """The generated statements."""
    return c.text[c.text.index("int f(") : c.text.index("}  // namespace\n")]


RNG = np.random.default_rng(0)
START = RNG.bit_generator.state
X = RNG.standard_normal


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """The numbers of a test do not depend on the tests before it."""
    RNG.bit_generator.state = START


# -- nests ---------------------------------------------------------------------------------------------------------


def loops(c: Compiled) -> int:
    return body_of(c).count("for (")


def test_selu_is_one_nest() -> None:
    m = Make(x=(f32, "n"), a=(f32,))
    e = m.mul(m.sub(m.exp(m.x), lit(1, f32)), m.a)
    c = check(
        m.done(m.mul(lit(1.05, f32), m.select(m.gt(m.x, lit(0, f32)), m.x, e))), X(100).astype("f"), np.float32(2)
    )
    assert loops(c) == 1
    assert "scratch" not in body_of(c)


def test_softmax_is_one_nest_over_rows() -> None:
    m = Make(x=(f64, "n", "m"))
    spread = {"shape": m.x.type.shape, "dims": (0,)}
    e = m.exp(m.sub(m.x, m.broadcast(m.reduce_max(m.x, axes=(1,)), **spread)))
    c = check(m.done(m.div(e, m.broadcast(m.reduce_sum(e, axes=(1,)), **spread))), X((5, 7)))
    assert body_of(c).count("parallel(") == 1
    assert body_of(c).count("exp(") == 1
    assert loops(c) == 4  # rows, and in each: maximum, exponentials with their sum, quotients


def test_siblings_share_a_loop() -> None:
    m = Make(x=(f64, "n"))
    e = m.exp(m.x)
    c = check(m.done(m.mul(e, lit(2.0, f64)), m.add(e, lit(1.0, f64)), e), X(9))
    assert loops(c) == 1
    assert body_of(c).count("exp(") == 1
    m = Make(x=(f64, "n"))
    s, q = m.reduce_sum(m.x, axes=(0,)), m.reduce_sum(m.mul(m.x, m.x), axes=(0,))
    c = check(m.done(s, q, m.reduce_max(m.x, axes=(0,))), X(100))
    assert body_of(c).count("parallel(") == 1


def test_outer_factor_is_computed_once_a_row() -> None:
    m = Make(v=(f64, "n"), w=(f64, "m"))
    shape = (dim(m.n), dim(m.m))
    r = m.mul(m.broadcast(m.exp(m.v), shape=shape, dims=(0,)), m.broadcast(m.exp(m.w), shape=shape, dims=(1,)))
    c = check(m.done(r), X(4), X(5))
    lines = body_of(c).splitlines()
    inner = next(k for k, x in enumerate(lines) if "ivdep" in x and "j" in lines[k + 1])
    assert not any("exp(" in x for x in lines[inner:])


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("name", ["reduce_sum", "reduce_max", "reduce_prod"])
def test_reductions(name: str, axes: tuple[int, ...]) -> None:
    m = Make(x=(f64, "n", "m", "k"))
    r = REGISTRY[name](m.mul(m.x, lit(0.5, f64)), axes=axes)
    check(m.done(m.add(r, lit(1.0, f64))), X((3, 4, 5)))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_positions(name: str, axis: int) -> None:
    m = Make(x=(f64, "n", "m", "k"))
    x = X((3, 4, 5))
    x[1, 2, 3] = x[0, 0, 0] = np.nan
    check(m.done(REGISTRY[name](m.x, axis=axis)), x)
    check(m_flat(name), X(40))


def m_flat(name: str) -> Function:
    m = Make(x=(f64, "n"))
    return m.done(REGISTRY[name](m.mul(m.x, m.x), axis=0))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
def test_cumulative(axis: int, reverse: bool) -> None:
    m = Make(x=(f64, "n", "m"))
    c = m.cumsum(m.mul(m.x, lit(2.0, f64)), axis=axis, reverse=reverse)
    check(m.done(c, m.cummax(m.x, axis=axis, reverse=reverse)), X((4, 5)))


# -- in place ------------------------------------------------------------------------------------------------------


def span(m: Make, less: int = 0) -> tuple[Span, ...]:
    return (Span(dim(m.n) - less),)


def test_update_of_a_parameter_in_place() -> None:
    m = Make(x=(f64, "n"))
    v = m.mul(m.index(m.x, 0, spec=span(m, 1), mode="fast"), lit(2.0, f64))
    c = check(m.done(m.store(m.x, v, 0, spec=span(m, 1), mode="fast"), updates={0: 0}), X(6))
    assert "scratch" not in body_of(c) and "memcpy" not in body_of(c)


def test_shifted_slice_is_saved_first() -> None:
    for first, second in ((0, 1), (1, 0)):
        m = Make(x=(f64, "n"))
        v = m.mul(m.index(m.x, first, spec=span(m, 1), mode="fast"), lit(2.0, f64))
        check(m.done(m.store(m.x, v, second, spec=span(m, 1), mode="fast"), updates={0: 0}), X(6))


def test_parameter_that_is_not_updated_is_copied() -> None:
    m = Make(x=(f64, "n"))
    c = check(m.done(m.store(m.x, lit(1.0, f64), 0, spec=span(m, 1), mode="fast")), X(6))
    assert body_of(c).count("memcpy") == 1
    assert c.program.meta["mutates"] == []


def test_time_steps_read_the_row_before_in_place() -> None:
    m = Make(u=(f64, "n", "m"))
    t, u = Var(scalar(i64), "t"), Var(m.u.type, "u")
    inner = (At(), Span(dim(m.m) - 2))
    with m.b.scope((t, u)) as body:
        at = [m.index(u, t, s, spec=inner, mode="fast") for s in (0, 1, 2)]
        v = m.mul(m.add(m.add(at[0], at[1]), at[2]), lit(0.3, f64))
        body.results = (m.store(u, v, m.add(t, 1), 1, spec=inner, mode="fast"),)
    (r,) = m.b.for_(dim(m.n) - 1, (m.u,), body)
    c = check(m.done(r, updates={0: 0}), X((5, 8)))
    assert "scratch" not in body_of(c) and "memcpy" not in body_of(c)


def test_no_allocation_inside_a_loop() -> None:
    m = Make(x=(f64, "n"), k=(i64,))
    t, x = Var(scalar(i64), "t"), Var(m.x.type, "x")
    with m.b.scope((t, x)) as body:
        v = m.add(m.index(x, 0, spec=span(m, 2), mode="fast"), m.index(x, 2, spec=span(m, 2), mode="fast"))
        body.results = (m.mul(m.store(x, m.mul(v, lit(0.5, f64)), 1, spec=span(m, 2), mode="fast"), lit(0.9, f64)),)
    (r,) = m.b.for_(dim(m.k), (m.x,), body)
    c = check(m.done(r), X(9), 5)
    text = body_of(c)
    assert "scratch" not in text[text.index("for (") :]


def test_stencil_exchanges_pointers() -> None:
    m = Make(x=(f64, "n"), k=(i64,))
    t, x = Var(scalar(i64), "t"), Var(m.x.type, "x")
    with m.b.scope((t, x)) as body:
        i = m.mod(m.add(m.iota(size=dim(m.n), dtype=i64), 1), m.n)
        body.results = (m.mul(m.add(x, m.index(x, i, spec=(Gather(),), mode="fast")), lit(0.5, f64)),)
    (r,) = m.b.for_(dim(m.k), (m.x,), body)
    f = m.done(r)
    for k in range(5):
        c = check(f, X(90), k)
    text = body_of(c)
    assert "swap(" in text
    assert "memcpy" not in text[text.index("for (i64 t") : text.index("swap(")]


def test_carries_change_places() -> None:
    m = Make(x=(f64, "n"), y=(f64, "n"), a=(f64,), b_=(f64,), k=(i64,))
    t, x, y, a, b = (Var(v.type, v.name) for v in (m.k, m.x, m.y, m.a, m.params[3]))
    with m.b.scope((t, x, y, a, b)) as body:
        body.results = (y, m.add(x, a), b, m.add(a, b))
    outs = m.b.for_(dim(m.k), (m.x, m.y, m.a, m.params[3]), body)
    f = m.done(*outs)
    for k in (0, 1, 2, 5):
        check(f, X(70), X(70), 1.0, 2.0, k)
        check(f, X(3), X(3), 1.0, 2.0, k)


def test_one_value_is_several_results() -> None:
    m = Make(x=(f64, "n"))
    e = m.exp(m.x)
    check(m.done(e, e, m.x, m.reduce_sum(e, axes=(0,))), X(5))


def test_updates_exchange_arguments() -> None:
    m = Make(x=(f64, "n"), y=(f64, "n"))
    check(m.done(m.add(m.y, lit(1.0, f64)), m.x, updates={0: 0, 1: 1}), X(5), X(5))


# -- control flow --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
def test_collected_rows(reverse: bool) -> None:
    m = Make(x=(f64, "n"), k=(i64,))
    t, s = Var(scalar(i64), "t"), Var(scalar(f64), "s")
    with m.b.scope((t, s)) as body:
        nxt = m.add(s, m.cast(t, dtype=f64))
        body.results = (nxt, nxt, m.mul(m.x, nxt))
    outs = m.b.for_(dim(m.k), (lit(0.5, f64),), body, reverse=reverse)
    f = m.done(*outs)
    for k in (0, 1, 4):
        check(f, X(3), k)


def test_while_grows_what_it_collects() -> None:
    m = Make(limit=(f64,), x=(f64, "n"))
    s, s2 = Var(scalar(f64), "s"), Var(scalar(f64), "s")
    with m.b.scope((s,)) as cond:
        cond.results = (m.lt(s, m.limit),)
    with m.b.scope((s2,)) as body:
        body.results = (m.add(s2, lit(1.0, f64)), s2, m.mul(m.x, s2))
    outs = m.b.while_((lit(0.0, f64),), cond, body)
    f = m.done(*outs)
    for limit in (-1.0, 1.0, 100.0):
        check(f, limit, X(3))


def test_branches_write_one_array() -> None:
    m = Make(x=(f64, "n"), p=(bool_,))
    with m.b.scope() as then:
        then.results = (m.store(m.x, lit(1.0, f64), 1, spec=(At(),), mode="check"), lit(1, i64))
    with m.b.scope() as orelse:
        orelse.results = (m.exp(m.x), lit(2, i64))
    outs = m.b.if_(m.p, then, orelse)
    f = m.done(*outs, m.reduce_sum(m.x, axes=(0,)))
    check(f, X(80), True)
    check(f, X(80), False)


def test_map_accumulates() -> None:
    m = Make(x=(f64, "n"), w=(f64, "m"))
    i, acc, total = Var(scalar(i64), "i"), Var(m.w.type, "w"), Var(scalar(f64), "total")
    with m.b.scope((i, acc, total)) as body:
        v = m.index(m.x, i, spec=(At(),), mode="fast")
        at = m.mod(i, m.m)
        body.results = (m.accum(acc, v, at, spec=(At(),), mode="fast"), m.add(total, v), m.mul(m.w, v))
    outs = m.b.map_((dim(m.n),), (m.w, lit(0.0, f64)), body)
    check(m.done(*outs), X(50), X(4))


# -- failures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [-6, -5, -1, 0, 4, 5])
def test_index_errors(at: int) -> None:
    m = Make(x=(f64, "n"), k=(i64,))
    f = m.done(m.index(m.x, m.k, spec=(At(),), mode="check"))
    c, x = Compiled(f), X(5)
    if -5 <= at < 5:
        assert c(x, at)[0] == x[at]
    else:
        with pytest.raises(IndexError, match=f"index {at} is out of bounds for axis 0 with size 5"):
            c(x, at)


def test_index_error_in_a_lane_and_in_a_gather() -> None:
    m = Make(x=(f64, "n"), j=(i64, "m"))
    i = Var(scalar(i64), "i")
    with m.b.scope((i,)) as body:
        at = m.index(m.j, i, spec=(At(),), mode="fast")
        body.results = (m.index(m.x, at, spec=(At(),), mode="check"),)
    lanes = Compiled(m.done(*m.b.map_((dim(m.m),), (), body)))
    m = Make(x=(f64, "n"), j=(i64, "m"))
    gather = Compiled(m.done(m.index(m.x, m.j, spec=(Gather(),), mode="check")))
    x, good, bad = X(5), np.array([0, -5, 4]), np.array([0, -5, 4, 9])
    for c in (lanes, gather):
        np.testing.assert_array_equal(c(x, good)[0], x[good])
        with pytest.raises(IndexError, match="index 9 is out of bounds for axis 0 with size 5"):
            c(x, bad)


def test_check_raises_with_its_payload() -> None:
    m = Make(x=(f64, "n"), k=(i64,))
    m.check(m.gt(m.k, 0), m.k, m.x, exc="ValueError", message="k is {0}, x is {1}")
    c = Compiled(m.done(m.k))
    assert c(np.ones(2), 3)[0] == 3
    with pytest.raises(ValueError, match=re.escape("k is -1, x is [1. 1.]")):
        c(np.ones(2), -1)


def test_print(capsys: pytest.CaptureFixture[str]) -> None:
    m = Make(x=(f64, "n"), k=(i64,))
    m.print(m.k, m.mul(m.x, lit(2.0, f64)), text="{0} {1}\n")
    Compiled(m.done())(np.ones(2), 3)
    assert capsys.readouterr().out == "3 [2. 2.]\n"


def test_memory_that_runs_out() -> None:
    m = Make(x=(f64, "n", "m"))
    spread = {"shape": m.x.type.shape, "dims": (0,)}
    e = m.exp(m.sub(m.x, m.broadcast(m.reduce_max(m.x, axes=(1,)), **spread)))
    c = Compiled(m.done(m.div(e, m.broadcast(m.reduce_sum(e, axes=(1,)), **spread))))
    with pytest.raises(MemoryError):
        c(X((70, 80)), fail_alloc_at=1)
    assert c.run is not None
    c(X((70, 80)))
    assert not c.run.live, "scratch memory of chunks is given back"


# -- text ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constants_keep_their_bits(dtype: type) -> None:
    d: DType = np.dtype(dtype)
    values = [0.1, -0.0, np.inf, -np.inf, np.nan, np.finfo(d).tiny, np.finfo(d).max, 1e-45, 3.0, -1e22]
    m = Make(x=(d,))
    f = m.done(
        *[m.copysign(lit(v, d), lit(v, d)) if False else m.select(m.eq(m.x, m.x), lit(v, d), m.x) for v in values]
    )
    got = Compiled(f)(d.type(1))
    assert [bytes(g.data) for g in got] == [bytes(d.type(v).data) for v in values]


def test_names_do_not_collide() -> None:
    m = Make(**{"exp": (f64, "n"), "int": (f64,), "ctx": (f64,), "lo": (f64,), "x[0]": (f64,), "naïve": (f64,)})  # type: ignore[arg-type]
    a = m.params[0]
    r = REGISTRY["exp"](a)
    for p in m.params[1:]:
        r = m.add(r, p)
    check(m.done(r), X(4), 1.0, 2.0, 3.0, 4.0, 5.0)


def test_the_prelude_is_the_interface() -> None:
    """What generated code declares is what csrc/include/weft/abi.h declares."""

    def declarations(text: str) -> str:
        text = re.sub(r"\{#.*?#\}|//[^\n]*|#[^\n]*", "", text, flags=re.S)
        return re.sub(r"\s+", " ", text.replace('extern "C" {', "").rstrip().removesuffix("}")).strip()

    header = (ROOT / "csrc/include/weft/abi.h").read_text()
    prelude = (ROOT / "templates/common/prelude.h.j2").read_text()
    assert declarations(prelude) == declarations(header)
