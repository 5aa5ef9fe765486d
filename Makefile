# Everything a newcomer needs: `make report` and `make test`. The virtual environment is made on first use: with what the
# report needs, or with everything.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help report test docs check lint site-check simulation release-check evidence fuzz benchmark benchmarks growth mutation clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

# where everything is installed already the report needs nothing more
report: $(or $(wildcard $(VENV)/ready),$(VENV)/ready-to-report)  ## recompute everything and write reports/latest/index.html
	$(BIN)/python -m replication.run

test: $(VENV)/ready  ## run the tests (five to seven minutes on two cores)
	$(BIN)/python -m pytest -n auto --dist loadfile

docs: $(VENV)/ready  ## build the documentation into site/ (no network)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

check: lint test  ## lint, types and tests together

lint: $(VENV)/ready  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

site-check: $(VENV)/ready  ## every page of reports/latest in the browser, and reviewed screenshots
	$(BIN)/python -m pytest -m site_check tests/site

simulation: $(VENV)/ready  ## long seeded simulations, before a release
	$(BIN)/python -m pytest -m simulation

release-check: $(VENV)/ready  ## build and install the package away from here, run a second topic with it
	$(BIN)/python -m pytest -m release

evidence: $(VENV)/ready  ## stored survey rows from the public files in FILES=folder; lists those that are not there
	$(BIN)/python -m tests.evidence "$(FILES)"

fuzz: $(VENV)/ready  ## 20,000 hostile inputs, and kills at every write event (about an hour)
	FUZZ=20000 KILL_STEP=1 $(BIN)/python -m pytest -q tests/hostile

benchmark: $(VENV)/ready  ## speed beside other packages, in one run
	for topic in whole_run random_effects multilevel masem exact_bayes pymc; do $(BIN)/python -m benchmarks.$$topic; done

benchmarks: $(VENV)/ready  ## the page docs/benchmarks.md anew: ours beside R's packages, interleaved, with what they warn of
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.library --write

growth: $(VENV)/ready  ## check, run, site and memory with ten times the works (some five minutes)
	$(BIN)/python -m benchmarks.growth

mutation: $(VENV)/ready  ## plant faults and see which the tests catch (about an hour)
	for room in claims selection effects two_level findings; do $(BIN)/python -m benchmarks.mutation $$room; done

$(VENV)/ready-to-report: requirements-report.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-report.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

clean:  ## remove the virtual environment and all caches
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
