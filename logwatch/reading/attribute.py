"""Work out for whom each event counts: which login, which client, which local user.

**Messages** ([messages.py](messages.py)). Postfix names the login once, on the `client=` line. From there a message is
known by host and queue id until `removed`. Sendmail and Exim have one line for acceptance and queue; its login is
Exim's own, Sendmail's that of the `AUTH=server` line of the same process before it. A message counts once, at its first
`queued` line: qmgr prints that again at every retry of a deferred message.

**Sessions** ([sessions.py](sessions.py)). What happens before that is known by host and process id. A line's own login
(auth failures, refusals) goes before that of its session.

**Filters before the queue** ([proxied.py](proxied.py)). The session that has the login has no queue id; the filter's,
which has one, says for which client it is.

**Our own milter.** Its `verdict` line is the count of a refused attempt, and the MTA's `milter-reject` line with the
same case reference is its echo; where verdict lines do not reach the log, there is no such line to be the echo of, and
the MTA's counts. A refusal of a message that has been counted (Sendmail: after the final dot) adds no attempt.

Bounds: besides those of messages and sessions, 100,000 cases, each for an hour.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from enforce import key
from logwatch.memory import Memory
from logwatch.reading.clocks import LATE, Clocks
from logwatch.reading.messages import CUT, Messages
from logwatch.reading.owners import NOBODY, Keys, Owner, Told, text
from logwatch.reading.proxied import Proxied
from logwatch.reading.rows import Row, Scanned
from logwatch.reading.sessions import Sessions
from logwatch.schema import EVENTS, KEY_COLUMNS, Columns

Act = tuple[Owner, bool]


class Attribution:
    """Adds `account`, `client`, `local`, `counts`, `opens` and `clock` to events, chunk after chunk of one log.

    `clock` is the time as of which an event is judged: the site's (see `reading.clocks`), never its own stamp, so that
    neither late lines nor a host whose clock is wrong can turn it back.
    """

    def __init__(self, default_realm: str = "", *, keep_case: bool = False) -> None:
        named = partial(key.account, default_realm=default_realm, keep_case=keep_case)
        self._accounts = Keys(lambda login: named(login.decode("utf-8", "surrogateescape")))
        self._clients = Keys(lambda address: key.client(address.decode("ascii", "replace")))
        self._told = Told()
        self.messages = Messages(self._clients, self._told)
        self.sessions = Sessions(self._clients, self._told)
        self.proxied = Proxied()
        self.verdicts: Memory[bool] = Memory("verdicts", 100_000)
        self.clocks = Clocks()
        self.orphans = 0  # deliveries whose acceptance was never seen

    def memories(self) -> tuple[Memory[Any], ...]:
        """All that is remembered between chunks by key."""
        kept = (self.sessions.memory, self.proxied.memory, self.verdicts, self.clocks.heard)
        return (*self.messages.memories(), *kept)

    def attribute(self, events: Scanned) -> Columns:
        """The same events with the columns named above."""
        owners: list[Owner] = []
        counts, opens, late = [], np.zeros(len(events.rows), dtype=bool), {}
        told, before = self._told, self.clocks.now
        clocks = self.clocks.of(list(map(itemgetter(0), events.rows)), events["time"])
        for clock, event, row in zip(clocks.tolist(), events["event"].tolist(), events.rows, strict=True):
            if clock < before:  # what was too old then must not be young again, whatever the chunks are
                self._expire(before)
            before = clock
            owner, counted = _ACTS[event](self, clock, row)
            if told.count:
                late[len(owners)], told.count = told.count, 0
            if told.opens:
                opens[len(owners)], told.opens = True, False
            owners.append(owner)
            counts.append(counted)
        self._expire(before)
        self.clocks.expire()
        keys = {name: _column(owners, place) for place, name in enumerate(KEY_COLUMNS)}
        known = {"counts": np.array(counts, dtype=bool), "opens": opens, "clock": clocks}
        more = {"count": _filled(events["count"], late)} if late and "count" in events else {}
        return {**events, **keys, **known, **more}

    # What each kind of event does to what is remembered; what is in its row, `rows` says.

    def _other(self, time: float, row: Row) -> Act:
        return self._owner(time, row), True

    def _connect(self, time: float, row: Row) -> Act:
        owner = (None, self._clients[row[3]], None)
        self.sessions.connect(time, row, owner)
        return owner, True

    def _disconnect(self, time: float, row: Row) -> Act:
        owner = self._owner(time, row)
        self.sessions.end(time, row, row[5])
        self.proxied.end(time, row)
        return owner, True

    def _lost(self, time: float, row: Row) -> Act:
        _, _, queue_id, ip, _, peer = row[:6]
        client = self._clients[ip]
        if queue_id and not ip:  # Sendmail's, within a message
            owner = self._owner(time, row)
            self.messages.cut(time, row)
            return owner, True
        if self.sessions.owner(time, row, client)[1] is None:
            self.sessions.begin(time, row, (None, client, None), ip, peer)
        return self._owner(time, row), True

    def _reject(self, time: float, row: Row) -> Act:
        _, pid, _, ip, _, dsn, peer = row[:7]
        if peer is not None and self.sessions.is_new(time, row):
            self.sessions.begin(time, row, (None, self._clients[ip], None), ip, peer)
        owner = self._owner(time, row)
        if dsn != b"5.1.1" or not pid or owner[0] or owner[1]:
            return owner, True
        self.sessions.refuse(time, row)
        return owner, False

    def _log_in(self, time: float, row: Row) -> Act:
        _, _, _, ip, login, peer = row[:6]
        owner = (self._accounts[login], self._clients[ip], None)
        self.sessions.begin(time, row, owner, ip, peer)
        return owner, True

    def _fail_to_log_in(self, time: float, row: Row) -> Act:
        return self._owner(time, row), row[5] is None

    def _accept(self, time: float, row: Row) -> Act:
        host, _, queue_id, ip, _, original_id, nrcpt, peer, proxied_ip = row[:9]
        original = self.messages.owner(time, host, original_id) if original_id else None
        handed_back = None if original_id else self.proxied.take(time, host, self._clients[proxied_ip], proxied_ip)
        owner = original or handed_back or self._submitter(time, row, None, nrcpt)
        if queue_id and nrcpt is None:  # otherwise Sendmail's line of what never became a message
            self.messages.accept(time, row, owner, again=original is not None)
        elif nrcpt is None:
            self.proxied.wait(time, row, owner)
        if not (original or handed_back):
            self.sessions.begin(time, row, owner, ip, peer)
        return owner, True

    def _pickup(self, time: float, row: Row) -> Act:
        host, _, _, _, _, uid, original_id = row[:7]
        requeued = original_id is not None  # by postsuper(1): the uid is Postfix's own
        owner = self.messages.owner(time, host, original_id) if requeued else self._submitter(time, row, uid, None)
        self.messages.accept(time, row, owner or NOBODY, again=requeued)
        return owner or NOBODY, True

    def _message_id(self, time: float, row: Row) -> Act:
        return self.messages.recognise(time, row, row[5]), True

    def _queued(self, time: float, row: Row) -> Act:
        """Sendmail's or Exim's line of acceptance; Postfix's for what it told of before, but for bounces."""
        host, _, queue_id, ip, _, uid, nrcpt, _, peer = row[:9]
        message = self.messages.get(time, host, queue_id)
        if message is not None and message != CUT:
            return self.messages.enqueue(time, row, message, nrcpt)
        owner = self._submitter(time, row, uid, nrcpt)
        if owner != NOBODY:
            self.sessions.begin(time, row, owner, ip or uid, peer)
        return (owner, False) if message == CUT else self.messages.arrive(time, row, owner)

    def _delivery(self, time: float, row: Row) -> Act:
        owner = self.messages.owner(time, row[0], row[2])
        if owner is None:
            self.orphans += 1
            return NOBODY, True
        self.messages.deliver(time, row, owner)
        return owner, True

    def _notification(self, time: float, row: Row) -> Act:
        host, _, queue_id, _, _, bounce = row[:6]
        if bounce:
            self.messages.bounce(time, host, bounce)
        return self.messages.owner(time, host, queue_id) or NOBODY, True

    def _removed(self, time: float, row: Row) -> Act:
        host, _, queue_id = row[:3]
        owner = self.messages.owner(time, host, queue_id) or NOBODY
        self.messages.remove(host, queue_id)
        return owner, True

    def _verdict(self, time: float, row: Row) -> Act:
        _, _, _, ip, login, ref, mode, verdict = row[:8]
        if mode == b"enforce" and ref:
            self.verdicts.put(text(ref), True, time)
        return (self._accounts[login], self._clients[ip], None), verdict in _REFUSED_ATTEMPTS

    def _milter_reject(self, time: float, row: Row) -> Act:
        host, _, queue_id, _, _, ref = row[:6]
        message = self.messages.get(time, host, queue_id)
        echo = ref and self.verdicts.get(text(ref), time - LATE)
        return self._owner(time, row), not (echo or (message and message[1]))

    # Who is meant.

    def _submitter(self, time: float, row: Row, uid: bytes | None, nrcpt: bytes | None) -> Owner:
        """Who hands a message in: the line's own login, else its session's; its client or local user."""
        if uid:
            return None, None, key.local(text(uid))
        ip, login = row[3:5]
        account, client = self._accounts[login], self._clients[ip]
        if account is None and client and nrcpt is not None:  # Sendmail's: Postfix would have said so in this line
            account = self.sessions.owner(time, row, client)[0]
        return account, client, None

    def _owner(self, time: float, row: Row) -> Owner:
        """The message's owner, else the session's; what stands in the line itself goes first."""
        host, _, queue_id, ip, login = row[:5]
        account, client = self._accounts[login], self._clients[ip]
        known = self.messages.owner(time, host, queue_id) or self.sessions.owner(time, row, client)
        return account or known[0], client or known[1], known[2]

    def _expire(self, clock: float) -> None:
        self.messages.expire(clock)
        self.sessions.expire(clock)
        self.proxied.expire(clock)
        self.verdicts.expire(clock - LATE)


# Verdicts by which a message was not accepted. Of one that was held, or of which a recipient was refused, there is a
# `queued` line too.
_REFUSED_ATTEMPTS = (b"throttle", b"tempfail", b"block")


def _filled(column: Any, values: dict[int, int]) -> Any:
    filled = column.copy()
    for row, value in values.items():
        filled[row] = str(value).encode()
    return filled


def _column(owners: list[Owner], place: int) -> Any:
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
