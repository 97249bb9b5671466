# DropViz: `make run` serves the dashboard, `make test` passes the tests. Both set up what they need first.
#
# PYTHON chooses the interpreter that .venv is made with:        make run PYTHON=python3.12
# ARGS go to the command behind a target:                        make run ARGS="--port 8600"

PYTHON ?= python3
ARGS ?=
IMAGE ?= dropviz
WORKERS ?= 2

bin := .venv/bin
# One thread a process: the tests share the cores by running side by side.
pytest := OMP_NUM_THREADS=1 $(bin)/python -m pytest -rfEs

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test test-slow faults lint types format bench soak audit fuzz carried replicated screenshots image image-test clean

help: ## List these targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: setup ## Serve the dashboard on http://localhost:8501.
	@exec $(bin)/dropviz serve $(ARGS)

setup: ## Make .venv with the dropviz command in it; instant when nothing changed.
	@bash setup/environment run "$(PYTHON)"

setup-dev: ## The same with what the tests and linters need.
	@bash setup/environment test "$(PYTHON)"

test: setup-dev ## Run the tests; those that need Chromium or PostgreSQL where there is one.
	@bash setup/programs
	$(pytest) -n $(WORKERS) --dist loadfile $(ARGS)

faults: setup-dev ## Do at least 200 random faults to mixed runs and each fault by itself; pages must be true within 15 s.
	$(bin)/python -m tests.faults.random $(ARGS)
	$(bin)/python -m tests.faults.random --postgresql $(ARGS)
	$(bin)/python -m tests.faults.random --postgresql --cluster $(ARGS)
	FAULTS_WITHIN=15 $(pytest) -m "slow or not slow" tests/faults

test-slow: setup-dev ## Run the tests that take too long for every change.
	$(pytest) -m slow $(ARGS)

lint: setup-dev ## Check style and layers.
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/lint-imports --no-logo
	$(bin)/shellcheck --severity=warning $$(grep -l "^#!/usr/bin/env bash" setup/* .ci/* tests/image/database/*)
	$(bin)/hadolint Dockerfile tests/image/database/Dockerfile

types: setup-dev ## Check the types.
	$(bin)/mypy

format: setup-dev ## Put the code into the form that `make lint` asks for.
	$(bin)/ruff check --fix
	$(bin)/ruff format

bench: setup-dev ## Measure speed against the bare PyTorch loop, and the server's load.
	$(bin)/python -m benchmarks $(ARGS)

audit: ## Look up the pinned versions among known vulnerabilities.
	@bash setup/audit

fuzz: setup-dev ## Feed every reader with 12,000 inputs, real ones damaged among them (a few minutes).
	$(bin)/python -W ignore -m tests.fuzz $(ARGS)

soak: setup-dev ## Half an hour of a class's load on a real server: whether anything grows. ARGS="--soak 5" is shorter.
	$(bin)/python -m benchmarks.load $(ARGS)

carried: setup-dev ## Compute the results that the first screen shows (dropviz/results/) anew.
	$(bin)/python -m dropviz.commands.carried $(ARGS)

replicated: setup-dev ## Record the paper's claims (dropviz/replication/recorded.json) anew; what ran before is kept.
	@folder=$$(mktemp -d) && $(bin)/dropviz replicate --out $$folder && cp $$folder/results.json dropviz/replication/recorded.json

screenshots: setup-dev ## Take the pictures of the Lab (docs/images/).
	@bash setup/programs chromium
	$(bin)/python -m tests.browser.screenshots $(ARGS)

image: ## Build the container image; DEVICE=cpu or cuda, and pip's settings (PIP_INDEX_URL, …), pass through.
	docker build --build-arg DEVICE --build-arg PIP_INDEX_URL --build-arg PIP_EXTRA_INDEX_URL \
		--build-arg PIP_FIND_LINKS --build-arg PIP_CERT \
		--build-arg VERSION="$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)" --build-arg REVISION="$$(git rev-parse HEAD)" \
		--tag $(IMAGE) $(ARGS) .

image-test: setup-dev ## Build the image without Docker, run it by Docker's engine, look at it (as root; minutes, 5 GB).
	$(bin)/python -m tests.image $(ARGS)

clean: ## Remove .venv, caches and build leftovers; never a run's data.
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
