# Everything a developer runs. `make help` lists it; `.ci/run` runs the same targets.

.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= python3
PORT ?= 3000
ARGS ?=
STOPS ?= 2000

BIN := .venv/bin
SOURCES := docs layers agent engines cli local functions tests chaos benchmarks delivery distributions
# What is released: a folder each, with its pyproject.toml and its lock.
DISTRIBUTIONS := $(sort $(patsubst %/pyproject.toml,%,$(wildcard distributions/*/pyproject.toml)))
# Those with a program of their own are installed on hosts.
PROGRAMS := $(sort $(patsubst %/pyproject.toml,%,$(shell grep -l '^\[project.scripts\]' distributions/*/pyproject.toml)))

# SAM builds for the functions' own Python. It may be on PATH, be kept by pyenv, or be named: make build PYTHON313=...
PYTHON313 ?= $(shell for python in python3.13 "$$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python; do \
	"$$python" -c 'import ensurepip' 2>/dev/null && { command -v "$$python"; break; }; done)
ARCHITECTURE ?= arm64
# With credentials in the environment SAM asks STS who they are, which hangs where AWS is out of reach.
SAM = env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_SESSION_TOKEN -u AWS_PROFILE SAM_CLI_TELEMETRY=0 \
	AWS_DEFAULT_REGION="$${AWS_DEFAULT_REGION:-eu-central-1}" PATH="$(CURDIR)/.venv-sam/bin:$$PATH" sam
BUILD_DIR ?= .aws-sam/build
# Lambda's file system is read-only, so it would compile every module again at every cold start. unchecked-hash: the
# files' times, which packaging changes, do not count. The fixed hash seed, one process and the paths as they are in
# Lambda make the same input the same bytes.
COMPILE = PYTHONHASHSEED=0 .venv-sam/bin/python -m compileall -q -f --invalidation-mode unchecked-hash
# The layer for this machine's own processor, built afresh.
HERE = .local/build
# Of samconfig.toml: dev is what SAM calls default. An installation may keep its own file elsewhere.
ENV ?= dev
SAMCONFIG ?= samconfig.toml
CONFIG_ENV = $(if $(filter dev,$(ENV)),default,$(ENV))
NO_SAM = SKIPPED $@: no Python 3.13 was found. Install it, or name it: make $@ PYTHON313=/path/to/python3.13

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup run test fuzz chaos dynalite generators lint-console format-console \
	bench bench-list bench-page bench-cold bench-cli bench-console bench-filter bench-stop bench-units bench-asterisk bench-freeswitch \
	build-here openapi openapi-check cli-docs screenshots scale wheel wheelhouse lint audit format sam lint-cloud build deploy deploy-check lock clean

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready .venv-ministack/.ready ## install everything `run` and `test` need (both do it by themselves)

# The pip that comes with a Python may be years old: slower, and with other ideas of what it may install. The newer one stands in
# .venv alone and fills the other environments, too.
.venv/.pip: requirements/pip.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: $(PYTHON) is older than Python 3.11; name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/pip.txt
	@touch $@

.venv/.ready: .venv/.pip requirements/dev.txt pyproject.toml
	@echo "Installing the project into .venv (about half a minute, once)"
	@$(BIN)/pip install --quiet --no-compile --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# What is no library of ours has a virtual environment of its own, so that nothing of it decides what ours may need. What
# goes along with the functions has their Python.
OF_THE_FUNCTIONS = .venv-sam/.ready .venv-lambda/.ready .venv-deploy/.ready .venv-checkov/.ready
$(OF_THE_FUNCTIONS): INTERPRETER = $(PYTHON313)
$(OF_THE_FUNCTIONS): ONLY_WHEELS = --only-binary :all:
INTERPRETER = $(PYTHON)
# SAM runs the pip of its own environment, again and again, and so does what fetches the layer's packages.
.venv-sam/.ready: WITH_PIP = $(FILL) -r requirements/pip.txt
FILL = $(BIN)/pip --python $(@D)/bin/python install --quiet --require-hashes

.venv-%/.ready: requirements/%.txt .venv/.pip
	@echo "Installing requirements/$*.txt into $(@D) (once)"
	@rm -rf $(@D)
	@"$(INTERPRETER)" -m venv --without-pip $(@D)
	@$(FILL) --no-compile $(ONLY_WHEELS) -r $<
	@$(WITH_PIP)
	@touch $@

run: setup ## start the whole system on 127.0.0.1 (PORT=3000); Ctrl-C ends it
	@exec $(BIN)/python -m ivr_local --port $(PORT) $(ARGS)

test: setup ## run every test (ARGS="-k stop" for some)
	@$(BIN)/python -m pytest --ignore tests/deploy $(ARGS)

CASES ?= 100000

fuzz: setup ## the list against its oracle, CASES=100000 times
	@LIST_CASES=$(CASES) $(BIN)/python -m pytest --timeout 0 tests/property/test_list_plans.py $(ARGS)

dynalite: requirements/dynalite/node_modules/.ready ## install the second opinion on DynamoDB's reads (needs Node.js 20)

generators: .venv-openapi/.ready requirements/openapi/node_modules/.ready ## install what makes clients of docs/openapi.json (needs Node.js 20)

CONSOLE_TOOLS = requirements/console/node_modules/.bin
PRETTIER = $(CONSOLE_TOOLS)/prettier --config requirements/console/prettier.json --log-level warn

lint-console: requirements/console/node_modules/.ready ## check the console: formatting, ESLint, types (needs Node.js 20)
	@$(PRETTIER) --check console
	@$(CONSOLE_TOOLS)/eslint --config requirements/console/eslint.config.js console
	@$(CONSOLE_TOOLS)/tsc --project requirements/console/tsconfig.json

format-console: requirements/console/node_modules/.ready ## format the console (needs Node.js 20)
	@$(PRETTIER) --write console

requirements/%/node_modules/.ready: requirements/%/package-lock.json
	@echo "Installing what requirements/$* pins (once)"
	@cd requirements/$* && npm ci --omit=optional --ignore-scripts --no-audit --no-fund --silent
	@touch $@

# RECORD=1 keeps in benchmarks/units.json what docs/scale.md computes with; then `make scale` for the page.
RECORD ?=
KEEP = $(if $(RECORD),| $(BIN)/python -m benchmarks.record $@)

bench-stop: setup ## measure the stop path and the agent (under a minute, on an otherwise idle machine)
	@PYTHONPATH=tests/support $(BIN)/python -m benchmarks.stop $(KEEP)

bench-cli: setup ## CPU of ivrctl over a bare Python, and 5,000 stops against canned answers
	@PYTHONPATH=tests/support $(BIN)/python -m benchmarks.cli

chaos: setup ## break the running system at random and judge it (SEED=1 STOPS=2000 MINUTES=12 ASTERISK=1 FREESWITCH=1; docs/chaos.md)
	@PYTHONPATH=tests/support $(BIN)/python -m chaos $(if $(SEED),--seed $(SEED)) --stops $(STOPS) \
		$(if $(MINUTES),--minutes $(MINUTES)) $(if $(ASTERISK),--asterisk) $(if $(FREESWITCH),--freeswitch)

bench-console: setup ## bytes, requests, frames, time to paint and memory of the console (needs Chromium)
	@PYTHONPATH=tests/support $(BIN)/python -m benchmarks.console

bench: bench-list bench-filter bench-page bench-cold bench-units bench-stop bench-cli bench-console bench-asterisk bench-freeswitch ## measure every published figure (benchmarks/README.md)

bench-list: setup ## CPU of a list of 10,000 runtimes
	@$(BIN)/python -m benchmarks.listing

bench-filter: setup ## CPU of the dearest filter over 1,000 runtimes
	@$(BIN)/python -m benchmarks.filtering

bench-page: setup dynalite ## calls, read units and CPU of a page of 50 in domains up to 100,000 runtimes
	@$(BIN)/python -m benchmarks.paging

bench-units: setup dynalite ## what docs/scale.md computes with (RECORD=1 keeps it in benchmarks/units.json)
	@$(BIN)/python -m benchmarks.units $(KEEP)

bench-asterisk: setup ## CPU, memory and delay of the bridge to Asterisk at 200 starts and ends a second
	@PYTHONPATH=tests/support $(BIN)/python -m benchmarks.asterisk

bench-freeswitch: setup ## CPU, memory and delay of the bridge to FreeSWITCH at 200 starts and ends a second
	@PYTHONPATH=tests/support $(BIN)/python -m benchmarks.freeswitch

openapi: setup ## write docs/openapi.json anew
	@$(BIN)/python -m delivery.openapi >docs/openapi.json.new && mv docs/openapi.json.new docs/openapi.json

openapi-check: setup ## look for what breaks programs made for the last release (docs/released/openapi.json)
	@$(BIN)/python -m delivery.openapi.breaking

screenshots: setup ## render the pictures of command line and console into docs/images (needs Chromium)
	@PYTHONPATH=tests/support $(BIN)/python -m delivery.screenshots docs/images
	@PYTHONPATH=tests/support $(BIN)/python -m delivery.console_pictures docs/images

cli-docs: setup ## write docs/cli.md anew
	@$(BIN)/python -m delivery.cli_page > docs/cli.md.new && mv docs/cli.md.new docs/cli.md

LOCKS = $(wildcard requirements/*.txt) layers/core/requirements.txt $(DISTRIBUTIONS:%=%/requirements.txt)

audit: .venv-audit/.ready ## look the pinned packages up among known vulnerabilities (needs PyPI's JSON API)
	@.venv-audit/bin/python delivery/audit.py $(LOCKS)

scale: setup ## print the tables of docs/scale.md
	@$(BIN)/python -m delivery.scale

WHEEL = $(BIN)/pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir
DIST ?= dist

wheel: setup ## build the distributions: wheels, each with its bill of materials and its hash (DIST=dist)
	@rm -f $(DIST)/*-none-any.whl*
	@$(WHEEL) $(DIST) $(DISTRIBUTIONS)
	@$(foreach folder,$(DISTRIBUTIONS),$(BIN)/python -m delivery.sbom $(folder) $(DIST) &&) true

wheelhouse: wheel ## all that installs a program on offline hosts, an archive each (ARCHITECTURE=arm64|x86_64)
	@$(BIN)/python -m delivery.wheelhouse $(PROGRAMS) --dist $(DIST) --architecture $(ARCHITECTURE)

lint: setup openapi-check ## formatting, ruff, mypy --strict, import rules, breaks of the API
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/mypy layers/core/ivr_runtimes agent/ivr_agent $(wildcard engines/ivr_*) cli/ivrctl local/ivr_local tests/support chaos
	@$(BIN)/mypy benchmarks delivery distributions
	@$(BIN)/mypy functions/list_runtimes
	@$(BIN)/mypy functions/stop_runtime
	@$(BIN)/lint-imports

format: setup ## format the code and sort imports
	@$(BIN)/ruff check --fix --quiet $(SOURCES) || true
	@$(BIN)/ruff format $(SOURCES)

ifneq ($(findstring --parameter-overrides,$(DEPLOY_ARGS)),)
$(error parameters belong into samconfig.toml: the release hash would not know of those in DEPLOY_ARGS)
endif

ifeq ($(strip $(PYTHON313)),)
sam lint-cloud build build-here deploy deploy-check bench-cold:
	@echo "$(NO_SAM)" >&2
else
sam: .venv-sam/.ready .venv-lambda/.ready ## install the AWS SAM CLI and Lambda's runtime interface (needs Python 3.13)

# checkov sees the template expanded: it knows no loops. What it leaves out, and why, stands in .checkov.yaml; of cfn-lint
# in .cfnlintrc. `sam validate --lint` is one of the tests.
EXPANDED = .local/scan/template.json

# SCANS_ONLY=1 leaves out the invariants where `make test` has them anyway.
SCANS_ONLY ?=

lint-cloud: setup sam .venv-checkov/.ready ## check template.yaml: cfn-lint, checkov, sam validate --lint for every environment, invariants
	@.venv-sam/bin/cfn-lint template.yaml
	@mkdir -p $(dir $(EXPANDED))
	@$(BIN)/python -m delivery.expanded >$(EXPANDED)
	@.venv-checkov/bin/checkov --config-file .checkov.yaml -f $(EXPANDED)
	@$(if $(SCANS_ONLY),,$(BIN)/python -m pytest -q tests/iac -m "not e2e")

# SAM asks for the other processor's packages by name and version alone. So they are fetched before, by their hashes, with
# this machine's own, which it asks for first; then it gets nothing else to choose from.
WHEELS = .local/wheels/$(ARCHITECTURE)
FETCH = .venv-sam/bin/python -m pip download --quiet --require-hashes --only-binary :all: --dest $(WHEELS) \
	-r layers/core/requirements.txt

$(WHEELS)/.ready: layers/core/requirements.txt .venv-sam/.ready
	@echo "Fetching the layer's packages for $(ARCHITECTURE) (once)"
	@rm -rf $(@D)
	@$(FETCH)
	@$(FETCH) --implementation cp --python-version 3.13 --platform manylinux2014_$(ARCHITECTURE:arm64=aarch64)
	@touch $@

build: sam $(WHEELS)/.ready ## build the functions and the layer (ARCHITECTURE=arm64|x86_64)
	@PIP_NO_INDEX=1 PIP_FIND_LINKS=$(CURDIR)/$(WHEELS) $(SAM) build $(BUILD_ARGS) --build-dir $(BUILD_DIR) --parameter-overrides Sites=SITE1 Architecture=$(ARCHITECTURE)
	@.venv-sam/bin/python delivery/descriptions.py $(BUILD_DIR)/CoreLayer/python/botocore/data
	@$(COMPILE) -s $(BUILD_DIR)/CoreLayer -p /opt $(BUILD_DIR)/CoreLayer
	@for code in $(BUILD_DIR)/*Function; do $(COMPILE) -s $$code -p /var/task $$code || exit 1; done

bench-cold: setup build-here .venv-lambda/.ready .local/baseline/.ready ## init time under the real runtime interface
	@$(BIN)/python -m benchmarks.coldstart

build-here: sam
	@mkdir -p $(dir $(HERE))
	@$(MAKE) --no-print-directory build BUILD_DIR=$(HERE) BUILD_ARGS="--config-env prod" \
		ARCHITECTURE=$$(uname -m | sed 's/aarch64/arm64/') >$(HERE).log 2>&1 || { cat $(HERE).log >&2; exit 1; }

# The parameters are samconfig.toml's, with the release hash of what was built added to them. SAM's own variables are not
# cleared here: this one target talks to AWS, as you.
deploy: BUILD_ARGS += --config-file $(abspath $(SAMCONFIG)) --config-env $(CONFIG_ENV)
deploy: setup build ## deploy to AWS (ENV=dev|staging|prod; DEPLOY_ARGS="--no-execute-changeset" for a look)
	@parameters=$$($(BIN)/python delivery/release.py $(CONFIG_ENV) --build-dir $(BUILD_DIR) --deployed \
		--samconfig $(SAMCONFIG) $(DEPLOY_ARGS)) && \
		SAM_CLI_TELEMETRY=0 .venv-sam/bin/sam deploy --config-file $(abspath $(SAMCONFIG)) --config-env $(CONFIG_ENV) \
		--template-file $(BUILD_DIR)/template.yaml --parameter-overrides $$parameters $(DEPLOY_ARGS) && \
		$(if $(findstring --no-execute-changeset,$(DEPLOY_ARGS)),true,$(BIN)/python -m delivery.console $(CONFIG_ENV) \
		--deployed "$$parameters" --samconfig $(SAMCONFIG) $(DEPLOY_ARGS))

deploy-check: setup sam .venv-deploy/.ready ## deploy into an emulated CloudFormation and use what that made (tests/deploy)
	@$(BIN)/python -m pytest tests/deploy $(ARGS)
endif

BASELINE = benchmarks/baselines/powertools_resource

.local/baseline/.ready: $(BASELINE)/requirements.txt .venv-lambda/.ready
	@echo "Installing the baseline's layer into .local/baseline (once)"
	@rm -rf $(@D)
	@$(BIN)/pip --python .venv-lambda/bin/python install --quiet --require-hashes --only-binary :all: --no-compile -r $< --target $(@D)/python
	@$(COMPILE) $(@D)
	@touch $@

UV = uv pip compile --quiet $(UPGRADE) --no-emit-index-url --no-header --generate-hashes
UPGRADE ?= --upgrade
NAME = sed -n 's/^name = "\(.*\)"/\1/p'
LOCKING = .local/locking

# A distribution's lock is of the built wheel, without the project's own: those are pinned by their hashes when they are built.
lock: setup ## make the lock files anew (needs uv; UPGRADE= keeps what is pinned)
	@$(UV) --universal --python-version 3.11 --extra dev pyproject.toml -o requirements/dev.txt
	@$(UV) --universal --python-version 3.13 -c requirements/dev.txt pyproject.toml -o layers/core/requirements.txt
	@$(UV) --universal --python-version 3.11 requirements/pip.in -o requirements/pip.txt
	@$(UV) --universal --python-version 3.11 requirements/ministack.in -o requirements/ministack.txt
	@$(UV) --python-version 3.13 requirements/sam.in -o requirements/sam.txt
	@$(UV) --python-version 3.13 -c requirements/ministack.txt requirements/deploy.in -o requirements/deploy.txt
	@$(UV) --python-version 3.13 --only-binary :all: requirements/checkov.in -o requirements/checkov.txt
	@$(UV) --python-version 3.13 -c requirements/dev.txt $(BASELINE)/requirements.in -o $(BASELINE)/requirements.txt
	@$(UV) --python-version 3.13 requirements/lambda.in -o requirements/lambda.txt
	@$(UV) --universal --python-version 3.11 requirements/audit.in -o requirements/audit.txt
	@$(UV) --universal --python-version 3.11 requirements/openapi.in -o requirements/openapi.txt
	@rm -rf $(LOCKING)
	@$(WHEEL) $(LOCKING) $(DISTRIBUTIONS)
	@for folder in $(DISTRIBUTIONS); do \
		$(NAME) $$folder/pyproject.toml | $(UV) --universal --python-version 3.11 -c requirements/dev.txt --find-links $(LOCKING) \
		$(shell $(NAME) distributions/*/pyproject.toml | sed 's/^/--no-emit-package /') - -o $$folder/requirements.txt || exit 1; done

clean: ## remove what the targets have made
	rm -rf dist requirements/*/node_modules .venv .venv-ministack .venv-sam .venv-lambda .venv-deploy .venv-audit .venv-checkov \
		.venv-openapi \
		.local .aws-sam .pytest_cache .mypy_cache .ruff_cache .hypothesis
