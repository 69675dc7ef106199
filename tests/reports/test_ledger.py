"""The ledger: what the summaries say, and docs/ledger.md has the same."""

import json
from pathlib import Path

import pytest
from finished import finish

from rnnjax.analysis.statistics import Interval
from rnnjax.errors import BadInput, DamagedState
from rnnjax.reports.document_json import read_report
from rnnjax.reports.ledger import LEDGER_BEGIN, LEDGER_END, Entry, block, read_entries, write_ledger

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finish(tmp_path_factory.mktemp("results") / "grid")


def test_an_entry_says_what_the_page_says(folder: Path) -> None:
    entry, page = read_entries([folder])[0], read_report(folder)
    assert entry.statements == [each._replace(judged=(), remarks="") for each in page.statements]
    assert (entry.name, entry.title, entry.question) == ("grid", page.title, page.question)
    assert (entry.runs, entry.diverged) == (18 * 12, 1)
    assert [s.verdict for s in entry.statements] == ["confirmed", "refuted"]


def test_the_page_has_the_verdicts_of_the_results() -> None:
    """`python scripts/report.py results/* --ledger docs/ledger.md` writes it."""
    entries = read_entries(sorted((ROOT / "results").iterdir()))
    page = (ROOT / "docs" / "ledger.md").read_text()
    assert page.split(LEDGER_BEGIN + "\n")[1].split(LEDGER_END)[0] == block(entries, ROOT / "docs")


def test_the_table_counts_links_and_names_every_statement(folder: Path) -> None:
    text = block(read_entries([folder]), folder.parents[1])
    link = f"{folder.parent.name}/grid/report.md"
    assert f"| [grid]({link}): Size, activation and window together | 1 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 216 |" in text
    assert "| **together** | **1** | **1** | **0** | **0** | **0** | **0** | **0** | **0** | **216** |" in text
    assert "| ✓ | 64 tanh units with a window of 50 end below 1 nat. (grid/low) | a | 0.9 | 0.572 " in text
    tables = [part for part in text.strip().split("\n\n") if part.startswith("|")]
    assert [len(table.splitlines()) for table in tables] == [4, 4]
    assert all(len({line.count("|") for line in table.splitlines()}) == 1 for table in tables)


def test_statements_of_papers_are_counted_apart(folder: Path) -> None:
    entry = read_entries([folder])[0]
    paper = entry._replace(statements=[entry.statements[0]._replace(source="arXiv:2410.01201")], runs=7)
    text = block([entry, paper], folder.parents[1])
    assert (
        "| **together, of documents** | **1** | **1** | **0** | **0** | **0** | **0** | **0** | **0** | **216** |"
        in text
    )
    assert "| **together, of papers** | **1** | **0** | **0** | **0** | **0** | **0** | **0** | **0** | **7** |" in text
    assert "All 2 statements of documents" in text and "All 1 statements of papers" in text


def test_only_what_is_between_the_marks_changes(tmp_path: Path, folder: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{LEDGER_BEGIN}\nold\n{LEDGER_END}\nafter\n")
    for _ in range(2):
        write_ledger(readme, read_entries([folder]))
        head, rest = readme.read_text().split(LEDGER_BEGIN)
        inside, tail = rest.split(LEDGER_END)
        assert (head, tail) == ("before\n", "\nafter\n")
        assert "old" not in inside and "grid/low" in inside


@pytest.mark.parametrize(
    "text", ["", LEDGER_BEGIN, f"{LEDGER_END}\n{LEDGER_BEGIN}", f"{LEDGER_BEGIN}\n{LEDGER_END}\n" * 2]
)
def test_a_file_without_the_marks_is_left_alone(tmp_path: Path, folder: Path, text: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(BadInput, match="expected one line <!-- ledger -->"):
        write_ledger(readme, read_entries([folder]))
    assert readme.read_text() == text
    with pytest.raises(BadInput, match="none.md: cannot be read"):
        write_ledger(tmp_path / "none.md", [])


def test_what_holds_no_study_is_passed_over_but_not_if_that_is_all(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "notes.txt").write_text("")
    others = [tmp_path / "bench", tmp_path / "notes.txt"]
    assert [entry.name for entry in read_entries([*others, folder, folder])] == ["grid"]
    with pytest.raises(BadInput, match="no summary.json in .*bench"):
        read_entries(others)
    with pytest.raises(BadInput, match="no such folder .*nowhere"):
        read_entries([folder, tmp_path / "nowhere"])


def test_two_studies_of_one_name_are_refused(tmp_path: Path, folder: Path) -> None:
    other = tmp_path / "grid"
    other.mkdir()
    (other / "summary.json").write_text((folder / "summary.json").read_text())
    with pytest.raises(BadInput, match="got 2 folders called 'grid'"):
        read_entries([folder, other])


def test_one_seed_has_no_interval(tmp_path: Path, folder: Path) -> None:
    assert _changed(tmp_path, folder, ci95=[None, None], n=1)[0].statements[0].estimate[3:] == (
        1,
        "skewness-corrected t, 95%",
    )
    assert _changed(tmp_path, folder, estimate=None, ci95=None, n=None, method=None)[0].statements[0].estimate is None
    assert isinstance(_changed(tmp_path, folder)[0].statements[0].estimate, Interval)


@pytest.mark.parametrize("change", [{"verdict": "proved"}, {"ci95": 3}, {"ci95": None}, {"n": None}, {"text": ...}])
def test_a_summary_of_another_form_is_refused_by_name(tmp_path: Path, folder: Path, change: dict[str, object]) -> None:
    with pytest.raises(DamagedState, match="summary.json"):
        _changed(tmp_path, folder, **change)


def _changed(tmp_path: Path, folder: Path, **change: object) -> list[Entry]:
    """The entries where the first claim is another; `...` takes the field away."""
    tree = json.loads((folder / "summary.json").read_text())
    claim = tree["claims"][0] | change
    tree["claims"][0] = {name: value for name, value in claim.items() if value is not ...}
    (tmp_path / "summary.json").write_text(json.dumps(tree))
    return read_entries([tmp_path])
