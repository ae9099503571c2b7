"""Names of a cluster's machines, for which hosts a gateway speaks, and a key's partition. No I/O but the own name."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
from importlib.metadata import version

from enforce.config import Config

VERSION = version("mailbrake")
SITE = "site"  # the key of what concerns everybody
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_-]")


def name_of(config: Config) -> str:
    """This machine's name in the cluster."""
    return config.cluster.name or _NOT_A_NAME.sub("-", socket.gethostname().partition(".")[0]) or "localhost"


def speaks(config: Config, gateway: str, host: str) -> bool:
    """Whether a gateway may bring lines that name a host."""
    return host == gateway or host in config.cluster.hosts.get(gateway, ())


def lines_of(host: str) -> str:
    """The subject of a host's lines."""
    return f"lines.{host}"


def partition(key: str, partitions: int) -> int:
    """The partition of a key."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest()) % partitions


def raw(key: str) -> str:
    """A key of the table as one of the bucket, in what NATS allows in a name; the same in whatever partition it is."""
    return f"key.{base64.urlsafe_b64encode(key.encode()).decode().rstrip('=')}"


def plain(name: str) -> str | None:
    """The key that `raw` gave this name to, or once gave (with a number before the dot); None for any other name."""
    packed = name.partition(".")[2]
    try:
        return base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode() or None
    except ValueError:
        return None
