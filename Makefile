# make repro [COMPETITIONS=a,b]   the environment, then the whole pipeline
# make test                       the tests
# make check                      format, lint, types, import direction, tests
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || echo python3)
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# In a process a core, four at most: each may need 2 GiB. More threads would wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=logical --maxprocesses=4

.PHONY: repro test check

repro: $(BIN)/ripen
	$(BIN)/ripen run $(if $(COMPETITIONS),"competitions=[$(COMPETITIONS)]")

test: $(BIN)/ripen
	$(PYTEST)

check: $(BIN)/ripen
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST)

# torch first and by its exact version, so that nothing else chooses a build of it.
$(BIN)/ripen: pyproject.toml packages/caffe/pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $$(grep '^torch==' constraints.txt)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		-e ./packages/caffe -e '.[dev]'
	touch $@
