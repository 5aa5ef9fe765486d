# Everything a newcomer needs: `make report` and `make test`. The virtual environment is made on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: report test check lint simulation benchmark clean

report: $(VENV)/ready
	$(BIN)/python -m replication.run

test: $(VENV)/ready
	$(BIN)/python -m pytest -n auto --dist loadfile

check: lint test

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

simulation: $(VENV)/ready
	$(BIN)/python -m pytest -m simulation

benchmark: $(VENV)/ready
	for topic in whole_run random_effects multilevel masem exact_bayes pymc; do $(BIN)/python -m benchmarks.$$topic; done

$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
