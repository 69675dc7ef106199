"""scripts/report.py as a user types it."""

import subprocess
import sys
from pathlib import Path

import pytest
from finished import finish

ROOT = Path(__file__).parents[2]


def report(*options: object) -> tuple[int, str, str]:
    command = [sys.executable, ROOT / "scripts" / "report.py", *options]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_reports_are_made_again(tmp_path: Path) -> None:
    folder = finish(tmp_path / "grid")
    assert report(folder) == (0, f"done: {folder / 'report.html'}\n", "")
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    tables = {"tables/baseline.csv", "tables/metrics.csv", "tables/table-1.csv"}
    assert files == {"page.json", "summary.json", "report.html", "report.md", "plotly.min.js", *tables}


def test_site_and_ledger_in_one_go(tmp_path: Path) -> None:
    folder, readme = finish(tmp_path / "grid"), tmp_path / "README.md"
    readme.write_text("<!-- ledger -->\n<!-- end of ledger -->\n")
    code, said, wrong = report(folder, tmp_path, "--site", tmp_path / "lab", "--ledger", readme)
    assert (code, wrong) == (0, "") and said.splitlines() == [
        f"done: {tmp_path / 'lab' / 'index.html'}",
        f"done: {readme}",
    ]
    assert "[grid](grid/report.md)" in readme.read_text()
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ((), 2, "the following arguments are required: FOLDER; see --help"),
        (("nowhere",), 2, "no such folder 'nowhere'"),
        (("scripts", "--site", "x"), 2, "no summary.json in scripts; expected folders of finished studies"),
        (("x", "--sit", "y"), 2, "unrecognized arguments: --sit y; see --help"),
    ],
)
def test_errors_are_one_line(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], code: int, message: str
) -> None:
    monkeypatch.chdir(ROOT)
    assert report(*options) == (code, "", f"rnnjax: error: {message}\n")


def test_a_damaged_page_is_one_line(tmp_path: Path) -> None:
    folder = finish(tmp_path / "grid")
    (folder / "page.json").write_text("{")
    code, said, wrong = report(folder)
    assert (code, said) == (4, "") and wrong.startswith("rnnjax: error: cannot read ") and wrong.count("\n") == 1
