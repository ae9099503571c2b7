"""Lines of a Sendmail 8.17 for what happens, as `postfix` has them: the login in a line of its own, recipients that a
relay answered alike in one line, unknown ones of a session without a name.
"""

from __future__ import annotations

from itertools import groupby

from benchmarks.traffic.postfix import Timed, Writer
from benchmarks.traffic.scene import DEFERRED, REFUSED, SENT, UNKNOWN, Event, Guess, Incoming, Knock, Mail

_TOGETHER = 20  # recipients in a line
_ANSWERS = {
    SENT: "dsn=2.0.0, stat=Sent (2.0.0 Ok: queued as 4XKzQ)",
    DEFERRED: "dsn=4.2.1, reply=450 4.2.1 mailbox busy, stat=Deferred: 450 4.2.1 mailbox busy",
    UNKNOWN: "dsn=5.1.1, reply=550 5.1.1 User unknown, stat=User unknown",
    REFUSED: "dsn=5.7.1, reply=554 5.7.1 Message refused as spam, stat=Service unavailable",
}


class SendmailWriter(Writer):
    """Takes events in order of time, gives whole lines up to a time. There is no content filter."""

    def _lines(self, event: Event) -> Timed:
        if isinstance(event, Mail):
            return self._mail(event)
        if isinstance(event, Incoming):
            return self._incoming(event)
        return self._guess(event) if isinstance(event, Guess) else self._knock(event)

    def _mail(self, mail: Mail) -> Timed:
        process, queue_id, peer = self._process(), self._queue_id(), f"[{_literal(mail.client)}]"
        where = f"{process}: {queue_id}"
        yield 0.0, f"{process}: NOQUEUE: connect from {peer}"
        yield 0.1, f"{process}: AUTH=server, relay={peer}, authid={mail.account}, mech=PLAIN, bits=0"
        yield 0.2, self._accepted(where, mail.sender, len(mail.recipients), f"proto=ESMTPA, daemon=MSA, relay={peer}")
        yield from self._tries(queue_id, mail)

    def _accepted(self, where: str, sender: str, count: int, tail: str) -> str:
        size, number = self._pick.randrange(900, 90000), self._pick.getrandbits(64)
        return (
            f"{where}: from=<{sender}>, size={size}, class=0, nrcpts={count}, msgid=<{number:x}@mail.example>, {tail}"
        )

    def _tries(self, queue_id: str, mail: Mail) -> Timed:
        """A line for each fate and twenty recipients; what was deferred is tried again."""
        pairs = sorted(zip(mail.fates, mail.recipients, strict=True))
        for fate, group in groupby(pairs, key=lambda pair: pair[0]):
            recipients = [f"<{recipient}>" for _, recipient in group]
            for place in range(0, len(recipients), _TOGETHER):
                some = recipients[place : place + _TOGETHER]
                yield 0.3 + self._wait(), self._tried(queue_id, some, fate)
                if fate == DEFERRED:
                    yield 400.0, self._tried(queue_id, some, SENT)

    def _tried(self, queue_id: str, recipients: list[str], fate: str) -> str:
        relay = f"mx{len(recipients[0])}.example. [203.0.113.{len(recipients[0]) % 200 + 1}]"
        return (
            f"{self._process()}: {queue_id}: to={','.join(recipients)}, delay=00:00:01, xdelay=00:00:01, "
            f"mailer=esmtp, pri=30020, relay={relay}, {_ANSWERS[fate]}"
        )

    def _incoming(self, event: Incoming) -> Timed:
        process, queue_id, peer = self._process(), self._queue_id(), f"[{_literal(event.client)}]"
        yield 0.0, f"{process}: NOQUEUE: connect from {peer}"
        unknown = event.recipients[len(event.recipients) - event.unknown :]
        where = f"{process}: {queue_id}"
        for place, recipient in enumerate(unknown):
            yield 0.2 + place / 5, f"{where}: <{recipient}>... User unknown"
        end, left = 0.3 + len(unknown) / 5, len(event.recipients) - len(unknown)
        yield end, self._accepted(where, "someone@far.example", left, f"proto=ESMTP, daemon=MTA, relay={peer}")
        if left:
            yield end + 0.3, self._tried(queue_id, [f"<{event.recipients[0]}>"], SENT)

    def _guess(self, guess: Guess) -> Timed:
        process, peer = self._process(), f"[{_literal(guess.client)}]"
        yield 0.0, f"{process}: NOQUEUE: connect from {peer}"
        yield (
            0.5,
            (
                f"{process}: {self._queue_id()}: AUTH failure (LOGIN): authentication failure (-13) SASL(-13): "
                f"authentication failure: checkpass failed, user={guess.login}, relay={peer}"
            ),
        )

    def _knock(self, knock: Knock) -> Timed:
        yield 0.0, f"{self._process()}: NOQUEUE: connect from [{_literal(knock.client)}]"

    def _process(self) -> str:
        return f"sm-mta[{2000 + next(self._serial) % 30000}]"

    def _queue_id(self) -> str:
        return f"6AP{self._pick.getrandbits(20):05X}{next(self._serial) % 10**6:06d}"


def _literal(address: str) -> str:
    return f"IPv6:{address}" if ":" in address else address
