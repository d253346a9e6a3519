# quern from a checkout: `make serve` and `make test` each do everything that is needed on a bare Debian 12.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

HOST ?= 127.0.0.1
PORT ?= 8080
ARGS ?=
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 1200

default_model := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/quern/models/SmolLM2-135M-Instruct.Q4_1.gguf
MODEL ?= $(default_model)
ALIAS ?= $(if $(filter $(default_model),$(MODEL)),SmolLM2-135M-Instruct,$(basename $(notdir $(MODEL))))

venv := .venv/.complete
clients := .venv/.clients
python := .venv/bin/python
node := $(if $(wildcard tests/e2e/node/package.json),tests/e2e/node/node_modules/.complete)
sources = $$(find src tests -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh')

# Where the tests find data that is not in the tree; those that find none are skipped and say so.
export QUERN_SMOLLM2 ?= $(default_model)
ifneq ($(wildcard ../shared/tokenizers),)
export QUERN_TOKENIZERS ?= $(abspath ../shared/tokenizers)
endif
ifneq ($(wildcard ../shared/templates),)
export QUERN_TEMPLATES ?= $(abspath ../shared/templates)
endif

.PHONY: help setup build serve test test-all test-asan test-tsan soak bench format check tidy fuzz packages packages-test clean

help: ## shows this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile
	@echo "Variables: MODEL=FILE HOST=$(HOST) PORT=$(PORT) ARGS='more flags of quern'"

setup: packages packages-test build/build.ninja $(venv) $(node) $(default_model) ## gets everything ready: packages, Python environment, model

build: build/build.ninja | packages ## builds the program and the unit tests in build/
	@cmake --build build

serve: build/build.ninja $(if $(filter $(default_model),$(MODEL)),$(default_model)) | packages ## serves MODEL on HOST:PORT
	@cmake --build build --target quern
	@[ '$(MODEL)' != '$(default_model)' ] || python3 scripts/fetch_default_model.py --verify >/dev/null
	@exec build/quern serve -m '$(MODEL)' --model-alias '$(ALIAS)' --host $(HOST) --port $(PORT) $(ARGS)

test: build $(venv) $(node) $(default_model) | packages-test ## runs the unit tests and the quick end-to-end tests
	@$(python) scripts/run_tests.py -- -m "not slow" $(ARGS)

test-all: build $(venv) $(clients) $(node) $(default_model) | packages-test ## runs every test
	@$(python) scripts/run_tests.py -- $(ARGS)

test-asan: build-asan/build.ninja | packages ## runs the unit tests with the address and undefined-behaviour sanitizers
	@cmake --build build-asan
	@python3 scripts/run_tests.py --build build-asan --unit-only

test-tsan: build-tsan/build.ninja | packages ## runs the engine's and the server's unit tests with the thread sanitizer (takes long)
	@cmake --build build-tsan --target test_engine test_server
	@for test in engine server; do TSAN_OPTIONS=halt_on_error=1 build-tsan/test_$$test; done

soak: build $(venv) $(default_model) | packages-test ## drives the server with everything at once for SOAK_SECONDS=1200
	@QUERN=$(abspath build/quern) $(python) tests/soak/soak.py --seconds $(SOAK_SECONDS) $(ARGS)

bench: build/build.ninja $(if $(filter $(default_model),$(MODEL)),$(default_model)) | packages ## measures MODEL on this machine
	@cmake --build build --target quern
	@build/quern bench -m '$(MODEL)' $(ARGS)

format: | packages-test ## formats the C++ sources in place
	@clang-format -i $(sources)

check: | packages-test ## checks the tree's rules and the formatting
	@python3 scripts/check_tree.py
	@clang-format --dry-run --Werror $(sources)

tidy: build | packages-test ## runs clang-tidy over the sources (takes long)
	@scripts/install_packages.sh scripts/packages-clang.txt
	@run-clang-tidy -quiet -p build 'src/.*\.cpp'

fuzz: | packages ## feeds random files and templates to the parsers, FUZZ_SECONDS=60 each, under sanitizers
	@scripts/install_packages.sh scripts/packages-clang.txt
	@cmake --preset fuzz && cmake --build build-fuzz --target $(notdir $(basename $(wildcard tests/fuzz/fuzz_*.cpp)))
	@for target in build-fuzz/fuzz_*; do [ ! -x $$target ] || $$target -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1; done

clean: ## removes what was built, but not the model
	rm -rf build build-asan build-tsan build-fuzz .venv

packages:
	@scripts/install_packages.sh scripts/packages-build.txt

packages-test: packages
	@scripts/install_packages.sh scripts/packages-test.txt

# Ninja runs cmake again by itself when a CMakeLists.txt changes.
build/build.ninja: | packages
	@cmake --preset release

build-asan/build.ninja: | packages
	@cmake --preset asan

build-tsan/build.ninja: | packages
	@cmake --preset tsan

$(venv): tests/requirements.txt | packages
	@python3 -m venv --clear .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

$(clients): tests/requirements-clients.txt $(venv)
	@.venv/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt -r tests/requirements-clients.txt
	@touch $@

tests/e2e/node/node_modules/.complete: tests/e2e/node/package.json | packages-test
	@cd tests/e2e/node && npm install --no-audit --no-fund --loglevel=error
	@touch $@

$(default_model): | packages
	@python3 scripts/fetch_default_model.py >/dev/null
