"""With STARTTLS a session begins twice: a second greeting, and a login that the first half knew nothing of."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import logwatch
from tests.enforce.gate import REALM, Gate
from tests.enforce.records import record

from .test_enforcing_sessions import MAIL, auth

GREET, STARTTLS = "EHLO", "STARTTLS"


def certificate(path: Path) -> Path:
    """A key, and a certificate that it has signed itself, in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx1.example.com")])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.touch(0o600)
    path.write_bytes(key.private_bytes(pem, *form) + signed.public_bytes(pem))
    return path


@pytest.fixture(scope="module", params=["postfix", "sendmail"])
def gate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    with Gate(request.param, certificate=certificate(tmp_path_factory.mktemp("tls") / "chain.pem")) as gate:
        yield gate


def dialogue(gate: Gate, *commands: str) -> list[int]:
    """The codes of the replies on the port for those who log in; what follows STARTTLS is encrypted."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with closing(smtplib.SMTP("127.0.0.1", gate.mta.submission_port, timeout=60)) as smtp:
        special = {GREET: smtp.ehlo, STARTTLS: lambda: smtp.starttls(context=context)}
        return [special.get(command, partial(smtp.docmd, command))()[0] for command in commands]


TO = "RCPT TO:<r@sink.example>"


@pytest.mark.parametrize(
    ("action", "codes"), [("block", [550, 503]), ("tempfail", [450, 503]), ("hold", [250, 250]), ("", [250, 250])]
)
def test_a_login_is_answered_as_without(gate: Gate, action: str, codes: list[int]) -> None:
    gate.deny(**{"bob": record(action)} if action else {})
    plain = dialogue(gate, GREET, auth("bob"), MAIL, TO)
    encrypted = dialogue(gate, GREET, STARTTLS, GREET, auth("bob"), MAIL, TO)
    assert plain == [250, 235, *codes]
    assert encrypted == [250, 220, 250, 235, *codes]


def test_somebody_else_is_let_in(gate: Gate) -> None:
    """Also where the first half of the session had another name."""
    gate.deny(bob=record("block"))
    assert dialogue(gate, GREET, STARTTLS, "EHLO y", auth("free"), MAIL, TO) == [250, 220, 250, 235, 250, 250]


def test_the_log_names_the_account_that_the_milter_judged(gate: Gate) -> None:
    """So that what is encrypted counts as what is not."""
    gate.deny(bob=record("block", "observe", ref="TLS"))
    assert dialogue(gate, GREET, STARTTLS, GREET, auth("bob"), MAIL, TO, "DATA", ".")[-1] == 250
    (verdict,) = gate.verdicts("ref=TLS")
    assert "key=account" in verdict
    assert verdict.endswith("sasl_username=bob")
    gate.mta.wait_for_line("to=<r@sink.example>.*(status|stat)=")
    logged = logwatch.read(gate.mta.log_path, default_realm=REALM)
    assert f"account:bob@{REALM}" in set(logged.account.dropna())
