"""The functions for a Python prompt: DataFrames in and out, the same code and the same numbers as the controller's.

    import logwatch
    events    = logwatch.read("/var/log/mail.log*")
    now       = logwatch.rates(events, windows=["1h", "24h"])
    history   = logwatch.history(events, "recipients", "1h")
    decisions = logwatch.replay("/var/log/mail.log*")

Times are pandas time stamps with zone. Logins are attributed: every event of a message carries the login that
submitted it.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import dateutil.tz
import numpy as np
import pandas as pd

from enforce.config import Config, Log, Policy, as_duration
from logwatch.judging.policy import ENFORCE
from logwatch.measuring import signals
from logwatch.measuring.rates import Rates
from logwatch.reading import attribute
from logwatch.reading.attribute import Attribution
from logwatch.reading.names import expanded, ordered
from logwatch.reading.scan import Scanner, readable
from logwatch.reading.stamp import Stamps
from logwatch.rerun import lines_of, rerun, start_of
from logwatch.schema import ATTRIBUTED, SIGNALS, Columns
from logwatch.settings import core_of, policy_of, zone_of

Logs = str | Path | Iterable[str | Path]


def read(logs: Logs, *, zone: str = "", default_realm: str = "", keep_case: bool = False) -> pd.DataFrame:
    """One row per event of mail logs (paths, patterns such as "mail.log*", directories), in order of lines.

    Older parts of a log come first, and several logs are merged by their stamps.

    Columns are those of `mailbrake events`, and `account`, `client`, `local` (whom the event counts for, as keys),
    `counts` (False for repetitions) and `clock` (the time as of which it is judged).
    """
    config = _config(zone, default_realm, keep_case)
    paths, where, now = _paths(logs), zone_of(config), time.time()
    scanner = Scanner(Stamps(where, start_of(paths, where, now)))
    attribution = Attribution(default_realm, keep_case=keep_case)
    tables = (attribution.attribute(scanner.scan(chunk)) for chunk in lines_of(paths, where, now))
    frames = [_frame(table, config) for table in tables]
    return pd.concat(frames, ignore_index=True) if frames else _frame(_none(), config)


def rates(events: pd.DataFrame, windows: Sequence[str] = ("1h", "24h"), at: Any = None) -> pd.DataFrame:
    """One row per key, one column per (signal, window in seconds), as of time `at` (default: the last event's).

    Keys are `account:…`, `client:…`, `net:…`, `local:…` and `site`; those that count nothing are left out.
    """
    seconds = [as_duration(window) for window in windows]
    stop = float("inf") if at is None else pd.Timestamp(at).timestamp()
    columns = _columns(events[_epoch(events["clock"]) <= stop])
    counted = Rates(seconds)
    counted.add(columns, {})
    end = float(columns["clock"].max(initial=0.0)) if at is None else stop
    return counted.frame(end, [(signal, window) for signal in SIGNALS for window in seconds])


def history(events: pd.DataFrame, signal: str, window: str, kind: str = "account") -> pd.DataFrame:
    """One row per event that counts for a key of `kind`: `time`, `key`, and `value`, the signal as of just after it."""
    column = (signal, as_duration(window))
    found = Rates([column[1]], [kind]).add(_columns(events), {kind: [column]})[kind]
    times = events["clock"].iloc[found.rows].reset_index(drop=True)
    return pd.DataFrame({"time": times, "key": found.keys, "value": found.values[column].to_numpy()})


def replay(logs: Logs, policy: str | Path | None = None, *, zone: str = "", default_realm: str = "") -> pd.DataFrame:
    """One row per decision that a policy (a file; default: the shipped one) would have made over mail logs."""
    config = dataclasses.replace(_config(zone, default_realm, False), policy=Policy(file=str(policy or "")))
    paths = _paths(logs)
    now = time.time()
    core = core_of(config, policy_of(config), start_of(paths, zone_of(config), now), ENFORCE)
    found = [decision for step in rerun(core, paths, now) for decision in step.decisions]
    frame = pd.DataFrame([vars(decision) for decision in found])
    for name in ("time", "until"):
        if found:
            frame[name] = pd.to_datetime(frame[name], unit="s", utc=True).dt.tz_convert(zone_of(config) or _local())
    return frame


def rates_of(
    logs: Sequence[str],
    config: Config,
    windows: Sequence[int],
    at: float | None = None,
    seen: Callable[[int], None] = lambda _: None,
) -> tuple[pd.DataFrame, float]:
    """The rates frame over whole logs, a chunk at a time in bounded memory, and the time as of which it is."""
    zone, now = zone_of(config), time.time()
    scanner = Scanner(Stamps(zone, start_of(logs, zone, now)), _NEEDED)
    attribution = Attribution(config.log.default_realm, keep_case=config.log.keep_case)
    counted = Rates(windows)
    for chunk in lines_of(logs, zone, now, seen):
        events = attribution.attribute(scanner.scan(chunk))
        wanted = events["clock"] <= (float("inf") if at is None else at)
        counted.add({name: column[wanted] for name, column in events.items()}, {})
    end = attribution.clock if at is None else at
    return counted.frame(end, [(signal, window) for signal in SIGNALS for window in windows]), end


_NEEDED = tuple(dict.fromkeys((*attribute.NEEDS, *signals.NEEDS)))


def _config(zone: str, default_realm: str, keep_case: bool) -> Config:
    return Config(log=Log(zone=zone, default_realm=default_realm, keep_case=keep_case))


def _paths(logs: Logs) -> list[str]:
    names = [str(logs)] if isinstance(logs, str | Path) else [str(name) for name in logs]
    found = expanded(names)
    if not found:
        raise FileNotFoundError(f"no log matches {', '.join(names)}")
    return ordered(found)


def _frame(table: Columns, config: Config) -> pd.DataFrame:
    frame = pd.DataFrame({**readable(table), **{name: table[name] for name in (*ATTRIBUTED, "clock")}})
    for name in ("time", "clock"):
        frame[name] = pd.to_datetime(frame[name], unit="s", utc=True).dt.tz_convert(zone_of(config) or _local())
    return frame


def _columns(events: pd.DataFrame) -> Columns:
    """A frame of `read` as the rooms hand it on."""
    table: Columns = {name: events[name].to_numpy(dtype=object) for name in ("event", "account", "client", "local")}
    for name in table:
        table[name] = np.array([None if pd.isna(v) else v for v in table[name]], dtype=object)
    for name in signals.NEEDS[1:]:
        table[name] = np.array([None if pd.isna(v) else _written(v) for v in events[name]], dtype=object)
    return {**table, "counts": events["counts"].to_numpy(dtype=bool), "clock": _epoch(events["clock"])}


def _written(value: Any) -> bytes:
    return (value if isinstance(value, str) else str(int(value))).encode()


def _epoch(times: pd.Series[Any]) -> Any:
    return (times - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy()


def _none() -> Columns:
    return Attribution().attribute(Scanner(Stamps(None, 0.0)).scan(b""))


def _local() -> Any:
    return dateutil.tz.tzlocal()
