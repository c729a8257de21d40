# SPDX-License-Identifier: Apache-2.0
"""What is around a page: one file that holds all it needs, and a policy that lets a browser fetch nothing."""
import base64
import hashlib
import pathlib

from .markup import Markup, escaped, tag

_HERE = pathlib.Path(__file__).parent


def file(name: str) -> Markup:
    """Return a style or a script that lies here."""
    return Markup((_HERE / name).read_text(encoding="utf-8"))


def framed(title: str, style: str, script: str, *body: Markup) -> str:
    """Return a whole page; script: empty for none."""
    return "<!DOCTYPE html>\n" + tag(
        "html", tag("head", tag("meta", charset="utf-8"), _policy(style, script),
                    tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
                    tag("meta", name="color-scheme", content="light dark"),
                    tag("title", title), tag("style", style)),
        tag("body", *body, tag("script", script) if script else None), lang="en") + "\n"


def _policy(style: str, script: str) -> Markup:
    """Return what a browser may do with the page: apply this style and run this script."""
    return Markup('<meta http-equiv="Content-Security-Policy" content="%s">' % escaped(
        "default-src 'none'; style-src %s; script-src %s; base-uri 'none'; form-action 'none'" % (
            _hash(style), _hash(script) if script else "'none'")))


def _hash(text: str) -> str:
    return "'sha256-%s'" % base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
