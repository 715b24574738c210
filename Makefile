# Fresh machine: Python 3.11+, pip, make, git. Everything is installed into .venv of this folder.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test check install bench clean

install: $(READY)

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("archloom needs Python 3.11 or newer; name one with make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $(READY)

demo: $(READY)  ## search for the best collaboration graph with a real model, on a real benchmark
	$(BIN)/archloom models pull smollm2-135m-instruct
	$(BIN)/archloom search examples/demo/space.yaml --out runs/demo

test: $(READY)  ## the default suite: no network, no keys, under five minutes
	$(BIN)/python -m pytest

check: $(READY)  ## lint, types, floors, docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=src:docs $(BIN)/mypy --strict docs/check.py docs/reference.py
	$(BIN)/lint-imports
	$(BIN)/python docs/check.py

bench: $(READY)
	$(BIN)/python benchmarks/engine/dataflow.py
	$(BIN)/python benchmarks/search/race_on_tables.py --data ../shared/data/agentopt

clean:
	rm -rf runs .archloom build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
