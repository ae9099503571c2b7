"""A real MTA with the milter before it, and nobody behind: tests write the table themselves."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Self

from enforce import key
from enforce.table import Record, Writer
from tests.mta.client import Reply, submit
from tests.mta.postfix import Postfix, free_ports
from tests.mta.sendmail import Sendmail
from tests.mta.waiting import wait_for

from .daemon import Daemon

REALM = "example.com"
SOCKET = "unix:/run/mailbrake/milter.sock"
LOGINS = ("bob", "user+tag", "two words", "jörg", "UPPER", "eve@other.example", "free")
# a test may be refused more often than an honest client ever is
PATIENT = {"smtpd_hard_error_limit": "100000", "smtpd_soft_error_limit": "100000"}


class Gate:
    """`mta` is "postfix" or "sendmail"; `exempt` and other options of [milter] come in `more`.

    `snippet` configures the milter in Sendmail, with the socket that a real machine would have; `listeners` are more
    options of Sendmail's daemons. `certificate` is a file with a key and a certificate, for STARTTLS.
    What it had written is gone when it is left.
    """

    def __init__(
        self,
        mta: str,
        more: str = "exempt = []\n",
        snippet: str = "",
        listeners: Mapping[str, str] | None = None,
        certificate: Path | None = None,
    ) -> None:
        port = next(free_ports())
        accounts = dict.fromkeys(LOGINS, "secret")
        milter = f"inet:127.0.0.1:{port}"
        self.mta: Postfix | Sendmail = (
            Postfix(accounts, milter, PATIENT | _tls_of_postfix(certificate))
            if mta == "postfix"
            else Sendmail(
                accounts,
                None if snippet else milter,
                snippet.replace(SOCKET, f"inet:{port}@127.0.0.1") + _tls_of_sendmail(certificate),
                listeners=listeners,
            )
        )
        self.directory = Path(mkdtemp(prefix="mb-gate-"))
        configuration = (
            f'[log]\ndefault_realm = "{REALM}"\n[state]\ndirectory = "{self.directory}"\n'
            f'[milter]\nsocket = "inet:{port}@127.0.0.1"\nsyslog = ""\n{more}'
        )
        self.milter = Daemon(self.directory, configuration)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            undo.callback(shutil.rmtree, self.directory)
            self.deny()
            undo.enter_context(self.milter)
            undo.enter_context(self.mta)
            self._stack = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def deny(self, *records: Record, **by_login: Record) -> None:
        """Make the table hold exactly these: by login, and those given first on this client's address."""
        table = {str(key.account(login, REALM)): [record] for login, record in by_login.items()}
        if records:
            table["client:127.0.0.1"] = list(records)
        self.deny_keys(table)

    def deny_keys(self, table: dict[str, list[Record]]) -> None:
        """Make the table hold exactly this."""
        with Writer(self.directory / "table") as writer:
            writer.replace(table, time.time())

    def send(self, login: str | None, messages: int = 1, recipients: int = 1) -> list[Reply]:
        """Submit messages in one session, on the port for those who log in or on the other one."""
        port = self.mta.submission_port if login else self.mta.smtp_port
        to = [f"r{number}@sink.example" for number in range(recipients)]
        return submit(port, "a@example.org", to, login, messages=messages)

    def held(self) -> list[str]:
        """Queue ids of the messages on hold."""
        if isinstance(self.mta, Postfix):
            return self.mta.queue_ids("hold")
        listed = self.mta.run("-bp", "-qQ").splitlines()
        return [line.split()[0] for line in listed if "@" in line and not line[0].isspace()]

    def release(self, queue_id: str) -> None:
        """Let a held message go, as an administrator does."""
        if isinstance(self.mta, Postfix):
            self.mta.run("postsuper", "-H", queue_id)
            self.mta.run("postqueue", "-f")
        else:
            self.mta.run("-qQ", f"-qI{queue_id}", "-Q")
            self.mta.run("-q")

    def delete(self, queue_id: str) -> None:
        """Delete a held message, as docs/enforcing.md says."""
        if isinstance(self.mta, Postfix):
            self.mta.run("postsuper", "-d", queue_id)
        else:
            for name in (f"hf{queue_id}", f"df{queue_id}"):
                (self.mta.directory / "queue" / name).unlink()

    def wait_for_delivery(self, queue_id: str) -> None:
        """Until the next host has taken a message."""
        taken = "status=sent" if isinstance(self.mta, Postfix) else "stat=Sent"
        self.mta.wait_for_line(f"{queue_id}: to=.*{taken}")

    def verdicts(self, *contained: str) -> list[str]:
        """The milter's verdict lines with all of this in it, once there is one."""

        def found() -> list[str]:
            return [line for line in self.milter.verdicts(0) if all(text in line for text in contained)]

        return wait_for(found, 60, f"a verdict with {contained}")


def _tls_of_postfix(certificate: Path | None) -> dict[str, str]:
    return {"smtpd_tls_security_level": "may", "smtpd_tls_chain_files": str(certificate)} if certificate else {}


def _tls_of_sendmail(certificate: Path | None) -> str:
    """Without authorities to name to clients it offers no STARTTLS, nor with a key below /tmp unless it is told to."""
    if certificate is None:
        return ""
    files = dict.fromkeys(("confSERVER_CERT", "confSERVER_KEY", "confCACERT"), certificate)
    settings = files | {"confCACERT_PATH": certificate.parent, "confDONT_BLAME_SENDMAIL": "TrustStickyBit"}
    return "".join(f"define(`{name}', `{path}')dnl\n" for name, path in settings.items())
