# Needs python3 >= 3.11 with venv, a C compiler and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NATIVE := $(VENV)/.native

.PHONY: setup run test test-fast lint bench bench-accuracy bench-latency bench-density bench-ingest bench-vad bench-redaction fuzz native models clean

setup: native models

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "python3 >= 3.11 is needed; set PYTHON=…"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group build --group test --group lint
	touch $@

$(NATIVE): $(STAMP) setup.py $(wildcard native/*.pyx native/*.pxd native/*.h benchmarks/native/*.pyx benchmarks/native/*.pxi)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable .
	touch $@

native: $(NATIVE)

models: $(NATIVE)
	$(BIN)/gateway models fetch

run: setup
	$(BIN)/gateway serve

# The fast tests side by side; those that need models or real time one by one, so that they have the machine.
test: setup lint
	$(BIN)/python -m pytest -m "not slow" -n auto
	$(BIN)/python -m pytest -m slow

test-fast: native
	GATEWAY_TEST_PROFILE=quick $(BIN)/python -m pytest -m "not slow" -n auto

# make fuzz SECONDS=3600: so long for each target, from the corpus in tests/fuzz.
SECONDS ?= 60
fuzz: setup
	$(BIN)/python -m tests.fuzz.run --seconds $(SECONDS)

lint: native
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m benchmarks

bench-accuracy: setup
	$(BIN)/python -m benchmarks.bench_accuracy --keep

bench-latency: setup
	$(BIN)/python -m benchmarks.bench_latency --keep

bench-density: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group bench
	$(BIN)/python -m benchmarks.bench_density --keep

bench-ingest: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group bench
	$(BIN)/python -m benchmarks.bench_ingest --keep

bench-vad: setup
	$(BIN)/python -m benchmarks.bench_vad --keep

bench-redaction: setup
	$(BIN)/python -m benchmarks.bench_redaction --keep

clean:
	rm -rf build *.egg-info gateway/_native/*.so benchmarks/load/*.so native/*.c native/*.html benchmarks/native/*.c benchmarks/native/*.html $(VENV) $(VENV)-bench
