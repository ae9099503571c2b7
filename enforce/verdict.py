"""What the records on a key mean for one attempt: an SMTP reply or none, and what to log. No I/O.

Rules:
* The most severe enforced record that has something to say about the attempt decides. `block` and `tempfail` refuse it,
  `throttle` refuses the share of attempts that its lot falls to, `hold` lets it in, to be quarantined at its end.
* A `cap` stands beside whatever else lets the attempt in: it refuses the recipients of a message beyond the first
  `max_recipients`. The smallest one counts.
* A record on `account:*` counts for an account as if it were its own, unless the account has one of the same action:
  an enforced one hides both kinds, an observed one only an observed one.
* An observed record never changes a reply. It gives a note of what it would have done, beside whatever else happens.
* An enforced record that lacks what its action needs lets mail through and is handed back as `unenforced`, to be told.
* A reply ends in ` (case REF)`, is printable ASCII, a line or several of at most 512 octets with code and CRLF; accents
  are taken off letters, and what has no letter below is a `?`.

**The lot.** A throttle keeps no count: an attempt is refused if its lot, a number from 0 to 1, is not below `share`.
The lot is a hash of whose attempt it is, its connection, its number therein, and the table's generation, keyed with the
table's seed. So each attempt draws anew and retrying wins nothing; over many, the share admitted is `share` (n
attempts: within 2 √(share (1 - share) / n) nineteen times in twenty); no sender can foresee a lot; all milters on one
table would give the same answer. Where several throttles meet one attempt, the smallest share counts.

The log line of a verdict, program `mailbrake`, facility mail, one line for each note:

    verdict: ACTION, mode=MODE, stage=STAGE, ref=REF, rule=RULE, key=KIND, client_ip=ADDRESS, sasl_username=LOGIN

    ACTION   `throttle`, `tempfail`, `block` (the attempt was refused), `cap` (the recipient was), `hold` (the message
             was accepted, and is held); with `would-` before it where that was only observed
    MODE     `enforce` | `observe`
    STAGE    `CONNECT` | `MAIL` | `RCPT` | `EOM`
    REF      the case: [A-Za-z0-9._-]+
    RULE     the rule's name: printable, no comma
    KIND     `account` | `client` | `net`: what kind of key the record was on
    ADDRESS  the client's address in its shortest form, or `unknown` (no address, such as a unix socket; or, with a
             count, more addresses than there was room for)
    LOGIN    as the MTA names it, what is not printable as in its key (enforce.key), and the key's cut of one with more
             than 512 characters, so that whoever reads it comes to the same key; to the end of the line, as it may hold
             anything else, also `, key=`. At CONNECT, and without AUTH, there is no `, sasl_username=`.

The fields come in this order, and only LOGIN, the last one, is under a sender's control. A line that stands for N > 1
equal verdicts (enforce.repeats) has `, count=N` between KIND and `, client_ip=`.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from enforce.key import EVERYBODY, account
from enforce.printable import escaped
from enforce.table import ACTIONS, Answer, Denied, Record

_WHOM = {"account": "this account", "client": "your address", "net": "your network"}
_LONGEST_LINE = 490  # of 512 octets, "450 4.7.1 " and CRLF apart; libmilter takes 980, and each % is two on the way
_LONGEST_HELP = 300
_MOST_LINES = 16  # libmilter takes 32
_LONGEST_LOGIN = 512


class Reply(NamedTuple):
    """An SMTP reply: "450", "4.7.1", text; lines of the text end in a newline, all but the last."""

    code: str
    status: str
    text: str


REPLIES: Final = {
    "cap": Reply("452", "4.5.3", "Too many recipients for {whom} in one message, send the rest later"),
    "throttle": Reply("450", "4.7.1", "Too much mail from {whom}, try again later"),
    "tempfail": Reply("450", "4.7.1", "Too much mail from {whom}, try again later"),
    "block": Reply("550", "5.7.1", "Sending is blocked for {whom}"),
}


class Wording(NamedTuple):
    """What the site says: sentences by action, in place of those in REPLIES, and what stands behind each of them."""

    texts: Mapping[str, str] = {}
    help: str = ""


class Attempt(NamedTuple):
    """What a lot is drawn for: whose attempt, in which connection, which message of it (0: the connection itself)."""

    who: str = ""
    connection: str = ""
    number: int = 0


class Note(NamedTuple):
    """What was done, or would have been, and because of which record on what kind of key."""

    action: str
    mode: str
    ref: str
    rule: str
    kind: str


class LoggedVerdict(NamedTuple):
    """A verdict as it is logged: a note, where in the session, by which client, with which login if any."""

    note: Note
    stage: str
    client_ip: str
    login: str | None = None


class Cap(NamedTuple):
    """The most recipients of a message, and what to answer to the others; no reply where it is only observed."""

    most: int
    note: Note
    reply: Reply | None


class Verdict(NamedTuple):
    """What to answer (None: let it pass), what to log, and what cannot be done; and what holds for its messages.

    `hold` is to be logged when the message is held, `caps` when a recipient is one too many.
    """

    reply: Reply | None = None
    notes: tuple[Note, ...] = ()
    unenforced: tuple[Note, ...] = ()
    caps: tuple[Cap, ...] = ()
    hold: Note | None = None


ACCEPT: Final = Verdict()
_NOBODYS: Final = Attempt()
_OURS: Final = Wording()
_NEEDS: Final[Mapping[str, Callable[[Record], object]]] = {
    "cap": lambda record: record.max_recipients,
    "throttle": lambda record: record.share,
}
_Listed = tuple[str, Record]


def decide(answer: Answer, attempt: Attempt = _NOBODYS, wording: Wording = _OURS) -> Verdict:
    """The verdict on an attempt, from what the table says of its keys; anything but Denied lets it pass."""
    if not isinstance(answer, Denied):
        return ACCEPT
    records = _counting(answer.records)
    able = [(key, record) for key, record in records if _is_able(record)]
    unable = [(key, record) for key, record in records if not _is_able(record) and record.mode == "enforce"]
    number = lot(answer.seed, attempt, answer.generation)
    met = [(key, record) for key, record in able if _meets(record, number)]
    observed = tuple(_note(key, record) for key, record in met if record.mode == "observe")
    unenforced = tuple(_note(key, record) for key, record in unable)
    verdict = Verdict(None, observed, unenforced, _caps(able, wording))
    enforced = [(key, record) for key, record in met if record.mode == "enforce"]
    if not enforced:
        return verdict
    key, worst = max(enforced, key=lambda pair: ACTIONS.index(pair[1].action))
    note = _note(key, worst)
    if worst.action == "hold":
        return verdict._replace(hold=note)
    return Verdict(reply_of(key, worst, wording), (note, *observed), unenforced)


def lot(seed: str, attempt: Attempt, generation: int) -> float:
    """The lot of an attempt: 0 ≤ lot < 1, even, and not to be foreseen without the seed."""
    drawn = "\0".join((attempt.who, attempt.connection, str(attempt.number), str(generation)))
    digest = hashlib.blake2b(drawn.encode(errors="replace"), digest_size=6, key=seed.encode()[:64]).digest()
    return int.from_bytes(digest) / (1 << 48)


def capped(caps: Sequence[Cap], recipients: int) -> list[Cap]:
    """Those caps that this many recipients of a message are too many for."""
    return [cap for cap in caps if recipients > cap.most]


def _counting(records: Sequence[_Listed]) -> list[_Listed]:
    own = {(record.action, record.mode) for key, record in records if key != EVERYBODY}

    def is_hidden(record: Record) -> bool:
        return (record.action, "enforce") in own or (record.action, record.mode) in own

    counting = [pair for pair in records if pair[0] != EVERYBODY or not is_hidden(pair[1])]
    return [(key, record) for key, record in counting if record.action != "observe"]


def _is_able(record: Record) -> bool:
    return record.action not in _NEEDS or _NEEDS[record.action](record) is not None


def _meets(record: Record, number: float) -> bool:
    return record.action != "cap" and (record.share is None or record.action != "throttle" or number >= record.share)


def _caps(records: Sequence[_Listed], wording: Wording) -> tuple[Cap, ...]:
    """The smallest enforced cap, and the smallest observed one."""
    found: dict[str, Cap] = {}
    for key, record in records:
        if record.action == "cap" and record.max_recipients is not None:
            reply = reply_of(key, record, wording) if record.mode == "enforce" else None
            cap = Cap(record.max_recipients, _note(key, record), reply)
            found[record.mode] = min(found.get(record.mode, cap), cap, key=lambda cap: cap.most)
    return tuple(found[mode] for mode in ("enforce", "observe") if mode in found)


def _note(key: str, record: Record) -> Note:
    action = record.action if record.mode == "enforce" else f"would-{record.action}"
    return Note(action, record.mode, record.ref, record.rule, _kind(key))


def _kind(key: str) -> str:
    return key.partition(":")[0]


def reply_of(key: str, record: Record, wording: Wording = _OURS) -> Reply:
    """What a record says to a client."""
    reply = REPLIES[record.action]
    sentence = record.text or wording.texts.get(record.action) or reply.text
    help_ = f"; {_ascii(wording.help)[:_LONGEST_HELP]}" if wording.help else ""
    tail = f"{help_} (case {record.ref})"
    *lines, last = sentence.replace("{whom}", _WHOM.get(_kind(key), "you")).split("\n")[:_MOST_LINES]
    plain = [_ascii(line)[:_LONGEST_LINE] for line in lines]
    return reply._replace(text="\n".join([*plain, _ascii(last)[: _LONGEST_LINE - len(tail)] + tail]))


def _ascii(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    letters = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join(c if " " <= c <= "~" else "?" for c in letters)


def line(said: LoggedVerdict, count: int = 1) -> str:
    """The log line of `count` equal verdicts, without time, host and program; the login may hold anything."""
    note, stage, client_ip, login = said
    fields = f"verdict: {note.action}, mode={note.mode}, stage={stage}, ref={note.ref}, rule={note.rule}"
    fields += f", key={note.kind}{f', count={count}' if count > 1 else ''}, client_ip={client_ip}"
    return fields if login is None else f"{fields}, sasl_username={_name(login)}"


def _name(login: str) -> str:
    name = escaped(login)
    return name if len(name) <= _LONGEST_LOGIN else (account(login) or "").removeprefix("account:")
