# zactor from a fresh checkout, with make and a Python from 3.11 on: no root, nothing to type.
#
#   make            what there is
#   make test ARGS="tests/bundles -k resume"      a part of the tests, slow ones too
#   make test VENV=.venv-3.13 PYTHON=python3.13   another Python beside the usual one
#   make test VENV=.venv-oldest PINS="$(python3 scripts/oldest.py)"    the oldest dependencies allowed

VENV ?= .venv
# The first of these that is new enough.
PYTHON ?= python3 python3.13 python3.12 python3.11
ARGS ?=
# Tests run in so many processes side by side, at most 4; 0: in this one.
JOBS ?= auto
# How long a siege takes, and which faults come.
MINUTES ?= 5
SEED ?= 0
# Versions to install in a new environment, as pip takes them: click==8.1 …; else the newest allowed.
PINS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-all soak siege lint stage bench clean

help:
	@echo 'make demo       run the demos on real processes'
	@echo 'make test       run what a change needs, about 3 minutes (ARGS="tests/kernel -k name" for a part)'
	@echo 'make test-all   run all tests'
	@echo 'make soak       2,500 simulated runs of groups and knowledge base, and the long tests (about 40 minutes)'
	@echo 'make siege      random faults over five lab hosts at work, then every check (MINUTES=5 SEED=0, root or user namespaces)'
	@echo 'make lint       check style and types'
	@echo 'make bench      run the benchmarks (ARGS="c d --cpu --peers erlang --out results")'
	@echo 'make stage      make build/stage, the tree that type checkers and editors look at'
	@echo 'make clean      remove what make has made, the environment $(VENV) too'

demo: $(VENV)/.test
	$(BIN)/zactor demo 1
	$(BIN)/zactor demo 2
	$(BIN)/zactor demo 3
	$(BIN)/zactor demo 4
	$(BIN)/zactor demo 4 --fail

# Tests start some thousand processes: where Python is told to write no bytecode, each would compile all modules.
COMPILE := $(BIN)/python -m compileall -q kernel supervisor zactor bundles demos tests

# Tests of one file stay together: they share clusters.
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --maxprocesses 4 --dist loadfile

# Who names some tests wants those, the slow ones among them too.
test: $(VENV)/.test
	@$(COMPILE)
	$(if $(ARGS),$(BIN)/python -m pytest $(ARGS),$(PYTEST) -m 'not slow and not soak')

test-all: $(VENV)/.test
	@$(COMPILE)
	$(PYTEST) $(ARGS)

soak: $(VENV)/.test
	$(BIN)/python -m zactor.testing.group_sim --seeds 1..2000
	$(BIN)/python -m zactor.testing.kb_sim --seeds 0..499
	$(BIN)/python -m zactor.testing.replica_sim --seeds 0..9999
	$(BIN)/python -m pytest -m soak $(ARGS)

siege: $(VENV)/.test
	@$(COMPILE)
	$(BIN)/python -m zactor.siege --minutes $(MINUTES) --seed $(SEED) $(ARGS)

lint: $(VENV)/.lint stage
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict -p zactor

stage: $(BIN)/python
	@$(BIN)/python scripts/stage.py

# One row after the other: each wants the machine for itself.
bench: $(VENV)/.test
	$(BIN)/python benchmarks/run.py $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@for python in $(PYTHON); do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "making $(VENV) with $$($$python --version)"; \
			rm -rf $(VENV); \
			$$python -m venv $(VENV) && exit 0; \
			rm -rf $(VENV); \
			echo "make: '$$python -m venv' failed: install its venv module (Debian: python3-venv)" >&2; \
			exit 1; \
		fi; \
	done; \
	echo "make: zactor needs Python 3.11 or newer, found none of: $(PYTHON)." >&2; \
	echo "make: say where one is: make PYTHON=/path/to/python3.11 …" >&2; \
	exit 1

# Installed anew only when what it depends on has changed; code is found through the editable install.
$(VENV)/.test: setup.cfg pyproject.toml | $(BIN)/python
	@echo 'installing zactor and what its tests need into $(VENV)'
	@$(PIP) install --editable '.[test]' $(PINS)
	@touch $@

$(VENV)/.lint: setup.cfg pyproject.toml | $(BIN)/python
	@echo 'installing zactor and what checking it needs into $(VENV)'
	@$(PIP) install --editable '.[test,lint]' $(PINS)
	@touch $@
