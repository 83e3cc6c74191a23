"""Aliases, side effects and partial definitions under staged control flow: as Python, or refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.programs.harness import Program, agree, interpreted, outcome

import weft

CASES: list[tuple] = []
REFUSED: list[tuple] = []


def case(*calls):
    """The function means what Python means for these calls."""

    def register(fn):
        CASES.append((fn, calls))
        return fn

    return register


def refused(message, *args):
    """The function is refused: its meaning cannot be kept."""

    def register(fn):
        REFUSED.append((fn, message, args))
        return fn

    return register


A3 = np.array([1.0, 2.0, 3.0])


# -- arrays made in branches and loops -------------------------------------------------------------------------------


@case((A3,))
def unrolled_over_an_array_that_it_writes(a):
    u = a.copy()
    w, total = u, 0.0
    for f in u:  # unrolled, since it binds `u`
        total = 10.0 * total + f
        w[1] = 9.0
        u = u
    pairs = [set_second(u, v) for v in u]
    return total, pairs


def set_second(u, v):
    u[2] = 7.0
    return v * 2.0


@case((1.0,), (-1.0,))
def made_in_a_branch(x):
    if x > 0:
        a = np.zeros(3)
        a[0] = x
        b = a
        b[1] = 2.0
        return a, b
    return np.ones(3), np.ones(3)


@case((1.0,))
def made_before_a_raise(x):
    if x > 0:
        a = np.zeros(3)
        items = [a]
        items.append(a)
        items[1][2] = x
    else:
        raise ValueError("negative")
    return items, a


@case((1.0,), (-1.0,))
def two_names_for_one_new_array(x):
    y = z = np.zeros(3)
    if x > 0:
        y = z = np.ones(3)
    z[0] = 5.0
    return y


@refused("may be one of several", 1.0)
def names_that_part(x):
    y = z = np.zeros(3)
    if x > 0:
        y = np.ones(3)
        z = y
    else:
        y = np.ones(3)
        z = np.ones(3)
    z[0] = 5.0
    return y


@case((3, A3), (0, A3))
def two_names_bound_in_a_loop(n, a):
    t = u = np.zeros(3)
    for i in range(n):
        t = a * i
        u = t
        t[0] = 7.0
    return t, u


@case((3,), (0,))
def names_bound_to_one_array_in_a_loop_and_written(n):
    t = u = np.zeros(3)
    for i in range(n):
        t = u = np.ones(3) * i
        u[0] = 9.0
    return t


@refused("may be one of several|binds to other arrays", 3)
def aliases_that_differ_by_iteration(n):
    t, u = np.zeros(3), np.ones(3)
    for i in range(n):
        t[0] = i
        t = u
    return t, u


@case((3, A3), (2, A3))
def swap_in_a_loop(n, a):
    u, v = a.copy(), np.zeros(3)
    for i in range(n):
        v[0] = u[0] + i
        v[1:] = u[:-1]
        u, v = v, u
    return u, v


@case((4, A3), (1, A3))
def previous_and_current(n, a):
    cur = a.copy()
    prev = np.zeros(3)
    total = 0.0
    for _ in range(n):
        total += np.sum(np.abs(cur - prev))
        prev = cur
        cur = cur * 0.5 + 1.0
    return prev, cur, total


@case((3, A3), (1, A3))
def argument_rebound_then_copied(n, a):
    for _ in range(n):
        a = a + 1.0
    b = a.copy()
    b[0] = 0.0
    return a, b


@case((1, A3), (2, A3), (0, A3))
def views_follow_their_array(n, a):
    row = a[1:]
    for i in range(n):
        a[i] = 10.0 * i
        row[0] += 1.0
    return row, a


@case((2, np.ones((2, 3))))
def rows_of_a_matrix(n, m):
    total = 0.0
    for row in m:
        row[0] = n
        row *= 2.0
        total += np.sum(row)
    return total, m


@case((A3, 2.0), (A3, 0.0))
def write_and_rebind(a, x):
    b = a
    if x > 1:
        a[0] = 9.0
        b = a * 2
    else:
        b = a + 1
        a[1] = 7.0
    return a, b


@case((A3, A3 * 2, 1.0), (A3, A3 * 2, -1.0))
def written_through_another_name_in_one_branch(a, b, x):
    v, w = a, b
    if x > 0:
        v, w = w, v
    else:
        a[0] = 100.0
    return v, w


@case((A3, 1), (A3, -3), (A3, 2))
def whole_written_from_one_of_its_elements(a, k):
    u = np.zeros(3)
    a[:] = np.tanh(u - a[k])
    a[1:] = a[0] * 0.5
    a -= a[k]


@case((1.0, 3, A3), (-1.0, 3, A3), (-1.0, 0, A3), (-1.0, 1, A3))
def written_in_one_branch_kept_by_a_loop_in_the_other(x, k, a):
    u = np.zeros(3)
    u[2] = x
    if x > 0:
        u[1] = 7.0
        v = u * 1.0
    else:
        v = np.ones(3)
        for i in range(k):
            if a[i] < 1.5:
                v = u
        v = v + 1.0
    return u, v


# -- containers ------------------------------------------------------------------------------------------------------


@case((1.0,), (-1.0,))
def list_kept_by_both_branches(x):
    items = [x, 1.0]
    same = items
    if x > 0:
        items[0] = 5.0
        pair = (items, 1)
    else:
        items[1] = 6.0
        pair = (items, 2)
    pair[0].append(3.0)
    return same, pair[1]


@refused("may be one of several", 1.0)
def list_that_may_be_two(x):
    p, q = [1.0], [2.0]
    if x > 0:
        r = p
    else:
        r = q
    r[0] = 5.0
    return p, q


@case((3, A3), (0, A3))
def list_of_arrays(n, a):
    bufs = [a.copy(), np.zeros(3)]
    for i in range(n):
        bufs[0][i % 3] += 1.0
        bufs[1] = bufs[0] * 2
    return bufs


@case(
    (3, A3),
)
def list_with_an_argument_inside(n, a):
    state = [a, 0]
    for i in range(n):
        state[0][i] = 7.0
        state[1] += 1
    return state[1], a


@case((2,), (3,))
def arrays_appended_in_a_short_loop(n):
    items = []
    for i in range(n):
        row = np.zeros(2)
        row[0] = i
        items.append(row)
    items[0][1] = 5.0
    return items


@case((3, 1.0), (0, 1.0))
def dict_in_a_loop(n, x):
    d = {"a": x, "b": [x, 0]}
    for i in range(n):
        d["a"] += i
        d["b"][1] += 1
        if d["a"] > 2:
            d["b"][0] = d["a"]
    return d


class Node:
    def __init__(self, value):
        self.value = value
        self.data = np.zeros(3)
        self.next = None

    def add(self, x):
        self.value += x
        self.data[0] = self.value
        return self


@case((3, 1.0), (0, 1.0))
def object_in_a_loop(n, x):
    node = Node(x)
    alias = node
    for i in range(n):
        if i % 2 == 0:
            node.add(i)
        else:
            node.value = node.value * 2
    return alias.value, alias.data


@case((1.0,), (-1.0,))
def objects_linked(x):
    a, b = Node(x), Node(2.0)
    a.next = b
    if x > 0:
        a.next.value = 10.0
    return b.value, a.next.value


# -- partial definitions ---------------------------------------------------------------------------------------------


@case((3,), (1,))
def defined_in_the_first_iteration(n):
    total = 0.0
    for i in range(n):
        if i > 0:
            total += prev  # noqa: F821
        prev = i * 2.0  # noqa: F841
    return total


@case((3,), (0,))
def reading_what_a_loop_did_not_define(n):
    for i in range(n):
        last = i * 2.0
    return last


@case((3, 2), (0, 2), (3, 0), (0, 0))
def two_loops_define_one_name(n, m):
    for i in range(n):
        t = i * 1.0
    for j in range(m):
        t = j * 10.0
    return t


@case((3, A3), (1, A3))
def one_name_of_different_shapes(n, a):
    total = 0.0
    for i in range(n):
        t = a * i
        total += np.sum(t)
    for i in range(n):
        t = i * 2
        total += t
    if n > 2:
        t = a[1:]
    else:
        t = [1.0]
    t = total
    return t


@case((5.0, 3), (-5.0, 3))
def swapped_types(x, n):
    if x > 0:
        kind = "big"
    else:
        kind = None
    y = x * 2
    del kind
    return y


# -- conditions with effects -----------------------------------------------------------------------------------------


@case((0.5,), (50.0,))
def condition_that_assigns(x):
    n = 0
    while (y := x * 0.5) > 1.0:
        x = y
        n += 1
    return x, y, n


@case((4,), (0,))
def condition_that_calls_a_writer(n):
    count = [0]
    log = np.zeros(10)

    def more():
        log[count[0]] = count[0] + 1.0
        count[0] += 1
        return count[0] <= n

    total = 0
    while more():
        total += count[0]
    return total, count, log


@case((3,), (0,))
def condition_that_prints(n):
    def positive(k):
        print("test", k)
        return k > 0

    while positive(n):
        n -= 1
    return n


@case((np.array([1.0, -1.0]), 0), (np.array([1.0, -1.0]), 1), (np.array([1.0]), 4))
def effects_in_short_circuits(x, i):
    log = [0]

    def test(v):
        log[0] += 1
        return v > 0

    if i < len(x) and test(x[i]) or test(1.0):
        log[0] += 10
    return log[0]


# -- raising ---------------------------------------------------------------------------------------------------------


def stop(message):
    raise ValueError(message)


@case((1.0,), (-1.0,), (200.0,))
def helpers_that_always_raise(x):
    if x < 0:
        stop(f"negative {x}")
    y = stop("large") if x > 100 else x * 2
    return y


@case((3, 1.0), (3, -1.0), (0, -1.0))
def raise_in_a_loop(n, x):
    a = np.zeros(3)
    for i in range(n):
        a[i] = i
        if x < 0:
            stop("inside")
    return a


@case((0,), (3,))
def loop_that_always_raises(n):
    for _ in range(n):
        raise RuntimeError("first")
    return n


@case((1.0, 0), (-1.0, 3), (2.0, 2))
def prints_before_raising(x, n):
    print("before", x)
    if n > 2:
        print("bad", n)
        raise ValueError(f"n = {n}")
    elif n == 2:
        raise LookupError
    print("after")
    return x


@case((3, 0.0), (3, 2.0))
def division_checked_where_python_checks(n, d):
    total = 0.0
    for i in range(n):
        if d != 0.0 and i / d > 0.5:
            total += i / d
    return total


@case((A3, 5), (A3, 1))
def index_guarded_by_condition(a, i):
    return float(a[i]) if i < 3 else -1.0


# -- scopes ----------------------------------------------------------------------------------------------------------


@case((2.0,))
def comprehension_scopes(x):
    i = 10
    squares = [i * x for i in range(3)]
    fns = [lambda: i * x for i in range(3)]
    nested = [[i * j for j in range(i + 1)] for i in range(3)]
    total = sum(v for row in nested for v in row if v % 2 == 0)
    return i, squares, [f() for f in fns], nested, total, {k: v for k, v in zip("ab", squares, strict=False)}


@case((3, 1.0))
def functions_made_in_loops(n, x):
    total = 0.0
    for i in range(n):

        def scaled(v, i=i):
            return v * i + x

        total += scaled(2.0)
    return total


@case((1.0,), (-1.0,))
def counters(x):
    def counter(start):
        count = start

        def step(by):
            nonlocal count
            count = count + by
            return count

        return step

    c, d = counter(0.0), counter(10.0)
    c(1.0)
    if x > 0:
        c(x)
        d(x)
    else:
        d(-x)
    return c(0.0), d(0.0)


@case((3, 1.0), (0, 1.0))
def closures_over_loop_state(n, x):
    total = 0.0

    def add(v):
        nonlocal total
        total += v

    for i in range(n):
        if i != 1:
            add(x * i)
    return total


@case((2, 3.0))
def late_binding(n, x):
    scale = 1.0

    def f(v):
        return v * scale

    scale = x
    y = f(2.0)
    for i in range(n):
        scale = scale + i
    return y, f(1.0)


@case((2.0, 3.0), (-1.0, 3.0))
def formatted(x, y):
    pair = [x, y]
    print(f"{pair} {(x, 'a')} {x:+.2f}|{str(y)}|{y!r}", f"{f'{x}'}")
    print("sum", x + y, sep=": ", end=";\n")
    if x > 0:
        print([1, x], {"k": 1}, (y,))
    return math.floor(x)


def _ids(entries):
    return [e[0].__name__ for e in entries]


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setenv("WEFT_VERIFY", "1")
    monkeypatch.setattr("weft.api.warm.load", lambda t, signature: None)


@pytest.mark.parametrize(("fn", "calls"), CASES, ids=_ids(CASES))
def test_means_what_python_means(fn, calls):
    p = Program(fn, list)
    compiled = weft.jit(fn)
    for args in calls:
        want = outcome(fn, args)
        if want.error and want.error[0] == "UnboundLocalError":
            for run in (interpreted(fn), compiled):
                assert outcome(run, args).error[0] == "UnboundLocalError"
            continue
        agree(outcome(interpreted(fn), args), want, p, "interpreted")
        agree(outcome(compiled, args), want, p, "compiled")


@pytest.mark.parametrize(("fn", "message", "args"), REFUSED, ids=_ids(REFUSED))
def test_refused(fn, message, args):
    with pytest.raises(weft.StagingError, match=message):
        weft.jit(fn)(*args)
