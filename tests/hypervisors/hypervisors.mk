# SPDX-License-Identifier: Apache-2.0
# The emulated hypervisors. CLUSTER=vxlan|geneve|vlan; KERNELS: some of those below.

CLUSTER ?= vxlan
KERNELS ?= bullseye bookworm trixie sid bookworm-arm64 trixie-arm64
RUNS ?= 20

KERNEL_TESTS := $(addprefix tests/hypervisors/test_,kernels.py conformance.py functions.py playbooks.py without_btf.py)

CLUSTER_TESTS := $(addprefix tests/hypervisors/test_cluster,.py _truth.py _switch.py)

.PHONY: emulation hypervisors hypervisors-down test-kernels test-cluster test-readers test-offload

emulation: setup
	ansible-playbook tests/hypervisors/setup.yml

hypervisors: emulation  ## start two emulated hypervisors with guests (CLUSTER=vxlan, geneve or vlan; as root)
	tests/hypervisors/hypervisors.py up --cluster $(CLUSTER)

hypervisors-down:  ## stop the emulated hypervisors
	tests/hypervisors/hypervisors.py down

test-kernels: emulation  ## try both tracers on emulated distribution kernels (KERNELS="bookworm sid"; as root)
	KERNELS="$(KERNELS)" pytest $(KERNEL_TESTS)

test-cluster: emulation  ## trace between two emulated hypervisors (CLUSTER=vxlan, geneve or vlan; as root)
	CLUSTERS="$(CLUSTER)" pytest $(CLUSTER_TESTS)

test-readers: emulation  ## tell a guest that is stopped from a starved vhost thread, in 20 runs (RUNS=20; as root)
	RUNS="$(RUNS)" pytest tests/hypervisors/test_readers.py

test-offload: emulation  ## have an adapter's hardware drop what a queue's limit leaves no room for (as root)
	pytest tests/hypervisors/test_offload.py
