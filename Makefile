# Needs Python 3.11-3.13, git and make; everything else is installed into $(VENV).
#   make PYTHON=python3.12 test     with another Python (the environment is made anew when its version changes)
#   make WORKERS=8 test             with more test processes
#   make CONSTRAINTS= demo          with the newest packages instead of those that constraints.txt names
#   make pets PICTURES=FOLDER       the sample of cats and dogs on real photographs: a folder or an archive
#   make bench                      nbci against its peers; ONLY=plan one benchmark, QUICK=1 a quick look
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
CONSTRAINTS ?= constraints.txt

MAKEFLAGS += --no-print-directory
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
PINNED := $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))
PINNED_BUILD := $(if $(CONSTRAINTS),--build-constraint $(CONSTRAINTS))

PYTHON_VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')
OTHER_PYTHONS := $(filter-out $(basename $(PYTHON_VERSION)),3.11 3.12 3.13)
SUPPORTED := $(filter 3.11.% 3.12.% 3.13.%,$(PYTHON_VERSION))
MADE := $(VENV)/.made-by-$(PYTHON_VERSION)
DEMO := $(VENV)/.installed-for-demo
TEST := $(VENV)/.installed-for-test
# apart from $(VENV): nbci takes a uv that is beside its interpreter, and is tested without one
UV := $(VENV)-uv/bin/uv

.PHONY: release quick install environment demo pets test coverage test-newest smoke check library plugin soak bench loop compiled lock upgrade clean
.NOTPARALLEL:

install: $(DEMO) compiled

# What the tests need: to bring it is mostly waiting, so CI does other work meanwhile.
environment: $(TEST)

demo: install
	$(BIN)/nbci run pipelines/digits.yaml

# Some minutes; docs/samples.md says where there are photographs. They are copied: what a step reads lies in the project.
pets: install
	@test -n "$(PICTURES)" || { echo "say where the photographs are: make pets PICTURES=FOLDER-OR-ARCHIVE"; exit 1; }
	$(PIP) install $(PINNED) --editable '.[samples,pets]'
	mkdir -p build
	# cp -r would put a second folder inside of the first copy; and pictures of an earlier set are not to stay.
	rm -rf build/pets-pictures.new && cp -r "$(PICTURES)" build/pets-pictures.new
	rm -rf build/pets-pictures && mv build/pets-pictures.new build/pets-pictures
	$(BIN)/nbci run pipelines/pets.yaml -p source=build/pets-pictures

# The closing line of the output is pytest's own, so the others go first. Each keeps one processor busy; two of Maven
# would bring the same files at once.
# pytest-xdist would begin with the modules of most tests; tests/conftest.py puts those that take long first.
BY_MODULE := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
test: $(TEST) compiled
	.ci/at-once "make check" "make library plugin"
	$(BIN)/python -m pytest $(BY_MODULE)

# Tests that call nbci in their own process take twice as long with coverage: a release asks for it.
coverage: $(TEST) compiled
	$(BIN)/python -m pytest $(BY_MODULE) --cov --cov-report=term

# For a developer's loop: the tests but the slow ones.
quick: $(TEST) compiled
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile -m "not slow and not soak"

# Says early what a new release of a package breaks.
test-newest:
	$(MAKE) CONSTRAINTS= VENV=.venv-newest test

# A part of the tests with the other Pythons that nbci supports, where uv finds or brings them.
smoke: $(UV)
	@for version in $(OTHER_PYTHONS); do .ci/smoke $(UV) $$version $(CONSTRAINTS) || exit 1; done

check: $(TEST)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# Runs $(1) where there is Java; else says that $(2) is left out, or fails where nothing may be.
define where_java
if command -v mvn > /dev/null && command -v javac > /dev/null; then \
	$(1); \
elif [ -n "$$NBCI_TESTS_LEAVE_NOTHING_OUT" ]; then \
	echo "$(2) needs a JDK 17 or later and Maven"; exit 1; \
else \
	echo "left out: $(2), which needs a JDK 17 or later and Maven"; \
fi
endef

# The shared library, run by the engine that Jenkins runs pipelines with; the samples with this very nbci.
library: $(DEMO)
	@$(call where_java,mvn --quiet --batch-mode --file jenkins-plugin-shim/pom.xml test \
		-Dnbci.command="$(abspath $(BIN))/nbci" && echo "the library's tests passed",the test of the library)

# The compiled plugin, tested and packed.
PLUGIN := jenkins-plugin-shim/plugin
plugin: $(DEMO)
	@$(call where_java,mvn --quiet --batch-mode --file $(PLUGIN)/pom.xml package \
		-Dnbci.version="$$($(BIN)/python -c 'import nbci; print(nbci.__version__)')" \
		&& mv $(PLUGIN)/hpi/target/nbci.war $(PLUGIN)/hpi/target/nbci.hpi \
		&& echo "the plugin's tests passed; it is $(PLUGIN)/hpi/target/nbci.hpi",the plugin)

# Makes version, CHANGELOG section, wheel and tags, after all tests: make release VERSION=0.2.0
release: $(TEST)
	$(BIN)/python .ci/release check $(VERSION)
	$(MAKE) check library plugin coverage
	$(BIN)/python .ci/release make $(VERSION)

soak: $(TEST) compiled
	$(BIN)/python -m pytest -n $(WORKERS) -m soak --hypothesis-profile=soak

bench: $(DEMO) compiled
	$(BIN)/python -m benchmarks $(ONLY) $(if $(QUICK),--quick) $(if $(MARKDOWN),--markdown $(MARKDOWN))

# From a release to its successor without a hand: a server, requests that change, a monitor, a retraining.
loop: $(TEST) compiled
	$(BIN)/python notebooks/cellar/loop.py

# nbci is installed editable, so pip compiles none of it, and where PYTHONDONTWRITEBYTECODE is set nothing else would; pip
# then compiles no package either, and every kernel would compile IPython anew. Templates that are no Python are passed by.
compiled: $(DEMO)
	@$(BIN)/python -m compileall -q -j 0 nbci
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib > /dev/null || true

# constraints.txt names one version of every package, for each Python and system. `lock` adds what pyproject.toml asks for
# since, and leaves the other versions as they are; `upgrade` takes the newest of all.
COMPILE_LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --no-annotate \
	--custom-compile-command 'make lock' --all-extras --group build --group lock --group test --group check \
	--output-file constraints.txt pyproject.toml

lock: $(UV)
	$(COMPILE_LOCK)

upgrade: $(UV)
	$(COMPILE_LOCK) --upgrade

$(UV): pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)-uv
	$(VENV)-uv/bin/python -m pip --quiet --disable-pip-version-check install $(PINNED) uv
	@touch $@

$(MADE):
ifeq ($(SUPPORTED),)
	$(error nbci needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is $(or $(PYTHON_VERSION),not there): try make PYTHON=python3.12)
endif
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --upgrade $(if $(CONSTRAINTS),"$$(grep '^pip==' $(CONSTRAINTS))",'pip>=25.3')
	@touch $@

$(DEMO): pyproject.toml $(CONSTRAINTS) $(MADE)
	$(PIP) install $(PINNED) $(PINNED_BUILD) --editable '.[samples]'
	@touch $@

$(TEST): pyproject.toml $(DEMO)
	$(PIP) install $(PINNED) --group test --group check
	$(BIN)/python -m bash_kernel.install --sys-prefix
	@touch $@

clean:
	rm -rf $(VENV) .venv-* jenkins-plugin-shim/target jenkins-plugin-shim/plugin/*/target .bench .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
