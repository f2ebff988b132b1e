# Everything runs in .venv, made from requirements.txt by the interpreter that PYTHON names.
SHELL := bash
# Linux, macOS and WSL name two things otherwise than Windows, where Git Bash runs this file.
WINDOWS := $(filter Windows_NT,$(OS))
PYTHON ?= $(if $(WINDOWS),python,python3)
PORT ?= 8000
COMMANDS := $(if $(WINDOWS),Scripts,bin)
BIN := .venv/$(COMMANDS)
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
LOCKED := .venv/locked-$(VERSION)
STAMP := .venv/ready-$(VERSION)
# The environment holds the path of the checkout, in the first line of each command; one that has moved is made anew.
ifneq ($(shell cat $(LOCKED) 2>/dev/null),$(CURDIR))
$(shell rm -f $(LOCKED))
endif
# The make of macOS, 3.81, does not know these flags, so no recipe depends on them.
.SHELLFLAGS := -euo pipefail -c
export PYTHONPATH =
export PYTHONUTF8 = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# What carries a date carries that of the commit, so that two builds of one commit are the same to the byte.
EPOCH := $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null))
DATED := $(if $(EPOCH),SOURCE_DATE_EPOCH=$(EPOCH))

# For what copies its process by fork, to run one notebook or test many times, and for hooks that name .venv/bin.
NOT_ON_WINDOWS = $(if $(WINDOWS),$(error make $@ does not work on Windows itself: run it in WSL))

# The tests run in as many workers; make WORKERS=0 in one process, for a debugger.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS)
FAST := -m "not slow"
NBVAL := --nbval --nbval-current-env -o filterwarnings= intro.ipynb chapters --ignore=chapters/experiments
# What a change of the library or of a sentence breaks first. Named by path: to collect all tests takes longer.
QUICK := $(addprefix tests/library/convolution/test_,geometry.py matrix.py functional.py patches.py projection.py errors.py)
# Random cases: make test draws the same few each time, make thorough many new ones.
RANDOM := $(addprefix tests/library/convolution/test_,random_geometries.py recognition.py)
RANDOM += $(addprefix tests/library/test_,any_arguments.py hostile_text.py)
# Of the fuzzer: changed graphs, and ten times as many changed files.
CASES ?= 100000

.PHONY: help book same serve quick test thorough library-test browser-test notebooks-test book-test robust fuzz mutants library-mutants coverage weigh lighthouse notebooks experiments count review lint bench hooks lab lock oldest newest audit links archive pdf prepare rehearsal ci oracles clean
.DEFAULT_GOAL := help

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-18s%s\n", $$1, $$2 }' Makefile

book: $(STAMP) ## build the book into _build/html and check its pages
	rm -rf _build/html # what an earlier build has left there is no part of this book
	$(DATED) $(BIN)/jupyter-book build . --all -W -n --keep-going
	$(BIN)/python tools/check_pages.py _build/html
	@echo "The book is ready: open file://$(CURDIR)/_build/html/index.html, or run make serve"

same: $(STAMP) ## build the book of this commit in two folders and compare them byte by byte, for some minutes
	$(BIN)/python tools/same_pages.py

serve: book ## serve the book on this machine, PORT=8000
	$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

quick: $(STAMP) ## in 20 seconds: style, notebooks in their normal form, the core of the library
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/python tools/notebooks.py --check
	$(PYTEST) $(FAST) $(QUICK)

test: library-test browser-test notebooks-test book-test ## in ten minutes: library, browser, notebooks output by output, book
	@echo "All tests passed."

ci: ## what CI runs on a bare checkout, here and in the workflow: lint, oracles, book, test
	$(MAKE) lint
	$(MAKE) oracles
	$(MAKE) book test # in one call, so that the book is built once

# Where there is no CPU build of PyTorch (the other takes gigabytes), the tests that need it say that they were skipped.
oracles: $(STAMP) ## install what some tests compare with, at the version of pyproject.toml: PyTorch's CPU build
	$(BIN)/pip install --quiet $$(grep -oE 'torch==[0-9.]+' pyproject.toml)+cpu || echo "no CPU build of PyTorch here: its tests are skipped"

thorough: book ## for hours, weekly in CI: what make test leaves out, many more random cases, robust, fuzz, mutants, coverage
	$(PYTEST) -m slow tests
	HYPOTHESIS_PROFILE=thorough $(PYTEST) $(RANDOM)
	$(MAKE) robust coverage
	$(MAKE) fuzz CASES=5000
	@echo "All thorough tests passed."

library-test: $(STAMP) ## the library's tests and doctests
	$(PYTEST) $(FAST) tests/library equivlib

browser-test: book ## the linked picture and the pages in Chromium; without a browser it says that it was skipped
	$(PYTEST) $(FAST) tests/browser

notebooks-test: $(STAMP) ## run every chapter and compare each output with the stored one
	$(PYTEST) --dist loadscope $(NBVAL)

book-test: book ## the book's structure, its pages, its planted claims, and what Binder installs
	$(NOT_ON_WINDOWS)$(PYTEST) $(FAST) tests/book

robust: $(STAMP) ## every notebook with other threads, BLAS kernels and seeds; make PYTHON=python3.12 robust for another Python
	$(NOT_ON_WINDOWS)$(BIN)/python tools/robust.py

fuzz: $(STAMP) ## for an hour, the reader of ONNX files with CASES=100000 changed graphs and ten times as many changed files; it goes on where it was stopped
	$(NOT_ON_WINDOWS)$(BIN)/python tools/fuzz.py structure --cases $(CASES)
	$(BIN)/python tools/fuzz.py bytes --cases $(CASES)0

mutants: $(STAMP) ## every small change of a guarding cell has to fail: the table of those that do not
	$(NOT_ON_WINDOWS)$(BIN)/python tools/mutants.py

library-mutants: $(STAMP) ## every small change of convolution/ has to fail one of its tests, for an hour or more; it goes on where it was stopped
	$(NOT_ON_WINDOWS)$(BIN)/python tools/library_mutants.py $(MODULES)

coverage: $(STAMP) ## how much of the library its tests run, line by line
	$(BIN)/coverage run --source equivlib -m pytest -q $(FAST) tests/library
	$(BIN)/coverage report --skip-covered --show-missing

weigh: book ## what each page weighs: bytes, requests, elements, in Chromium; fails beyond the limits
	$(BIN)/python tools/weigh.py --gate

lighthouse: book ## Lighthouse's scores of every page, the median of three; needs npm's lighthouse; weekly in CI
	$(BIN)/python tools/lighthouse.py

notebooks: $(STAMP) ## execute and normalise all notebooks, or CHAPTER=chapters/02_one_dimension.ipynb
	$(BIN)/python tools/notebooks.py --execute $(CHAPTER)

experiments: $(STAMP) ## the long runs of parts III and IV that are not in chapters/data yet; it goes on where it was stopped
	cd chapters && ../$(BIN)/python -m experiments $(NAME)

count: book ## of each page: words, minutes, open code, the way between pictures (measured in Chromium with BROWSER=1)
	$(BIN)/python tools/count.py $(if $(BROWSER),--browser)

review: ## the changes of the notebooks as text, SINCE=HEAD; make review SINCE=main for a branch
	git -c diff.notebook.textconv='$(PYTHON) tools/review.py' diff $(or $(SINCE),HEAD) -- '*.ipynb'

lint: $(STAMP) ## style, types, spelling, who imports whom, what editors leave behind
	$(BIN)/python tools/hygiene.py
	git ls-files | xargs $(BIN)/codespell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/scripts.py

bench: $(STAMP) ## speed and memory as ratios against peers and the memory floor
	$(BIN)/python -m benchmarks

hooks: $(STAMP) ## let git check each commit before it is made; the book need not be built
	$(NOT_ON_WINDOWS)$(BIN)/pre-commit install

lab: $(STAMP) ## open the chapters in JupyterLab, as Binder does
	$(BIN)/jupyter lab chapters

lock: $(STAMP) ## compile pyproject.toml into requirements.txt
	$(BIN)/uv pip compile --universal --generate-hashes --fork-strategy fewest --python-version 3.11 --upgrade -o requirements.txt requirements.in

# The library alone: the book is tied to the lock, because its outputs are compared to the letter.
oldest: $(STAMP) ## the library's tests with the oldest dependencies that pyproject.toml allows, in .venv-oldest
	$(PYTHON) -m venv --clear .venv-oldest
	$(BIN)/uv pip install --no-config --python .venv-oldest --resolution lowest-direct ".[symbolic,draw,onnx]"
	$(BIN)/uv pip install --no-config --python .venv-oldest --group test
	.venv-oldest/$(COMMANDS)/python -m pytest -q $(FAST) tests/library equivlib

audit: ## ask whether a weakness is known of any locked package
	$(PYTHON) tools/audit.py

links: $(STAMP) ## follow the links of the published book, or of PLACE=_build/html, and name those that lead nowhere
	@$(BIN)/python tools/links.py $(or $(PLACE),$$($(BIN)/python _extensions/head.py))

newest: ## all tests with the newest dependencies instead of the locked ones, in .venv-newest
	$(PYTHON) -m venv --clear .venv-newest
	.venv-newest/$(COMMANDS)/python -m pip install --upgrade pip # groups are read from 25.1 on
	.venv-newest/$(COMMANDS)/pip install ".[symbolic,draw,onnx]" --group book --group test
	.venv-newest/$(COMMANDS)/python -c 'import matplotlib.font_manager'
	.venv-newest/$(COMMANDS)/python -m pytest -q $(FAST) tests/library equivlib
	.venv-newest/$(COMMANDS)/python -m pytest -q $(NBVAL)
	.venv-newest/$(COMMANDS)/jupyter-book build . --path-output .venv-newest/book -W -n --keep-going

archive: book ## the pages as one file that works from a disk, _build/one-matrix.zip
	$(DATED) $(BIN)/python tools/packing.py

pdf: book ## the whole book as one PDF, _build/one-matrix.pdf, in three minutes; needs Chromium
	$(DATED) $(BIN)/python tools/pdf.py

prepare: ## give the next release its number everywhere, make prepare NEXT=0.2.0
	$(PYTHON) tools/release.py --prepare $(or $(NEXT),$(error make prepare needs the number, for example NEXT=0.2.0))

rehearsal: archive pdf ## wheel, source archive, book and checksums into dist/, tried out in empty environments: a release without its upload
	$(BIN)/python tools/release.py

clean: ## remove what make has made
	rm -rf .venv .venv-newest .venv-oldest _build dist

# The package again whenever its metadata change, its version included; the locked packages only when the lock does.
$(STAMP): $(LOCKED) pyproject.toml equivlib/__init__.py
	$(BIN)/pip install --no-deps --no-build-isolation -e .
	@touch $@

$(LOCKED): requirements.txt
	@command -v $(firstword $(PYTHON)) >/dev/null || { echo "There is no $(PYTHON) here: install Python 3.11, 3.12 or 3.13, or name yours, as in make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "PYTHON=$(PYTHON) is Python %d.%d: use 3.11, 3.12 or 3.13, as in make PYTHON=python3.12" % v)'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --require-hashes -r requirements.txt
	$(BIN)/python -c 'import matplotlib.font_manager' # makes its font cache now, not inside a notebook
	@echo "$(CURDIR)" > $@
