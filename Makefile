# Two commands do everything: `make demo` and `make test`. Both build the environment in .venv first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-quick slow-tests check venv

demo: venv
	$(BIN)/fidprobe demo -o demo-out

test: venv
	$(BIN)/pytest -n auto --dist loadfile

# For the loop while writing: all but the tests that take longer than 0.15 seconds.
test-quick: venv
	$(BIN)/pytest -n auto --dist loadfile --quick

# Finds out anew which tests these are.
slow-tests: venv
	$(BIN)/pytest -n auto --dist loadfile -q --durations=0 --durations-min=0.15 \
		| sed -n 's/^[0-9.]*s [a-z]* *\(tests[^ []*\).*/\1/p' | sort -u > tests/slow.txt

check: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

venv: .venv/built

.venv/built: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev --editable .
	touch $@
