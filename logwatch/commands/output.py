"""How commands speak: tables for people on a terminal, plain columns otherwise, JSON lines on request."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from unicodedata import bidirectional

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from enforce.printable import printable
from logwatch.commands import Failure
from logwatch.reading.names import PACKED, ordered

if TYPE_CHECKING:  # most commands need no DataFrame
    import pandas as pd

Row = Mapping[str, object]
_FOLDED = 30  # characters a line, of what may be folded in a table
_LARGE = 100  # from here on, fractions do not matter
_FROM_THE_RIGHT = frozenset({"R", "AL", "AN"})  # directions of letters
_PACKED = 10  # bytes of a log in a byte of it packed, about


def write_json(rows: Iterable[Row]) -> None:
    """One JSON object a line."""
    for row in rows:
        print(json_line(row))


def json_line(row: Row) -> str:
    """A JSON object; what is not printable stands in it as an escape, since strangers write what log lines hold."""
    text = json.dumps(row, ensure_ascii=False)
    return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def write_table(rows: Sequence[Row], columns: Sequence[str], title: str = "") -> None:
    """A table on a terminal, or a block for each row where that is too narrow or would turn round; else plain columns.

    Logins and log text are never taken as markup.
    """
    if sys.stdout.isatty():
        _pretty(rows, columns, title)
        return
    cells = [list(columns), *([_cell(row.get(name)) for name in columns] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(columns))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _pretty(rows: Sequence[Row], columns: Sequence[str], title: str) -> None:
    console = Console()
    widths = {name: max(len(_cell(row.get(name))) for row in ({name: name}, *rows)) for name in columns}
    widest = max(widths, key=lambda name: widths[name], default="")  # the only column that may be folded
    needed = sum(widths.values()) + 3 * len(widths) + 1
    too_wide = needed - widths.get(widest, 0) + min(widths.get(widest, 0), _FOLDED) > console.width
    if too_wide or any(_turns(_cell(value)) for row in rows for value in row.values()):
        _blocks(rows, columns, title)
        return
    table = Table(title=title or None, title_justify="left", header_style="bold")
    for name in columns:
        numeric = all(isinstance(row.get(name), int | float) for row in rows)
        side: Literal["left", "right"] = "right" if rows and numeric else "left"
        table.add_column(name, justify=side, overflow="fold", no_wrap=name != widest)
    for row in rows:
        table.add_row(*(Text(_cell(row.get(name))) for name in columns))
    console.print(table)


def _blocks(rows: Sequence[Row], columns: Sequence[str], title: str) -> None:
    """A row's values below each other, beside their names: what is folded at every third letter is no reference."""
    width = max(map(len, columns), default=0)
    for place, row in enumerate(rows):
        print(title if title and not place else "")
        for name in columns:
            print(f"{name:<{width}}  {_cell(row.get(name))}")


def _turns(text: str) -> bool:
    """Whether it is written from right to left: some terminals then put the numbers of the next columns before it.

    Marks of direction around it would be copied along with it, and name nobody in the next command.
    """
    return not text.isascii() and any(bidirectional(letter) in _FROM_THE_RIGHT for letter in text)


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else printable(str(value))


def when(stamp: float, zone: tzinfo | None = None) -> str:
    """Date and time for people."""
    return datetime.fromtimestamp(stamp, zone).strftime("%Y-%m-%d %H:%M:%S")


def clock(stamp: float, zone: tzinfo | None = None) -> str:
    """Date and time to the minute."""
    return when(stamp, zone)[:16]


def number(value: float) -> str:
    """A number for people: whole and large ones with separators, others with three digits."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= _LARGE else f"{value:.3g}"


def times(count: int) -> str:
    """`once`, `twice`, `1,234 times`."""
    return {1: "once", 2: "twice"}.get(count, f"{number(count)} times")


def counted(count: int, what: str) -> str:
    """So many of something: `1 message`, `2,000 messages`."""
    return f"{number(count)} {what}{'s' * (count != 1)}"


def parquet_is_there() -> None:
    """Failure if parquet files cannot be written: asked before hours of reading."""
    try:
        import pyarrow  # noqa: F401 - an extra
    except ImportError:
        raise Failure("--parquet needs one more package: pip install 'mailbrake[parquet]'") from None


def write_parquet(frame: pd.DataFrame, path: str, *, index: bool = True) -> None:
    """Write a frame; Failure if the file cannot be written."""
    try:
        frame.to_parquet(path, index=index)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror or error}") from None


def write_rows(rows: Iterable[Row], columns: Sequence[str], path: str) -> None:
    """Rows as JSON objects have them, as a parquet file: stamps as times (UTC), what has parts of its own as JSON."""
    import pandas as pd

    frame = pd.DataFrame(list(rows), columns=list(columns))
    for name in ("time", "until"):
        frame[name] = pd.to_datetime(frame[name], format="ISO8601", utc=True)
    for name in frame.columns:
        if any(isinstance(value, Mapping) for value in frame[name]):
            frame[name] = frame[name].map(json.dumps)
    write_parquet(frame, path, index=False)


@contextmanager
def progress(paths: Iterable[str]) -> Iterator[Callable[[int], None]]:
    """A bar on standard error while logs are read, if that is a terminal.

    Gives a function to be told how many bytes of the files themselves have been read, packed as they are.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    paths = list(paths)
    remaining = Remaining([(_size(path), path.endswith(PACKED)) for path in ordered(paths)])
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), remaining)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading", total=sum(map(_size, paths)) or None)
        yield lambda count: bar.advance(task, count)


class Remaining(ProgressColumn):
    """How long it will take: a byte of a packed file holds as many lines as ten of a plain one."""

    def __init__(self, files: Sequence[tuple[int, bool]]) -> None:
        """Size of each file, and whether it is packed, in the order in which they are read."""
        super().__init__()
        self._files = files
        self._whole = self.work(sum(size for size, _ in files))

    def work(self, done: float) -> float:
        """How much work so many bytes were."""
        found = 0.0
        for size, packed in self._files:
            part = min(size, max(0.0, done))
            found, done = found + part * (_PACKED if packed else 1), done - part
        return found

    def render(self, task: Task) -> Text:
        """Hours, minutes, seconds; unknown until something was read."""
        done = self.work(task.completed)
        if not done or task.elapsed is None:
            return Text("-:--:--", style="progress.remaining")
        seconds = int(task.elapsed * max(0.0, self._whole - done) / done)
        return Text(str(timedelta(seconds=seconds)), style="progress.remaining")


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def now() -> float:
    """The wall clock, read here for all commands."""
    return time.time()
