# Everything runs in a virtual environment of its own, .venv, made on first use.
PYTHON ?= python3
BIN := .venv/bin
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
endif
# All pages every time: after a failed build Sphinx would take the broken pages for done.
# No script in .venv/bin is called, as those break when the folder is moved.
BUILD = $(BIN)/python -c 'from jupyter_book.cli.main import main; main()' \
  build -W -n --keep-going --all .
# What else pip is told: the versions that the stored outputs were made with.
VERSIONS ?= -c constraints.txt
SCRIPTS := $(wildcard code/figures/*.js _static/*.js)
NOTEBOOKS := $(sort $(wildcard chapters/*.ipynb))
# An empty file for each notebook that was executed since it, or its code, changed.
EXECUTED := $(NOTEBOOKS:%=_build/executed/%)
CODE := $(wildcard code/*.* code/figures/*.* measurements/results/*)

# One thread each: numbers then do not depend on how work is split between threads.
test execute measure: export OMP_NUM_THREADS = 1
# Progress bars are for readers who watch, not for stored outputs.
test execute: export TQDM_DISABLE = 1
# Stored outputs are those of a processor. What macOS runners call a GPU is none, besides.
test execute: export TRY_GPU = 0

.PHONY: book serve epub pdf slides check colab hooks test execute new-chapter starters tidy measure
.PHONY: lab links lighthouse repository clean help

help:
	@echo "make book     build the pages from the stored outputs"
	@echo "make serve    show the built pages at http://127.0.0.1:8000"
	@echo "make pdf      print the book as one PDF, and the cheat sheet; makes the EPUB as well"
	@echo "make epub     make the EPUB"
	@echo "make slides   make slides for teaching, of figures, formulas, code and claims"
	@echo "make test     check everything: code, notebooks, pages in a browser"
	@echo "make check    the checks that take seconds; make hooks runs them before a commit"
	@echo "make hooks    install the git hook that does so"
	@echo "make execute  run what changed and store its outputs (NOTEBOOKS=... for some)"
	@echo "make new-chapter NAME=...   add a chapter that has the right shape"
	@echo "make starters  make the notebooks of exercises anew, from the chapters"
	@echo "make colab    install the versions that the simulation of Colab needs"
	@echo "make tidy     bring notebooks that another tool saved into the stored form"
	@echo "make measure  repeat the long measurements in measurements/"
	@echo "make lab      edit the notebooks in JupyterLab"
	@echo "make links    ask all addresses in the book whether they are there"
	@echo "make lighthouse   ask Lighthouse about the built pages; needs Node.js"
	@echo "make repository URL=... BRANCH=...   change the address of the repository"
	@echo "make clean    remove what was built"

# Debian and Ubuntu keep ensurepip, which venv needs, in a package of its own.
$(BIN)/.made:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is not Python 3.11 or newer. Name one that is:" \
	    "make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip' 2> /dev/null || { \
	  package=$$("$(PYTHON)" -c \
	    'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
	  echo "$(PYTHON) cannot make virtual environments: it lacks ensurepip," \
	    "which Debian and Ubuntu have in the package $$package." >&2; \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	    echo "Installing $$package" && apt-get -q update && \
	    apt-get -qy install --no-install-recommends "$$package"; \
	  else echo "Run: sudo apt-get install $$package" >&2; exit 1; fi; }
	"$(PYTHON)" -m venv .venv
	@touch $@

$(BIN)/.installed: requirements.txt constraints.txt | $(BIN)/.made
	@echo "Installing into .venv: 7 GB, a few minutes ..."
	$(BIN)/python -m pip install --quiet -r requirements.txt $(VERSIONS)
	@touch $@

book: $(BIN)/.installed
	$(BUILD)
	@echo "Open $(CURDIR)/_build/html/index.html"

epub: $(BIN)/.installed
	$(BIN)/python tools/install_browser.py
	$(BIN)/python tools/epub.py

slides: $(BIN)/.installed
	$(BIN)/python tools/slides.py

pdf: epub
	$(BIN)/python tools/pdf.py

serve: $(BIN)/.installed
	@$(BIN)/python tools/serve.py

# What takes seconds. The hook that make hooks installs runs it before each commit.
check: $(BIN)/.installed
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m codespell_lib
	$(BIN)/oxlint --deny-warnings $(SCRIPTS)
	$(BIN)/oxfmt --check $(SCRIPTS)
	$(BIN)/python -m pytest --quiet tests/test_notebooks.py

hooks: $(BIN)/.installed
	$(BIN)/python -m pre_commit install

colab: | $(BIN)/.made
	$(BIN)/python tests/install_colab.py

# At first, all is installed at once, what Colab has and what the book needs. Then without
# the old pages: those of chapters that were removed would stay.
test: | $(BIN)/.made
	+$(MAKE) --no-print-directory -j 2 check colab pdf
	$(BIN)/python tools/install_compiler.py
	rm -rf _build/html
	$(BUILD)
	$(BIN)/python -m pytest -n 3 --no-loadscope-reorder --nbval --nbval-current-env \
	  tests code $(NOTEBOOKS)

# One by one: a notebook that fails, or whose kernel dies, stays as it was, and the others
# are done. Make itself knows which are left, also after it was interrupted.
execute: $(EXECUTED)
	@for done in $(EXECUTED); do \
	  test -e $$done || left="$$left $${done#_build/executed/}"; done; \
	test -z "$$left" || { echo "Not executed, and left as they were:$$left." \
	  "When they can run, make execute goes on with them." >&2; exit 1; }
	@echo "All are executed. To run again what did not change: rm -r _build/executed"

_build/executed/%: % $(CODE) | $(BIN)/.installed
	@mkdir -p $(@D) && rm -f $@
	@$(BIN)/python -m nbconvert --to notebook --execute --output-dir _build \
	  --ExecutePreprocessor.record_timing=False $< && \
	$(BIN)/python tools/tidy.py _build/$(<F) && mv _build/$(<F) $< && touch $@ || true

new-chapter: $(BIN)/.installed
	@notebook=$$($(BIN)/python tools/new_chapter.py "$$NAME") && \
	$(MAKE) --no-print-directory execute starters NOTEBOOKS="$$notebook" && \
	echo "Now write $$notebook; _toc.yml and chapters/index.md name it."

starters: $(BIN)/.installed
	$(BIN)/python tools/starters.py

tidy: $(BIN)/.installed
	$(BIN)/python tools/tidy.py $(NOTEBOOKS)

measure: $(BIN)/.installed
	$(BIN)/python measurements/brightness.py
	$(BIN)/python measurements/throughput.py
	$(BIN)/python measurements/lenet_rates.py
	$(BIN)/python measurements/depth.py
	$(BIN)/python measurements/depth_rates.py
	$(BIN)/python measurements/batch_sizes.py
	$(BIN)/python measurements/placement.py
	$(BIN)/python measurements/claims_over_seeds.py

# JupyterLab itself is not pinned: the newest that fits what is.
lab: $(BIN)/.installed
	$(BIN)/python -m pip install --quiet jupyterlab -c constraints.txt
	$(BIN)/python -m jupyterlab

links: $(BIN)/.installed
	$(BUILD) --builder linkcheck

lighthouse: $(BIN)/.installed
	$(BIN)/python tools/install_browser.py
	$(BIN)/python tools/lighthouse.py

# Variables from the command line reach the shell as its own, whatever is in them. BRANCH
# may be left out: then it stays as it is.
repository: $(BIN)/.installed
	$(BIN)/python tools/repository.py "$$URL" "$$BRANCH"

clean:
	rm -rf _build
