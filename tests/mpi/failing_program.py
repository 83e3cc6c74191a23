"""Run by mpirun: one process fails (or is late) in the way that its argument says, while the others go on."""

import os
import signal
import sys
import time

import numpy as np

import weft
from weft import lax

how, victim = sys.argv[1], int(sys.argv[2])
weft.distributed.initialize()
me = weft.process_index() == victim


def f(x, bad):
    for _ in range(3):
        x = lax.pmean(x, "i")
        if bad > 0:
            raise ValueError("a value that is bad")
    return x


step = weft.pmap(f, axis_name="i")
n = weft.local_device_count()
x, fine = np.arange(float(n)), np.zeros(n)
for k in range(60 if how == "late" else 100_000):
    if k == 50 and me:
        if how == "late":
            time.sleep(2.0)
        if how == "raises":
            raise RuntimeError("something went wrong here")
        if how == "kernel":
            fine = np.ones(n)
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "exits":
            os._exit(3)
    y = step(x, fine)
    np.asarray(y)
print("all the same" if (np.asarray(y) == (weft.device_count() / weft.process_count() - 1) / 2).all() else "wrong")
