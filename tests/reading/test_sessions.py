"""Whose a line is that names only the process: that of the client whom the process serves."""

from logwatch.reading.attribute import Attribution

from .lines import (
    ALICE,
    BOB,
    CONNECT,
    CUT,
    DISCONNECT,
    FAILURE,
    LATER,
    LOGIN,
    LOOPBACK,
    PEER,
    REJECT,
    SCANNER,
    UNKNOWN,
    accept,
    accounts,
    attributed,
    log,
    queued,
    recipient,
    sender,
)


def test_refusals_count_for_the_login_of_their_session() -> None:
    """Before Postfix 3.10 a refusal does not name the login: after the first accepted message the session does."""
    lines = [CONNECT, REJECT, accept("AAAAA1"), REJECT, DISCONNECT]
    assert accounts(*lines) == [None, None, ALICE, ALICE, ALICE]
    assert {row[1] for row in attributed(log(*lines))} == {LOOPBACK}


def test_one_process_serves_many_sessions() -> None:
    """A login ends with its session, whether the line of its end was lost or that of the next one's beginning."""
    for between in ([DISCONNECT, CONNECT], [DISCONNECT], [CONNECT]):
        lines = [CONNECT, accept("AAAAA1"), *between, REJECT]
        assert accounts(*lines)[-1] is None, between


def test_a_session_of_another_client_is_not_that_of_the_line() -> None:
    """Where both ends of a session were lost, the address still tells that this is another client."""
    lines = [CONNECT, accept("AAAAA1"), REJECT.replace("unknown[127.0.0.1]", "unknown[192.0.2.9]")]
    assert attributed(log(*lines))[-1] == (None, "client:192.0.2.9", None, True)


def test_sendmails_login_counts_for_the_messages_of_its_process() -> None:
    """However many; deliveries are another process's work, and known by queue id."""
    deferred = recipient("6AP3si0p030580", "dsn=4.2.0, stat=Deferred: 450 4.2.1 mailbox busy")
    lines = [LOGIN, UNKNOWN, sender("6AP3si0p030580"), deferred, sender("6AP3si0q030580"), recipient("6AP3si0p030580")]
    assert attributed(log(*lines)) == [(ALICE, LOOPBACK, None, True)] * 6


def test_sendmails_login_is_not_the_next_process_or_clients() -> None:
    """Numbers of processes come again; another client, or the end of the session, tell."""
    later = sender("6AP3si0q030580", relay="[192.0.2.9]")
    assert attributed(log(LOGIN, sender("6AP3si0p030580"), later))[-1] == (None, "client:192.0.2.9", None, True)
    end = f"sendmail[30580]: 6AP3si0p030580: {PEER} did not issue MAIL/EXPN/VRFY/ETRN during connection to MSA"
    assert accounts(LOGIN, end, sender("6AP3si0p030580")) == [ALICE, ALICE, None]
    assert accounts(LOGIN, sender("6AP3si0p030599", pid=30599)) == [ALICE, None]


def test_a_login_from_a_client_with_too_long_a_name_is_not_lost() -> None:
    """Sendmail cuts name and address at 100 characters."""
    assert accounts(LOGIN.replace(PEER, "x" * 100), sender("6AP3si0p030580")) == [ALICE, ALICE]


def test_sessions_in_which_nobody_logged_in_go_first() -> None:
    """Anybody can have as many as he likes; who logged in after that is not lost by it, nor before."""
    by = Attribution()
    by.sessions.memory.bound = 4
    strangers = [CONNECT.replace("13612", str(pid)).replace("127.0.0.1", "192.0.2.9") for pid in range(1, 9)]
    bob = accept("BBBBB2", "bob@example.com").replace("13612", "13")
    rows = attributed(log(CONNECT, accept("AAAAA1"), *strangers, LOGIN, bob, *strangers), by)
    assert by.sessions.memory.overflowed
    refused = [REJECT, UNKNOWN, REJECT.replace("13612", "13"), REJECT.replace("13612", "1")]
    assert [row[0] for row in attributed(log(*refused, step=0), by)] == [ALICE, ALICE, BOB, None], rows


def told_late(*lines: str) -> list[bytes | None]:
    """The `count` of each event."""
    counted: list[bytes | None] = Attribution().attribute(SCANNER.scan(log(*lines)))["count"].tolist()
    return counted


def test_sendmails_refusals_count_when_their_client_is_known() -> None:
    """The lines themselves name nobody; the next one with a client has their number, once."""
    harvest = [UNKNOWN.replace("<w@", f"<{letter}@") for letter in "abc"]
    refused = sender("6AP3si0p030580", "nrcpts=0")
    end = f"sendmail[30580]: 6AP3si0p030580: {PEER} did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA"
    lost = f"sendmail[30580]: 6AP3si0p030580: lost input channel from {PEER} to MTA after rcpt"
    assert told_late(*harvest, refused) == [None, None, None, b"3"]
    assert attributed(log(*harvest, refused)) == [*[(None, None, None, False)] * 3, (None, LOOPBACK, None, True)]
    assert told_late(*harvest, end) == [None, None, None, b"3"]
    assert told_late(*harvest, lost, refused) == [None, None, None, b"3", None]
    assert told_late(*harvest, sender("6AP3si0p030580"), *harvest[:1], refused) == [None, None, None, b"3", None, None]
    assert told_late(LOGIN, *harvest, refused) == [None] * 5
    assert told_late(*harvest, sender("6AP3si0p030599", pid=30599)) == [None] * 4


def test_sendmails_refusals_wait_where_another_process_had_the_number() -> None:
    """A message, or a login with one, of hours ago is not of the process that refuses under another queue id."""
    harvest = [UNKNOWN.replace("6AP3si0p030580: <w@", f"{LATER}: <{letter}@") for letter in "abc"]
    mine = ("account:alice", LOOPBACK, None, True)
    for before in ([sender("6AP3si0p030580")], [LOGIN, sender("6AP3si0p030580")]):
        lines = [*before, *harvest, sender(LATER, "nrcpts=0", "[192.0.2.9]")]
        rows = attributed(log(*lines))
        assert rows[-4:] == [*[(None, None, None, False)] * 3, (None, "client:192.0.2.9", None, True)]
        assert told_late(*lines)[-1] == b"3"
    again = UNKNOWN.replace("6AP3si0p", "6AP3si0q")  # the next message of the same connection
    assert attributed(log(LOGIN, sender("6AP3si0p030580"), again))[-1] == mine
    ended = UNKNOWN.replace("6AP3si0p", "6AP1aa0p")  # killed, before it could say by whom it was asked
    assert told_late(ended, *harvest, sender(LATER)) == [None, None, None, None, b"3"]
    assert told_late(ended, sender(LATER)) == [None, None]


def test_sendmails_milters_refusals_are_not_those_of_an_earlier_process() -> None:
    """Their lines name no client either."""
    refused = "sendmail[30580]: {}: Milter: to=<x@example.org>, reject=550 5.7.1 no"
    rows = attributed(log(LOGIN, sender("6AP3si0p030580"), refused.format("6AP3si0q030580"), refused.format(LATER)))
    assert rows[2:] == [(ALICE, LOOPBACK, None, True), (None, None, None, True)]


def test_a_number_that_a_local_program_had_does_not_make_a_client_its_user() -> None:
    """The program that handed in mail is gone when a client's process gets its number."""
    local = sender("6AP3si0p030580", "nrcpts=1").partition(", proto=")[0] + ", relay=www@localhost"
    check = f"sendmail[30580]: {LATER}: ruleset=check_rcpt, arg1=<x@example.org>, relay={PEER}, reject=550 5.7.1 no"
    assert attributed(log(local, check)) == [(None, None, "local:www", True), (None, LOOPBACK, None, True)]


def opens(*lines: str) -> list[bool]:
    """Whether each event tells of a connection without a line of its own."""
    told: list[bool] = Attribution().attribute(SCANNER.scan(log(*lines)))["opens"].tolist()
    return told


def test_a_connection_to_sendmail_is_told_by_the_first_line_that_names_the_client() -> None:
    """Sendmail logs none at its usual level; where it does, and where Postfix does, there is nothing to be told."""
    end = f"sendmail[30580]: 6AP3si0p030580: {PEER} did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA"
    lost = f"sendmail[30580]: 6AP3si0p030580: lost input channel from {PEER} to MTA after rcpt"
    relay = f"sendmail[30580]: NOQUEUE: ruleset=check_relay, arg1=[192.0.2.9], relay={PEER}, reject=550 5.7.1 no"
    connect = f"sendmail[30580]: NOQUEUE: connect from {PEER}"
    mail = [sender("6AP3si0p030580"), sender("6AP3si0q030580")]
    failed = f"sendmail[30580]: 6AP3si0p030580: AUTH failure (PLAIN): authentication failure (-13), relay={PEER}"
    assert opens(end, end.replace("30580", "30581"), end) == [True, True, True]
    assert opens(*mail) == [True, False]
    assert opens(LOGIN, *mail) == [True, False, False]
    assert opens(LOGIN.replace(PEER, "x" * 100), *mail) == [False, True, False]
    assert opens(*mail, LOGIN.replace(PEER, "x" * 100)) == [True, False, False]
    assert opens(failed, failed, end) == [False, False, True]
    assert opens(UNKNOWN, lost, sender("6AP3si0p030580", "nrcpts=0")) == [False, True, False]
    assert opens(relay, *mail) == [True, False, False]
    asked = f"sendmail[30580]: 6AP3si0p030580: {PEER}: VRFY root [rejected]"
    assert opens(asked, asked) == [True, False]
    assert opens(CUT, *mail) == [False, True, False]
    assert opens(*mail, sender(LATER, relay="[192.0.2.9]")) == [True, False, True]
    for later in ([end], [lost], [relay, end], [LOGIN, *mail]):
        assert not any(opens(connect, *later))
    assert not any(opens(REJECT, DISCONNECT, FAILURE, accept("AAAAA1"), queued("AAAAA1"), DISCONNECT))
    exim = "exim[7]: 1xW4Y4-00043P-2H <= a@example.org H=(c) [192.0.2.7] P=esmtpa A=plain:alice S=205"
    assert opens(exim, "exim[8]: SMTP connection from (c) [192.0.2.7] closed by QUIT") == [False, False]
