"""A report as files: report.html, report.md and tables/*.csv, from one tree of plain values.

report.html works offline, with plotly.min.js beside it, which all pages of a folder or of a site (`site.py`) share.
Everything in it is escaped, and its content security policy allows nothing from outside: only the scripts that were in
it when it was written, known by their hashes, and files beside it. Styles may be inline, because plotly sets `style`
attributes while it draws; without network or foreign scripts they cannot carry anything out.
"""

import base64
import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup, escape

from rnnjax.analysis.statistics import LOOKED_UP, Interval
from rnnjax.reports.document import VERDICTS, Figure, Report, ReportTable, Sample, TableCell, by_verdict, check
from rnnjax.reports.formatting import csv_cell, escape_controls, format_interval, format_value
from rnnjax.reports.interval_plots import interval_plot
from rnnjax.reports.metric_tables import MAX_COLUMNS, chosen_columns, settings_table, split_table
from rnnjax.reports.plotly_script import SCRIPT_NAME, check_trace_types, write_plotly
from rnnjax.reports.template_cache import template_cache
from rnnjax.storage.files import write_text

TEMPLATE_FOLDER = Path(__file__).with_name("templates")
MARKDOWN_TABLES = 3  # in report.md, of at most `MARKDOWN_ROWS` rows; the others are links to their CSV
MARKDOWN_ROWS = 40
MARKDOWN_SAMPLES = 3


def write_report(folder: Path, report: Report) -> None:
    """Write report.html, report.md, tables/*.csv and plotly.min.js; each file appears whole or not at all.

    Raises: ValueError for an unknown verdict or a table name that is no file name; StorageFailed.
    """
    check(report)
    write_tables(folder, report)
    write_text(folder / "report.md", to_markdown(report))
    if report.figures:
        write_plotly(folder)
    write_text(folder / "report.html", to_html(report))


def write_tables(folder: Path, report: Report) -> None:
    """Write tables/*.csv into the folder. Raises StorageFailed."""
    for table in report.tables:
        write_text(folder / "tables" / f"{table.name}.csv", _csv(table))


def to_html(report: Report, anchors: Mapping[str, str] | None = None) -> str:
    """The report as HTML: a file of its own, or a page of a site.

    Args: anchors: id -> address, relative to this page, of the statements of a site.
    """
    own = {statement.id: f"#statement-{i}" for i, statement in enumerate(report.statements, 1)}
    settings = settings_table(report.settings)
    return render(
        "report.html.j2",
        True,
        **_context(report),
        anchors={**(anchors or {}), **own},
        site=anchors is not None,
        tables=[(table, split_table(table)) for table in report.tables],
        settings=split_table(settings) if settings else [],
        samples=_grouped(report.samples),
    )


def to_markdown(report: Report) -> str:
    """The report as GitHub-flavoured Markdown: short tables in full, the others as links."""
    narrow = [t for t in report.tables if t.rows and len(t.columns) <= MAX_COLUMNS and len(t.rows) <= MARKDOWN_ROWS]
    return render(
        "report.md.j2",
        False,
        **_context(report),
        shown_tables=narrow[:MARKDOWN_TABLES],
        linked_tables=[table for table in report.tables if table not in narrow[:MARKDOWN_TABLES]],
        settings=settings_table(report.settings),
        samples=_last_samples(report.samples),
    )


def backticks_to_code(text: str) -> Markup:
    """Escaped text in which backticks become code elements."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(escape_controls(text)))))


def render(template: str, autoescape: bool, **values: Any) -> str:
    """A template of this package with these values; it may include the package's scripts and styles."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE_FOLDER),
        autoescape=autoescape,
        finalize=format_value,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=template_cache(autoescape),
    )
    environment.filters |= {"md": markdown, "code": backticks_to_code, "code_block": _code_block}
    environment.filters |= {"figure_json": _figure_json, "hash": _hash, "bounds": format_interval, "slug": _slug}
    environment.filters |= {"interval_plot": interval_plot, "chosen_columns": chosen_columns}
    environment.tests["interval"] = lambda value: isinstance(value, Interval)
    # The doctor's page, which has names of its own for two of them
    environment.filters["script"], environment.globals["ours"] = _figure_json, _asset
    environment.globals |= {"marks": VERDICTS, "asset": _asset, "plotly_name": SCRIPT_NAME}
    environment.globals["looked_up"] = LOOKED_UP
    return environment.get_template(template).render(values)


def _slug(verdict: str) -> str:
    """The class of a verdict in the style sheet: "depends-on-the-reading"."""
    return re.sub(r"\W+", "-", verdict)


def _asset(name: str) -> Markup:
    """A script or style of this package."""
    return Markup((TEMPLATE_FOLDER / name).read_text("utf-8"))


def _context(report: Report) -> dict[str, Any]:
    """The variables that both templates of a report need."""
    return {"report": report, "verdicts": by_verdict(report.statements), "methods": _methods}


def _grouped(samples: Sequence[Sample]) -> dict[tuple[str, int], list[Sample]]:
    """(decoder, step) -> the samples to compare with each other."""
    keys = dict.fromkeys((sample.decoder, sample.step) for sample in samples)
    return {key: [sample for sample in samples if (sample.decoder, sample.step) == key] for key in keys}


def _last_samples(samples: Sequence[Sample]) -> list[Sample]:
    """At most `MARKDOWN_SAMPLES` samples of the last decoder and step: of arms with a role, else spread over all."""
    *_, last = _grouped(samples).values() or [[]]
    if named := [sample for sample in last if sample.role]:
        return named[:MARKDOWN_SAMPLES]
    picked = np.linspace(0, len(last) - 1, min(MARKDOWN_SAMPLES, len(last))).round().astype(int)
    return [last[i] for i in picked]


def _methods(cells: Iterable[TableCell]) -> str:
    """The methods of the intervals among the cells."""
    return "; ".join(dict.fromkeys(cell.method for cell in cells if isinstance(cell, Interval)))


# HTML


def _figure_json(figure: Figure) -> Markup:
    """A figure as JSON that can stand in a script element: no `<` can close it."""
    tree = _map_strings(json.loads(figure.figure.to_json()))
    check_trace_types({trace["type"] for trace in tree["data"]})
    return Markup(json.dumps(tree, allow_nan=False, sort_keys=True, separators=(",", ":")).replace("<", "\\u003c"))


def _map_strings(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {escape_controls(key): _map_strings(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_map_strings(value) for value in tree]
    return escape_controls(tree) if isinstance(tree, str) else tree


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


# Markdown


def markdown(value: Any) -> str:
    """A value as text that GitHub-flavoured Markdown shows unchanged, in a table's cell too."""
    text = " ".join(str(format_value(value)).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*\[\]|~]|(?<!\w)_|_(?!\w)|^[#+-])", r"\\\1", text)


def _code_block(text: str) -> str:
    """A code block whose fence is longer than any in the text."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}text\n{escape_controls(text)}\n{fence}"


# CSV


def _csv(table: ReportTable) -> str:
    """Full precision; a column of estimates becomes five: the estimate, low, high, n and method."""
    wide = [any(isinstance(row[i], Interval) for row in table.rows) for i in range(len(table.columns))]
    body = [_wide_row(row, wide) for row in table.rows]
    parts = ["", *(f" {name}" for name in Interval._fields[1:])]
    header: list[TableCell] = [
        column + part
        for column, is_wide in zip(table.columns, wide, strict=True)
        for part in parts[: None if is_wide else 1]
    ]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([[csv_cell(cell) for cell in row] for row in [header, *body]])
    return out.getvalue()


def _wide_row(row: Sequence[TableCell], wide: Sequence[bool]) -> list[TableCell]:
    cells: list[TableCell] = []
    for cell, is_wide in zip(row, wide, strict=True):
        parts: list[Any] = list(cell) if isinstance(cell, Interval) else [cell]
        cells += [*parts, *[None] * (len(Interval._fields) - len(parts) if is_wide else 0)]
    return cells
