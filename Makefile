# Two commands do everything: `make demo` and `make test`. Both build the environment in .venv first.
PYTHON ?= python3
BIN := .venv/bin
NUMBERS := $(addprefix tests/, attacks generators metrics training test_statistics.py analysis/price analysis/verdict)

LOWEST := .venv-lowest/bin

.PHONY: demo test test-quick test-processor lowest test-lowest slow-tests check venv

demo: venv
	$(BIN)/fidprobe demo -o demo-out

test: venv
	$(BIN)/pytest -n auto --dist loadfile

# For the loop while writing: all but the tests that take longer than 0.15 seconds.
test-quick: venv
	$(BIN)/pytest -n auto --dist loadfile --quick

# The arithmetic of another processor: oneDNN and OpenBLAS without AVX-512, torch's own kernels without vectors.
test-processor: venv
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell \
		$(BIN)/pytest -n auto --dist loadfile $(NUMBERS)

# The oldest versions that pyproject.toml allows, in an environment of their own (6 GB): modules and the demo, all tests.
lowest: .venv-lowest/built
	$(LOWEST)/pytest tests/test_packaging.py::test_every_module_can_be_imported
	$(LOWEST)/fidprobe demo -o demo-out-lowest

test-lowest: .venv-lowest/built
	$(LOWEST)/pytest -n auto --dist loadfile

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

.venv-lowest/built: pyproject.toml .venv/built
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-lowest
	$(BIN)/uv pip compile --quiet --resolution lowest-direct --python $(BIN)/python --extra datasets --group dev \
		--output-file .venv-lowest/requirements.txt pyproject.toml
	$(BIN)/uv pip install --quiet --python $(LOWEST)/python -r .venv-lowest/requirements.txt
	$(BIN)/uv pip install --quiet --python $(LOWEST)/python --no-deps --editable .
	touch $@

.venv/built: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev --editable .
	touch $@
