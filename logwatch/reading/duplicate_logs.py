"""Logs that hold the same lines, so that all of them would count twice.

syslog daemons write a line to every file that a rule names: on Debian and Ubuntu mail stands in `mail.log` and in
`syslog`, and did in `mail.info`, too. Two logs of different things share no line: each has stamp, host and process id.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from itertools import combinations

from logwatch.reading.names import PACKED, current_name, ordered

_LOOKED_AT = 16 << 20  # bytes of all logs
_OF_EACH = 1 << 20  # from their ends, which were written at about the same time
_ENOUGH = 5  # lines
_SHORTEST = 40  # bytes of a line that cannot stand in two logs by chance


def twice(paths: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of logs that end alike, by the last file of each; what is packed, or cannot be read, is not looked at."""
    plain = {current_name(path): path for path in ordered(paths) if _is_plain(path)}.values()
    size = min(_OF_EACH, _LOOKED_AT // max(1, len(plain)))
    ends = {path: _end(path, size) for path in plain} if len(plain) > 1 else {}
    found: dict[int, list[str]] = {}
    for path, lines in ends.items():
        for line in lines:
            found.setdefault(line, []).append(path)
    shared = Counter(pair for paths in found.values() for pair in combinations(paths, 2))
    return [pair for pair, lines in shared.items() if lines >= _ENOUGH]


def _is_plain(path: str) -> bool:
    return os.path.isfile(path) and not path.endswith(PACKED)  # noqa: PTH113


def _end(path: str, size: int) -> set[int]:
    """The lines at a file's end, as their hashes."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - as elsewhere in this room names are text
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return {hash(line) for line in file.read(size).splitlines() if len(line) >= _SHORTEST}
    except OSError:
        return set()
