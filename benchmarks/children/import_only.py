"""How long importing a package takes."""

import importlib
import json
import sys
import time

start = time.perf_counter()
importlib.import_module(sys.argv[1])
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds}))
