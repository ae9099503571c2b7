"""The functions for a Python prompt: DataFrames in and out, the same code and the same numbers as the controller's.

    import logwatch
    events    = logwatch.read("/var/log/mail.log*")
    now       = logwatch.rates(events, windows=["1h", "24h"])
    history   = logwatch.history(events, "recipients", "1h")
    decisions = logwatch.replay(events, policy="default")
    changes   = logwatch.compare(events, policy, against="default")
    curve     = logwatch.sweep(events, policy, "strangers", "new_recipients", range(5, 60, 5))

Times are pandas time stamps with zone. Logins are attributed: every event of a message carries the login that
submitted it. Where a policy is wanted, it is a file, or the text of a policy (whatever has a line break), or "default"
for the one that comes with mailbrake. Where events are wanted, a frame of `read` or logs themselves; a frame is read
once and used many times.
"""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dateutil.tz
import numpy as np
import pandas as pd

from enforce.checks import as_duration, as_realm, as_zone
from enforce.config import Config, Log
from logwatch.core import Core
from logwatch.judging import language
from logwatch.judging.policy import ENFORCE, Policy
from logwatch.measuring import signals
from logwatch.measuring.rates import Rates
from logwatch.reading.names import expanded, ordered
from logwatch.reading.reader import Reader
from logwatch.reading.scan import readable
from logwatch.reading.source import DamageError, despite
from logwatch.rerun import events_of, lines_of, start_of
from logwatch.schema import ATTRIBUTED, KEY_COLUMNS, KINDS, LINE_COLUMNS, SIGNALS, Columns, Decision, History
from logwatch.settings import core_of, zone_of
from logwatch.telling import verdicts
from logwatch.telling.journal import Journal
from logwatch.weighing import sweeping
from logwatch.weighing.comparing import COLUMNS, Comparison

Logs = str | Path | Iterable[str | Path]
Events = pd.DataFrame | Logs
PolicyLike = str | Path | Policy | None


def read(
    logs: Logs, policy: PolicyLike = None, *, zone: str = "", default_realm: str = "", keep_case: bool = False
) -> pd.DataFrame:
    """One row per event of mail logs (paths, patterns such as "mail.log*", directories), in order of lines.

    Older parts of a log come first, and several logs are merged by their stamps.

    Columns are those of `mailbrake events`, and `account`, `client`, `local` (whom the event counts for, as keys),
    `counts` (False for repetitions) and `clock` (the time as of which it is judged). With a policy there is one more,
    `exempt`: whether no rule of it counts for any of the keys that the event counts for, so that
    `events[~events.exempt]` is what it judges. Nothing else of the policy matters here: all events are read.

    Warns where none of the lines is one of a mail log, and of lines of known kinds that cannot be read.
    """
    config = _config(zone, default_realm, keep_case)
    judged = None if policy is None else _policy(policy, config)
    paths, where, now = _paths(logs), zone_of(config), time.time()
    reader = _reader(LINE_COLUMNS, config, start_of(paths, where, now))
    frames = [_frame(reader.read(chunk), config) for chunk in lines_of(paths, where, now)]
    events = pd.concat(frames, ignore_index=True) if frames else _frame(_none(), config)
    _warn_of(paths, reader, empty=events.empty)
    return events if judged is None else events.assign(exempt=_exempt(events, judged))


def _exempt(events: pd.DataFrame, policy: Policy) -> pd.Series[bool]:
    keys = events[[*KEY_COLUMNS]]
    exempt = {key: policy.exempt(key) for key in pd.unique(keys.to_numpy().ravel()) if isinstance(key, str)}
    judged = keys.apply(lambda column: ~column.map(exempt).astype("boolean").fillna(True).astype(bool))
    found: pd.Series[bool] = keys.notna().any(axis=1) & ~judged.any(axis=1)
    return found


def rates(events: Events, windows: Sequence[str] = ("1h", "24h"), at: Any = None) -> pd.DataFrame:
    """One row per key, one column per (signal, window in seconds), as of time `at` (default: the last event's).

    Keys are `account:…`, `client:…`, `net:…`, `local:…` and `site`; those that count nothing are left out. `at` is a
    time stamp or what pandas takes for one, in the zone of the events where it names none.
    """
    seconds = [as_duration(window) for window in ([windows] if isinstance(windows, str) else windows)]
    if not seconds:
        raise ValueError('expected at least one window, such as windows=["1h", "24h"]')
    frame = _events(events)
    columns = _columns(frame)
    stop = float("inf") if at is None else _moment(at, frame)
    columns = {name: column[columns["clock"] <= stop] for name, column in columns.items()}
    counted = Rates(seconds)
    for _ in _added(counted, columns):
        pass
    last = float(columns["clock"][-1]) if len(columns["clock"]) else 0.0
    end = last if at is None else stop
    return counted.frame(end, [(signal, window) for signal in SIGNALS for window in seconds])


def history(events: Events, signal: str, window: str, kind: str = "account") -> pd.DataFrame:
    """One row per event that counts for a key of `kind`: `time`, `key`, and `value`, the signal as of just after it."""
    if signal not in SIGNALS:
        raise ValueError(f"unknown signal {signal!r}; known are {', '.join(SIGNALS)}")
    if kind not in KINDS:
        raise ValueError(f"unknown kind of key {kind!r}; known are {', '.join(KINDS)}")
    column = (signal, as_duration(window))
    frame = _events(events)
    columns, counted, found = _columns(frame), Rates([column[1]], [kind]), []
    for begin, histories in _added(counted, columns, {kind: [column]}):
        part = histories[kind]
        times = frame["clock"].iloc[begin + part.rows].reset_index(drop=True)
        found.append(pd.DataFrame({"time": times, "key": part.keys, "value": part.values[column]}))
    if not found:
        return pd.DataFrame({"time": frame["clock"], "key": [], "value": []})
    return pd.concat(found, ignore_index=True)


def replay(
    events: Events, policy: PolicyLike = "default", *, zone: str = "", default_realm: str = "", keep_case: bool = False
) -> pd.DataFrame:
    """One row per decision that a policy would have made: the columns of `mailbrake replay --json`.

    `zone`, `default_realm` and `keep_case` say how logs are read, and how accounts are named in the policy.
    """
    config = _config(zone, default_realm, keep_case)
    cores, pieces, where = _replayed(events, [policy], config)
    found = [vars(one) for before, table in pieces for one in cores[0].take(table, before).decisions]
    return _with_times(pd.DataFrame(found, columns=[field.name for field in dataclasses.fields(Decision)]), where)


def compare(  # noqa: PLR0913 - as for replay
    events: Events,
    policy: PolicyLike,
    against: PolicyLike = "default",
    *,
    zone: str = "",
    default_realm: str = "",
    keep_case: bool = False,
) -> pd.DataFrame:
    """Who would be treated differently if `policy` took the place of `against`: one row for each time that a key is.

    Columns are those of `mailbrake replay --against`: `time` and `until`, `key`, `change` (newly hit, no longer hit,
    more severe, milder), the `messages` and `recipients` that the key got accepted meanwhile, the most severe of what
    the policy decided (`action`, `mode`, `rule`, `ref`, `share`, `max_recipients`), and of what the other one did
    (`against_action` and so on).
    """
    config = _config(zone, default_realm, keep_case)
    (after, before), pieces, where = _replayed(events, [policy, against], config)
    comparison = Comparison()
    for clock, table in pieces:
        new, old = (core.take(table, clock) for core in (after, before))
        comparison.take(table, old.decisions, new.decisions, (old.tips, new.tips))
    found = [difference.fields() for difference in comparison.differences()]
    return _with_times(pd.DataFrame(found, columns=list(COLUMNS)), where)


def sweep(  # noqa: PLR0913, PLR0917 - a question has that many parts
    events: Events,
    policy: PolicyLike,
    rule: str,
    signal: str,
    values: Iterable[float],
    labels: Mapping[str, Any] | Iterable[str] | None = None,
    *,
    default_realm: str = "",
) -> pd.DataFrame:
    """What one rule would do with other thresholds: one row per value, which is the index.

    `signal` names the rule's comparison whose threshold takes the values: `new_recipients`, or `recipients in 10m`
    where a rule looks at several windows of one signal; or the comparison as a whole, where it stands against several
    limits: `recipients in 10m > 200`, `recipients in 1h > 2 * usual` (then the factor takes the values). Columns:

        cases, hit             cases, and how many keys they are on
        messages, recipients   accepted while a case stood: what would have been stopped

    `labels` are the keys that were really abused (`account:…`), with the first and last time of it, or without for the
    whole log. With them:

        caught, missed         abused keys with a case in that time, and without
        wrong                  keys with a case that began before any abuse
        wrong_recipients       recipients of honest mail that would have been stopped
        leak, leak_total       recipients of abuse that would not: the median over abused keys, and all together

    The log is taken as it is (nobody gives up because of a refusal), exemptions and the rule's scope count, other rules
    and the guard do not. ValueError where rule or comparison is not there.
    """
    config = _config("", default_realm, False)
    judged = _policy(policy, config)
    chosen = tuple(one for one in judged.rules if one.name == rule)
    if not chosen:
        raise ValueError(f"no rule {rule!r}; the policy has {', '.join(one.name for one in judged.rules)}")
    alone, tried = dataclasses.replace(judged, rules=chosen), list(values)
    if not tried:
        raise ValueError("expected at least one value to try, such as range(5, 60, 5)")
    frame = _events(events)
    step = core_of(config, alone, 0.0, ENFORCE).take(_columns(frame))
    return sweeping.sweep(step, alone, signal, tried, None if labels is None else _labels(labels, frame))


def _replayed(
    events: Events, policies: Iterable[PolicyLike], config: Config
) -> tuple[list[Core], Iterator[tuple[float, Columns]], Any]:
    """A core for each policy; events a piece at a time, with the clock before each; the zone of times."""
    judged = [_policy(policy, config) for policy in policies]
    if isinstance(events, pd.DataFrame):
        pieces = iter([(0.0, _columns(events))])
        return [core_of(config, policy, 0.0, ENFORCE) for policy in judged], pieces, events["clock"].dt.tz
    paths, now, zone = _paths(events), time.time(), zone_of(config)
    start = start_of(paths, zone, now)
    cores = [core_of(config, policy, start, ENFORCE) for policy in judged]
    return cores, _known(events_of(cores[0].reader, paths, now), paths, cores[0].reader), zone or _local()


def _known(
    pieces: Iterable[tuple[float, Columns]], paths: Sequence[str], reader: Reader
) -> Iterator[tuple[float, Columns]]:
    """The same pieces, and a warning if there is no event in any, or of lines that could not be read."""
    found = 0
    for before, table in pieces:
        found += len(table["event"])
        yield before, table
    _warn_of(paths, reader, empty=not found)


def _warn_of(paths: Sequence[str], reader: Reader, *, empty: bool) -> None:
    """Warn that logs have no event, which must not be taken for a quiet night, or of lines that could not be read."""
    unreadable = reader.scanner.unreadable.total()
    if not empty and not unreadable:
        return
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    cut = f"{unreadable:,} begin like known ones and do not go on so" if unreadable else ""
    none = f"none tells of mail{f' ({cut})' if cut else ''}: is this the mail log?" if empty else f"{cut}:"
    of = f"of {reader.lines:,} lines {none}" if reader.lines else "there is no line in it: is this the mail log?"
    warnings.warn(f"{paths[0]}{more}: {of} `mailbrake explain LINE` shows where reading a line stops", stacklevel=3)


def _with_times(frame: pd.DataFrame, where: Any) -> pd.DataFrame:
    """With `time` and `until` as time stamps."""
    for name in ("time", "until"):
        frame[name] = pd.to_datetime(frame[name].astype(float), unit="s", utc=True).dt.tz_convert(where)
    return frame


def labels(
    journal: str | Path = "/var/lib/mailbrake/journal.sqlite", *, before: str = "24h"
) -> dict[str, tuple[pd.Timestamp, pd.Timestamp]]:
    """The keys that operators confirmed as abused, for `sweep`: {key: (first, last time of the abuse)}, UTC.

    From `before` the first case (what a lower threshold would have caught earlier is no false alarm) to the end of the
    last one. Who was released without having been confirmed, or exempted, is not among them: a false alarm, as is
    everybody on whom nobody has said a word. `journal` is the file, or its directory.
    logwatch.telling.journal_file.JournalError if there is no journal.
    """
    path = Path(journal)
    with Journal.read(path / "journal.sqlite" if path.is_dir() else path) as opened:
        found = verdicts.abused(opened.decisions(), opened.reviews())
    early = as_duration(before)
    return {key: (_utc(first - early), _utc(last)) for key, (first, last) in found.items()}


def rates_of(
    logs: Sequence[str],
    config: Config,
    windows: Sequence[int],
    at: float | None = None,
    seen: Callable[[int], None] = lambda _: None,
) -> tuple[pd.DataFrame, float, list[DamageError], Mapping[str, int]]:
    """The rates frame over whole logs, a chunk at a time in bounded memory, and the time as of which it is.

    Then what is damaged, and how many lines of which known kinds could not be read.
    """
    damage: list[DamageError] = []
    zone, now = zone_of(config), time.time()
    reader = _reader(signals.NEEDS, config, start_of(logs, zone, now))
    counted = Rates(windows)
    for chunk in despite(damage, lines_of(logs, zone, now, seen)):
        before = reader.clock
        events = reader.read(chunk)
        wanted = events["clock"] <= (float("inf") if at is None else at)
        columns = {name: column[wanted] for name, column in events.items()}
        for _ in _added(counted, columns, before=before):
            pass
    end = reader.clock if at is None else at
    frame = counted.frame(end, [(signal, window) for signal in SIGNALS for window in windows])
    return frame, end, damage, reader.scanner.unreadable


def _added(
    counted: Rates, columns: Columns, needs: Mapping[str, Any] = MappingProxyType({}), before: float = 0.0
) -> Iterator[tuple[int, dict[str, History]]]:
    """Count events; where their clock steps back, what was counted until then is forgotten, as the core does."""
    clocks = columns["clock"]
    back = set(np.flatnonzero(np.diff(clocks, prepend=before) < 0).tolist())
    for begin, end in pairwise(sorted({0, len(clocks), *back})):
        if begin in back:
            counted.turn_back()
        yield begin, counted.add({name: column[begin:end] for name, column in columns.items()}, needs)


def _reader(columns: Sequence[str], config: Config, start: float) -> Reader:
    log = config.log
    zone = zone_of(config)
    return Reader(columns, zone=zone, start=start, default_realm=log.default_realm, keep_case=log.keep_case)


def _config(zone: str, default_realm: str, keep_case: bool) -> Config:
    return Config(log=Log(zone=as_zone(zone), default_realm=as_realm(default_realm), keep_case=keep_case))


def _paths(logs: Logs) -> list[str]:
    names = [str(logs)] if isinstance(logs, str | Path) else [str(name) for name in logs]
    found = expanded(names)
    if not found:
        raise FileNotFoundError(f"no log matches {', '.join(names)}")
    return ordered(found)


def _events(events: Events) -> pd.DataFrame:
    return events if isinstance(events, pd.DataFrame) else read(events)


def _policy(policy: PolicyLike, config: Config) -> Policy:
    """What is meant by a policy at a prompt; PolicyError if it cannot be used."""
    if isinstance(policy, Policy):
        return policy
    text = str(policy)
    inline = Path("policy") if "\n" in text else None
    path = inline or (language.SHIPPED if text in ("default", "None") else Path(text))
    return language.load(
        path,
        default_realm=config.log.default_realm,
        keep_case=config.log.keep_case,
        read_text=lambda wanted: text if wanted == inline else wanted.read_text(encoding="utf-8-sig"),
    )


def _labels(labels: Mapping[str, Any] | Iterable[str], events: pd.DataFrame) -> sweeping.Labels:
    for name in [labels] if isinstance(labels, str) else labels:
        if isinstance(labels, str) or str(name).partition(":")[0] not in KINDS:
            raise ValueError(f"expected keys such as account:bob@example.com, in a list or a dict, found {name!r}")
    if not isinstance(labels, Mapping):
        return dict.fromkeys(labels, sweeping.ALWAYS)
    return {key: (_moment(first, events), _moment(last, events)) for key, (first, last) in labels.items()}


def _moment(at: Any, events: pd.DataFrame) -> float:
    """Epoch seconds of a time stamp, or of what pandas takes for one."""
    stamp = pd.Timestamp(at)
    return (stamp if stamp.tzinfo else stamp.tz_localize(events["clock"].dt.tz)).timestamp()


def _frame(table: Columns, config: Config) -> pd.DataFrame:
    frame = pd.DataFrame({**readable(table), **{name: table[name] for name in (*ATTRIBUTED, "opens", "clock")}})
    for name in ("time", "clock"):
        frame[name] = pd.to_datetime(frame[name], unit="s", utc=True).dt.tz_convert(zone_of(config) or _local())
    return frame


def _columns(events: pd.DataFrame) -> Columns:
    """A frame of `read` as the rooms hand it on; ValueError where it is none, or in another order."""
    lacking = [name for name in _NEEDED if name not in events]
    if lacking:
        raise ValueError(f"expected a frame as logwatch.read gives it, or a part of it; it lacks {', '.join(lacking)}")
    if "line" in events and (events["line"].diff().lt(0) & events["clock"].diff().lt(pd.Timedelta(0))).any():
        raise ValueError('expected events in the order of the log; events.sort_values("line") puts them in it')
    table: Columns = {name: _objects(events[name]) for name in ("event", "account", "client", "local")}
    for name in dict.fromkeys((*signals.NEEDS[1:], "queue_id")):
        table[name] = _objects(events[name], _written)
    marks = {name: events[name].to_numpy(dtype=bool) for name in ("counts", "opens")}
    return {**table, **marks, "clock": _epoch(events["clock"])}


_NEEDED = dict.fromkeys(("event", *KEY_COLUMNS, *signals.NEEDS[1:], "queue_id", "counts", "clock"))


def _objects(column: pd.Series[Any], of: Callable[[Any], Any] = lambda value: value) -> Any:
    """The values, each as `of` has it; None where there is none."""
    found = np.full(len(column), None, dtype=object)
    has = column.notna().to_numpy()
    found[has] = [of(value) for value in column.to_numpy(dtype=object)[has]]
    return found


def _written(value: Any) -> bytes:
    return (value if isinstance(value, str) else str(int(value))).encode()


def _epoch(times: pd.Series[Any]) -> Any:
    return (times - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy()


def _none() -> Columns:
    return Reader(LINE_COLUMNS).read(b"")


def _utc(stamp: float) -> pd.Timestamp:
    return pd.Timestamp(stamp, unit="s", tz="UTC")


def _local() -> Any:
    return dateutil.tz.tzlocal()
