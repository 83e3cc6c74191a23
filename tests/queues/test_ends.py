"""Ctrl-C, forks, and how programs end."""

from __future__ import annotations

import pytest

START = """
f = weft.jit(lambda x: x * 2.0)
x = wnp.ones(3)
f(x).block_until_ready()
"""


def test_ctrl_c_ends_a_wait_and_not_the_work(program):
    found = program(
        START
        + """
import threading
_runtime._inject("delay", 0, 1, 1.5)
y = f(x)
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
start = time.perf_counter()
try:
    y.block_until_ready()
except KeyboardInterrupt:
    print("interrupted", time.perf_counter() - start < 1.0, y.is_ready())
print(y.tolist(), f(y).tolist())
"""
    )
    assert found.stdout.splitlines() == ["interrupted True False", "[2.0, 2.0, 2.0] [4.0, 4.0, 4.0]"], found.stderr
    assert found.returncode == 0


def test_ctrl_c_ends_a_wait_for_room(program):
    found = program(
        START
        + """
import threading
_runtime._inject("delay", 0, 100, 0.05)
threading.Timer(0.4, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
y = x
try:
    for _ in range(100):
        y = f(y) * 0.0
except KeyboardInterrupt:
    print("interrupted")
_runtime._inject("none")
print(y.tolist())
"""
    )
    assert found.stdout.splitlines() == ["interrupted", "[0.0, 0.0, 0.0]"], found.stderr


def test_ctrl_c_that_nobody_catches(program):
    found = program(
        START
        + """
import threading
_runtime._inject("delay", 0, 100, 0.5)
ys = [f(x) for _ in range(20)]
threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
start = time.perf_counter()
import atexit
ys[-1].block_until_ready()
"""
    )
    assert found.returncode in (-2, 130, 1)
    assert "KeyboardInterrupt" in found.stderr
    assert "nobody looked" not in found.stderr


def test_a_forked_child_goes_on_without_what_was_pending(program):
    found = program(
        START
        + """
_runtime._inject("delay", 0, 1, 0.5)
done, y = f(x), None
done.block_until_ready()
_runtime._inject("delay", 0, 1, 0.5)
y = f(x)
sys.stdout.flush()
pid = os.fork()
if pid == 0:
    signal.alarm(30)
    for read in (lambda: y.tolist(), lambda: f(y), lambda: y + 1.0):
        try:
            read()
        except RuntimeError as e:
            print(str(e)[:51])
    print(done.tolist(), f(x).tolist(), f(done).tolist(), y.is_ready())
    weft.effects_barrier()
    print("child", flush=True)
    sys.exit(7)
status = os.waitpid(pid, 0)[1]
print(os.waitstatus_to_exitcode(status), y.tolist())
"""
    )
    assert found.stdout.splitlines() == [
        "an array was not ready when the process forked, and",
        "an array was not ready when the process forked, and",
        "an array was not ready when the process forked, and",
        "[2.0, 2.0, 2.0] [2.0, 2.0, 2.0] [4.0, 4.0, 4.0] False",
        "child",
        "7 [2.0, 2.0, 2.0]",
    ], found.stderr
    assert found.returncode == 0


def test_forks_while_calls_are_queued(program):
    found = program(
        START
        + """
y = x
codes = []
for k in range(20):
    for _ in range(10):
        y = f(y) * 0.5
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        z = x
        for _ in range(10):
            z = f(z)
        os._exit(0 if z.tolist() == [1024.0] * 3 else 1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(codes, y.tolist())
"""
    )
    assert found.stdout == f"{[0] * 20} [1.0, 1.0, 1.0]\n", found.stderr


def test_what_is_queued_at_the_end_is_finished(program):
    found = program(
        START
        + """
_runtime._inject("delay", 0, 3, 0.1)
g = weft.jit(lambda x, i: x + x[i])
a, b = g(x, 5), f(x)
print("end")
"""
    )
    assert found.stdout == "end\n"
    assert found.returncode == 0
    assert found.stderr == (
        "weft: a queued call of 'lambda_' failed, and nobody looked at its result: IndexError: index 5 is out of bounds"
        " for axis 0 with size 3\n"
    )


@pytest.mark.parametrize("end, code", [("sys.exit(3)", 3), ("", 0), ("os._exit(4)", 4)])
def test_exit_codes_with_calls_in_the_queue(program, end, code):
    found = program(START + "_runtime._inject('delay', 0, 2, 0.1)\ny = f(f(x))\n" + end)
    assert (found.returncode, found.stderr) == (code, "")


def test_after_an_error_only_what_has_begun_is_finished(program):
    found = program(
        START
        + """
import atexit
_runtime._inject("delay", 0, 100, 0.4)
ys = [f(x) for _ in range(25)]
start = time.perf_counter()
def late():
    print(time.perf_counter() - start < 5.0)
    try:
        ys[-1].tolist()
    except RuntimeError as e:
        print(str(e)[:37])
    print(f(x).tolist())
atexit._clear = None
import weft.runtime
atexit.unregister(weft.runtime._close_queues)
atexit.register(late)
atexit.register(weft.runtime._close_queues)
1 / 0
"""
    )
    assert found.returncode == 1
    assert found.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert found.stdout.splitlines() == ["True", "the program ended before this array w", "[2.0, 2.0, 2.0]"]


def test_daemon_threads_at_the_end(program):
    found = program(
        START
        + """
import threading
def loop():
    y = x
    while True:
        y = f(y) * 0.5
threading.Thread(target=loop, daemon=True).start()
time.sleep(0.3)
print("end")
"""
    )
    assert (found.stdout, found.returncode) == ("end\n", 0)


def test_never(program):
    found = program(
        START + "_runtime._inject('delay', 0, 9, 5.0)\nprint(f(x).is_ready(), _runtime.queueing())", WEFT_ASYNC="0"
    )
    assert found.stdout == "True never\n"
