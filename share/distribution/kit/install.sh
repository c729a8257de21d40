#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what is in this kit, without any network:
#   ./install.sh controller DIRECTORY    Ansible, the merger's libraries and the collection, in a venv; PYTHON=python3.13
#   ./install.sh hypervisor              bcc, from this release's packages; as root
set -eu
kit=$(cd "$(dirname "$0")" && pwd)

controller() {
    python=${PYTHON:-python3}
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [ ! -d "$kit/wheels/$version" ]; then
        echo "$python is Python $version, and the kit has wheels for $(ls "$kit/wheels" | paste -sd ' '): set PYTHON" >&2
        exit 1
    fi
    "$python" -m venv "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check --no-index --find-links "$kit/wheels/$version" \
        --requirement "$kit/requirements.txt"
    LC_ALL=C.UTF-8 ANSIBLE_COLLECTIONS_PATH="$1/collections" "$1/bin/ansible-galaxy" collection install --offline \
        --force --collections-path "$1/collections" "$kit"/collection/*.tar.gz
    cat > "$1/ansible.cfg" <<END
[defaults]
collections_path = $1/collections
stdout_callback = skbfleet.tracing.skbfleet
inject_facts_as_vars = false
interpreter_python = auto_silent
forks = 32

[ssh_connection]
pipelining = true
ssh_args = -o ControlMaster=auto -o ControlPersist=60s -o ServerAliveInterval=5 -o ServerAliveCountMax=3
END
    echo "Now: export ANSIBLE_CONFIG=$1/ansible.cfg PATH=$1/bin:\$PATH"
}

hypervisor() {
    release=$(. /etc/os-release && echo "$ID-${VERSION_ID%%.*}")
    packages=$kit/packages/$release
    if [ ! -d "$packages" ]; then
        echo "this is $release, and the kit has packages for $(ls "$kit/packages" | paste -sd ' ')" >&2
        exit 1
    fi
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/lists/partial"
    # SHA256SUMS vouches for them, not a signature
    echo "deb [trusted=yes] file:$packages ./" > "$work/sources.list"
    get() {
        DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes -o Dir::State::Lists="$work/lists" -o APT::Sandbox::User=root \
            -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Cache="$work" "$@"
    }
    get update
    get install --no-install-recommends python3-bpfcc
}

(cd "$kit" && sha256sum --check --quiet --strict SHA256SUMS)
case "${1:-} $#" in
    "controller 2") mkdir -p "$2"; controller "$(cd "$2" && pwd)" ;;
    "hypervisor 1") hypervisor ;;
    *) sed -n '3,5s/^# *//p' "$0" >&2; exit 2 ;;
esac
