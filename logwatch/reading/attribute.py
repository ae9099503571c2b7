"""Work out for whom each event counts: which login, which client, which local user.

**Messages.** Postfix names the login once, on the `client=` line. From there a message is known by host and queue id
until `removed`. Sendmail and Exim have one line for acceptance and queue; its login is Exim's own, Sendmail's that of
the `AUTH=server` line of the same process before it. A message counts once, at its first `queued` line: qmgr prints
that again at every retry of a deferred message.

**Sessions.** What happens before a message is accepted is known by host and process id, from `connect` (or
`AUTH=server`) to `disconnect`, since one smtpd serves many sessions one after another. A line's own login (auth
failures, refusals) goes before that of its session, and a session of another client than the line's is not its own.

Sendmail has a process for each connection, and logs neither its beginning nor, where there was mail, its end; numbers
of processes come again within a day. So the first line of a process that names its client `opens` a connection, where
none was logged. A line that names nobody belongs to the session only where its queue id begins as that of the session's
mail: six characters tell when the process began. Of a process of which nothing is known yet, such lines
(`User unknown`) do not count, but its next one that names the client (`from=`, or the end of the session) has their
number as its `count`.

**The same message again.** What comes back from a content filter, is forwarded, or goes from Sendmail's submission
queue to its daemon, is the same message under another queue id: it has the same owner and does not count again.

- `orig_queue_id=` (XFORWARD) says so at once, and so does `orig_id=` where a message was requeued.
- Without it: mail from this very machine, by loopback or `sendmail`, without a login, that has the message id of a
  message still in the queue. The filter answers only after that, so its answer comes too late to count by.
- That answer, `queued as NEW` from a loopback address, or `forwarded as NEW` of local delivery, makes sure of the
  owner, where NEW is such a message too: what an outside host answers proves nothing.

What is taken for the same message by its id has at most two recipients more than the first had (`always_bcc` adds
some); else it is a message of its own, of whoever handed it in. So a local program that forges the id of a message in
the queue evades the count three times in a row at most, each time with as many recipients as that message, and what
comes of them counts for the message's owner. Where the filter is one after which aliases are expanded
(`no_address_mappings` before it), XFORWARD is needed for lists to count for who wrote to them.
Filters on other machines must send XFORWARD.

**Recipients that only deliveries name.** Exim's line of acceptance mostly does not say to whom a message goes. It
counts for one; of its deliveries and bounces, which come once for each recipient, each but the first has 1 as its
`count`. Deferrals, which come again and again, have none.

**Our own milter.** Its `verdict` line is the count of a refused attempt, and the MTA's `milter-reject` line with the
same case reference is its echo; where verdict lines do not reach the log, there is no such line to be the echo of, and
the MTA's counts. A refusal of a message that has been counted (Sendmail: after the final dot) adds no attempt.

Bounds: 500,000 open messages, 100,000 each of those whose recipients are unknown, sessions, message ids and cases; a
message is forgotten after six days (Postfix bounces after five), a session after a day, a message id (up to 255 bytes)
and a case after an hour. Messages that never came into the queue, and sessions in which nobody logged in, go first:
anybody can have as many as he likes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from enforce import key
from logwatch.memory import Memory
from logwatch.reading.clocks import LATE, Clocks
from logwatch.reading.rows import Row, Scanned
from logwatch.schema import EVENTS, KEY_COLUMNS, Columns

_SESSION = 86400.0
_MESSAGE = 6 * _SESSION
_RETURN = 3600.0  # how long a content filter may take
_RETURNS = 3  # how many filters may follow each other
_ADDED = 2  # recipients that a copy may have more: those of always_bcc and the like
_CACHED = 100_000  # logins and addresses whose keys are kept ready
_LONGEST_ID = 255  # bytes of a message id; no program makes longer ones

# What the next host, or local delivery, says that it made of a message.
_RENAMED = re.compile(
    rb"queued as ([0-9A-Za-z]{5,24})\)?\Z|(?:\A|\s)([0-9A-Za-z]{8,24}) Message accepted for delivery\Z"
)
_FORWARDED = re.compile(rb"forwarded as ([0-9A-Za-z]{5,24})\Z")

_FINAL = (b"sent", b"bounced")  # of a recipient, once

_MAY_BE_LOOPBACK = re.compile(rb"127\.|[^.]*:")  # most relays are neither

# Account, client and local key; of a message also whether it has been counted, and how many recipients it had; of one
# that seems to have come back how many the first had, and whose it is otherwise. Never changed in place.
Owner = Sequence[Any]

# Account, client and local key; of Sendmail's also how many recipients were refused while nobody knew for whom, and how
# its queue ids begin.
Session = Sequence[Any]
_NOBODY: Owner = (None, None, None)
Act = tuple[Owner, bool]
Name = tuple[bytes | None, bytes | None]  # a host, and a queue id, process id or message id there


class Attribution:
    """Adds `account`, `client`, `local`, `counts`, `opens` and `clock` to events, chunk after chunk of one log.

    `clock` is the time as of which an event is judged: the site's (see `reading.clocks`), never its own stamp, so that
    neither late lines nor a host whose clock is wrong can turn it back.
    """

    def __init__(self, default_realm: str = "", *, keep_case: bool = False) -> None:
        self.messages: Memory[Owner] = Memory("messages", 500_000, names=(_name_as_text, _name_from_text))
        self.sessions: Memory[Session] = Memory("sessions", 100_000, names=(_name_as_text, _name_from_text))
        self.message_ids: Memory[Sequence[Any]] = Memory(
            "message ids", 100_000, names=(_name_as_text, _name_from_text)
        )  # newest id, returns
        self.verdicts: Memory[bool] = Memory("verdicts", 100_000)
        self.unnamed: Memory[bool] = Memory(
            "unnamed recipients", 100_000, names=(_name_as_text, _name_from_text)
        )  # messages, and whether one of theirs has been named
        self.clocks = Clocks()
        self.orphans = 0  # deliveries whose acceptance was never seen
        named = partial(key.account, default_realm=default_realm, keep_case=keep_case)
        self._accounts = _Keys(lambda login: named(login.decode("utf-8", "surrogateescape")))
        self._clients = _Keys(lambda address: key.client(address.decode("ascii", "replace")))
        self._late = 0  # what the line at hand has for its count
        self._opens = False  # whether it tells of a connection that has no line of its own

    def memories(self) -> tuple[Memory[Any], ...]:
        """All that is remembered between chunks by key."""
        return (self.messages, self.sessions, self.message_ids, self.verdicts, self.unnamed, self.clocks.heard)

    def attribute(self, events: Scanned) -> Columns:
        """The same events with the columns named above."""
        owners: list[Owner] = []
        counts, opens, late, before = [], np.zeros(len(events.rows), dtype=bool), {}, self.clocks.now
        clocks = self.clocks.of(list(map(itemgetter(0), events.rows)), events["time"])
        for clock, event, row in zip(clocks.tolist(), events["event"].tolist(), events.rows, strict=True):
            if clock < before:  # what was too old then must not be young again, whatever the chunks are
                self._expire(before)
            before = clock
            owner, counted = _ACTS[event](self, clock, row)
            if self._late:
                late[len(owners)], self._late = self._late, 0
            if self._opens:
                opens[len(owners)], self._opens = True, False
            owners.append(owner)
            counts.append(counted)
        self._expire(before)
        self.clocks.expire()
        keys = {name: _column(owners, place) for place, name in enumerate(KEY_COLUMNS)}
        known = {"counts": np.array(counts, dtype=bool), "opens": opens, "clock": clocks}
        told = {"count": _filled(events["count"], late)} if late and "count" in events else {}
        return {**events, **keys, **known, **told}

    # What each kind of event does to what is remembered; what is in its row, `rows` says.

    def _other(self, time: float, row: Row) -> Act:
        return self._owner(time, row), True

    def _connect(self, time: float, row: Row) -> Act:
        host, pid, _, ip = row[:4]
        owner = (None, self._clients[ip], None)
        if pid:
            self.sessions.put((host, pid), owner, time, proven=False)
        return owner, True

    def _disconnect(self, time: float, row: Row) -> Act:
        host, pid, queue_id, ip, _, peer = row[:6]
        owner = self._owner(time, row)
        if pid:
            self._opens = peer is not None and self._is_new(time, row)
            self._tell_late(time, (host, pid), ip, queue_id)
            self.sessions.drop((host, pid))
        return owner, True

    def _lost(self, time: float, row: Row) -> Act:
        client, peer = self._clients[row[3]], row[5]
        if self._session(time, row, client)[1] is None:
            self._begin(time, row, (None, client, None), row[3], peer)
        return self._owner(time, row), True

    def _reject(self, time: float, row: Row) -> Act:
        host, pid, queue_id, ip, _, dsn, peer = row[:7]
        if peer is not None and self._is_new(time, row):
            self._begin(time, row, (None, self._clients[ip], None), ip, peer)
        owner = self._owner(time, row)
        if dsn != b"5.1.1" or not pid or owner[0] or owner[1]:
            return owner, True
        begins = _beginning(queue_id)
        waiting = self.sessions.get((host, pid), time - _SESSION) or _NOBODY
        before = sum(waiting[3:4]) if (*waiting[4:],) == (begins,) else 0
        self.sessions.put((host, pid), (*_NOBODY, before + 1, begins), time, proven=False)
        return owner, False

    def _log_in(self, time: float, row: Row) -> Act:
        _, _, _, ip, login, peer = row[:6]
        owner = (self._accounts[login], self._clients[ip], None)
        self._begin(time, row, owner, ip, peer)
        return owner, True

    def _fail_to_log_in(self, time: float, row: Row) -> Act:
        return self._owner(time, row), row[5] is None

    def _accept(self, time: float, row: Row) -> Act:
        host, _, queue_id, ip, _, original_id, nrcpt, peer = row[:8]
        original = self._message(time, host, original_id) if original_id else None
        owner = original or self._submitter(time, row, None, nrcpt)
        if queue_id and nrcpt is None:  # otherwise Sendmail's line of what never became a message
            returned = original is not None
            self.messages.put((host, queue_id), (*owner[:3], returned), time, proven=returned)
        if not original:
            self._begin(time, row, owner, ip, peer)
        return owner, True

    def _pickup(self, time: float, row: Row) -> Act:
        host, _, queue_id, _, _, uid, original_id = row[:7]
        requeued = original_id is not None  # by postsuper(1): the uid is Postfix's own
        owner = self._message(time, host, original_id) or _NOBODY if requeued else self._submitter(time, row, uid, None)
        self.messages.put((host, queue_id), (*owner[:3], requeued), time, proven=requeued)
        return owner, True

    def _message_id(self, time: float, row: Row) -> Act:
        host, _, queue_id, _, _, message_id = row[:6]
        message = self._message(time, host, queue_id) or _NOBODY  # nobody's: a bounce, or something forwarded
        original = self._original(time, (host, message_id), queue_id, message)
        if original:
            message = (*original[:3], True, *(original[4:5] or [None]), *message[:3])
            self.messages.put((host, queue_id), message, time)
        return message, True

    def _queued(self, time: float, row: Row) -> Act:
        host, _, queue_id, _, _, _, nrcpt = row[:7]
        message = self._message(time, host, queue_id)
        if message is None:
            return self._arrived(time, row)
        if message[3] and not (message[5:] and _has_grown(message, nrcpt)):
            return message, False
        owner = message[5:] or message[:3]
        self.messages.put((host, queue_id), (*owner, True, _count(nrcpt)), time)
        return owner, True

    def _arrived(self, time: float, row: Row) -> Act:
        """Sendmail's or Exim's line of acceptance; Postfix's of bounces, and of what came before the log begins."""
        host, _, queue_id, ip, _, uid, nrcpt, message_id, peer, unnamed = row[:10]
        owner = self._submitter(time, row, uid, nrcpt)
        if owner != _NOBODY:
            self._begin(time, row, owner, ip or uid, peer)
        original = self._original(time, (host, message_id), queue_id, owner)
        if original and _has_grown(original, nrcpt):
            original = None
        owner = original or owner
        most = original[4:5] if original else [_count(nrcpt)]
        self.messages.put((host, queue_id), (*owner[:3], True, *most), time)
        if unnamed is not None and original is None:
            self.unnamed.put((host, queue_id), False, time)
        return owner, original is None

    def _delivery(self, time: float, row: Row) -> Act:
        host, _, queue_id, _, _, response, relay_host, relay_ip, status = row[:9]
        message = self._message(time, host, queue_id)
        if message is None:
            self.orphans += 1
            return _NOBODY, True
        if len(self.unnamed) and status in _FINAL:
            self._name(time, (host, queue_id))
        if relay_ip:
            here = _MAY_BE_LOOPBACK.match(relay_ip) and _is_loopback(self._clients[relay_ip])
            found = _RENAMED.search(response or b"") if here else None
        else:
            found = _FORWARDED.match(response or b"") if relay_host == b"local" else None
        if found:  # the queue id that it has next on this machine
            self._claim(time, (host, found[found.lastindex or 1]), message, _is_from_here)
        return message, True

    def _notification(self, time: float, row: Row) -> Act:
        host, _, queue_id, _, _, bounce = row[:6]
        if bounce:  # Sendmail's bounces have no line of their own but their deliveries
            self._claim(time, (host, bounce), _NOBODY, lambda known: known is None)
        return self._message(time, host, queue_id) or _NOBODY, True

    def _removed(self, time: float, row: Row) -> Act:
        host, _, queue_id = row[:3]
        owner = self._message(time, host, queue_id) or _NOBODY
        self.messages.drop((host, queue_id))
        self.unnamed.drop((host, queue_id))
        return owner, True

    def _verdict(self, time: float, row: Row) -> Act:
        _, _, _, ip, login, ref, mode, verdict = row[:8]
        if mode == b"enforce" and ref:
            self.verdicts.put(_text(ref), True, time)
        return (self._accounts[login], self._clients[ip], None), verdict in _REFUSED_ATTEMPTS

    def _milter_reject(self, time: float, row: Row) -> Act:
        host, _, queue_id, _, _, ref = row[:6]
        message = self._message(time, host, queue_id)
        echo = ref and self.verdicts.get(_text(ref), time - LATE)
        return self._owner(time, row), not (echo or (message and message[3]))

    def _name(self, time: float, message: Name) -> None:
        """A recipient of a message has been named: one more, unless it is the first, which counted on acceptance."""
        named = self.unnamed.get(message, time - _MESSAGE)
        if named is not None:
            self._late = int(named)
            if not named:
                self.unnamed.put(message, True, time)

    # The same message again.

    def _original(self, time: float, name: Name, queue_id: bytes | None, message: Owner) -> Owner | None:
        """The message that this one was before, if it was; from now on its message id means this one."""
        host, message_id = name
        if not message_id or len(message_id) > _LONGEST_ID:
            return None
        known, returns = self.message_ids.get(name, time - _RETURN) or ("", 0)
        if known == _text(queue_id):  # a header that stands there twice
            return None
        original = self._message(time, host, known.encode("latin-1")) if known else None
        if not (original and original[3] and _is_from_here(message)):
            original, returns = None, -1
        if returns == _RETURNS:
            return None
        self.message_ids.put(name, (_text(queue_id), returns + 1), time)
        return original

    def _claim(self, time: float, name: Name, message: Owner, free: Callable[[Owner | None], bool]) -> None:
        """Give another queue id the owner of `message`, if its own may be replaced."""
        if free(self._message(time, *name)):
            self.messages.put(name, (*message[:3], True), time)

    # Who is meant.

    def _begin(self, time: float, row: Row, owner: Owner, known: bytes | None, peer: bytes | None) -> None:
        """A session of this owner; `known`: the client or user that the line names; `peer`: whether Sendmail does."""
        host, pid, queue_id = row[:3]
        if pid:
            self._opens = peer is not None and self._is_new(time, row)
            self._tell_late(time, (host, pid), known, queue_id)
            session = owner[:3] if peer is None else (*owner[:3], 0, _beginning(queue_id))
            self.sessions.put((host, pid), session, time, proven=owner[0] is not None)

    def _is_new(self, time: float, row: Row) -> bool:
        """Whether a line names a client of which its process has said nothing yet."""
        host, pid, _, ip = row[:4]
        known = self.sessions.get((host, pid), time - _SESSION) or _NOBODY
        return ip is not None and known[1] != self._clients[ip]

    def _tell_late(self, time: float, session: Name, known: bytes | None, queue_id: bytes | None) -> None:
        """What the session's process refused while nobody knew for whom now counts with this line."""
        waiting = self.sessions.get(session, time - _SESSION)
        if waiting and known and _is_of(waiting, queue_id):
            self._late = sum(waiting[3:4])

    def _submitter(self, time: float, row: Row, uid: bytes | None, nrcpt: bytes | None) -> Owner:
        """Who hands a message in: the line's own login, else its session's; its client or local user."""
        if uid:
            return None, None, key.local(_text(uid))
        ip, login = row[3:5]
        account, client = self._accounts[login], self._clients[ip]
        if account is None and client and nrcpt is not None:  # Sendmail's: Postfix would have said so in this line
            account = self._session(time, row, client)[0]
        return account, client, None

    def _owner(self, time: float, row: Row) -> Owner:
        """The message's owner, else the session's; what stands in the line itself goes first."""
        host, _, queue_id, ip, login = row[:5]
        account, client = self._accounts[login], self._clients[ip]
        known = self._message(time, host, queue_id) or self._session(time, row, client)
        return account or known[0], client or known[1], known[2]

    def _session(self, time: float, row: Row, client: str | None) -> Owner:
        """The session of a line's process; nobody's where that had another client, or was another process."""
        host, pid, queue_id = row[:3]
        known = self.sessions.get((host, pid), time - _SESSION) or _NOBODY
        if client is None:
            return known if _is_of(known, queue_id) else _NOBODY
        unnamed = known[1] is None and known[2] is None
        return known if unnamed or client == known[1] else _NOBODY

    def _message(self, time: float, host: bytes | None, queue_id: bytes | None) -> Owner | None:
        if queue_id is None:
            return None
        return self.messages.get((host, queue_id), time - _MESSAGE)

    def _expire(self, clock: float) -> None:
        self.messages.expire(clock - _MESSAGE)
        self.sessions.expire(clock - _SESSION)
        self.message_ids.expire(clock - _RETURN)
        self.verdicts.expire(clock - LATE)
        self.unnamed.expire(clock - _MESSAGE)


class _Keys(dict[bytes | None, str | None]):
    """The key that each login or address means, found out once."""

    def __init__(self, of: Callable[[bytes], str | None]) -> None:
        super().__init__({None: None, b"": None})
        self._of = of

    def __missing__(self, field: bytes) -> str | None:
        if len(self) > _CACHED:
            self.clear()
            self[None] = self[b""] = None
        found = self[field] = self._of(field)
        return found


def _text(field: bytes | None) -> str:
    return (field or b"").decode("latin-1")  # byte by byte


def _name_as_text(name: Name) -> str:
    host, what = name
    return _text((host or b"") + b" " + (what or b""))


def _name_from_text(text: str) -> Name:
    host, _, what = text.encode("latin-1").partition(b" ")
    return host or None, what


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


def _beginning(queue_id: bytes | None) -> str | None:
    """What all queue ids of a process of Sendmail's begin with: year, month, day, hour, minute and second of it."""
    return _text(queue_id[:6]) if queue_id else None


def _is_of(session: Session, queue_id: bytes | None) -> bool:
    """Whether a queue id may be of a session's process, as far as is known."""
    begins = session[4] if len(session) > 4 else None
    return begins is None or queue_id is None or begins == _beginning(queue_id)


def _count(nrcpt: bytes | None) -> int | None:
    return int(nrcpt[:9]) if nrcpt else None


def _has_grown(message: Owner, nrcpt: bytes | None) -> bool:
    """Whether this is too many recipients for a copy of a message."""
    most, found = (message[4] if len(message) > 4 else None), _count(nrcpt)
    return most is not None and found is not None and found > most + _ADDED


def _filled(column: Any, values: dict[int, int]) -> Any:
    filled = column.copy()
    for row, value in values.items():
        filled[row] = str(value).encode()
    return filled


def _column(owners: Sequence[Owner], place: int) -> Any:
    column = np.empty(len(owners), dtype=object)
    column[:] = [*map(itemgetter(place), owners)]
    return column


_ACTS: dict[str, Callable[[Attribution, float, Row], Act]] = {
    **dict.fromkeys(EVENTS, Attribution._other),
    "connect": Attribution._connect,
    "disconnect": Attribution._disconnect,
    "lost_connection": Attribution._lost,
    "reject": Attribution._reject,
    "auth_ok": Attribution._log_in,
    "auth_failure": Attribution._fail_to_log_in,
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
