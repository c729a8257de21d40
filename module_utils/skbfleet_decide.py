# SPDX-License-Identifier: Apache-2.0
"""Which hypervisors carry the two VMs of a pair, from what all hosts answered; in words where that is not clear."""
import re
from typing import Any, Dict

from ansible.module_utils.skbfleet_foreign import shown
from ansible.module_utils.skbfleet_shapes import PLACE, Map, fits

MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
ENDS = ("src", "dst")
NAMES_SHOWN = 5


def some(words, most=NAMES_SHOWN):
    """Return words as a list in prose, not more than a few."""
    words = list(words)
    return ", ".join(words[:most]) + (" and %d more" % (len(words) - most) if len(words) > most else "")


def usable(answer, addresses):
    """Return an answer of skbfleet_locate with what decisions rest on, or the reason why there is none."""
    places = answer.get("places")
    if not isinstance(places, dict):
        return {"lost": bool(answer.get("lost")), "msg": str(answer.get("msg") or "no reason was given")}
    found = {address: places.get(address, []) for address in addresses}
    if not all(fits(part, [PLACE]) and all(MAC.fullmatch(place["mac"]) for place in part) for part in found.values()):
        return {"lost": False, "msg": "its answer is none that skbfleet_locate gives"}
    gaps = answer.get("gaps")
    return {"places": found, "gaps": gaps if fits(gaps, Map(str)) else {}}


def answers_of(hosts, raw, pair):
    """Return host -> usable answer, in this order; raw: host -> its variables, as they were registered."""
    addresses = [pair[end]["address"] for end in ENDS]
    answers = {}
    for host in hosts:
        first, second = (usable(raw(host).get(name) or {}, addresses) for name in ("__pair_first", "__pair_second"))
        answers[host] = together(first, second) if "places" in first and "places" in second else first
    return answers


def together(first, second):
    """Return two answers of one host as one: what was seen once is seen."""
    places = {}
    for address in first["places"]:
        devices = {}  # type: Dict[Any, Any]
        for place in first["places"][address] + second["places"][address]:
            known = devices.setdefault((place["mac"], place["device"]), dict(place, known_from=[], found_in=[]))
            for key in ("known_from", "found_in"):
                known[key] = sorted({*known[key], *place[key]})
        # nowhere is no place beside another
        somewhere = {mac for mac, device in devices if device}
        places[address] = [place for (mac, device), place in devices.items() if device or mac not in somewhere]
    return {"places": places, "gaps": {**first["gaps"], **second["gaps"]}}


def macs_of(answers, pair):
    """Return address -> all MACs that are given or that any host knows; a given one is the only one."""
    found = {}
    for end in ENDS:
        address, given = pair[end]["address"], pair[end]["mac"]
        known = {place["mac"] for answer in answers.values() for place in answer.get("places", {}).get(address, ())}
        found[address] = [given] if given else sorted(known)
    return found


def places_of(end, answer):
    """Return the places of one end on one host that the variables do not rule out, with `here` as they have it."""
    places = [dict(place) for place in answer.get("places", {}).get(end["address"], ())
              if not end["mac"] or place["mac"] == end["mac"]]
    for place in places:
        if end["device"]:
            place["here"] = place["device"] == end["device"]
    return sorted(places, key=lambda place: not place["here"])


def why_not(answer):
    """Return why a host has not answered, in a few words; "" if it has."""
    if "places" in answer:
        return ""
    said = shown(str(answer.get("msg") or "no reason was given").replace("Task failed: ", "")).rstrip(".")
    return ("it cannot be reached: " if answer.get("lost") else "it could not be asked: ") + said


def seen(host, places):
    """Return what a host knows of an address, in words."""
    words = []
    for place in places:
        where = "behind %s" % place["device"] if place["device"] else "nowhere"
        words.append("%s sees %s %s%s" % (host, place["mac"], where, " (%s)" % place["role"] if place["role"] else ""))
    return words


def sentence_none(name, end, hosts):
    """Return why no host carries an address, and what to do."""
    seen_words = [word for host, places, _why in hosts for word in seen(host, places)]
    silent = [host for host, _places, why in hosts if why]
    asked = [host for host, _places, why in hosts if not why]
    do = "set %s_host to the hypervisor that carries it" % name
    if seen_words:
        found = "; %s" % some(seen_words)
        do += ", or %s_device to the device behind which it is" % name
    else:
        found = "; %s a MAC for it" % (
            "none of %s knows" % some(asked) if len(asked) > 1 else "%s does not know" % asked[0]) if asked else ""
        do += ", or %s_mac to the MAC of the VM" % name
    return "%s is '%s': no hypervisor of this play carries it%s%s; %s" % (
        name, end["address"], found, "; nobody knows what %s would have said" % some(silent) if silent else "", do)


def sentence_several(name, end, carriers):
    """Return which hosts claim an address, and what to do."""
    found = ["%s behind %s (%s)" % (host, places[0]["device"], places[0]["mac"]) for host, places in carriers]
    return "%s is '%s': %d hypervisors carry it, %s; set %s_host to the one that is meant%s" % (
        name, end["address"], len(carriers), some(found), name,
        ", or %s_mac to the MAC of the VM" % name if len({places[0]["mac"] for _host, places in carriers}) > 1 else "")


def locate_end(name, end, answers):
    """Return (sentence if it is not clear or "", the end with its host and place)."""
    hosts = [(host, places_of(end, answer), why_not(answer)) for host, answer in answers.items()]
    carriers = [(host, [place for place in places if place["here"]]) for host, places, _why in hosts
                if any(place["here"] for place in places)]
    if end["host"]:
        carriers = [(end["host"], [place for host, places in carriers if host == end["host"] for place in places])]
    if not carriers:
        return sentence_none(name, end, hosts), {}
    if len(carriers) > 1:
        return sentence_several(name, end, carriers), {}
    host, places = carriers[0]
    unknown = {"mac": end["mac"], "known_from": [], "device": end["device"], "role": "", "bridge": "", "uplinks": [],
               "vlan": 0, "found_in": []}
    place = {key: value for key, value in (places or [unknown])[0].items() if key != "here"}
    return "", dict(place, address=end["address"], host=host, given=bool(end["host"]))


def toward(end, answer):
    """Return the devices behind which a host sees an end that is elsewhere."""
    return sorted({place["device"] for place in places_of(end, answer) if place["device"] and not place["here"]})


def decide(answers, pair):
    """Return {"error": "" or a sentence, "hosts": to capture on, "topology": what to write down, "text": lines}.

    answers: host -> what skbfleet_locate returned there, in the order of the play; pair: of skbfleet_pair.
    """
    errors, ends = [], {}
    for end in ENDS:
        error, ends[end] = locate_end("pair_" + end, pair[end], answers)
        errors += [error] * bool(error)
    unasked = ["%s: %s" % (host, why_not(answer)) for host, answer in answers.items() if why_not(answer)]
    if errors:
        if len(unasked) == len(answers):
            errors = ["no hypervisor could be asked; playbooks/preflight.yml says what to do"]
        return {"error": ". ".join(errors + ["; ".join(unasked)] * bool(unasked)), "hosts": [], "topology": {},
                "text": []}
    hosts = [host for host in answers if host in {ends[end]["host"] for end in ENDS}]
    topology: Dict[str, Any] = {"format": "skbfleet-topology/1", "pair": ends, "hosts": {}}
    for host in hosts:
        own = [ends[end] for end in ENDS if ends[end]["host"] == host]
        topology["hosts"][host] = {
            "taps": sorted({end["device"] for end in own if end["device"]}),
            "uplinks": sorted({name for end in own for name in end["uplinks"]}),
            "toward": {pair[end]["address"]: toward(pair[end], answers[host]) for end in ENDS
                       if ends[end]["host"] != host},
            "gaps": answers[host].get("gaps", {})}
    return {"error": "", "hosts": hosts, "topology": topology,
            "text": [line_of(end, ends[end]) for end in ENDS] + unasked}


def line_of(name, end):
    """Return where one end is, in words."""
    device = "behind %s" % end["device"] if end["device"] else "behind a device that is not known"
    bridge = ", bridge %s with %s" % (end["bridge"], some(end["uplinks"]) or "no uplink") if end["bridge"] else ""
    how = "as pair_%s_host says" % name if end["given"] else "found in: %s" % some(end["found_in"])
    return "%s %s%s is on %s %s%s (%s)" % (name, end["address"], " (%s)" % end["mac"] if end["mac"] else "",
                                           end["host"], device, bridge, how)
