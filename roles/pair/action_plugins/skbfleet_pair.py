# SPDX-License-Identifier: Apache-2.0
"""Checks the pair_ variables on the controller and turns them into the two ends of a pair.

This is an action plugin because only here variables can be looked at before Ansible evaluates templates in them.
Its documentation is in library/skbfleet_pair.py.
"""
import ipaddress
import os
import re

import ansible.module_utils
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_foreign import as_data, shown
from ansible.module_utils.skbfleet_names import Refused, check_prefix

PREFIX = "pair_"
ENDS = ("src", "dst")
MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
DEVICE = re.compile(r"[^\s/:]{1,15}")


def check_plain(name, value):
    """Refuse a template where only plain values belong."""
    if isinstance(value, str) and any(mark in value for mark in ("{{", "{%", "{#")):
        raise Refused("%s is %r in -e: it must be a plain value, templates are not evaluated there" % (name, value))


def address_of(name, value):
    """Return an address in its usual form."""
    if value in (None, ""):
        raise Refused("%s is not set: it must be the IPv4 or IPv6 address of a VM" % name)
    try:
        return ipaddress.ip_address(str(value))
    except ValueError:
        raise Refused("%s is '%s': it must be the IPv4 or IPv6 address of a VM, without a prefix length"
                      % (name, value)) from None


def text_of(name, value, pattern, allowed):
    """Return an optional value as text, "" if it is not set."""
    text = "" if value is None else str(value)
    if text and not pattern.fullmatch(text):
        raise Refused("%s is %r: it must be %s" % (name, text, allowed))
    return text


def end_of(end, values, hosts):
    """Return what is known of one end of the pair before any host is asked."""
    name = PREFIX + end
    host = str(values[name + "_host"] or "")
    if host and host not in hosts:
        raise Refused("%s_host is %r: it must be one of the hosts of this play, %s" % (name, host, ", ".join(hosts)))
    mac = str(values[name + "_mac"] or "").lower()
    return {"address": str(address_of(name, values[name])), "host": host,
            "mac": text_of(name + "_mac", mac, MAC, "six pairs of hexadecimal digits with colons"),
            "device": text_of(name + "_device", values[name + "_device"], DEVICE, "the name of a network device")}


def pair_of(values, hosts):
    """Return {"src": end, "dst": end, "probe": bool} from all pair_ variables."""
    ends = {end: end_of(end, values, hosts) for end in ENDS}
    src, dst = (ends[end]["address"] for end in ENDS)
    if (":" in src) != (":" in dst):
        raise Refused("pair_src is '%s' and pair_dst is '%s': both must be IPv4 or both IPv6" % (src, dst))
    if src == dst:
        raise Refused("pair_src and pair_dst are both '%s': they must be the addresses of two VMs" % src)
    checked = ArgumentSpecValidator({"pair_probe": {"type": "bool"}}).validate({"pair_probe": values["pair_probe"]})
    if checked.error_messages:
        raise Refused("pair_probe is %r: it must be true or false" % values["pair_probe"])
    return dict(ends, probe=checked.validated_parameters["pair_probe"])


def check_filter(pair, settings):
    """Refuse a capture that would not look for the pair: someone set what the pair decides."""
    for name, value in (("src", pair["src"]["address"]), ("dst", pair["dst"]["address"]), ("bidirectional", True)):
        if settings[name] != value:
            raise Refused("capture_%s is %r in the case or in -e: leave it out, because it follows from pair_src and "
                          "pair_dst" % (name, settings[name]))


class ActionModule(ActionBase):
    """Returns the pair, or one sentence."""

    _requires_connection = False
    _VALID_ARGS = frozenset(["specification", "settings"])

    def run(self, tmp=None, task_vars=None):
        """Check everything that can be known without a host."""
        result = super().run(tmp, task_vars)
        try:
            result.update(changed=False, pair=as_data(self._pair(self._task.args, task_vars or {})))
        except Refused as error:
            result.update(failed=True, msg=as_data(shown(error, 8000)))
        return result

    def _pair(self, args, task_vars):
        with open(args["specification"], encoding="utf-8") as handle:
            known = list(yaml.safe_load(handle)["argument_specs"]["main"]["options"])
        check_prefix(task_vars, PREFIX, known)
        given = {name: value for name, value in load_extra_vars(self._loader).items() if name in known}
        for name, value in given.items():
            check_plain(name, value)
        values = {name: given.get(name, self._templar.template(task_vars.get(name))) for name in known}
        pair = pair_of(values, list(task_vars["ansible_play_hosts_all"]))
        if args.get("settings"):
            check_filter(pair, args["settings"])
        return pair
