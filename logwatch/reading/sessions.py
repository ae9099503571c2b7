"""What each process of an MTA is busy with: a client's session, from `connect` (or `AUTH=server`) to `disconnect`.

What happens before a message is accepted is known by host and process id only, and one smtpd serves many sessions one
after another. A session of another client than the line's is not its own.

Sendmail has a process for each connection, and logs neither its beginning nor, where there was mail, its end; numbers
of processes come again within a day. So the first line of a process that names its client `opens` a connection, where
none was logged. A line that names nobody belongs to the session only where its queue id begins as that of the session's
mail: six characters tell when the process began. Of a process of which nothing is known yet, such lines
(`User unknown`) do not count, but its next one that names the client (`from=`, or the end of the session) has their
number as its `count`.

Bounds: 100,000 sessions, each for a day. Those in which nobody logged in go first: anybody can have as many as he
likes.
"""

from __future__ import annotations

from json import dumps, loads

from logwatch.memory import Memory
from logwatch.reading.owners import NAMES, NOBODY, Keys, Owner, Told, text
from logwatch.reading.rows import Row

_SESSION = 86400.0
_BEGINNING = 6  # characters of Sendmail's queue ids: year, month, day, hour, minute and second of their process

# Whose it is; of Sendmail's also how many recipients were refused while nobody knew for whom, and how its queue ids
# begin.
Session = tuple[Owner, int, str | None]
_NONE: Session = (NOBODY, 0, None)


class Sessions:
    """The sessions of all processes; the fields of a row are those that `rows` gives."""

    def __init__(self, clients: Keys, told: Told) -> None:
        self.memory: Memory[Session] = Memory("sessions", 100_000, _written, _read, NAMES)
        self._clients = clients
        self._told = told

    def connect(self, time: float, row: Row, owner: Owner) -> None:
        """Postfix's or Dovecot's line of a new connection."""
        host, pid = row[:2]
        if pid:
            self.memory.put((host, pid), (owner, 0, None), time, proven=False)

    def begin(self, time: float, row: Row, owner: Owner, known: bytes | None, peer: bytes | None) -> None:
        """A line that tells whose it is; `known`: the client or user that it names; `peer`: not None if Sendmail's."""
        host, pid, queue_id = row[:3]
        if pid:
            self._told.opens = peer is not None and self.is_new(time, row)
            self._tell_late(time, (host, pid), known, queue_id)
            session = (owner, 0, None if peer is None else _beginning(queue_id))
            self.memory.put((host, pid), session, time, proven=owner[0] is not None)

    def end(self, time: float, row: Row, peer: bytes | None) -> None:
        """The process has done with its client."""
        host, pid, queue_id, ip = row[:4]
        if pid:
            self._told.opens = peer is not None and self.is_new(time, row)
            self._tell_late(time, (host, pid), ip, queue_id)
            self.memory.drop((host, pid))

    def refuse(self, time: float, row: Row) -> None:
        """A recipient was refused, and nobody knows yet for whom."""
        host, pid, queue_id = row[:3]
        begins = _beginning(queue_id)
        _, refused, began = self._get(time, row)
        before = refused if began == begins else 0
        self.memory.put((host, pid), (NOBODY, before + 1, begins), time, proven=False)

    def owner(self, time: float, row: Row, client: str | None) -> Owner:
        """Whose the session of a line's process is; nobody's where that had another client, or was another process."""
        owner, _, begins = self._get(time, row)
        if client is None:
            return owner if _may_be_of(begins, row[2]) else NOBODY
        unnamed = owner[1] is None and owner[2] is None
        return owner if unnamed or client == owner[1] else NOBODY

    def is_new(self, time: float, row: Row) -> bool:
        """Whether a line names a client of which its process has said nothing yet."""
        return self._get(time, row)[0][1] != self._clients[row[3]]

    def expire(self, clock: float) -> None:
        """Forget what is too old by the site's time."""
        self.memory.expire(clock - _SESSION)

    def _get(self, time: float, row: Row) -> Session:
        host, pid = row[:2]
        return self.memory.get((host, pid), time - _SESSION) or _NONE

    def _tell_late(
        self, time: float, process: tuple[bytes | None, bytes], known: bytes | None, queue_id: bytes | None
    ) -> None:
        """What the process refused while nobody knew for whom counts with this line."""
        _, refused, begins = self.memory.get(process, time - _SESSION) or _NONE
        if refused and known and _may_be_of(begins, queue_id):
            self._told.count = refused


def _beginning(queue_id: bytes | None) -> str | None:
    return text(queue_id[:_BEGINNING]) if queue_id else None


def _may_be_of(begins: str | None, queue_id: bytes | None) -> bool:
    """Whether a queue id may be of a session's process, as far as is known."""
    return begins is None or queue_id is None or begins == _beginning(queue_id)


# Kept as one flat list of three or five.


def _written(session: Session) -> bytes:
    owner, refused, begins = session
    return dumps([*owner, refused, begins]).encode()


def _read(written: bytes) -> Session:
    account, client, local, refused, begins = [*loads(written), 0, None][:5]
    return (account, client, local), refused, begins
