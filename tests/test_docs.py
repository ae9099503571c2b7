"""Documents cannot rot: what they name exists, and what exists is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from logwatch.commands import COMMANDS
from logwatch.schema import SIGNALS

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
