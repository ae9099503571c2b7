"""The private Sendmail: what it logs, for whom mailbrake counts it, and that nothing is left of it."""

import re
import smtplib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

import logwatch
from logwatch.reading.attribute import Attribution
from logwatch.reading.scan import Scanner
from logwatch.reading.stamp import Stamps
from logwatch.schema import ATTRIBUTED
from tests.reading.samples import scanned

from . import syslog
from .client import submit
from .saslauthd import sentence
from .sendmail import Sendmail
from .unpack import SENDMAIL, unpacked

PEER = r"mx1\.example\.com \[127\.0\.0\.1\]"
ALICE, TAGGED, LOOPBACK = "account:alice", "account:user+tag", "client:127.0.0.1"


@pytest.fixture(scope="module")
def sendmail() -> Iterator[Sendmail]:
    """Running, and shared by the tests of this module."""
    with Sendmail(accounts={"alice": "secret", "user+tag": "secret", "bob@example.com": "secret"}) as instance:
        yield instance


def attributed(sendmail: Sendmail, pattern: str) -> list[tuple[str, str | None, str | None, str | None, bool]]:
    """Event, account, client, local key and whether it counts: of the lines with `pattern`, read in the whole log."""
    lines = sendmail.lines()
    columns = Attribution().attribute(
        Scanner(Stamps(UTC, datetime.now(UTC).timestamp())).scan("".join(f"{line}\n" for line in lines).encode())
    )
    rows = zip(*(columns[name].tolist() for name in ("line", "event", *ATTRIBUTED)), strict=True)
    return [row[1:] for row in rows if re.search(pattern, lines[row[0] - 1])]


# ---- what Sendmail logs, and what is made of it


def test_an_authenticated_message_leaves_three_lines(sendmail: Sendmail) -> None:
    """AUTH=server, from= and to=; all count for the login, which only the first names."""
    (reply,) = submit(sendmail.submission_port, "three@example.org", ["x@sink.example"], login="alice")
    assert (reply.code, reply.stage, reply.accepted) == (250, "end", 1)
    sendmail.wait_for_line(rf"{reply.queue_id}: to=<x@sink\.example>, .*, dsn=2\.0\.0, stat=Sent \(2\.0\.0 Ok: taken\)")
    (line,) = sendmail.lines(rf"{reply.queue_id}: from=<three@example\.org>, .* nrcpts=1, .* relay={PEER}$")
    process = line[line.index("sendmail[") : line.index("]: ") + 1]
    assert sendmail.lines(rf"{re.escape(process)}: AUTH=server, relay={PEER}, authid=alice, mech=PLAIN, bits=0$")
    assert attributed(sendmail, f"{reply.queue_id}|{re.escape(process)}") == [
        ("auth_ok", ALICE, LOOPBACK, None, True),
        ("queued", ALICE, LOOPBACK, None, True),
        ("delivery", ALICE, LOOPBACK, None, True),
    ]


def test_logins_are_logged_as_xtext(sendmail: Sendmail) -> None:
    """The account is the login as it was typed, with a plus and with a domain."""
    for login, written in (("user+tag", "user+2Btag"), ("bob@example.com", "bob@example.com")):
        (reply,) = submit(sendmail.submission_port, "plus@example.org", ["x@sink.example"], login=login)
        assert sendmail.wait_for_line(rf"AUTH=server, .*, authid={re.escape(written)}, ")
        sendmail.wait_for_line(f"{reply.queue_id}: to=")
        assert {row[1] for row in attributed(sendmail, reply.queue_id)} == {f"account:{login}"}


def test_a_wrong_password_leaves_one_failure_line(sendmail: Sendmail) -> None:
    """The login that was tried is what it counts for, whatever it holds."""
    (reply,) = submit(
        sendmail.submission_port, "a@example.org", ["x@sink.example"], login="eve, user=alice, relay=[192.0.2.1]"
    )
    assert (reply.code, reply.stage) == (535, "auth")
    (line,) = sendmail.wait_for_line(rf"AUTH failure \(PLAIN\): .*, user=eve, .*, relay={PEER}$")
    failure = ("auth_failure", "account:eve, user=alice, relay=[192.0.2.1]", LOOPBACK, None, True)
    assert attributed(sendmail, re.escape(line)) == [failure]


def test_a_login_is_no_guess_while_saslauthd_is_away(sendmail: Sendmail) -> None:
    """Nobody has looked at the password; the line says so by its code."""
    away = sendmail.directory / "away"
    (sendmail.directory / "mux").rename(away)
    (reply,) = submit(sendmail.submission_port, "a@example.org", ["x@sink.example"], login="bob@example.com")
    away.rename(sendmail.directory / "mux")
    assert (reply.code, reply.stage) == (535, "auth")
    (line,) = sendmail.wait_for_line(rf"AUTH failure \(PLAIN\): generic failure \(-1\) .*, relay={PEER}$")
    assert [row[::4] for row in attributed(sendmail, re.escape(line))] == [("auth_failure", False)]


@pytest.mark.parametrize("log_level", [9, 12])
def test_a_connection_counts_once_whether_it_is_logged_or_not(log_level: int) -> None:
    """Two with mail, of which one has two messages, and one without."""
    with Sendmail(log_level=log_level) as sendmail:
        submit(sendmail.submission_port, "a@example.org", ["x@sink.example"], login="alice", messages=2)
        submit(sendmail.smtp_port, "b@example.org", ["x@sink.example"])
        submit(sendmail.submission_port, "c@example.org", ["x@sink.example"], login="nobody")
        sendmail.wait_for_line("did not issue")
        sendmail.wait_for_line("from=<[ab]@", count=3)
        assert bool(sendmail.lines("NOQUEUE: connect from")) == (log_level > 9)
        text = "".join(f"{line}\n" for line in sendmail.lines()).encode()
    found = Attribution().attribute(Scanner(Stamps(UTC, datetime.now(UTC).timestamp())).scan(text))
    named = found["client"] == LOOPBACK
    assert (found["opens"] | (found["event"] == "connect"))[named].sum() == 3


def test_a_bounce_counts_for_the_login_but_the_notification_does_not(sendmail: Sendmail) -> None:
    """The next host's words are in reply= and stat=; the notification's own delivery is nobody's."""
    (reply,) = submit(sendmail.submission_port, "bounced@example.org", ["x@bounce.example"], login="alice")
    (line,) = sendmail.wait_for_line(rf"{reply.queue_id}: \w+: DSN: User unknown")
    notification = line.split(": ")[2]
    sendmail.wait_for_line(f"{notification}: to=<bounced@example.org>")
    assert sendmail.lines(
        rf"{reply.queue_id}: to=<x@bounce\.example>, .*, dsn=5\.1\.1, reply=550 .*, stat=User unknown"
    )
    assert [row[:2] for row in attributed(sendmail, f": (?:{reply.queue_id}|{notification}): ")] == [
        ("queued", ALICE),
        ("delivery", ALICE),
        ("notification", ALICE),
        ("delivery", None),
    ]


def test_deferred_mail_is_counted_once_until_it_is_taken(sendmail: Sendmail) -> None:
    """A queue run tries again; there is no second from= line."""
    (reply,) = submit(sendmail.submission_port, "late@example.org", ["x@defer.example"], login="alice")
    sendmail.wait_for_line(rf"{reply.queue_id}: to=.*, stat=Deferred: 450 4\.2\.1 mailbox busy")
    busy = sendmail.replies.pop("defer.example")
    sendmail.run("-q")
    sendmail.wait_for_line(rf"{reply.queue_id}: to=.*, stat=Sent")
    sendmail.replies["defer.example"] = busy
    assert attributed(sendmail, reply.queue_id) == [
        ("queued", ALICE, LOOPBACK, None, True),
        ("delivery", ALICE, LOOPBACK, None, True),
        ("delivery", ALICE, LOOPBACK, None, True),
    ]


def test_a_rejected_recipient_counts_for_the_login(sendmail: Sendmail) -> None:
    """Its line names neither client nor login; the message goes to the others."""
    (reply,) = submit(
        sendmail.submission_port, "some@example.org", ["x@sink.example", "y@reject.example"], login="user+tag"
    )
    assert (reply.code, reply.stage, reply.accepted) == (550, "rcpt", 1)
    sendmail.wait_for_line(r"from=<some@example\.org>, .* nrcpts=1,")
    assert attributed(sendmail, r"<y@reject\.example>\.\.\. User unknown|<some@example\.org>") == [
        ("reject", TAGGED, LOOPBACK, None, True),
        ("queued", TAGGED, LOOPBACK, None, True),
    ]


def test_a_message_of_which_only_a_part_came_counts_nothing(sendmail: Sendmail) -> None:
    """Sendmail logs its acceptance all the same, with the recipients, and drops it."""
    with closing(smtplib.SMTP("127.0.0.1", sendmail.submission_port)) as client:
        client.login("alice", "secret")
        client.mail("cut@example.org")
        client.rcpt("x@sink.example")
        client.putcmd("DATA")
        client.getreply()
        client.send("Message-Id: <1@example.org>\r\n\r\nhalf a message")
    (line,) = sendmail.wait_for_line(r"from=<cut@example\.org>, size=[1-9][0-9]*, .*, nrcpts=1, ")
    queue_id = line.split("]: ")[1].partition(":")[0]
    assert attributed(sendmail, f"{queue_id}: (?!collect: relay)") == [
        ("lost_connection", ALICE, LOOPBACK, None, True),
        ("queued", ALICE, LOOPBACK, None, False),
    ]


def test_each_line_of_a_long_list_of_recipients_is_read(sendmail: Sendmail) -> None:
    """Sendmail splits it over lines, all but the last of which say that there are more."""
    recipients = [f"{number:02}{'x' * 52}@sink.example" for number in range(30)]
    (reply,) = submit(sendmail.submission_port, "long@example.org", recipients, login="alice")
    sendmail.wait_for_line(rf"{reply.queue_id}: to=(?!.*\[more\])")
    assert len(sendmail.lines(rf"{reply.queue_id}: to=.*>, \[more\], delay=")) >= 2
    found = scanned("".join(f"{line}\n" for line in sendmail.lines(rf"{reply.queue_id}: to=")).encode())
    assert {event["status"] for event in found} == {"sent"}
    assert sorted(event["recipient"] for event in found) == recipients


def test_submission_without_auth_is_refused(sendmail: Sendmail) -> None:
    """It leaves no line: `did not issue` is said of who asked for nothing at all, as after a wrong password."""
    written = len(sendmail.lines(f"{PEER} did not issue"))
    (reply,) = submit(sendmail.submission_port, "noauth@example.org", ["x@sink.example"])
    assert (reply.code, reply.stage, reply.accepted) == (530, "mail", 0)
    submit(sendmail.submission_port, "a@example.org", ["x@sink.example"], login="nobody")
    sendmail.wait_for_line(f"{PEER} did not issue MAIL/EXPN/VRFY/ETRN during connection to MSA", written + 1)
    assert len(sendmail.lines(f"{PEER} did not issue")) == written + 1
    assert not sendmail.lines("noauth@example")


def test_mail_without_auth_counts_for_its_client(sendmail: Sendmail) -> None:
    """The plain port takes it as it is."""
    (reply,) = submit(sendmail.smtp_port, "plain@example.org", ["x@sink.example"])
    sendmail.wait_for_line(f"{reply.queue_id}: to=")
    assert {row[1:] for row in attributed(sendmail, reply.queue_id)} == {(None, LOOPBACK, None, True)}


def test_mail_from_a_program_on_this_machine_counts_for_its_user(sendmail: Sendmail) -> None:
    """Sendmail names the user, not a number."""
    sendmail.run("-f", "www@example.org", "x@sink.example", text="Subject: test\n\ntest\n")
    (line,) = sendmail.wait_for_line(r"from=www@example\.org, .*, relay=root@localhost$")
    assert attributed(sendmail, re.escape(line)) == [("queued", None, None, "local:root", True)]


def test_every_line_that_should_be_an_event_is_read(sendmail: Sendmail) -> None:
    """No line of all that these tests made is counted as unreadable."""
    scanner = Scanner(Stamps(UTC, datetime.now(UTC).timestamp()))
    scanner.scan("".join(f"{line}\n" for line in sendmail.lines()).encode())
    assert scanner.lines > 0
    assert (scanner.unreadable.total(), scanner.example) == (0, b"")


def test_harvesting_without_auth_counts_for_the_client() -> None:
    """The refusals name nobody; the line that follows them does, and brings their number to the rates."""
    with Sendmail() as sendmail:
        submit(sendmail.smtp_port, "harvest@example.net", [f"n{number}@reject.example" for number in range(4)])
        sendmail.wait_for_line(r"from=<harvest@example\.net>, .*, nrcpts=0,")
        rates = logwatch.rates(logwatch.read(sendmail.log_path))
    assert rates.loc[LOOPBACK, ("unknown_recipients", 3600)] == 4
    assert rates.loc["site", ("unknown_recipients", 3600)] == 4


# ---- the life of an instance


def test_an_instance_stops_starts_again_and_leaves_nothing() -> None:
    """Queue, log and ports outlive a stop; no process or directory outlives the end."""
    with Sendmail(name="sm-mta") as sendmail:
        submit(sendmail.submission_port, "a@example.org", ["x@defer.example"], login="alice")
        sendmail.wait_for_line(r"sm-mta\[\d+\]: \w+: to=.*stat=Deferred")
        sendmail.stop()
        assert sendmail.processes() == set()
        sendmail.start()
        assert "<x@defer.example>" in sendmail.run("-bp")
        assert submit(sendmail.smtp_port, "a@example.org", ["x@sink.example"])[0].code == 250
        assert len(sendmail.lines("starting daemon")) == 2
    assert sendmail.processes() == set()
    assert not sendmail.directory.exists()


def test_an_instance_that_cannot_start_says_why() -> None:
    """Sendmail's own words are in the error, and nothing is left."""
    sendmail = Sendmail(extra="define(`confPID_FILE', `/nowhere/pid')dnl\nO NoSuchOption=1\n")
    with pytest.raises(RuntimeError, match="NoSuchOption"), sendmail:
        pass
    assert not sendmail.directory.exists()


def test_packages_that_cannot_be_had_are_an_error_with_a_reason(tmp_path: Path) -> None:
    """A test that needs Sendmail fails then, and says which command did not work."""
    with pytest.raises(RuntimeError, match="sendmail cannot be unpacked: apt-get"):
        unpacked(SENDMAIL._replace(packages=("no-such-package-anywhere",)), tmp_path)
    assert list(tmp_path.iterdir()) == []


# ---- the parts


def test_a_syslog_line_gets_its_host() -> None:
    """Without priority, and with one line end."""
    sent = b"<22>Nov 25 01:16:55 sendmail[7]: 6AP: text\n\0"
    assert syslog.line(sent, b"mx1") == b"Nov 25 01:16:55 mx1 sendmail[7]: 6AP: text\n"
    assert syslog.line(b"<22>mailbrake[7]: text", b"mx1")[syslog.STAMP :] == b"mx1 mailbrake[7]: text\n"


def test_a_field_of_saslauthds_protocol() -> None:
    """Two bytes of length come first."""
    assert sentence("OK") == b"\0\x02OK"
