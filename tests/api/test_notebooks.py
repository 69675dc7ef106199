"""The notebooks of docs/examples, each run from its first cell to its last by a kernel of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def lines_of_code(source: str) -> list[str]:
    return [line for line in source.splitlines() if line.strip() and not line.strip().startswith("#")]


def executed(name: str, folder: Path) -> Any:
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    return NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(folder)}}).execute()


def printed(cells: Sequence[Any]) -> str:
    """The text and the HTML that cells show."""
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    shown = [output.get("text", "") + output.get("data", {}).get("text/html", "")[:20_000] for output in outputs]
    return "".join(shown)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")


def test_eight_seeds_take_at_most_six_lines() -> None:
    cells = nbformat.read(EXAMPLES / "quick_start.ipynb", as_version=4).cells
    [training] = [cell.source for cell in cells if cell.cell_type == "code" and "seeds=8" in cell.source]
    assert training.startswith("import rnnjax as rj") and len(lines_of_code(training)) <= 6


@pytest.mark.slow
@pytest.mark.optimised
@pytest.mark.filterwarnings("default")
def test_the_quick_start_runs(tmp_path: Path) -> None:
    text = printed(executed("quick_start", tmp_path).cells)
    assert "TrainResult(gru 32, 8 seeds, 200 steps" in text and "TrainResult(gru 32, 8 seeds, 300 steps" in text
    assert "train: 8 runs at step 200" in text and "\x1b[" not in text and "\r" not in text
    assert "<b>Does a larger network learn this text faster?</b>" in text and "{'larger': " in text
    assert (tmp_path / "runs" / "sizes" / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.optimised
@pytest.mark.filterwarnings("default")
@pytest.mark.exhaustive
def test_the_flax_module_is_diagnosed(tmp_path: Path) -> None:
    cells = executed("diagnose_flax", tmp_path).cells
    [findings] = [cell for cell in cells if cell.source.startswith("for finding in")]
    assert printed([findings]).startswith("no_memory | Outputs do not depend on earlier inputs.")
    assert "No fault found" in printed(cells[-1:])
