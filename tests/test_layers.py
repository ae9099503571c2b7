"""What may import what: the rooms of the thinking half, and the one bridge to the acting half."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("reading", "measuring", "judging", "telling")
SHARED = {"logwatch.schema", "logwatch.memory"}
# both halves read one configuration and name accounts alike; the table is for those who publish or show it
BRIDGES = {
    "enforce.config": None,
    "enforce.key": None,
    "enforce.table": {"telling/publish.py", "telling/keeper.py", "telling/export.py", "commands"},
    "enforce.verdict": {"telling/export.py"},  # a map refuses in the words of the milter
    "enforce.exposition": {"telling/metrics.py", "commands/watch.py"},
    "enforce.main": {"commands/milter.py"},
    "enforce.notify": {"commands/watch.py"},
    "enforce": None,
}


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, under whatever `if`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            module = node.module or ""
            whole = module in ("logwatch", "enforce") or module.removeprefix("logwatch.") in ROOMS
            yield from (f"{module}.{alias.name}" for alias in node.names) if whole else iter((module,))


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[0] == "logwatch" and len(parts) > 1 else ""


FILES = sorted((ROOT / "logwatch").rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_import_only_themselves_and_the_schema(path: Path) -> None:
    """A room knows its own modules, the columns handed on, what remembers, and what both halves share."""
    room = path.relative_to(ROOT / "logwatch").parts[0]
    if room not in ROOMS:
        return
    own = {m for m in imported(path) if m.startswith("logwatch")}
    strangers = {m for m in own if room_of(m) != room and ".".join(m.split(".")[:2]) not in SHARED}
    assert not strangers


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_acting_half_is_reached_by_its_bridges_only(path: Path) -> None:
    """`enforce.table` is used by whoever publishes or shows it; the verdicts by exports, the milter by nobody."""
    name = str(path.relative_to(ROOT / "logwatch"))
    for module in (m for m in imported(path) if m.split(".")[0] == "enforce"):
        bridge = next((b for b in BRIDGES if module == b or (module.startswith(b + ".") and b != "enforce")), None)
        assert bridge is not None, f"{name} imports {module}"
        users = BRIDGES[bridge]
        assert users is None or any(name.startswith(user) for user in users), f"{name} imports {module}"


def test_watchdog_is_used_in_one_place() -> None:
    """Only the follower waits for file events."""
    users = {str(path.relative_to(ROOT)) for path in FILES if any(m.startswith("watchdog") for m in imported(path))}
    assert users == {"logwatch/reading/follow.py"}


@pytest.mark.parametrize("room", ["measuring", "judging"])
def test_the_core_reads_no_clock_and_no_file(room: str) -> None:
    """Time is an argument; the policy's own files are read by `language` alone."""
    forbidden = {"time", "os", "socket", "threading", "subprocess", "sqlite3", "logging"}
    for path in (ROOT / "logwatch" / room).rglob("*.py"):
        assert not forbidden & set(imported(path)), path
