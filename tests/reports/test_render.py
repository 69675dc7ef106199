"""The report: everything in its place, nothing executed that a network, a file or an arm wrote."""

import base64
import csv
import hashlib
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from hostile import LAST, LOSS, full_page_of, page_of
from plotly.offline.offline import get_plotlyjs_version

from rnnjax.analysis.statistics import Interval
from rnnjax.errors import StorageFailed
from rnnjax.reports.document import (
    VERDICTS,
    Cost,
    Report,
    ReportSettings,
    ReportTable,
    Sample,
    TableCell,
)
from rnnjax.reports.figures.traces import CaptionedFigure
from rnnjax.reports.formatting import escape_controls, format_interval, format_value
from rnnjax.reports.metric_tables import MAX_COLUMNS
from rnnjax.reports.plotly_script import SCRIPT
from rnnjax.reports.render import backticks_to_code, write_report

HOSTILE = "</script><script>alert(1)</script><!-- <script> -->\"' onload=x"


class _Nodes(HTMLParser):
    """The elements of a page, and the scripts' text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.scripts: list[str] = []
        self.inside_script = False
        self.policy = ""
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.inside_script = tag == "script"
        self.attributes += [name for name, _ in attrs]
        if tag == "script":
            self.scripts.append("")
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = str(dict(attrs)["content"])

    def handle_endtag(self, tag: str) -> None:
        self.inside_script = False

    def handle_data(self, data: str) -> None:
        if self.inside_script:
            self.scripts[-1] += data
        self.text += data


def _written(folder: Path, report: Report) -> tuple[str, str]:
    write_report(folder, report)
    return (folder / "report.html").read_text(), (folder / "report.md").read_text()


def test_hostile_words_make_no_node(tmp_path: Path) -> None:
    tame, _ = _written(tmp_path / "tame", full_page_of())
    hostile, markdown = _written(tmp_path / "hostile", full_page_of(HOSTILE))
    wanted, found = _Nodes(tame), _Nodes(hostile)
    assert found.tags.count("script") == wanted.tags.count("script") == 6  # two figures, plotly, three of ours
    assert (found.tags, found.attributes) == (wanted.tags, wanted.attributes)
    assert found.text.count(HOSTILE) > 20, "shown as it is"
    outside_code = re.sub(r"```text\n.*?\n```", "", markdown, flags=re.S)
    assert "<" not in outside_code.replace("<br>", "")


def test_backticks_make_code_and_nothing_else() -> None:
    assert backticks_to_code("say `--set a=<b>` & `x`") == "say <code>--set a=&lt;b&gt;</code> &amp; <code>x</code>"
    assert backticks_to_code("one ` alone") == "one ` alone"


def test_a_table_without_rows_is_its_note(tmp_path: Path) -> None:
    page, markdown = _written(
        tmp_path, page_of()._replace(tables=[ReportTable("none", "Nothing", ["arm"], [], "Too few.")])
    )
    assert "Too few." in page and "<table" not in page.split('id="tables"')[1].split('id="methods"')[0]
    assert "Too few." in markdown and "| arm |" not in markdown.split("## Tables")[1].split("## Methods")[0]


def test_overrides_are_reported(tmp_path: Path) -> None:
    for form in _written(tmp_path / "other", page_of()._replace(overrides="steps 5,000 (file: 30,000)")):
        text = re.sub(r"[*]|<[^>]*>", "", form)
        assert "Overrides: steps 5,000 (file: 30,000). Claims refer to the unmodified study." in text
    for form in _written(tmp_path / "unmodified", page_of()):
        assert "Overrides" not in form and "unmodified" not in form


def test_the_policy_lets_exactly_our_scripts_run(tmp_path: Path) -> None:
    nodes = _Nodes(_written(tmp_path, full_page_of())[0])
    assert nodes.policy.startswith("default-src 'none'; ")
    allowed = re.findall(r"'sha256-([^']+)'", nodes.policy.split("script-src")[1].split(";")[0])
    runs = [script for script in nodes.scripts if not script.startswith("{")]
    inline = [script for script in runs if script]  # the empty one is plotly's file
    assert len(inline) == len(runs) - 1 and "'self'" in nodes.policy.split("script-src")[1].split(";")[0]
    assert allowed == [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in inline]
    assert "unsafe" not in nodes.policy.split("style-src")[0]


def test_plotly_is_one_small_file_and_only_if_needed(tmp_path: Path) -> None:
    with_figures, _ = _written(tmp_path / "with", page_of(figures=2))
    without, _ = _written(tmp_path / "without", page_of(figures=0))
    assert with_figures.count('<script src="plotly.min.js"></script>') == 1 and len(with_figures) < 100_000
    assert 1e6 < (tmp_path / "with" / "plotly.min.js").stat().st_size < 1.3e6
    assert len(without) < 60_000 and without.count("<script") == 1 and "'self'" not in without
    assert not (tmp_path / "without" / "plotly.min.js").exists()
    assert not re.search(r'(src|href)="(?!#)', with_figures.split("<script")[0])


def test_plotly_has_the_version_that_figures_are_written_with() -> None:
    version = re.search(r"plotly.js \(basic - minified\) v([0-9.]+)\n", SCRIPT.read_text("utf-8")[:200])
    assert version and version[1].split(".")[0] == get_plotlyjs_version().split(".")[0]
    assert "Permission is hereby granted, free of charge" in SCRIPT.with_name("plotly-basic.LICENSE").read_text()


def test_a_trace_that_the_bundle_cannot_draw_is_refused(tmp_path: Path) -> None:
    heat = CaptionedFigure("Heat", "Caption", go.Figure(go.Heatmap(z=[[1.0]]), layout={"meta": {"dark": {}}}))
    with pytest.raises(ValueError, match="traces of type heatmap"):
        write_report(tmp_path, page_of()._replace(figures=[heat]))


def test_figures_are_json_without_nan(tmp_path: Path) -> None:
    nodes = _Nodes(_written(tmp_path, page_of(HOSTILE))[0])
    figures = [json.loads(script) for script in nodes.scripts if script.startswith("{")]
    assert len(figures) == 2 and figures[0]["data"][0]["y"] == [1.0, None]
    assert figures[0]["data"][0]["name"] == HOSTILE
    assert "<" not in nodes.scripts[0]


@pytest.mark.parametrize("kind", [0, 1], ids=["html", "markdown"])
def test_the_answer_comes_first(tmp_path: Path, kind: int) -> None:
    text = _written(tmp_path, page_of())[kind]
    first = ["It is confirmed word", "Figure word"][:: 1 if kind else -1]  # the key figure is on the first screen
    words = ["Question word", "Sentence word", *first, "Asked word", "Advice word", "Loss word"]
    words += ["Protocol word", "machine word"]
    places = [text.index(word, text.index("Question word")) for word in words]
    assert places == sorted(places)


def test_answer_verdicts_and_key_figures_are_open_and_the_rest_is_folded(tmp_path: Path) -> None:
    html = _written(tmp_path, full_page_of())[0]
    shown = re.sub(r"<details.*?</summary>|<script.*?</script>", "", html.split('class="chapter"')[0], flags=re.S)
    folded = html.split('class="chapter"', 1)[1]
    assert 'id="figure-1"' in shown and 'id="figure-2"' not in shown and 'id="figure-2"' in folded
    assert "Sentence word" in shown and "[2.25, 2.75]" in shown
    for words in ("Asked word", "Advice word", "Twice word", "Loss word", "Protocol word", "machine word", "<pre"):
        assert words not in shown and words in folded
    assert not re.search(r"<details[^>]* open", html)


def test_the_reasons_for_a_verdict_are_in_its_row(tmp_path: Path) -> None:
    row = _written(tmp_path, page_of())[0].split('id="statement-2"')[1].split("</tr>")[0]
    for part in ("refuted", "It is refuted word", "init/refuted", "Why word", "Expected: word", "BCa bootstrap, 95%"):
        assert part in row


def test_no_table_is_wider_than_a_page_and_none_loses_a_column(tmp_path: Path) -> None:
    html, markdown = _written(tmp_path, full_page_of())
    tables = [re.findall(r"<th scope=\"col\"[^>]*>(.*?)</th>", table) for table in html.split("<table")[1:]]
    assert max(map(len, tables)) <= MAX_COLUMNS
    assert {f"word {i}" for i in range(9)} <= {head for table in tables for head in table}
    assert "[tables/metrics.csv](tables/metrics.csv)" in markdown and "word 8 |" not in markdown
    assert "word 8" in (tmp_path / "tables" / "metrics.csv").read_text().splitlines()[0]


def test_markdown_is_short_whatever_the_study(tmp_path: Path) -> None:
    rows: list[list[TableCell]] = [[f"arm {i}", LOSS, 7] for i in range(40)]
    tables = [ReportTable(f"t{i}", f"T{i}", ["arm", "loss", "x"], rows) for i in range(9)]
    tables.append(ReportTable("long", "Long", ["arm", "loss", "x"], rows * 9))
    samples = [Sample(f"arm {i}", "greedy", 100, "text") for i in range(50)]
    settings = ReportSettings({f"arm {i}": {"gain": i} for i in range(99)}, {"cell": "elman"})
    _, markdown = _written(tmp_path, page_of()._replace(tables=tables, samples=samples, settings=settings))
    assert markdown.count("\n") < 300
    assert markdown.count("```text") == 3 and "arm 0, greedy" in markdown and "arm 49, greedy" in markdown
    assert re.findall(r"^- \[tables/(\w+)", markdown, re.M) == ["t3", "t4", "t5", "t6", "t7", "t8", "long"]


def test_a_chapter_with_nothing_in_it_is_left_out(tmp_path: Path) -> None:
    none = {"hypothesis": "", "samples": [], "questions": [], "statements": [], "advice": [], "tables": []}
    anchors = {"samples", "questions", "advice", "explorer", "contradictions", "tables", "figures"}
    for page, there in ((full_page_of(), anchors), (page_of(figures=0)._replace(**none), set())):
        html, markdown = _written(tmp_path / str(len(there)), page)
        assert {anchor for anchor in anchors if f'id="{anchor}"' in html} == there
        assert {anchor for anchor in anchors if f'href="#{anchor}"' in html} == there
        for title in ("Prediction exercise", "Recommendations", "Contradictions between documents", "Tables"):
            assert (f"## {title}\n" in markdown) == bool(there)


@pytest.mark.parametrize("kind", [0, 1], ids=["html", "markdown"])
def test_a_contradiction_names_its_statements_and_what_the_data_say(tmp_path: Path, kind: int) -> None:
    text = _written(tmp_path, full_page_of())[kind].split("Contradictions between documents")[-1].split("</details>")[0]
    assert re.search("Twice word.*init/refuted.* against .*other/word.*The data word", text, re.S)
    if kind == 0:
        assert '<a href="#statement-2"><code>init/refuted</code></a>' in text
        assert "<code>other/word</code>" in text and text.count("<a href") == 1, "that statement is not on this page"


@pytest.mark.parametrize("kind", [0, 1], ids=["html", "markdown"])
def test_without_scripts_the_grid_is_a_table(tmp_path: Path, kind: int) -> None:
    text = re.sub(r"<script.*?</script>|<[^>]*>", " ", _written(tmp_path, full_page_of())[kind], flags=re.S)
    grid = text.split("Cell by cell" if kind == 0 else "## Prediction exercise")[1].split("Answer")[0].replace("\\", "")
    if kind == 1:
        grid = grid.split("##")[0]
    first, second = re.split(r"\bb\b", " ".join(grid.split()))[-2:]  # the last of the second row's own name
    assert re.search(r"word.*2\.50 \[2\.25, 2\.75\].*★", first, re.S)
    assert re.search("–.*7.*word" if kind == 0 else "–", second, re.S) and "★" not in second


@pytest.mark.parametrize("kind", [0, 1], ids=["html", "markdown"])
def test_every_statement_has_its_verdict_with_interval_and_n(tmp_path: Path, kind: int) -> None:
    text = _written(tmp_path, page_of())[kind]
    for verdict, mark in VERDICTS.items():
        judged = re.search(rf"{re.escape(mark)}(?:(?!init/).)*init/{verdict}\b.*?(Why|\n)", text, flags=re.S)
        assert judged, verdict
        row = text[judged.start() :].split("</tr>" if kind == 0 else "\n")[0].replace("\\", "")
        for part in ("2.50", "[2.25, 2.75]", "29", verdict):
            assert part in row, (verdict, part)


@pytest.mark.parametrize("kind", [0, 1], ids=["html", "markdown"])
def test_a_tables_numbers_have_interval_n_and_method(tmp_path: Path, kind: int) -> None:
    text = re.sub(r"<[^>]*>", "", _written(tmp_path, page_of())[kind].split(("Table 1", "## Tables")[kind])[1]).replace(
        "\\", ""
    )
    assert re.search(r"1\.123 \[1\.101, 1\.146\],? n (= )?32", text)
    assert "Brackets: t, 95%." in text and "tables/loss.csv" in text
    assert "nan" not in text.split("Brackets")[0]


def test_an_unknown_verdict_and_a_bad_table_name_are_refused(tmp_path: Path) -> None:
    page = page_of()
    with pytest.raises(ValueError, match="init/confirmed: verdict must be one of .*, got 'proved'"):
        write_report(tmp_path, page._replace(statements=[page.statements[0]._replace(verdict="proved")]))
    with pytest.raises(ValueError, match="file name"):
        write_report(tmp_path, page._replace(tables=[page.tables[0]._replace(name="../loss")]))
    assert not list(tmp_path.iterdir())


def test_csv_is_exact_and_harmless(tmp_path: Path) -> None:
    rows: list[list[TableCell]] = [
        ["=1+1", LOSS, -3.5],
        ["+x", None, "-4e-3"],
        ["@a,b", LAST, math.nan],
        ["-", None, "\x1b"],
        ["-inf", None, 2],
        ["\uff1d1+1", None, "\n=1"],
    ]
    write_report(tmp_path, page_of()._replace(tables=[ReportTable("t", "T", ["=arm", "loss", "x"], rows)]))
    with open(tmp_path / "tables" / "t.csv", newline="") as file:
        header, *body = csv.reader(file)
    assert header == ["'=arm", "loss", "loss low", "loss high", "loss n", "loss method", "x"]
    assert [row[0] for row in body] == ["'=1+1", "'+x", "'@a,b", "'-", "-inf", "'\uff1d1+1"]
    assert body[0][1:6] == ["1.1234", "1.1011", "1.1457", "32", "t, 95%"] and body[1][1:6] == [""] * 5
    assert [row[6] for row in body] == ["-3.5", "-4e-3", "", "\\x1b", "2", "'\n=1"]


def test_markdown_tables_keep_their_columns(tmp_path: Path) -> None:
    _, markdown = _written(tmp_path, page_of("a | b\n*c* `d` _e_ final_loss \\"))
    rows = [line for line in markdown.split("## Tables")[1].split("## Methods")[0].splitlines() if line.startswith("|")]
    assert len(rows) == 4
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {4}
    assert r"a \| b \*c\* \`d\` \_e\_ final_loss \\" in rows[0]


def test_a_code_fence_holds_any_sample(tmp_path: Path) -> None:
    _, markdown = _written(tmp_path, page_of("a\n````\n# b"))
    assert "`````text\na\n````\n# b\n`````" in markdown


def test_unseen_characters_are_spelled_out(tmp_path: Path) -> None:
    word = "a\x1b[31m\u202eb\x00\u2066\x85\ud800 c\td\u00e9"
    page, markdown = _written(tmp_path, page_of(word))
    spelled = "a\\x1b[31m\\u202eb\\x00\\u2066\\x85\\ud800 c\td\u00e9"
    assert escape_controls(word) == spelled and escape_controls("a\nb") == "a\nb"
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page + markdown)
    assert f'<pre tabindex="0">{spelled}</pre>' in page and f"```text\n{spelled}\n```" in markdown
    assert json.loads(_Nodes(page).scripts[0])["data"][0]["name"] == spelled


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (LOSS, "1.123 [1.101, 1.146], n = 32"),
        (Interval(12345.6, 11000.0, 13691.2, 8, "t"), "12,346 [11,000, 13,691], n = 8"),
        (Interval(3e-12, 1e-12, 5e-12, 8, "t"), "3e-12 [1e-12, 5e-12], n = 8"),
        (Interval(1.0, 1.0, 1.0, 1, "one seed"), "1, n = 1"),
        (Interval(math.nan, math.nan, math.nan, 0, "t"), "–, n = 0"),
        (0.123456, "0.1235"),
        (10_000.0, "10,000"),
        (12_345.6, "1.235e+04"),
        (1e20, "1e+20"),
        (math.inf, "inf"),
        (Interval(-0.01, -4.9, 4.8, 2, "t"), "0.0 [-4.9, 4.8], n = 2"),
        (math.nan, "–"),
        (None, "–"),
        (30_000, "30,000"),
        (True, "True"),
        (np.int64(3), "3"),
    ],
)
def test_numbers_have_the_digits_they_deserve(value: object, wanted: str) -> None:
    assert format_value(value) == wanted


def test_the_three_numbers_of_an_interval_have_equal_decimals() -> None:
    assert format_interval(LOSS) == ["1.123", "1.101", "1.146"]


def test_an_empty_page_is_a_page(tmp_path: Path) -> None:
    page = Report("T", "Q", [], "H", [], ReportSettings({}, {}), [], [], [], [], [], Cost({}, "none"))
    html, markdown = _written(tmp_path, page)
    assert "No statement is judged here." in html and "No statement is judged here." in markdown


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match="file"):
        write_report(tmp_path / "file", page_of())
