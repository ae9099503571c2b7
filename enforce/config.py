"""One TOML file configures both halves; every option stands here once, with default, unit, meaning and check.

The light half owns this module since both halves read the same file and only this one may be imported by both.
An option is a field of its section's dataclass: its default, the check that turns a TOML value into the stored one
(raising ValueError with a remedy), and what it means. `render` writes the commented sample from the same fields, and a
test holds `samples/mailbrake.toml` equal to it.

Every option has a default, so that an empty file is a valid, observing configuration.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import re
import tomllib
import zoneinfo
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

REFUSALS = ("cap", "throttle", "tempfail", "block")  # what is said to a client; a held message is accepted
FORMATS = (
    "postfix-sasl",
    "postfix-client",
    "sendmail-access",
    "rspamd",
    "rspamd-ip",
    "exim",
    "exim-client",
    "text",
    "json",
)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
NOTICES = ("decision", "guard", "loss", "trouble")  # what notifications are about
_ADDRESS = re.compile(r"(?!-)[!-?A-~]+@[!-?A-~]+")
_WEB = re.compile(r"https?://[!-~]+")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[!-~]*")
_STREAM = re.compile(
    r"tls://(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}|nats://(?:127\.0\.0\.1|localhost|\[::1\]):[0-9]{1,5}"
)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class ConfigError(Exception):
    """A configuration that cannot be used: which file, which key, what is wrong and what would be right."""

    def __init__(self, file: str, key: str, problem: str) -> None:
        super().__init__(f"{file}: {key}: {problem}" if key else f"{file}: {problem}")


def as_duration(value: object) -> int:
    """Seconds of a duration such as "90s", "10m", "1h", "7d"; ValueError names what is expected."""
    found = re.fullmatch(r"([1-9][0-9]{0,8})([smhdw])", value) if isinstance(value, str) else None
    if not found:
        raise ValueError(f'expected a duration such as "90s", "10m", "1h" or "7d", found {value!r}')
    return int(found[1]) * _UNITS[found[2]]


def as_text(value: object) -> str:
    """A string without control characters."""
    if not isinstance(value, str) or not all(map(str.isprintable, value)):
        raise ValueError(f"expected a string in quotes, found {value!r}")
    return value


def as_strings(value: object) -> tuple[str, ...]:
    """A list of strings, none of them empty."""
    if not isinstance(value, list) or not value or not all(isinstance(v, str) and v for v in value):
        raise ValueError(f'expected a list of strings such as ["/var/log/mail.log"], found {value!r}')
    return tuple(cast(list[str], value))


def as_switch(value: object) -> bool:
    """True or false, unquoted."""
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false without quotes, found {value!r}")
    return value


def as_zone(value: object) -> str:
    """A time zone of the IANA data base, or "" for the machine's own."""
    name = as_text(value)
    try:
        zoneinfo.ZoneInfo(name or "UTC")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f'expected a time zone such as "Europe/Berlin" or "UTC", found {name!r}') from None
    return name


def as_mode(value: object) -> str:
    """`observe` or `enforce`."""
    if value not in ("observe", "enforce"):
        raise ValueError(f'expected "observe" or "enforce", found {value!r}')
    return str(value)


def as_socket(value: object) -> str:
    """A milter socket in libmilter's notation: unix:/path, inet:port@host or inet6:port@host."""
    if isinstance(value, str):
        inet = re.fullmatch(r"inet6?:([0-9]{1,5})@[^@\s]+", value)
        if re.fullmatch(r"unix:/[^\s]+", value) or (inet and 0 < int(inet[1]) < 65536):
            return value
    raise ValueError(
        f'expected "unix:/run/mailbrake/milter.sock" or "inet:8891@127.0.0.1" (port first, then host), found {value!r}'
    )


def as_judge(value: object) -> str:
    """Whom the milter judges: `both`, `accounts` or `clients`."""
    if value not in ("both", "accounts", "clients"):
        raise ValueError(f'expected "both", "accounts" (submission only) or "clients" (MX only), found {value!r}')
    return str(value)


def as_networks(value: object) -> tuple[Network, ...]:
    """A list of addresses and networks, IPv4 and IPv6; it may be empty."""
    try:
        if isinstance(value, list) and all(isinstance(v, str) for v in value):
            return tuple(ipaddress.ip_network(v, strict=False) for v in value)
    except ValueError:
        pass
    raise ValueError(f'expected a list of addresses and networks such as ["127.0.0.0/8", "::1"], found {value!r}')


def as_texts(value: object) -> dict[str, str]:
    """Sentences by action; a line end within one makes a reply of several lines."""
    if isinstance(value, Mapping) and all(_is_sentence(v) for v in value.values()):
        unknown = set(value) - set(REFUSALS)
        if not unknown:
            return dict(value)
        raise ValueError(f"no reply is given for {min(unknown)!r}; {_nearest(min(unknown), dict.fromkeys(REFUSALS))}")
    raise ValueError(f'expected sentences by action such as {{ tempfail = "Slow down" }}, found {value!r}')


def _is_sentence(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 400 and all(map(str.isprintable, value.split("\n")))


def as_command(value: object) -> tuple[str, ...]:
    """A command as the list of its arguments; it may be empty. No shell takes it apart."""
    return () if value == [] else as_strings(value)


def as_endpoint(value: object) -> str:
    """Where to listen for HTTP, ADDRESS:PORT, or "" for nowhere."""
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:]+)\]|([0-9.]+)):([0-9]{1,5})", value) if isinstance(value, str) else None
    try:
        if found and ipaddress.ip_address(found[1] or found[2]) and 0 < int(found[3]) < 65536:
            return found[0]
    except ValueError:
        pass
    if value == "":
        return ""
    raise ValueError(f'expected an address and a port such as "127.0.0.1:9631" or "[::1]:9631", found {value!r}')


def as_server(value: object) -> str:
    """An SMTP server, HOST:PORT."""
    found = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", value) if isinstance(value, str) else None
    if not found or not 0 < int(found[2]) < 65536:
        raise ValueError(f'expected a host and a port such as "localhost:25", found {value!r}')
    return found[0]


def as_addresses(value: object) -> tuple[str, ...]:
    """A list of mail addresses; it may be empty."""
    if not isinstance(value, list) or not all(isinstance(v, str) and _ADDRESS.fullmatch(v) for v in value):
        raise ValueError(f'expected a list of addresses such as ["abuse@example.com"], found {value!r}')
    return tuple(value)


def as_sender(value: object) -> str:
    """A mail address, or ""."""
    return "" if value == "" else as_addresses([value])[0]


def as_web(value: object) -> tuple[str, ...]:
    """A list of URLs that HTTP serves; it may be empty."""
    if not isinstance(value, list) or not all(isinstance(v, str) and _WEB.fullmatch(v) for v in value):
        raise ValueError('expected a list of URLs such as ["https://example.com/hook"]')  # they may hold secrets
    return tuple(value)


def as_urls(value: object) -> tuple[str, ...]:
    """A list of URLs of whatever kind; it may be empty."""
    if not isinstance(value, list) or not all(isinstance(v, str) and _URL.fullmatch(v) for v in value):
        raise ValueError('expected a list of URLs such as ["ntfys://example.com/topic"]')
    return tuple(value)


def as_notices(value: object) -> tuple[str, ...]:
    """What to be told about."""
    for name in as_strings(value):
        if name not in NOTICES:
            raise ValueError(f"there are no notifications about {name!r}; {_nearest(name, dict.fromkeys(NOTICES))}")
    return as_strings(value)


def as_files(value: object) -> dict[str, str]:
    """Absolute paths of files by the format to write there."""
    if not isinstance(value, Mapping) or not all(isinstance(v, str) and v.startswith("/") for v in value.values()):
        raise ValueError(f'expected absolute paths by format such as {{ postfix-sasl = "/etc/x" }}, found {value!r}')
    for name in value:
        if name not in FORMATS:
            raise ValueError(f"no such format: {name}; {_nearest(name, dict.fromkeys(FORMATS))}")
    return dict(value)


def as_nameservers(value: object) -> tuple[str, ...]:
    """A list of ADDRESS:PORT; it may be empty, and a port left out is 53."""
    try:
        if isinstance(value, list) and all(isinstance(v, str) for v in value):
            return tuple(map(_nameserver, value))
    except ValueError:
        pass
    raise ValueError(f'expected a list of addresses such as ["127.0.0.1", "[::1]:5353"], found {value!r}')


def _nameserver(written: str) -> str:
    try:
        return f"[{ipaddress.ip_address(written)}]:53"
    except ValueError:
        host, _, port = written.rpartition(":")
        if not 0 < int(port) < 65536:
            raise
        return f"[{ipaddress.ip_address(host.strip('[]'))}]:{int(port)}"


def as_count(value: object) -> int:
    """A whole number of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 100_000:
        raise ValueError(f"expected a whole number from 1 to 100000, found {value!r}")
    return value


def as_servers(value: object) -> tuple[str, ...]:
    """Servers of a stream; without TLS only on this very machine."""
    if isinstance(value, list) and all(isinstance(v, str) and _STREAM.fullmatch(v) for v in value):
        return tuple(value)
    raise ValueError(
        f'expected a list of servers such as ["tls://stream.example.com:4222"] (nats:// only for 127.0.0.1), '
        f"found {value!r}"
    )


def as_name(value: object) -> str:
    """A name of letters, digits, `-` and `_`, or ""."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-]{0,63}", value):
        raise ValueError(f'expected a name of letters, digits, - and _, such as "mx1", found {value!r}')
    return value


def as_hosts(value: object) -> dict[str, tuple[str, ...]]:
    """Lists of host names by gateway."""
    if not isinstance(value, Mapping) or not all(isinstance(hosts, list) for hosts in value.values()):
        raise ValueError(f'expected names by gateway such as {{ mx1 = ["mx1.example.com"] }}, found {value!r}')
    return {as_name(gateway): as_strings(hosts) for gateway, hosts in value.items()}


def as_size(value: object) -> int:
    """Bytes of a size such as "256MB", "4GB"."""
    found = re.fullmatch(r"([1-9][0-9]{0,5})(kB|MB|GB)", value) if isinstance(value, str) else None
    if not found:
        raise ValueError(f'expected a size such as "256MB" or "4GB", found {value!r}')
    return int(found[1]) * {"kB": 10**3, "MB": 10**6, "GB": 10**9}[found[2]]


def as_number(least: int, most: int) -> Callable[[object], int]:
    """A check for a whole number within bounds."""

    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"expected a whole number from {least} to {most}, found {value!r}")
        return value

    return check


def as_lateness(value: object) -> int:
    """A duration of less than an hour: a line that is later than that would turn the log's clock back."""
    seconds = as_duration(value)
    if seconds > 3300:
        raise ValueError(f"expected 55m at most, found {value!r}")
    return seconds


def as_octal(value: object) -> int:
    """File mode bits, written as a string of octal digits."""
    if not isinstance(value, str) or not re.fullmatch(r"0?[0-7]{3}", value):
        raise ValueError(f'expected a file mode in quotes such as "0660", found {value!r}')
    return int(value, 8)


def option(default: Any, check: Callable[[object], Any], meaning: str) -> Any:
    """A field holding `check(default)`; `default` is kept as it would be written in TOML."""
    metadata = {"check": check, "default": default, "meaning": meaning}
    return dataclasses.field(default_factory=lambda: check(default), metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Log:
    """`[log]`: where the mail log is and how to read it."""

    files: tuple[str, ...] = option(
        ["/var/log/mail.log"],
        as_strings,
        "log files to follow; patterns and directories too, of which the current logs are meant",
    )
    journald: bool = option(
        False, as_switch, "true: follow the systemd journal's entries of facility mail instead of files"
    )
    zone: str = option(
        "", as_zone, 'time zone of stamps that carry none, such as "Europe/Berlin"; "": the machine\'s own'
    )
    default_realm: str = option(
        "", as_text, "domain of logins without one: bob and bob@example.com are then one account"
    )
    keep_case: bool = option(False, as_switch, "true where Bob and bob are two accounts")
    countries: str = option(
        "", as_text, 'an .mmdb file with the countries of addresses; "": the registries\' files, which come along'
    )


@dataclasses.dataclass(frozen=True)
class Policy:
    """`[policy]`: which rules, and how far they may go."""

    file: str = option("", as_text, 'the policy; "": the one shipped with mailbrake, which only observes')
    mode: str = option("observe", as_mode, "the most that any rule may do: observe or enforce")


@dataclasses.dataclass(frozen=True)
class Reputation:
    """`[reputation]`: how `watch` asks the DNS block lists that a policy names; none by default."""

    nameservers: tuple[str, ...] = option(
        [], as_nameservers, 'whom to ask, such as ["127.0.0.1:53"]; []: those of /etc/resolv.conf'
    )
    per_second: int = option(20, as_count, "questions a second, at most")
    timeout: int = option("3s", as_duration, "how long to wait for an answer")


@dataclasses.dataclass(frozen=True)
class State:
    """`[state]`: what is remembered, and where."""

    directory: str = option("/var/lib/mailbrake", as_text, "journal, checkpoint and deny table")
    keep: int = option(
        "180d", as_duration, "how long the journal keeps decisions that have ended, with their log lines"
    )
    lease: int = option("1h", as_duration, "a published decision ends this long after the controller was last alive")


@dataclasses.dataclass(frozen=True)
class Milter:
    """`[milter]`: the enforcing half."""

    socket: str = option(
        "unix:/run/mailbrake/milter.sock",
        as_socket,
        "where the MTA reaches the milter: unix:PATH or inet:PORT@HOST",
    )
    socket_mode: int = option("0660", as_octal, "permissions of a unix socket; the MTA's user must be able to write")
    socket_group: str = option("", as_text, 'group of a unix socket, such as "postfix"; "": the milter\'s own')
    user: str = option("", as_text, 'user to become once the socket is open, if started as root; "": stay')
    group: str = option("", as_text, 'group to become; "": the groups of that user')
    judge: str = option(
        "both", as_judge, "both, accounts (a submission service) or clients (an MX: logins are not looked at)"
    )
    exempt: tuple[Network, ...] = option(
        ["127.0.0.0/8", "::1"],
        as_networks,
        "never refused for their address: content filters, own networks; logins from there are judged",
    )
    texts: Mapping[str, str] = option(
        {}, as_texts, "replies of your own by action (cap, throttle, tempfail, block), of one line or several"
    )
    help: str = option("", as_text, 'put behind every reply, such as "see https://help.example.com/mail"')
    table: str = option("", as_text, 'the deny table; "": table/ below the state directory')
    syslog: str = option("/dev/log", as_text, 'syslog socket for verdict lines (facility mail); "": none')


@dataclasses.dataclass(frozen=True)
class Export:
    """`[export]`: files that `watch` keeps equal to the deny table, for where no milter is wanted."""

    files: Mapping[str, str] = option({}, as_files, "files by format, as of `mailbrake table export --format`")
    command: tuple[str, ...] = option(
        [], as_command, 'command to run after a change, such as ["postmap", "lmdb:/etc/postfix/mailbrake_sasl"]'
    )


@dataclasses.dataclass(frozen=True)
class Notify:
    """`[notify]`: who is told when `watch` brakes an account, or cannot do its work; nobody by default."""

    about: tuple[str, ...] = option(
        list(NOTICES), as_notices, "newly enforced decisions, the guard, lines lost from the log, and other trouble"
    )
    every: int = option("10m", as_duration, "the first of its kind is told at once, what follows at most this often")
    mail_to: tuple[str, ...] = option([], as_addresses, 'who gets mail, such as ["abuse@example.com"]')
    mail_from: str = option("", as_sender, 'whose mail it is; "": mailbrake at this host')
    smtp: str = option("localhost:25", as_server, "the MTA that takes it; see docs/notifications.md on not braking it")
    sendmail: tuple[str, ...] = option(
        [], as_command, 'instead of SMTP: a command, such as ["/usr/sbin/sendmail", "-i"], which gets -f and recipients'
    )
    webhooks: tuple[str, ...] = option([], as_web, "URLs to which JSON is posted")
    command: tuple[str, ...] = option([], as_command, "command that gets the same JSON as its standard input")
    apprise: tuple[str, ...] = option(
        [], as_urls, "URLs of services that Apprise reaches: pip install 'mailbrake[apprise]'"
    )


@dataclasses.dataclass(frozen=True)
class Metrics:
    """`[metrics]`: where Prometheus finds both halves; nowhere by default. See docs/metrics.md."""

    watch: str = option("", as_endpoint, 'where `watch` serves metrics, such as "127.0.0.1:9631"; "": nowhere')
    milter: str = option("", as_endpoint, 'where the milter does, such as "127.0.0.1:9632"; "": nowhere')


@dataclasses.dataclass(frozen=True)
class Cluster:
    """`[cluster]`: many gateways that share one table; nobody needs it on one machine. See docs/cluster.md."""

    servers: tuple[str, ...] = option(
        [], as_servers, 'the servers of the stream, such as ["tls://stream.example.com:4222"]; none: no cluster'
    )
    name: str = option("", as_name, 'what this machine is called in it; "": its host name up to the first dot')
    credentials: str = option(
        "/etc/mailbrake/cluster", as_text, "directory of this machine's certificate and key (`mailbrake cluster init`)"
    )
    spool: int = option("256MB", as_size, "on a gateway: how much may wait on disk while the stream is away")
    hosts: Mapping[str, tuple[str, ...]] = option(
        {}, as_hosts, "on controllers: lists of the other host names in a gateway's lines, by gateway"
    )
    hold: int = option("30s", as_lateness, "on controllers: how long a line waits for those of other gateways at most")
    late: int = option("15m", as_lateness, "on controllers: lines that come later than this are left out")
    partitions: int = option(8, as_number(1, 256), "on controllers: into how many parts the keys are divided")
    replicas: int = option(1, as_number(1, 5), "on controllers: on how many servers everything is kept")
    keep: int = option("2d", as_duration, "on controllers: how long the stream keeps lines")
    size: int = option("4GB", as_size, "on controllers: how much of them it keeps at most")


@dataclasses.dataclass(frozen=True)
class Config:
    """The whole file, checked; `file` is where it came from, for messages."""

    log: Log = Log()
    policy: Policy = Policy()
    reputation: Reputation = Reputation()
    state: State = State()
    milter: Milter = dataclasses.field(default_factory=Milter)
    export: Export = dataclasses.field(default_factory=Export)
    notify: Notify = Notify()
    metrics: Metrics = Metrics()
    cluster: Cluster = dataclasses.field(default_factory=Cluster)
    file: str = "(defaults)"

    @property
    def table(self) -> Path:
        """Directory of the deny table."""
        return Path(self.milter.table) if self.milter.table else Path(self.state.directory) / "table"

    @property
    def journal(self) -> Path:
        """The journal's SQLite file."""
        return Path(self.state.directory) / "journal.sqlite"


SECTIONS: dict[str, type] = {
    "log": Log,
    "policy": Policy,
    "reputation": Reputation,
    "state": State,
    "milter": Milter,
    "export": Export,
    "notify": Notify,
    "metrics": Metrics,
    "cluster": Cluster,
}


def load(path: str | Path | None) -> Config:
    """The configuration in `path`, or all defaults for None; ConfigError if it cannot be used."""
    if path is None:
        return Config()
    name = str(path)
    try:
        with Path(path).open("rb") as file:
            return parse(tomllib.load(file), name)
    except OSError as error:
        raise ConfigError(name, "", f"cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(name, "", f"is not valid TOML: {error}") from None


def parse(document: Mapping[str, object], file: str) -> Config:
    """A Config from a parsed TOML document; `file` only names it in errors."""
    sections: dict[str, Any] = {}
    for name, values in document.items():
        if name not in SECTIONS:
            raise ConfigError(file, f"[{name}]", f"no such section; {_nearest(name, SECTIONS)}")
        if not isinstance(values, Mapping):
            raise ConfigError(file, name, f"is a section: write [{name}] on a line of its own")
        sections[name] = _section(SECTIONS[name], name, values, file)
    return Config(**sections, file=file)


def _section(kind: type, name: str, values: Mapping[str, object], file: str) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    checked = {}
    for key, value in values.items():
        if key not in fields:
            raise ConfigError(file, f"[{name}] {key}", f"no such option; {_nearest(key, fields)}")
        try:
            checked[key] = fields[key].metadata["check"](value)
        except ValueError as error:
            raise ConfigError(file, f"[{name}] {key}", str(error)) from None
    return kind(**checked)


def _nearest(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else "known are " + ", ".join(known)


def render() -> str:
    """A commented configuration file with every option at its default."""
    return "\n".join(_render_section(name, kind) for name, kind in SECTIONS.items())


def effective(config: Config) -> list[str]:
    """Every option with the value in force, a line each, for the log at start."""
    rows = [f"configuration: {config.file}"]
    for name, kind in SECTIONS.items():
        values = getattr(config, name)
        rows += [f"[{name}] {field.name} = {_shown(field, values)}" for field in dataclasses.fields(kind)]
    return rows


def _shown(field: dataclasses.Field[Any], values: object) -> str:
    value = getattr(values, field.name)
    show: Callable[[Any], object] = _SHOWN.get(field.metadata["check"], lambda value: value)
    return repr(show(value))


_SHOWN: dict[Callable[[object], Any], Callable[[Any], object]] = {
    as_octal: "{:04o}".format,
    as_networks: lambda networks: [str(network) for network in networks],
    as_web: lambda urls: [_without_secrets(url) for url in urls],
    as_urls: lambda urls: [_without_secrets(url) for url in urls],
}


def _without_secrets(url: str) -> str:
    """What may stand in a log: tokens are part of these URLs."""
    return url.partition("://")[0] + "://…"


def _render_section(name: str, kind: type) -> str:
    rows = [f"[{name}]"]
    for field in dataclasses.fields(kind):
        rows += [f"# {field.metadata['meaning']}", f"#{field.name} = {_toml(field.metadata['default'])}"]
    return "\n".join(rows) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, int):
        return str(value)
    return f'"{value}"'


if __name__ == "__main__":
    print(render(), end="")
