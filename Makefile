# Both targets set everything up by themselves in .venv, with Python 3.10 to 3.13 and nothing else.
#   make demo    segment drawn scenes by words; prints where the images are
#   make test    lint and the whole test suite

BIN := .venv/bin

.PHONY: demo test lint wheel clean

demo: .venv/ready
	$(BIN)/ovseg demo -o demo

test: lint
	$(BIN)/python -m pytest

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

wheel: .venv/ready
	$(BIN)/uv build --wheel --python $(BIN)/python --out-dir dist

clean:
	rm -rf .venv build dist demo

.venv/ready: setup.cfg tools/setup_venv.sh tools/constraints.txt tools/overrides.txt
	sh tools/setup_venv.sh
	touch $@
