"""Time stamps of log lines as epoch seconds.

Traditional syslog stamps (RFC 3164, `Nov 25 01:16:55`) have neither year nor zone. The zone is the one configured, else
the machine's. The year is the one that puts a stamp nearest to the line before it, so that New Year is crossed
by order of lines, backwards too where a line is late; the first line is put by `first_year`. A quiet half year or more
between two lines is misread. Once a log has been somewhere for long, fewer than twenty odd stamps in a row do not lead
it round the year (see `Course`). In the hour that daylight saving repeats, a step back of more than half an hour means
that the second pass has begun.

Stamps with a blank between date and time (Exim's, `2026-11-25 01:16:55`, a zone behind it on demand; those of some
syslogds) have a year; theirs is the first pass of such an hour.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo

# Shapes only, for speed: whether a stamp names a moment is found out when it is converted.
BSD_STAMP = r"[A-Z][a-z]{2}[ 0-9:]{10,11}[0-9]"
ISO_STAMP = r"[0-9]{4}-[0-9T:.,+Z-]{12,31}"
_ZONE = r"(?:Z| ?[+-][0-9]{2}:?[0-9]{2})?"
SPACED_STAMP = rf"[0-9]{{4}}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-6][0-9](?:[.,][0-9]{{1,9}})?{_ZONE}"
# In front of a host: Exim's own lines begin with such a stamp, too, but then may come what a sender wrote.
SYSLOG_STAMP = (
    rf"{BSD_STAMP}|{ISO_STAMP}"
    rf"|{SPACED_STAMP}(?= [0-9A-Za-z._:-]+ [0-9A-Za-z._/-]+(?:\[[0-9]{{1,10}}\])?: )"
)

_MONTHS = {name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_HALF_HOUR = 1800.0
_YEARS = (1970, 9999)  # what every clock and calendar here can count


class Course:
    """Where a log has got to: its last stamp, and where it was before odd ones came.

    A host with a wrong clock, or whoever may send lines to a central syslog, writes stamps too. Two, five months
    from each other, would have the next true one read a year later, and all after it.
    """

    def __init__(self, last: float, home: float | None = None, near: int = 0, odd: int = 0) -> None:
        """`home`: the latest of `near` different stamps (_SETTLED at most) around it; since then came `odd` others."""
        self.last = last
        self.home = last if home is None else home
        self.near, self.odd = near, odd

    def put(self, time: float) -> None:
        """A stamp was read."""
        if time == self.last:
            return
        self.last = time
        if abs(time - self.home) <= _AROUND:
            self.home, self.near, self.odd = time, min(_SETTLED, self.near + 1), 0
        elif self.odd + 1 >= self.near:
            self.home, self.near, self.odd = time, 1, 0
        else:
            self.odd += 1

    def state(self) -> tuple[float, int, int]:
        """What it was made with beside its last stamp."""
        return self.home, self.near, self.odd

    @property
    def astray(self) -> bool:
        """Whether the last stamps were odd ones."""
        return self.odd > 0 and self.near == _SETTLED

    def start(self, hour: bytes, zone: tzinfo | None) -> datetime | None:
        """The start of `Mmm dd hh` in the year that is meant; None if no year has that day."""
        again = nearest(hour, zone, self.home) if self.astray else None
        if again and abs(again.timestamp() - self.home) <= _AGAIN:
            return again
        return nearest(hour, zone, self.last)


_AROUND = 31 * 86400.0
_AGAIN = 7 * 86400.0  # from where a log was: nearer than that it goes on, rather than having gone round a year
_SETTLED = 20


class Stamps:
    """Reads one stamp after the other; `course` is all that is remembered."""

    def __init__(self, zone: tzinfo | None, last: float) -> None:
        self.zone = zone
        self.course = Course(last)
        self._hour = b""  # "Nov 25 01", whose start is _base
        self._base = 0.0
        self._second_pass: float | None = None  # where this hour comes twice

    @property
    def last(self) -> float:
        """The stamp before, epoch seconds."""
        return self.course.last

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
        stamp = (moment if moment.tzinfo else moment.replace(tzinfo=self.zone)).timestamp()
        self.course.put(stamp)
        return stamp

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
        self.course.put(stamp)
        return stamp

    def _enter(self, hour: bytes) -> bool:
        start = self.course.start(hour, self.zone)
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
    course, year_end = Course(newest), newest + timedelta(days=1).total_seconds()
    for position, text in enumerate(reversed(list(samples))):
        if text[:1].isdigit():
            course.put(Stamps(zone, course.last).read(text) or course.last)
            continue
        # half a year before the newest is nearest to every stamp of the year that ends then
        middle = year_end - timedelta(days=183).total_seconds()
        start = course.start(text[:9], zone) if position else nearest(text[:9], zone, middle)
        course.put(start.timestamp() if start else course.last)
    return course.home if course.astray else course.last
