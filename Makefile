# One target, one habit. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Bytecode halves the start of every process; a caller's setting must not take it away.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH

ENVIRONMENT := .venv
BIN         := $(ENVIRONMENT)/bin
STAMP       := $(ENVIRONMENT)/.locked
# Evaluated only where it is used: the first Python on the PATH that fits and can make environments.
PYTHON       = $(shell for name in python3.11 python3.12 python3; do \
                 $$name -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' \
                   2>/dev/null && command -v $$name && break; done)

LOGS     ?= simulated
LOGS_DIR ?=
RECIPE   ?= for_you
# The default night: yesterday (UTC) of the simulated world, the last day of real logs.
DS       ?= $(if $(filter simulated,$(LOGS)),$(shell $(BIN)/python -c 'import datetime as d; print(d.datetime.now(d.timezone.utc).date() - d.timedelta(1))'))

.PHONY: help
help: ## list the targets
	@printf 'reelfeed: from yesterday'"'"'s impressions to tomorrow'"'"'s feeds\n\n'
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-20s %s\n", $$1, $$2 }'
	@printf '\n  make run LOGS=kuairand LOGS_DIR=/data/KuaiRand-Pure    the same on real logs; also DS=YYYY-MM-DD RECIPE=…\n'

.PHONY: setup
setup: $(STAMP) ## create .venv exactly as locked (nothing to do while the lock is unchanged)

$(STAMP): requirements/lock.txt requirements/bootstrap.txt setup.cfg pyproject.toml
	@test -x $(BIN)/python || test -n "$(PYTHON)" || \
	  { echo 'error: no Python 3.11 or 3.12 with its venv module on the PATH; install one' >&2; exit 2; }
	test -x $(BIN)/python || "$(PYTHON)" -m venv $(ENVIRONMENT)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	cp $(BIN)/uv $(ENVIRONMENT)/uv
	VIRTUAL_ENV=$(CURDIR)/$(ENVIRONMENT) $(ENVIRONMENT)/uv pip sync --require-hashes --compile-bytecode requirements/lock.txt
	VIRTUAL_ENV=$(CURDIR)/$(ENVIRONMENT) $(ENVIRONMENT)/uv pip install --no-deps --no-build-isolation -e .
	$(BIN)/python -m core.java_start
	touch $@

.PHONY: run
run: setup ## the whole thing: logs, history, training, tonight's nightly_feed in Airflow, a report
	$(BIN)/reelfeed night --logs $(LOGS) --logs-dir '$(LOGS_DIR)' --recipe $(RECIPE) $(if $(DS),--ds $(DS))

.PHONY: ui
ui: setup ## Airflow, MLflow and the feed page in the browser, on this machine alone, until Ctrl-C
	$(BIN)/reelfeed ui

.PHONY: doctor
doctor: setup ## what is wrong with this installation, and how to mend it
	$(BIN)/reelfeed doctor

.PHONY: test
test: setup ## all tests but the drills; one: make test TESTS=tests/unit/test_lake.py
	$(BIN)/python -m pytest $(TESTS)

.PHONY: drills
drills: setup ## the tests that take minutes each: Airflow and MLflow in a browser, nights killed at every task
	$(BIN)/python -m pytest -m drill

.PHONY: lint
lint: setup ## style (ruff) and the import rules of setup.cfg
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --config setup.cfg

.PHONY: format
format: setup ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: types
types: setup ## static types (mypy, strict on core/)
	$(BIN)/mypy

.PHONY: golden
golden: setup ## rewrite the frozen schemas and DAG shapes, to be reviewed with git diff
	UPDATE_GOLDEN=1 $(BIN)/python -m pytest tests/contract/test_every_table.py \
	  tests/contract/test_every_dag.py tests/contract/test_catalog_page.py

.PHONY: bench
bench: setup ## time and memory of a night, into docs/benchmarks.md
	$(BIN)/reelfeed bench

.PHONY: bench-quality
bench-quality: setup peers ## candidates and ranker beside other recommenders on the same rows, into docs/benchmarks.md
	$(BIN)/reelfeed bench-quality --logs kuairand --logs-dir '$(LOGS_DIR)' --from $(or $(FROM),2022-04-25) --ds $(or $(DS),2022-05-04)

.PHONY: peers
peers: .venv-peers/.locked .venv-peers-ranking/.locked ## the environments of those other recommenders, .venv-peers*

.venv-peers/.locked .venv-peers-ranking/.locked: .venv-%/.locked: requirements/%-lock.txt | $(STAMP)
	$(ENVIRONMENT)/uv venv --quiet --clear --python $(BIN)/python .venv-$*
	VIRTUAL_ENV=$(CURDIR)/.venv-$* $(ENVIRONMENT)/uv pip sync --require-hashes --compile-bytecode $<
	touch $@

.PHONY: lock
lock: $(ENVIRONMENT)/uv ## resolve requirements/*.in anew into the hashed locks
	$(ENVIRONMENT)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --override requirements/overrides.txt requirements/runtime.in requirements/develop.in -o requirements/lock.txt
	$(ENVIRONMENT)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  requirements/peers.in -o requirements/peers-lock.txt
	$(ENVIRONMENT)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  requirements/peers-ranking.in -o requirements/peers-ranking-lock.txt

$(ENVIRONMENT)/uv: | $(STAMP)

.PHONY: clean
clean: ## remove what runs made: var/ (lake, models, Airflow's database) and caches
	rm -rf var .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage

.PHONY: clean-environment
clean-environment: ## remove .venv
	rm -rf $(ENVIRONMENT) .venv-peers .venv-peers-ranking
