"""Lines of a Postfix 3.7 for what happens, in order of time, with traditional stamps in UTC.

A message that passes a content filter is taken twice, the second time with `orig_queue_id=`. Bounces and deferrals come
seconds to hours after the message, as remote sites answer.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from benchmarks.traffic.scene import DEFERRED, REFUSED, SENT, UNKNOWN, Event, Guess, Incoming, Knock, Mail, seeded

HOST = "mx1"
Timed = Iterator[tuple[float, str]]

_ANSWERS = {
    SENT: "dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4XKzQ)",
    DEFERRED: "dsn=4.2.1, status=deferred (host {0} said: 450 4.2.1 mailbox busy (in reply to RCPT TO command))",
    UNKNOWN: "dsn=5.1.1, status=bounced (host {0} said: 550 5.1.1 <{1}>: User unknown (in reply to RCPT TO command))",
    REFUSED: "dsn=5.7.1, status=bounced (host {0} said: 554 5.7.1 Message refused as spam (in reply to end of DATA))",
}

_UNKNOWN_HERE = (
    "{0}: NOQUEUE: reject: RCPT from {1}: 550 5.1.1 <{2}>: Recipient address rejected: User unknown in virtual "
    "mailbox table; from=<x@y.example> to=<{2}> proto=ESMTP helo=<mx>"
)


class Writer:
    """Takes events in order of time, gives whole lines up to a time."""

    def __init__(self, seed: str, *, filtered: bool = False) -> None:
        self._pick = seeded(seed, "writer")
        self._filtered = filtered
        self._serial = itertools.count()
        self._waiting: list[tuple[float, int, str]] = []

    def write(self, event: Event) -> None:
        """Something happens."""
        self._add(event.time, self._lines(event))

    def refuse(self, event: Event, ref: str, rule: str, action: str, kind: str) -> None:
        """Our milter refuses it."""
        login = f", sasl_username={event.account}" if isinstance(event, Mail) else ""
        stage = "MAIL" if kind == "account" else "CONNECT"
        text = (
            f"mailbrake[77]: verdict: {action}, mode=enforce, stage={stage}, ref={ref}, rule={rule}, key={kind}, "
            f"client_ip={event.client}{login}"
        )
        self._add(event.time, iter([(0.1, text)]))

    def until(self, time: float) -> bytes:
        """All lines up to a time that have not been given yet."""
        lines = []
        while self._waiting and self._waiting[0][0] <= time:
            moment, _, text = heapq.heappop(self._waiting)
            lines.append(f"{_stamp(int(moment))} {HOST} {text}\n")
        return "".join(lines).encode()

    def _lines(self, event: Event) -> Timed:
        return _LINES[type(event)](self, event)

    def _add(self, start: float, lines: Timed) -> None:
        for offset, text in lines:
            heapq.heappush(self._waiting, (start + offset, next(self._serial), text))

    def _mail(self, mail: Mail) -> Timed:
        smtpd, peer = self._session("submission/", mail.client)
        queue_id = self._queue_id()
        yield 0.0, f"{smtpd}: connect from {peer}"
        yield 0.1, f"{smtpd}: {queue_id}: client={peer}, sasl_method=PLAIN, sasl_username={mail.account}"
        yield from self._taken(0.15, queue_id, mail.sender, len(mail.recipients))
        yield 0.3, f"{smtpd}: disconnect from {peer} ehlo=2 starttls=1 auth=1 mail=1 rcpt=1 data=1 quit=1 commands=8"
        at = 0.4
        if self._filtered:
            again, peer_of_filter = self._queue_id(), "localhost[127.0.0.1]"
            reinject = f"postfix/reinject/smtpd[{6000 + self._pick.randrange(20)}]"
            yield 0.4, f"{reinject}: connect from {peer_of_filter}"
            yield 0.5, f"{reinject}: {again}: client={peer_of_filter}, orig_queue_id={queue_id}, orig_client={peer}"
            yield from self._taken(0.55, again, mail.sender, len(mail.recipients))
            yield 0.6, f"{reinject}: disconnect from {peer_of_filter} ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5"
            for recipient in mail.recipients:
                yield (
                    0.7,
                    (
                        f"postfix/filter/smtp[3100]: {queue_id}: to=<{recipient}>, relay=127.0.0.1[127.0.0.1]:10024, "
                        f"delay=0.3, delays=0.1/0/0/0.2, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as {again})"
                    ),
                )
            yield 0.8, f"postfix/qmgr[1002]: {queue_id}: removed"
            queue_id, at = again, 0.9
        yield from self._delivered(at, queue_id, mail)

    def _taken(self, at: float, queue_id: str, sender: str, count: int) -> Timed:
        yield at, f"postfix/cleanup[1100]: {queue_id}: message-id=<{self._pick.getrandbits(64):x}@mail.example>"
        size = self._pick.randrange(900, 90000)
        yield at + 0.05, f"postfix/qmgr[1002]: {queue_id}: from=<{sender}>, size={size}, nrcpt={count} (queue active)"

    def _delivered(self, at: float, queue_id: str, mail: Mail) -> Timed:
        last = at
        for recipient, fate in zip(mail.recipients, mail.fates, strict=True):
            yield at + self._wait(), self._delivery(queue_id, recipient, fate)
            if fate == DEFERRED:
                last = max(last, at + 400)
                yield (
                    at + 390,
                    (f"postfix/qmgr[1002]: {queue_id}: from=<{mail.sender}>, size=4821, nrcpt=1 (queue active)"),
                )
                yield at + 400, self._delivery(queue_id, recipient, SENT)
        yield last + 300, f"postfix/qmgr[1002]: {queue_id}: removed"

    def _wait(self) -> float:
        """Seconds until a remote site has answered: mostly one or two, at times minutes."""
        return (
            min(250.0, self._pick.lognormvariate(0.5, 1.0))
            if self._pick.random() < 0.9
            else self._pick.uniform(20, 250)
        )

    def _delivery(self, queue_id: str, recipient: str, fate: str) -> str:
        relay = f"mx.{recipient.partition('@')[2]}[203.0.113.{len(recipient) % 200 + 1}]"
        return (
            f"postfix/smtp[{3000 + self._pick.randrange(60)}]: {queue_id}: to=<{recipient}>, relay={relay}:25, "
            f"delay=1.2, delays=0.06/0.01/0.5/0.6, {_ANSWERS[fate].format(relay, recipient)}"
        )

    def _incoming(self, event: Incoming) -> Timed:
        smtpd, peer = self._session("", event.client)
        yield 0.0, f"{smtpd}: connect from {peer}"
        for place, recipient in enumerate(event.recipients):
            if place >= len(event.recipients) - event.unknown:
                yield 0.2 + place / 5, _UNKNOWN_HERE.format(smtpd, peer, recipient)
        if event.unknown < len(event.recipients):
            queue_id = self._queue_id()
            yield 0.3, f"{smtpd}: {queue_id}: client={peer}"
            yield from self._taken(0.4, queue_id, "someone@far.example", len(event.recipients) - event.unknown)
            yield 0.6, self._delivery(queue_id, event.recipients[0], SENT)
            yield 0.7, f"postfix/qmgr[1002]: {queue_id}: removed"
        yield 0.8 + len(event.recipients) / 5, f"{smtpd}: disconnect from {peer} ehlo=1 mail=1 rcpt=1 quit=1 commands=4"

    def _guess(self, guess: Guess) -> Timed:
        smtpd, peer = self._session("submission/", guess.client)
        yield 0.0, f"{smtpd}: connect from {peer}"
        yield (
            0.5,
            (
                f"{smtpd}: warning: {peer}: SASL LOGIN authentication failed: (reason unavailable), "
                f"sasl_username={guess.login}"
            ),
        )
        yield 0.6, f"{smtpd}: disconnect from {peer} ehlo=1 auth=0/1 commands=1/2"

    def _knock(self, knock: Knock) -> Timed:
        smtpd, peer = self._session("", knock.client)
        yield 0.0, f"{smtpd}: connect from {peer}"
        yield 0.1, f"{smtpd}: disconnect from {peer} ehlo=1 quit=1 commands=2"

    def _session(self, service: str, client: str) -> tuple[str, str]:
        return f"postfix/{service}smtpd[{2000 + next(self._serial) % 900}]", f"unknown[{client}]"

    def _queue_id(self) -> str:
        return f"4X{self._pick.getrandbits(44):011X}z"


_LINES: dict[type, Callable[[Writer, Any], Timed]] = {
    Mail: Writer._mail,
    Incoming: Writer._incoming,
    Guess: Writer._guess,
    Knock: Writer._knock,
}


@lru_cache(maxsize=4096)
def _stamp(second: int) -> str:
    moment = datetime.fromtimestamp(second, UTC)
    return f"{moment:%b} {moment.day:2} {moment:%H:%M:%S}"
