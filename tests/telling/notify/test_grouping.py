"""What happens is grouped: the first of its kind is told at once, a storm is one message more."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from logwatch.telling.notify import Grouping, Happening, Message
from logwatch.telling.notify.grouping import MOST
from logwatch.telling.notify.message import KINDS
from tests.telling.decisions import NOW

from .notices import EVERY, braked, message, trouble


class TestGrouping:
    def test_the_first_is_due_at_once_and_what_follows_after_a_while(self) -> None:
        """Counted from the last message."""
        grouping = Grouping(EVERY)
        assert grouping.due_in(0) is None
        grouping.add(braked(1))
        assert grouping.due_in(0) == 0
        assert grouping.take(0, NOW) == Message(NOW, (braked(1),), {"decision": 1})
        grouping.add(braked(2))
        grouping.add(braked(3))
        assert grouping.due_in(100) == EVERY - 100
        assert grouping.take(100, NOW) is None
        assert grouping.take(EVERY, NOW) == Message(NOW, (braked(2), braked(3)), {"decision": 2})
        assert grouping.take(2 * EVERY, NOW) is None

    def test_the_first_of_another_kind_does_not_wait(self) -> None:
        """And takes along what does."""
        grouping = Grouping(EVERY)
        grouping.add(braked(1))
        grouping.take(0, NOW)
        grouping.add(braked(2))
        grouping.add(trouble())
        assert grouping.take(1, NOW) == Message(NOW, (braked(2), trouble()), {"decision": 1, "trouble": 1})

    def test_a_storm_is_one_message(self) -> None:
        """With the first of them, and how many there were."""
        told = message(*map(braked, range(5000)))
        assert told.counts == {"decision": 5000}
        assert told.happenings == tuple(map(braked, range(MOST)))
        assert f"… and {5000 - MOST} more" in told.text()

    def test_commands_in_it_use_the_configuration_by_which_it_was_found(self) -> None:
        """Whoever reads the mail need not know where that is."""
        grouping = Grouping(EVERY, " --config '/etc/a site.toml'")
        for happening in (braked(0), trouble(), Happening("guard", NOW, "tripped"), Happening("loss", NOW, "gone")):
            grouping.add(happening)
        made = grouping.take(0.0, NOW)
        assert made is not None
        commands = re.findall(r"`(mailbrake [^`]*)`", made.text())
        assert len(commands) == 7
        assert all(command.endswith(" --config '/etc/a site.toml'") for command in commands)

    def test_at_the_end_all_that_waits_is_told(self) -> None:
        """Whether due or not."""
        grouping = Grouping(EVERY)
        assert grouping.take(0, NOW, all_of_it=True) is None
        for number in range(2):
            grouping.add(braked(number))
            assert grouping.take(number, NOW, all_of_it=True) is not None

    @given(st.lists(st.tuples(st.floats(0, 500), st.sampled_from(sorted(KINDS)), st.integers(1, 3))))
    def test_every_happening_is_told_once_and_messages_are_few(self, script: list[tuple[float, str, int]]) -> None:
        """However they come: in any window no more messages than kinds."""
        grouping, now, added = Grouping(EVERY), 0.0, 0
        sent: list[tuple[float, Message]] = []
        for wait, about, number in script:
            now += wait
            for _ in range(number):
                grouping.add(Happening(about, now, "it"))
            added += number
            if told := grouping.take(now, NOW):
                sent.append((now, told))
        if told := grouping.take(now, NOW, all_of_it=True):
            sent.append((now + EVERY, told))  # as if it had been due
        assert sum(sum(told.counts.values()) for _, told in sent) == added
        for start, _ in sent:
            assert len([at for at, _ in sent if start <= at < start + EVERY]) <= len(KINDS)
