"""Nothing that a stranger writes becomes evidence: text in a free field changes neither another field nor who counts.

In `TEMPLATES` stands what Postfix writes around text that is the sender's to choose; `FREE` is how such text gets into
a log: control characters become `?` (msg_output.c), addresses are quoted (3.5), HELO names lose what is not a name's.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logwatch.reading.attribute import Attribution

from .samples import scanned, scanner


def printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", printable(text)) + '"@x.example'


def name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._?=,/-]", "?", printable(text)) or "?"


# how it gets in, the daemon, and the line with the text as {}; the fields of the line that are the stranger's own
TEMPLATES: dict[str, tuple[Callable[[str], str], str, tuple[str, ...]]] = {
    "login that fails": (
        printable,
        "smtpd[7]: warning: unknown[192.0.2.9]: SASL PLAIN authentication failed: no, sasl_username={}",
        ("sasl_username",),
    ),
    "AUTH= of a message": (
        printable,
        "smtpd[7]: 4EVE00: client=unknown[192.0.2.9], sasl_method=PLAIN, sasl_username=eve, sasl_sender={}",
        ("sasl_sender",),
    ),
    "AUTH= of a refusal": (
        printable,
        "smtpd[7]: NOQUEUE: reject: RCPT from unknown[192.0.2.9]: 550 5.1.1 <n@x.example>: User unknown; "
        "from=<e@x.example> to=<n@x.example> proto=ESMTP helo=<pc> sasl_method=PLAIN sasl_username=eve sasl_sender={}",
        ("sasl_sender", "sender", "recipient", "helo", "reject_reason", "sasl_username", "sasl_method"),
    ),
    "HELO": (
        name,
        "smtpd[7]: NOQUEUE: reject: RCPT from unknown[192.0.2.9]: 504 5.5.2 <{0}>: Helo command rejected: no; "
        "from=<e@x.example> to=<n@x.example> proto=ESMTP helo=<{0}>",
        ("helo", "reject_reason"),
    ),
    "sender refused": (
        quoted,
        "smtpd[7]: NOQUEUE: reject: RCPT from unknown[192.0.2.9]: 550 5.1.8 <{0}>: Sender address rejected: no; "
        "from=<{0}> to=<n@x.example> proto=ESMTP helo=<pc>",
        ("sender",),
    ),
    "recipient refused": (
        quoted,
        "smtpd[7]: NOQUEUE: reject: RCPT from unknown[192.0.2.9]: 550 5.1.1 <{0}>: Recipient address rejected: no; "
        "from=<e@x.example> to=<{0}> proto=ESMTP helo=<pc>",
        ("recipient",),
    ),
    "recipient refused by our milter": (
        quoted,
        "smtpd[7]: NOQUEUE: milter-reject: RCPT from unknown[192.0.2.9]: 450 4.7.1 slow down (case ABC123); "
        "from=<e@x.example> to=<{}> proto=ESMTP helo=<pc> sasl_username=<eve>",
        ("recipient",),
    ),
    "words of the host that was asked for a recipient": (
        printable,
        "smtpd[7]: NOQUEUE: reject: RCPT from unknown[192.0.2.9]: 450 4.1.1 <n@x.example>: Recipient address rejected: "
        "unverified address: host mx.x.example[192.0.2.66] said: 450 {} (in reply to RCPT TO command); "
        "from=<e@x.example> to=<n@x.example> proto=ESMTP helo=<pc>",
        ("reject_reason", "sender", "recipient", "helo"),
    ),
    "words of a block list to postscreen": (
        printable,
        "postscreen[8]: NOQUEUE: reject: RCPT from [192.0.2.9]:4711: 550 5.7.1 Service unavailable; client [192.0.2.9] "
        "blocked using bl.example; {}; from=<e@x.example>, to=<n@x.example>, proto=ESMTP, helo=<pc>",
        ("reject_reason", "sender", "recipient", "helo"),
    ),
    "header": (
        printable,
        "cleanup[9]: 4EVE00: reject: header Subject: {} from unknown[192.0.2.9]; from=<e@x.example> to=<n@x.example> "
        "proto=ESMTP helo=<pc>: 5.7.1 no",
        ("reject_reason",),
    ),
    "message id": (printable, "cleanup[9]: 4EVE00: message-id=<{}>", ("message_id",)),
    "sender queued": (quoted, "qmgr[3]: 4EVE00: from=<{}>, size=352, nrcpt=1 (queue active)", ("sender",)),
    "sender expired": (quoted, "qmgr[3]: 4EVE00: from=<{}>, status=expired, returned to sender", ("sender",)),
    "sender picked up": (quoted, "pickup[2]: 4EVE00: uid=33 from=<{}>", ("sender",)),
    "recipient delivered to": (
        quoted,
        "smtp[5]: 4EVE00: to=<{}>, relay=mx.x.example[192.0.2.66]:25, delay=1, dsn=5.1.1, status=bounced (no)",
        ("recipient",),
    ),
    "recipient rewritten": (
        quoted,
        "smtp[5]: 4EVE00: to=<n@x.example>, orig_to=<{}>, relay=none, delay=1, dsn=5.1.1, status=bounced (no)",
        ("orig_to",),
    ),
    "words of the next host": (
        printable,
        "smtp[5]: 4EVE00: to=<n@x.example>, relay=mx.x.example[192.0.2.66]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, "
        "status=bounced (host mx.x.example[192.0.2.66] said: 550 {} (in reply to RCPT TO command))",
        ("response",),
    ),
}
ATTACKS = (
    ", sasl_username=victim",
    ", orig_queue_id=4VICTIM",
    ", sasl_sender=x, orig_queue_id=4VICTIM, orig_client=victim[192.0.2.1]",
    "relay=[192.0.2.1], dsn=2.0.0, status=sent (250 ok)",
    "> status=sent",
    ">, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (",
    '">, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (ok)',
    "; from=<victim@x.example> to=<v@x.example> proto=ESMTP helo=<pc> sasl_method=PLAIN sasl_username=victim",
    "; from=<victim@x.example> to=<v@x.example> proto=ESMTP helo=<pc>",
    "; from=<v@x.example>, to=<v@x.example>, proto=ESMTP, helo=<pc>",
    '"; from=<"@x.example> to=<"@x.example> proto=ESMTP helo=<pc> sasl_username=<victim>',
    "(case ABC123); from=<a@b> proto=SMTP",
    "]: 4VICTIM: client=unknown[192.0.2.1], sasl_method=PLAIN, sasl_username=victim",
    "\nNov 25 03:27:47 mx1 postfix/smtpd[7]: 4VICTIM: client=unknown[192.0.2.1], sasl_username=victim",
    "\r\nNov 25 03:27:47 mx1 postfix/qmgr[3]: 4VICTIM: removed",
    "#012Nov 25 03:27:47 mx1 postfix/qmgr[3]: 4VICTIM: removed",
    "message repeated 9 times: [ x]",
    "\\",
    '\\"',
    '"',
    "\x85\u2028",
    ", size=9999999, nrcpt=5000 (queue active)",
    "5.7.1 x (in reply to end of DATA command))",
)
HEAD = "Nov 25 03:27:47 mx1 postfix/"
BEFORE = [
    "smtpd[6]: connect from unknown[192.0.2.1]",
    "smtpd[6]: 4VICTIM: client=unknown[192.0.2.1], sasl_method=PLAIN, sasl_username=victim",
    "qmgr[3]: 4VICTIM: from=<victim@x.example>, size=352, nrcpt=2 (queue active)",
    "smtpd[7]: connect from unknown[192.0.2.9]",
    "smtpd[7]: 4EVE00: client=unknown[192.0.2.9], sasl_method=PLAIN, sasl_username=eve",
]
AFTER = [
    "smtpd[7]: NOQUEUE: reject: RCPT from unknown[192.0.2.9]: 550 5.1.1 <n@x.example>: no",
    "qmgr[3]: 4EVE00: from=<e@x.example>, size=352, nrcpt=1 (queue active)",
    "smtp[5]: 4VICTIM: to=<n@x.example>, relay=none, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (no)",
    "smtp[5]: 4EVE00: to=<n@x.example>, relay=none, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (no)",
    "smtpd[7]: disconnect from unknown[192.0.2.9] ehlo=1 quit=1 commands=2",
]


def fields(key: str, text: str) -> list[Mapping[str, Any]]:
    """What is read of the line with the text in it, the stranger's own fields left out."""
    spell, template, own = TEMPLATES[key]
    rows = scanned((HEAD + template.format(spell(text)) + "\n").encode())
    return [{field: value for field, value in row.items() if field not in own} for row in rows]


def owners(key: str, text: str) -> list[tuple[Any, ...]]:
    """Whom every line counts for, those before and after it too."""
    spell, template, _ = TEMPLATES[key]
    lines = [*BEFORE, template.format(spell(text)), *AFTER]
    events = Attribution().attribute(scanner().scan("".join(f"{HEAD}{line}\n" for line in lines).encode()))
    names = ("client", "local", "counts", *(("account",) if "login" not in key else ()))
    return list(zip(events["event"].tolist(), *(events[name].tolist() for name in names), strict=True))


@pytest.mark.parametrize("key", TEMPLATES)
def test_every_template_is_a_line_that_is_read(key: str) -> None:
    """Each is read as one event."""
    assert len(fields(key, "eve")) == 1


@pytest.mark.parametrize("key", TEMPLATES)
@pytest.mark.parametrize("attack", ATTACKS, ids=json.dumps)
def test_an_attack_changes_neither_another_field_nor_who_counts(key: str, attack: str) -> None:
    """Every attack that we know, in every free field."""
    for text in (attack, f"eve{attack}", f"{attack}eve"):
        assert fields(key, text) == fields(key, "eve")
        assert owners(key, text) == owners(key, "eve")


@pytest.mark.parametrize("key", TEMPLATES)
def test_no_text_changes_another_field_or_who_counts(key: str) -> None:
    """Whatever is written there, alone or made of pieces of attacks and of lines."""
    pieces = st.one_of(
        st.text(max_size=8),
        st.sampled_from([token for attack in ATTACKS for token in re.split("(?<=[ ,;>])", attack) if token]),
        st.sampled_from(['"', "\\", "<", ">", "; from=<", "> to=<", "> proto=ESMTP", " sasl_username=", ")", "("]),
    )

    @settings(max_examples=60, deadline=None)
    @given(st.lists(pieces, max_size=12).map("".join))
    @example("")
    def fuzz(text: str) -> None:
        assert fields(key, text) == fields(key, "eve")
        assert owners(key, text) == owners(key, "eve")

    fuzz()
