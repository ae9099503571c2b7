"""What the demos run in: a temporary directory, words on the terminal, processes of mailbrake; all end with them."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from logwatch.commands import Failure
from logwatch.commands.output import now

_PATIENCE = 120.0  # seconds until something is taken not to come: a busy machine may need a while


class Stage:
    """A directory, and processes that end when the stage is left."""

    def __init__(self, directory: Path, stack: contextlib.ExitStack) -> None:
        self.directory = directory
        self._stack = stack
        self._console = Console(highlight=False)

    def heading(self, number: str, text: str) -> None:
        """Where a scene begins."""
        self._console.print(Text(f"\n{number}  {text}", "bold cyan"), soft_wrap=True)

    def say(self, *parts: str | tuple[str, str]) -> None:
        """One line of words; those with a style are (words, style)."""
        self._console.print(Text.assemble(*parts), soft_wrap=True)

    def quote(self, text: str) -> None:
        """What a command printed, or a file holds."""
        for line in text.rstrip().splitlines():
            self._console.print(Text(f"   │ {line}", "dim"), soft_wrap=True)

    def mailbrake(self, config: Path, *arguments: str) -> str:
        """What a command prints."""
        command = [*_command(*arguments), "--config", str(config)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603 - our own

    def daemon(self, name: str, config: Path, command: str) -> subprocess.Popen[bytes]:
        """Start a command that stays; what it says goes to NAME.err."""
        return self.start(name, [*_command(command), "--config", str(config)])

    def start(self, name: str, command: list[str], at: Path | None = None) -> subprocess.Popen[bytes]:
        """Start any program."""
        errors = self._stack.enter_context(self.errors(name).open("ab"))
        process = subprocess.Popen(command, cwd=at, stdout=errors, stderr=errors)  # noqa: S603 - our own
        self._stack.callback(_stop, process)
        return process

    def errors(self, name: str) -> Path:
        """Where a daemon's words are."""
        return self.directory / f"{name}.err"

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """What `condition` gives once it is true; Failure if it takes too long."""
        deadline = now() + _PATIENCE
        while not (found := condition()):
            if now() > deadline:
                raise Failure(f"waited {_PATIENCE:.0f} s in vain for {what}; --keep keeps the files to look into")
            threading.Event().wait(0.05)
        return found


@contextlib.contextmanager
def stage(*, keep: bool) -> Iterator[Stage]:
    """A stage in a directory of its own, which stays if `keep`; Failure where none can be made."""
    try:
        directory = Path(tempfile.mkdtemp(prefix="mailbrake-demo-"))
    except OSError as error:
        remedy = "name a directory that can be written: TMPDIR=DIRECTORY before the command"
        raise Failure(f"{error.strerror}: {remedy}") from None
    try:
        with contextlib.ExitStack() as stack:
            yield Stage(directory, stack)
    finally:
        if keep:
            print(f"\nThe files are in {directory}")
        else:
            shutil.rmtree(directory)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "logwatch", *arguments]


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
