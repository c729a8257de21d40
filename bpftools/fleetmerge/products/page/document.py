# SPDX-License-Identifier: Apache-2.0
"""report.html: one file that holds all it needs, runs nothing but its own script, and asks nothing of the network."""
import base64
import hashlib
import pathlib
from collections.abc import Mapping
from typing import Any

from . import drawing, said
from .markup import Markup, escaped, tag

MOST = 2_000_000   # bytes
_HERE = pathlib.Path(__file__).parent


def page(summary: Mapping[str, Any]) -> str:
    """Return report.html."""
    style, script = (Markup((_HERE / name).read_text(encoding="utf-8")) for name in ("page.css", "page.js"))
    parts = [said.verdict(summary), said.trust(summary), drawing.ways(summary)]
    return "<!DOCTYPE html>\n" + tag(
        "html", tag("head", tag("meta", charset="utf-8"), _policy(style, script),
                    tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
                    tag("meta", name="color-scheme", content="light dark"),
                    tag("title", "skbfleet %s" % summary["run_id"]), tag("style", style)),
        tag("body", said.head(summary), tag("main", *parts), tag("script", script)), lang="en") + "\n"


def _policy(style: str, script: str) -> Markup:
    """Return what a browser may do with the page: apply this style and run this script."""
    return Markup('<meta http-equiv="Content-Security-Policy" content="%s">' % escaped(
        "default-src 'none'; style-src %s; script-src %s; base-uri 'none'; form-action 'none'" % (
            _hash(style), _hash(script))))


def _hash(text: str) -> str:
    return "'sha256-%s'" % base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
