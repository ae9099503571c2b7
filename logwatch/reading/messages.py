"""The messages of a queue, by host and queue id: whose each is, and which of them are one message again.

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

Bounds: 500,000 open messages, 100,000 of those whose recipients are unknown, and 100,000 message ids; a message is
forgotten after six days (Postfix bounces after five), a message id (up to 255 bytes) after an hour. Messages that never
came into the queue go first.
"""

from __future__ import annotations

import re
from json import dumps, loads
from typing import Any

from logwatch.memory import Memory
from logwatch.reading.owners import NAMES, NOBODY, Keys, Name, Owner, Told, is_loopback, text
from logwatch.reading.rows import Row

_OPEN = 6 * 86400.0
_RETURN = 3600.0  # how long a content filter may take
_RETURNS = 3  # how many filters may follow each other
_ADDED = 2  # recipients that a copy may have more: those of always_bcc and the like
_LONGEST_ID = 255  # bytes of a message id; no program makes longer ones

# What the next host, or local delivery, says that it made of a message.
_RENAMED = re.compile(
    rb"queued as ([0-9A-Za-z]{5,24})\)?\Z|(?:\A|\s)([0-9A-Za-z]{8,24}) Message accepted for delivery\Z"
)
_FORWARDED = re.compile(rb"forwarded as ([0-9A-Za-z]{5,24})\Z")

_FINAL = (b"sent", b"bounced")  # of a recipient, once

_MAY_BE_LOOPBACK = re.compile(rb"127\.|[^.]*:")  # most relays are neither

# Whose it is, whether it has been counted, and how many recipients it had. Of one that seems to have come back: how
# many the first had, and whose it is otherwise.
Message = tuple[Owner, bool, int | None, Owner | None]
CUT: Message = (NOBODY, True, 0, None)  # of which only a part came: nobody's, and nothing to count


class Messages:
    """All that are in the queue; the fields of a row are those that `rows` gives."""

    def __init__(self, clients: Keys, told: Told) -> None:
        self.queue: Memory[Message] = Memory("messages", 500_000, _written, _read, NAMES)
        self.ids: Memory[Any] = Memory("message ids", 100_000, names=NAMES)  # newest queue id, returns
        self.unnamed: Memory[bool] = Memory("unnamed recipients", 100_000, names=NAMES)  # whether one has been named
        self._clients = clients
        self._told = told

    def memories(self) -> tuple[Memory[Any], ...]:
        """All that is remembered."""
        return self.queue, self.ids, self.unnamed

    def get(self, time: float, host: bytes | None, queue_id: bytes | None) -> Message | None:
        """A message that is still open."""
        return None if queue_id is None else self.queue.get((host, queue_id), time - _OPEN)

    def owner(self, time: float, host: bytes | None, queue_id: bytes | None) -> Owner | None:
        """Whose a message is that is still open."""
        message = self.get(time, host, queue_id)
        return message and message[0]

    def accept(self, time: float, row: Row, owner: Owner, *, again: bool) -> None:
        """Postfix has taken a message; it counts when it is queued, unless it is known to come `again`."""
        self.queue.put((row[0], row[2]), (owner, again, None, None), time, proven=again)

    def recognise(self, time: float, row: Row, message_id: bytes | None) -> Owner:
        """Postfix names the message's id: maybe the same message again. Whose it is."""
        host, _, queue_id = row[:3]
        owner = self.owner(time, host, queue_id) or NOBODY  # nobody's: a bounce, or something forwarded
        original = self._original(time, (host, message_id), queue_id, owner)
        if original is None:
            return owner
        first, _, nrcpt, _ = original
        self.queue.put((host, queue_id), (first, True, nrcpt, owner), time)
        return first

    def enqueue(self, time: float, row: Row, message: Message, nrcpt: bytes | None) -> tuple[Owner, bool]:
        """Postfix has put a message of which it told before into its queue: whose it is, and whether it counts now."""
        owner, counted, most, otherwise = message
        if counted and not (otherwise and _has_grown(most, nrcpt)):
            return owner, False
        owner = otherwise or owner
        self.queue.put((row[0], row[2]), (owner, True, _number(nrcpt), None), time)
        return owner, True

    def arrive(self, time: float, row: Row, owner: Owner) -> tuple[Owner, bool]:
        """A message of which nothing was told before is in the queue: whose it is, and whether it counts."""
        host, _, queue_id, _, _, _, nrcpt, message_id, _, unnamed = row[:10]
        original = self._original(time, (host, message_id), queue_id, owner)
        if original and not _has_grown(original[2], nrcpt):
            self.queue.put((host, queue_id), (original[0], True, original[2], None), time)
            return original[0], False
        self.queue.put((host, queue_id), (owner, True, _number(nrcpt), None), time)
        if unnamed is not None:
            self.unnamed.put((host, queue_id), False, time)
        return owner, True

    def deliver(self, time: float, row: Row, owner: Owner) -> None:
        """What became of a message for one recipient, or of it and all of them."""
        host, _, queue_id, _, _, response, relay_host, relay_ip, status = row[:9]
        if len(self.unnamed) and status in _FINAL:
            self._name(time, (host, queue_id))
        if relay_ip:
            here = _MAY_BE_LOOPBACK.match(relay_ip) and is_loopback(self._clients[relay_ip])
            found = _RENAMED.search(response or b"") if here else None
        else:
            found = _FORWARDED.match(response or b"") if relay_host == b"local" else None
        if found:  # the queue id that it has next on this machine
            name = (host, found[found.lastindex or 1])
            replaced = self.owner(time, *name)
            if replaced is not None and _is_from_here(replaced):
                self.queue.put(name, (owner, True, None, None), time)

    def bounce(self, time: float, host: bytes | None, queue_id: bytes) -> None:
        """A notification is in the queue: nobody's. Sendmail's have no line of their own but their deliveries."""
        if self.get(time, host, queue_id) is None:
            self.queue.put((host, queue_id), (NOBODY, True, None, None), time)

    def cut(self, time: float, row: Row) -> None:
        """Sendmail lost the client within a message: its line of acceptance comes all the same."""
        self.queue.put((row[0], row[2]), CUT, time, proven=False)

    def remove(self, host: bytes | None, queue_id: bytes | None) -> None:
        """All has been done with it."""
        self.queue.drop((host, queue_id))
        self.unnamed.drop((host, queue_id))

    def expire(self, clock: float) -> None:
        """Forget what is too old by the site's time."""
        self.queue.expire(clock - _OPEN)
        self.ids.expire(clock - _RETURN)
        self.unnamed.expire(clock - _OPEN)

    def _name(self, time: float, message: Name) -> None:
        """A recipient has been named: one more, unless it is the first, which counted on acceptance."""
        named = self.unnamed.get(message, time - _OPEN)
        if named is not None:
            self._told.count = int(named)
            if not named:
                self.unnamed.put(message, True, time)

    def _original(self, time: float, name: Name, queue_id: bytes | None, owner: Owner) -> Message | None:
        """The message that this one was before, if it was; from now on its message id means this one."""
        host, message_id = name
        if not message_id or len(message_id) > _LONGEST_ID:
            return None
        known, returns = self.ids.get(name, time - _RETURN) or ("", 0)
        if known == text(queue_id):  # a header that stands there twice
            return None
        original = self.get(time, host, known.encode("latin-1")) if known else None
        if original is None or not original[1] or not _is_from_here(owner):
            original, returns = None, -1
        if returns == _RETURNS:
            return None
        self.ids.put(name, (text(queue_id), returns + 1), time)
        return original


def _is_from_here(owner: Owner) -> bool:
    """Whether a message was handed in by a program of this machine that did not log in, or by the MTA itself."""
    account, client, local = owner
    return account is None and (client is None or is_loopback(client) or local is not None)


def _number(nrcpt: bytes | None) -> int | None:
    return int(nrcpt[:9]) if nrcpt else None


def _has_grown(most: int | None, nrcpt: bytes | None) -> bool:
    """Whether this is too many recipients for a copy of a message."""
    found = _number(nrcpt)
    return most is not None and found is not None and found > most + _ADDED


# Kept as one flat list of four to eight.


def _written(message: Message) -> bytes:
    owner, counted, nrcpt, otherwise = message
    return dumps([*owner, counted, nrcpt, *(otherwise or ())]).encode()


def _read(written: bytes) -> Message:
    account, client, local, counted, *more = loads(written)
    nrcpt, *otherwise = more or [None]
    return (account, client, local), counted, nrcpt, tuple(otherwise) or None
