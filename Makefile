# What a contributor types. On Windows, type the commands themselves, or use a shell that has make.
.PHONY: setup test lint format types check bench-smoke build

PYTHON ?= python

setup:  ## an editable copy with the tools
	$(PYTHON) -m pip install -e '.[dev]'

test:  ## all tests, offline, about five minutes
	$(PYTHON) -m pytest

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

format:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

types:
	$(PYTHON) -m mypy

check: lint types test  ## what must be green before a change goes in

bench-smoke:  ## the benchmarks that need no download, on their smallest input
	$(PYTHON) tests/bench/bench_convert.py --variant lite --skip-network
	$(PYTHON) tests/bench/bench_folder.py tests/data/photos --variant lite --count 1 --megapixels 1
	$(PYTHON) tests/bench/bench_edges.py tests/data/photos --count 4
	$(PYTHON) tests/bench/bench_train.py --size 64 --batch-size 1 --rounds 1

build:  ## a wheel in dist/
	$(PYTHON) -m pip wheel --no-deps --wheel-dir dist .
