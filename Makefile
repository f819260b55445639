# The words a person types; CI types the same ones. `make help` lists them.

SHELL := /bin/sh
VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.ready
UV    ?= uv
ARGS  ?=

# The first interpreter that runs and fits, newest first. `command -v` is not enough: version managers leave shims
# that exist and fail. `make setup PYTHON=/path/to/python` chooses another one.
FITS    := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHONS := python3.13 python3.12 python3.11 python3 python

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-quick lint format bench bench-streams bench-delivery bench-reports chaos up down lock clean

help: ## list these words
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## make .venv with the ringfirst command in it; quick when nothing changed
	@:

# A changed lock or pyproject installs again; an interpreter that vanished makes the environment anew.
ifeq ($(shell $(BIN)/python -c '' 2>/dev/null && echo runs),)
.PHONY: $(STAMP)
endif
$(STAMP): requirements-dev.lock pyproject.toml
	@set -e; \
	chosen='$(PYTHON)'; \
	if [ -z "$$chosen" ]; then for name in $(PYTHONS); do \
	  if "$$name" -c '$(FITS)' >/dev/null 2>&1; then chosen="$$name"; break; fi; done; fi; \
	if [ -z "$$chosen" ] || ! "$$chosen" -c '$(FITS)' >/dev/null 2>&1; then \
	  echo "make setup: no Python fits; need 3.11, 3.12 or 3.13 with venv; install one, or say 'make setup PYTHON=/path/to/python'" >&2; \
	  exit 2; fi; \
	if ! $(BIN)/python -c '$(FITS)' >/dev/null 2>&1; then \
	  echo "making $(VENV) with $$("$$chosen" --version)" >&2; "$$chosen" -m venv --clear $(VENV); fi
	@echo "installing what the lock names; the first time that takes a minute or more" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes --requirement requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

demo: setup ## the main job on made-up customers: events in, explained decisions and a first mail out
	@$(BIN)/ringfirst demo $(ARGS)

# Many tests wait for a broker or a worker and not for a core: three at a time take two cores 29 minutes, two took 38.
test: setup lint ## everything CI runs: lint, types, import contracts, then all tests, three at a time
	@$(BIN)/python -m pytest -n 3 --dist worksteal -m "not chaos" $(ARGS)

test-quick: setup ## the fast tests only, in under a minute
	@$(BIN)/python -m pytest -n 2 -m "not slow and not chaos" $(ARGS)

lint: setup ## ruff, its formatter (look only), mypy and the import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup ## let ruff mend and format FILES (default: everything)
	@$(BIN)/ruff check --fix $(or $(FILES),.)
	@$(BIN)/ruff format $(or $(FILES),.)

bench: setup ## measure the speed on this machine
	@$(BIN)/python -m bench $(ARGS)

bench-streams: setup ## measure workers on a real Kafka, beside stock Faust and bare clients
	@$(BIN)/python -m bench.streams $(ARGS)

bench-delivery: setup ## measure how fast mails are handed over to local servers
	@$(BIN)/python -m bench.delivery $(ARGS)

bench-reports: setup ## measure a month's value reports of ten thousand accounts
	@$(BIN)/python -m bench.reports $(ARGS)

chaos: setup ## kill it at random moments and compare what is left
	@$(BIN)/python -m pytest tests/chaos tests/cli/test_bad_input.py -m chaos $(ARGS)

up: ## all of it in Docker, on this machine only: Kafka, PostgreSQL, two workers, a sender
	@docker compose up --detach --wait --build

down: ## stop them; their data goes too
	@docker compose down --volumes

# One resolution of everything comes first, so that both locks name the same versions.
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all: \
	--no-emit-index-url --no-emit-find-links --no-header --custom-compile-command "make lock" pyproject.toml
lock: ## resolve the dependencies anew into the two lock files (needs uv)
	@mkdir -p build
	@$(subst --only-binary :all:,,$(subst --generate-hashes,,$(COMPILE))) --upgrade --group dev --output-file build/all.txt
	@$(COMPILE) --upgrade --constraint build/all.txt --no-annotate --output-file requirements.lock
	@$(COMPILE) --upgrade --constraint build/all.txt --no-annotate --group dev --output-file requirements-dev.lock

clean: ## remove the environment and everything made by tools; never a store or an outbox
	@rm -rf $(VENV) build dist .coverage .coverage.* htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
