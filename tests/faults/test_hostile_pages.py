"""Hostile words in every page that rnnjax writes, in a real browser: nothing runs, is fetched, or leads elsewhere.

The words try scripts, handlers, frames, style sheets, templates, and the tags that plotly reads in labels.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from hostile import full_page_of
from rich.console import Console

from rnnjax.cli.common import printable
from rnnjax.doctor import report as doctor_report
from rnnjax.doctor.diagnosis import judge_indicators
from rnnjax.doctor.figures import as_arm_result
from rnnjax.doctor.free_running import Generated
from rnnjax.doctor.indicators.types import Curve, Indicator, Indicators
from rnnjax.doctor.remedies import load_effects
from rnnjax.doctor.text_view import build_text_view
from rnnjax.doctor.views import ClassView, SeriesView, Views
from rnnjax.reports.document import Report, ReportTable, Statement
from rnnjax.reports.document_json import write_report_json
from rnnjax.reports.figures.confusions import confusion_figure
from rnnjax.reports.figures.curves import line_figure
from rnnjax.reports.figures.intervals import interval_figure
from rnnjax.reports.figures.traces import CaptionedFigure
from rnnjax.reports.formatting import FORMULA_STARTS, is_number_text
from rnnjax.reports.ledger import read_entries
from rnnjax.reports.render import write_report, write_tables
from rnnjax.reports.site import write_site
from rnnjax.storage.sealed import write_sealed_json
from rnnjax.studies.progress import Display

OUTSIDE = "evil.invalid"  # a name that no server has
WORDS = {
    "closing": "</script></style></title></textarea>--></pre><script>window.pwned=1</script><!-- <script>",
    "handlers": "\" onmouseover=window.pwned=1 x='<img src=x onerror=window.pwned=1><svg onload=window.pwned=1>",
    "frames": f"<iframe src=http://{OUTSIDE}></iframe><link rel=stylesheet href=//{OUTSIDE}/a><base href=//{OUTSIDE}>",
    "plotly": f'<a href="http://{OUTSIDE}/">x</a><a href="javascript:window.pwned=1">y</a><b>z</b> $\\alpha$ %{{x}}',
    "templates": f"{{{{7*7}}}} {{% raw %}} ${{7*7}} ![x](http://{OUTSIDE}/) [y](javascript:alert(1)) \x1b[31m\u202e",
}
EXECUTED = "window.pwned"
LEADING_OUT = f"""[...document.querySelectorAll('a, img, iframe, link, base, script, form, object')]
    .map(one => one.getAttribute('href') ?? one.getAttributeNS('http://www.w3.org/1999/xlink', 'href')
        ?? one.getAttribute('src') ?? '')
    .filter(address => address.includes('{OUTSIDE}') || address.includes('javascript'))"""
POKE = """document.querySelectorAll('details').forEach(part => { part.open = true });
    document.querySelectorAll('button').forEach(one => one.click());
    document.querySelectorAll('*').forEach(one => one.dispatchEvent(new MouseEvent('mouseover')))"""
FORMULAS = ["=cmd|'/C calc'!A0", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\n=1", "\r=1", "\uff1d1+1", "\uff20x"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as opened:
        yield opened


def run_folder(folder: Path, word: str) -> Path:
    """A finished study, as far as a site reads it, whose words are all one."""
    report = full_page_of(word)._replace(figures=figures_of(word))
    write_report(folder, report)
    write_report_json(folder, report)
    claims = [claim(statement) for statement in report.statements]
    summary = {"title": word, "question": word, "arms": [{"runs": 1, "diverged": 0}], "claims": claims}
    write_sealed_json(folder / "summary.json", summary)
    return folder


def figures_of(word: str) -> list[CaptionedFigure]:
    """Figures of an arm, a metric, levels and classes of that name."""
    values_n = np.array([1.0, 2.0, 4.0])
    curves = {"row_steps": np.arange(1, 9), "rows": {word: np.random.default_rng(0).random((3, 8))}}
    arms = [as_arm_result(3)._replace(name=word, axes={word: word}, metrics={word: values_n}, **curves)]
    return [
        interval_figure(arms, word, unit=word, levels={word: 3.0}),
        line_figure(arms, word, unit=word),
        confusion_figure([word, "b"], np.ones((3, 2, 2)), word),
    ]


def claim(statement: Statement) -> dict[str, object]:
    names = ("id", "text", "source", "stated", "verdict", "expected", "why")
    assert statement.estimate is not None
    return {name: getattr(statement, name) for name in names} | statement.estimate.to_json()


def doctor_page(folder: Path, word: str) -> Path:
    """The doctor's page of a network whose columns, classes and symbols are one word."""
    values = {"rise": Indicator(np.array([2.0, 3.0]), "runs"), "gap": Indicator(np.array([0.9]), "network")}
    curves = {"rise": Curve(np.arange(1, 31), np.random.default_rng(0).random((2, 30)), "runs", word, word)}
    found = judge_indicators(Indicators(values, curves, {"gap": word}), load_effects())
    series = SeriesView(word, np.arange(9.0), np.arange(9.0), np.arange(5.0), (0.0, 9.0), False)
    shares = {"targets": np.array([0.5, 0.5]), "predictions": np.array([0.9, 0.1])}
    generated = Generated(np.zeros((4, 2), int), np.arange(2), np.zeros((1, 2, 300, 2), int))
    views = Views(series=series, held_out_series=series, classes=ClassView((word, "b"), shares),
                  held_out_classes=ClassView((word, "b"), shares), text=build_text_view(generated, [word]))  # fmt: skip
    for number, each in enumerate((views, views._replace(text=None))):  # with a text no classes are drawn
        doctor_report.write(folder / str(number), word, found._replace(views=each))
    return folder


def check_page(browser: Browser, page: Path) -> None:
    browser.errors.clear()
    browser.requests.clear()
    browser.open(page.as_uri())
    browser.evaluate(POKE)
    browser.wait("![...document.querySelectorAll('.plot:not(.drawn)')].some(plot => plot.checkVisibility())")
    assert browser.evaluate(EXECUTED) is None, page
    assert browser.evaluate(LEADING_OUT) == [], page
    assert [one for one in browser.requests if not one.startswith(("file:", "data:", "blob:"))] == [], page
    assert browser.errors == [], page


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize("name", WORDS)
def test_nothing_runs_and_nothing_is_fetched(name: str, tmp_path: Path, browser: Browser) -> None:
    folder = run_folder(tmp_path / "study", WORDS[name])
    write_site(tmp_path / "site", read_entries([folder]))
    doctor_page(tmp_path / "doctor", WORDS[name])
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) == 5
    for page in pages:
        check_page(browser, page)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_what_runs_or_leads_out_would_be_seen(tmp_path: Path, browser: Browser) -> None:
    """Teeth: a page without any protection fails each check."""
    page = tmp_path / "bare.html"
    page.write_text(
        f"<body><script>window.pwned=1</script><a href=http://{OUTSIDE}>x</a><img src=http://{OUTSIDE}/i.png>"
    )
    browser.open(page.as_uri())
    assert browser.evaluate(EXECUTED) == 1 and len(browser.evaluate(LEADING_OUT)) == 2
    assert any(OUTSIDE in request for request in browser.requests)


def tables_of(report: Report, folder: Path) -> list[str]:
    write_tables(folder, report)
    texts = [path.read_text() for path in sorted((folder / "tables").glob("*.csv"))]
    return [cell for text in texts for row in csv.reader(io.StringIO(text, newline="")) for cell in row]


@pytest.mark.parametrize("word", FORMULAS)
def test_no_cell_of_a_table_starts_a_formula(word: str, tmp_path: Path) -> None:
    table = ReportTable("t", "T", ["arm", word], [[word, 1.0], ["a", -2.5]])
    cells = tables_of(full_page_of("a")._replace(tables=[table]), tmp_path)
    assert [cell for cell in cells if cell[:1] in tuple(FORMULA_STARTS) and not is_number_text(cell)] == []
    assert "-2.5" in cells, "a number stays one"


def test_no_line_on_the_terminal_controls_it() -> None:
    hostile = "a\x1b[2Jb\x9bc\u202ed\re"
    display = Display("plain")
    display.console = Console(record=True, file=io.StringIO(), force_terminal=True, width=200, highlight=False)
    display.say(f"runs/{hostile}: 3 remarks [bold]")
    shown = display.console.file.getvalue()  # type: ignore[attr-defined]
    assert "[bold]" in shown and not any(code in shown for code in ("\x1b[2J", "\x9b", "\u202e", "\r"))
    assert printable(hostile).isprintable()
