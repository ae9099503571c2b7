"""Work out for whom each event counts: which login, which client, which local user.

Postfix names the login once, on the `client=` line. From there a message is known by host and queue id until
`removed`; what happens in a session before a message is accepted is known by host and process id, from `connect` to
`disconnect`, since one smtpd serves many sessions one after another.

A message counts once, at its first `queued` line: qmgr prints that again at every retry of a deferred message. Mail
that comes back from a content filter with `orig_queue_id=` is the same message and does not count again. Our own
milter's `verdict` line is the count of a refused attempt, and the MTA's `milter-reject` line with the same case
reference is its echo; where verdict lines do not reach the log, there is no such line to be the echo of, and the
MTA's counts.

A line's own login (auth failures, refusals) goes before that of its session. Bounds: 500,000 open messages and 100,000
sessions; a message is forgotten after six days (Postfix bounces after five), a session after a day.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from enforce import key
from logwatch.memory import Memory
from logwatch.schema import Columns

_SESSION = 86400.0
_MESSAGE = 6 * _SESSION
_LATE = 3600.0  # a line older than this against the newest is a clock set back, not a late line

# account, client and local key; whether the message has been counted
Owner = tuple[str | None, str | None, str | None]
_NOBODY: Owner = (None, None, None)


class Attribution:
    """Adds `account`, `client`, `local`, `counts` and `clock` to events, chunk after chunk of one log.

    `clock` is the time as of which an event is judged: the newest stamp so far, so that late lines cannot turn
    it back; only a step back of more than an hour does, as the log's clock itself must then have been wrong.
    """

    def __init__(self, default_realm: str = "", *, keep_case: bool = False) -> None:
        self.messages: Memory[list[Any]] = Memory("messages", 500_000)
        self.sessions: Memory[list[Any]] = Memory("sessions", 100_000)
        self.verdicts: Memory[bool] = Memory("verdicts", 100_000)
        self.clock = 0.0
        self.clock_steps = 0
        self.orphans = 0  # deliveries whose acceptance was never seen
        self._accounts: dict[bytes, str | None] = {}
        self._named = partial(key.account, default_realm=default_realm, keep_case=keep_case)

    def memories(self) -> tuple[Memory[Any], ...]:
        """All that is remembered between chunks, `clock` excepted."""
        return (self.messages, self.sessions, self.verdicts)

    def attribute(self, events: Columns) -> Columns:
        """The same events with the columns named above."""
        clocks = self._clocks(events["time"])
        rows = zip(clocks.tolist(), *(events[name].tolist() for name in NEEDS), strict=True)
        owners, counts, before = [], [], self.clock
        for row in rows:
            if row[0] < before:  # what was too old then must not be young again, whatever the chunks are
                self._expire(before)
            before = row[0]
            owner, counted = self._one(_Line(*row))
            owners.append(owner)
            counts.append(counted)
        self._expire(before)
        self.clock = before
        keys = dict(zip(("account", "client", "local"), _columns(owners), strict=True))
        return {**events, **keys, "counts": np.array(counts, dtype=bool), "clock": clocks}

    def _one(self, line: _Line) -> tuple[Owner, bool]:
        act = _ACTS.get(line.event)
        return act(self, line) if act else (self._owner(line), True)

    # What each kind of event does to what is remembered.

    def _connect(self, line: _Line) -> tuple[Owner, bool]:
        owner = (None, self._client(line), None)
        self.sessions.put(line.session, list(owner), line.clock)
        return owner, True

    def _disconnect(self, line: _Line) -> tuple[Owner, bool]:
        owner = self._owner(line)
        self.sessions.drop(line.session)
        return owner, True

    def _accept(self, line: _Line) -> tuple[Owner, bool]:
        original = self._message(line, line.orig_queue_id) if line.orig_queue_id else None
        owner = _owned(original) if original else (self._account(line), self._client(line), None)
        self.messages.put(line.message, [*owner, original is not None], line.clock)
        if not original:
            self.sessions.put(line.session, list(owner), line.clock)
        return owner, True

    def _pickup(self, line: _Line) -> tuple[Owner, bool]:
        owner = (None, None, key.local(line.uid.decode()) if line.uid else None)
        self.messages.put(line.message, [*owner, False], line.clock)
        return owner, True

    def _queued(self, line: _Line) -> tuple[Owner, bool]:
        message = self._message(line, line.queue_id)
        if message is None:  # bounces, forwards, and what was accepted before the log begins
            self.messages.put(line.message, [*_NOBODY, True], line.clock)
            return _NOBODY, True
        owner, counted = _owned(message), bool(message[3])
        if not counted:
            self.messages.put(line.message, [*owner, True], line.clock)
        return owner, not counted

    def _delivery(self, line: _Line) -> tuple[Owner, bool]:
        if self._message(line, line.queue_id) is None:
            self.orphans += 1
        return self._owner(line), True

    def _removed(self, line: _Line) -> tuple[Owner, bool]:
        owner = self._owner(line)
        self.messages.drop(line.message)
        return owner, True

    def _verdict(self, line: _Line) -> tuple[Owner, bool]:
        if line.mode == b"enforce" and line.ref:
            self.verdicts.put(line.case, True, line.clock)
        return (self._account(line), self._client(line), None), line.verdict in _REFUSED_ATTEMPTS

    def _milter_reject(self, line: _Line) -> tuple[Owner, bool]:
        return self._owner(line), not (line.ref and self.verdicts.get(line.case, line.clock - _LATE))

    # Who is meant.

    def _owner(self, line: _Line) -> Owner:
        """The message's owner, else the session's; what stands in the line itself goes first."""
        account, client, local = _owned(self._message(line, line.queue_id) or self._session(line))
        return self._account(line) or account, self._client(line) or client, local

    def _session(self, line: _Line) -> list[Any]:
        """The session of the line's process; nobody's where the line names another client than it had."""
        known = self.sessions.get(line.session, line.clock - _SESSION)
        client = self._client(line)
        return known if known and (client is None or client == known[1]) else list(_NOBODY)

    def _message(self, line: _Line, queue_id: bytes | None) -> list[Any] | None:
        return self.messages.get(line.message_called(queue_id), line.clock - _MESSAGE) if queue_id else None

    def _account(self, line: _Line) -> str | None:
        login = line.sasl_username
        if login is None:
            return None
        if login not in self._accounts:
            if len(self._accounts) > 100_000:
                self._accounts.clear()
            self._accounts[login] = self._named(login.decode("utf-8", "surrogateescape"))
        return self._accounts[login]

    def _client(self, line: _Line) -> str | None:
        return key.client(line.client_ip.decode("ascii", "replace")) if line.client_ip else None

    # Time.

    def _clocks(self, times: Any) -> Any:
        if not len(times):
            return times
        clocks = np.maximum.accumulate(np.maximum(times, self.clock))
        if (times < clocks - _LATE).any():
            clocks = self._stepped(times)
        return clocks

    def _stepped(self, times: Any) -> Any:
        clock, clocks = self.clock, []
        for time in times.tolist():
            if time < clock - _LATE:
                clock, self.clock_steps = time, self.clock_steps + 1
            clock = max(clock, time)
            clocks.append(clock)
        return np.array(clocks)

    def _expire(self, clock: float) -> None:
        self.messages.expire(clock - _MESSAGE)
        self.sessions.expire(clock - _SESSION)
        self.verdicts.expire(clock - _LATE)


class _Line(NamedTuple):
    """The columns of one event that attribution looks at, and the names under which things are remembered."""

    clock: float
    host: bytes
    pid: bytes
    queue_id: bytes | None
    event: str
    client_ip: bytes | None
    sasl_username: bytes | None
    orig_queue_id: bytes | None
    uid: bytes | None
    ref: bytes | None
    mode: bytes | None
    verdict: bytes | None

    @property
    def message(self) -> str:
        """Name of the message that the line is about."""
        return self.message_called(self.queue_id or b"")

    def message_called(self, queue_id: bytes) -> str:
        """Name of a message of the same host."""
        return (self.host + b" " + queue_id).decode("latin-1")

    @property
    def session(self) -> str:
        """Name of the SMTP session that the line belongs to."""
        return (self.host + b" " + self.pid).decode("latin-1")

    @property
    def case(self) -> str:
        """Name of the case that a refusal refers to."""
        return (self.ref or b"").decode("latin-1")


NEEDS = _Line._fields[1:]
# Verdicts by which a message was not accepted. Of one that was held, or of which a recipient was refused, there is a
# `queued` line too.
_REFUSED_ATTEMPTS = (b"throttle", b"tempfail", b"block")


def _owned(remembered: list[Any]) -> Owner:
    return remembered[0], remembered[1], remembered[2]


def _columns(owners: list[Owner]) -> tuple[Any, ...]:
    table = np.empty((len(owners), 3), dtype=object)
    if owners:
        table[:] = owners
    return table[:, 0], table[:, 1], table[:, 2]


_ACTS: dict[str, Callable[[Attribution, _Line], tuple[Owner, bool]]] = {
    "connect": Attribution._connect,
    "disconnect": Attribution._disconnect,
    "accept": Attribution._accept,
    "pickup": Attribution._pickup,
    "queued": Attribution._queued,
    "delivery": Attribution._delivery,
    "removed": Attribution._removed,
    "verdict": Attribution._verdict,
    "milter_reject": Attribution._milter_reject,
}
