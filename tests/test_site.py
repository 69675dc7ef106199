"""The site of docs/: every page has its place in the navigation, and docstrings become valid reStructuredText."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import api_pages
import navigation
import pytest
from docstrings import describe_fields, escape, shorten_signature, to_rst

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs").glob("**/*.ipynb"))
LINK = re.compile(r"\]\(([^)\s]+)\)")


def listed_pages() -> list[str]:
    return [page for section in navigation.read_sections() for page in navigation.list_pages(section["pages"])]


def test_every_page_has_one_entry() -> None:
    """Those of the API reference are written by the build."""
    folders = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md"), *NOTEBOOKS]
    results = [*(ROOT / "findings").glob("*.md"), *(ROOT / "results").glob("**/*.md")]
    pages = {path.relative_to(ROOT).as_posix() for path in [*folders, *results]}
    assert Counter(listed_pages()) == Counter(pages - {"docs/index.md"} | {"docs/api/index.rst"})


def test_every_entry_is_a_page() -> None:
    parents = {section["below"] for section in navigation.read_sections()}
    missing = {page for page in {*listed_pages(), *parents} if not (ROOT / page).exists()}
    assert missing <= {"docs/api/index.rst"}


def test_a_page_is_extended_by_its_table_of_contents() -> None:
    assert adapt("docs/ledger", "# Title").startswith("# Title\n```{toctree}\n:hidden:\n\n/results/activation/report\n")
    front = adapt("docs/index", "# Title")
    assert "\n:caption: Guides\n\n/docs/training\n" in front and "\nREADME </README>\n" in front
    assert adapt("docs/glossary", "# Title") == "# Title"


def test_pages_with_a_table_of_contents_are_always_read_again() -> None:
    assert {"docs/index", "docs/ledger"} < set(navigation.parents())
    assert [page for page in navigation.parents() if adapt(page, "") == ""] == []


def test_a_link_by_a_file_name_becomes_one_by_title() -> None:
    text = "see [rules.md](rules.md#best), [the rules](rules.md) and [a/b.md](../a/b.md)"
    assert adapt("docs/glossary", text) == "see [](rules.md#best), [the rules](rules.md) and [](../a/b.md)"


def adapt(page: str, text: str) -> str:
    source = [text]
    navigation.adapt_page(None, page, source)
    return source[0]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_link_of_a_notebook_leads_somewhere(path: Path) -> None:
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "markdown"]
    for target in LINK.findall("\n".join("".join(cell["source"]) for cell in cells)):
        assert "://" in target or (path.parent / target.partition("#")[0]).exists(), target


def test_every_public_module_is_in_the_reference(tmp_path: Path) -> None:
    api_pages.write_pages(tmp_path)
    documented = set(re.findall(r"automodule:: (\S+)", "".join(path.read_text() for path in tmp_path.iterdir())))
    assert documented == set(public_modules())
    (tmp_path / "rnnjax.removed.rst").write_text("")
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    api_pages.write_pages(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == {
        path: time for path, time in times.items() if path.stem != "rnnjax.removed"
    }


def test_the_functions_of_a_package_are_in_the_reference() -> None:
    assert ":members: build_probe, applicable, outline, all_metrics\n" in api_pages.package_page("rnnjax.probes")
    assert ":no-members:" in api_pages.package_page("rnnjax.networks")
    assert ".. autodata:: rnnjax.CELLS\n" in api_pages.package_page("rnnjax")


def public_modules() -> Iterator[str]:
    for path in (ROOT / "rnnjax").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[1:2] not in (("api",), ("cli",)) and (parts[-1] == "__init__" or not parts[-1].startswith("_")):
            yield ".".join(parts).removesuffix(".__init__")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text, h' = phi(W_xh x + b)", "plain text, h' = phi(W_xh x + b)"),
        ("f * c + i", r"f \* c + i"),
        ("|c - c'|_2 and tail_", r"\|c - c'\|_2 and tail\_"),
        ("of `cells.gru`s", r"of \ ``cells.gru``\ s"),
        ("`one call(\n        over two lines)`", r"\ ``one call( over two lines)``\ "),
    ],
)
def test_plain_text_is_escaped(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_the_blocks_of_a_docstring() -> None:
    docstring = """\
One line.

    u = W x
    r = h R

Args:
    first: of two
        lines. second: too.
    third: last.
Raises:
    ValueError: never.
Returns: a number.

Example:
    >>> f * c
    2

name   of a column
other  of another\
"""
    assert to_rst(docstring.splitlines()) == [
        "One line.", "",
        "::", "", "        u = W x", "        r = h R", "",
        "", "**Args:**", "", "- first: of two", "  lines. second: too.", "- third: last.",
        "", "**Raises:**", "", "- ValueError: never.", "", "**Returns:** a number.", "",
        "**Example:**", "", ".. code-block:: pycon", "", "    >>> f * c", "    2", "",
        "::", "", "    name   of a column", "    other  of another", "",
    ]  # fmt: skip


def test_a_signature_has_no_ranges() -> None:
    signature = "(hidden: Annotated[int, ~annotated_types.Ge(ge=1), ~annotated_types.Le(le=9)] = 64, cell: str = 'gru')"
    shortened = shorten_signature(None, "class", "Spec", None, None, signature, None)
    assert shortened == ("(hidden: int = 64, cell: str = 'gru')", None)


def test_fields_are_described_by_their_comments() -> None:
    assert describe_fields(Pair) == ["- ``first``: the smaller one", ""]
    assert describe_fields(int) == []


class Pair(NamedTuple):
    first: int  # the smaller one
    second: int
