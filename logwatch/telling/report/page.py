"""Lays the findings out as one HTML page: `page(findings, style)` is all that others need.

The page holds no script and may load nothing: it says so itself (a content security policy), so that a mistake in
escaping could not call anybody either.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from logwatch.telling.report import sections
from logwatch.telling.report.findings import Findings
from logwatch.telling.report.layout import moment
from logwatch.telling.report.markup import Markup, raw, tag

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(found: Findings, style: str) -> str:
    """The whole document; `style` is its style sheet."""
    parts = [(name, heading, body) for name, heading, make in sections.ALL for body in [make(found)] if body]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="robots", content="noindex"),
        tag("title", found.title),
        raw("style", style),
    )
    body = tag(
        "body",
        _header(found, [part[:2] for part in parts]),
        tag("main", [_section(*part) for part in parts]),
        _footer(found),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _header(found: Findings, links: Sequence[tuple[str, str]]) -> Markup:
    when = f"{moment(found.begin, found)} to {moment(found.end, found)}"
    return tag(
        "header",
        tag("h1", found.title),
        tag("p", tag("strong", when), tag("br"), ", ".join(found.sources), tag("br"), found.policy, class_="about"),
        tag("nav", [tag("a", heading, href=f"#{name}") for name, heading in links]),
    )


def _section(name: str, heading: str, body: Markup) -> Markup:
    return tag("section", tag("h2", heading), body, id=name)


def _footer(found: Findings) -> Markup:
    made = datetime.fromtimestamp(found.made, found.zone).strftime("%Y-%m-%d %H:%M")
    changed = "" if found.live else " Nothing was changed: this was a replay of a log."
    return tag(
        "footer", tag("p", f"Made by mailbrake on {made}.{changed} It names persons: keep it as you keep the log.")
    )
