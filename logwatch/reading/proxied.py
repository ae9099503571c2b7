"""Mail that a filter before the queue has (`smtpd_proxy_filter`): from the login's line to the one with a queue id.

The smtpd that the client talks to names the login and has no queue (`NOQUEUE: client=`). What the filter hands back is
another session's, and XFORWARD has that name the client (`orig_client=`; Postfix believes only whom it is told to), but
no login: of the sessions of this client that wait for their filter, it is one. Where they are not all of one login
nobody can say whose it is, and it is the client's alone, as are those that still wait then. Without XFORWARD it is the
filter's own mail.

A filter before the queue answers while its client waits, so that little can wait: 100,000 clients, 16 sessions each
(of more, nothing is said), for an hour. Those in which nobody logged in go first.
"""

from __future__ import annotations

from logwatch.memory import Memory
from logwatch.reading.owners import NAMES, Owner, text
from logwatch.reading.rows import Row

_WAITING = 3600.0
_SESSIONS = 16

Waiting = list[tuple[str, str | None]]  # process ids, and who logged in there; oldest first


class Proxied:
    """The sessions whose filter has a message, by host and address of the client."""

    def __init__(self) -> None:
        self.memory: Memory[Waiting] = Memory("proxied", 100_000, names=NAMES)

    def wait(self, time: float, row: Row, owner: Owner) -> None:
        """A message is handed to the filter; a process has one at a time."""
        host, pid, _, ip = row[:4]
        if not (pid and ip):
            return
        waiting = [*self._others(time, host, pid, ip), (text(pid), owner[0])]
        if len(waiting) > _SESSIONS:
            waiting = _unknown(waiting[1:])
        self.memory.put((host, ip), waiting, time, proven=owner[0] is not None)

    def take(self, time: float, host: bytes | None, client: str | None, ip: bytes | None) -> Owner | None:
        """Whose the message is that a filter hands back for the client at `ip`; None if none is waited for."""
        waiting = self.memory.get((host, ip), time - _WAITING) if len(self.memory) else None
        if not waiting:
            return None
        accounts = {account for _, account in waiting}
        left = waiting[1:] if len(accounts) == 1 else _unknown(waiting[1:])
        self._leave(time, (host, ip), left)
        return accounts.pop() if len(accounts) == 1 else None, client, None

    def end(self, time: float, row: Row) -> None:
        """The process has done with its client."""
        host, pid, _, ip = row[:4]
        if len(self.memory) and (host, ip) in self.memory:
            self._leave(time, (host, ip), self._others(time, host, pid, ip))

    def expire(self, clock: float) -> None:
        """Forget what is too old by the site's time."""
        self.memory.expire(clock - _WAITING)

    def _others(self, time: float, host: bytes | None, pid: bytes | None, ip: bytes | None) -> Waiting:
        waiting = self.memory.get((host, ip), time - _WAITING) or []
        return [(number, account) for number, account in waiting if number != text(pid)]

    def _leave(self, time: float, name: tuple[bytes | None, bytes | None], left: Waiting) -> None:
        if left:
            self.memory.put(name, left, time, proven=any(account for _, account in left))
        else:
            self.memory.drop(name)


def _unknown(waiting: Waiting) -> Waiting:
    return [(number, None) for number, _ in waiting]
