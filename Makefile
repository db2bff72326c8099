# make setup   virtual environment and locked packages; nothing to do the second time
# make run     everything, with the demo bots: `versaai up --demo`
# make test    all tests, in short profiles
# make check   format, lint, types, import rules, generated files, tests

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run test test-full check lint types format generate generated histories lock clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
FIND_PYTHON = for name in python3.11 python3.12 python3.13 python3; do \
	if "$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then command -v "$$name"; break; fi; done

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

setup: $(STAMP)

$(STAMP): requirements-dev.lock pyproject.toml
	@python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ]; then \
		echo "VersaAI needs Python 3.11 or later with its venv module (Debian: apt install python3-venv)." >&2; \
		exit 1; fi; \
	if [ ! -x $(BIN)/python ]; then echo "Making $(VENV) with $$python"; "$$python" -m venv $(VENV); fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

run: setup
	$(BIN)/versaai up --demo $(ARGS)

test: setup
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

test-full: setup
	VERSAAI_TEST_PROFILE=full VERSAAI_CHAOS_REPORT=benchmarks/results/chaos.json \
	VERSAAI_RECOVERY_REPORT=benchmarks/results/recovery.json $(BIN)/python -m pytest $(ARGS)

check: setup lint types generated
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: setup
	$(BIN)/mypy

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

histories: setup
	$(BIN)/python -m tests.workflows.record_histories

COMPILE = $(BIN)/python -m piptools compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
	--no-annotate --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options

lock: setup
	$(COMPILE) --output-file requirements.lock pyproject.toml
	$(COMPILE) --extra dev --output-file requirements-dev.lock pyproject.toml

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
