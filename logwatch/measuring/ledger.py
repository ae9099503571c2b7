"""What is counted of the keys of one kind: running totals by group of signals, and sets of values shown.

All of it lies in a few arrays; a key has a slot there. The ledger is a memory of slots: it has the order in which keys
were last heard of, their bound and their expiry, and writes down what changed when it is asked. A slot costs 40 bytes
for its number and its time, 12 in each pool, and its rows.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from logwatch.measuring import attempt_rate, distinct
from logwatch.measuring.batch import Batch
from logwatch.measuring.packing import GROUPS, PLACES, Layout, parts, written
from logwatch.measuring.pool import Pool
from logwatch.measuring.timeline import MICRO, Coded, Ints, bucket_step, telling, window_start
from logwatch.memory import Memory
from logwatch.schema import ADDITIVE, RateColumn

COLUMNS = [[ADDITIVE.index(signal) for signal in group] for group in GROUPS]  # of a table of amounts


class Ledger(Memory[int]):
    """The counts of all keys of a kind: a key has a slot, a small number that stands for it in `groups` and `sets`."""

    def __init__(self, kind: str, bound: int, windows: Sequence[int], distincts: Iterable[str]) -> None:
        """`windows` in seconds, ascending; `distincts`: the distinct signals that are counted."""
        super().__init__(f"rates {kind}", bound, self._record, self._taken_up)
        self._steps = [bucket_step(window) for window in windows]
        self.groups = [Pool(1 + len(group), partial(_points, self._steps)) for group in GROUPS]
        self.sets = {signal: Pool(2, partial(distinct.kept, windows[-1])) for signal in distincts}
        self.pace = attempt_rate.pool()
        self.layout = str(Layout(windows, {kind: [*self.sets]}))
        self._pools = (*self.groups, *self.sets.values(), self.pace)
        self._widths = [pool.width for pool in self._pools]
        self._times = array("d")  # by slot: when it was last put; there are as many as were ever given out
        self._free: list[int] = []
        self._read: list[tuple[int, bytes]] = []  # records whose rows are not in the pools yet

    def slots(self, keys: Iterable[str]) -> list[int]:
        """The slots of different keys; those that are not known get one, but have to be put."""
        entries, before = self._entries, len(self._times)
        known = [entries[key] if key in entries else self._new() for key in keys]
        if len(self._times) > before:
            for pool in self._pools:
                pool.reach(len(self._times))
        return known

    def count(self, slots: Ints, coded: Coded, batch: Batch) -> None:
        """Add what a batch brings for the keys in these slots; events in one bucket of all windows are one point."""
        for pool, columns in zip(self.groups, COLUMNS, strict=True):
            if not batch.amounts[:, columns].any():  # a live log's few lines add to one group, as a rule
                continue
            codes, times, grown = _grown(coded, batch, columns)
            counts = np.bincount(codes, minlength=len(slots))
            touched = np.flatnonzero(counts)
            totals = grown + np.repeat(pool.last(slots[touched])[:, 1:], counts[touched], axis=0)
            pool.append(slots[touched], counts[touched], np.column_stack((times, totals)))
        for signal, pool in self.sets.items():
            marks, has = batch.marks[signal]
            rows, counts = distinct.latest(coded, marks, has)
            if len(rows):
                touched = np.flatnonzero(counts)
                pool.append(slots[touched], counts[touched], np.column_stack((batch.times[rows], marks[rows])))

    def add(self, group: int, slot: int, time: int, amounts: Sequence[int]) -> None:
        """Add what one event brings; it is one point with what came before it in the same bucket of all windows."""
        before, totals = self.groups[group].newest(slot), amounts
        if before:
            totals = [total + amount for total, amount in zip(before[1:], amounts, strict=True)]
        same = bool(before) and all(before[0] // step == time // step for step in self._steps)
        self.groups[group].put(slot, (time, *totals), instead=same)

    def show(self, signal: str, slot: int, time: int, mark: int) -> None:
        """Note a value that one event shows; of the same value only the last occurrence counts."""
        before = self.sets[signal].newest(slot)
        self.sets[signal].put(slot, (time, mark), instead=before[1:] == [mark])

    def heard(self, keys: NDArray[Any], slots: Ints, coded: Coded, batch: Batch) -> None:
        """Keys are kept in the order in which they were last heard of, whatever the chunks are."""
        times, silent = batch.times, ~batch.proves(coded.codes, len(keys))
        last = coded.by_code[np.cumsum(coded.counts) - 1]
        order = np.argsort(last)
        clocks = (times[last] / MICRO)[order].tolist()
        unproven = keys[order[silent[order]]].tolist()
        self.put_all(zip(keys[order].tolist(), slots[order].tolist(), clocks, strict=True), unproven)

    def totals(self, slot: int) -> list[int]:
        """Running totals, in the order of ADDITIVE."""
        last = [pool.last(np.array([slot]))[0, 1:].tolist() for pool in self.groups]
        return [last[group][place] for group, place in map(PLACES.__getitem__, ADDITIVE)]

    def as_of(self, at: int, wanted: Sequence[RateColumn]) -> Ints:
        """A row for each key, a column for each of the wanted, as of a time in microseconds; 0 for what is not kept."""
        slots = np.array([slot for _, slot in self.items()], dtype=np.int64)
        values = np.zeros((len(slots), len(wanted)), dtype=np.int64)
        groups = [pool.rows(slots) for pool in self.groups]
        sets = {signal: pool.rows(slots) for signal, pool in self.sets.items()}
        for column, (signal, window) in enumerate(wanted):
            if signal in sets:
                values[:, column] = distinct.as_of(*sets[signal], at, window)
            elif signal in PLACES:
                group, place = PLACES[signal]
                values[:, column] = _between(*groups[group], 1 + place, window_start(at, bucket_step(window)), at)
        return values

    def get(self, key: str, since: float = float("-inf")) -> int | None:
        """The slot of a key; None where there is none, or where it was last put before `since`."""
        slot: int | None = self._entries.get(key)
        return None if slot is None or self._times[slot] < since else slot

    def forgotten(self, entry: int) -> None:
        """A slot is free again."""
        for pool in self._pools:
            pool.free(entry)
        self._free.append(entry)

    def restore(self, rows: Iterable[tuple[str, float, bytes]]) -> None:
        """Take up what `changes` once gave."""
        self.clear()
        super().restore(rows)
        for pool in self._pools:
            pool.reach(len(self._times))
        records = [(slot, [*parts(record, self._widths)]) for slot, record in self._read]
        for place, pool in enumerate(self._pools):
            found = [(slot, *read[place]) for slot, read in records if read[place][0]]
            slots, counts = (np.array([row[column] for row in found], dtype=np.int64) for column in (0, 1))
            table = np.frombuffer(b"".join(row[2] for row in found), dtype=np.int64).reshape(-1, pool.width)
            pool.append(slots, counts, table)
        self._read.clear()

    def _new(self) -> int:
        if self._free:
            return self._free.pop()
        self._times.append(0.0)
        return len(self._times) - 1

    def _laid(self, value: int, time: float) -> int:
        self._times[value] = time
        return value

    def _taken(self, entry: int) -> tuple[float, int]:
        return self._times[entry], entry

    def _record(self, slot: int) -> bytes:
        return written([pool.written(slot) for pool in self._pools], self._widths)

    def _taken_up(self, record: bytes) -> int:
        slot = self._new()
        self._read.append((slot, record))
        return slot


def _grown(coded: Coded, batch: Batch, columns: Sequence[int]) -> tuple[Ints, Ints, Ints]:
    """Points at which something was added, key after key: whose, when, and all that its key had added by then."""
    amount = batch.amounts[:, columns][coded.by_code]
    adding = np.flatnonzero(amount.any(axis=1))
    rows = coded.by_code[adding]
    codes, buckets = coded.codes[rows], batch.buckets[rows]
    last = np.ones(len(rows), dtype=bool)
    last[:-1] = (codes[1:] != codes[:-1]) | (buckets[1:] != buckets[:-1])
    running = np.cumsum(amount[adding], axis=0)
    firsts = np.searchsorted(codes, codes[last])
    before = np.where(firsts[:, np.newaxis] > 0, running[firsts - 1], 0)
    return codes[last], batch.times[rows[last]], running[last] - before


def _between(lengths: Ints, rows: Ints, place: int, begin: int, end: int) -> Ints:
    """How much the totals of each key grew from a time on, up to another."""
    codes = np.repeat(np.arange(len(lengths)), lengths)
    totals = np.append(rows[:, place], 0)  # the last stands for no point at all
    starts = np.cumsum(lengths) - lengths
    reached = [np.bincount(codes[inside], minlength=len(lengths)) for inside in (rows[:, 0] < begin, rows[:, 0] <= end)]
    before, after = (totals[np.where(points > 0, starts + points - 1, -1)] for points in reached)
    return np.where(reached[1] > reached[0], after - before, 0)


def _points(steps: Sequence[int], lengths: Ints, rows: Ints) -> NDArray[np.bool_]:
    codes = np.repeat(np.arange(len(lengths)), lengths)
    times = rows[:, 0]
    newest = times[np.cumsum(lengths)[codes] - 1]
    return telling(codes, times, newest, steps)
