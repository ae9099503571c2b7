"""Documents cannot rot: what they name exists, and what exists is named."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from enforce.config import Config
from logwatch.commands import COMMANDS
from logwatch.schema import KINDS, SIGNALS
from logwatch.settings import core_of, policy_of
from logwatch.telling.journal import Journal

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    """In its table of commands."""
    assert f"| `mailbrake {command}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_a_page_names_exist(page: Path) -> None:
    """`mailbrake WORD` in code is a command."""
    named = set(re.findall(r"(?:^|[`$]\s?|^ +)mailbrake ([a-z]+)", page.read_text(), re.MULTILINE))
    assert named - set(COMMANDS) - {"watches"} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links name files of this repository."""
    links = re.findall(r"\]\(([^)#:]+)[)#]", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    """Paths in code that begin with one of our folders."""
    named = set(re.findall(r"`((?:logwatch|enforce|tests|samples|docs|deploy)/[\w./-]+)`", page.read_text()))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("signal", SIGNALS)
def test_every_signal_is_in_the_policy_reference(signal: str) -> None:
    """With what it counts."""
    assert f"`{signal}`" in (ROOT / "docs" / "policy.md").read_text()


def test_make_targets_that_the_readme_names_exist() -> None:
    """`make WORD` in the README and CONTRIBUTING."""
    makefile = (ROOT / "Makefile").read_text()
    for page in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"make ([a-z-]+)\b", (ROOT / page).read_text()):
            assert f"\n{target}:" in makefile, f"{page}: make {target}"


def test_privacy_names_all_that_is_remembered() -> None:
    """Every memory of the core, in the table of what is kept for how long."""
    core = core_of(Config(), policy_of(Config()), 0.0)
    page = (ROOT / "docs" / "privacy.md").read_text()
    kept = {re.sub(rf" (?:{'|'.join(KINDS)})\b.*", "", memory.name) for memory in core.memories()}
    assert {name for name in kept if f"`{name}`" not in page} == set()


def test_privacy_names_every_table_of_the_journal(tmp_path: Path) -> None:
    """Where it says what is kept."""
    Journal.open(tmp_path / "journal.sqlite").close()
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    page = (ROOT / "docs" / "privacy.md").read_text()
    assert {name for name in tables if f"`{name}`" not in page} == set()
