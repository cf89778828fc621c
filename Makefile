# Everything a developer types. Needs Python 3.11 or later with its venv module, and make.
#
#   make demo        serve LK-23-01 with a synthetic cohort, PostgreSQL included
#   make test        the whole test suite
#   make check       format, lint, types, import contracts, then the test suite
#   make install     the environment in .venv, and `cairn` in it
#   make containers  the image, compose and another PostgreSQL: needs a Docker engine
#   make bench       everything that is measured, beside the peers; ARGS="append --quick" for a part
#   make docs        write the generated reference pages anew
#   make lock        write the lock files anew from pyproject.toml
#   make clean       remove what this file made; data in .cairn stays

VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
TESTS ?= tests
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
FIND_PYTHON := for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do \
	"$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { command -v "$$python"; exit; }; done; \
	echo 'Cairn needs Python 3.11 or later with its venv module: name one with make PYTHON=...' >&2; exit 1

.PHONY: demo test check format lint types imports containers bench docs install develop lock clean
.DELETE_ON_ERROR:

demo: install
	exec $(BIN)/cairn demo $(ARGS)

test: develop
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(TESTS)

check: lint types imports
	$(MAKE) test

format: develop
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: develop
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: develop
	$(BIN)/mypy

imports: develop
	$(BIN)/lint-imports

containers: develop
	CAIRN_TESTS_ENGINE=required $(BIN)/python -m pytest tests/containers

bench: develop
	-$(PIP) install --quiet --no-build-isolation --editable '.[bench]'
	$(BIN)/python -m bench $(ARGS)

install: $(VENV)/installed
develop: $(VENV)/developed

# Stamps: a second call finds them newer than what they were made from and is done at once.
$(VENV)/made:
	@python=$$($(FIND_PYTHON)) && echo "$$python -m venv $(VENV)" && "$$python" -m venv $(VENV)
	touch $@

$(VENV)/installed: requirements.lock pyproject.toml $(VENV)/made
	$(PIP) install --quiet --require-hashes -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/developed: requirements-dev.lock $(VENV)/installed
	$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	touch $@

COMPILE = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-emit-index-url --upgrade

docs: develop
	$(BIN)/python -m services.reference

lock: install
	$(PIP) install --quiet uv
	$(COMPILE) --extra build --output-file requirements.lock
	$(COMPILE) --extra build --extra dev --constraint requirements.lock --output-file requirements-dev.lock

clean:
	rm -rf $(VENV) *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
