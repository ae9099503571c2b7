"""The fail-open matrix: whatever breaks, in whichever callback, mail passes, and it is counted.

What may break is everything that a callback uses: the table, the MTA's macros and replies, what is kept with the
connection, the log, the clock. Each is put at fault in each callback, on messages that would be refused otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import milter
import pytest

from enforce.milter import PASS, Brake, Doubts, Rules, callbacks
from enforce.table import Answer, Denied, State, Unusable
from enforce.verdict import LoggedVerdict

from .records import record

ADDRESS = ("192.0.2.1", 1234)
LISTED = {
    "client:192.0.2.1": [record("hold")],
    "account:bob": [record("cap", max_recipients=0), record("tempfail", "observe")],
    "account:eve": [record("block")],
}


class FaultError(Exception):
    """Something broke."""


class Table:
    """Lists LISTED, or has a fault."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    def look_up(self, keys: Sequence[str], _now: float) -> Answer:
        if self.fault == "look_up":
            raise FaultError
        if self.fault == "unusable":
            return Unusable("no table")
        return Denied(tuple((key, one) for key in keys for one in LISTED.get(key, [])))

    def capped(self) -> bool:
        if self.fault == "capped":
            raise FaultError
        return True

    def state(self, _now: float) -> State:
        return State("")


class Context:
    """An MTA's session, or one with a fault."""

    def __init__(self) -> None:
        self.fault = ""
        self.login = ""
        self.replies: list[str] = []
        self.held: list[str] = []
        self._kept: Any = None

    def getsymval(self, name: str) -> str | None:
        self._perhaps("getsymval")
        return {"{auth_authen}": self.login, "v": "Postfix 3.7.11"}.get(name)

    def setreply(self, code: str, _status: str, *_lines: str) -> None:
        self._perhaps("setreply")
        self.replies.append(code)

    def quarantine(self, reason: str) -> None:
        self._perhaps("quarantine")
        self.held.append(reason)

    def setpriv(self, value: object) -> object:
        self._perhaps("setpriv")
        self._kept = value
        return None

    def getpriv(self) -> Any:
        self._perhaps("getpriv")
        return self._kept

    def _perhaps(self, what: str) -> None:
        if self.fault == what:
            raise FaultError


class Session:
    """The callbacks on one session; `fault` breaks one thing from now on."""

    def __init__(self) -> None:
        self.table, self.context = Table(), Context()
        self.told: list[str] = []
        self.doubts = Doubts(self.told.append, lambda: 0.0)
        self._fault = ""
        rules = Rules(self.table, self._account, exempt=self._exempt)
        self._call = callbacks(Brake(rules, self._clock, self._said, self.doubts), self.doubts)

    def fault(self, what: str) -> None:
        self._fault = self.table.fault = self.context.fault = what

    def call(self, stage: str, login: str = "bob") -> int:
        self.context.login = login
        arguments: dict[str, tuple[object, ...]] = {
            "NEGOTIATE": ([0x1FF, 0x1FFFFF, 0, 0],),
            "CONNECT": ("mx.example", 2, ADDRESS),
            "MAIL": (b"<a@example.org>",),
            "RCPT": (b"<b@example.org>",),
        }
        return self._call[stage](self.context, *arguments.get(stage, ()))

    def up_to(self, stage: str) -> None:
        """All that comes before a stage, without a fault."""
        for before in list(PASS)[: list(PASS).index(stage)]:
            self.call(before)

    def _account(self, login: str) -> str | None:
        if self._fault == "account":
            raise FaultError
        return f"account:{login}"

    def _exempt(self, _address: str) -> bool:
        if self._fault == "exempt":
            raise FaultError
        return False

    def _clock(self) -> float:
        if self._fault == "clock":
            raise FaultError
        return 1.0

    def _said(self, _said: LoggedVerdict) -> None:
        if self._fault == "said":
            raise FaultError


TOUCHED = {
    "NEGOTIATE": ("capped", "setpriv"),
    "CONNECT": ("getpriv", "clock", "exempt", "look_up", "unusable"),
    "MAIL": ("getpriv", "getsymval", "account", "clock", "look_up", "unusable", "said"),
    "RCPT": ("getpriv", "said", "setreply"),
    "EOM": ("getpriv", "said", "quarantine"),
}


@pytest.mark.parametrize(("stage", "fault"), [(stage, fault) for stage, faults in TOUCHED.items() for fault in faults])
def test_whatever_breaks_in_whichever_callback_mail_passes(stage: str, fault: str) -> None:
    session = Session()
    session.up_to(stage)
    session.context.replies.clear()
    session.fault(fault)
    assert session.call(stage) == PASS[stage]
    assert session.doubts.total == len(session.told) == 1
    assert session.told[0].startswith("mail let through: ")
    assert session.context.replies == []


@pytest.mark.parametrize("fault", ["setreply", "said"])
def test_a_refusal_that_cannot_be_given_is_none(fault: str) -> None:
    session = Session()
    session.up_to("MAIL")
    session.fault(fault)
    assert session.call("MAIL", "eve") == PASS["MAIL"]
    assert session.doubts.total == 1


def test_without_a_fault_each_callback_does_what_it_is_for() -> None:
    """So that the faults above are not tried where nothing would have happened anyway."""
    session = Session()
    expected = {
        "NEGOTIATE": milter.CONTINUE,
        "CONNECT": milter.CONTINUE,
        "MAIL": milter.CONTINUE,
        "RCPT": milter.TEMPFAIL,
        "EOM": milter.ACCEPT,
    }
    assert {stage: session.call(stage) for stage in PASS} == expected
    assert session.call("MAIL", "eve") == milter.REJECT
    assert session.context.replies == ["452", "550"]
    assert session.context.held == ["mailbrake (case 4F7K2A)"]
    assert session.doubts.total == 0


def test_a_negotiation_that_breaks_promises_the_mta_nothing_that_is_not_kept() -> None:
    """Left as offered, the flags would say that the milter answers no command."""
    session = Session()
    session.fault("capped")
    options = [0x1FF, 0x1FFFFF, 0, 0]
    ask: Callable[..., int] = session._call["NEGOTIATE"]
    assert ask(session.context, options) == milter.CONTINUE
    assert options[0] == milter.QUARANTINE
    assert options[1] & (milter.P_NR_CONN | milter.P_NR_MAIL | milter.P_NR_RCPT) == 0


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "EOM"])
def test_a_session_that_was_never_begun_is_judged_all_the_same(stage: str) -> None:
    """An MTA that does not negotiate, or a host name that pymilter cannot decode."""
    session = Session()
    session.call(stage)
    assert session.doubts.total == 0
