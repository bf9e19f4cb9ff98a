# Everything runs in a virtual environment of its own, .venv, made on first use.
PYTHON ?= python3
BIN := .venv/bin
NOTEBOOKS := $(sort $(wildcard chapters/*.ipynb))

export PYTHONDONTWRITEBYTECODE := 1
# One thread each: numbers then do not depend on how work is split between threads.
test execute measure: export OMP_NUM_THREADS = 1
# Progress bars are for readers who watch, not for stored outputs.
test execute: export TQDM_DISABLE = 1

.PHONY: book test execute measure lab clean help

help:
	@echo "make book     build the pages from the stored outputs"
	@echo "make test     check everything: code, notebooks, pages in a browser"
	@echo "make execute  re-run notebooks and store their outputs (NOTEBOOKS=... for some)"
	@echo "make measure  repeat the long measurements in measurements/"
	@echo "make lab      edit the notebooks in JupyterLab"
	@echo "make clean    remove what was built"

$(BIN)/.installed: requirements.txt constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.txt -c constraints.txt
	@touch $@

book: $(BIN)/.installed
	$(BIN)/jupyter-book build -W -n --keep-going .
	@echo "Open $(CURDIR)/_build/html/index.html"

test: $(BIN)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tests/install_browser.py
	$(BIN)/jupyter-book build -W -n --keep-going --all .
	$(BIN)/python -m pytest -n 2 --dist loadscope --nbval --nbval-current-env tests code $(NOTEBOOKS)

execute: $(BIN)/.installed
	$(BIN)/jupyter nbconvert --to notebook --inplace --execute \
	  --ExecutePreprocessor.record_timing=False $(NOTEBOOKS)

measure: $(BIN)/.installed
	$(BIN)/python measurements/lenet_rates.py
	$(BIN)/python measurements/cover.py

lab: $(BIN)/.installed
	$(BIN)/python -m pip install --quiet jupyterlab
	$(BIN)/jupyter lab

clean:
	rm -rf _build
