"""The page as text: what it says, what it may not contain, and that nothing of a stranger becomes markup."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch.commands.report import STYLE
from logwatch.judging.language import SHIPPED, parse
from logwatch.telling.report.charts import COLOURS, nice
from logwatch.telling.report.findings import (
    Findings,
    Guard,
    Hour,
    MilterWrote,
    Nearby,
    Put,
    ReportedCase,
    RuleWords,
    Sender,
)
from logwatch.telling.report.markup import escaped, tag
from logwatch.telling.report.page import page

BEGIN = 1_764_039_600.0
RULE = RuleWords("flood", "account", "tempfail", "enforce 10%")


def case(**changes: object) -> ReportedCase:
    """A case on bob, with some fields changed."""
    plain = ReportedCase(
        ref="7K2M9Q",
        key="account:bob",
        rule="flood",
        action="tempfail",
        mode="enforce",
        begun=BEGIN + 600,
        until=BEGIN + 4200,
        released=False,
        extended=2,
        evidence={"recipients in 10m": {"value": 201, "threshold": 200}},
        messages=3,
        recipients=75,
        refused=9,
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def findings(**changes: object) -> Findings:
    """A small report, with some fields changed."""
    plain = Findings(
        title="Report",
        sources=["mail.log"],
        policy="Policy: p",
        live=False,
        made=BEGIN,
        begin=BEGIN,
        end=BEGIN + 86400,
        totals={"messages": 1234},
        rules=[RULE],
        cases=[case()],
        hours={int(BEGIN // 3600): Hour(5, 80, 2)},
        senders=[Sender("account:bob", 5, 80, 1, {20417: 80})],
        near=[Nearby("account:eve", "flood", 0.75, BEGIN, "recipients in 10m: 150")],
        zone=UTC,
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


class Reader(HTMLParser):
    """Collects elements and text, and notices what is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.elements.add(tag)
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.elements.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(text: str) -> Reader:
    """What is in a document; every element that is opened is closed."""
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def words(found: Findings) -> str:
    """The page's text, runs of white space as one blank."""
    return re.sub(r"\s+", " ", " ".join(read(page(found, "")).words))


@given(st.text())
def test_text_comes_back_as_it_was(text: str) -> None:
    """Whatever can be seen; and no text makes an element."""
    reader = read(tag("p", text, title=text))
    assert reader.elements == {"p"}
    seen = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    assert "".join(reader.words) == seen


def test_markup_is_not_escaped_twice() -> None:
    """An element within an element stays one."""
    assert escaped([tag("b", "1 < 2"), None, 3]) == "<b>1 &lt; 2</b>3"


HOSTILE = '"><script>alert(1)</script><style>*{}</style>\u202e\x1b[2J'


def test_nothing_that_a_stranger_wrote_becomes_markup() -> None:
    """In any field of any section."""
    evil = case(
        ref=HOSTILE, key=HOSTILE, rule=HOSTILE, evidence={HOSTILE: {"value": 1, "threshold": 1}}, verdict=HOSTILE
    )
    found = findings(
        title=HOSTILE,
        sources=[HOSTILE],
        policy=HOSTILE,
        totals={HOSTILE: 1},
        rules=[RuleWords(HOSTILE, HOSTILE, HOSTILE, HOSTILE)],
        cases=[evil],
        senders=[Sender(HOSTILE, 1, 1, 1, {20417: 1})],
        near=[Nearby(HOSTILE, HOSTILE, 0.9, BEGIN, HOSTILE)],
        losses={HOSTILE: 1},
        said={HOSTILE: MilterWrote(1, 1)},
    )
    text = page(found, "")
    assert "script" not in read(text).elements
    assert text.count("<style>") == 1
    assert "\u202e" not in text and "\x1b" not in text


def test_a_login_written_from_right_to_left_stays_before_its_domain() -> None:
    """Wherever a key is shown; its parts are kept apart from what stands around them."""
    key = "account:שלום2@דוגמה"
    found = findings(
        cases=[case(key=key)],
        senders=[Sender(key, 1, 1, 1, {20417: 1}), Sender("account:זר", 1, 1, 1, {20417: 1})],
        near=[Nearby(key, "flood", 0.9, BEGIN, "")],
    )
    text = page(found, "")
    assert text.count("account:<bdi>שלום2</bdi><wbr/>@<bdi>דוגמה</bdi><") == 4
    assert "<span>account:<bdi>זר</bdi></span>" in text


def test_the_page_loads_nothing() -> None:
    """No address, script or foreign style is in it, and it forbids them all by itself."""
    text = page(findings(), STYLE.read_text())
    assert not re.search(r"https?:|//|url\(|@import|<script|<link|<img|\ssrc=", text)
    assert "default-src &#x27;none&#x27;" in text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "would have acted once, on 1 sender. 1 case enforced, 0 only observed."),
        ({"live": True}, "The policy acted once"),
        ({"cases": []}, "everybody was left alone"),
        ({"cases": [case(rule="by-hand")]}, "everybody was left alone. 1 order by hand."),
        ({"cases": [case(), case(rule="by-hand")]}, "0 only observed. 1 order by hand."),
        ({"cases": [case(rule="by-hand")]}, "by-hand ordered by an operator enforce"),
        ({"cases": []}, "Never held: flood (tempfail per account, enforce 10%)."),
        ({"cases": [case(mode="observe")]}, "nobody was refused"),
        ({}, "recipients in 10m: 201 , limit 200"),
        ({}, "extended twice"),
        ({"cases": [case(released=True, verdict="released")]}, "released"),
        ({"cases": [case(verdict="confirmed")]}, "confirmed"),
        ({"rules": []}, "no longer in the policy"),
        ({"guard": Guard(3)}, "It turned 3 decisions into observe"),
        ({"losses": {"lines that were left out": 7}}, "lines that were left out: 7"),
        ({"said": {"flood": MilterWrote(9, 0)}}, "75%"),  # nine refused, three came through
        ({"said": {"": MilterWrote(1, 4)}}, "cases that are not among these"),
        ({"cases": [case(key=f"account:u{i}", ref=f"R{i}") for i in range(600)]}, "and 100 more"),
        ({"cases": [case(key="net:192.0.2.0/24")]}, "limit 200 3 75 9 extended"),
    ],
)
def test_the_page_says_in_words_what_was_found(changes: dict[str, object], told: str) -> None:
    """In words, for each turn that things can take."""
    assert told in words(findings(**changes))


def test_sections_without_anything_to_show_are_left_out() -> None:
    """As from a journal, which knows neither the hours nor who came near."""
    text = page(findings(cases=[], hours={}, senders=[], near=[]), "")
    assert re.findall(r'<section id="(\w+)"', text) == ["summary", "rules", "guard", "loss"]


@given(st.floats(0, 1e12))
def test_an_axis_holds_what_is_shown(most: float) -> None:
    """And is at most two and a half times as long as that."""
    assert most <= nice(most)
    assert nice(most) <= max(2.0, 2.5 * most)


def test_what_was_in_the_table_is_told_by_rule_with_its_delays() -> None:
    """Nothing is said where nothing is known, as in a replay."""
    assert "In the table" not in page(findings(), "")
    told = page(findings(published=[Put("flood", 3, 2, 1, 1, 1, [1.0, 2.0, 7300.0])]), "")
    assert "In the table" in told
    row = re.findall(r"<span>([^<]*)</span>", told[told.index('id="published"') : told.index('id="senders"')])
    assert row == ["flood", "3", "2", "1", "1", "1", "2 s", "2:01:40"]


def test_every_rule_of_the_shipped_policy_has_a_colour_of_its_own() -> None:
    """In both schemes."""
    style = STYLE.read_text()
    assert len(parse(SHIPPED.read_text()).rules) <= COLOURS
    for number in range(COLOURS):
        assert f".s{number} {{" in style
        assert style.count(f"--c{number}: #") == 2
    for scheme in style.split("prefers-color-scheme: dark")[:2]:
        colours = re.findall(r"--c\d+: (#\w+)", scheme.split("@media")[0])[:COLOURS]
        assert len(set(colours)) == len(colours)


def test_no_bar_hides_what_the_lines_of_a_chart_stand_for() -> None:
    """A chart of bars alone is as tall as its first one: its numbers are drawn over them."""
    charts = re.findall(r"<figure>.*?</svg>", page(findings(), ""), re.DOTALL)
    plots = [chart for chart in charts if 'class="level"' in chart]
    assert len(plots) == 3
    assert all(chart.rindex("<rect") < chart.index('class="level"') for chart in plots)


def test_a_login_breaks_before_its_domain() -> None:
    """Not before its last letter; and it is copied as it is."""
    text = page(findings(cases=[case(key='account:"a@b"<i>@example.com')]), "")
    assert "account:&quot;a@b&quot;&lt;i&gt;<wbr/>@example.com</span>" in text
