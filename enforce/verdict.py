"""What the records on a key mean for one attempt: an SMTP reply or none, and what to log. No I/O.

Rules:
* The most severe enforced record that can be acted upon gives the reply. Where none can, mail flows.
* An observed record never changes a reply. It gives a note of what it would have done, beside whatever else happens.
* An enforced record whose action is not in REPLIES lets mail through and is handed back as `unenforced`, to be told.
* A reply ends in ` (case REF)`, is one line of printable ASCII and at most 512 octets with code and CRLF.

The log line of a verdict, program `mailbrake`, facility mail, one line for each note:

    verdict: ACTION, mode=MODE, stage=STAGE, ref=REF, rule=RULE, key=KIND, client_ip=ADDRESS, sasl_username=LOGIN

    ACTION   `tempfail` or `block` where that was the reply; `would-` and any action but `observe` where it was observed
    MODE     `enforce` | `observe`
    STAGE    `CONNECT` | `MAIL`
    REF      the case: [A-Za-z0-9._-]+
    RULE     the rule's name: printable, no comma
    KIND     `account` | `client` | `net`: what kind of key the record was on
    ADDRESS  the client's address in its shortest form, or `unknown` (no address, such as a unix socket)
    LOGIN    as the MTA names it, what is not printable as `?`, at most 512 characters; to the end of the line, as it
             may hold anything else, also `, key=`. At CONNECT there is no login and no `, sasl_username=`.

The fields come in this order, and only LOGIN, the last one, is under a sender's control.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from enforce.table import ACTIONS, Answer, Denied, Record

_WHOM = {"account": "this account", "client": "your address", "net": "your network"}
_LONGEST_TEXT = 500  # 512 octets less "450 4.7.1 " and CRLF
_LONGEST_LOGIN = 512


class Reply(NamedTuple):
    """An SMTP reply: "450", "4.7.1", text."""

    code: str
    status: str
    text: str


REPLIES: Final = {
    "tempfail": Reply("450", "4.7.1", "Too much mail from {whom}, try again later"),
    "block": Reply("550", "5.7.1", "Sending is blocked for {whom}"),
}


class Note(NamedTuple):
    """One line for the log: what was done, or would have been, and because of which record on what kind of key."""

    action: str
    mode: str
    ref: str
    rule: str
    kind: str


class Verdict(NamedTuple):
    """What to answer (None: let it pass), what to log, and enforced records that could not be acted upon."""

    reply: Reply | None = None
    notes: tuple[Note, ...] = ()
    unenforced: tuple[Note, ...] = ()


ACCEPT: Final = Verdict()


def decide(answer: Answer) -> Verdict:
    """The verdict on an attempt, from what the table says of its keys; anything but Denied lets it pass."""
    if not isinstance(answer, Denied):
        return ACCEPT
    enforced = [(key, record) for key, record in answer.records if record.mode == "enforce"]
    able = [(key, record) for key, record in enforced if record.action in REPLIES]
    observed = tuple(
        _note(f"would-{record.action}", key, record)
        for key, record in answer.records
        if record.mode == "observe" and record.action != "observe"
    )
    unenforced = tuple(
        _note(record.action, key, record)
        for key, record in enforced
        if record.action not in REPLIES and record.action != "observe"
    )
    if not able:
        return Verdict(None, observed, unenforced)
    key, worst = max(able, key=lambda pair: ACTIONS.index(pair[1].action))
    return Verdict(_reply(key, worst), (_note(worst.action, key, worst), *observed), unenforced)


def _note(action: str, key: str, record: Record) -> Note:
    return Note(action, record.mode, record.ref, record.rule, _kind(key))


def _kind(key: str) -> str:
    return key.partition(":")[0]


def _reply(key: str, record: Record) -> Reply:
    reply = REPLIES[record.action]
    case = f" (case {record.ref})"
    sentence = record.text or reply.text.format(whom=_WHOM.get(_kind(key), "you"))
    plain = "".join(c if " " <= c <= "~" else "?" for c in sentence)
    return reply._replace(text=plain[: _LONGEST_TEXT - len(case)] + case)


def line(note: Note, stage: str, client_ip: str, login: str | None = None) -> str:
    """The verdict's log line, without time, host and program; `login` may hold anything."""
    fields = f"verdict: {note.action}, mode={note.mode}, stage={stage}, ref={note.ref}, rule={note.rule}"
    fields += f", key={note.kind}, client_ip={client_ip}"
    return fields if login is None else f"{fields}, sasl_username={printable(login[:_LONGEST_LOGIN])}"


def printable(text: str) -> str:
    """`text` with a `?` for each character that is not printable, line ends among them."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
