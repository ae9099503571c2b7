# Three targets are worth knowing: `make demo`, `make test`, `make check`. Each sets up what it needs.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
CORPUS ?= ../shared/corpora
BIN := .venv/bin
# two at a time: most tests start processes of their own and wait for them; a file's stay together, for what they share
SUITE := -n 2 --dist loadfile

.PHONY: help demo demo-cluster test check conformance bench-reading format clean bench-detection notebooks

help:
	@echo "make demo    the closed loop on this machine, in under a minute (no MTA needed)"
	@echo "make demo-cluster   three gateways and two controllers, one of each killed before your eyes"
	@echo "make test    all tests, on a private Postfix and Sendmail that the suite starts itself"
	@echo "make check   format, lint, types, then the tests"
	@echo "make format  let ruff mend what it can"

demo: .venv/demo
	@$(BIN)/mailbrake demo

demo-cluster: .venv/cluster
	@$(BIN)/mailbrake demo --cluster

test: .venv/dev
	@$(BIN)/python -m pytest $(SUITE)

check: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	@$(BIN)/python -m pytest $(SUITE)

conformance: .venv/dev
	@$(BIN)/python -m tests.reading.conformance $(CORPUS)

bench-reading: .venv/dev
	@sh deploy/packages pflogsumm mtail fail2ban sma logwatch
	@$(BIN)/python -m benchmarks.reading
	@$(BIN)/python -m benchmarks.reading --mta sendmail

bench-detection: .venv/dev
	@$(BIN)/python -m benchmarks.detection --seeds 43,44 --attacks 2 --accounts 300 --simple --conditions --write docs/detection.md

# their outputs are committed; to be run again when policy or samples change
notebooks: .venv/dev
	@$(BIN)/python -m tests.notebooks.run

format: .venv/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .cache build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# pymilter is compiled on this machine; the tests run a real Postfix besides
.venv/demo: pyproject.toml
	@sh deploy/packages python3-venv python3-dev gcc libc6-dev libmilter-dev
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing Python packages into .venv ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[demo]'
	@touch $@

.venv/cluster: pyproject.toml .venv/demo
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[demo,cluster]'
	@touch $@

.venv/dev: pyproject.toml Makefile .venv/demo
	@sh deploy/packages postfix postfix-lmdb postfix-cdb chromium iproute2
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	@$(BIN)/python -m tests.mta.unpack
	@touch $@
