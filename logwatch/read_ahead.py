"""Read ahead in a process of its own, so that reading and deciding have a core each.

The other process is a fork of this one, taken before anything is read: it has the reader as it is, with all that it
remembers. Events come back through a pipe, chunk after chunk, in their order.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Generator, Iterable
from multiprocessing.connection import Connection
from typing import Any

from logwatch.reading.reader import Reader
from logwatch.reading.source import Progress, SourceError
from logwatch.schema import Columns


def read(
    reader: Reader, lines: Callable[[Progress], Iterable[bytes]], seen: Progress = lambda _: None
) -> Generator[tuple[float, Columns]]:
    """The clock before each chunk, and its events.

    `lines` gives the chunks; it is called in the other process. The reader here counts along (`facts`), but what it
    remembers by key stays there. SourceError as from `lines`, and if the other process was killed.
    """
    processes = multiprocessing.get_context("fork")
    ours, theirs = processes.Pipe(duplex=False)
    other = processes.Process(target=_send, args=(theirs, ours, reader, lines), daemon=True)
    other.start()
    theirs.close()
    try:
        while (message := _received(ours)) is not None:
            if isinstance(message, SourceError):
                raise message
            size, before, events, facts = message
            seen(size)
            reader.restore(facts)
            yield before, events
    finally:
        ours.close()  # whoever wants no more ends the other process by it
        other.join()


def _received(ours: Connection) -> Any:
    try:
        return ours.recv()
    except EOFError:
        return SourceError("the process that reads the logs has ended early: killed, for want of memory perhaps?")


def _send(to: Connection, others: Connection, reader: Reader, lines: Callable[[Progress], Iterable[bytes]]) -> None:
    others.close()  # a fork holds it too, and a pipe breaks only when nobody does
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to both; we end when nobody listens
    sizes: list[int] = []
    try:
        for chunk in lines(sizes.append):
            before = reader.clock
            to.send((sum(sizes), before, reader.read(chunk), reader.facts()))
            sizes.clear()
        last: Any = None
    except BrokenPipeError:
        return
    except SourceError as error:
        last = error
    to.send(last)
