"""The notebooks run as they stand, hold no logic of their own, and show what they find without being run."""

from __future__ import annotations

import ast
from typing import Any

import nbformat
import pytest

from tests.notebooks.run import NOTEBOOKS, read, run

ALLOWED = {"json", "pathlib", "matplotlib.pyplot", "pandas", "logwatch"}
LOGIC = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.If, ast.Try, ast.With)


def code(notebook: Any) -> list[Any]:
    """Its cells of code."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def images(notebook: Any) -> int:
    """How many plots its outputs hold."""
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def written(notebook: Any) -> list[str]:
    """What each output says in words and numbers."""
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    return ["".join(output.get("text") or output.get("data", {}).get("text/plain", "")) for output in outputs]


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> Any:
    """One of them, as it was committed."""
    return read(request.param)


def test_there_are_three() -> None:
    """One for each question."""
    assert [path.stem for path in NOTEBOOKS] == ["incident", "policy_diff", "thresholds"]


def test_it_runs_and_draws_what_was_committed(notebook: Any) -> None:
    """From the sample month; every cell of the committed one had been run, and with this code: `make notebooks`."""
    assert all(cell.execution_count for cell in code(notebook))
    again = run(notebook)
    assert images(again) == images(notebook) > 0
    assert written(again) == written(notebook)


def test_it_holds_no_logic_of_its_own(notebook: Any) -> None:
    """No functions, loops or branches; and of this package only what `import logwatch` offers."""
    tree = ast.parse("\n".join(cell.source for cell in code(notebook)))
    assert [node for node in ast.walk(tree) if isinstance(node, LOGIC)] == []
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules <= ALLOWED


def test_it_names_no_place_of_this_machine(notebook: Any) -> None:
    """Its outputs can be read anywhere, and hold no error or warning."""
    text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    assert not [word for word in ("/work/", "/root/", "/home/", "Traceback", "Warning") if word in text]
