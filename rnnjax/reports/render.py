"""The report of a study, written from one tree of plain values: report.html, report.md and tables/*.csv.

report.html is one offline file. Everything in it is escaped, and its content security policy allows nothing from
outside and only the scripts that were in it when it was written, known by their hashes. Styles may be inline, because
plotly sets `style` attributes while it draws; without network or foreign scripts they cannot carry anything out. As a
page of a site (`site.py`) it is the same but for plotly, which all pages share as a file beside them.
"""

import base64
import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from rnnjax.analysis.statistics import Interval
from rnnjax.reports.document import VERDICTS, Cell, Figure, Page, Sample, Table, by_verdict, check
from rnnjax.storage.files import write_text

TEMPLATES = Path(__file__).with_name("templates")
NOTHING = "–"  # a value that is not there: the run diverged or never got that far


def write_report(folder: Path, page: Page) -> None:
    """Write report.html, report.md and tables/*.csv into the folder; each file appears whole or not at all.

    Raises: ValueError for an unknown verdict or a table name that is no file name; StorageFailed.
    """
    check(page)
    write_tables(folder, page)
    write_text(folder / "report.md", render("report.md.j2", False, **_words(page)))
    write_text(folder / "report.html", html(page))


def write_tables(folder: Path, page: Page) -> None:
    """Write tables/*.csv into the folder. Raises StorageFailed."""
    for table in page.tables:
        write_text(folder / "tables" / f"{table.name}.csv", _csv(table))


def html(page: Page, anchors: Mapping[str, str] | None = None) -> str:
    """The page as HTML: one file for itself, or a page of a site.

    Args: anchors: of a site, whose statements have these addresses, seen from this page.
    """
    own = {statement.id: f"#statement-{i}" for i, statement in enumerate(page.statements, 1)}
    return render("report.html.j2", True, **_words(page), anchors={**(anchors or {}), **own}, site=anchors is not None)


def visible(text: str) -> str:
    r"""The text with its control and direction characters spelled out, as \x1b and \u202e; lines and tabs stay."""
    return UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


# C0, delete and C1; marks, embeddings, overrides and isolates of direction; line separators; halves of a pair
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(value: Any) -> Any:
    """A value in the reader's form: an estimate with its interval and n, a number to 4 digits, a visible text."""
    if isinstance(value, Interval):
        bounds = "" if value.n < 2 else " [{1}, {2}]".format(*numbers(value))
        return f"{numbers(value)[0]}{bounds}, n = {value.n}"
    if isinstance(value, bool) or type(value) is str:
        return visible(str(value))
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 1e7
        return NOTHING if math.isnan(value) else f"{value:,.0f}" if whole else f"{value:.4g}"
    return value if isinstance(value, str) else NOTHING if value is None else visible(str(value))


def numbers(interval: Interval) -> list[str]:
    """Estimate, low and high with the decimals that the interval's width deserves."""
    width = interval.high - interval.low
    fixed = math.isfinite(width) and width > 1e-4 and abs(interval.estimate) < 1e9
    large = 1e4 <= abs(interval.estimate) < 1e9  # without a width: a count
    digits = f"z,.{max(0, 1 - math.floor(math.log10(width)))}f" if fixed else ",.0f" if large else ".4g"
    return [NOTHING if math.isnan(value) else format(value, digits) for value in interval[:3]]


def coded(text: str) -> Markup:
    """A text for a page, with what stands between backticks as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(visible(text)))))


def render(template: str, autoescape: bool, **values: Any) -> str:
    """A template of ours with these values; it may name our scripts and styles."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=autoescape,
        finalize=shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"md": markdown, "coded": coded, "fenced": _fenced}
    environment.filters |= {"script": _script, "hash": _hash, "numbers": numbers}
    environment.tests["interval"] = lambda value: isinstance(value, Interval)
    environment.globals |= {"marks": VERDICTS, "ours": _ours, "plotly": lambda: Markup(get_plotlyjs())}
    return environment.get_template(template).render(values)


def _ours(name: str) -> Markup:
    """A script or style of ours."""
    return Markup((TEMPLATES / name).read_text("utf-8"))


def _words(page: Page) -> dict[str, Any]:
    """What both templates of a report ask for."""
    return {
        "page": page,
        "verdicts": by_verdict(page.statements),
        "varied": list(dict.fromkeys(field for fields in page.settings.arms.values() for field in fields)),
        "samples": _grouped(page.samples),
        "methods": _methods,
    }


def _grouped(samples: Sequence[Sample]) -> dict[tuple[str, int], list[Sample]]:
    """Texts to compare stand together: those of one decoder at one step."""
    keys = dict.fromkeys((sample.decoder, sample.step) for sample in samples)
    return {key: [sample for sample in samples if (sample.decoder, sample.step) == key] for key in keys}


def _methods(cells: Iterable[Cell]) -> str:
    """How the intervals among the cells were made."""
    return "; ".join(dict.fromkeys(cell.method for cell in cells if isinstance(cell, Interval)))


# HTML


def _script(figure: Figure) -> Markup:
    """A figure as JSON that can stand in a script element: no `<` can close it."""
    tree = _map_strings(json.loads(figure.figure.to_json()))
    return Markup(json.dumps(tree, allow_nan=False, sort_keys=True, separators=(",", ":")).replace("<", "\\u003c"))


def _map_strings(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {visible(key): _map_strings(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_map_strings(value) for value in tree]
    return visible(tree) if isinstance(tree, str) else tree


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


# Markdown


def markdown(value: Any) -> str:
    """A value as GitHub-flavoured Markdown that shows it as it stands, in a table's cell too."""
    text = " ".join(str(shown(value)).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*\[\]|~]|(?<!\w)_|_(?!\w)|^[#+-])", r"\\\1", text)


def _fenced(text: str) -> str:
    """A code block whose fence is longer than any in the text."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}text\n{visible(text)}\n{fence}"


# CSV


def _csv(table: Table) -> str:
    """Full precision; a column of estimates becomes five: the estimate, low, high, n and method."""
    wide = [any(isinstance(row[i], Interval) for row in table.rows) for i in range(len(table.columns))]
    body = [_wide_row(row, wide) for row in table.rows]
    parts = ["", *(f" {name}" for name in Interval._fields[1:])]
    header: list[Cell] = [
        column + part
        for column, is_wide in zip(table.columns, wide, strict=True)
        for part in parts[: None if is_wide else 1]
    ]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([[_csv_cell(cell) for cell in row] for row in [header, *body]])
    return out.getvalue()


def _wide_row(row: Sequence[Cell], wide: Sequence[bool]) -> list[Cell]:
    cells: list[Cell] = []
    for cell, is_wide in zip(row, wide, strict=True):
        parts: list[Any] = list(cell) if isinstance(cell, Interval) else [cell]
        cells += [*parts, *[None] * (len(Interval._fields) - len(parts) if is_wide else 0)]
    return cells


def _csv_cell(cell: Cell) -> str:
    """A text that a spreadsheet would take for a formula gets a quote in front."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    text = visible(str(cell))
    return "'" + text if text[:1] in "=+-@\t" and text and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
