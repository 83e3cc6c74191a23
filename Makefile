# Every target makes the virtual environment it needs. C++ is rebuilt when it changes; Python is installed editable.
PYTHON ?= python3
VENV ?= .venv
CXX ?= g++
PYTEST ?= -n 2
INSTALL ?= -C cmake.define.WEFT_WERROR=OFF

BIN := $(VENV)/bin
NATIVE := CMakeLists.txt pyproject.toml $(shell find csrc third_party -type f -not -name '.*')
CXX_FILES = $(shell find csrc -name '*.h' -o -name '*.cpp')
export WEFT_CACHE_DIR ?= $(CURDIR)/.weft-cache

.PHONY: demo test random bench lint format sanitize sanitize-threads clean
.NOTPARALLEL:

demo: $(VENV)/.demo
	@$(BIN)/python examples/demo.py

test: $(VENV)/.test
	@$(BIN)/python -m pytest $(PYTEST) -q

# N random programs, their derivatives and batches, from seed FROM on: 100,000 take a night.
FROM ?= 0
N ?= 100000
random: $(VENV)/.test
	@WEFT_RANDOM_PROGRAMS=$(FROM):$$(($(FROM) + $(N))) $(BIN)/python -m pytest $(PYTEST) -q -p no:cacheprovider \
	  tests/frontend/test_random_programs.py tests/transforms/test_reverse_random.py

bench: $(VENV)/.bench
	@$(BIN)/python benchmarks/run.py

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(CXX_FILES)

format: $(VENV)/.lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CXX_FILES)

# The runtime and generated code under the address and undefined-behaviour sanitizers, in an environment of its own.
# Leaks are not looked for: the interpreter itself leaks at exit.
SANITIZED := tests/runtime tests/queues tests/codegen $(wildcard tests/programs)
sanitize:
	@$(MAKE) --no-print-directory VENV=.venv-sanitize \
	  INSTALL="-C cmake.define.WEFT_SANITIZE=ON -C cmake.define.WEFT_WERROR=ON" .venv-sanitize/.test
	@LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libubsan.so) $$($(CXX) -print-file-name=libstdc++.so.6)" \
	  ASAN_OPTIONS=detect_leaks=0:detect_odr_violation=0 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
	  WEFT_SANITIZE=1 WEFT_CXXFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=undefined -O1 -g" \
	  WEFT_CACHE_DIR=$(CURDIR)/.weft-cache/sanitize \
	  .venv-sanitize/bin/python -m pytest -q -p no:cacheprovider $(SANITIZED)

# The queues under the thread sanitizer. Python itself is not instrumented: its lock is seen as any other. Kernels are not
# either: only the runtime's own accesses are watched.
THREADED := tests/queues tests/runtime/test_calls.py
sanitize-threads:
	@$(MAKE) --no-print-directory VENV=.venv-threads \
	  INSTALL="-C cmake.define.WEFT_SANITIZE=thread -C cmake.define.WEFT_WERROR=ON" .venv-threads/.test
	@LD_PRELOAD="$$($(CXX) -print-file-name=libtsan.so)" TSAN_OPTIONS=exitcode=66:history_size=5:die_after_fork=0:suppressions=$(CURDIR)/csrc/tsan.txt \
	  WEFT_CACHE_DIR=$(CURDIR)/.weft-cache/threads \
	  .venv-threads/bin/python -m pytest -q -p no:cacheprovider -p no:faulthandler $(THREADED)

clean:
	rm -rf build .venv .venv-sanitize .venv-threads .weft-cache

# Build requirements live in the environment, so that a rebuild is incremental.
$(VENV)/.base:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check 'scikit-build-core>=0.10' 'pybind11>=3' 'numpy>=2' 'cmake>=3.25' ninja
	@touch $@

# What is there is removed before: an instrumented one cannot be imported, as the build would try.
$(VENV)/.%: $(VENV)/.base $(NATIVE)
	@$(BIN)/python -m pip uninstall -q -y weft 2>/dev/null || true
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-build-isolation \
	  -C build-dir=build/$(VENV) $(INSTALL) -e '.[$*]'
	@touch $@
