# Everything that is done with this repository. Works with GNU make 3.81 and newer.

VENV := .venv
BIN := $(VENV)/bin
UV := uv==0.13.9

# The newest that works, unless PYTHON=... names one. Some are there by name only (version
# managers), so each is tried; Debian has ensurepip in a package of its own.
PYTHONS := $(or $(PYTHON),python3.13 python3.12 python3.11 python3)
IS_USABLE := import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-input \
	--no-compile

# The demo and the tests follow a real cluster only when that is asked for by name.
unexport KUBECONFIG

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv run recording test lint type format e2e drills bench bench-everyday \
	bench-real lock clean programs
MAKEFLAGS += --no-print-directory

help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

venv: $(VENV)/.dev  ## set up .venv with all that development needs

# Standard output is for the records of `make run`: whatever is said before goes to stderr.
$(VENV)/.created:
	@python=; \
	for name in $(PYTHONS); do \
	    if "$$name" -c '$(IS_USABLE)' 2>/dev/null; then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "No Python 3.11 or newer with venv among: $(PYTHONS)." >&2; \
	    echo "Install one (Debian, Ubuntu: also python3-venv), or name it: make PYTHON=..." >&2; \
	    exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$("$$python" --version) ..." >&2; \
	"$$python" -m venv $(VENV) >&2
	@touch $@

$(VENV)/.run: $(VENV)/.created requirements/runtime.txt requirements/build.txt pyproject.toml
	@echo "Installing eventrouter and what it needs (requirements/runtime.txt) ..." >&2
	@$(PIP_INSTALL) --require-hashes -r requirements/runtime.txt -r requirements/build.txt >&2
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable . >&2
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@echo "Installing the tools for tests and checks (requirements/dev.txt) ..." >&2
	@$(PIP_INSTALL) --require-hashes -r requirements/dev.txt >&2
	@touch $@

# A KUBECONFIG that is only in the environment doesn't count: nobody should find a real cluster's
# events in a demo by accident.
ifeq ($(origin KUBECONFIG),command line)
run: export DEMO_KUBECONFIG := $(KUBECONFIG)
endif
run: export DEMO_ELASTICSEARCH := $(ELASTICSEARCH)
run: export DEMO_FORMAT := $(FORMAT)

# On a terminal, Ctrl-C goes to every process of the foreground group: make too, which then ends
# with an error although the demo stopped cleanly. So the demo gets a foreground group of its own.
define FOREGROUND
import os, signal, sys

command = sys.argv[1:]
try:
    terminal = os.open("/dev/tty", os.O_RDWR)
    is_foreground = os.tcgetpgrp(terminal) == os.getpgrp()
except OSError:
    is_foreground = False
if not is_foreground:
    os.execv(command[0], command)

signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # else taking the foreground back would stop us
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # Ctrl-Z would stop it, and make would wait
    os.execv(command[0], command)
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: os.kill(child, number))
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
os.tcsetpgrp(terminal, os.getpgrp())
sys.exit(code if code >= 0 else 128 - code)
endef
export FOREGROUND

run: $(VENV)/.run  ## play a small cluster; KUBECONFIG=..., ELASTICSEARCH=URL, FORMAT=json
	@set -- $(BIN)/eventrouter demo; \
	if [ -n "$$DEMO_KUBECONFIG" ]; then \
	    case "$$DEMO_KUBECONFIG" in "~/"*) DEMO_KUBECONFIG="$$HOME/$${DEMO_KUBECONFIG#"~/"}";; esac; \
	    set -- "$$@" --kubeconfig "$$DEMO_KUBECONFIG"; \
	fi; \
	if [ -n "$$DEMO_ELASTICSEARCH" ]; then \
	    set -- "$$@" --elasticsearch "$$DEMO_ELASTICSEARCH"; \
	fi; \
	if [ -n "$$DEMO_FORMAT" ]; then \
	    set -- "$$@" --format "$$DEMO_FORMAT"; \
	fi; \
	exec $(BIN)/python -c "$$FOREGROUND" "$$@" $(ARGS)

recording: $(VENV)/.dev  ## record `make run` anew, as the picture in the README
	@$(BIN)/python -m docs.pictures.record

test: $(VENV)/.dev  ## set up and run the fast suite; ARGS="-k sender" and the like
	@$(BIN)/python -m pytest -m "not e2e" $(TWO) $(ARGS)

lint: $(VENV)/.dev  ## ruff, yamllint, codespell
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/yamllint --strict -d '$(YAMLLINT)' .
	@$(BIN)/codespell

type: $(VENV)/.dev  ## mypy
	@$(BIN)/mypy

format: $(VENV)/.dev  ## let ruff repair and format what it can
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

programs: $(VENV)/.dev  ## build the real programs that the tests of the chart and `make e2e` use
	@$(BIN)/python -m tests.programs e2e chart

e2e: $(VENV)/.dev  ## the end-to-end suite, on real programs; builds those that it can
	@failed=0; \
	$(MAKE) programs || failed=1; \
	$(BIN)/python -m pytest -m e2e tests/e2e tests/chart $(TWO) $(ARGS) || failed=1; \
	$(RUN_DRILLS) $(ARGS) || failed=1; \
	exit $$failed

drills: $(VENV)/.dev  ## faults of every kind, and a table of what they cost; DRILLS=long for hours
	@$(BIN)/python -m tests.programs
	@$(RUN_DRILLS) $(ARGS)

bench: $(VENV)/.dev  ## what it costs, some minutes on a quiet machine; ARGS="--only stream"
	@$(BIN)/python -m tests.bench $(ARGS)

# A peer that can't be built is left out.
bench-everyday: $(VENV)/.dev  ## an ordinary day beside two peers, 6 minutes; LONG=1 for 80
	@$(BIN)/python -m tests.programs bench >&2 || true
	@$(BIN)/python -m tests.bench.everyday $(if $(LONG),--long) $(ARGS)

bench-real: $(VENV)/.dev  ## the same with real servers, from etcd to Elasticsearch; builds them
	@$(BIN)/python -m tests.programs
	@$(BIN)/python -m tests.bench.real
	@$(BIN)/python -m tests.bench.searchable

lock: $(VENV)/.created  ## pin the newest versions that pyproject.toml allows in requirements/
	@$(BIN)/python -m venv .venv-lock
	@.venv-lock/bin/python -m pip --disable-pip-version-check --quiet install '$(UV)'
	@$(LOCK) pyproject.toml --output-file requirements/runtime.txt
	@$(LOCK) pyproject.toml --group dev -c requirements/runtime.txt -o requirements/dev.txt
	@$(LOCK) --group build -c requirements/dev.txt -o requirements/build.txt

clean:  ## remove .venv, caches and builds
	rm -rf .venv .venv-lock .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

# For every Python from 3.11 on and every platform.
LOCK = .venv-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-annotate --custom-compile-command "make lock"

# Two tests at a time, each with programs of its own: most of a test is waiting. ARGS="-n 0": one.
TWO = -n 2 --dist loadfile --no-loadscope-reorder
RUN_DRILLS = $(BIN)/python -m pytest -m e2e tests/drills $(TWO)

# `on` and `off` are what Fluent Bit's documentation uses. A chart's templates are not yet YAML.
YAMLLINT := {extends: default, ignore: [.venv/, .venv-lock/, "charts/*/templates/"], rules: { \
	comments: {min-spaces-from-content: 1}, document-start: disable, line-length: {max: 100}, \
	truthy: {allowed-values: ["on", "off", "true", "false"], check-keys: false}}}
