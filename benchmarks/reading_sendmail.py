"""Write the log of a busy Sendmail gateway, the same one for the same seed: Sendmail 8.17's own lines with other words.

    python -m benchmarks.reading_sendmail LINES > mail.log

The traffic is that of `benchmarks.reading_log`, sessions in the same shares. Sendmail writes fewer lines of a message
than Postfix, longer ones, and several recipients in one. TLS lines and those of milters' starts are there as they are
in life.
"""

from __future__ import annotations

import sys

from benchmarks.reading_log import Session, Site, lines

_TLS = "version=TLSv1.3, verify=NO, cipher=TLS_AES_256_GCM_SHA384, bits=256/256"
_REFUSALS = (
    "ruleset=check_rcpt, arg1=<{to}>, relay={client}, reject=550 5.7.1 <{to}>... Relaying denied",
    "ruleset=check_mail, arg1=<x@spam.example>, relay={client}, reject=553 5.1.8 <x@spam.example>... "
    "Domain of sender address x@spam.example does not exist",
    "<{to}>... User unknown",
)


class Sendmail(Site):
    """The same gateway with another MTA."""

    def _submission(self) -> Session:
        pick, process, queue_id = self._random, self._process(), self._queue_id()
        number = pick.randrange(len(self._logins))
        login, client = self._logins[number], f"pool-{number}.dsl.example [{self._clients[number]}]"
        count = pick.choices((1, 2, 3, 8), (70, 15, 10, 5))[0]
        yield 0.0, f"{process}: NOQUEUE: connect from {client}"
        yield 0.1, f"{process}: STARTTLS=server, relay={client}, {_TLS}"
        yield 0.2, f"{process}: AUTH=server, relay={client}, authid={login}, mech=PLAIN, bits=0"
        yield 0.4, f"{process}: {queue_id}: {self._from(login, count)}, daemon=MSA, relay={client}"
        runner = self._process()
        recipients = [f"<friend{pick.randrange(3000)}@remote{pick.randrange(400)}.example>" for _ in range(count)]
        yield 0.5, f"{runner}: STARTTLS=client, relay={pick.choice(self._remotes)}., {_TLS}"
        yield from self._tried(0.6, f"{runner}: {queue_id}", recipients)
        yield 3.0, f"{runner}: {queue_id}: done; delay=00:00:03, ntries=1"

    def _tried(self, at: float, head: str, recipients: list[str]) -> Session:
        pick, relay = self._random, self._random.choice(self._remotes)
        peer = f"{relay}. [203.0.{pick.randrange(100)}.{pick.randrange(1, 255)}]"
        tried = f"{head}: to={','.join(recipients)}, delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=30020"
        outcome = pick.random()
        if outcome < 0.06:
            busy = "450 4.2.1 mailbox busy"
            yield at, f"{tried}, relay={peer}, dsn=4.2.0, reply={busy}, stat=Deferred: {busy}"
            at += 2.0
        if 0.06 <= outcome < 0.10:
            yield at, f"{tried}, relay={peer}, dsn=5.1.1, reply=550 5.1.1 User unknown, stat=User unknown"
            yield at + 0.1, f"{head}: {self._queue_id()}: DSN: User unknown"
            return
        yield at, f"{tried}, relay={peer}, dsn=2.0.0, stat=Sent (2.0.0 Ok: queued as {self._queue_id()})"

    def _incoming(self) -> Session:
        pick, process, queue_id = self._random, self._process(), self._queue_id()
        remote = pick.choice(self._remotes)
        client = f"{remote} [203.0.{pick.randrange(100)}.{pick.randrange(1, 255)}]"
        yield 0.0, f"{process}: NOQUEUE: connect from {client}"
        yield 0.3, f"{process}: {queue_id}: {self._from(f'news@{remote}', 1)}, daemon=MTA, relay={client}"
        local = f"to=<{pick.choice(self._logins)}>, delay=00:00:00, xdelay=00:00:00, mailer=local, pri=31000"
        yield 0.6, f"{process}: {queue_id}: {local}, dsn=2.0.0, stat=Sent"
        yield 0.7, f"{process}: {queue_id}: done; delay=00:00:00, ntries=1"

    def _from(self, sender: str, count: int) -> str:
        size, number = self._random.randrange(900, 90000), self._random.getrandbits(64)
        return f"from=<{sender}>, size={size}, class=0, nrcpts={count}, msgid=<{number:x}@mail.example>, proto=ESMTP"

    def _refused(self) -> Session:
        pick, process, queue_id = self._random, self._process(), self._queue_id()
        client = f"[192.0.{pick.randrange(100)}.{pick.randrange(1, 255)}]"
        recipient = f"nobody{pick.randrange(9000)}@customer{pick.randrange(60)}.example"
        yield 0.0, f"{process}: NOQUEUE: connect from {client}"
        yield 0.3, f"{process}: {queue_id}: {pick.choice(_REFUSALS).format(to=recipient, client=client)}"
        nothing = "from=<x@spam.example>, size=0, class=0, nrcpts=0, proto=ESMTP, daemon=MTA"
        yield 0.5, f"{process}: {queue_id}: {nothing}, relay={client}"

    def _guessing(self) -> Session:
        pick, process, queue_id = self._random, self._process(), self._queue_id()
        client = f"[192.0.{pick.randrange(100)}.{pick.randrange(1, 255)}]"
        login = pick.choice((pick.choice(self._logins), "admin", "info", "test"))
        failed = (
            "AUTH failure (LOGIN): authentication failure (-13) SASL(-13): authentication failure: checkpass failed"
        )
        yield 0.0, f"{process}: NOQUEUE: connect from {client}"
        yield 2.0, f"{process}: {queue_id}: {failed}, user={login}, relay={client}"
        yield 2.1, f"{process}: {queue_id}: {client} did not issue MAIL/EXPN/VRFY/ETRN during connection to MSA"

    def _probe(self) -> Session:
        process, peer = self._process(), "monitor.example [192.0.2.99]"
        yield 0.0, f"{process}: NOQUEUE: connect from {peer}"
        yield 0.1, f"{process}: {self._queue_id()}: Milter (mailbrake): init success to negotiate"
        yield 0.2, f"{process}: {self._queue_id()}: {peer} did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA"

    def _process(self) -> str:
        return f"sm-mta[{2000 + self._random.randrange(28000)}]"

    def _queue_id(self) -> str:
        return f"6AP{self._random.getrandbits(20):05X}{self._random.randrange(10**6):06d}"


if __name__ == "__main__":
    sys.stdout.buffer.writelines(lines(int(sys.argv[1]), site=Sendmail))
