# For a fresh clone: `make demo` (compiles nothing), `make test` (compiles the extra `cluster` once), `make docs`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -q -c constraints.txt

.PHONY: demo test lint docs dist clean

demo: $(VENV)/demo.ready
	$(BIN)/vig-pyg demo

# One thread per process and a process per core: small models gain nothing from threads.
test: $(VENV)/test.ready lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

lint: $(VENV)/test.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site in docs/_build/html. Every warning is an error, a link within the site that leads nowhere among them.
docs: $(VENV)/docs.ready
	$(BIN)/python -m docs.figures
	$(BIN)/python -m sphinx -W --keep-going -n -q -b html docs docs/_build/html

$(VENV)/base.ready: constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip wheel "setuptools>=77,<82"
	$(PIP) torch torchvision
	touch $@

$(VENV)/demo.ready: $(VENV)/base.ready pyproject.toml
	$(PIP) -e ".[train]"
	touch $@

$(VENV)/docs.ready: $(VENV)/base.ready pyproject.toml
	$(PIP) -e ".[docs]"
	touch $@

# Both packages come as source and find torch in this environment; the two builds share the cores side by side.
$(VENV)/cluster.ready: $(VENV)/base.ready
	$(PIP) --no-build-isolation --no-deps torch_cluster & cluster=$$!; \
	mkdir -p $(VENV)/scatter && $(BIN)/python -m pip wheel -q -c constraints.txt --no-build-isolation --no-deps \
	    -w $(VENV)/scatter torch_scatter; scatter=$$?; \
	wait $$cluster && test $$scatter -eq 0 && $(PIP) --no-deps $(VENV)/scatter/*.whl
	touch $@

$(VENV)/test.ready: $(VENV)/base.ready $(VENV)/cluster.ready pyproject.toml
	$(PIP) -e ".[dev,cluster]"
	touch $@

# Wheel and sdist, checked, and the wheel tried outside of this folder where there is no compiler and no torch_cluster.
dist:
	rm -rf build dist
	$(PYTHON) -m venv build/tools && build/tools/bin/python -m pip install -q build twine
	build/tools/bin/python -m build
	build/tools/bin/python -m twine check --strict dist/*
	$(PYTHON) -m venv build/empty
	build/empty/bin/python -m pip install -q --only-binary :all: -c constraints.txt "$$(ls dist/*.whl)[train]"
	cd $$(mktemp -d) && env -i HOME="$$HOME" PATH=$(CURDIR)/build/empty/bin vig-pyg demo --epochs 1

clean:
	rm -rf $(VENV) build dist *.egg-info docs/_build docs/generated
