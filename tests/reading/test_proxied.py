"""Whose the mail is that a filter before the queue hands back, as a real Postfix logs it, and composed after that."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator

import pytest

from logwatch.reading.attribute import Attribution
from tests.mta.postfix import Postfix

from .lines import ALICE, BOB, SCANNER, accounts, attributed, log, queued

CAROL = "account:carol"
OFFICE, OTHER = "192.0.2.7", "198.51.100.9"


def waits(pid: int, login: str | None, ip: str = OFFICE) -> str:
    """A message goes to the filter."""
    auth = f", sasl_method=PLAIN, sasl_username={login}" if login else ""
    return f"postfix/submission/smtpd[{pid}]: NOQUEUE: client=unknown[{ip}]{auth}"


def back(queue_id: str, ip: str = OFFICE, more: str = "") -> str:
    """It comes back, by a session of the filter's."""
    return f"postfix/smtpd[99]: {queue_id}: client=localhost[127.0.0.1]{more}, orig_client=unknown[{ip}]"


def leaves(pid: int, ip: str = OFFICE) -> str:
    return f"postfix/submission/smtpd[{pid}]: disconnect from unknown[{ip}] ehlo=1 auth=1 quit=1 commands=3"


def whose(*lines: str) -> str | None:
    """The account of the last line."""
    return accounts(*lines)[-1]


class Filtered(Postfix):
    """One whose submission goes through a filter before the queue: itself, on the port that takes mail from here."""

    def _ports(self) -> str:
        proxied = f"  -o smtpd_proxy_filter=127.0.0.1:{self.smtp_port}\n"
        handed_back = (
            f"{self.smtp_port} inet n - n - - smtpd\n  -o smtpd_authorized_xforward_hosts=127.0.0.0/8\n"
            "  -o smtpd_end_of_data_restrictions=$refusing\n"
        )
        return handed_back + "".join(super()._ports().partition("\n")[2:]) + proxied


@pytest.fixture(scope="module")
def written() -> Iterator[bytes]:
    """What Postfix logs of bob's two messages, to three recipients, and of one that the filter refuses."""
    spam = {"refusing": "check_sender_access inline:{{spam@example.org=REJECT spam}}"}
    with Filtered(accounts={"bob": "secret"}, extra=spam) as mta:
        with smtplib.SMTP("127.0.0.1", mta.submission_port, timeout=60) as client:
            client.ehlo("client.example")
            client.login("bob", "secret")
            for recipients in (["x@sent.test", "y@sent.test"], ["x@sent.test"]):
                client.sendmail("bob@example.org", recipients, "Subject: test\n\ntest\n")
            with pytest.raises(smtplib.SMTPDataError):
                client.sendmail("spam@example.org", ["x@sent.test"], "Subject: test\n\ntest\n")
        mta.wait_for_line(": removed", 2)
        mta.wait_for_line("submission/smtpd.*: disconnect")
        yield mta.log_path.read_bytes()


def test_mail_through_a_filter_before_the_queue_counts_for_its_login_once(written: bytes) -> None:
    """The login stands in one session's line, the queue id in another's."""
    columns = Attribution().attribute(SCANNER.scan(written))
    found = [
        (event, account, nrcpt)
        for event, account, nrcpt, counted in zip(
            *(columns[name].tolist() for name in ("event", "account", "nrcpt", "counts")), strict=True
        )
        if event in ("queued", "delivery") and counted
    ]
    assert sorted(found) == [
        *[("delivery", "account:bob", None)] * 3,
        ("queued", "account:bob", b"1"),
        ("queued", "account:bob", b"2"),
    ]


def test_what_the_filter_refuses_is_the_logins(written: bytes) -> None:
    columns = Attribution().attribute(SCANNER.scan(written))
    refused = columns["event"] == "reject"
    assert {"account:bob"} == set(columns["account"][refused].tolist())
    assert refused.sum() == 2  # the filter's line, and that of the session with the client


def test_one_login_at_a_client_is_whose_it_is() -> None:
    """However many sessions it has there; others' clients do not matter."""
    sessions = [waits(1, "alice"), waits(2, "alice"), waits(3, "carol", OTHER)]
    assert accounts(*sessions, back("A1A1A"), queued("A1A1A"), back("B1B1B"))[3:] == [ALICE] * 3
    assert whose(*sessions, back("A1A1A", OTHER)) == CAROL


def test_of_two_logins_at_a_client_nobody_is_accused() -> None:
    """Nor of what comes back after that and may still be the other's; the client is known all the same."""
    both = [waits(1, "alice"), waits(2, "bob@example.com")]
    assert attributed(log(*both, back("A1A1A"), back("B1B1B")))[2:] == [(None, f"client:{OFFICE}", None, True)] * 2
    assert whose(*both, back("A1A1A"), back("B1B1B"), waits(1, "alice"), back("C1C1C")) == ALICE
    assert whose(waits(1, None), waits(2, "bob@example.com"), back("A1A1A")) is None


def test_who_waits_no_more_is_meant_no_more() -> None:
    """His session has ended, or has another message with the filter, or is that of somebody else now."""
    assert whose(waits(1, "alice"), leaves(1), waits(2, "bob@example.com"), back("A1A1A")) == BOB
    assert whose(waits(1, "alice"), waits(1, "bob@example.com"), back("A1A1A")) == BOB
    assert whose(waits(1, "alice"), back("A1A1A"), waits(2, "bob@example.com"), back("B1B1B")) == BOB
    text = log(waits(1, "alice"), back("A1A1A"), step=3601.0)
    assert attributed(text)[-1] == (None, "client:127.0.0.1", None, True)


def test_a_client_that_nobody_waits_for_is_not_believed() -> None:
    """As from a filter after the queue that cannot name the first queue id: what is known then is its message id."""
    assert attributed(log(back("A1A1A"))) == [(None, "client:127.0.0.1", None, True)]


def test_what_a_login_claims_is_no_client() -> None:
    """What a client says in AUTH= stands after its login."""
    claimed = ", sasl_method=PLAIN, sasl_username=mallory, sasl_sender=x"
    assert whose(waits(1, "alice"), back("A1A1A", more=claimed)) == "account:mallory"


def test_so_many_sessions_at_a_client_are_too_many_to_tell() -> None:
    """A bound, and never the wrong one."""
    many = [waits(pid, "bob@example.com") for pid in range(20)]
    assert whose(waits(100, "alice"), *many, back("A1A1A")) is None
