# Everything runs in .venv, made from requirements.txt by the interpreter that PYTHON names.
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
LOCKED := .venv/locked-$(VERSION)
STAMP := .venv/ready-$(VERSION)
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export PYTHONPATH =
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help book serve test library-test browser-test notebooks-test book-test notebooks experiments lint bench lab lock newest dist clean
.DEFAULT_GOAL := help

help: ## what there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

book: $(STAMP) ## build the book into _build/html and check its pages
	$(BIN)/jupyter-book build . --all -W -n --keep-going
	$(BIN)/python tools/check_pages.py _build/html
	@echo "The book is ready: open file://$(CURDIR)/_build/html/index.html, or run make serve"

serve: book ## serve the book on this machine, PORT=8000
	$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

test: library-test browser-test notebooks-test book-test ## all tests: library, browser, notebooks output by output, book
	@echo "All tests passed."

library-test: $(STAMP) ## the library's tests and doctests
	$(BIN)/python -m pytest tests/library equivlib

browser-test: book ## the linked picture and the pages in Chromium; without a browser it says that it was skipped
	$(BIN)/python -m pytest tests/browser

notebooks-test: $(STAMP) ## run every chapter and compare each output with the stored one
	$(BIN)/python -m pytest --nbval --nbval-current-env -o filterwarnings= intro.ipynb chapters

book-test: book ## the book's structure, its pages, and what Binder installs
	$(BIN)/python -m pytest tests/book

notebooks: $(STAMP) ## execute and normalise all notebooks, or CHAPTER=chapters/02_one_dimension.ipynb
	$(BIN)/python tools/notebooks.py --execute $(CHAPTER)

experiments: $(STAMP) ## the long runs of part III that are not in chapters/data yet; it goes on where it was stopped
	cd chapters && ../$(BIN)/python -m experiments $(NAME)

lint: $(STAMP) ## style, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP) ## speed and memory as ratios against peers and the memory floor
	$(BIN)/python -m benchmarks

lab: $(STAMP) ## open the chapters in JupyterLab, as Binder does
	$(BIN)/jupyter lab chapters

lock: $(STAMP) ## compile pyproject.toml into requirements.txt
	$(BIN)/uv pip compile --universal --generate-hashes --fork-strategy fewest --python-version 3.11 --upgrade -o requirements.txt requirements.in

newest: ## all tests with the newest dependencies instead of the locked ones, in .venv-newest
	$(PYTHON) -m venv --clear .venv-newest
	.venv-newest/bin/pip install ".[book,test]"
	.venv-newest/bin/python -c 'import matplotlib.font_manager'
	.venv-newest/bin/python -m pytest tests/library equivlib
	.venv-newest/bin/python -m pytest --nbval --nbval-current-env -o filterwarnings= intro.ipynb chapters
	.venv-newest/bin/jupyter-book build . --path-output .venv-newest/book -W -n --keep-going

dist: $(STAMP) ## the wheel and the source archive, in dist/
	$(BIN)/python -m flit_core.wheel
	$(BIN)/python -c 'from flit_core.buildapi import build_sdist; print(build_sdist("dist"))'

clean: ## remove what make has made
	rm -rf .venv .venv-newest _build dist

# The package again whenever its metadata change; the locked packages only when the lock does.
$(STAMP): $(LOCKED) pyproject.toml
	$(BIN)/pip install --no-deps --no-build-isolation -e .
	@touch $@

$(LOCKED): requirements.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "PYTHON=$(PYTHON) is Python %d.%d: use 3.11, 3.12 or 3.13, as in make PYTHON=python3.12" % v)'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --require-hashes -r requirements.txt
	$(BIN)/python -c 'import matplotlib.font_manager' # makes its font cache now, not inside a notebook
	@touch $@
