"""Time stamps of log lines as epoch seconds.

Traditional syslog stamps (RFC 3164, `Nov 25 01:16:55`) have neither year nor zone. The zone is the one configured, else
the machine's. The year is the one that puts a stamp nearest to the line before it, so that New Year is crossed
by order of lines, backwards too where a line is late; the first line is put by `first_year`. A quiet half year or more
between two lines is misread. In the hour that daylight saving repeats, a step back of more than half an hour means
that the second pass has begun.

Exim's stamps (`2026-11-25 01:16:55`, a zone behind it on demand) have a year; theirs is the first pass of such an hour.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo

# Shapes only, for speed: whether a stamp names a moment is found out when it is converted.
BSD_STAMP = r"[A-Z][a-z]{2}[ 0-9:]{10,11}[0-9]"
ISO_STAMP = r"[0-9]{4}-[0-9T:.,+Z-]{12,31}"

_MONTHS = {name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_HALF_HOUR = 1800.0
_YEARS = (1970, 9999)  # what every clock and calendar here can count


class Stamps:
    """Reads one stamp after the other; `last` is the one before, the only thing remembered."""

    def __init__(self, zone: tzinfo | None, last: float) -> None:
        self.zone = zone
        self.last = last
        self._hour = b""  # "Nov 25 01", whose start is _base
        self._base = 0.0
        self._second_pass: float | None = None  # where this hour comes twice

    def read(self, text: bytes) -> float | None:
        """Epoch seconds of a stamp; None for one that names no moment (`Feb 31`)."""
        if not text[:1].isdigit():
            return self._traditional(text)
        try:
            moment = datetime.fromisoformat(text.decode("ascii").replace(" +", "+").replace(" -", "-"))
        except ValueError:
            return None
        if not _YEARS[0] <= moment.year < _YEARS[1]:
            return None
        self.last = (moment if moment.tzinfo else moment.replace(tzinfo=self.zone)).timestamp()
        return self.last

    def _traditional(self, text: bytes) -> float | None:
        if len(text) == 14:  # `Jan 6`, as some write it
            text = text[:4] + b" " + text[4:]
        if text[:9] != self._hour and not self._enter(text[:9]):
            return None
        within = _within_hour(text)
        if within is None:
            return None
        stamp = self._base + within
        if self._second_pass is not None and stamp < self.last - _HALF_HOUR:
            self._base, self._second_pass = self._second_pass, None
            stamp = self._base + within
        self.last = stamp
        return stamp

    def _enter(self, hour: bytes) -> bool:
        start = nearest(hour, self.zone, self.last)
        if start is None:
            return False
        self._hour = hour
        self._base = start.timestamp()
        again = start.replace(fold=1).timestamp()
        self._second_pass = again if again > self._base else None
        return True


def _within_hour(text: bytes) -> int | None:
    """Seconds since the full hour of `Mmm dd hh:mm:ss`; a second may be a leap second."""
    minute, second = text[10:12], text[13:15]
    if text[9:10] != b":" or text[12:13] != b":" or not (minute + second).isdigit():
        return None
    return int(minute) * 60 + int(second) if int(minute) < 60 and int(second) <= 60 else None


def nearest(hour: bytes, zone: tzinfo | None, to: float) -> datetime | None:
    """The start of `Mmm dd hh` in the year that puts it nearest to an epoch time; None if no year has that day."""
    month, year = _MONTHS.get(hour[:3]), datetime.fromtimestamp(to, zone).year
    found = []
    for candidate in (year - 1, year, year + 1):
        try:
            found.append(datetime(candidate, month or 0, int(hour[4:6]), int(hour[7:9]), tzinfo=zone))
        except ValueError:
            continue
    return min(found, key=lambda start: abs(start.timestamp() - to), default=None)


def first_year(samples: Iterable[bytes], zone: tzinfo | None, newest: float) -> float:
    """About when the first of `samples` was written: stamps of one log in its order, less than half a year apart.

    The last one lies before `newest` (a day's grace for clocks and zones). Without samples: `newest`.
    """
    time, year_end = newest, newest + timedelta(days=1).total_seconds()
    for position, text in enumerate(reversed(list(samples))):
        if text[:1].isdigit():
            time = Stamps(zone, time).read(text) or time
            continue
        # half a year before the newest is nearest to every stamp of the year that ends then
        start = nearest(text[:9], zone, year_end - timedelta(days=183).total_seconds() if position == 0 else time)
        time = start.timestamp() if start else time
    return time
