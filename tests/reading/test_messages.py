"""Whose each message of a queue is, and which of them are one message again."""

import re

import pytest

from logwatch.reading.attribute import Attribution

from .lines import (
    ALICE,
    BOB,
    CUT,
    LOGIN,
    LOOPBACK,
    SCANNER,
    accept,
    accounts,
    attributed,
    counts,
    delivery,
    log,
    queued,
    recipient,
    removed,
    sender,
)


def test_every_line_of_a_message_counts_for_its_login() -> None:
    """From client= to removed, though only the first line names it; removed closes the account."""
    lines = [accept("4jZ1"), queued("4jZ1"), delivery("4jZ1"), removed("4jZ1"), delivery("4jZ1")]
    assert attributed(log(*[line.replace("4jZ1", "4jZ4r31mvlzJ9bM") for line in lines])) == [
        *[(ALICE, LOOPBACK, None, True)] * 4,
        (None, None, None, True),
    ]


def test_a_message_of_which_only_a_part_came_does_not_count() -> None:
    """Sendmail says so before the line of its acceptance; the next one of the connection counts."""
    whole = sender("6AP3si0q030580")
    for before, account in (([LOGIN], ALICE), ([], None)):
        rows = attributed(log(*before, CUT, sender("6AP3si0p030580", "nrcpts=3"), sender("6AP3si0p030580"), whole))
        mine = [(account, LOOPBACK, None, counted) for counted in (False, False, True)]
        assert rows[-3:] == mine
        assert rows[-4] == (account, LOOPBACK if before else None, None, True)


def test_messages_side_by_side_in_one_queue_count_each_for_its_login() -> None:
    """Lines of two messages may alternate."""
    lines = [
        accept("AAAAA1"),
        accept("BBBBB2", "bob@example.com"),
        queued("AAAAA1"),
        queued("BBBBB2"),
        removed("AAAAA1"),
    ]
    assert accounts(*lines) == [ALICE, BOB, ALICE, BOB, ALICE]


def test_the_same_queue_id_on_two_hosts_is_two_messages() -> None:
    """Short queue ids are the same on every machine sooner or later."""
    lines = log(accept("AAAAA1"), accept("AAAAA1", "bob@example.com"), queued("AAAAA1"), queued("AAAAA1"))
    both = b"".join(
        line.replace(b" mx1 ", (b" mx1 ", b" mx2 ")[number % 2]) + b"\n"
        for number, line in enumerate(lines.splitlines())
    )
    assert [row[0] for row in attributed(both)] == [ALICE, BOB, ALICE, BOB]
    assert [row[3] for row in attributed(both)] == [True] * 4


def test_a_queue_id_may_come_again() -> None:
    """A new client= line makes it a new message, even where the line with removed was lost."""
    lines = [accept("AAAAA1"), queued("AAAAA1"), accept("AAAAA1", "bob@example.com"), queued("AAAAA1")]
    assert accounts(*lines) == [ALICE, ALICE, BOB, BOB]
    assert counts(*lines) == [True] * 4


def test_retries_of_a_deferred_message_count_once() -> None:
    """The queue manager prints from= at every attempt; the deliveries are new ones each time."""
    deferred = delivery("AAAAA1", "deferred (host sink.example[127.0.0.1] said: 450 4.2.1 mailbox busy)")
    lines = [
        accept("AAAAA1"),
        queued("AAAAA1"),
        deferred,
        queued("AAAAA1"),
        deferred,
        queued("AAAAA1"),
        removed("AAAAA1"),
    ]
    assert counts(*lines) == [True, True, True, False, True, False, True]


def test_what_was_accepted_before_the_log_begins_counts_for_nobody_once() -> None:
    """It is known to be there from its first queued line on, and is no orphan."""
    by = Attribution()
    rows = attributed(log(queued("AAAAA1"), delivery("AAAAA1"), queued("AAAAA1")), by)
    assert rows == [(None, None, None, True), (None, None, None, True), (None, None, None, False)]
    assert by.orphans == 0


def test_deliveries_without_acceptance_are_counted_as_orphans() -> None:
    """Lines were lost, or the log begins in mid-life."""
    by = Attribution()
    attributed(log(delivery("AAAAA1"), delivery("BBBBB2"), accept("CCCCC3"), delivery("CCCCC3")), by)
    assert by.orphans == 2


def test_mail_from_a_local_program_counts_for_its_user() -> None:
    """pickup names a uid; there is neither login nor client."""
    lines = ["postfix/pickup[9]: AAAAA1: uid=33 from=<www-data@example.org>", queued("AAAAA1"), delivery("AAAAA1")]
    assert attributed(log(*lines)) == [(None, None, "local:33", True)] * 3


def test_a_requeued_message_is_the_same() -> None:
    """postsuper -r: pickup takes it in again, under another queue id, and names the old one."""
    again = "postfix/pickup[9]: BBBBB2: uid=102 from=<a@example.org> orig_id=AAAAA1"
    lines = [accept("AAAAA1"), queued("AAAAA1"), again, queued("BBBBB2"), delivery("BBBBB2")]
    mine = (ALICE, LOOPBACK, None, True)
    assert attributed(log(*lines)) == [*[mine] * 3, (*mine[:3], False), mine]
    assert attributed(log(again, queued("BBBBB2"))) == [(None, None, None, True), (None, None, None, False)]


def test_mail_back_from_a_content_filter_is_the_same_message() -> None:
    """With XFORWARD it names the queue id that it had before: same owner, not counted again."""
    again = accept("BBBBB2", None, ", orig_queue_id=AAAAA1, orig_client=unknown[192.0.2.7]")
    lines = [accept("AAAAA1"), queued("AAAAA1"), again, queued("BBBBB2"), removed("AAAAA1"), delivery("BBBBB2")]
    assert accounts(*lines) == [ALICE] * 6
    assert counts(*lines) == [True, True, True, False, True, True]


def test_mail_back_from_a_filter_counts_where_its_origin_is_unknown() -> None:
    """It must count somewhere: for the client that brought it."""
    again = accept("BBBBB2", None, ", orig_queue_id=AAAAA1, orig_client=unknown[192.0.2.7]")
    assert attributed(log(again, queued("BBBBB2"))) == [(None, LOOPBACK, None, True)] * 2


def message_id(queue_id: str, name: str = "one@example.org") -> str:
    """cleanup has the message."""
    return f"postfix/cleanup[13615]: {queue_id}: message-id=<{name}>"


def back(queue_id: str, name: str = "one@example.org") -> list[str]:
    """A message that comes from a program of this machine by SMTP, without a login."""
    lines = [accept(queue_id, None), message_id(queue_id, name), queued(queue_id)]
    return [line.replace("submission/smtpd[13612]", "smtpd[77]") for line in lines]


AMAVIS = "sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as BBBBB2)"
RELAY = "127.0.0.1[127.0.0.1]:10024"
AGAIN = (ALICE, LOOPBACK, None, False)
FIRST = [accept("AAAAA1"), message_id("AAAAA1"), queued("AAAAA1")]


def test_a_content_filter_without_xforward_is_seen_through() -> None:
    """The lines of the returned message come before the answer that names it (its form is that of amavisd-new)."""
    lines = [*FIRST, *back("BBBBB2"), delivery("AAAAA1", AMAVIS, RELAY), removed("AAAAA1"), delivery("BBBBB2")]
    rows = attributed(log(*lines))
    assert [row[0] for row in rows] == [*[ALICE] * 3, None, *[ALICE] * 5]
    assert [row[3] for row in rows] == [True, True, True, True, True, False, True, True, True]


def grown(queue_id: str, recipients: int) -> str:
    """Its line in the queue, with another number of recipients."""
    return re.sub(r"nrcpt=[0-9]+", f"nrcpt={recipients}", queued(queue_id))


def test_a_copy_with_more_recipients_is_a_message_of_its_own() -> None:
    """A web form that forges the id of alice's message: it counts, for the form, and so does what comes of it."""
    form = ["postfix/pickup[13614]: BBBBB2: uid=33 from=<www>", message_id("BBBBB2"), grown("BBBBB2", 500)]
    rows = attributed(log(*FIRST, *form, grown("BBBBB2", 500), delivery("BBBBB2")))
    www = (None, None, "local:33")
    assert rows[5:] == [(*www, True), (*www, False), (*www, True)]


def test_a_copy_may_have_less_recipients_or_a_blind_one() -> None:
    """A filter splits a message, or its way back adds `always_bcc`: it is the same message, and alice's."""
    first = [*FIRST[:2], grown("AAAAA1", 10)]
    for parts in ((1, 9), (10,), (11,), (12, 12)):
        again = [
            line
            for number, part in enumerate(parts)
            for line in [*back(f"BBBBB{number}")[:2], grown(f"BBBBB{number}", part)]
        ]
        rows = attributed(log(*first, *again))[3:]
        assert [(row[0], row[3]) for row in rows[2::3]] == [(ALICE, False)] * len(parts), parts


def test_the_filters_answer_alone_tells_the_owner() -> None:
    """A filter that gave the message another id: it was counted for its client, but what becomes of it is alice's."""
    lines = [*FIRST, *back("BBBBB2", "other"), delivery("AAAAA1", AMAVIS, RELAY), delivery("BBBBB2"), queued("BBBBB2")]
    assert attributed(log(*lines))[5:] == [(None, LOOPBACK, None, True), *[(ALICE, LOOPBACK, None, True)] * 2, AGAIN]


def test_what_an_outside_host_answers_proves_nothing() -> None:
    """It may name any queue id; only a loopback address, and a message from here, make a filter's return."""
    outside = delivery("AAAAA1", AMAVIS, "mx.evil.example[198.51.100.6]:25")
    forwarded = delivery("AAAAA1", "sent (forwarded as BBBBB2)", "mx.evil.example[198.51.100.6]:25")
    for answer in (outside, forwarded):
        lines = [*FIRST, *back("BBBBB2", "other"), answer, delivery("BBBBB2")]
        assert accounts(*lines)[-1] is None
    logged_in = [*FIRST, accept("BBBBB2", "bob@example.com"), delivery("AAAAA1", AMAVIS, RELAY), delivery("BBBBB2")]
    assert accounts(*logged_in)[-1] == BOB
    stranger = [line.replace("[127.0.0.1]", "[192.0.2.9]") for line in back("BBBBB2")]
    rows = attributed(log(*FIRST, *stranger, delivery("AAAAA1", AMAVIS, RELAY), delivery("BBBBB2")))
    assert [row[:2] for row in rows[3:6]] == [(None, "client:192.0.2.9")] * 3
    assert rows[5][3] and rows[-1][0] is None


def test_mail_from_this_machine_is_new_unless_it_is_in_the_queue_already() -> None:
    """Webmail without AUTH counts for loopback; so does a list server's copy, once the original has left."""
    assert attributed(log(*back("BBBBB2")))[-1] == (None, LOOPBACK, None, True)
    assert attributed(log(*FIRST, removed("AAAAA1"), *back("BBBBB2")))[-1] == (None, LOOPBACK, None, True)
    assert attributed(log(*FIRST[:2], *back("BBBBB2")))[-1] == (None, LOOPBACK, None, True)
    assert attributed(log(*FIRST, *back("BBBBB2", "other")))[-1] == (None, LOOPBACK, None, True)


@pytest.mark.parametrize(("name", "again"), [("", False), ("x" * 255, True), ("x" * 256, False)])
def test_what_has_no_message_id_or_too_long_a_one_is_not_the_same_message(name: str, again: bool) -> None:
    """Else all that has none would be one message; and nobody may fill the memory with long ones."""
    lines = [accept("AAAAA1"), message_id("AAAAA1", name), queued("AAAAA1"), *back("BBBBB2", name)]
    assert attributed(log(*lines))[-1] == (AGAIN if again else (None, LOOPBACK, None, True))


def test_filters_may_follow_each_other_but_not_without_end() -> None:
    """Three returns are believed; a program that goes on with the same message id, once or twice each, is counted."""
    returns = [line for number in range(5) for line in back(f"BBBBB{number}")]
    twice = [line for line in returns for _ in range(1 + ("message-id" in line))]
    for lines, last in ((returns, 3), (twice, 4)):
        counted = counts(*FIRST, *lines)[3:]
        assert [counted[number * last + last - 1] for number in range(5)] == [False, False, False, True, True]


def test_what_a_filter_hands_back_by_sendmail_is_the_same_message() -> None:
    """A pipe to a program that calls sendmail(1): the message is not the filter's user's."""
    again = ["postfix/pickup[9]: BBBBB2: uid=99 from=<alice@example.org>", message_id("BBBBB2"), queued("BBBBB2")]
    assert attributed(log(*FIRST, *again))[-2:] == [(ALICE, LOOPBACK, None, True), (ALICE, LOOPBACK, None, False)]


def test_what_is_forwarded_is_the_same_message() -> None:
    """local(8) makes a new queue file, whose lines come before the one that says so; it has the same message id."""
    local = delivery("AAAAA1", "sent (forwarded as BBBBB2)", "local")
    lines = [*FIRST, message_id("BBBBB2"), queued("BBBBB2"), local, delivery("BBBBB2")]
    assert attributed(log(*lines))[4:] == [AGAIN, *[(ALICE, LOOPBACK, None, True)] * 2]
    without_id = [accept("AAAAA1"), queued("AAAAA1"), queued("BBBBB2"), local, delivery("BBBBB2")]
    assert accounts(*without_id) == [ALICE, ALICE, None, ALICE, ALICE]


def test_mail_from_a_local_program_to_sendmail_counts_once_for_its_user() -> None:
    """The submission program hands it on to the daemon, under another queue id; whose answer tells as well."""
    handed_in = (
        sender("6AP3tIME030666", "nrcpts=1, msgid=<9@example.org>").partition(", proto=")[0] + ", relay=www@localhost"
    )
    passed_on = "dsn=2.0.0, stat=Sent (6AP3tIMF030667 Message accepted for delivery)"
    www = (None, None, "local:www")
    for name, second in (("9@example.org", (*www, False)), ("other@example.org", (None, LOOPBACK, None, True))):
        taken = sender("6AP3tIMF030667", f"nrcpts=1, msgid=<{name}>", pid=30667)
        lines = [handed_in, taken, recipient("6AP3tIME030666", passed_on), recipient("6AP3tIMF030667")]
        assert attributed(log(*lines)) == [(*www, True), second, (*www, True), (*www, True)]


def test_sendmails_message_may_come_back_from_filters_as_well() -> None:
    """Each return is the first one's again; as many are believed as of Postfix's."""
    first = sender("6AP3tIME030666", "nrcpts=1, msgid=<9@example.org>")
    again = [sender(f"6AP3tIM{place}030667", "nrcpts=1, msgid=<9@example.org>", pid=30667) for place in "FGHJK"]
    rows = attributed(log(LOGIN, first, *again))[1:]
    assert [row[0] for row in rows] == [ALICE, *[ALICE] * 3, None, None]
    assert [row[3] for row in rows] == [True, *[False] * 3, True, True]


def test_recipients_that_only_exims_deliveries_name_count_one_by_one() -> None:
    """The first of them did on acceptance; a deferral, which comes again and again, is none. Read line by line."""
    way = "R=dnslookup T=remote_smtp"
    sent, deferred = f'{way} H=sink.example [192.0.2.9] C="250 OK"', f"{way} defer (-53): retry time not reached"
    accepted = "<= a@example.org H=(c) [192.0.2.7] P=esmtpa A=plain:alice S=205"
    later = [
        f"=> x@sink.example {sent}",
        f"== y@sink.example {deferred}",
        f"-> z@sink.example {sent}",
        f"** w@sink.example {way}: Unrouteable address",
        f"== y@sink.example {deferred}",
        f"=> y@sink.example {sent}",
    ]
    by = Attribution()
    texts = [log(f"exim[7]: 1xW4Y4-00043P-2H {what}") for what in (accepted, *later)]
    found = [by.attribute(SCANNER.scan(text)) for text in texts]
    assert [columns["account"].tolist() for columns in found] == [[ALICE]] * 7
    assert [columns["count"].tolist() for columns in found] == [[None], [None], [None], [b"1"], [b"1"], [None], [b"1"]]


def test_sendmails_bounces_are_no_orphans() -> None:
    """They have no line of acceptance; the notification names them."""
    by = Attribution()
    bounce = "sendmail[30591]: 6AP3si0p030580: 6AP3sjaj030591: DSN: User unknown"
    rows = attributed(log(LOGIN, sender("6AP3si0p030580"), bounce, recipient("6AP3sjaj030591")), by)
    assert [row[0] for row in rows] == [ALICE, ALICE, ALICE, None]
    assert by.orphans == 0


def test_an_open_message_is_forgotten_after_six_days() -> None:
    """Postfix gives a message up after five."""
    for days, owner in ((5.5, ALICE), (6.5, None)):
        text = log(accept("AAAAA1"), delivery("AAAAA1"), step=days * 86400)
        assert attributed(text)[-1][0] == owner, days


def test_messages_that_never_came_into_the_queue_go_first() -> None:
    """Whoever begins one after the other, and ends none, has others' forgotten no sooner."""
    by = Attribution()
    by.messages.queue.bound = 8
    begun = [accept(f"DDDDD{number}", None) for number in range(20)]
    cut = [CUT.replace("si0p", f"si{number}p") for number in range(10)]
    lines = [accept("AAAAA1"), queued("AAAAA1"), sender("6AP3si0p030599", pid=30599), *begun, *cut]
    rows = attributed(log(LOGIN, *lines, delivery("AAAAA1"), recipient("6AP3si0p030599")), by)
    assert by.messages.queue.overflowed
    assert [row[1] for row in rows[-2:]] == [LOOPBACK] * 2
    assert by.orphans == 0


def test_the_oldest_messages_go_when_there_are_too_many() -> None:
    """Memory has a bound, and what was dropped for want of room is counted."""
    by = Attribution()
    by.messages.queue.bound = 2
    messages = [line for queue_id in ("AAAAA1", "AAAAA2", "AAAAA3") for line in (accept(queue_id), queued(queue_id))]
    lines = log(*messages, delivery("AAAAA1"), delivery("AAAAA3"))
    assert [row[0] for row in attributed(lines, by)][-2:] == [None, ALICE]
    assert (len(by.messages.queue), by.messages.queue.overflowed) == (2, 1)
