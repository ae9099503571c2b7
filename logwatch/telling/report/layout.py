"""What sections are built of: numbers and times for people, tables, figures, notes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from logwatch.telling.report.charts import Axis
from logwatch.telling.report.findings import Findings
from logwatch.telling.report.markup import Child, Markup, tag

_DAY = 86400
_LARGE = 100  # from here on, fractions do not matter


def number(value: float) -> str:
    """A number for people: whole and large ones with separators, others with three digits."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= _LARGE else f"{value:.3g}"


def moment(stamp: float, found: Findings) -> str:
    """Date and time to the minute."""
    return datetime.fromtimestamp(stamp, found.zone).strftime("%Y-%m-%d %H:%M")


def axis_of(begin: float, end: float, found: Findings) -> Axis:
    """An axis of time; within three days its labels name the hour, else the day alone."""
    form = "%d %b %H:%M" if end - begin <= 3 * _DAY else "%d %b"
    return Axis(begin, end, lambda stamp: datetime.fromtimestamp(stamp, found.zone).strftime(form))


def table(heads: Sequence[str], rows: Iterable[Sequence[Child]], numeric: Iterable[str] = ()) -> Markup:
    """A table whose rows become cards on a narrow screen: each cell knows its heading."""
    right = set(numeric)
    classes = ["number" if head in right else None for head in heads]
    head = tag("tr", [tag("th", head, class_=class_, scope="col") for head, class_ in zip(heads, classes, strict=True)])
    body = [
        tag(
            "tr",
            [
                tag("td", tag("span", cell), class_=class_, data_label=head)
                for cell, class_, head in zip(row, classes, heads, strict=True)
            ],
        )
        for row in rows
    ]
    return tag("table", tag("thead", head), tag("tbody", body))


def figure(caption: str, *content: Child) -> Markup:
    """A picture with its caption."""
    return tag("figure", tag("figcaption", caption), content)


def note(text: Child) -> Markup:
    """A remark in small print."""
    return tag("p", text, class_="note")


def code(text: str) -> Markup:
    """Something to type or to look for."""
    return tag("code", text)


def badge(mode: str) -> Markup:
    """A mode, in its colour."""
    return tag("span", mode, class_=f"mode {'enforce' if mode.startswith('enforce') else 'observe'}")


def times(count: int) -> str:
    """How often."""
    return {1: "once", 2: "twice"}.get(count, f"{number(count)} times")


def counted(count: int, what: str) -> str:
    """So many of something."""
    return f"{number(count)} {what}{'s' * (count != 1)}"


def midnight(stamp: float, found: Findings) -> datetime:
    """The beginning of the day in the zone of the page."""
    return (
        datetime.fromtimestamp(stamp, found.zone)
        .replace(hour=0, minute=0, second=0, microsecond=0)
        .astimezone(found.zone)
    )
