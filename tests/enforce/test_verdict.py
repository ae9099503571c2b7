"""The verdict: which reply, which log lines, and what no record and no login can do to them."""

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enforce.table import ACTIONS, MODES, NOT_LISTED, Denied, Record, Unusable
from enforce.verdict import ACCEPT, REPLIES, Note, Reply, decide, line

from .records import keys, record, records_of, refs, rules

BOB = "account:bob@example.com"
pairs = st.lists(st.tuples(keys, records_of()), max_size=5)


@pytest.mark.parametrize("answer", [NOT_LISTED, Unusable("no table"), Denied(())])
def test_without_a_record_mail_passes_in_silence(answer: Denied) -> None:
    assert decide(answer) == ACCEPT


@pytest.mark.parametrize(
    ("action", "key", "expected"),
    [
        ("tempfail", BOB, Reply("450", "4.7.1", "Too much mail from this account, try again later (case 4F7K2A)")),
        (
            "tempfail",
            "client:::1",
            Reply("450", "4.7.1", "Too much mail from your address, try again later (case 4F7K2A)"),
        ),
        ("block", BOB, Reply("550", "5.7.1", "Sending is blocked for this account (case 4F7K2A)")),
        ("block", "net:192.0.2.0/24", Reply("550", "5.7.1", "Sending is blocked for your network (case 4F7K2A)")),
    ],
)
def test_an_enforced_record_gives_its_reply_and_a_note(action: str, key: str, expected: Reply) -> None:
    verdict = decide(Denied(((key, record(action)),)))
    assert verdict.reply == expected
    assert verdict.notes == (Note(action, "enforce", "4F7K2A", "strangers", key.split(":", 1)[0]),)
    assert verdict.unenforced == ()


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("mode", MODES)
def test_every_action_in_every_mode_has_a_meaning(action: str, mode: str) -> None:
    verdict = decide(Denied(((BOB, record(action, mode)),)))
    enforced = mode == "enforce" and action != "observe"
    assert (verdict.reply is not None) == (enforced and action in REPLIES)
    assert [note.action for note in verdict.unenforced] == ([action] if enforced and action not in REPLIES else [])
    if mode == "observe":
        assert [note.action for note in verdict.notes] == ([] if action == "observe" else [f"would-{action}"])


def test_replies_are_in_the_class_of_their_status() -> None:
    assert set(REPLIES) <= set(ACTIONS)
    for reply in REPLIES.values():
        assert re.fullmatch(r"[45]\d\d", reply.code)
        assert re.fullmatch(rf"{reply.code[0]}\.\d\.\d", reply.status)


def test_the_most_severe_record_that_can_be_enforced_wins() -> None:
    records = [record("tempfail", ref="T"), record("block", ref="B"), record("hold", ref="H"), record("cap", ref="C")]
    verdict = decide(Denied(tuple((BOB, one) for one in records)))
    assert verdict.reply is not None
    assert verdict.reply.text.endswith("(case B)")
    assert [note.ref for note in verdict.notes] == ["B"]
    assert [note.ref for note in verdict.unenforced] == ["H", "C"]


@given(pairs, st.lists(st.tuples(keys, records_of("observe")), min_size=1, max_size=5), st.randoms())
def test_an_observed_record_never_changes_a_reply(
    pairs: list[tuple[str, Record]], observed: list[tuple[str, Record]], random: Random
) -> None:
    """Invariant 2, with anything else on the same keys, in any order."""
    mixed = [*pairs]
    for pair in observed:
        mixed.insert(random.randint(0, len(mixed)), pair)
    before, after = decide(Denied(tuple(pairs))), decide(Denied(tuple(mixed)))
    assert after.reply == before.reply
    assert after.unenforced == before.unenforced
    assert [note for note in after.notes if note.mode == "enforce"] == [n for n in before.notes if n.mode == "enforce"]


@given(pairs)
def test_only_notes_of_enforced_records_claim_a_refusal(pairs: list[tuple[str, Record]]) -> None:
    verdict = decide(Denied(tuple(pairs)))
    assert sum(not note.action.startswith("would-") for note in verdict.notes) == (verdict.reply is not None)
    assert all(note.action.startswith("would-") == (note.mode == "observe") for note in verdict.notes)


@given(pairs)
def test_a_reply_is_one_line_of_ascii_that_fits_and_ends_in_its_case(pairs: list[tuple[str, Record]]) -> None:
    reply = decide(Denied(tuple(pairs))).reply
    if reply:
        whole = f"{reply.code} {reply.status} {reply.text}\r\n"
        assert len(whole.encode("ascii")) <= 512
        assert whole[:-2].isprintable()
        assert re.search(r" \(case [A-Za-z0-9._-]+\)$", reply.text)


def test_a_text_replaces_the_sentence_and_is_cut_where_it_does_not_fit() -> None:
    assert reply_with("Call Zoë, 100 % free").text == "Call Zo?, 100 % free (case 4F7K2A)"
    assert len(reply_with("x" * 900).text) == 500
    assert reply_with("x" * 900).text.endswith("x (case 4F7K2A)")
    assert reply_with("{whom} {0}").text == "{whom} {0} (case 4F7K2A)"
    assert reply_with("a\r\n250 OK\0").text == "a??250 OK? (case 4F7K2A)"


def reply_with(text: str) -> Reply:
    reply = decide(Denied(((BOB, record(text=text)),))).reply
    assert reply is not None
    return reply


# The log line

LINE = re.compile(
    r"verdict: (?P<action>(?:would-)?[a-z]+), mode=(?P<mode>enforce|observe), stage=(?P<stage>CONNECT|MAIL),"
    r" ref=(?P<ref>[A-Za-z0-9._-]+), rule=(?P<rule>[^,]+), key=(?P<kind>account|client|net),"
    r" client_ip=(?P<client_ip>[0-9a-f.:]+|unknown)(?:, sasl_username=(?P<login>.*))?"
)
NOTE = Note("tempfail", "enforce", "4F7K2A", "strangers", "account")


def test_the_line_is_as_documented() -> None:
    assert line(NOTE, "MAIL", "192.0.2.1", "bob") == (
        "verdict: tempfail, mode=enforce, stage=MAIL, ref=4F7K2A, rule=strangers, key=account, "
        "client_ip=192.0.2.1, sasl_username=bob"
    )
    assert line(Note("would-block", "observe", "OBS", "harvest", "net"), "CONNECT", "unknown") == (
        "verdict: would-block, mode=observe, stage=CONNECT, ref=OBS, rule=harvest, key=net, client_ip=unknown"
    )


notes = st.builds(
    Note,
    action=st.sampled_from([*REPLIES, *(f"would-{action}" for action in ACTIONS)]),
    mode=st.sampled_from(MODES),
    ref=refs,
    rule=rules,
    kind=st.sampled_from(["account", "client", "net"]),
)
logins = st.text() | st.binary().map(lambda raw: raw.decode(errors="surrogateescape"))


@given(notes, st.ip_addresses().map(str) | st.just("unknown"), st.none() | logins)
def test_a_line_parses_back_whatever_the_login(note: Note, client_ip: str, login: str | None) -> None:
    """Invariant 7: what a sender types stays in its field."""
    stage = "CONNECT" if login is None else "MAIL"
    written = line(note, stage, client_ip, login)
    found = LINE.fullmatch(written)
    assert found
    assert found.groups()[:7] == (note.action, note.mode, stage, note.ref, note.rule, note.kind, client_ip)
    assert written.isprintable()
    if login is None:
        assert found["login"] is None
    else:
        assert found["login"] == "".join(c if c.isprintable() else "?" for c in login[:512])


def test_a_login_can_forge_neither_a_field_nor_a_line() -> None:
    written = line(NOTE, "MAIL", "192.0.2.1", "bob, key=client, client_ip=192.0.2.2\nverdict: block, mode=enforce")
    found = LINE.fullmatch(written)
    assert found
    assert (found["kind"], found["client_ip"]) == ("account", "192.0.2.1")
    assert found["login"] == "bob, key=client, client_ip=192.0.2.2?verdict: block, mode=enforce"
