# SPDX-License-Identifier: Apache-2.0
"""A case file: written by one person and run by another, so it is plain values and nothing else.

    case_title: Connections to 192.168.32.20:443 stall now and then
    case_expires: 2027-01-31
    capture_src: 192.0.2.1
    capture_hosts:
      hv-b:
        capture_src: 198.51.100.1

It may hold what roles/case/meta/argument_specs.yml declares, and what describes packets; capture_hosts holds values for
single hosts, which count more than the inventory's.
"""
import datetime
import re

from ansible.module_utils.skbfleet_foreign import said, shown
from ansible.module_utils.skbfleet_names import Refused, nearest, unknown
from ansible.module_utils.skbfleet_plain import Lined, read
from ansible.module_utils.skbfleet_settings import HOST, OF_A_CASE, PREFIX, is_text, typed

ABOUT = "case_"  # begins the names of what a case says of itself
HOSTS = PREFIX + "hosts"
COMMAND = "reproduce_command"
FILE = "case_file"  # where a new case goes, and no part of one
LENGTHS = {"case_title": 200, "case_ticket": 100, "case_author": 100, "case_expires": 10, "case_hosts": 100,
           "case_next": 500}  # characters, of each part of a list
STEPS = 20  # of what is to be done next
DATE = re.compile(r"\d{4}-\d\d-\d\d")


def names_of(specs):
    """Return the names that a case file may have, first what it says of itself; specs: of all variables."""
    return [name for name in specs if name.startswith(ABOUT) and name != FILE] + OF_A_CASE + [HOSTS]


def has_template(value):
    """Return whether Ansible would evaluate something in this value."""
    if isinstance(value, dict):
        return any(has_template(part) for pair in value.items() for part in pair)
    if isinstance(value, (list, tuple)):
        return any(has_template(part) for part in value)
    return isinstance(value, str) and any(mark in value for mark in ("{{", "{%", "{#"))


def check_plain(name, value, source):
    """Refuse a template where only plain values belong."""
    if has_template(value):
        raise Refused("%s is %s in %s: it must be a plain value, templates are not evaluated there"
                      % (shown(name, 100), said(value), source))


def place_of(path, line):
    """Return how a sentence begins that is about a line of a file."""
    return "%s, line %d: " % (shown(path), line)


class Case:
    """What a file holds, and all that is wrong with it.

    values: name -> value, typed, of all hosts; hosts: host -> the same of it alone; about: what the case says of
    itself.
    lines: (host or "", name) -> line. wrong: [(line, sentence)]; what is wrong is in none of the others.
    """

    def __init__(self, path, specs, what="capture_case"):
        self.path, self.specs = path, specs
        self.hosts, self.lines = {}, {}
        content, self.wrong = read(path, what)
        single = content.pop(HOSTS, Lined())
        self.head = {name: line for name, line in content.lines.items() if name.startswith(ABOUT) or name == HOSTS}
        self.lines.update({("", HOSTS): content.lines[HOSTS]} if HOSTS in content.lines else {})
        allowed = names_of(specs)
        values = self._checked(content, "", allowed)
        self.about = {name: value for name, value in values.items() if name.startswith(ABOUT) and value is not None}
        self.values = {name: value for name, value in values.items() if not name.startswith(ABOUT)}
        if not isinstance(single, Lined):
            self._refuse(content.lines[HOSTS], "%s is %s: it must map names of hosts to variables"
                         % (HOSTS, said(single)))
            return
        for host, own in single.items():
            line = single.lines[host]
            if not HOST.fullmatch(host):
                self._refuse(line, "%s has a value for the host %s: a host's name must be letters, digits, dots, "
                             "dashes and underscores, at most 100" % (HOSTS, said(host, 100)))
            elif not isinstance(own, Lined):
                self._refuse(line, "%s has %s for %s: it must map names of hosts to variables"
                             % (HOSTS, said(own), host))
            else:
                self.hosts[host] = self._checked(own, host, OF_A_CASE)

    def _refuse(self, line, sentence):
        self.wrong.append((line, sentence))

    def _checked(self, content, host, allowed):
        """Return the values of a mapping that may be used."""
        good = {}
        for name, value in content.items():
            line = self.lines[host, name] = content.lines[name]
            try:
                good[name] = check_value(name, value, self.specs, allowed)
            except Refused as error:
                self._refuse(line, ("for %s, " % host if host else "") + str(error))
        return good

    def check_hosts(self, known):
        """Refuse hosts that the inventory does not have, and values for hosts that the case leaves out."""
        only = self.about.get("case_hosts", [])
        for name, hosts in (("case_hosts", only), (HOSTS, list(self.hosts))):
            for host in hosts:
                if host not in known:
                    self._refuse(self.head[name], "%s names the host %s, which is not in the inventory: %s"
                                 % (name, shown(host, 100), nearest(host, sorted(known)[:20])))
        for host in self.hosts if only else ():
            if host not in only:
                self._refuse(self.head[HOSTS], "%s has values for %s, which is not in case_hosts: add it there, or "
                             "leave them out" % (HOSTS, shown(host, 100)))

    def check_expiry(self, today):
        """Refuse a case that is no longer to be run."""
        last = self.about.get("case_expires")
        if last and day_of(last) < today:
            self._refuse(self.head["case_expires"], "case_expires is %s: it must be today (%s) or later; ask %s for a "
                         "case that holds" % (last, today, shown(self.about.get("case_author", "who wrote it"))))

    def doubtful(self, host):
        """Return the names whose values for a host cannot be used."""
        own = self.hosts.get(host, {})
        return {name for where, name in self.lines if self.wrong and where in ("", host)
                and name not in (own if where else self.values)}

    def sentences(self):
        """Return what is wrong, in the order of the lines."""
        return [place_of(self.path, line) + sentence for line, sentence in sorted(self.wrong)]


def check_value(name, value, specs, allowed):
    """Return a value of a case file as the type of its variable, None if it is empty; raises Refused."""
    if name not in specs and name.startswith((ABOUT, PREFIX)):
        raise Refused(unknown(name, value, allowed))
    if name not in allowed:
        site = name in specs and not name.startswith(ABOUT)
        raise Refused("%s does not belong in a case file: %s" % (
            shown(name, 100), "it is set in the inventory, or with -e" if site else nearest(name, allowed)))
    check_plain(name, value, "a case file")
    if value is None or value == "":
        return None
    made = typed(name, value, specs[name])
    if name in LENGTHS:
        check_about(name, made)
    return made


def check_about(name, value):
    """Refuse what a case cannot say of itself."""
    if name == "case_next" and len(value) > STEPS:
        raise Refused("%s has %d steps: it must have at most %d" % (name, len(value), STEPS))
    for part in value if isinstance(value, list) else [value]:
        if not is_text(part, LENGTHS[name]) or not str(part).isprintable():
            raise Refused("%s is %s: it must be at most %d characters on one line" % (name, said(part), LENGTHS[name]))
        if name == "case_hosts" and not HOST.fullmatch(part):
            raise Refused("%s is %s: it must be names of hosts, of letters, digits, dots, dashes and underscores"
                          % (name, said(part)))
    if name == "case_expires" and not day_of(value):
        raise Refused("%s is %s: it must be the last day on which the case may be run, such as 2027-01-31"
                      % (name, said(value)))


def day_of(text):
    """Return the day of the calendar that is written so in a case, None if there is none."""
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%d").date() if DATE.fullmatch(text) else None
    except ValueError:
        return None
