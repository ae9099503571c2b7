"""Work out for whom each event counts: which login, which client, which local user.

**Messages.** Postfix names the login once, on the `client=` line. From there a message is known by host and queue id
until `removed`. Sendmail and Exim have one line for acceptance and queue; its login is Exim's own, Sendmail's that of
the `AUTH=server` line of the same process before it. A message counts once, at its first `queued` line: qmgr prints
that again at every retry of a deferred message.

**Sessions.** What happens before a message is accepted is known by host and process id, from `connect` (or
`AUTH=server`) to `disconnect`, since one smtpd serves many sessions one after another. A line's own login (auth
failures, refusals) goes before that of its session, and a session of another client than the line's is not its own.
Where Sendmail has no AUTH, its lines `User unknown` name nobody: they do not count, but the next line of the process
that names the client (`from=`, or the end of the session) has their number as its `count`.

**The same message again.** What comes back from a content filter, is forwarded, or goes from Sendmail's submission
queue to its daemon, is the same message under another queue id: it has the same owner and does not count again.

- `orig_queue_id=` (XFORWARD) says so at once, and so does `orig_id=` where a message was requeued.
- Without it: mail from this very machine, by loopback or `sendmail`, without a login, that has the message id of a
  message still in the queue. The filter answers only after that, so its answer comes too late to count by.
- That answer, `queued as NEW` from a loopback address, or `forwarded as NEW` of local delivery, makes sure of the
  owner, where NEW is such a message too: what an outside host answers proves nothing.

A local program that forges the message id of a message in the queue evades the count once per message, and three
times in a row at most. Filters on other machines must send XFORWARD.

**Our own milter.** Its `verdict` line is the count of a refused attempt, and the MTA's `milter-reject` line with the
same case reference is its echo; where verdict lines do not reach the log, there is no such line to be the echo of, and
the MTA's counts. A refusal of a message that has been counted (Sendmail: after the final dot) adds no attempt.

Bounds: 500,000 open messages, 100,000 each of sessions, message ids and cases; a message is forgotten after six days
(Postfix bounces after five), a session after a day, a message id (up to 255 bytes) and a case after an hour.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from enforce import key
from logwatch.memory import Memory
from logwatch.schema import KEY_COLUMNS, Columns

_SESSION = 86400.0
_MESSAGE = 6 * _SESSION
_LATE = 3600.0  # a line older than this against the newest is a clock set back, not a late line
_RETURN = 3600.0  # how long a content filter may take
_RETURNS = 3  # how many filters may follow each other
_CACHED = 100_000  # logins and addresses whose keys are kept ready
_LONGEST_ID = 255  # bytes of a message id; no program makes longer ones

# What the next host, or local delivery, says that it made of a message.
_RENAMED = re.compile(
    rb"queued as ([0-9A-Za-z]{5,24})\)?\Z|(?:\A|\s)([0-9A-Za-z]{8,24}) Message accepted for delivery\Z"
)
_FORWARDED = re.compile(rb"forwarded as ([0-9A-Za-z]{5,24})\Z")

# Account, client and local key; of a message also whether it has been counted. Never changed in place.
Owner = Sequence[Any]
_NOBODY: Owner = (None, None, None)


class Attribution:
    """Adds `account`, `client`, `local`, `counts` and `clock` to events, chunk after chunk of one log.

    `clock` is the time as of which an event is judged: the newest stamp so far, so that late lines cannot turn
    it back; only a step back of more than an hour does, as the log's clock itself must then have been wrong.
    """

    def __init__(self, default_realm: str = "", *, keep_case: bool = False) -> None:
        self.messages: Memory[list[Any]] = Memory("messages", 500_000)
        self.sessions: Memory[list[Any]] = Memory("sessions", 100_000)
        self.message_ids: Memory[list[Any]] = Memory("message ids", 100_000)  # newest queue id, how often returned
        self.verdicts: Memory[bool] = Memory("verdicts", 100_000)
        self.clock = 0.0
        self.clock_steps = 0
        self.orphans = 0  # deliveries whose acceptance was never seen
        self._accounts: dict[bytes, str | None] = {}
        self._clients: dict[bytes, str | None] = {}
        self._late = 0  # what the line at hand has for its count
        self._named = partial(key.account, default_realm=default_realm, keep_case=keep_case)

    def memories(self) -> tuple[Memory[Any], ...]:
        """All that is remembered between chunks, `clock` excepted."""
        return (self.messages, self.sessions, self.message_ids, self.verdicts)

    def attribute(self, events: Columns) -> Columns:
        """The same events with the columns named above."""
        clocks = self._clocks(events["time"])
        rows = zip(clocks.tolist(), *(events[name].tolist() for name in _Line._fields[1:]), strict=True)
        owners: list[Owner] = []
        counts, late, before = [], {}, self.clock
        for line in map(_LINE, rows):
            if line.clock < before:  # what was too old then must not be young again, whatever the chunks are
                self._expire(before)
            before = line.clock
            owner, counted = _ACTS.get(line.event, Attribution._other)(self, line)
            if self._late:
                late[len(owners)], self._late = self._late, 0
            owners.append(owner)
            counts.append(counted)
        self._expire(before)
        self.clock = before
        keys = {name: _column(owners, place) for place, name in enumerate(KEY_COLUMNS)}
        known = {"counts": np.array(counts, dtype=bool), "clock": clocks}
        return {**events, **keys, **known, **({"count": _filled(events["count"], late)} if late else {})}

    # What each kind of event does to what is remembered.

    def _other(self, line: _Line) -> tuple[Owner, bool]:
        return self._owner(line), True

    def _connect(self, line: _Line) -> tuple[Owner, bool]:
        owner = (None, self._client(line), None)
        self._begin(line, owner)
        return owner, True

    def _disconnect(self, line: _Line) -> tuple[Owner, bool]:
        owner = self._owner(line)
        self._known_now(line)
        self.sessions.drop(line.session)
        return owner, True

    def _lost(self, line: _Line) -> tuple[Owner, bool]:
        if self._session(line)[1] is None:
            self._begin(line, (None, self._client(line), None))
        return self._owner(line), True

    def _reject(self, line: _Line) -> tuple[Owner, bool]:
        owner = self._owner(line)
        if line.dsn != b"5.1.1" or not line.pid or owner[0] or owner[1]:
            return owner, True
        waiting = self.sessions.get(line.session, line.clock - _SESSION) or _NOBODY
        self.sessions.put(line.session, [*_NOBODY, sum(waiting[3:]) + 1], line.clock)
        return owner, False

    def _log_in(self, line: _Line) -> tuple[Owner, bool]:
        owner = (self._account(line), self._client(line), None)
        self._begin(line, owner)
        return owner, True

    def _accept(self, line: _Line) -> tuple[Owner, bool]:
        original = self._message(line, line.orig_queue_id) if line.orig_queue_id else None
        owner = original or self._submitter(line)
        if line.nrcpt is None:  # otherwise Sendmail's line of what never became a message
            self.messages.put(line.message, [*owner[:3], original is not None], line.clock)
        if not original:
            self._begin(line, owner)
        return owner, True

    def _pickup(self, line: _Line) -> tuple[Owner, bool]:
        requeued = line.orig_queue_id is not None  # by postsuper(1): the uid is Postfix's own
        owner = self._message(line, line.orig_queue_id) or _NOBODY if requeued else self._submitter(line)
        self.messages.put(line.message, [*owner[:3], requeued], line.clock)
        return owner, True

    def _message_id(self, line: _Line) -> tuple[Owner, bool]:
        message = self._message(line, line.queue_id) or _NOBODY  # nobody's: a bounce, or something forwarded
        original = self._original(line, message)
        if original:
            message = [*original[:3], True]
            self.messages.put(line.message, message, line.clock)
        return message, True

    def _queued(self, line: _Line) -> tuple[Owner, bool]:
        message = self._message(line, line.queue_id)
        if message is None:
            return self._arrived(line)
        if message[3]:
            return message, False
        self.messages.put(line.message, [*message[:3], True], line.clock)
        return message, True

    def _arrived(self, line: _Line) -> tuple[Owner, bool]:
        """Sendmail's or Exim's line of acceptance; Postfix's of bounces, and of what came before the log begins."""
        owner = self._submitter(line)
        if owner != _NOBODY:
            self._begin(line, owner)
        original = self._original(line, owner) if line.message_id else None
        owner = original or owner
        self.messages.put(line.message, [*owner[:3], True], line.clock)
        return owner, original is None

    def _delivery(self, line: _Line) -> tuple[Owner, bool]:
        message = self._message(line, line.queue_id)
        if message is None:
            self.orphans += 1
            return _NOBODY, True
        if line.response:
            self._renamed(line, message)
        return message, True

    def _notification(self, line: _Line) -> tuple[Owner, bool]:
        if line.response:  # Sendmail's bounces have no line of their own but their deliveries
            self._claim(line, line.response, _NOBODY, lambda known: known is None)
        return self._of_message(line), True

    def _removed(self, line: _Line) -> tuple[Owner, bool]:
        owner = self._of_message(line)
        self.messages.drop(line.message)
        return owner, True

    def _verdict(self, line: _Line) -> tuple[Owner, bool]:
        if line.mode == b"enforce" and line.ref:
            self.verdicts.put(line.case, True, line.clock)
        return (self._account(line), self._client(line), None), line.verdict in _REFUSED_ATTEMPTS

    def _milter_reject(self, line: _Line) -> tuple[Owner, bool]:
        message = self._message(line, line.queue_id)
        echo = line.ref and self.verdicts.get(line.case, line.clock - _LATE)
        return self._owner(line), not (echo or (message and message[3]))

    # The same message again.

    def _original(self, line: _Line, message: Owner) -> Owner | None:
        """The message that this one was before, if it was; from now on its message id means this one."""
        name = line.message_id or b""
        if not name or len(name) > _LONGEST_ID:
            return None
        queue_id, returns = self.message_ids.get(line.called(name), line.clock - _RETURN) or ("", 0)
        original = self._message(line, queue_id.encode("latin-1"))
        if queue_id == line.text(line.queue_id):  # a header that stands there twice
            return None
        if not (_is_from_here(message) and original and original[3]):
            original, returns = None, -1
        if returns == _RETURNS:
            return None
        self.message_ids.put(line.called(name), [line.text(line.queue_id), returns + 1], line.clock)
        return original

    def _renamed(self, line: _Line, message: Owner) -> None:
        """Follow a message to the queue id that it has next on this machine."""
        response = line.response or b""
        if line.relay_ip:
            found = _RENAMED.search(response) if _is_loopback(key.client(line.text(line.relay_ip))) else None
        else:
            found = _FORWARDED.match(response) if line.relay_host == b"local" else None
        if found:
            self._claim(line, found[found.lastindex or 1], message, _is_from_here)

    def _claim(self, line: _Line, queue_id: bytes, message: Owner, free: Callable[[Owner | None], bool]) -> None:
        """Give another queue id the owner of `message`, if its own may be replaced."""
        if free(self._message(line, queue_id)):
            self.messages.put(line.called(queue_id), [*message[:3], True], line.clock)

    # Who is meant.

    def _begin(self, line: _Line, owner: Owner) -> None:
        if line.pid:
            self._known_now(line)
            self.sessions.put(line.session, list(owner[:3]), line.clock)

    def _known_now(self, line: _Line) -> None:
        """What the session's process refused while nobody knew for whom now counts with this line."""
        waiting = self.sessions.get(line.session, line.clock - _SESSION) if line.pid else None
        if waiting and (line.client_ip or line.uid) and line.event != "connect":
            self._late = sum(waiting[3:])

    def _submitter(self, line: _Line) -> Owner:
        """Who hands a message in: the line's own login, else its session's; its client or local user."""
        if line.uid:
            return None, None, key.local(line.text(line.uid))
        account, client = self._account(line), self._client(line)
        if account is None and client and line.nrcpt is not None:  # Sendmail's: Postfix would have said so in this line
            account = self._session(line)[0]
        return account, client, None

    def _owner(self, line: _Line) -> Owner:
        """The message's owner, else the session's; what stands in the line itself goes first."""
        known = self._message(line, line.queue_id) or self._session(line)
        return self._account(line) or known[0], self._client(line) or known[1], known[2]

    def _of_message(self, line: _Line) -> Owner:
        """The message's owner: queue manager and delivery agents work in no session."""
        return self._message(line, line.queue_id) or _NOBODY

    def _session(self, line: _Line) -> Owner:
        """The session of the line's process; nobody's where the line names another client than it had."""
        known = self.sessions.get(line.session, line.clock - _SESSION) if line.pid else None
        if known is None:
            return _NOBODY
        client = self._client(line)
        return known if client is None or known[1] is None or client == known[1] else _NOBODY

    def _message(self, line: _Line, queue_id: bytes | None) -> Owner | None:
        return self.messages.get(line.called(queue_id), line.clock - _MESSAGE) if queue_id else None

    def _account(self, line: _Line) -> str | None:
        login = line.sasl_username
        if login is None:
            return None
        if login not in self._accounts:
            if len(self._accounts) > _CACHED:
                self._accounts.clear()
            self._accounts[login] = self._named(login.decode("utf-8", "surrogateescape"))
        return self._accounts[login]

    def _client(self, line: _Line) -> str | None:
        address = line.client_ip
        if not address:
            return None
        if address not in self._clients:
            if len(self._clients) > _CACHED:
                self._clients.clear()
            self._clients[address] = key.client(address.decode("ascii", "replace"))
        return self._clients[address]

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
        self.message_ids.expire(clock - _RETURN)
        self.verdicts.expire(clock - _LATE)


class _Line(NamedTuple):
    """The columns of one event that attribution looks at, and the names under which things are remembered."""

    clock: float
    host: bytes | None
    pid: bytes | None
    queue_id: bytes | None
    event: str
    client_ip: bytes | None
    sasl_username: bytes | None
    orig_queue_id: bytes | None
    uid: bytes | None
    ref: bytes | None
    mode: bytes | None
    verdict: bytes | None
    nrcpt: bytes | None
    message_id: bytes | None
    response: bytes | None
    relay_host: bytes | None
    relay_ip: bytes | None
    dsn: bytes | None

    @property
    def message(self) -> str:
        """Name of the message that the line is about."""
        return self.called(self.queue_id or b"")

    def called(self, queue_id: bytes) -> str:
        """Name of what has this id on the same host."""
        return ((self.host or b"") + b" " + queue_id).decode("latin-1")

    @staticmethod
    def text(value: bytes | None) -> str:
        """The text of a field, byte by byte."""
        return (value or b"").decode("latin-1")

    @property
    def session(self) -> str:
        """Name of the SMTP session that the line belongs to."""
        return ((self.host or b"") + b" " + (self.pid or b"")).decode("latin-1")

    @property
    def case(self) -> str:
        """Name of the case that a refusal refers to."""
        return (self.ref or b"").decode("latin-1")


NEEDS = (*_Line._fields[1:], "count")
_LINE: Callable[[Any], _Line] = partial(tuple.__new__, _Line)  # from a row of as many values; NamedTuple's own is slow
# Verdicts by which a message was not accepted. Of one that was held, or of which a recipient was refused, there is a
# `queued` line too.
_REFUSED_ATTEMPTS = (b"throttle", b"tempfail", b"block")


def _is_loopback(client: str | None) -> bool:
    return client is not None and (client.startswith("client:127.") or client == "client:::1")


def _is_from_here(message: Owner | None) -> bool:
    """Whether a message was handed in by a program of this machine that did not log in, or by the MTA itself."""
    if message is None:
        return False
    account, client, local = message[:3]
    return account is None and (client is None or _is_loopback(client) or local is not None)


def _filled(column: Any, values: dict[int, int]) -> Any:
    filled = column.copy()
    for row, value in values.items():
        filled[row] = str(value).encode()
    return filled


def _column(owners: Sequence[Owner], place: int) -> Any:
    column = np.empty(len(owners), dtype=object)
    column[:] = [owner[place] for owner in owners]
    return column


_ACTS: dict[str, Callable[[Attribution, _Line], tuple[Owner, bool]]] = {
    "connect": Attribution._connect,
    "disconnect": Attribution._disconnect,
    "lost_connection": Attribution._lost,
    "reject": Attribution._reject,
    "auth_ok": Attribution._log_in,
    "accept": Attribution._accept,
    "pickup": Attribution._pickup,
    "message_id": Attribution._message_id,
    "queued": Attribution._queued,
    "delivery": Attribution._delivery,
    "notification": Attribution._notification,
    "removed": Attribution._removed,
    "verdict": Attribution._verdict,
    "milter_reject": Attribution._milter_reject,
}
