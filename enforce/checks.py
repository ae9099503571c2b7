"""What the values of options must be: each check turns what TOML gave into what is stored.

ValueError says what is expected and what was found; `config` puts file and key before it.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from typing import cast

from enforce.key import network

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
_ADDRESS = re.compile(r"(?!-)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@(?:[A-Za-z0-9._-]+|\[[A-Za-z0-9:.]+\])")
_WEB = re.compile(r"https?://(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?(?:[/?#][!-~]*)?")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[!-~]*")
_STREAM = re.compile(
    r"tls://(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}|nats://(?:127\.0\.0\.1|localhost|\[::1\]):[0-9]{1,5}"
)
_LONGEST_PATH = 107  # bytes that fit in a sockaddr_un
_LONGEST_DURATION = 36500 * 86400  # seconds: dates end with the year 9999
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
SIZES = {"kB": 10**3, "MB": 10**6, "GB": 10**9}


def as_duration(value: object) -> int:
    """Seconds of a duration such as "90s", "10m", "1h", "7d", up to 100 years."""
    found = re.fullmatch(r"([1-9][0-9]{0,8})([smhdw])", value) if isinstance(value, str) else None
    if not found:
        meant = as_written_elsewhere(value) if isinstance(value, str) else ""
        remedy = f'; did you mean "{meant}"?' if meant else ""
        raise ValueError(f'expected a duration such as "90s", "10m", "1h" or "7d", found {value!r}{remedy}')
    seconds = int(found[1]) * UNITS[found[2]]
    if seconds > _LONGEST_DURATION:
        raise ValueError(f'expected 100 years at most ("36500d"), found {value!r}')
    return seconds


LENGTH = re.compile(
    r"(?P<n>[1-9][0-9]{0,8})?[ \t]*"
    r"(?P<unit>s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)(?!\w)",
    re.IGNORECASE,
)


def as_written_elsewhere(text: str) -> str:
    """The duration that `1 hour`, `30 Min` or `day` means, as it is written here; "" if that is none."""
    found = LENGTH.match(text.strip())
    return f"{found['n'] or 1}{found['unit'][0].lower()}" if found and found.end() == len(text.strip()) else ""


def as_text(value: object) -> str:
    """A string without control characters."""
    if not isinstance(value, str) or not all(map(str.isprintable, value)):
        raise ValueError(f"expected a string in quotes, found {value!r}")
    return value


def as_path(value: object) -> str:
    """A path, or ""; what a shell would put in the place of `~` and `$NAME` is not there yet."""
    path = as_text(value)
    if _FOR_A_SHELL.search(path):
        raise ValueError(f"paths are taken as they are, and no shell sees {value!r}: write it out, from the first / on")
    return path


_FOR_A_SHELL = re.compile(r"\A~|(?:\A|/)\$[A-Za-z_{]")


def as_directory(value: object) -> str:
    """A directory's path."""
    if not as_path(value):
        raise ValueError(f'expected a directory such as "/var/lib/mailbrake", found {value!r}')
    return cast(str, value)


def as_paths(value: object) -> tuple[str, ...]:
    """A list of paths, none of them empty."""
    return tuple(map(as_path, as_strings(value)))


def as_realm(value: object) -> str:
    """A mail domain, or ""."""
    if not isinstance(value, str) or not re.fullmatch(r"[^\s@]*", value) or not value.isprintable():
        raise ValueError(f'expected a domain such as "example.com", found {value!r}')
    return value


def as_strings(value: object, such_as: str = 'strings such as ["/var/log/mail.log"]') -> tuple[str, ...]:
    """A list of strings without control characters, none of them empty."""
    if not isinstance(value, list) or not value or not all(isinstance(v, str) and v and v.isprintable() for v in value):
        raise ValueError(f"expected a list of {such_as}, found {value!r}")
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
        close = difflib.get_close_matches(name, zoneinfo.available_timezones(), n=1) or [
            one for one in sorted(zoneinfo.available_timezones()) if one.lower().rpartition("/")[2] == name.lower()
        ]
        meant = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f'expected a time zone such as "Europe/Berlin" or "UTC", found {name!r}{meant}') from None
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
        kind, _, path = value.partition(":")
        if kind == "unix" and len(os.fsencode(path)) > _LONGEST_PATH:
            raise ValueError(
                f"the path of a unix socket may have {_LONGEST_PATH} bytes: use a shorter one than {value!r}"
            )
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
            return tuple(map(network, value))
    except ValueError:
        pass
    raise ValueError(f'expected a list of addresses and networks such as ["127.0.0.0/8", "::1"], found {value!r}')


def as_texts(value: object) -> dict[str, str]:
    """Sentences by action; a line end within one makes a reply of several lines."""
    if isinstance(value, Mapping) and all(_is_sentence(v) for v in value.values()):
        unknown = set(value) - set(REFUSALS)
        if not unknown:
            return dict(value)
        raise ValueError(f"no reply is given for {min(unknown)!r}; {nearest(min(unknown), REFUSALS)}")
    raise ValueError(f'expected sentences by action such as {{ tempfail = "Slow down" }}, found {value!r}')


def _is_sentence(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 400 and all(map(str.isprintable, value.split("\n")))


def as_command(value: object) -> tuple[str, ...]:
    """A command as the list of its arguments; it may be empty. No shell takes it apart."""
    return () if value == [] else as_strings(value, 'words such as ["/usr/sbin/sendmail", "-i"]')


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
    if value != "" and not (isinstance(value, str) and _ADDRESS.fullmatch(value)):
        raise ValueError(f'expected an address such as "abuse@example.com", found {value!r}')
    return str(value)


def as_web(value: object) -> tuple[str, ...]:
    """A list of URLs that HTTP serves; it may be empty."""
    if not isinstance(value, list) or not all(isinstance(v, str) and _WEB.fullmatch(v) for v in value):
        such_as = '["https://example.com/hook"], with no user and password in them'
        raise ValueError(f"expected a list of URLs such as {such_as}")  # what was found may hold secrets
    return tuple(value)


def as_urls(value: object) -> tuple[str, ...]:
    """A list of URLs of whatever kind; it may be empty."""
    if not isinstance(value, list) or not all(isinstance(v, str) and _URL.fullmatch(v) for v in value):
        raise ValueError('expected a list of URLs such as ["ntfys://example.com/topic"]')
    return tuple(value)


def as_notices(value: object) -> tuple[str, ...]:
    """What to be told about."""
    names = as_strings(value, f"some of {', '.join(map(repr, NOTICES))}")
    for name in names:
        if name not in NOTICES:
            raise ValueError(f"there are no notifications about {name!r}; {nearest(name, NOTICES)}")
    return names


def as_files(value: object) -> dict[str, str]:
    """Absolute paths of files by the format to write there."""
    if not isinstance(value, Mapping) or not all(isinstance(v, str) and v.startswith("/") for v in value.values()):
        raise ValueError(f'expected absolute paths by format such as {{ postfix-sasl = "/etc/x" }}, found {value!r}')
    for name in value:
        if name not in FORMATS:
            raise ValueError(f"no such format: {name}; {nearest(name, FORMATS)}")
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
    return int(found[1]) * SIZES[found[2]]


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


def nearest(name: str, known: Iterable[str]) -> str:
    """What may have been meant by a name that is not known, or all that are."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else "known are " + ", ".join(known)
