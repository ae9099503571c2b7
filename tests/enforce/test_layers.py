"""The light half stays light: it imports the standard library, pymilter, lmdb and itself, and for metrics one more."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "enforce").rglob("*.py"))
ALLOWED = {"enforce", "lmdb", "milter", "Milter", "prometheus_client"} | sys.stdlib_module_names
HEAVY = ("prometheus_client", "pandas", "numpy", "logwatch", "pyparsing", "watchdog", "rich", "pyarrow")


def imported(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: absolute imports only"
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_is_light(source: Path) -> None:
    assert set(imported(source)) - ALLOWED == set()


def test_only_milter_knows_pymilter() -> None:
    users = {source.name for source in SOURCES if {"milter", "Milter"} & set(imported(source))}
    assert users == {"milter.py"}


def test_what_runs_has_loaded_nothing_heavy() -> None:
    code = f"import enforce.main, enforce.milter, sys; print([name for name in {HEAVY} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_only_exposition_knows_prometheus_client_and_only_where_metrics_are_served() -> None:
    users = {source.name for source in SOURCES if "prometheus_client" in imported(source)}
    assert users == {"exposition.py"}
