"""One TOML file configures both halves; every option stands here once, with default, unit, meaning and check.

The light half owns this module since both halves read the same file and only this one may be imported by both.
An option is a field of its section's dataclass: its default, the check (`checks`) that turns a TOML value into the
stored one, and what it means. `render` writes the commented sample from the same fields, and a
test holds `samples/mailbrake.toml` equal to it.

Every option has a default, so that an empty file is a valid, observing configuration.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from enforce.checks import (
    NOTICES,
    SIZES,
    UNITS,
    Network,
    as_addresses,
    as_command,
    as_directory,
    as_duration,
    as_endpoint,
    as_files,
    as_hosts,
    as_judge,
    as_lateness,
    as_mode,
    as_name,
    as_nameservers,
    as_networks,
    as_notices,
    as_number,
    as_octal,
    as_path,
    as_paths,
    as_realm,
    as_sender,
    as_server,
    as_servers,
    as_size,
    as_socket,
    as_switch,
    as_text,
    as_texts,
    as_urls,
    as_web,
    as_zone,
    nearest,
)
from enforce.errors import ReportedError

ENVIRONMENT = "MAILBRAKE_CONFIG"  # the environment's name for the configuration


class ConfigError(ReportedError):
    """A configuration that cannot be used: which file and line, which key, what is wrong and what would be right."""

    status = 2

    def __init__(self, file: str, key: str, problem: str, line: int = 0) -> None:
        self.file, self.key, self.problem, self.line = file, key, problem, line
        place = f"{file}:{line}" if line else file
        super().__init__(f"{place}: {key}: {problem}" if key else f"{place}: {problem}")


def option(default: Any, check: Callable[[object], Any], meaning: str) -> Any:
    """A field holding `check(default)`; `default` is kept as it would be written in TOML."""
    metadata = {"check": check, "default": default, "meaning": meaning}
    return dataclasses.field(default_factory=lambda: check(default), metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Log:
    """`[log]`: where the mail log is and how to read it."""

    files: tuple[str, ...] = option(
        ["/var/log/mail.log"],
        as_paths,
        "log files to follow; patterns and directories too, of which the current logs are meant",
    )
    journald: bool = option(
        False, as_switch, "true: follow the systemd journal's entries of facility mail instead of files"
    )
    zone: str = option(
        "", as_zone, 'time zone of stamps that carry none, such as "Europe/Berlin"; "": the machine\'s own'
    )
    default_realm: str = option(
        "", as_realm, "domain of logins without one: bob and bob@example.com are then one account"
    )
    keep_case: bool = option(False, as_switch, "true where Bob and bob are two accounts")
    countries: str = option(
        "", as_path, 'an .mmdb file with the countries of addresses; "": the registries\' files, which come along'
    )


@dataclasses.dataclass(frozen=True)
class Policy:
    """`[policy]`: which rules, and how far they may go."""

    file: str = option("", as_path, 'the policy; "": the one shipped with mailbrake, which only observes')
    mode: str = option("observe", as_mode, "the most that any rule may do: observe or enforce")


@dataclasses.dataclass(frozen=True)
class Reputation:
    """`[reputation]`: how `watch` asks the DNS block lists that a policy names; none by default."""

    nameservers: tuple[str, ...] = option(
        [], as_nameservers, 'whom to ask, such as ["127.0.0.1:53"]; []: those of /etc/resolv.conf'
    )
    per_second: int = option(20, as_number(1, 100_000), "questions a second, at most")
    timeout: int = option("3s", as_duration, "how long to wait for an answer")


@dataclasses.dataclass(frozen=True)
class State:
    """`[state]`: what is remembered, and where."""

    directory: str = option("/var/lib/mailbrake", as_directory, "journal, checkpoint and deny table")
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
    table: str = option("", as_path, 'the deny table; "": table/ below the state directory')
    syslog: str = option("/dev/log", as_path, 'syslog socket for verdict lines (facility mail); "": none')


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
        "/etc/mailbrake/cluster", as_path, "directory of this machine's certificate and key (`mailbrake cluster init`)"
    )
    spool: int = option("256MB", as_size, "on a gateway: how much may wait on disk while the stream is away")
    hosts: Mapping[str, tuple[str, ...]] = option(
        {}, as_hosts, "on controllers: lists of the other host names in a gateway's lines, by gateway"
    )
    hold: int = option("10s", as_lateness, "on controllers: how long a line waits for those of other gateways at most")
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
    lines: Mapping[str, int] = dataclasses.field(default_factory=dict, compare=False)  # of `section.option`

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


def argument(parser: argparse.ArgumentParser, default: str | None) -> None:
    """`--config FILE`, of every program; `default`: what `$MAILBRAKE_CONFIG` says, where that is to count."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=default,
        help=f"configuration (TOML); default: the one that ${ENVIRONMENT} names, else all options at their defaults",
    )


def load(path: str | Path | None) -> Config:
    """The configuration in `path`, or all defaults for None; ConfigError if it cannot be used."""
    if path is None:
        return Config()
    name = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        return parse(tomllib.loads(text), name, partial(_line, text.splitlines()))
    except OSError as error:
        raise ConfigError(name, "", f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(name, "", "is not valid TOML: it is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise _no_toml(name, text, str(error)) from None


def _no_toml(file: str, text: str, problem: str) -> ConfigError:
    """What TOML's reader says, with its line in front, and how it is written, for what is often written otherwise."""
    found = re.search(r"at line ([0-9]+)", problem)
    line = int(found[1]) if found else 0
    written = text.splitlines()[line - 1] if 0 < line <= len(text.splitlines()) else ""
    remedy = next((how for said, looks, how in _AS_TOML if said in problem and re.search(looks, written)), "")
    return ConfigError(file, "", f"is not valid TOML: {problem}{remedy}", line)


_AS_TOML = (  # what the reader says, what the line looks like, and the remedy
    ("Invalid value", "[“”„‘’«»]", '; quotes are straight: "…"'),
    ("Invalid value", r"=\s*(?i:true|yes|on|false|no|off)\s*(?:#|$)", "; a switch is true or false, in small letters"),
    ("Invalid value", "", '; text stands in quotes, such as "…", and a list of it in brackets'),
    ("Cannot declare", "", "; a section stands once: put its options together"),
    ("Cannot overwrite", "", "; an option stands once"),
)


def parse(document: Mapping[str, object], file: str, line: Callable[[str, str], int] = lambda *_: 0) -> Config:
    """A Config from a parsed TOML document; `file`, and the `line` of a section and option, are for errors."""
    sections: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for name, values in document.items():
        if name not in SECTIONS:
            raise ConfigError(file, f"[{name}]", f"no such section; {_section_of(name)}", line(name, ""))
        if not isinstance(values, Mapping):
            raise ConfigError(file, name, f"is a section: write [{name}] on a line of its own", line(name, ""))
        sections[name] = _section(SECTIONS[name], name, values, file, line)
        lines |= {f"{name}.{key}": line(name, key) for key in values}
    return Config(**sections, file=file, lines=lines)


def _section_of(name: str) -> str:
    """Where an option without its section belongs, or which section was meant."""
    of = [section for section, kind in SECTIONS.items() if name in {field.name for field in dataclasses.fields(kind)}]
    return f"{name} is an option of [{'] or ['.join(of)}]: write it below that line" if of else nearest(name, SECTIONS)


def _section(kind: type, name: str, values: Mapping[str, object], file: str, line: Callable[[str, str], int]) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    checked = {}
    for key, value in values.items():
        if key not in fields:
            raise ConfigError(file, f"[{name}] {key}", f"no such option; {nearest(key, fields)}", line(name, key))
        try:
            checked[key] = fields[key].metadata["check"](value)
        except ValueError as error:
            raise ConfigError(file, f"[{name}] {key}", str(error), line(name, key)) from None
    return kind(**checked)


def _line(lines: Sequence[str], section: str, option: str) -> int:
    """Where a section, or an option of it, stands in a file as files are usually written; 0 if it is not found."""
    within, wanted = "", f"{section}.{option}" if option else section
    for number, line in enumerate(lines, 1):
        if header := _HEADER.match(line):
            within = header[1]
        written = _OPTION.match(line)
        path = ".".join(filter(None, (within, written and written[1]))).translate(_BARE)
        if path == wanted or (not option and path.startswith(f"{wanted}.")):
            return number
    return 0


_HEADER = re.compile(r"\s*\[+([^\]]*)\]")
_OPTION = re.compile(r"\s*([^\s=#\[][^=#]*?)\s*=")
_BARE = str.maketrans("", "", " \t\"'")


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
    return _toml(show(value))


def _span(seconds: int) -> str:
    size, unit = next((size, unit) for unit, size in reversed(UNITS.items()) if seconds % size == 0 and unit != "w")
    return f"{seconds // size}{unit}"


def _size(count: int) -> str:
    unit, size = next((unit, size) for unit, size in reversed(SIZES.items()) if count % size == 0)
    return f"{count // size}{unit}"


_SHOWN: dict[Callable[[object], Any], Callable[[Any], object]] = {
    as_duration: _span,
    as_lateness: _span,
    as_size: _size,
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
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{name} = {_toml(v)}" for name, v in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    print(render(), end="")
