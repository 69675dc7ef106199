"""The lab in a headless Chromium: no complaints, the grid and the filters work, nothing scrolls aside."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from finished import finish, grid_page

from rnnjax.analysis.statistics import Interval
from rnnjax.reports.document import ReportTable, TableCell
from rnnjax.reports.document_json import read_report
from rnnjax.reports.ledger import read_entries
from rnnjax.reports.render import write_report
from rnnjax.reports.site import write_site

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")]
PHONE = 390  # pixels
CELLS = "[...document.querySelectorAll('.cells tbody tr')].filter(row => !row.hidden).map(row => row.dataset.at)"
LEDGER = "[...document.querySelectorAll('.ledger tbody tr')].filter(row => row.checkVisibility()).length"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    folder = finish(root / "grid")
    write_report(folder, read_report(folder))
    write_site(root / "lab", read_entries([folder]))
    return root / "lab"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    chromium.errors.clear()
    yield chromium
    assert chromium.errors == []


def shown(browser: Browser, part: str) -> bool:
    return bool(browser.evaluate(f"document.querySelector('{part}').checkVisibility()"))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, PHONE])
@pytest.mark.parametrize("page", ["lab/index.html", "lab/grid/index.html", "grid/report.html"])
def test_pages_load_draw_and_do_not_scroll_aside(
    site: Path, browser: Browser, page: str, width: int, dark: bool
) -> None:
    browser.open((site.parent / page).as_uri(), width, dark)
    if "grid" in page:
        assert browser.evaluate("document.querySelectorAll('.plot .main-svg').length") > 0
        browser.evaluate("document.querySelector('.guess').click()")
        browser.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    paper = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper))) < 200) == dark


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up grid with three figures, two of them key figures, four statements, and a table of many metrics."""
    made = grid_page()
    names = [f"{name}_{i}" for name in ("loss", "memory") for i in range(10)]
    rows: list[list[TableCell]] = [
        [arm, *(Interval(-0.12345, -0.12411, -0.12257, 1000, "t") for _ in names)] for arm in ("a", "b")
    ]
    table = ReportTable("metrics", "Every metric", ["arm", *names], rows)
    folder = tmp_path_factory.mktemp("wide")
    parts = {"figures": [*made.figures] * 3, "statements": [*made.statements] * 2, "tables": [table]}
    write_report(folder, made._replace(**parts, explorer=None))
    return folder / "report.html"


def test_folded_figures_are_drawn_when_they_are_opened(wide: Path, browser: Browser) -> None:
    drawn = "document.querySelectorAll('.plot.drawn').length"
    browser.open(wide.as_uri())
    assert browser.evaluate(drawn) == 2
    browser.evaluate("document.querySelector('#figures').closest('details').open = true")
    browser.wait(f"{drawn} === 3")


def test_a_link_opens_what_it_points_to(wide: Path, browser: Browser) -> None:
    browser.open(wide.as_uri())
    assert not shown(browser, "#methods")
    browser.evaluate("document.querySelector('.contents [href=\"#methods\"]').click()")
    browser.wait("document.querySelector('#methods').checkVisibility()")
    browser.open(wide.as_uri() + "?again#statement-2")
    assert shown(browser, "#statement-2 details p") and not shown(browser, "#statement-1 details p")


def test_split_tables_are_searched_by_column_and_row(wide: Path, browser: Browser) -> None:
    browser.open(wide.as_uri())
    browser.evaluate("document.querySelector('#tables').closest('details').open = true")
    heads = (
        "[...document.querySelectorAll('.part th[scope=col]')].filter(e => e.checkVisibility()).map(e => e.innerText)"
    )
    arms = (
        "[...document.querySelectorAll('.part th[scope=row]')].filter(e => e.checkVisibility()).map(e => e.innerText)"
    )
    assert browser.evaluate(heads) == []
    browser.evaluate("document.querySelector('[name=columns]').focus()")
    for key in "memory_3":
        browser.press(key)
    assert browser.evaluate(heads) == ["arm", "memory_3"] and browser.evaluate(arms) == ["a", "b"]
    assert browser.evaluate("document.querySelector('.search [role=status]').textContent") == "1 of 20 columns"
    browser.press("Tab")
    browser.press("b")
    assert browser.evaluate(arms) == ["b"]


def test_a_table_is_sorted_by_a_column_with_what_is_missing_last(tmp_path: Path, browser: Browser) -> None:
    cells: list[TableCell] = [Interval(1200.0, 1100.0, 1300.0, 9, "t"), None, -3.5, 20, "text"]
    table = ReportTable("values", "Values", ["arm", "value"], [[f"arm {i}", cell] for i, cell in enumerate(cells)])
    write_report(tmp_path, grid_page()._replace(tables=[table], explorer=None))
    browser.open((tmp_path / "report.html").as_uri())
    browser.evaluate("document.querySelector('#tables').closest('details').open = true")
    arms = "[...document.querySelectorAll('#tables tbody th')].map(head => head.innerText.at(-1)).join('')"
    assert browser.evaluate(arms) == "01234"
    browser.evaluate("document.querySelectorAll('#tables .sort')[1].focus()")
    browser.press("Enter")
    assert browser.evaluate(arms) == "23041"
    browser.press("Enter")
    assert browser.evaluate(arms) == "40321"
    assert browser.evaluate("document.querySelectorAll('#tables th')[1].ariaSort") == "descending"


def test_a_page_without_its_plotly_says_so(wide: Path, tmp_path: Path, browser: Browser) -> None:
    (tmp_path / "alone.html").write_text(wide.read_text())
    browser.open((tmp_path / "alone.html").as_uri() + "#answer", script=False)  # `open` waits for figures otherwise
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    browser.loaded = False
    browser.call("Page.reload")
    browser.wait("document.querySelector('.plot')?.textContent.includes('plotly.min.js, which was not found')")
    assert any("plotly.min.js" in error for error in browser.errors)
    browser.errors.clear()


def test_what_was_judged_is_drawn_without_a_script(wide: Path, browser: Browser) -> None:
    browser.open(wide.as_uri(), script=False)
    browser.evaluate("document.querySelectorAll('.ledger details').forEach(part => { part.open = true })")
    places = """[...document.querySelectorAll('.ledger .strips li:not(.scale) .strip')].map(strip =>
        [...strip.children].map(part => part.getBoundingClientRect()).map(box => [box.left, box.right]))"""
    strips = browser.evaluate(places)
    rows = [row for each in grid_page().statements for judged in each.judged for row in judged.rows] * 2
    inside = [row.low <= row.interval.low and row.interval.high <= row.high for row in rows]
    assert set(inside) == {True, False} and len(strips) == len(rows)
    for (allowed, reach, point), is_inside in zip(strips, inside, strict=True):
        assert (allowed[0] - 1 <= reach[0] and reach[1] <= allowed[1] + 1) == is_inside
        assert reach[0] - 6 <= point[0] and point[1] <= reach[1] + 6


def test_open_tables_fit_the_page(wide: Path, browser: Browser) -> None:
    browser.open(wide.as_uri(), 1200)
    browser.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
    wider = "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth).length"
    assert browser.evaluate("document.querySelectorAll('.scroll').length") > 4 and browser.evaluate(wider) == 0


def test_the_reader_predicts_first_and_then_sees(site: Path, browser: Browser) -> None:
    browser.open((site / "grid" / "index.html").as_uri())
    assert shown(browser, ".predict") and not shown(browser, ".revealed") and not shown(browser, ".choose")
    browser.evaluate("document.querySelectorAll('.predict select').forEach((one, i) => { one.value = [1, 0, 1][i] })")
    browser.evaluate("document.querySelector('.guess').click()")
    assert not shown(browser, ".predict") and shown(browser, ".heat") and shown(browser, ".choose")
    said = browser.evaluate("document.querySelector('.outcome').textContent")
    assert said.startswith("Your guess, hidden 64, activation tanh, window 25: 0.579 ")
    assert "Place 2 of 17; the two are not told apart." in said
    assert "Best: hidden 64, activation tanh, window 50: 0.572 [0.564, 0.585] n 12." in said
    assert browser.evaluate("document.activeElement.className") == "outcome"
    assert browser.evaluate(CELLS) == ["1 0 0", "1 0 1", "1 0 2"]


@pytest.mark.parametrize(
    ("guess", "words"),
    [([1, 0, 2], "It is the best of 17."), ([1, 1, 2], "so it has no place."), ([0, 2, 0], "Place 17 of 17. Best:")],
)
def test_every_guess_has_its_answer(site: Path, browser: Browser, guess: list[int], words: str) -> None:
    browser.open((site / "grid" / "index.html").as_uri())
    browser.evaluate(f"document.querySelectorAll('.predict select').forEach((one, i) => {{ one.value = {guess}[i] }})")
    browser.evaluate("document.querySelector('.guess').click()")
    assert words in browser.evaluate("document.querySelector('.outcome').textContent")


def test_the_grid_works_by_keyboard_alone(site: Path, browser: Browser) -> None:
    browser.open((site / "grid" / "index.html").as_uri())
    browser.evaluate("document.querySelector('.predict select').focus()")
    for key in ("6", "Tab", "Tab", "Tab", "Tab", "Enter"):  # hidden 64; past activation, window and the first button
        browser.press(key)
    assert browser.evaluate("document.querySelector('.outcome').textContent").startswith("Best: hidden 64")
    for key in ("Tab", "Tab", "1", "Tab", "r"):  # past the map; hidden 16, relu
        browser.press(key)
    assert browser.evaluate(CELLS) == ["0 1 0", "0 1 1", "0 1 2"]


def test_without_scripts_all_of_it_is_there(site: Path, browser: Browser) -> None:
    browser.open((site / "grid" / "index.html").as_uri(), script=False)
    assert shown(browser, ".heat") and not shown(browser, ".predict") and not shown(browser, ".choose")
    assert len(browser.evaluate(CELLS)) == 18
    browser.open((site / "index.html").as_uri(), script=False)
    assert browser.evaluate(LEDGER) == 2 and not shown(browser, ".filters")


def test_the_ledger_is_filtered_by_keyboard(site: Path, browser: Browser) -> None:
    browser.open((site / "index.html").as_uri())
    assert browser.evaluate(LEDGER) == 2
    browser.evaluate("document.querySelector('.verdicts button').focus()")
    browser.press("Enter")
    assert browser.evaluate(LEDGER) == 1 and browser.evaluate("document.activeElement.ariaPressed") == "true"
    assert browser.evaluate("document.querySelector('.count').textContent") == "1 of 2 statements"
    browser.press("Enter")
    browser.evaluate("document.querySelector('[type=search]').focus()")
    for key in "nothing":
        browser.press(key)
    assert browser.evaluate(LEDGER) == 1
    for key in ("x", "Tab"):
        browser.press(key)
    assert browser.evaluate(LEDGER) == 0
    browser.press(" ")  # show all
    assert browser.evaluate(LEDGER) == 2
    for name, value in (("document", "b.txt"), ("study", "grid")):
        browser.evaluate(f"document.querySelector('[name={name}]').focus()")
        browser.press(value[0])
        assert browser.evaluate(f"document.querySelector('[name={name}]').value") == value
    assert browser.evaluate(LEDGER) == 1
