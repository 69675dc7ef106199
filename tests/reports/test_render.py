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

from rnnjax.analysis.statistics import Interval
from rnnjax.errors import StorageFailed
from rnnjax.reports.document import (
    VERDICTS,
    Cell,
    Choice,
    Contradiction,
    Cost,
    Explorer,
    GridCell,
    Question,
    Report,
    Sample,
    Settings,
    Statement,
    Table,
)
from rnnjax.reports.figures.traces import CaptionedFigure
from rnnjax.reports.formatting import escape_controls, format_interval, format_value
from rnnjax.reports.render import backticks_to_code, write_report

HOSTILE = "</script><script>alert(1)</script><!-- <script> -->\"' onload=x"
LOSS = Interval(1.1234, 1.1011, 1.1457, 32, "t, 95%")
LAST = Interval(2.5, 2.25, 2.75, 29, "BCa bootstrap, 95%")


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


def _page(word: str = "word", figures: int = 2) -> Report:
    """A page that has this word wherever a word can come from outside."""
    figure = go.Figure(go.Scatter(x=[1, 2], y=[1.0, math.nan], name=word), layout={"meta": {"dark": {}}, "title": word})
    table = Table("loss", f"Loss {word}", ["arm", "loss", word], [[word, LOSS, 7], ["none", None, math.nan]], word)
    return Report(
        title=f"Title {word}",
        question=f"Question {word}?",
        statements=[
            Statement(
                f"init/{verdict}", f"It is {verdict} {word}", f"{word}.txt", word, verdict, LAST, word, f"Why {word}"
            )
            for verdict in VERDICTS
        ],
        hypothesis=f"Hypothesis {word}",
        protocol=[f"Protocol {word}"],
        settings=Settings({word: {"gain": 1.5}, "other": {"gain": math.inf, word: word}}, {"corpus": word, "H": 64}),
        figures=[CaptionedFigure(f"Figure {word}", f"Caption {word}", figure)] * figures,
        tables=[table],
        samples=[Sample(word, decoder, step, word) for decoder in ("greedy", word) for step in (0, 3000)],
        questions=[Question(f"Asked {word}?", f"Answered {word}: 1.5 [1.2, 1.8], n = 32.")],
        advice=[f"Advice {word}"],
        cost=Cost({"compile": 12.5, "train": 100.0}, f"machine {word}"),
    )


def _full(word: str = "word") -> Report:
    """With the chapters that few reports have."""
    cells = [GridCell([0, 0], [LAST, word], word, 1, True), GridCell([1, 0], [None, 7], word, 2, False)]
    grid = Explorer([Choice(word, [word, "b"])], Choice("rows", [word]), [word, "size"], "lowest", cells, word)
    said = Contradiction(f"Twice {word}", ["init/refuted", f"other/{word}"], f"The data {word}")
    return _page(word)._replace(explorer=grid, contradictions=[said])


def _written(folder: Path, page: Report) -> tuple[str, str]:
    write_report(folder, page)
    return (folder / "report.html").read_text(), (folder / "report.md").read_text()


def test_hostile_words_make_no_node(tmp_path: Path) -> None:
    tame, _ = _written(tmp_path / "tame", _full())
    hostile, markdown = _written(tmp_path / "hostile", _full(HOSTILE))
    wanted, found = _Nodes(tame), _Nodes(hostile)
    assert found.tags.count("script") == wanted.tags.count("script") == 5  # two figures, plotly, two of ours
    assert (found.tags, found.attributes) == (wanted.tags, wanted.attributes)
    assert found.text.count(HOSTILE) > 20, "shown as it is"
    outside_code = re.sub(r"```text\n.*?\n```", "", markdown, flags=re.S)
    assert "<" not in outside_code.replace("<br>", "")


def test_backticks_make_code_and_nothing_else() -> None:
    assert backticks_to_code("say `--set a=<b>` & `x`") == "say <code>--set a=&lt;b&gt;</code> &amp; <code>x</code>"
    assert backticks_to_code("one ` alone") == "one ` alone"


def test_a_table_without_rows_is_its_note(tmp_path: Path) -> None:
    page, markdown = _written(tmp_path, _page()._replace(tables=[Table("none", "Nothing", ["arm"], [], "Too few.")]))
    assert "Too few." in page and "<table>" not in page.split('id="tables"')[1].split('id="samples"')[0]
    assert "Too few." in markdown and "| arm |" not in markdown.split("## Tables")[1].split("## Samples")[0]


def test_a_study_that_was_run_otherwise_says_so(tmp_path: Path) -> None:
    otherwise = _page()._replace(overrides="steps 5,000 instead of 30,000")
    for form in _written(tmp_path / "otherwise", otherwise):
        assert "steps 5,000 instead of 30,000" in form and "meant for the study as it stands in the file" in form
    for form in _written(tmp_path / "as it stands", _page()):
        assert "otherwise" not in form.split("plotly.js v")[0]


def test_the_policy_lets_exactly_our_scripts_run(tmp_path: Path) -> None:
    nodes = _Nodes(_written(tmp_path, _full())[0])
    assert nodes.policy.startswith("default-src 'none'; ")
    allowed = re.findall(r"'sha256-([^']+)'", nodes.policy.split("script-src")[1].split(";")[0])
    runs = [script for script in nodes.scripts if not script.startswith("{")]
    assert allowed == [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in runs]
    assert "unsafe" not in nodes.policy.split("style-src")[0]


def test_plotly_is_there_once_and_only_if_needed(tmp_path: Path) -> None:
    with_figures, _ = _written(tmp_path / "with", _page(figures=2))
    without, _ = _written(tmp_path / "without", _page(figures=0))
    assert with_figures.count("plotly.js v") == 1 and 4e6 < len(with_figures) < 5.5e6
    assert len(without) < 60_000 and "<script" not in without
    assert not re.search(r'(src|href)="(?!#)', with_figures.split("<script")[0])


def test_figures_are_json_without_nan(tmp_path: Path) -> None:
    nodes = _Nodes(_written(tmp_path, _page(HOSTILE))[0])
    figures = [json.loads(script) for script in nodes.scripts if script.startswith("{")]
    assert len(figures) == 2 and figures[0]["data"][0]["y"] == [1.0, None]
    assert figures[0]["data"][0]["name"] == HOSTILE
    assert "<" not in nodes.scripts[0]


@pytest.mark.parametrize("kind", [0, 1], ids=["html", "markdown"])
def test_the_order_is_that_of_the_guided_study(tmp_path: Path, kind: int) -> None:
    text = _written(tmp_path, _page())[kind].split("<main>")[-1]
    words = ["glance", "Hypothesis word", "Protocol word", "Figure word", "Loss word", "Asked word", "Why word"]
    places = [text.index(word) for word in [*words, "Advice word", "machine word"]]
    assert places == sorted(places)


def test_a_chapter_with_nothing_in_it_is_left_out(tmp_path: Path) -> None:
    chapters = {"hypothesis": "", "samples": [], "questions": [], "statements": [], "advice": []}
    anchors = {"hypothesis", "samples", "questions", "verdicts", "advice", "explorer", "contradictions"}
    for page, there in ((_full(), anchors), (_page()._replace(**chapters), set())):
        html, markdown = _written(tmp_path / str(len(there)), page)
        assert {anchor for anchor in anchors if f'<section id="{anchor}"' in html} == there
        assert {anchor for anchor in anchors if f'href="#{anchor}"' in html} == there
        for title in ("Hypothesis", "The grid", "Where the documents contradict themselves"):
            assert (f"## {title}\n" in markdown) == bool(there)


@pytest.mark.parametrize("kind", [0, 1], ids=["html", "markdown"])
def test_a_contradiction_names_its_statements_and_what_the_data_say(tmp_path: Path, kind: int) -> None:
    text = _written(tmp_path, _full())[kind].split("contradict themselves")[-1].split("</section>")[0]
    assert re.search("Twice word.*init/refuted.* against .*other/word.*The data word", text, re.S)
    if kind == 0:
        assert '<a href="#statement-2"><code>init/refuted</code></a>' in text
        assert "<code>other/word</code>" in text and text.count("<a href") == 1, "that statement is not on this page"


@pytest.mark.parametrize("kind", [0, 1], ids=["html", "markdown"])
def test_without_scripts_the_grid_is_a_table(tmp_path: Path, kind: int) -> None:
    text = re.sub(r"<script.*?</script>|<[^>]*>", " ", _written(tmp_path, _full())[kind], flags=re.S)
    grid = text.split("Cell by cell" if kind == 0 else "## The grid")[1].split("At a glance")[0].replace("\\", "")
    first, second = re.split(r"\bb\b", " ".join(grid.split()))[-2:]  # the last of the second row's own name
    assert re.search(r"word.*2\.50 \[2\.25, 2\.75\].*★", first, re.S)
    assert re.search("–.*7.*word", second, re.S) and "★" not in second


@pytest.mark.parametrize("kind", [0, 1], ids=["html", "markdown"])
def test_every_statement_has_its_verdict_with_interval_and_n(tmp_path: Path, kind: int) -> None:
    text = _written(tmp_path, _page())[kind]
    for verdict, mark in VERDICTS.items():
        judged = re.search(rf"{re.escape(mark)}\S* {verdict}(?:(?!init/).)*init/{verdict}.*?Why", text, flags=re.S)
        assert judged, verdict
        for part in ("2.50", "[2.25, 2.75]", "29", "BCa bootstrap, 95%"):
            assert part in judged[0].replace("\\", ""), (verdict, part)


@pytest.mark.parametrize("kind", [0, 1], ids=["html", "markdown"])
def test_a_tables_numbers_have_interval_n_and_method(tmp_path: Path, kind: int) -> None:
    text = re.sub(r"<[^>]*>", "", _written(tmp_path, _page())[kind].split("Table 1")[1]).replace("\\", "")
    assert re.search(r"1\.123 \[1\.101, 1\.146\],? n (= )?32", text)
    assert "Brackets: t, 95%." in text and "tables/loss.csv" in text
    assert "nan" not in text.split("Brackets")[0]


def test_an_unknown_verdict_and_a_bad_table_name_are_refused(tmp_path: Path) -> None:
    page = _page()
    with pytest.raises(ValueError, match="init/confirmed: verdict must be one of .*, got 'proved'"):
        write_report(tmp_path, page._replace(statements=[page.statements[0]._replace(verdict="proved")]))
    with pytest.raises(ValueError, match="file name"):
        write_report(tmp_path, page._replace(tables=[page.tables[0]._replace(name="../loss")]))
    assert not list(tmp_path.iterdir())


def test_csv_is_exact_and_harmless(tmp_path: Path) -> None:
    rows: list[list[Cell]] = [
        ["=1+1", LOSS, -3.5],
        ["+x", None, "-4e-3"],
        ["@a,b", LAST, math.nan],
        ["-", None, "\x1b"],
        ["-inf", None, 2],
    ]
    write_report(tmp_path, _page()._replace(tables=[Table("t", "T", ["=arm", "loss", "x"], rows)]))
    with open(tmp_path / "tables" / "t.csv", newline="") as file:
        header, *body = csv.reader(file)
    assert header == ["'=arm", "loss", "loss low", "loss high", "loss n", "loss method", "x"]
    assert [row[0] for row in body] == ["'=1+1", "'+x", "'@a,b", "'-", "-inf"]
    assert body[0][1:6] == ["1.1234", "1.1011", "1.1457", "32", "t, 95%"] and body[1][1:6] == [""] * 5
    assert [row[6] for row in body] == ["-3.5", "-4e-3", "", "\\x1b", "2"]


def test_markdown_tables_keep_their_columns(tmp_path: Path) -> None:
    _, markdown = _written(tmp_path, _page("a | b\n*c* `d` _e_ final_loss \\"))
    rows = [line for line in markdown.split("Table 1")[1].splitlines() if line.startswith("|")]
    assert len(rows) == 4
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {4}
    assert r"a \| b \*c\* \`d\` \_e\_ final_loss \\" in rows[0]


def test_a_code_fence_holds_any_sample(tmp_path: Path) -> None:
    _, markdown = _written(tmp_path, _page("a\n````\n# b"))
    assert "`````text\na\n````\n# b\n`````" in markdown


def test_unseen_characters_are_spelled_out(tmp_path: Path) -> None:
    word = "a\x1b[31m\u202eb\x00\u2066\x85\ud800 c\td\u00e9"
    page, markdown = _written(tmp_path, _page(word))
    spelled = "a\\x1b[31m\\u202eb\\x00\\u2066\\x85\\ud800 c\td\u00e9"
    assert escape_controls(word) == spelled and escape_controls("a\nb") == "a\nb"
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page.split("plotly.js v")[0] + markdown
    )
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
    page = Report("T", "Q", [], "H", [], Settings({}, {}), [], [], [], [], [], Cost({}, "none"))
    html, markdown = _written(tmp_path, page)
    assert "No statement is judged here." in html and "No statement is judged here." in markdown


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match="file"):
        write_report(tmp_path / "file", _page())
