"""What may import what: the rooms of the thinking half, and the one bridge to the acting half."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("reading", "measuring", "judging", "telling")
SHARED = {"logwatch.schema", "logwatch.memory", "logwatch.wall_clock"}
# both halves read one configuration and name accounts alike; the table is for those who publish or show it
BRIDGES = {
    "enforce.checks": None,
    "enforce.config": None,
    "enforce.errors": None,
    "enforce.key": None,
    "enforce.printable": None,
    "enforce.table": {
        "telling/publish.py",
        "telling/published.py",
        "telling/keeper.py",
        "telling/export.py",
        "commands",
        "cluster",
    },
    "enforce.verdict": {"telling/export.py"},  # a map refuses in the words of the milter
    "enforce.identity": {"commands/check.py"},  # whom the milter would become
    "enforce.exposition": {"telling/metrics.py", "commands/watch.py", "cluster/figures.py"},
    "enforce.main": {"commands/milter.py"},
    "enforce.start": {"start.py"},
    "enforce.syslog": {"commands/daemon.py"},  # lines that leave from a thread, as the milter's do
    "enforce.notify": {"commands/watch.py", "commands/ship.py", "commands/sync.py"},
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


def test_what_might_have_been_is_asked_beside_the_way_of_a_line() -> None:
    """`weighing` is for commands and the prompt: what runs live never asks it."""
    users = {str(path.relative_to(ROOT / "logwatch")) for path in FILES for m in imported(path) if "weighing" in m}
    assert {user for user in users if not user.startswith(("weighing/", "commands/"))} == {"prompt.py"}
    assert "commands/watch.py" not in users


def test_watchdog_is_used_in_one_place() -> None:
    """Only the follower waits for file events."""
    users = {str(path.relative_to(ROOT)) for path in FILES if any(m.startswith("watchdog") for m in imported(path))}
    assert users == {"logwatch/reading/follow.py"}


def test_the_network_is_known_in_one_room() -> None:
    """One machine needs no stream: nobody imports the cluster but its commands, and nats nobody but the cluster."""
    users = {
        str(path.relative_to(ROOT / "logwatch")) for path in FILES if any(m.startswith("nats") for m in imported(path))
    }
    assert {name for name in users if not name.startswith("cluster/")} == {"commands/sync.py"}
    knowing = {
        str(path.relative_to(ROOT / "logwatch"))
        for path in FILES
        if any(m.startswith("logwatch.cluster") for m in imported(path))
    }
    allowed = {f"commands/{name}.py" for name in ("ship", "sync", "watch", "cluster", "status", "demo_cluster")}
    assert {name for name in knowing if not name.startswith("cluster/")} <= allowed
    for path in (ROOT / "logwatch" / "commands").glob("*.py"):
        assert "nats" not in _at_load(path), path


def _at_load(path: Path) -> set[str]:
    """The packages that a file imports when it is loaded."""
    top = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [node.module or "" for node in top if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in top if isinstance(node, ast.Import) for alias in node.names]
    return {name if name.startswith("logwatch.cluster") else name.partition(".")[0] for name in names}


GATEWAY = """
import sys
HEAVY = {"pandas", "numpy", "pyparsing", "iptocc", "cryptography", "pyarrow", "rich"}
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HEAVY:
            raise ImportError(f"not installed on a gateway: {name}")
sys.meta_path.insert(0, Absent())
from logwatch.gateway import main
sys.exit(main([sys.argv[1], "--config", sys.argv[2]]))
"""


@pytest.mark.parametrize("command", ["ship", "sync"])
def test_a_gateway_needs_no_pandas(command: str, tmp_path: Path) -> None:
    """It gets as far as to miss its credentials."""
    config = tmp_path / "mailbrake.toml"
    config.write_text(
        f'[log]\nfiles = ["{tmp_path}/mail.log"]\n[state]\ndirectory = "{tmp_path}"\n[milter]\nsyslog = ""\n'
        f'[cluster]\nservers = ["tls://stream.example.com:4222"]\nname = "mx1"\ncredentials = "{tmp_path}"\n'
    )
    run = subprocess.run(
        [sys.executable, "-c", GATEWAY, command, str(config)], capture_output=True, text=True, check=False
    )
    assert "mx1.pem and mx1.key cannot be used" in run.stderr
    assert run.returncode == 1


@pytest.mark.parametrize("room", ["measuring", "judging", "weighing"])
def test_the_core_reads_no_clock_and_no_file(room: str) -> None:
    """Time is an argument; the policy's own files are read by `language` alone."""
    forbidden = {"time", "os", "socket", "threading", "subprocess", "sqlite3", "logging"}
    for path in (ROOT / "logwatch" / room).rglob("*.py"):
        assert not forbidden & set(imported(path)), path
