# Two commands are enough: `make demo` and `make test`. Both set up their own .venv with pinned versions.
PYTHON ?= python3
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
SOURCES = pyproject.toml constraints.txt
# A core takes one file of tests after another, by name: by number of tests the slowest, which has one, would come last
PARALLEL = --numprocesses=auto --dist=loadfile --no-loadscope-reorder
PEERS = $(patsubst %,.venv-peers/%/.ready,git-history dlt aiohttp)

.PHONY: help demo test lint test-oldest-duckdb test-ducklake test-pywb docs bench bench-national soak clean
.DELETE_ON_ERROR:

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-20s %s\n", $$1, $$2 }'

demo: .venv/.runtime ## play a simulated count night of Jakarta into data/demo and show its results
	@.venv/bin/realcount demo

test: .venv/.test ## run all tests
	.venv/bin/python -m pytest $(PARALLEL)

lint: .venv/.lint ## check style, types and the import contract
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo

test-oldest-duckdb: .venv-oldest/.test ## run the tests that meet the database on DuckDB 1.5.5, the oldest supported
	.venv-oldest/bin/python -m pytest $(PARALLEL) tests/test_load_*.py tests/test_warehouse_*.py tests/test_real_*.py tests/test_flows_plan.py

test-ducklake: .venv-lake/.test ## run the tests of the warehouse on DuckLake: DuckDB 1.5.5 and its extensions, PostgreSQL, an S3 stand-in
	.venv-lake/bin/python -m pytest $(PARALLEL) tests/test_lake_*.py tests/test_many_machines.py

test-pywb: .venv/.test .venv-pywb/.ready ## play an export back with pywb, which needs an environment of its own
	.venv/bin/python -m pytest tests/test_extract_warc.py -k pywb

docs: .venv/.test ## write the generated parts of README and docs anew
	.venv/bin/python tests/documents.py

bench: .venv/.bench $(PEERS) ## measure, also against other tools (15 minutes); needs the captured data beside the checkout
	.venv/bin/python tests/bench/bench.py
	.venv/bin/python tests/bench/large.py
	.venv/bin/python tests/bench/compare.py

bench-national: .venv/.bench ## crawl simulated nights of the country, of two provinces and of one to its stations (some hours)
	rm -f national.jsonl
	.venv/bin/python tests/bench/national.py --into national.jsonl --provinces 31
	.venv/bin/python tests/bench/national.py --into national.jsonl --provinces 32
	.venv/bin/python tests/bench/national.py --into national.jsonl --provinces 32 --depth tps
	.venv/bin/python tests/bench/national.py --into national.jsonl
	.venv/bin/python tests/bench/growth.py national.jsonl

soak: .venv/.test ## play 48 hours of a count in 7 minutes, watch memory and handles; then spoil half a million bodies
	.venv/bin/python tests/soak/soak.py
	REALCOUNT_FUZZ=20 .venv/bin/python -m pytest tests/test_endurance_input.py -k 'not megabytes'

clean: ## remove what the other targets made, and no data
	rm -rf .venv .venv-oldest .venv-lake .venv-peers .venv-pywb .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/.runtime: $(SOURCES)
	@echo 'Setting up .venv with pinned versions (once)...' >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "realcount needs Python 3.11 or newer")'
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@$(PIP) hatchling editables
	@$(PIP) --no-build-isolation --editable .
	@touch $@

.venv/.test: .venv/.runtime
	@$(PIP) --no-build-isolation --editable '.[test]'
	@touch $@

.venv/.lint: .venv/.runtime
	@$(PIP) --no-build-isolation --editable '.[lint]'
	@touch $@

.venv/.bench: .venv/.runtime
	@$(PIP) --no-build-isolation --editable '.[bench,test]'
	@touch $@

.venv-peers/%/.ready: tests/bench/peers/constraints-%.txt
	@test -x .venv-peers/$*/bin/python || $(PYTHON) -m venv .venv-peers/$*
	@.venv-peers/$*/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

.venv-pywb/.ready: Makefile
	@test -x .venv-pywb/bin/python || $(PYTHON) -m venv .venv-pywb
	@.venv-pywb/bin/python -m pip install --quiet --disable-pip-version-check pywb==2.10.0 # its pins fit no other tool's
	@touch $@

.venv-oldest/.test: $(SOURCES)
	@test -x .venv-oldest/bin/python || $(PYTHON) -m venv .venv-oldest
	@sed 's/^duckdb==.*/duckdb==1.5.5/' constraints.txt > .venv-oldest/constraints.txt
	@.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint .venv-oldest/constraints.txt hatchling editables
	@.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint .venv-oldest/constraints.txt --no-build-isolation --editable '.[test]'
	@touch $@

.venv-lake/.test: $(SOURCES)
	@test -x .venv-lake/bin/python || $(PYTHON) -m venv .venv-lake
	@sed 's/^duckdb==.*/duckdb==1.5.5/' constraints.txt > .venv-lake/constraints.txt # the newest that has wheels of extensions
	@.venv-lake/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint .venv-lake/constraints.txt hatchling editables
	@.venv-lake/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint .venv-lake/constraints.txt --no-build-isolation --editable '.[lake,test]'
	@touch $@
