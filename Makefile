# Everything that a developer does, each with one command; `make help` lists them.
# What a machine lacks is installed under .venv/ and the user's cache, never system-wide.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEVCLUSTER := $(BIN)/python -m blockqnn_devcluster
INSTALLED := $(VENV)/.installed

# Trainings of the tests and the demo are tiny: one thread each, and two run side by side.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help environment demo images test unit cluster long chart chaos walk monitoring test-node reproduce static lint format generate lock programs clean

help: ## list the commands
	@sed -n 's/^\([a-z%-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

environment: $(INSTALLED) ## create .venv with everything, pinned and verified by hash

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: Python 3.11 or later is needed; set PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
	  || { echo "error: Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	@echo "installing the environment into $(VENV)"
	$(PYTHON) -m venv $(VENV)
	@mkdir -p build
	@sed -n '/^uv==/,/[^\\]$$/p' constraints.txt > build/uv.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r build/uv.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --editable '.[operator,trainer,cli,parquet]' \
	  --group dev --constraint constraints.txt --build-constraint constraints.txt
	@touch $@

programs: $(INSTALLED) ## build the programs of the development cluster into the user's cache
	$(DEVCLUSTER) build

demo: $(INSTALLED) ## a real search on a real Kubernetes on this machine
	@$(BIN)/python -m blockqnn_demo

test: static unit cluster ## everything: static checks, unit tests, tests against a real cluster

static: $(INSTALLED) ## formatting, linting, types, boundaries
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

unit: $(INSTALLED) ## the unit tests, in seconds
	$(BIN)/python -m pytest tests/unit -n 2 -q

cluster: programs ## the tests against a real API server
	$(DEVCLUSTER) run --name test-$$$$ -- $(BIN)/python -m pytest tests/cluster -m 'not long' -n 3 -q

long: programs ## the tests against a real API server that take long: finalists, datasets, other tasks
	$(DEVCLUSTER) run --name long-$$$$ -- $(BIN)/python -m pytest tests/cluster -m long -n 2 -q

images: ## build both images with docker, podman or buildah; BASE_IMAGE=..., TAG=...
	devcluster/images/build.sh

# The same names whatever builds them, so that the node finds them.
test-node: export OPERATOR_IMAGE := localhost/blockqnn-operator
test-node: export TRAINER_IMAGE := localhost/blockqnn-trainer
test-node: export TAG := test
test-node: programs images ## helm install and a search in real containers; as root on Linux
	$(BIN)/python -m pytest tests/node -n 0 -x -q

chaos: programs ## hundreds of trials while everything is killed, stopped and deleted
	$(BIN)/python -m pytest tests/chaos -s -q

walk: programs ## every field of a BlockSearch, with its boundaries and wrong values
	$(BIN)/python -m pytest tests/walk -s -q

chart: programs ## the chart, by Helm against a real API server
	$(BIN)/python -m pytest tests/chart -n 2 -q

monitoring: programs ## metrics, dashboards, alerts and the report, by a real Prometheus and browser
	-$(BIN)/python -m monitoring.debian
	$(DEVCLUSTER) run --name monitoring-$$$$ -- $(BIN)/python -m pytest tests/monitoring -n 0 -q

reproduce: $(INSTALLED) ## repeat the papers' figures on stored trainings; writes docs/reproduction.md, about 20 minutes
	$(BIN)/python -m benchmarks.reproduction

bench-%: $(INSTALLED) ## a benchmark: bench-search, bench-reproduction, bench-stopping, bench-agent, bench-trainer, bench-operator; QUICK=1 for its short form
	$(BIN)/python -m benchmarks.$*

format: $(INSTALLED) ## lay the code out
	$(BIN)/ruff check --fix --quiet
	$(BIN)/ruff format --quiet

generate: $(INSTALLED) ## write what is generated: the definition, the chart's copies, the dashboards, the reference
	$(BIN)/python -m blockqnn_api.definition.crd > build/crd.yaml
	mv build/crd.yaml crds/blockqnn.dev_blocksearches.yaml
	cp crds/blockqnn.dev_blocksearches.yaml operator/role.yaml helm/blockqnn/files/
	$(BIN)/python helm/values_table.py
	$(BIN)/python -m monitoring.dashboards helm/blockqnn/dashboards
	$(BIN)/python -m reference docs/reference

lock: $(INSTALLED) ## resolve the dependencies anew into constraints.txt
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --universal --generate-hashes \
	  --python-version 3.11 --no-header --no-annotate --upgrade --quiet --output-file constraints.txt

clean: ## remove what was built here; the user's cache stays
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
