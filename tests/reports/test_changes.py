"""What differs between two sets of results, from folders whose differences are known."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from finished import finish

from rnnjax.errors import BadInput
from rnnjax.reports.changes import SAME_CRITERIA, changes_markdown, compare_results, is_apart, verdict_reason


def edit(folder: Path, change: Any) -> None:
    tree = json.loads((folder / "summary.json").read_text())
    change(tree)
    (folder / "summary.json").write_text(json.dumps(tree))


def test_equal_results_have_no_change(tmp_path: Path) -> None:
    old, new = tmp_path / "old" / "grid", tmp_path / "new" / "grid"
    finish(old)
    shutil.copytree(old, new)
    changes = compare_results(tmp_path / "old", [new])
    assert changes.verdicts == changes.numbers == changes.not_compared == []
    claims, arms = (json.loads((old / "summary.json").read_text())[name] for name in ("claims", "arms"))
    assert changes.compared_verdicts == len(claims) > 1
    assert changes.compared_numbers == sum(bool(m["ci95"]) for arm in arms for m in arm["metrics"].values()) > 20
    assert "0 of" in changes_markdown(changes)


def test_a_verdict_a_number_and_an_arm_that_differ_are_found(tmp_path: Path) -> None:
    old, new = tmp_path / "old" / "grid", tmp_path / "new" / "grid"
    finish(old)
    shutil.copytree(old, new)
    names: dict[str, str] = {}

    def change(tree: dict[str, Any]) -> None:
        claim = tree["claims"][0]
        names.update(id=claim["id"], was=claim["verdict"], arm=tree["arms"][0]["name"], lost=tree["arms"][-1]["name"])
        claim["verdict"] = "definition"
        metric = tree["arms"][0]["metrics"]["final_loss"]
        metric["mean"], metric["ci95"] = metric["mean"] + 9, [end + 9 for end in metric["ci95"]]
        tree["arms"].pop()

    edit(new, change)
    changes = compare_results(tmp_path / "old", [new])
    [verdict], [number] = changes.verdicts, changes.numbers
    assert (verdict.id, verdict.before, verdict.after) == (names["id"], names["was"], "definition")
    assert (number.study, number.arm, number.metric) == ("grid", names["arm"], "final_loss")
    assert number.after[0] == pytest.approx(number.before[0] + 9)
    assert changes.not_compared == [f"grid: arm {names['lost']}"]
    page = changes_markdown(changes)
    assert (
        f"| {names['id']} | {names['was']} | definition |" in page and f"Not in both: grid: arm {names['lost']}" in page
    )


@pytest.mark.parametrize(
    ("before", "after", "apart"),
    [
        ((1.0, 0.9, 1.1), (1.3, 1.2, 1.4), True),
        ((1.3, 1.2, 1.4), (1.0, 0.9, 1.1), True),
        ((1.0, 0.9, 1.2), (1.3, 1.2, 1.4), False),
        ((1.0, 1.0, 1.0), (1.0 + 1e-9, 1.0 + 1e-9, 1.0 + 1e-9), False),
        ((1.0, 0.0, 2.0), (1.1, 1.0, 1.2), False),
    ],
)
def test_intervals_without_a_common_point_are_apart(before: Any, after: Any, apart: bool) -> None:
    assert is_apart(before, after) is apart


A = "with Adam: refuted. Needed at most 3; measured adam 4.5 [4, 5], n = 16 (t, 95%)."
B = "with the sum: confirmed. Needed at least 0; measured sum 1.2 [1, 2], n = 16 (t, 95%)."


@pytest.mark.parametrize(
    ("was", "new", "reason"),
    [
        (A, A.replace("4.5", "4.6"), SAME_CRITERIA),
        (A, f"{A} {B}", "1 criteria are new"),
        (f"{A} {B}", A, "1 are gone"),
        (A, A.replace("at most 3", "at most 9"), "other limits: with Adam"),
        (f"{A} {B}", f"{A} {B}".replace("refuted", "unresolved"), "with Adam: refuted, now unresolved"),
    ],
)
def test_the_reason_of_a_verdict_is_in_its_criteria(was: str, new: str, reason: str) -> None:
    assert verdict_reason(was, new) == reason


def test_a_study_without_older_results_is_refused(tmp_path: Path) -> None:
    finish(tmp_path / "grid")
    with pytest.raises(BadInput, match="has no results of grid"):
        compare_results(tmp_path / "nowhere", [tmp_path / "grid"])
