# Two commands do everything: `make demo` and `make test`. Both build the environment in .venv first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check venv

demo: venv
	$(BIN)/fidprobe demo -o demo-out

test: venv
	$(BIN)/pytest -n auto --dist loadfile

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
