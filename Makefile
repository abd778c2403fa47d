# Set-up, run and checks. Every target sees to what it needs; a second call adds almost no time.

SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
VENV := .venv
PYTHON := $(VENV)/bin/python
PIP_INSTALL := $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes
COMPILE := $(PYTHON) -m uv pip compile --quiet --python-version 3.11 --universal --generate-hashes \
	--no-strip-extras --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help setup java mariadb demo test lint format bench lock clean

help: ## show these lines
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

setup: $(VENV)/.installed java profiles.yml ## virtual environment, pinned packages, Java

demo: setup ## run the pipeline; without settings, on a sample in .workspace
	@$(PYTHON) run_pipeline.py || { code=$$?; [ $$code -eq 3 ] || exit $$code; }

test: setup mariadb ## all tests, or some: make test ARGS="-k archive"
	@$(PYTHON) -m pytest -n 2 --dist loadgroup --no-loadscope-reorder $(ARGS)

lint: $(VENV)/.installed ## ruff, mypy and sqlfluff
	@$(PYTHON) -m ruff check --quiet .
	@$(PYTHON) -m ruff format --check --quiet .
	@$(PYTHON) -m mypy
	@$(PYTHON) -m sqlfluff lint --disable-progress-bar --processes 2 models tests/data/*.sql
	@! grep -rnE '.{89}' --include='*.sql' macros models tests/data || { echo "wider than 88"; exit 1; }

format: $(VENV)/.installed ## put the Python code into shape
	@$(PYTHON) -m ruff check --fix --quiet .
	@$(PYTHON) -m ruff format --quiet .

bench: setup $(VENV)/.bench ## measure, on generated data
	@for file in benchmarks/{bronze,small_files,transfer,small_run,pipeline,history}.py; do echo "== $$file"; $(PYTHON) "$$file" || exit; done

lock: $(VENV)/.installed ## write the lock files anew from pyproject.toml
	@$(COMPILE) --group dev --output-file requirements.lock
	@$(COMPILE) --group bench --constraint requirements.lock --output-file requirements-bench.lock

clean: ## stop the embedded S3 server, remove .workspace (all its data) and the caches
	@if [ -e .workspace/s3.json ] && [ -x $(PYTHON) ]; then $(PYTHON) -c \
		"from pathlib import Path; from ingestion.s3.embedded_s3 import stop; stop(Path('.workspace'))"; fi
	@rm -rf .workspace .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

java:
	@scripts/need java

mariadb:
	@scripts/need mariadb

profiles.yml: | profiles.example.yml
	@cp profiles.example.yml $@

$(VENV)/.installed: requirements.lock
	@set -e; python=$$(scripts/need python); \
	echo "Setting up $(VENV) (once; it takes a minute or two)."; \
	"$$python" -m venv $(VENV)
	@$(PIP_INSTALL) -r requirements.lock
	@touch $@

$(VENV)/.bench: requirements-bench.lock $(VENV)/.installed
	@$(PIP_INSTALL) -r requirements-bench.lock
	@touch $@
