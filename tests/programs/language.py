"""Programs: one part of the language each."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from tests.programs.harness import program
from tests.programs.numeric import arr

SCALE = 3.0
TABLE = np.array([1.0, 2.0, 4.0, 8.0])
BIG = np.arange(100.0)
CONFIG = {"rate": 0.5, "steps": 3, "name": "adam"}


def _layer(n, m, seed):
    return {"w": arr(n, m, seed=seed) * 0.5, "b": arr(m, seed=seed + 1) * 0.1}


@program(lambda: [([_layer(3, 4, 0), _layer(4, 2, 5)], arr(5, 3)), ([_layer(2, 1, 0)], arr(1, 2))], grad=(0, 1),
         second=True, vmap=(None, 0))  # fmt: skip
def mlp(params, x):
    for layer in params[:-1]:
        x = np.tanh(x @ layer["w"] + layer["b"])
    last = params[-1]
    return np.sum((x @ last["w"] + last["b"]) ** 2)


@program(lambda: [([_layer(3, 4, 0), _layer(4, 2, 5)], 0.1), ([_layer(1, 1, 0)], 0.0)])
def map_params(params, rate):
    return [{k: v - rate * np.sign(v) for k, v in layer.items()} for layer in params]


@program(lambda: [(2.0, 3), (0.5, 0)], grad=(0,), second=True)
def closures(x, n):
    def compose(f, g):
        return lambda v: f(g(v))

    def repeat(f, times):
        def run(v):
            for _ in range(times):
                v = f(v)
            return v

        return run

    return compose(repeat(lambda v: v * x + 1.0, n), math.sin)(x)


def _helper(x, y=2.0, *rest, scale=1.0, **named):
    total = x * y * scale
    for r in rest:
        total += r
    for k, v in named.items():
        total += v * len(k)
    return total


@program(lambda: [(1.5, 2.5), (0.0, -1.0)], grad=(0, 1), vmap=0)
def arguments(a, b):
    pack, kw = (a, b, 3.0), {"scale": b, "extra": a}
    return _helper(a) + _helper(a, b) + _helper(*pack) + _helper(*pack, **kw) + _helper(y=a, x=b)


@dataclass
class Body:
    mass: float
    pos: np.ndarray
    label: str = "body"


@dataclass(frozen=True)
class Pair:
    left: float
    right: float

    def total(self):
        return self.left + self.right

    @property
    def product(self):
        return self.left * self.right

    def __add__(self, other):
        return Pair(self.left + other.left, self.right + other.right)


class Point(NamedTuple):
    x: float
    y: float

    def norm(self):
        return math.sqrt(self.x * self.x + self.y * self.y)


@program(lambda: [(Pair(1.0, 2.0), 3.0)], grad=(0, 1))
def dataclasses_in_and_out(p, s):
    q = Pair(p.left * s, p.right + s)
    r = p + q
    return Pair(r.total(), r.product)


@program(lambda: [(Body(2.0, arr(3)), 4), (Body(1.0, arr(1)), 0)])
def dataclass_of_array(b, n):
    pos = b.pos
    for _ in range(n):
        pos = pos + 0.1 * b.mass
    return Body(b.mass * 2, pos, b.label)


@program(lambda: [(Point(3.0, 4.0), 2.0)], grad=(0, 1))
def namedtuples(p, s):
    q = p._replace(x=p.x * s)
    x, y = q
    return Point(y, x), q.norm()


class Counter:
    def __init__(self, start):
        self.n = start
        self.history = []

    def step(self, by):
        self.n = self.n + by
        return self

    def __call__(self, x):
        return x * self.n

    def __getitem__(self, k):
        return self.n + k


@program(lambda: [(1.5, 4), (2.0, 0)], grad=(0,))
def objects(x, n):
    c = Counter(x)
    for i in range(n):
        c.step(x * i)
    if c.n > 5.0:
        c.n = c.n * 0.5
    return c(x) + c[2], c.n


@program(lambda: [({"a": 1.0, "b": np.array([1.0, 2.0])}, 2), ({"a": 0.0, "b": np.zeros(1)}, 1)])
def dict_loops(d, n):
    out = {}
    total = 0.0
    for k, v in d.items():
        out[k + "2"] = v * n
    for k in d:
        total = total + d[k]
    for i, v in enumerate(out.values(), start=1):
        total = total + i * v
    return out, total, "a" in d, len(out), out.get("zz", 7)


@program(lambda: [(arr(4), arr(6, seed=1)), (arr(3), arr(3, seed=1)), (arr(1), arr(2))], grad=(0, 1))
def zip_enumerate_reversed(x, y):
    s = 0.0
    for a, b in zip(x, y):
        s += a * b
    for i, v in enumerate(x):
        s += i * v
    for v in reversed(y):
        s = 0.5 * s + v
    for i in reversed(range(2, len(x))):
        s += i
    for (i, a), b in zip(enumerate(x), y):
        s += i * a * b
    for k, name in enumerate(["p", "q"]):
        s += k * len(name)
    return s


@program(lambda: [(1.0, 2.0, 3.0), (3.0, 2.0, 1.0), (1.0, 1.0, 1.0), (math.nan, 1.0, 2.0)], vmap=0)
def chained_comparisons(a, b, c):
    n = 0
    if a < b < c:
        n += 1
    if a <= b <= c != a:
        n += 10
    if not a < b < c:
        n += 100
    return n, a < b < c, a == b == c


@program(lambda: [(np.array([1.0, 2.0, -1.0]), 0), (np.array([1.0]), 3), (np.zeros(0), 0)])
def short_circuit(x, i):
    n = len(x)
    hit = 0
    if i < n and x[i] > 0:
        hit += 1
    if i >= n or x[i] > 0:
        hit += 10
    while i < n and x[i] > 0:
        i += 1
    return hit, i


@program(lambda: [(arr(3, 4),), (arr(2, 1),)], grad=(0,), second=True)
def row_views(a):
    row = a[0]
    row[:] = row * 2
    col = a[:, 0]
    col += 1.0
    a[1] = row + a[1]
    view = a[1]
    view[0] = 7.0
    return a, row, np.sum(view * view)


@program(lambda: [(arr(8),), (arr(5),), (arr(2),)], grad=(0,))
def views_of_views(x):
    r = x[::-1]
    s = r[1::2]
    s[:] = s * 10 + 1
    t = x[1:][::-1]
    t[0] = -1.0
    return x, r, s


@program(lambda: [(arr(2, 3, 4),), (arr(1, 1, 1),)])
def strided_and_newaxis(a):
    b = a[..., ::-2]
    c = a[:, None, 0, 1:]
    d = a.T
    d[0, 0, 0] = 5.0
    e = a[-1:, ..., -1]
    return b, c.copy(), d, e, a.reshape(-1)[0]


@program(lambda: [(np.array([1.0, -2.0, 3.0, -4.0]),), (np.array([1.0]),), (np.array([-1.0, -1.0]),)], grad=(0,))
def boolean_masks(x):
    m = x > 0
    y = x[m]
    x[~m] = 0.5
    x[m] *= 2
    return np.sum(y * y), x, int(np.sum(m))


@program(lambda: [(arr(5, 3), np.array([0, 2, -1]), np.array([[1, 0], [2, 1]])), (arr(3, 4), np.array([1]), np.array([[0]]))],
         grad=(0,))  # fmt: skip
def fancy_indexing(a, rows, table):
    b = a[rows]
    c = a[rows, 0]
    d = a[table, 1]
    a[rows, 1] = c * 2
    a[rows] += 1.0
    return b, c, d, a, a[[0, 1]], a[rows[:, None], table[0]]


@program(lambda: [(arr(4, 4),), (arr(3, 5),)], grad=(0,))
def augmented_slices(a):
    a[1:] += a[:-1]
    a[0] *= 2.0
    a[:, 1] -= a[:, 0]
    a[1:3, 1:] /= 2.0
    a **= 2
    return a


@program(lambda: [(np.array([5, -5, 7]), 3), (np.array([1, 2, 3], dtype=np.int32), -2)])
def integer_arrays(a, n):
    a[0] //= 2
    a += n
    b = a % 4
    b <<= 1
    return a // 2, b, a & 3, a | 8, a ^ n, -a, ~a, a / 2


@program(lambda: [(7, 3), (-7, 3), (7, -3), (-7, -3), (0, 5)], vmap=0)
def integer_division(a, b):
    return a // b, a % b, a / b, divmod(a, b), -a // b, (a + 1) // 2, a >> 1, a << 2, a & b, a | b, a ^ b, ~a


@program(lambda: [(7.5, 2.0), (-7.5, 2.0), (7.5, -2.0), (0.5, 0.25)])
def float_division(a, b):
    return a // b, a % b, a**2, a**b, abs(a), -a, +a, round(a), int(a), divmod(a, b)


@program(lambda: [(True, False), (True, True), (False, False)])
def bool_arithmetic(a, b):
    return a + b, a * 2, a & b, a | b, a ^ b, not a, a and b, a or b, -a, a < b, a + 0.5, int(a), ~a


@program(lambda: [(np.array([True, False, True]), np.array([True, True, False]))])
def bool_arrays(a, b):
    return a + b, a * b, a & b, a | b, a ^ b, ~a, a.sum(), a + 1, a == b, np.any(a), np.all(a)


@program(lambda: [(0.5,), (-2.0,), (0.0,)], grad=(0,), vmap=0)
def conditional_expressions(x):
    a = 1.0 if x > 0 else -1.0
    b = x * x if x < 1 else (x if x > 5 else 2 * x)
    return a * b + (x and 3.0) + (x or 2.0)


@program(lambda: [(3, 2.0), (0, 2.0), (-4, 2.0)])
def nested_ifs(n, x):
    if n > 0:
        if n > 2:
            y = x * n
        elif n == 2:
            y = x
        else:
            y = -x
    else:
        y = 0.0 if n == 0 else x / n
    return y


@program(lambda: [(2.0, 3), (2.0, 0)], grad=(0,))
def nonlocal_state(x, n):
    total = 0.0
    calls = 0

    def add(v):
        nonlocal total, calls
        total += v * v
        calls += 1
        return total

    for i in range(n):
        if i % 2 == 0:
            add(x * i)
        else:
            add(-x)
    return total, calls


@program(lambda: [(2.0, "square"), (2.0, "cube"), (2.0, "other")], jit={"static_argnums": 1})
def static_strings(x, kind):
    if kind == "square":
        return x**2
    match kind:
        case "cube":
            return x**3
        case _:
            return len(kind) * x


@program(lambda: [((1.0, 2.0),), ((1.0, 2.0, 3.0),), (5.0,), ({"kind": "circle", "r": 2.0},)])
def match_statements(shape):
    match shape:
        case (a, b):
            return a * b
        case (a, *rest):
            return a + len(rest)
        case {"kind": "circle", "r": r}:
            return 3.0 * r * r
        case _:
            return shape * 2.0


@program(lambda: [(1, 2.0), (2, 2.0), (3, 2.0), (9, 2.0)])
def match_numbers(n, x):
    match n:
        case 1:
            return x
        case 2 | 3:
            y = x * n
        case k if k > 5:
            y = x + k
        case _:
            y = 0.0
    return y


@program(lambda: [(1.5, 3, np.array([1.0, 2.0])), (-0.25, -1, np.array([0.5]))])
def prints(x, n, a):
    print("start", x, n)
    for i in range(n):
        print(f"{i}: x={x:.3f} {{n}} {x!r}", n, sep="|")
    if x > 0:
        print("positive", a[0], end="!\n")
    print(a, (x, n), [n, "text"], True, None)
    return n


@program(lambda: [(3, 1.0), (-1, 1.0), (5, -1.0), (5, 200.0)])
def raises(n, x):
    if n < 0:
        raise ValueError(f"negative: {n}")
    assert x > 0, "x must be positive"
    for i in range(n):
        if x > 100:
            raise RuntimeError("diverged")
        x = x * 2
    return x


@program(lambda: [(np.array([1.0, 2.0, 3.0]), 1), (np.array([1.0, 2.0]), 5), (np.array([1.0, 2.0]), -3), (arr(4), -1)])
def out_of_bounds(x, i):
    y = x[i]
    x[i] = 2.0
    return y


@program(lambda: [(np.zeros(4), 6), (np.zeros(4), 4)])
def out_of_bounds_in_loop(x, n):
    for i in range(n):
        x[i] = i
    return x


@program(lambda: [(4.0, 0.0), (4.0, 2.0)])
def zero_division(a, b):
    c = a / b
    return c + a % b


@program(lambda: [(2.0, 3), (1.0, 0)], grad=(0,))
def captured(x, i):
    return x * SCALE + TABLE[i] + BIG[i + 1] * CONFIG["rate"] + CONFIG["steps"]


@program(lambda: [(10, 2, -3), (0, 10, 3), (5, 5, 1), (2, 10, -1), (7, 0, -1)])
def ranges(lo, hi, step):
    s = 0
    last = -1
    for i in range(lo, hi, step):
        s = s * 2 + i
        last = i
    for i in range(hi):
        s += i
    for i in range(lo, -3, -2):
        s -= i
    return s, last


@program(lambda: [(5,), (1,), (0,)])
def used_after_loop(n):
    i = -1
    last = 0.0
    for i in range(n):
        last = i * 0.5
        sq = last * last
    if n > 0:
        return i, last, sq
    return i, last, 0.0


@program(lambda: [(arr(4), arr(4, seed=2), 3), (arr(2), arr(2, seed=2), 4)])
def swapped_buffers(x, y, n):
    a, b = x.copy(), y.copy()
    for k in range(n):
        b[1:] = a[:-1] + k
        a, b = b, a
    return a, b


@program(lambda: [(arr(5), 0.0), (arr(5), 10.0)])
def best_so_far(x, limit):
    best, where = -math.inf, -1
    for i, v in enumerate(x):
        if v > best and v > limit - 20:
            best, where = v, i
    return best, where


@program(lambda: [(arr(3), 2.0)], grad=(0, 1))
def lambdas_and_partials(x, a):
    f = functools.partial(lambda s, v, k=1: s * v + k, a)
    return sum([f(v) for v in x]) + functools.reduce(lambda p, q: p * q, [a, a, 2.0])


@program(lambda: [(arr(3, 2), 2.0), (arr(1, 1), 3.0)])
def comprehensions(a, s):
    rows = [np.sum(r) * s for r in a]
    table = {k: v * s for k, v in zip("abc", rows)}
    flat = [a[i, j] for i in range(a.shape[0]) for j in range(a.shape[1]) if i >= j]
    return rows, table, flat, [x for x in (1, 2, 3) if x % 2]


@program(lambda: [(4, 3.0), (0, 3.0)])
def walrus(n, x):
    total = 0.0
    while (n := n - 1) >= 0:
        if (y := x * n) > 2:
            total += y
    return total, n


@program(lambda: [(3, 2.0), (5, -1.0)])
def lists(n, x):
    items = [x, x + 1]
    items.append(x * 2)
    items[0] += 5.0
    items.extend([n, 1])
    last = items.pop()
    a, *b = items
    return items, last, a, b, items[::-1], len(items), items[1:3]


@program(lambda: [(3, 2.0), (5, -1.0), (0, 1.0)])
def lists_changed_in_loops(n, x):
    state = [x, 0.0, 0]
    names = {"sum": 0.0, "count": 0}
    for i in range(n):
        state[0] = state[0] * 0.5 + i
        if i % 2:
            state[1] += state[0]
            names["sum"] += state[1]
        state[2] += 1
        names["count"] = names["count"] + i
    return state, names


@program(lambda: [(arr(6), 3), (arr(3), 1)])
def sizes_computed_at_run_time(x, k):
    y = np.zeros(k * 2)
    y[:k] = x[:k]
    z = x[k:]
    total = 0.0
    for i in range(len(z)):
        total += z[i]
    return y, z, total, len(z), z.shape


@program(lambda: [(arr(3, 3), arr(3)), (arr(1, 1), arr(1))], grad=(0, 1), second=True)
def array_expressions(a, v):
    b = a @ v + v.mean() - a.sum(axis=0) * 2
    c = np.where(b > 0, b, 0.1 * b)
    return np.exp(-(c**2)).sum() + np.einsum("ij,j->", a, v) + a.max() + np.sqrt(np.abs(c) + 1).min()


@program(lambda: [(np.float64(2.0), 3), (np.float64(-1.0), 2)])
def numpy_scalars(x, n):
    y = x * 2
    z = np.float32(1.5) * x
    i = np.int32(n) + 1
    return y, z, i, np.int64(n) * 2.0, x > 1, np.sin(x), float(x), np.maximum(x, n)


@program(lambda: [(2.0, 5), (3.0, 1)], grad=(0,))
def recursion(x, n):
    def power(b, k):
        return 1.0 if k == 0 else b * power(b, k - 1)

    return power(x, 4) + n


@program(lambda: [(2, 3.0), (-2, 3.0)])
def early_returns(n, x):
    if n < 0:
        return x, -1
    y = x * 2
    if y > 100:
        return y, 0
    for i in range(n):
        y += i
        if y > 50:
            return y, i
    return y, n


@program(lambda: [(3,), (0,)])
def mixed_types_join(n):
    s = 0
    for i in range(n):
        s = s + i * 0.5
    return s + 0.0


@program(lambda: [(arr(4),), (arr(1),)])
def returned_arguments(x):
    x[0] = 5.0
    return x, x[:], (x, 1)


@program(lambda: [(4, 5), (2, 2)])
def with_and_del(n, m):
    with np.errstate(divide="ignore"):
        a = np.zeros((n, m))
    tmp = n * m
    del tmp
    for i, j in [(0, 0), (1, 1)]:
        a[i, j] = i + j
    for _ in range(n):
        pass
    else:
        a[0, 1] = -1.0
    return a


def _clip(v: Any, low: float = 0.0, high: float = 1.0) -> Any:
    return low if v < low else high if v > high else v


@program(lambda: [(np.array([0.5, -1.0, 2.0]),)], grad=(0,))
def helper_branches(x):
    out = np.zeros(len(x))
    for i in range(len(x)):
        out[i] = _clip(x[i] * 1.5) + _clip(x[i], high=3.0)
    return out
