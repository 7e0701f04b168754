# make repro [COMPETITIONS=a,b]   the environment, then the whole pipeline
# make test                       all tests
# make quick                      the quick tests, in two minutes: those that `pytest` alone runs
# make check                      format, lint, types, import direction, all tests
# make docs                       the documentation, as pages in site/
# make notebooks                  the notebooks, executed and saved with their outputs
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || echo python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
export PATH := $(CURDIR)/$(BIN):$(PATH)
# In a process a core, four at most: each may need 2 GiB. More threads would wait for each other.
# Bytecode is kept: otherwise every process would compile the code anew, and the tests start many.
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses=logical --maxprocesses=4
TORCH := $(shell grep '^torch==' constraints.txt)
INSTALLED = $(BIN)/python -c 'from importlib.metadata import version; \
	assert "torch==" + version("torch").partition("+")[0] == "$(TORCH)"'
CPU_BUILDS := https://download.pytorch.org/whl/cpu
REACHED = $(BIN)/python -c 'from urllib.request import urlopen; urlopen("$(CPU_BUILDS)/torch/", timeout=10)'

# A misspelt one would be ignored in silence: `make repro COMPETITION=x` would run the default.
UNKNOWN := $(filter-out COMPETITIONS=% PYTHON=%,$(MAKEOVERRIDES))
ifneq ($(strip $(UNKNOWN)),)
$(error unknown: $(UNKNOWN). Allowed: COMPETITIONS=a,b and PYTHON=program)
endif

# Holds make's process while pip is at work. Killed there, it leaves packages that look whole.
INSTALLING := .venv/unfinished
BY := $(shell cat $(INSTALLING) 2>/dev/null)
ifneq ($(BY),)
ifneq ($(shell kill -0 $(BY) 2>/dev/null && echo runs),)
$(error another make installs into .venv. Wait for it; if there is none: rm $(INSTALLING))
endif
$(info an installation was interrupted: .venv is made anew)
$(shell rm -rf .venv)
endif

# An error of pip's own, such as no network, leaves what was there before.
install = echo $$PPID > $(INSTALLING); $(PIP) --quiet -e ./packages/caffe -e '$(1)'; \
	code=$$?; rm -f $(INSTALLING); exit $$code

.PHONY: repro test quick check docs notebooks

repro: .venv/for-users
	$(BIN)/ripen run $(if $(COMPETITIONS),"competitions=[$(COMPETITIONS)]")

test: .venv/for-developers
	$(PYTEST) -m ""

quick: .venv/for-developers
	$(PYTEST)

check: .venv/for-developers
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -m ""

docs: .venv/for-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open site/index.html, or serve it: $(BIN)/mkdocs serve"

notebooks: .venv/for-developers
	$(BIN)/python notebooks/save.py

# torch first and by its exact version, so that nothing else chooses a build of it. On Linux PyPI's
# is CUDA's, of gigabytes: without a GPU of NVIDIA's, PyTorch's own index has one of 200 MB.
.venv/for-users: pyproject.toml packages/caffe/pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	@echo $$PPID > $(INSTALLING)
	@if $(INSTALLED) 2>/dev/null; then :; \
	elif ! command -v nvidia-smi >/dev/null && $(REACHED) 2>/dev/null; then \
		echo "downloading $(TORCH), the build for processors, from $(CPU_BUILDS)"; \
		$(PIP) --index-url $(CPU_BUILDS) --no-deps $(TORCH); \
	else \
		echo "downloading $(TORCH) from pip's index (2 GB where that has the build for CUDA)"; \
		$(PIP) $(TORCH); \
	fi
	@echo "downloading the packages of constraints.txt that a run needs (about 300 MB)"
	@$(call install,.)
	touch $@

.venv/for-developers: .venv/for-users
	@echo "downloading the packages that the tests need (about 150 MB)"
	@$(call install,.[dev])
	touch $@

.venv/for-docs: .venv/for-users
	@$(call install,.[docs])
	touch $@
