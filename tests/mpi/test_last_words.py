"""What a process says when SIGTERM ends it."""

from __future__ import annotations

import signal
import subprocess
import sys

HEAD = """
import os, signal, sys, threading, time
from weft import _runtime
signal.alarm(60)
me = os.getpid()
_runtime.set_last_words("I end")
"""


def run(text):
    done = subprocess.run([sys.executable, "-c", HEAD + text], capture_output=True, text=True, timeout=90, check=False)
    return done.returncode, done.stdout, done.stderr


def test_words_are_said_once():
    assert run("os.kill(me, signal.SIGTERM); os.kill(me, signal.SIGTERM)") == (1, "", "I end\n")
    assert run("_runtime.say_last_words(); _runtime.say_last_words()") == (0, "", "I end\n")
    assert run("_runtime.say_last_words(); os.kill(me, signal.SIGTERM)") == (1, "", "I end\n")
    assert run("_runtime.set_last_words('I fail: \u00e4'); os.kill(me, signal.SIGTERM)") == (1, "", "I fail: \u00e4\n")


def test_while_python_is_busy():
    text = """
if os.fork() == 0:
    time.sleep(0.3)
    os.kill(me, signal.SIGTERM)
    os._exit(0)
sum(range(10**10))  # which lets no other thread run
"""
    assert run(text) == (1, "", "I end\n")


def test_what_was_before_comes_back():
    text = """
_runtime.set_last_words("")
_runtime.say_last_words()
os.kill(me, signal.SIGTERM)
"""
    assert run(text) == (-signal.SIGTERM, "", "")
    text = """
_runtime.set_last_words("")
signal.signal(signal.SIGTERM, lambda *_: print("mine", flush=True))
_runtime.set_last_words("again")
_runtime.set_last_words("")
os.kill(me, signal.SIGTERM)
"""
    assert run(text) == (0, "mine\n", "")


def test_a_child_says_nothing():
    text = """
pid = os.fork()
if pid == 0:
    time.sleep(50)
os.kill(pid, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    assert run(text) == (0, f"{-signal.SIGTERM}\n", "")
