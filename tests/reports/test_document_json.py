"""page.json: the same report comes out as went in, and a damaged file is one line."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finished import grid_page

from rnnjax.analysis.statistics import Interval
from rnnjax.errors import DamagedState
from rnnjax.reports.document import Report, Sample
from rnnjax.reports.document_json import from_plain, read_report, to_plain, write_report_json
from rnnjax.reports.render import to_html, write_report


@pytest.fixture(scope="module")
def page() -> Report:
    made = grid_page()
    unequal = {"arm": {"gain": math.inf, "width": np.int64(3), "on": True}, "b": {"gain": -math.inf}}
    samples = [Sample("a", "greedy", 3, "</script>\x1b\u202e")]
    return made._replace(samples=samples, settings=made.settings._replace(arms=unequal))


def test_the_report_made_again_is_the_same(tmp_path: Path, page: Report) -> None:
    """Byte for byte, in all its forms."""
    write_report(tmp_path / "first", page)
    write_report_json(tmp_path, page)
    write_report(tmp_path / "second", read_report(tmp_path))
    files = [path.relative_to(tmp_path / "first") for path in (tmp_path / "first").rglob("*.*")]
    assert len(files) == 6
    for name in files:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes(), name
    assert to_html(page, {}) == to_html(read_report(tmp_path), {})


def test_the_file_is_strict_json_and_small(tmp_path: Path, page: Report) -> None:
    def refuse(word: str) -> Any:
        raise AssertionError(word)

    write_report_json(tmp_path, page)
    text = (tmp_path / "page.json").read_text()
    tree = json.loads(text, parse_constant=refuse)
    assert len(text) < 100_000
    assert tree["statements"][0]["estimate"].keys() == {"estimate", "ci95", "n", "method"}
    assert tree["settings"]["arms"]["arm"] == {"gain": {"float": "inf"}, "width": 3, "on": True}


def test_numbers_that_json_does_not_know_come_back() -> None:
    values = [math.inf, -math.inf, 1, 0.1, True, None, "inf", Interval(1.0, math.nan, math.inf, 1, "one")]
    found = from_plain(json.loads(json.dumps(to_plain(values), allow_nan=False)))
    assert repr(found) == repr(values)
    assert to_plain(math.nan) is None


@pytest.mark.parametrize("damage", [
    lambda tree: tree | {"title": 3},
    lambda tree: {name: value for name, value in tree.items() if name != "question"},
    lambda tree: tree | {"unheard": 1},
    lambda tree: tree | {"figures": [{"title": "a"}]},
    lambda tree: tree | {"figures": [{"title": "a", "caption": "b", "figure": {"data": [{"type": "none"}]}}]},
    lambda tree: tree | {"statements": [tree["statements"][0] | {"verdict": "proved"}]},
    lambda tree: tree | {"tables": [tree["tables"][0] | {"name": "../x"}]},
    lambda tree: tree | {"explorer": tree["explorer"] | {"cells": 1}},
    lambda tree: [tree],
])  # fmt: skip
def test_a_damaged_page_is_refused_by_name(tmp_path: Path, page: Report, damage: Any) -> None:
    write_report_json(tmp_path, page)
    path = tmp_path / "page.json"
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(DamagedState, match="page.json") as refused:
        read_report(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "page.json").write_bytes(content)
    with pytest.raises(DamagedState, match="page.json"):
        read_report(tmp_path)
