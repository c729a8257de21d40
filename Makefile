# SPDX-License-Identifier: Apache-2.0
# What one can do here. `make help` lists it; every target sets up what it needs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
HYPERVISORS ?= 2
SEEDS ?= 0-199
FEATURES ?= full
EXPRESSIONS ?= 10000
PACKETS ?= 500
JOBS ?= 2
MUTANTS ?= 200
SEED ?= 1
SECONDS ?= 600
SOAK_SECONDS ?= 3600

VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
# Ansible wants a UTF-8 locale; C.UTF-8 needs no locale package.
export LC_ALL := C.UTF-8

# Stamps are named after the content that they stand for: nothing is done twice, nothing is forgotten.
PIP_STAMP := $(VENV)/pip-$(shell cat requirements*.txt | sha256sum | cut -c1-16)
PREREQS_STAMP := $(VENV)/prereqs-$(shell cat roles/prereqs/*/* playbooks/setup.yml | sha256sum | cut -c1-16)
MUTATION_STAMP := $(VENV)/mutation-$(shell sha256sum tests/mutation/requirements.txt | cut -c1-16)

OLDEST := ansible-core==2.16.19
OLDEST_STAMP := $(VENV)/oldest/$(OLDEST)

PYTHON_CODE := $(wildcard bpftools callback_plugins library module_utils roles share tests)

.PHONY: help setup oldest lab lab-down demo lint types unit expressions truth simulation schema mutation fuzz attacks \
	integration failures faults soak test-runbook molecule smoke test test-controller test-lab bench collection \
	collection-sanity kit kit-test

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 18

setup: $(PREREQS_STAMP)  ## make .venv and install the system packages (cheap when done)
	@:

oldest: $(OLDEST_STAMP)  ## make .venv/oldest, the oldest Ansible that is supported, for the tests that use it
	@:

lab: setup  ## start the namespace lab (HYPERVISORS=2 to 64)
	ansible-playbook playbooks/lab_up.yml -e lab_hypervisors=$(HYPERVISORS)

lab-down: setup  ## stop the namespace lab
	ansible-playbook playbooks/lab_down.yml

demo: setup  ## trace a packet drop on two hypervisors, from nothing to the verdict
	@found=$$(python roles/lab/files/lab.py status); status=0; \
	ansible-playbook playbooks/demo.yml || status=$$?; \
	case $$status in 10) status=0;; 0) echo "error: the demo lost no packet"; status=1;; esac; \
	[ "$$found" != "the lab is down" ] || ansible-playbook playbooks/lab_down.yml > $(VENV)/lab_down.log || \
		{ cat $(VENV)/lab_down.log; status=1; }; \
	if [ $$status = 0 ]; then echo; sed -n '/^WAYS$$/,$$p' captures/latest/verdict.txt; echo; \
		echo "The files are in captures/latest: $$(cd captures/latest && echo *)"; fi; \
	exit $$status

lint: setup  ## check style: ruff, yamllint, ansible-lint
	ruff check $(PYTHON_CODE)
	yamllint --strict .
	ansible-lint --offline

types: setup  ## check types: mypy
	mypy

unit: setup  ## run the unit tests
	pytest tests/unit

expressions: setup  ## hold filter expressions against libpcap (EXPRESSIONS=10000 PACKETS=500; JOBS=2)
	cd tests && PYTHONPATH=../bpftools python -m expressions --expressions $(EXPRESSIONS) --packets $(PACKETS) \
		--jobs $(JOBS)

truth: setup  ## hold what the merger says against situations, and random fleets, whose truth is known
	pytest tests/truth tests/simulation

simulation: setup  ## try random fleets (SEEDS=0-1999 FEATURES=full, plain or plain,+nat; JOBS=2)
	cd tests && python -m simulation --seeds $(SEEDS) --features $(FEATURES) --jobs $(JOBS)

schema: setup  ## write the schema of case files anew, from the roles' argument_specs.yml
	roles/case/files/schema.py > playbooks/cases/case.schema.json

mutation: setup $(MUTATION_STAMP)  ## change the merger's decisions, and see whether tests find it (MUTANTS=200 SEED=1)
	cd tests && nice -n 15 python -m mutation --mutants $(MUTANTS) --seed $(SEED)

fuzz: setup  ## make up manifests, records, archives, case files, arguments, expressions (SECONDS=600 of each; SEED=1)
	cd tests && PYTHONPATH=../bpftools nice -n 15 python -m fuzz --seconds $(SECONDS) --seed $(SEED)

attacks: setup $(OLDEST_STAMP)  ## run the playbooks against hosts that lie, with the newest and the oldest Ansible
	pytest tests/attacks

# On "another machine", so that a lab that is up is not disturbed and nothing is left behind.
integration: setup  ## run the tests on a namespace lab of their own (as root)
	tests/elsewhere pytest tests/integration

failures: setup  ## kill, stop, fill up and cut off what a capture needs, on a lab of its own (as root)
	tests/elsewhere pytest tests/failures

faults: setup  ## inject faults into a lab of its own, and print how many the verdict finds (as root)
	tests/elsewhere pytest tests/faults

soak: setup  ## keep both tracers armed while devices and namespaces come and go (SOAK_SECONDS=3600; as root)
	SOAK_SECONDS=$(SOAK_SECONDS) tests/elsewhere pytest -rP tests/soak

test-runbook: setup  ## make each situation of RUNBOOK.md on a lab, and run its commands and those of README.md (as root)
	tests/elsewhere pytest tests/runbook

molecule: setup  ## run the roles' tests, on a lab of their own (as root)
	cd tests && ./elsewhere molecule --base-config molecule/shared/base.yml test --all

smoke: emulation  ## try the tracers on one emulated hypervisor with a distribution's kernel (as root)
	KERNELS=bookworm pytest tests/hypervisors/test_kernels.py tests/hypervisors/test_playbooks.py

bench: setup  ## measure and print the figures (as root)
	for bench in tests/bench/bench_*.py; do echo "== $$bench"; tests/elsewhere $$bench; done

collection: setup  ## make the Ansible collection, build/skbfleet-tracing-VERSION.tar.gz
	share/distribution/collection.py build

collection-sanity: collection  ## run ansible-test sanity on the collection
	share/distribution/sanity build

kit: setup  ## make an archive for a site without internet, build/skbfleet-kit-VERSION.tar
	share/distribution/kit.py build

kit-test: kit emulation  ## install the kit where no network is, and capture on a lab (as root)
	pytest tests/kit

# What needs no lab runs beside what does, which mostly waits: two lanes, each one thing after the other.
test: setup $(OLDEST_STAMP)  ## everything that must pass
	$(MAKE) --jobs=2 --output-sync=line test-controller test-lab
	$(MAKE) smoke

test-controller:
	$(MAKE) --jobs=1 lint types unit truth attacks

test-lab:
	$(MAKE) --jobs=1 integration failures molecule

$(PIP_STAMP): requirements.txt requirements-mergers.txt requirements-dev.txt
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy python3-venv; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-mergers.txt \
		-r requirements-dev.txt
	@touch $@

$(PREREQS_STAMP): $(PIP_STAMP)
	ansible-playbook playbooks/setup.yml
	@touch $@

$(MUTATION_STAMP): tests/mutation/requirements.txt $(PIP_STAMP)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# It runs on Python 3.10 to 3.12; elsewhere the tests that need it are skipped, and say so.
$(OLDEST_STAMP): $(PIP_STAMP)
	if $(VENV)/bin/python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))'; then \
		$(VENV)/bin/python -m venv $(VENV)/oldest && \
		$(VENV)/oldest/bin/python -m pip install --quiet --disable-pip-version-check $(OLDEST); \
	else mkdir -p $(VENV)/oldest; fi
	@touch $@

-include tests/hypervisors/hypervisors.mk
