"""A message says what happened, in words and as JSON, whatever senders have written."""

from __future__ import annotations

import json

import pytest

from logwatch.schema import Decision
from logwatch.telling.notify import Happening
from logwatch.telling.notify.message import KINDS
from tests.telling.decisions import NOW, decision

from .notices import HOST, braked, message, trouble


class TestMessage:
    def test_one_decision_is_told_in_the_subject(self) -> None:
        """Whom, by which rule, which case."""
        subject = message(braked(1)).subject(HOST)
        assert subject == "[mailbrake mx1.example.com] tempfail account:u1@example.com (rule flood, case 7K2M9Q)"

    @pytest.mark.parametrize("about", KINDS)
    def test_every_kind_has_its_words(self, about: str) -> None:
        """In the subject, alone or with others, and in the text what to do next."""
        one = Happening(about, NOW, "this happened")
        assert message(one).subject(HOST) == f"[mailbrake {HOST}] {KINDS[about][0]}"
        assert message(one, one).subject(HOST) == f"[mailbrake {HOST}] {KINDS[about][1].format(2)}"
        assert "this happened\n" in message(one).text()
        assert "`mailbrake " in message(one).text()

    def test_several_kinds_are_told_the_most_urgent_first(self) -> None:
        """In subject and text."""
        told = message(trouble(), braked(1), braked(2), Happening("guard", NOW, "tripped"))
        assert told.subject(HOST).endswith("] the guard has tripped, 2 accounts were braked, there is trouble")
        assert told.text().index("tripped") < told.text().index("u1@") < told.text().index("disk")

    def test_what_happened_again_is_said_once(self) -> None:
        """As a rule that trips the guard does with every line, until somebody looks."""
        told = message(trouble(), *(Happening("guard", NOW + number, "tripped") for number in range(9)))
        assert told.text().count("tripped") == 1
        assert "tripped (9 times)\n" in told.text()
        assert "the disk is full\n" in told.text()
        storm = message(*(Happening("guard", NOW + number, "tripped") for number in range(90)))
        assert "tripped (90 times or alike)\n" in storm.text()
        assert "more" not in storm.text()

    def test_what_senders_write_stays_in_its_line(self) -> None:
        """A login is the sender's own words: no header and no second line come of it."""
        evil = "account:a\r\nBcc: all@example.com\x1b[2J\udc80"
        told = message(Happening("decision", NOW, f"tempfail {evil}", decision(key=evil)))
        assert "a??Bcc: all@example.com?[2J?" in told.subject(HOST)
        assert told.subject(HOST).isprintable()
        assert "a??Bcc" in told.text()

    def test_as_json_it_has_everything(self) -> None:
        """The decision as `replay --json` has it."""
        told = json.loads(message(braked(1), trouble(), lost=3).as_json(HOST))
        assert (told["format"], told["host"], told["lost"]) == (1, HOST, 3)
        assert told["counts"] == {"decision": 1, "trouble": 1}
        assert told["text"].endswith("Notifications lost before this one: 3\n")
        first, second = told["happenings"]
        assert Decision.from_json(first["decision"]) == braked(1).decision
        assert (second["about"], second["text"], second["decision"]) == ("trouble", "the disk is full", None)
