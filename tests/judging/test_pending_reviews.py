"""What operators say takes effect once the log's clock has passed it, whatever happens meanwhile."""

from __future__ import annotations

import json

from logwatch.judging.pending_reviews import Confirmation, Release
from tests import maillog
from tests.test_core import core_of, mail, written


def test_a_release_takes_effect_not_before_what_was_already_judged() -> None:
    core = core_of()
    core.feed(mail(100, 1, 9))
    assert core.hear(Release("account:alice@example.com", maillog.START + 50)) == maillog.START + 100
    assert core.hear(Release("account:bob@example.com", maillog.START + 150)) == maillog.START + 150


def test_a_release_waits_for_the_logs_clock() -> None:
    """Lines of the same second still belong before it; the first later one brings the end, at the release's time."""
    core = core_of()
    core.feed(mail(100, 1, 9))
    core.hear(Release("account:alice@example.com", maillog.START + 200))
    assert core.feed(mail(200, 2, 1)).decisions == []
    (ended,) = core.feed(mail(201, 3, 1)).decisions
    assert (ended.action, ended.time, ended.until) == ("release", maillog.START + 200, maillog.START + 200)
    assert core.said.times() == []


def test_what_waits_for_the_logs_clock_does_so_in_the_next_process() -> None:
    old, new = core_of(), core_of()
    old.feed(mail(100, 1, 9))
    old.hear(Release("account:alice@example.com", maillog.START + 200))
    old.hear(Confirmation("account:bob@example.com", maillog.START + 300))
    assert new.restore(json.loads(json.dumps(old.facts())), written(old, {}))
    assert [decision.action for decision in new.feed(mail(201, 2, 1)).decisions] == ["release"]
    assert new.said.times() == [maillog.START + 300]


def test_a_release_in_the_midst_of_a_chunk_divides_its_evidence() -> None:
    core = core_of()
    core.hear(Release("account:alice@example.com", maillog.START + 200))
    found = core.feed(mail(100, 1, 4) + mail(190, 2, 3) + mail(210, 3, 3) + mail(220, 4, 1)).decisions
    assert [(d.time - maillog.START, d.action) for d in found] == [
        (100, "tempfail"),
        (200, "release"),
        (220, "tempfail"),
    ]
    assert found[-1].evidence == {"recipients in 10m": {"value": 4, "threshold": 3}}


def test_a_word_said_by_a_wrong_clock_takes_effect_once_it_is_set_back() -> None:
    """It would wait for that time, and what is decided until then would count as taken back by it."""
    core = core_of()
    core.feed(mail(2_000_000, 1, 4))
    core.hear(Release("account:alice@example.com", maillog.START + 2_000_000))
    core.feed(mail(100, 2, 1))
    assert core.said.times() == []
    (again,) = core.feed(mail(90_000, 3, 9)).decisions
    assert (again.action, core.stands(again)) == ("tempfail", again)
