# `make demo` and `make test` are all that a newcomer needs; both set up what they need.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: setup demo test lint types check lock clean

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

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

check: lint types test  ## what CI runs

lock:  ## after a change of the dependencies in pyproject.toml; needs uv
	uv pip compile --quiet --no-emit-index-url --no-header --universal --python-version 3.11 pyproject.toml --group dev -o infra/locks/dev.txt

clean:
	rm -rf $(VENV) .muses
