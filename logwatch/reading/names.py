"""Which files are parts of one log, and in what order they were written, told by their names alone.

    mail.log  mail.log.1  mail.log.2.gz                 numbered: the higher, the older (logrotate, savelog, newsyslog)
    mail.log-20261101  mail.log-2026-11-01.xz           dated (logrotate's dateext)
    mail.log-20261101-1790812800  mail.log-20261101.03  dated to the hour or second
    mail-20261101.log                                   dated before the ending (dateext with `extension .log`)

A file without number, date and packing is a log's current one. A bare date before the ending is ambiguous: it may as
well be the name of a log that gets a new name every day. `current_name` says what it would be a part of; whether there
is such a log only its neighbours can tell.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

PACKED = (".gz", ".bz2", ".xz", ".zst")

_DATE = r"(?:[0-9]{4}-?[01][0-9]-?[0-3][0-9](?:[.-]?[0-9]{2,10})?|[0-9]{10})"
_PACKING = "|".join(map(re.escape, PACKED))
_NAME = re.compile(
    rf"(?P<stem>.*?)(?:(?:[.-](?P<date>{_DATE})|\.(?P<number>[0-9]{{1,4}}))|-(?P<inner>{_DATE})(?P<ending>\.[a-z]+))?"
    rf"(?P<packing>{_PACKING})?",
    re.DOTALL,
)


class Age(NamedTuple):
    """A sort key: the log, whether this is its current file, its date, its number (higher ones first), the name."""

    log: str
    current: bool
    date: str
    number: int
    path: str


@lru_cache(maxsize=1 << 14)  # asked of the same names again and again
def age(path: str) -> Age:
    """Where a file stands among the parts of its log."""
    found = _NAME.fullmatch(path)
    assert found is not None  # every part is optional
    stem, number, date = found["stem"], found["number"], re.sub("[.-]", "", found["date"] or found["inner"] or "")
    if number is not None and not re.search("[A-Za-z]", os.path.basename(stem)):  # noqa: PTH119
        stem, number = f"{stem}.{number}", None  # 192.0.2.1 is a host, not the first rotation of 192.0.2
    current = not date and number is None and not found["packing"]
    return Age(stem + (found["ending"] or ""), current, date or "9", -int(number or 0), path)


def ordered(paths: Iterable[str | Path]) -> list[str]:
    """Oldest first: `mail.log-20261101`, `mail.log.2.gz`, `mail.log.1`, `mail.log`; different logs by name."""
    return sorted(map(str, paths), key=age)


def expanded(names: Iterable[str]) -> list[str]:
    """The files that are meant, each once: patterns give what they match, directories all files in them."""
    return list(dict.fromkeys(path for name in names for path in _meant(name)))


def _meant(name: str) -> list[str]:
    if os.path.isdir(name):  # noqa: PTH112
        inside = sorted(glob.glob(os.path.join(glob.escape(name), "*")))  # noqa: PTH118
        return [path for path in inside if os.path.isfile(path)]  # noqa: PTH113
    pattern = glob.has_magic(name) and not os.path.exists(name)  # noqa: PTH110
    return sorted(glob.glob(name)) if pattern else [name]


def is_rotated(path: str) -> bool:
    """Whether the name says that this is an older part of a log."""
    return not age(path).current


def current_name(path: str) -> str:
    """The name that the current file of this log has, or would have."""
    return age(path).log


def dated_inside(path: str) -> bool:
    """Whether a date before the ending is all that says that this is an older part."""
    found = _NAME.fullmatch(path)
    return bool(found and found["inner"] and not found["packing"])


def parts(path: str) -> list[list[str]]:
    """The files of a log that are there, oldest first, its current one (`path`) last whether it is there or not.

    Several names together are one part, packed and not packed yet; the unpacked one comes first. Where `path` is a
    symbolic link, files like its target are older parts too: the link is switched from one to the next.
    """
    switched, alike = [], [name for name in _alike(path) if name != path]
    if os.path.islink(path):  # noqa: PTH114
        target = os.path.realpath(path)
        switched = _switched(target)
        alike += [name for name in _alike(target) if name not in (target, *alike, *switched)]
    older = _grouped(switched, lambda name: _numbers(_unpacked(name)))
    return [*older, *_grouped(alike, lambda name: age(name)[1:4]), [path]]


def _grouped(names: Iterable[str], when: Callable[[str], tuple[object, ...]]) -> list[list[str]]:
    """Names of one time together, oldest first; the shortest first among them, which is the one that is not packed."""
    return [list(group) for _, group in groupby(sorted(names, key=lambda name: (when(name), name)), key=when)]


def _alike(path: str) -> list[str]:
    stem = os.path.splitext(path)[0]  # noqa: PTH122
    return [name for name in glob.glob(glob.escape(stem) + "*") if age(name).log == path]


def _switched(target: str) -> list[str]:
    """Files that a link to `target` may have pointed to before: named like it, but for lower numbers in the name."""
    found = glob.glob(glob.escape(os.path.dirname(target)) + "/*")  # noqa: PTH120
    alike = [name for name in found if _shape(_unpacked(name)) == _shape(target)]
    return [name for name in alike if _numbers(_unpacked(name)) < _numbers(target)]


def _unpacked(path: str) -> str:
    root, ending = os.path.splitext(path)  # noqa: PTH122
    return root if ending in PACKED else path


def _shape(path: str) -> str:
    return re.sub("[0-9]+", "0", path)


def _numbers(path: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall("[0-9]+", path)))
