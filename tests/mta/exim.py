"""Exim's own answers to a session, without a daemon: `exim -bh` plays one from any address, and delivers nothing.

    with Exim() as exim:
        exim.configure("mailbrake: accept")
        exim.ask("192.0.2.1", "bob")       # Answer(reply="250 OK", frozen=False)

It needs root, and runs in a mount namespace in which /etc/passwd and /etc/group have the user that Debian's Exim wants.
"""

import shutil
import subprocess
from base64 import b64encode
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import NamedTuple, Self

from .unpack import EXIM, libraries, unpacked

_CONFIGURATION = """\
spool_directory = {0}/spool
log_file_path = {0}/%slog
primary_hostname = mx1.example.com
keep_environment =
tls_advertise_hosts =
acl_smtp_mail = mailbrake
begin acl
{1}
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = yes
  server_set_id = $auth2
"""
_FILES = {"passwd": "root:x:0:0::/:\nDebian-exim:x:101:101::/:\n", "group": "root:x:0:\nDebian-exim:x:101:\n"}
_START = 'mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group && shift && exec "$@"'


class Answer(NamedTuple):
    """Exim's reply to MAIL, and whether it would freeze the message."""

    reply: str
    frozen: bool


class Exim:
    """A context manager; `configure` gives it its ACL, which may name files in `directory`."""

    def __init__(self) -> None:
        self._prefix = unpacked(EXIM)
        self.directory = Path(mkdtemp(prefix="mb-exim-", dir="/tmp"))

    def __enter__(self) -> Self:
        self.directory.chmod(0o755)  # pytest's own is closed to Exim's user
        for name, text in _FILES.items():
            (self.directory / name).write_text(text)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.directory)

    def configure(self, acl: str) -> None:
        """`acl` is that for MAIL, and named `mailbrake`."""
        (self.directory / "conf").write_text(_CONFIGURATION.format(self.directory, acl))

    def ask(self, address: str, login: str | None) -> Answer:
        """MAIL from a client, logged in or not."""
        credentials = b64encode(f"\0{login}\0secret".encode()).decode()
        auth = f"AUTH PLAIN {credentials}\n" if login else ""
        told = self._run("-bh", address, text=f"EHLO client.example\n{auth}MAIL FROM:<a@example.org>\nQUIT\n")
        return Answer(told.stdout.splitlines()[-2], "check control = freeze" in told.stderr)

    def _run(self, *arguments: str, text: str) -> subprocess.CompletedProcess[str]:
        program = ["env", f"LD_LIBRARY_PATH={libraries(self._prefix)}", str(self._prefix / EXIM.program)]
        command = [*program, "-C", str(self.directory / "conf"), *arguments]
        inside = ["unshare", "--mount", "sh", "-c", _START, "sh", str(self.directory), *command]
        return subprocess.run(inside, input=text, check=True, capture_output=True, text=True, timeout=60)
