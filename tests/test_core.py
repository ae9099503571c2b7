"""The core joins three rooms: what it carries over a restart, and what a clock set back ends."""

from __future__ import annotations

from datetime import UTC

import pytest

from logwatch.core import Core
from logwatch.judging.decide import Judge
from logwatch.judging.language import parse

from . import maillog

FLOOD = "rule flood per account: when recipients in 10m > 3 tempfail for 1h mode enforce"


def core_of(policy: str = FLOOD) -> Core:
    return Core(Judge(parse(policy)), zone=UTC, start=maillog.START)


def mail(at: float, number: int, recipients: int, login: str = "alice@example.com") -> bytes:
    names = [f"r{n}@ok.example" for n in range(recipients)]
    return b"".join(maillog.log((at, text) for text in maillog.submission(f"4jZ4r{number:06d}J9bM", login, names)))


def test_an_empty_chunk_is_no_step() -> None:
    step = core_of().feed(b"")
    assert (step.decisions, step.rates, len(step.events["event"])) == ([], [], 0)


def test_a_clock_set_back_ends_what_was_decided_later_than_it_is() -> None:
    core = core_of()
    found = core.feed(mail(20_000, 1, 4) + mail(100, 2, 3) + mail(110, 3, 1)).decisions
    assert [(d.time - maillog.START, d.action) for d in found] == [
        (20_000, "tempfail"),
        (100, "release"),
        (110, "tempfail"),
    ]
    assert core.facts()["clock_steps"] == 1


Rows = dict[str, list[tuple[str, float, bytes]]]


def written(core: Core, before: Rows) -> Rows:
    """What is kept of a core's memories after a checkpoint, as the journal does it."""
    after = {}
    for memory in core.memories():
        kept = {key: (key, time, value) for key, time, value in before.get(memory.name, [])}
        for key, time, value in memory.changes():
            kept.pop(key, None)
            if value is not None:
                kept[key] = (key, time, value)
        memory.settle()
        after[memory.name] = [*kept.values()]
    return after


@pytest.mark.parametrize(("policy", "same"), [(FLOOD, True), (FLOOD.replace("10m", "2h"), False)])
def test_rates_of_another_layout_start_anew_but_cases_stand(policy: str, same: bool) -> None:
    """A policy with other windows counts from nothing; what was decided is still known."""
    old, new = core_of(), core_of(policy)
    old.feed(mail(100, 1, 4))
    rows = written(old, {})
    assert new.restore(old.facts(), rows) is same
    assert new.feed(mail(101, 2, 4)).decisions == []  # the case is open
    assert bool(sum(new.rates.totals("account:alice@example.com", maillog.START + 101) or []) > 400) is same


@pytest.mark.parametrize(("policy", "told"), [(FLOOD.replace("10m", "2h"), True), (FLOOD, False)])
def test_what_was_kept_in_another_layout_is_gone_with_the_next_checkpoint(policy: str, told: bool) -> None:
    """Another policy's, or an older version's, which told of none: the process after the next reads nothing of it."""
    old, new, after = core_of(), core_of(policy), core_of(policy)
    old.feed(mail(100, 1, 4))
    rows = written(old, {})
    assert not new.restore(old.facts() if told else {**old.facts(), "layouts": {}}, rows)
    rows = written(new, rows)
    assert [name for name in rows if name.startswith("rates") and rows[name]] == []
    assert after.restore(new.facts(), rows)
    assert after.rates.totals("account:alice@example.com", maillog.START + 101) is None
