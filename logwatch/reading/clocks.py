"""The site's time, told from a log that hosts with clocks of their own write, some of which may be wrong.

The site's clock is the newest stamp so far; what is up to an hour older is late, and is judged as of the newest. A host
that is further off than that is judged by the site's clock too, and cannot move it: neither another host that is hours
off, nor a daemon that was shut into a chroot without a time zone, nor somebody who writes host names of his own into a
central syslog, takes from the others what had been counted.

**Whose clock is the site's.** One host leads; the others may be ahead of its newest stamp by an hour. One that is
further ahead takes the lead where it has been heard in time before: then nobody has written for an hour, in the night
say. Where others are heard, all else is odd: a host that was never in time, or one that is behind. It is told, and
judged as of the site's clock.

**Who was wrong** shows with what comes next. A lead that was taken is given back as soon as there are more lines in the
old time than there were in the new; who took it is known to be off by so much for a day, and for that day nobody takes
the lead by one line. Twenty odd lines in a row, ahead of everybody, take it all the same (the others have gone), and so
does who has written hundreds of odd lines more than there were in time, so that in the end the site's time is that of
most of its lines.

**A step.** Where no other host is heard within the hour, there is none to be compared with: the clock was set, back or
ahead, and all that is counted goes by the new one. Two steps that undo each other are two clocks under one name, and
the one that stepped first is off from then on.

All of this hangs on the order of lines alone. Bounds: 500 hosts heard within a week, 100 that are off, for a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from operator import eq
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from logwatch.memory import Memory

LATE = 3600.0  # a line older than this against the newest is none that is late
_DAY = 86400.0
_WEEK = 7 * _DAY
_STRONG = 400  # lines in time beyond which more of them make no difference
_OUTVOTED = -100
_IN_A_ROW = 20
_MOST_OFF = 100
_LONGEST = 255  # bytes of a host's name

Host = bytes | None  # lines without a header name none


class _Step(NamedTuple):
    """A clock that was set, or a lead that was taken: by which host, the time before, and what spoke for that."""

    host: Host
    old: float
    support: int


class _Off(NamedTuple):
    """A host's clock that is off by so many seconds; whether that is proven; when it was last seen to be."""

    by: float
    proven: bool
    time: float


class Clocks:
    """The site's clock, line after line of one log."""

    def __init__(self) -> None:
        self.now = 0.0  # epoch seconds
        self.steps = 0  # of the site's clock, back by more than an hour
        self.wrong = 0  # times that a host was found to be off, or off by something else than before
        self.heard: Memory[float] = Memory("hosts", 500, names=(_as_text, _from_text))  # latest stamp that was in time
        self._off: dict[Host, _Off] = {}
        self._leader: Host = None
        self._led = 0.0  # the leader's newest stamp
        self._support = 0  # lines in time since the lead was taken, less the odd ones; _STRONG at most
        self._run = 0  # odd lines since the last that was in time
        self._step: _Step | None = None  # the latest, while what comes next may undo it
        self._wary = 0.0  # until then nobody takes the lead by one line

    def of(self, hosts: Sequence[Host], times: NDArray[np.float64]) -> NDArray[np.float64]:
        """The site's clock as of each line, from the lines' hosts and their stamps (epoch seconds)."""
        if not len(times):
            return times
        if not self.now:
            self._leader, self.now, self._led = hosts[0], float(times[0]), float(times[0])
        clocks = np.maximum.accumulate(np.maximum(times, self.now))
        alone = hosts.count(hosts[-1]) == len(hosts)
        leads = self._leads(hosts, alone)
        first = self._first_odd(times, clocks, leads)
        if first:
            self._led = float(times[:first].max(where=leads[:first], initial=self._led))
            self.now = float(clocks[first - 1])
            self._agree(first)
            places = {hosts[0]: first - 1} if alone else dict(zip(hosts[:first], range(first), strict=True))
            self._hear((host, float(times[place]), float(clocks[place])) for host, place in _in_order(places))
        if first == len(times):
            return clocks
        return np.concatenate((clocks[:first], self._one_by_one(hosts[first:], times[first:].tolist())))

    def expire(self) -> None:
        """Forget hosts that have not been in time for a week."""
        self.heard.expire(self.now - _WEEK)

    def off(self) -> dict[str, float]:
        """By how many seconds hosts were off within the last day, ahead or (negative) behind; the latest last."""
        return {_as_text(host): off.by for host, off in self._off.items() if off.time >= self.now - _DAY}

    def state(self) -> dict[str, Any]:
        """All of it but `heard`, `now` and `steps`, for `restore`, as JSON values."""
        return {
            "led": [_as_text(self._leader), self._led],
            "votes": [self._support, self._run, self._wary],
            "step": self._step and [_as_text(self._step.host), *self._step[1:]],
            "off": [[_as_text(host), *off] for host, off in self._off.items()],
            "wrong": self.wrong,
        }

    def restore(self, now: float, steps: int, state: Mapping[str, Any]) -> None:
        """Take up what `now`, `steps` and `state` once were."""
        self.now, self.steps = now, steps
        leader, self._led = state.get("led", ("", now))
        self._leader = _from_text(leader)
        self._support, self._run, self._wary = state.get("votes", (0, 0, 0.0))
        step = state.get("step")
        self._step = _Step(_from_text(step[0]), *step[1:]) if step else None
        self._off = {_from_text(host): _Off(*off) for host, *off in state.get("off", ())}
        self.wrong = state.get("wrong", 0)

    def _leads(self, hosts: Sequence[Host], alone: bool) -> NDArray[np.bool_]:
        """Which of the lines are the leader's."""
        if alone:
            return np.full(len(hosts), hosts[0] == self._leader)
        return np.fromiter(map(eq, hosts, repeat(self._leader)), bool, len(hosts))

    def _first_odd(self, times: NDArray[np.float64], clocks: NDArray[np.float64], leads: NDArray[np.bool_]) -> int:
        """The place of the first odd line, or how many lines there are."""
        if times.min() >= clocks[-1] - LATE and clocks[-1] <= self._led + LATE:  # nearly always
            return len(times)
        led = np.maximum.accumulate(np.concatenate(((self._led,), np.where(leads, times, self._led))))
        odd = (times < clocks - LATE) | (times > led[:-1] + LATE)
        return int(odd.argmax()) if odd.any() else len(times)

    def _one_by_one(self, hosts: Sequence[Host], times: Sequence[float]) -> list[float]:
        """The same as `of`, where there are odd lines."""
        clocks = []
        heard: dict[Host, tuple[float, float]] = {}
        for host, time in zip(hosts, times, strict=True):
            if self.now - LATE <= time <= self._led + LATE:
                self.now = max(self.now, time)
                self._led = max(self._led, time) if host == self._leader else self._led
                self._agree(1)
                heard.pop(host, None)
                heard[host] = time, self.now
            else:
                self._hear((host, *when) for host, when in heard.items())
                heard.clear()
                self._odd(host and host[:_LONGEST], time)
            clocks.append(self.now)
        self._hear((host, *when) for host, when in heard.items())
        return clocks

    def _agree(self, lines: int) -> None:
        self._support = min(_STRONG, self._support + lines)
        self._run = 0

    def _hear(self, heard: Iterable[tuple[Host, float, float]]) -> None:
        self.heard.put_all(one for one in heard if len(one[0] or b"") <= _LONGEST)

    def _odd(self, host: Host, time: float) -> None:
        """A line that is too far behind, or too far ahead of the leader's."""
        by = time - self.now
        if abs(by) <= LATE:  # in time by the others; it is the leader that has not been heard for an hour
            self._lead_on(host, time)
            return
        self._run += 1
        self._support -= 1
        undoes = self._step is not None and self._support < _STRONG - 1 and abs(time - self._step.old) <= LATE
        alone = not self._is_proven(host, by) and not self._others(host)
        if alone or self._support < (0 if undoes else _OUTVOTED) or (by > 0 and self._may_lead(host, by)):
            self._take(host, time, by, self._step if undoes else None)
        else:
            self.heard.drop(host)
            self._tell(host, by, proven=self._is_proven(host, by))

    def _lead_on(self, host: Host, time: float) -> None:
        if host == self._leader:
            self.now = self._led = time
            self._agree(1)
            self._hear(((host, time, time),))
            return
        self._run += 1
        if self._may_lead(host, time - self._led):
            self._take(host, time, 0.0, None)

    def _may_lead(self, host: Host, by: float) -> bool:
        known = self.now >= self._wary and self.heard.get(host, self.now - _WEEK) is not None
        return (known or self._run >= _IN_A_ROW) and not self._is_proven(host, by)

    def _others(self, host: Host) -> bool:
        """Whether another host is heard in time."""
        return any(stamp >= self.now - LATE for other, stamp in self.heard.items() if other != host)

    def _take(self, host: Host, time: float, by: float, undone: _Step | None) -> None:
        """From now on the site's clock goes by this host."""
        before, outvoted = self.now, self._support < _OUTVOTED
        self._off.pop(host, None)
        self.now, self._leader, self._led, self._run = time, host, time, 0
        if undone:
            self._tell(undone.host, -by, proven=True)
            self._wary = time + _DAY if undone.host != host else self._wary
            self._step, self._support = None, undone.support
        else:
            self._step = None if outvoted else _Step(host, before, max(0, self._support))
            self._support = 0
        self.steps += by < -LATE
        self._hear(((host, time, time),))

    def _tell(self, host: Host, by: float, *, proven: bool) -> None:
        """Remember that a host is off."""
        known = self._off.pop(host, None)
        self.wrong += known is None or known.time < self.now - _DAY or abs(known.by - by) > LATE
        self._off[host] = _Off(by, proven, self.now)
        if len(self._off) > _MOST_OFF:
            del self._off[next(iter(self._off))]

    def _is_proven(self, host: Host, by: float) -> bool:
        """Whether a host is known to be off by about as much."""
        off = self._off.get(host)
        return off is not None and off.proven and off.time >= self.now - _DAY and abs(off.by - by) <= LATE


def _in_order(places: Mapping[Host, int]) -> list[tuple[Host, int]]:
    return sorted(places.items(), key=lambda found: found[1])


def _as_text(host: Host) -> str:
    return (host or b"").decode("latin-1")


def _from_text(text: str) -> Host:
    return text.encode("latin-1") or None
