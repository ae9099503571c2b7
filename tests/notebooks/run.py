"""Runs the notebooks; `python -m tests.notebooks.run` writes what they show into them, for whoever only reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def read(path: Path) -> Any:
    """A notebook as it was committed."""
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def run(notebook: Any) -> Any:
    """A copy with the outputs of today, from a kernel of its own."""
    again = nbformat.from_dict(notebook)  # type: ignore[no-untyped-call]
    for cell in again.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    where = {"metadata": {"path": str(FOLDER)}}
    NotebookClient(again, timeout=600, kernel_name="python3", record_timing=False, resources=where).execute()
    return again


def main() -> None:
    """Run all of them, and write each where it was."""
    for path in NOTEBOOKS:
        nbformat.write(run(read(path)), path)  # type: ignore[no-untyped-call]
        print(path.relative_to(FOLDER.parent))


if __name__ == "__main__":
    main()
