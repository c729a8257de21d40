# SPDX-License-Identifier: Apache-2.0
"""How full the queues were that packets met, over the run, and just before one of them was full."""
from collections.abc import Mapping, Sequence
from typing import Any

from ..bundle.labels import Labels
from ..findings.shares import share
from ..words import iso
from .store import Store, quoted

_MOST = 500      # queues that are listed
_BEFORE = 10     # meetings before a drop that are listed
_FULL_POINTS = ("sock.full", "udp.full")    # where the kernel finds a queue full
# which queue a record is of, by what has one each: two of a kind are the same if all four columns are
_OF = {
    "device": ("netns", "device", "CAST(queue_mapping AS VARCHAR)"),
    "cpu": ("''", "''", "'cpu ' || cpu"),
    "receiver": ("netns", "''", "coalesce(dst, '') || ':' || coalesce(dst_port, 0) || ' ' || coalesce(protocol, '')"),
    "connection": ("netns", "''", "coalesce(flow, '')"),
}


class Queues:
    """The queues of a run."""

    def __init__(self, store: Store, labels: Sequence[Labels]) -> None:
        """Tell the store which records are of which queue: as the view `met`, and the table `queues`."""
        self._store = store
        self._kinds = {kind.name: kind for names in labels for kind in names.queues.values()}
        store.run("""CREATE TEMP VIEW met AS
            SELECT *, hash(host, queue_kind, of_netns, of_device, queue) AS id, coalesce(%s, false) AS is_full,
                   coalesce(point = 'skb.drop' AND (%s), false) AS is_drop
            FROM (SELECT time, host, netns, device, point, reason, queue_kind, queue_len, queue_limit, %s FROM counted
                  WHERE queue_kind IS NOT NULL)""" % (self._is_full(), self._for_reason("full", "refused"), ", ".join(
                      self._of_kind(place) + " AS " + name
                      for place, name in enumerate(("of_netns", "of_device", "queue")))))
        store.run("""CREATE TEMP TABLE queues AS
            SELECT id, any_value(host) AS host, any_value(of_netns) AS netns, any_value(of_device) AS device,
                   any_value(queue_kind) AS kind, any_value(queue) AS queue, count(*) AS records,
                   list_sort(list(DISTINCT point)) AS points, min(queue_len) AS min, max(queue_len) AS max,
                   max(queue_limit) AS "limit",
                   count(*) FILTER (is_full) AS met_full, count(*) FILTER (is_drop) AS drops,
                   met_full + drops AS bad
            FROM met GROUP BY id ORDER BY bad DESC, max DESC, records DESC, id LIMIT %d""" % _MOST)

    def _of_kind(self, place: int) -> str:
        """Return the expression for a column of what tells queues of one kind apart."""
        named = {of: [kind.name for kind in self._kinds.values() if kind.of == of] for of in _OF}
        cases = ["WHEN queue_kind IN (%s) THEN %s" % (_texts(names), _OF[of][place]) for of, names in named.items()
                 if names]
        return "CASE %s ELSE '' END" % " ".join(cases) if cases else "''"

    def _is_full(self) -> str:
        """Return the condition on which a packet found its queue full."""
        return "queue_limit > 0 AND queue_len >= queue_limit OR point IN (%s) OR %s" % (
            _texts(_FULL_POINTS), self._for_reason("full"))

    def _for_reason(self, *which: str) -> str:
        """Return the condition on which a packet was dropped for a reason of its queue."""
        reasons = {kind.name: sorted(set().union(*(getattr(kind, name) for name in which)))
                   for kind in self._kinds.values()}
        return " OR ".join(["false"] + ["queue_kind = %s AND reason IN (%s)" % (quoted(name), _texts(of_kind))
                                        for name, of_kind in reasons.items() if of_kind])

    def table(self) -> list[dict[str, Any]]:
        """Return an entry for each queue, those first that were full most often, then those that held most."""
        rows = self._store.rows("""
            WITH lengths AS (SELECT id, queue_len, count(*) AS times FROM met SEMI JOIN queues USING (id)
                             GROUP BY id, queue_len),
            summed AS (SELECT id, queue_len, sum(times) OVER (PARTITION BY id ORDER BY queue_len) AS up_to FROM lengths)
            SELECT queues.*, min(queue_len) FILTER (2 * up_to >= records) AS median,
                   min(queue_len) FILTER (100 * up_to >= 99 * records) AS p99
            FROM queues JOIN summed USING (id) GROUP BY ALL ORDER BY bad DESC, max DESC, records DESC, id""")
        seconds = self._seconds_full()
        return [self._entry(row, seconds) for row in rows]

    def _entry(self, row: dict[str, Any], seconds: Mapping[int, float]) -> dict[str, Any]:
        full = {"records": row["met_full"], "share": share(row["met_full"], row["records"]),
                "seconds": seconds.get(row["id"], 0.0)}
        known = {name: value for name, value in row.items() if name not in ("id", "met_full", "bad")}
        return dict(known, unit=self._unit(row["kind"]), full=full)

    def _unit(self, kind: str) -> str:
        return self._kinds[kind].unit if kind in self._kinds else ""

    def _seconds_full(self) -> dict[int, float]:
        """Return for how long each queue was full: from a packet that found it so to the next one, if that did, too."""
        rows = self._store.rows("""
            WITH following AS (
                SELECT id, time, is_full, lead(time) OVER next AS next_time, lead(is_full) OVER next AS next_full
                FROM met SEMI JOIN (SELECT id FROM queues WHERE met_full > 1) USING (id)
                WINDOW next AS (PARTITION BY id ORDER BY time))
            SELECT id, sum(epoch_ns(next_time) - epoch_ns(time))::BIGINT AS ns
            FROM following WHERE is_full AND next_full GROUP BY id""")
        return {row["id"]: row["ns"] / 1e9 for row in rows}

    def over_time(self, start: int, width: int, most: int) -> list[tuple[dict[str, Any], list[tuple[int, int]]]]:
        """Return the first queues of the table, with the most that packets found in them in each part of the time: how
        many widths (ns) after the start, and how much."""
        queues = self._store.rows('SELECT * FROM queues ORDER BY bad DESC, max DESC, records DESC, id LIMIT ?', most)
        points: dict[int, list[tuple[int, int]]] = {}
        for row in self._store.rows("""
                SELECT id, (epoch_ns(time) - ?) // ? AS part, max(queue_len) AS length
                FROM met SEMI JOIN (SELECT id FROM queues ORDER BY bad DESC, max DESC, records DESC, id LIMIT ?)
                    USING (id)
                GROUP BY id, part ORDER BY id, part""", start, width, most):
            points.setdefault(row["id"], []).append((row["part"], row["length"]))
        return [(dict(queue, unit=self._unit(queue["kind"])), points.get(queue["id"], [])) for queue in queues]

    def before_drops(self) -> dict[tuple[Any, ...], dict[str, Any]]:
        """Return, by host, namespace, device and reason of drops at queues, how full the queue was for the last
        packets that met it before the first of these drops."""
        rows = self._store.rows("""
            WITH drops AS (
                SELECT id, netns, device, reason, min(time) AS first FROM met SEMI JOIN queues USING (id)
                WHERE is_drop GROUP BY id, netns, device, reason)
            SELECT queues.host, drops.netns, drops.device, drops.reason, queues.kind, queues.queue, queues."limit",
                   max_by({'time': epoch_ns(met.time), 'length': queue_len}, met.time, %d) AS before
            FROM drops JOIN met USING (id) JOIN queues USING (id) WHERE met.time < first
            GROUP BY ALL ORDER BY min(first) DESC""" % _BEFORE)
        return {(row["host"], row["netns"], row["device"], row["reason"]): {
            "kind": row["kind"], "queue": row["queue"], "unit": self._unit(row["kind"]), "limit": row["limit"],
            "before": [{"time": iso(one["time"]), "length": one["length"]}
                       for one in sorted(row["before"], key=lambda one: int(one["time"]))]} for row in rows}


def add_queues(losses: Sequence[dict[str, Any]], before: Mapping[tuple[Any, ...], dict[str, Any]]) -> None:
    """Give the drops at a queue its fill before the first of them."""
    for loss in losses:
        queue = before.get((loss["host"], loss.get("netns"), loss["device"], loss.get("reason")))
        if loss["kind"] == "drop" and queue:
            loss["queue"] = queue


def _texts(texts: Sequence[str]) -> str:
    """Return texts as a list of SQL literals."""
    return ", ".join(map(quoted, texts))
