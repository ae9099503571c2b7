"""What a client may try within a session to be taken for somebody else: milter and log name the same account."""

from __future__ import annotations

import smtplib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

import logwatch
from enforce import key
from tests.enforce.gate import REALM, Gate
from tests.enforce.records import record
from tests.mta.postfix import Postfix

ODD = (
    "a\x01b",
    "tab\tx",
    "\u202eabc",
    "\u00a0nb",
    "x, key=client, client_ip=192.0.2.9",
    "j\udcf6rg",
    "a%sb%n",
    "Up+2B",
)


@pytest.fixture(scope="module", params=["postfix", "sendmail"])
def gate(request: pytest.FixtureRequest) -> Iterator[Gate]:
    with Gate(request.param) as gate:
        yield gate


def dialogue(gate: Gate, *commands: str) -> list[int]:
    """The codes of the replies on the port for those who log in."""
    with smtplib.SMTP("127.0.0.1", gate.mta.submission_port, timeout=60) as smtp:
        return [smtp.docmd(command)[0] for command in commands]


def auth(login: str) -> str:
    return "AUTH PLAIN " + b64encode(f"\0{login}\0secret".encode()).decode()


MAIL = "MAIL FROM:<a@example.org>"


def test_a_refusal_counts_for_the_account_that_the_log_names(gate: Gate, tmp_path: Path) -> None:
    """Whatever bytes its login has: else refused attempts of it would be another's."""
    gate.mta.accounts |= dict.fromkeys(ODD, "secret")
    gate.deny_keys({key.EVERYBODY: [record("block", "observe", ref="ODD")]})
    sent = {login for login in ODD if gate.send(login)[-1].code == 250}
    assert len(sent) >= len(ODD) - 1  # Postfix takes no login that is not UTF-8
    logged = logwatch.read(gate.mta.log_path, default_realm=REALM)
    verdicts = tmp_path / "verdicts"
    said = gate.milter.verdicts(len(sent))
    verdicts.write_text("".join(f"Nov 25 12:00:00 mx1 mailbrake[1]: {line}\n" for line in said))
    told = logwatch.read(verdicts, default_realm=REALM)
    assert set(told.account.dropna()) == set(logged.account.dropna())
    assert told.account.nunique() == len(sent)


def test_who_has_logged_in_stays_who_he_is(gate: Gate) -> None:
    """A second AUTH, after RSET, a greeting or a message, changes nothing."""
    gate.deny(bob=record("block"))
    assert dialogue(gate, "EHLO x", auth("free"), auth("bob"), MAIL, "RSET", "EHLO x", auth("bob"), MAIL) == (
        [250, 235, 503, 250, 250, 250, 503, 250]
    )
    assert dialogue(gate, "EHLO x", auth("bob"), MAIL, "RSET", auth("free"), MAIL, "EHLO x", MAIL) == (
        [250, 235, 550, 250, 503, 550, 250, 550]
    )


def test_an_address_or_login_given_by_xclient_is_judged_where_postfix_trusts_it() -> None:
    """And only there: to anybody else the command says nothing, to Postfix or to us."""
    with Gate("postfix") as gate:
        assert isinstance(gate.mta, Postfix)
        gate.deny_keys(
            {
                str(key.account("bob", REALM)): [record("block", ref="BOB")],
                "client:198.51.100.7": [record("block", ref="CLIENT")],
            }
        )
        for trusted in (False, True):
            gate.mta.reload({"smtpd_authorized_xclient_hosts": "127.0.0.1" if trusted else ""})
            assert dialogue(gate, "EHLO x", "XCLIENT ADDR=198.51.100.7") == [250, 554 if trusted else 550]
            assert dialogue(gate, "EHLO x", auth("free"), "XCLIENT LOGIN=bob", "EHLO x", MAIL) == (
                [250, 235, 220, 250, 550] if trusted else [250, 235, 550, 250, 250]
            )
            assert dialogue(gate, "EHLO x", auth("bob"), "XCLIENT LOGIN=free", "EHLO x", MAIL) == (
                [250, 235, 220, 250, 250] if trusted else [250, 235, 550, 250, 550]
            )
        gate.mta.wait_for_line(r"milter-reject: .*198\.51\.100\.7.*case CLIENT")
        gate.mta.wait_for_line(r"milter-reject: MAIL .*case BOB.*sasl_username=<bob>", count=2)
