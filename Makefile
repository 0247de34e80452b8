# All targets set everything up by themselves in .venv, with Python 3.10 to 3.14 and nothing else.
#   make demo    segment drawn scenes by words; prints where the images are
#   make test    lint and the whole test suite
#   make quick   the tests that take no more than a moment each, on all cores
#   make docs    the documentation with the API reference, in site/

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal

.PHONY: demo test quick lint docs wheel clean

demo: .venv/ready
	$(BIN)/ovseg demo -o demo

test: lint
	$(PYTEST)

quick: .venv/ready
	$(PYTEST) -m "not slow"

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

wheel: .venv/ready
	$(BIN)/uv build --wheel --python $(BIN)/python --out-dir dist

clean:
	rm -rf .venv build dist demo site

.venv/ready: setup.cfg tools/setup_venv.sh tools/constraints.txt tools/overrides.txt
	sh tools/setup_venv.sh
	touch $@

.venv/docs: .venv/ready
	sh tools/setup_venv.sh test,docs
	touch $@
