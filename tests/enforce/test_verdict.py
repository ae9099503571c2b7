"""The verdict: which reply, which log lines, and what no record and no login can do to them."""

import re
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from enforce import key
from enforce.checks import REFUSALS
from enforce.key import EVERYBODY
from enforce.table import ACTIONS, MODES, NOT_LISTED, Denied, Record, Unusable
from enforce.verdict import (
    ACCEPT,
    REPLIES,
    Attempt,
    Cap,
    LoggedVerdict,
    Note,
    Reply,
    Verdict,
    Wording,
    capped,
    decide,
    line,
    lot,
)

from .records import keys, record, records_of, refs, rules

BOB = "account:bob@example.com"
OURS = Wording()
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


CAP_REPLY = Reply(
    "452", "4.5.3", "Too many recipients for this account in one message, send the rest later (case 4F7K2A)"
)


def bobs(action: str, mode: str = "enforce") -> Note:
    return Note(action, mode, "4F7K2A", "strangers", "account")


# action → what it means, enforced and observed, with no recipients, and a throttle with a share of nothing
MEANINGS: dict[str, tuple[Verdict, Verdict]] = {
    "observe": (ACCEPT, ACCEPT),
    "cap": (
        Verdict(caps=(Cap(0, bobs("cap"), CAP_REPLY),)),
        Verdict(caps=(Cap(0, bobs("would-cap", "observe"), None),)),
    ),
    "throttle": (
        Verdict(
            Reply("450", "4.7.1", "Too much mail from this account, try again later (case 4F7K2A)"),
            (bobs("throttle"),),
        ),
        Verdict(notes=(bobs("would-throttle", "observe"),)),
    ),
    "tempfail": (
        Verdict(
            Reply("450", "4.7.1", "Too much mail from this account, try again later (case 4F7K2A)"),
            (bobs("tempfail"),),
        ),
        Verdict(notes=(bobs("would-tempfail", "observe"),)),
    ),
    "hold": (Verdict(hold=bobs("hold")), Verdict(notes=(bobs("would-hold", "observe"),))),
    "block": (
        Verdict(Reply("550", "5.7.1", "Sending is blocked for this account (case 4F7K2A)"), (bobs("block"),)),
        Verdict(notes=(bobs("would-block", "observe"),)),
    ),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("mode", MODES)
def test_every_action_in_every_mode_has_a_meaning(action: str, mode: str) -> None:
    share = 0.0 if action == "throttle" else 1.0
    verdict = decide(Denied(((BOB, record(action, mode, share=share, max_recipients=0)),)))
    assert verdict == MEANINGS[action][mode == "observe"]


@pytest.mark.parametrize("action", ["throttle", "cap"])
def test_a_record_without_what_its_action_needs_lets_mail_through_and_is_handed_back(action: str) -> None:
    assert decide(Denied(((BOB, record(action)),))) == Verdict(unenforced=(bobs(action),))
    assert decide(Denied(((BOB, record(action, "observe")),))) == ACCEPT


def test_replies_are_in_the_class_of_their_status() -> None:
    assert set(REPLIES) == set(REFUSALS)
    for reply in REPLIES.values():
        assert re.fullmatch(r"[45]\d\d", reply.code)
        assert re.fullmatch(rf"{reply.code[0]}\.\d\.\d", reply.status)


def test_the_most_severe_record_that_can_be_enforced_wins() -> None:
    records = [
        record("tempfail", ref="T"),
        record("block", ref="B"),
        record("hold", ref="H"),
        record("cap", ref="C", max_recipients=5),
        record("throttle", ref="S"),
    ]
    verdict = decide(Denied(tuple((BOB, one) for one in records)))
    assert verdict.reply is not None
    assert verdict.reply.text.endswith("(case B)")
    assert [note.ref for note in verdict.notes] == ["B"]
    assert [note.ref for note in verdict.unenforced] == ["S"]
    held = decide(Denied(tuple((BOB, one) for one in records if one.action != "block")))
    assert (held.reply, held.notes) == (None, ())
    assert held.hold is not None
    assert (held.hold.ref, [cap.note.ref for cap in held.caps]) == ("H", ["C"])


# Everybody


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ([], [25]),
        ([record("cap", max_recipients=500)], [500]),
        ([record("cap", max_recipients=5)], [5]),
        ([record("cap", "observe", max_recipients=500)], [25, 500]),
        ([record("throttle", share=1.0)], [25]),
        ([record("tempfail", "observe")], [25]),
    ],
)
def test_the_record_for_everybody_counts_unless_an_account_has_its_own(own: list[Record], expected: list[int]) -> None:
    listed = [*((BOB, one) for one in own), (EVERYBODY, record("cap", max_recipients=25))]
    assert [cap.most for cap in decide(Denied(tuple(listed))).caps] == expected


def test_an_observed_record_for_everybody_is_hidden_by_an_own_of_either_mode() -> None:
    for mode in MODES:
        own = (BOB, record("cap", mode, max_recipients=500))
        caps = decide(Denied((own, (EVERYBODY, record("cap", "observe", max_recipients=25))))).caps
        assert [cap.most for cap in caps] == [500]


# Caps


def test_of_caps_the_smallest_counts_for_each_mode() -> None:
    records = [record("cap", max_recipients=most) for most in (9, 3, 7)]
    records += [record("cap", "observe", max_recipients=most) for most in (8, 2)]
    caps = decide(Denied(tuple((BOB, one) for one in records))).caps
    assert [(cap.most, cap.note.mode, cap.reply is None) for cap in caps] == [
        (3, "enforce", False),
        (2, "observe", True),
    ]
    assert [[cap.most for cap in capped(caps, number)] for number in (2, 3, 4)] == [[], [2], [3, 2]]


# Throttles


def throttled(share: float, attempt: Attempt, generation: int = 1, seed: str = "seed") -> bool:
    answer = Denied(((BOB, record("throttle", share=share)),), generation, seed)
    return decide(answer, attempt).reply is not None


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_throttle_admits_its_share(share: float) -> None:
    """Within four standard deviations, of attempts that differ only in one thing that a lot is drawn for."""
    number = 4000
    for attempts in (
        [Attempt(BOB, "192.0.2.1 25 1.0", n) for n in range(number)],
        [Attempt(BOB, f"192.0.2.1 {n} 1.0", 1) for n in range(number)],
        [Attempt(f"account:{n}", "192.0.2.1 25 1.0", 1) for n in range(number)],
    ):
        admitted = sum(not throttled(share, attempt) for attempt in attempts) / number
        assert abs(admitted - share) <= 4 * (share * (1 - share) / number) ** 0.5


def test_lots_are_drawn_anew_with_each_table_and_by_its_seed_alone() -> None:
    attempt = Attempt(BOB, "192.0.2.1 25 1.0", 1)
    assert len({lot("seed", attempt, generation) for generation in range(100)}) == 100
    assert len({lot(str(seed), attempt, 1) for seed in range(100)}) == 100
    assert lot("seed", attempt, 1) == lot("seed", attempt, 1)


@example("ü" * 64, Attempt("account:\udcff"), 0)
@given(st.text(), st.builds(Attempt, who=st.text(), connection=st.text(), number=st.integers(0)), st.integers(0))
def test_a_lot_is_a_number_below_one_whatever_it_is_drawn_for(seed: str, attempt: Attempt, generation: int) -> None:
    assert 0 <= lot(seed, attempt, generation) < 1


def test_an_observed_throttle_says_of_the_same_attempts_that_they_would_be_refused() -> None:
    for number in range(100):
        attempt = Attempt(BOB, "c", number)
        answer = Denied(((BOB, record("throttle", "observe", share=0.5)),), 1, "seed")
        assert bool(decide(answer, attempt).notes) == throttled(0.5, attempt)


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
    assert after.hold == before.hold
    assert [cap for cap in after.caps if cap.reply] == [cap for cap in before.caps if cap.reply]
    assert [note for note in after.notes if note.mode == "enforce"] == [n for n in before.notes if n.mode == "enforce"]


@given(pairs)
def test_only_notes_of_enforced_records_claim_a_refusal(pairs: list[tuple[str, Record]]) -> None:
    verdict = decide(Denied(tuple(pairs)))
    assert sum(not note.action.startswith("would-") for note in verdict.notes) == (verdict.reply is not None)
    notes = [*verdict.notes, *(cap.note for cap in verdict.caps)]
    assert all(note.action.startswith("would-") == (note.mode == "observe") for note in notes)
    assert all((cap.reply is None) == (cap.note.mode == "observe") for cap in verdict.caps)


@given(pairs)
def test_a_reply_is_one_line_of_ascii_that_fits_and_ends_in_its_case(pairs: list[tuple[str, Record]]) -> None:
    verdict = decide(Denied(tuple(pairs)), wording=Wording(help="see https://help.example/" + "x" * 400))
    for reply in [verdict.reply, *(cap.reply for cap in verdict.caps)]:
        if reply is None:
            continue
        whole = f"{reply.code} {reply.status} {reply.text}\r\n"
        assert len(whole.encode("ascii")) <= 512
        assert whole[:-2].isprintable()
        assert re.search(r" \(case [A-Za-z0-9._-]+\)$", reply.text)


def test_a_text_replaces_the_sentence_and_is_cut_where_it_does_not_fit() -> None:
    assert reply_with("Call Zoë, 100 % frei: 5 €").text == "Call Zoe, 100 % frei: 5 ? (case 4F7K2A)"
    assert reply_with("请").text == "? (case 4F7K2A)"
    assert len(reply_with("x" * 900).text) == 490
    assert reply_with("x" * 900).text.endswith("x (case 4F7K2A)")
    assert list(map(len, reply_with(f"{'x' * 900}\ny").text.split("\n"))) == [490, len("y (case 4F7K2A)")]
    assert reply_with("{whom} {0}").text == "this account {0} (case 4F7K2A)"
    assert reply_with("a\r250 OK\0").text == "a?250 OK? (case 4F7K2A)"


def test_the_site_may_say_it_in_its_own_words() -> None:
    wording = Wording({"tempfail": "Zu viel Post von {whom}"}, "siehe https://help.example")
    assert reply_with("", wording).text == "Zu viel Post von this account; siehe https://help.example (case 4F7K2A)"
    assert reply_with("Mine", wording).text == "Mine; siehe https://help.example (case 4F7K2A)"


def test_a_text_of_several_lines_is_a_reply_of_several_lines_with_the_case_in_the_last() -> None:
    text = reply_with("", Wording({"tempfail": "One\nTwö\n" + "x" * 600}, "help")).text.split("\n")
    assert text[:2] == ["One", "Two"]
    assert text[2].endswith("x; help (case 4F7K2A)")
    assert len(text[2]) == 490
    assert len(reply_with("", Wording({"tempfail": "x\n" * 99})).text.split("\n")) == 16


def reply_with(text: str, wording: Wording = OURS) -> Reply:
    reply = decide(Denied(((BOB, record(text=text)),)), wording=wording).reply
    assert reply is not None
    return reply


# The log line

LINE = re.compile(
    r"verdict: (?P<action>(?:would-)?[a-z]+), mode=(?P<mode>enforce|observe), stage=(?P<stage>CONNECT|MAIL|RCPT|EOM),"
    r" ref=(?P<ref>[A-Za-z0-9._-]+), rule=(?P<rule>[^,]+), key=(?P<kind>account|client|net),"
    r"(?: count=(?P<count>[0-9]+),)? client_ip=(?P<client_ip>[0-9a-f.:]+|unknown)(?:, sasl_username=(?P<login>.*))?"
)
NOTE = Note("tempfail", "enforce", "4F7K2A", "strangers", "account")


def test_the_line_is_as_documented() -> None:
    said = LoggedVerdict(NOTE, "MAIL", "192.0.2.1", "bob")
    assert line(said) == (
        "verdict: tempfail, mode=enforce, stage=MAIL, ref=4F7K2A, rule=strangers, key=account, "
        "client_ip=192.0.2.1, sasl_username=bob"
    )
    assert line(said._replace(login="Bob")).endswith(", sasl_username=Bob")  # where case is kept, another account
    assert line(said, 7) == line(said).replace("key=account, ", "key=account, count=7, ")
    assert line(LoggedVerdict(Note("would-block", "observe", "OBS", "harvest", "net"), "CONNECT", "unknown")) == (
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
logins = st.text() | st.binary(max_size=2000).map(lambda raw: raw.decode(errors="surrogateescape"))


@given(notes, st.ip_addresses().map(str) | st.just("unknown"), st.none() | logins, st.integers(1, 10**6))
@example(NOTE, "unknown", "Jörg\0" * 200, 1)
@example(NOTE, "unknown", " " * 600, 1)
def test_a_line_parses_back_whatever_the_login(note: Note, client_ip: str, login: str | None, count: int) -> None:
    """Invariant 7: what a sender types stays in its field, and counts for the account that it is."""
    stage = "CONNECT" if login is None else "MAIL"
    written = line(LoggedVerdict(note, stage, client_ip, login), count)
    found = LINE.fullmatch(written)
    assert found
    assert found.groups()[:6] == (note.action, note.mode, stage, note.ref, note.rule, note.kind)
    assert (int(found["count"] or 1), found["client_ip"]) == (count, client_ip)
    assert written.isprintable()
    if login is None:
        assert found["login"] is None
    else:
        assert len(found["login"]) <= 512
        assert key.account(found["login"], "example.com") == key.account(login, "example.com")


def test_a_login_can_forge_neither_a_field_nor_a_line() -> None:
    written = line(
        LoggedVerdict(NOTE, "MAIL", "192.0.2.1", "bob, key=client, client_ip=192.0.2.2\nverdict: block, mode=enforce")
    )
    found = LINE.fullmatch(written)
    assert found
    assert (found["kind"], found["client_ip"]) == ("account", "192.0.2.1")
    assert found["login"] == "bob, key=client, client_ip=192.0.2.2\\x0averdict: block, mode=enforce"
