"""The tests of a module are found by its name: those of judging/throttle.py are in tests/judging/test_throttle.py.

A module that is tested through another one stands in the table, with the file that does so. Commands are tested as a
user runs them, a cluster as a whole; so what they are made of need not stand here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("reading", "measuring", "judging", "telling", "weighing")
TESTED_IN = {
    "reading/grammar/cyrus": "reading/test_grammar",
    "reading/grammar/parts": "reading/test_grammar",
    "reading/grammar/postfix": "reading/test_grammar",
    "reading/grammar/sendmail": "reading/test_grammar",
    "reading/grammar/syslog": "reading/test_grammar",
    "reading/grammar/verdict": "reading/test_grammar",
    "reading/log_file": "reading/test_tail",
    "reading/owners": "reading/test_attribute",
    "reading/reader": "test_read_ahead",
    "reading/rows": "reading/test_scan",
    "measuring/account_origins": "commands/test_why",
    "measuring/account_record": "measuring/test_habits",
    "measuring/attempt_rate": "judging/test_throttle",
    "measuring/batch": "measuring/test_small_batch",
    "measuring/current": "commands/test_why",
    "measuring/deflated_memory": "measuring/test_usual",
    "measuring/distinct": "measuring/test_rates",
    "measuring/dnsbl_answers": "test_dnsbl_client",
    "measuring/ledger": "measuring/test_small_batch",
    "measuring/timeline": "measuring/test_rates",
    "measuring/view": "measuring/test_rates",
    "judging/grammar": "judging/test_language",
    "judging/words": "judging/test_language",
    "telling/journal_file": "telling/test_journal",
    "telling/keeper": "telling/test_published",
    "telling/report/charts": "telling/report/test_page",
    "telling/report/findings": "telling/report/test_page",
    "telling/report/layout": "telling/report/test_page",
    "telling/report/markup": "telling/report/test_page",
    "telling/report/sections": "telling/report/test_page",
    "telling/verdicts": "telling/report/test_tally",
    "enforce/checks": "enforce/test_config",
    "enforce/errors": "commands/test_commands",
    "enforce/exposition": "enforce/test_metrics",
    "enforce/printable": "commands/test_logs",
    "enforce/start": "test_start",
    "enforce/table/files": "enforce/test_table",
    "enforce/table/reader": "enforce/test_table",
    "enforce/table/record": "enforce/test_table",
    "enforce/table/writer": "enforce/test_table",
}


def modules() -> list[str]:
    """As they are called in the table: without `logwatch/` and `.py`."""
    folders = [*(ROOT / "logwatch" / room for room in ROOMS), ROOT / "enforce"]
    found = (path.relative_to(folder.parent).with_suffix("") for folder in folders for path in folder.rglob("*.py"))
    return sorted(str(name) for name in found if not name.name.startswith("__"))


def has_its_own(module: str) -> bool:
    """A dialect's is in the room's folder."""
    name = Path(module)
    places = {name.parent, Path(name.parts[0])}
    return any((ROOT / "tests" / place / f"test_{name.name}.py").exists() for place in places)


@pytest.mark.parametrize("module", modules())
def test_a_module_has_tests_of_its_name_or_stands_in_the_table(module: str) -> None:
    assert has_its_own(module) != (module in TESTED_IN)


def test_the_table_names_modules_and_tests_that_there_are() -> None:
    assert set(TESTED_IN) <= set(modules())
    assert [file for file in TESTED_IN.values() if not (ROOT / "tests" / f"{file}.py").exists()] == []
