"""Write the log of a busy mail gateway, the same one for the same seed: Postfix 3.7's own lines with other words.

    python -m benchmarks.reading_log LINES > mail.log

An ISP: of 100 sessions 55 are submissions of some 2,000 customers (one to eight recipients, a tenth of them deferred
at first or bounced), 25 bring mail from outside, 12 are refused before they have a message, 6 guess passwords and 2
are monitoring probes. TLS and anvil lines, which no reader of ours wants, are there as they are in life. Lines of
sessions that run at the same time are mixed. About 40 lines are written a second.
"""

from __future__ import annotations

import heapq
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

START = 1_793_491_200.0  # 2026-11-01
HOST = "mx1"
_SECOND = 40  # lines
_ALPHABET = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
_TLS = (
    "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature RSA-PSS (2048 bits)"
)

Timed = tuple[float, int, str]
Session = Iterator[tuple[float, str]]  # seconds after its begin, and text


class Site:
    """The traffic of one gateway, which runs Postfix."""

    def __init__(self, seed: int) -> None:
        self._random = pick = random.Random(seed)  # noqa: S311 - traffic needs no secure randomness
        self._logins = [f"user{number}@customer{number % 60}.example" for number in range(2000)]
        self._clients = [f"198.51.{pick.randrange(100)}.{pick.randrange(1, 255)}" for _ in range(3000)]
        self._remotes = [f"mail{number}.remote{number % 400}.example" for number in range(900)]
        self._serial = 0

    def lines(self) -> Iterator[bytes]:
        """Lines without end."""
        waiting: list[Timed] = []
        now = START
        while True:
            for offset, text in self._session():
                self._serial += 1
                heapq.heappush(waiting, (now + offset, self._serial, text))
            now += self._random.expovariate(_SECOND / 8)  # a session is some eight lines
            while waiting and waiting[0][0] <= now:
                moment, _, text = heapq.heappop(waiting)
                yield f"{_stamp(moment)} {HOST} {text}\n".encode()

    def _session(self) -> Session:
        kinds = (self._submission, self._incoming, self._refused, self._guessing, self._probe)
        return self._random.choices(kinds, (55, 25, 12, 6, 2))[0]()

    def _submission(self) -> Session:
        pick, login = self._random, self._random.choice(self._logins)
        number = self._logins.index(login)
        client = f"pool-{number}.dsl.example[{self._clients[number]}]"
        smtpd = f"postfix/submission/smtpd[{2000 + number % 300}]"
        queue_id, count = self._queue_id(), pick.choices((1, 2, 3, 8), (70, 15, 10, 5))[0]
        yield 0.0, f"{smtpd}: connect from {client}"
        yield 0.1, f"{smtpd}: Anonymous TLS connection established from {client}: {_TLS}"
        yield 0.2, f"{smtpd}: {queue_id}: client={client}, sasl_method=PLAIN, sasl_username={login}"
        yield from self._queued(0.3, queue_id, login, count)
        for at in range(count):
            recipient = f"friend{pick.randrange(3000)}@remote{pick.randrange(400)}.example"
            yield from self._sent(0.5 + at * 0.1, queue_id, recipient)
        done = f"ehlo=2 starttls=1 auth=1 mail=1 rcpt={count} data=1 quit=1 commands=8"
        yield 0.4, f"{smtpd}: disconnect from {client} {done}"
        yield 3.0, f"postfix/qmgr[1002]: {queue_id}: removed"

    def _sent(self, at: float, queue_id: str, recipient: str) -> Session:
        pick, relay = self._random, self._random.choice(self._remotes)
        peer = f"{relay}[203.0.{pick.randrange(100)}.{pick.randrange(1, 255)}]"
        smtp = f"postfix/smtp[{3000 + pick.randrange(60)}]"
        head = f"{smtp}: {queue_id}: to=<{recipient}>, relay={peer}:25, delay={1 + pick.random():.2f}"
        head += ", delays=0.06/0.01/0.5/0.6, dsn="
        asked = "(in reply to RCPT TO command)"
        outcome = pick.random()
        if outcome < 0.06:
            yield at, f"{head}4.2.1, status=deferred (host {peer} said: 450 4.2.1 mailbox busy {asked})"
            again = "from=<sender@example.org>, size=4821, nrcpt=1 (queue active)"
            yield 2.0, f"postfix/qmgr[1002]: {queue_id}: {again}"
            at = 2.5
        if 0.06 <= outcome < 0.10:
            said = f"550 5.1.1 <{recipient}>: User unknown"
            yield at, f"{head}5.1.1, status=bounced (host {peer} said: {said} {asked})"
            bounce = f"sender non-delivery notification: {self._queue_id()}"
            yield at + 0.1, f"postfix/bounce[1010]: {queue_id}: {bounce}"
            return
        yield at - 0.1, f"{smtp}: Untrusted TLS connection established to {peer}:25: {_TLS}"
        yield at, f"{head}2.0.0, status=sent (250 2.0.0 Ok: queued as {self._queue_id()})"

    def _incoming(self) -> Session:
        pick, remote = self._random, self._random.choice(self._remotes)
        client = f"{remote}[203.0.{pick.randrange(100)}.{pick.randrange(1, 255)}]"
        smtpd, queue_id = f"postfix/smtpd[{4000 + pick.randrange(200)}]", self._queue_id()
        yield 0.0, f"{smtpd}: connect from {client}"
        yield 0.2, f"{smtpd}: {queue_id}: client={client}"
        yield from self._queued(0.3, queue_id, f"news{pick.randrange(500)}@{remote}", 1)
        yield 0.4, f"{smtpd}: disconnect from {client} ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5"
        user = pick.choice(self._logins)
        delays = "delay=0.31, delays=0.25/0.01/0.01/0.04"
        head = f"postfix/lmtp[5001]: {queue_id}: to=<{user}>, relay=imap.example[/var/run/lmtp], {delays}"
        yield 0.6, f"{head}, dsn=2.0.0, status=sent (250 2.0.0 <{user}> Saved)"
        yield 0.7, f"postfix/qmgr[1002]: {queue_id}: removed"

    def _queued(self, at: float, queue_id: str, sender: str, count: int) -> Session:
        pick = self._random
        cleanup = f"postfix/cleanup[{1100 + pick.randrange(20)}]"
        yield at, f"{cleanup}: {queue_id}: message-id=<{pick.getrandbits(64):x}@mail.example>"
        entry = f"from=<{sender}>, size={pick.randrange(900, 90000)}, nrcpt={count} (queue active)"
        yield at + 0.05, f"postfix/qmgr[1002]: {queue_id}: {entry}"

    def _refused(self) -> Session:
        pick = self._random
        client = f"unknown[192.0.{pick.randrange(100)}.{pick.randrange(1, 255)}]"
        smtpd = f"postfix/smtpd[{4000 + pick.randrange(200)}]"
        recipient = f"nobody{pick.randrange(9000)}@customer{pick.randrange(60)}.example"
        helo = f"pc{pick.randrange(999)}"
        envelope = f"from=<x{pick.randrange(99)}@spam.example> to=<{recipient}> proto=ESMTP helo=<{helo}>"
        reason = pick.choice(
            (
                f"550 5.1.1 <{recipient}>: Recipient address rejected: User unknown in virtual mailbox table",
                f"554 5.7.1 Service unavailable; Client host {client[7:]} blocked using zen.example.org; listed",
                f"450 4.7.1 <{helo}>: Helo command rejected: Host not found",
            )
        )
        yield 0.0, f"{smtpd}: connect from {client}"
        yield 0.3, f"{smtpd}: NOQUEUE: reject: RCPT from {client}: {reason}; {envelope}"
        yield 0.5, f"{smtpd}: disconnect from {client} ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4"

    def _guessing(self) -> Session:
        pick = self._random
        client = f"unknown[192.0.{pick.randrange(100)}.{pick.randrange(1, 255)}]"
        smtpd = f"postfix/submission/smtpd[{2000 + pick.randrange(300)}]"
        login = pick.choice((pick.choice(self._logins), "admin", "info", "test"))
        failed = f"SASL LOGIN authentication failed: (reason unavailable), sasl_username={login}"
        yield 0.0, f"{smtpd}: connect from {client}"
        yield 2.0, f"{smtpd}: warning: {client}: {failed}"
        yield 2.1, f"{smtpd}: lost connection after AUTH from {client}"
        yield 2.1, f"{smtpd}: disconnect from {client} ehlo=1 auth=0/1 commands=1/2"

    def _probe(self) -> Session:
        smtpd = f"postfix/smtpd[{4000 + self._random.randrange(200)}]"
        peer, rate = "monitor.example[192.0.2.99]", self._random.randrange(1, 9)
        yield 0.0, f"{smtpd}: connect from {peer}"
        yield 0.1, f"{smtpd}: disconnect from {peer} ehlo=1 quit=1 commands=2"
        yield 0.2, f"postfix/anvil[1050]: statistics: max connection rate {rate}/60s for (smtp:192.0.2.99)"

    def _queue_id(self) -> str:
        name = self._random.choices(_ALPHABET, k=13)
        return "4" + "".join(name[:9]) + "z" + "".join(name[9:])


def _stamp(moment: float) -> str:
    found = datetime.fromtimestamp(moment, UTC)
    return f"{found:%b} {found.day:2} {found:%H:%M:%S}"


def lines(count: int, seed: int = 1, site: type[Site] = Site) -> Iterator[bytes]:
    """So many lines; `site` may be one with another MTA."""
    return islice(site(seed).lines(), count)


if __name__ == "__main__":
    sys.stdout.buffer.writelines(lines(int(sys.argv[1])))
