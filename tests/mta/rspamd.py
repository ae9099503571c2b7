"""A private rspamd: one worker on a unix socket in `directory`, with no rules but those it is given.

with Rspamd(directory, "multimap { … }") as rspamd:
    rspamd.ask("192.0.2.1", "bob")       # Answer(action="reject", message="…")
"""

import http.client
import json
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from .unpack import RSPAMD, libraries, unpacked
from .waiting import listens, wait_for

_CONFIGURATION = """\
lua = "$RULESDIR/rspamd.lua"
options {{
  pidfile = "{0}/pid"; filters = ""; tempdir = "{0}"; hs_cache_dir = "{0}"; control_socket = "{0}/control";
  url_tld = "{0}/domains"; dns {{ nameserver = ["127.0.0.1:9"]; timeout = 0.1s; }}
}}
lang_detection {{ enabled = false; }}
logging {{ type = "file"; filename = "{0}/log"; level = "info"; }}
worker "normal" {{ bind_socket = "{0}/sock"; count = 1; }}
metric {{ name = "default"; actions {{ reject = 1000; }} }}
modules {{ path = "${{PLUGINSDIR}}"; }}
{1}
"""
_MESSAGE = b"From: a@example.org\r\nTo: b@example.net\r\nSubject: test\r\n\r\ntest\r\n"
TIMEOUT = 60


class Answer(NamedTuple):
    """What it would have the MTA do, and say."""

    action: str
    message: str


class Rspamd:
    """A context manager; `rules` is added to the least configuration."""

    def __init__(self, directory: Path, rules: str) -> None:
        self._directory = directory
        self._prefix = unpacked(RSPAMD)
        (directory / "conf").write_text(_CONFIGURATION.format(directory, rules))
        (directory / "domains").write_text("com\norg\n")  # compiling the whole list takes a quarter of a minute

    def __enter__(self) -> Self:
        share = self._prefix / "usr/share/rspamd"
        places = {"SHAREDIR": "", "RULESDIR": "rules", "PLUGINSDIR": "plugins", "LUALIBDIR": "lualib"}
        options = [f"--var={name}={share / place}" for name, place in places.items()]
        program = ["env", f"LD_LIBRARY_PATH={libraries(self._prefix)}", str(self._prefix / RSPAMD.program)]
        conf = str(self._directory / "conf")
        self._process = subprocess.Popen(
            [*program, "--no-fork", "--insecure", *options, "-c", conf], stderr=subprocess.DEVNULL
        )
        wait_for(lambda: listens(self._directory / "sock"), TIMEOUT, "rspamd", self._directory / "log")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(TIMEOUT)

    def ask(self, address: str, login: str | None) -> Answer:
        """A message from a client, logged in or not."""
        headers = {"IP": address.encode(), **({"User": login.encode()} if login else {})}
        connection = http.client.HTTPConnection("localhost", timeout=TIMEOUT)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self._directory / "sock"))
        connection.request("POST", "/checkv2", _MESSAGE, headers)
        found = json.load(connection.getresponse())
        connection.close()
        return Answer(found["action"], found["messages"].get("smtp_message", ""))
