"""The deny table as files for programs that ask no milter.

    postfix-sasl      accounts, for check_sasl_access: source of a texthash, cdb or lmdb map; bob and bob@REALM each
    postfix-client    addresses and networks, for check_client_access: the same kinds of map
    sendmail-access   addresses and networks, `Connect:` lines for access_db; accounts as `Brake:` lines (see deploy/)
    rspamd            accounts, one a line with a symbol (MAILBRAKE_ACCOUNT_BLOCK), for a multimap of type `user`
    rspamd-ip         addresses and networks (MAILBRAKE_CLIENT_BLOCK), for a multimap of type `ip`; see deploy/
    exim              accounts, for an lsearch on $authenticated_id
    exim-client       addresses and networks, for an iplsearch on $sender_host_address
    text              key, action, until and case, separated by tabs
    json              one object a line, the fields of `mailbrake table list --json`

Rules:
* What counts now and is enforced is exported. Only `json`, which says so, has what is observed too.
* A map answers every time alike: a throttle, and a cap, cannot be said in one. They are left out and counted.
* Nothing in a map ends by itself. `watch` writes it anew within seconds when something ends; a site that exports by
  hand, or by a timer, has a map as old as its last export.
* A key never spans lines, and never holds what its format could take for something else: it is left out and counted.
* Files change by renaming a whole new one into their place.
"""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from enforce.checks import FORMATS
from enforce.config import Config
from enforce.table import Record
from enforce.verdict import Wording, reply_of
from logwatch.schema import iso
from logwatch.wall_clock import lately

Listed = tuple[str, Record]
_AT_MOST = 600.0  # seconds that an export is trusted: leases move on without a change
_AGAIN = 60.0  # seconds after which a command that failed is run again, and one that still runs is told of
_SAID = ("block", "tempfail", "hold")  # actions that a map can say


class Exported(NamedTuple):
    """A file's text, and how many enforced records are not in it because its format cannot say them."""

    text: str
    left_out: int


def export(name: str, records: Iterable[Listed], now: float, config: Config) -> Exported:
    """The table in one of FORMATS, sorted by key."""
    found = sorted((pair for pair in records if pair[1].counts(now) and pair[1].action != "observe"), key=_order)
    if name == "json":
        return Exported("".join(json.dumps(row(*pair), ensure_ascii=False) + "\n" for pair in found), 0)
    enforced = [(key, record) for key, record in found if record.mode == "enforce"]
    form = _FORMS[name]
    mine = [pair for pair in enforced if _kind(pair[0]) in form.kinds]
    lines = [line for pair in mine for line in _lines(form, *pair, config)]
    said = {key for key, record in mine if form.every or (record.action in _SAID and form.names(key, config))}
    return Exported("".join(lines), len(mine) - len([key for key, _ in mine if key in said]))


def row(key: str, record: Record) -> dict[str, Any]:
    """A record as `mailbrake table list --json` has it."""
    extra = {"share": record.share, "max_recipients": record.max_recipients, "text": record.text or None}
    return {
        "key": key,
        "action": record.action,
        "mode": record.mode,
        "until": iso(record.until),
        "ref": record.ref,
        "rule": record.rule,
        "lease": iso(record.lease),
        **{name: value for name, value in extra.items() if value is not None},
    }


class _Form(NamedTuple):
    """A format: the kinds of keys it takes, how they are named in it, and its line for a name and a record."""

    kinds: tuple[str, ...]
    names: Callable[[str, Config], list[str]]
    line: Callable[[str, str, Record, Config], str]
    every: bool = False  # it can say every action


def _lines(form: _Form, key: str, record: Record, config: Config) -> Iterator[str]:
    if form.every or record.action in _SAID:
        for name in form.names(key, config):
            yield form.line(name, key, record, config) + "\n"


def _order(pair: Listed) -> tuple[str, str]:
    return pair[0], pair[1].mode


def _kind(key: str) -> str:
    return key.partition(":")[0]


# How formats name keys.


def _plain(key: str, _config: Config) -> list[str]:
    return [key]


def _logins(key: str, config: Config) -> list[str]:
    """With the site's own domain and without it: the MTA looks for what was typed."""
    login = key.partition(":")[2]
    bare, _, realm = login.rpartition("@")
    both = [login, bare] if bare and realm == config.log.default_realm.lower() else [login]
    return [name for name in both if name != "*"]


def _unspaced(key: str, config: Config) -> list[str]:
    return [name for name in _logins(key, config) if not any(map(str.isspace, name)) and not name.startswith("#")]


def _rspamd_names(key: str, config: Config) -> list[str]:
    """But for what rspamd would cut short: `boss#1` counts for boss there, as does `"boss"1`."""
    return [name for name in _unspaced(key, config) if "#" not in name and not name.startswith(('"', "/"))]


def _quoted(key: str, config: Config) -> list[str]:
    """As typed, and as Exim has it in $authenticated_id unless `print_topbitchars` is set: `j\\303\\266rg`."""
    names = dict.fromkeys(form for name in _logins(key, config) for form in (name, _octal(name)))
    escaped = (name.replace("\\", "\\\\").replace('"', '\\"') for name in names)
    return [f'"{name}"' for name in escaped]


def _octal(name: str) -> str:
    return "".join(chr(c) if 32 <= c < 127 else f"\\{c:03o}" for c in name.encode(errors="surrogateescape"))


def _networks(key: str, _config: Config) -> list[str]:
    return [key.partition(":")[2]]


def _quoted_networks(key: str, config: Config) -> list[str]:
    return [f'"{name}"' for name in _networks(key, config)]


def _prefixes(key: str, _config: Config) -> list[str]:
    """As an indexed map of Postfix or Sendmail finds it: the whole address, or its first groups.

    A network is left out where it does not end between groups, or where an address may be written without its zeros.
    """
    network = ipaddress.ip_network(key.partition(":")[2])
    width, dot = (8, ".") if network.version == 4 else (16, ":")
    if network.prefixlen == network.max_prefixlen:
        return [str(network.network_address)]
    groups = str(network.network_address.exploded).split(dot)[: network.prefixlen // width]
    short = [group.lstrip("0") or "0" for group in groups]
    if network.prefixlen % width or not groups or (network.version == 6 and "0" in short):
        return []
    return [dot.join(short)]


def _sendmail_names(key: str, config: Config) -> list[str]:
    if _kind(key) == "account":
        return [f"Brake:{_xtext(name)}" for name in _unspaced(key, config)]
    return [f"Connect:{name}" for name in _prefixes(key, config)]


def _xtext(name: str) -> str:
    """As Sendmail has a login in its macro (RFC 3461); maps are folded to lower case."""
    plain = name.encode(errors="replace")
    return "".join(chr(c) if 33 <= c <= 126 and chr(c) not in "+=" else f"+{c:02x}" for c in plain)


# What formats say of them.


def _said(key: str, record: Record, config: Config) -> tuple[str, str, str]:
    code, status, text = reply_of(key, record, Wording(config.milter.texts, config.milter.help))
    return code, status, text.replace("\n", " ")


def _postfix(name: str, key: str, record: Record, config: Config) -> str:
    if record.action == "hold":
        return f"{name}\tHOLD mailbrake (case {record.ref})"
    return f"{name}\t{' '.join(_said(key, record, config))}"


def _sendmail(name: str, key: str, record: Record, config: Config) -> str:
    if record.action == "hold":
        return f"{name}\tQUARANTINE:mailbrake case {record.ref}"
    code, status, text = _said(key, record, config)
    return f'{name}\tERROR:{status}:"{code} {text.replace(chr(34), chr(39))}"'


def _exim(name: str, key: str, record: Record, config: Config) -> str:
    if record.action == "hold":
        return f"{name}: freeze mailbrake (case {record.ref})"
    verb = "deny" if record.action == "block" else "defer"
    return f"{name}: {verb} {' '.join(_said(key, record, config)[1:])}"


def _rspamd(name: str, key: str, record: Record, _config: Config) -> str:
    """With a symbol; rspamd takes one that two of its maps have for the later map's only."""
    return f"{name} MAILBRAKE_{'ACCOUNT' if _kind(key) == 'account' else 'CLIENT'}_{record.action.upper()}"


def _text(name: str, _key: str, record: Record, _config: Config) -> str:
    return "\t".join((name, record.action, iso(record.until), record.ref))


_ADDRESSES = ("client", "net")
_FORMS: Mapping[str, _Form] = {
    "postfix-sasl": _Form(("account",), _unspaced, _postfix),
    "postfix-client": _Form(_ADDRESSES, _prefixes, _postfix),
    "sendmail-access": _Form(("account", *_ADDRESSES), _sendmail_names, _sendmail),
    "rspamd": _Form(("account",), _rspamd_names, _rspamd),
    "rspamd-ip": _Form(_ADDRESSES, _networks, _rspamd),
    "exim": _Form(("account",), _quoted, _exim),
    "exim-client": _Form(_ADDRESSES, _quoted_networks, _exim),
    "text": _Form(("account", *_ADDRESSES), _plain, _text, every=True),
}
assert {*_FORMS, "json"} == set(FORMATS)


# Files.


def write(path: Path, text: str) -> bool:
    """Put a whole new file in the place of an old one, with its mode; False if it says the same already.

    Where a link leads there, it still does.
    """
    path = path.resolve()
    try:
        if path.read_text(encoding="utf-8", errors="surrogateescape") == text:
            return False
        mode = path.stat().st_mode & 0o777
    except FileNotFoundError:
        mode = 0o644
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return True


class Exporter:
    """Keeps the files of `[export]` equal to the table; `say` takes trouble (about, problem).

    The command is run once at start, too: the last controller may have been killed before it came to that.
    """

    def __init__(self, config: Config, say: Callable[[str, str], None]) -> None:
        self._config = config
        self._say = say
        self._running: subprocess.Popen[bytes] | None = None
        self._due = True  # the command is, for a change since it was started
        self._failed = float("-inf")  # when the command did
        self._told = float("-inf")  # when it was started, or said to be running yet
        self._generation = -1  # of the table that is exported
        self._stale = 0.0  # when that is to be looked at again, though nobody changed it

    def update(self, records: Callable[[], Iterable[Listed]], generation: int, now: float) -> None:
        """Write what changed, and then have the command run; `records` gives those of this generation of the table.

        They are asked for only when it is another one, when one of them has ended, or every ten minutes.
        """
        if self._config.export.files:
            if generation != self._generation or now >= self._stale:
                self._generation = generation
                self._write(list(records()), now)
            self._command(now)

    def _write(self, listed: list[Listed], now: float) -> None:
        for name, path in self._config.export.files.items():
            try:
                if write(Path(path), export(name, listed, now, self._config).text):
                    self._due, self._failed = True, float("-inf")
            except OSError as error:
                self._say("export", f"{path}: cannot be written: {error.strerror}; what stands there is older")
                self._generation = -1  # again at the next beat
        ends = (record.until for _, record in listed if record.until > now)
        self._stale = min(*ends, now + _AT_MOST, now + _AT_MOST)

    def close(self, patience: float = 5.0) -> None:
        """Let the command come to its end, for this many seconds at most; a slower one goes on by itself."""
        if self._running is not None:
            with suppress(subprocess.TimeoutExpired):
                self._running.wait(patience)

    def _command(self, now: float) -> None:
        """Run it beside the controller, one at a time."""
        command = self._config.export.command
        if self._running is not None:
            self._look_after(self._running, command[0], now)
        waiting = self._running is not None or lately(self._failed, now, _AGAIN)
        if not (command and self._due) or waiting:
            return
        self._due, self._told = False, now
        try:
            self._running = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - the configuration's, no shell
        except OSError as error:
            self._fail(f"{command[0]}: {error.strerror}", now)

    def _look_after(self, running: subprocess.Popen[bytes], name: str, now: float) -> None:
        """See whether it has come to its end."""
        if running.poll() is None:
            if not lately(self._told, now, _AGAIN):
                self._told = now
                self._say("export command", f"{name}: still running; what has changed since waits for its end")
            return
        self._running = None
        if running.returncode:
            self._fail(f"{name}: exit status {running.returncode}", now)

    def _fail(self, problem: str, now: float) -> None:
        self._say("export command", f"{problem}; it is run again in a minute")
        self._due, self._failed = True, now
