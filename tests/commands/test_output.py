"""Tables for people: whatever the terminal's width, a reference or an address stays in one piece."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

ROWS = [{"case": "7K2M9Q", "who": "account:somebody@example.com", "because": "recipients in 10m: 201; " * 4}]


def shown(columns: int, **changes: str) -> list[str]:
    """What is written to a terminal of so many columns."""
    rows = [row | changes for row in ROWS]
    script = f"from logwatch.commands.output import write_table; write_table({rows!r}, ['case', 'who', 'because'])"
    ours, its = pty.openpty()
    environment = os.environ | {"COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"}
    subprocess.run([sys.executable, "-c", script], check=True, stdout=its, env=environment, timeout=60)
    os.close(its)
    text = os.read(ours, 1 << 16).decode()
    os.close(ours)
    return text.splitlines()


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_what_can_be_typed_is_never_folded(columns: int) -> None:
    """On a wide terminal a table, of which the widest column may be folded, on a narrow one a block for each row."""
    lines = shown(columns)
    assert any("7K2M9Q" in line for line in lines)
    assert any("account:somebody@example.com" in line for line in lines)
    assert any(line.startswith("│") for line in lines) == (columns >= 80)


def test_a_block_has_a_line_for_each_column() -> None:
    """Beside its name, behind an empty line."""
    assert shown(40)[:3] == ["", "case     7K2M9Q", "who      account:somebody@example.com"]


def test_what_is_written_from_right_to_left_has_a_line_of_its_own() -> None:
    """Else a terminal may put the next column's numbers before it; and nothing is added that would be copied along."""
    assert shown(200, who="account:שלום")[:3] == ["", "case     7K2M9Q", "who      account:שלום"]
    assert any(line.startswith("│") for line in shown(200, who="account:jörg"))
