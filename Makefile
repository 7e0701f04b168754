# make repro [COMPETITIONS=a,b]   the environment, then the whole pipeline
# make test                       the tests
# make check                      format, lint, types, import direction, tests: what CI runs
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || echo python3)
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: repro test check

repro: $(BIN)/ripen
	$(BIN)/ripen run $(if $(COMPETITIONS),"competitions=[$(COMPETITIONS)]")

test: $(BIN)/ripen
	$(BIN)/python -m pytest

check: $(BIN)/ripen
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

# torch first and by its exact version, so that nothing else chooses a build of it.
$(BIN)/ripen: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $$(grep '^torch==' constraints.txt)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@
