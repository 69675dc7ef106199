"""What TensorBoard shows: how many cards, in which order, at which steps, and what it makes of a study's claims."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rnnjax.config.load import load_study
from rnnjax.config.schema import Claim, Criterion, QuestionSpec, Study
from rnnjax.storage.event_files import CurveTag
from rnnjax.studies.tensorboard import TensorBoardLogger, arm_settings
from rnnjax.studies.tensorboard_tags import (
    MOST_CARDS,
    MOST_POINTS,
    chart_families,
    logged_steps,
    plan_board,
)
from rnnjax.training.state import StepMetrics

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "studies").glob("*.toml"))
PROBES = [f"probe_{i}" for i in range(60)]


def _study(path: Path, **changes: object) -> Study:
    study = load_study(path)
    return study._replace(file=replace(study.file, **changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def init() -> Study:
    return load_study(next(path for path in CONFIGS if path.stem == "init"))


def _tags(study: Study, values: list[str]) -> list[CurveTag]:
    board = plan_board(study)
    return [tag for arm in study.arms for tag in board.curve_tags(arm.name, values)]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.parametrize("asked", [0, 60])
def test_a_study_has_few_cards_and_the_loss_is_first(path: Path, asked: int) -> None:
    """TensorBoard sorts cards by the part of the tag before its first slash, and by the tag."""
    questions = [QuestionSpec(name, name) for name in PROBES[:asked]]
    study = _study(path, questions=questions)
    board = plan_board(study)
    cards = {each.tag for each in _tags(study, PROBES)}
    cards |= {f"results/{name}" for name in board.results_among([*PROBES, "final_loss"])}
    assert len(cards) <= MOST_CARDS
    order = sorted(cards, key=lambda tag: (tag.partition("/")[0], tag))
    assert order[:3] == ["loss", "loss/hi", "loss/lo"]
    assert order[3].startswith("loss_by_family/" if board.families else "more/")
    asked_cards = [f"more/{name}" for name in PROBES[: 5 if asked else 0]]
    assert set(asked_cards) <= cards, "what the study asks for comes before all else"


def test_all_is_all(init: Study) -> None:
    tags = {each.tag for each in _tags(init._replace(file=replace(init.file, tensorboard="all")), PROBES)}
    assert {f"more/{name}{end}" for name in PROBES for end in ("", "/lo", "/hi", "/median")} <= tags


def test_arms_of_a_family_share_a_chart_where_one_chart_would_be_a_tangle() -> None:
    few, many = [f"a,{i}" for i in range(7)], [f"{family},{i}" for family in "ab" for i in range(4)]
    assert chart_families(few) == {}
    assert chart_families([*many, "x", "y"]) == {name: name[0] for name in many} | {
        "x": "single_arms",
        "y": "single_arms",
    }
    assert chart_families([f"a,{i}" for i in range(20)]) == {}, "one family alone is all arms"
    assert chart_families([f"{i},{j}" for i in range(20) for j in range(2)]) == {}, "more charts than anybody reads"


def test_every_chart_finds_its_curves(init: Study) -> None:
    board, tags = plan_board(init), {each.tag for each in _tags(init, ["validation_loss"])}
    charts = [chart for category in board.charts().values() for chart in category]
    found = {chart.title: [tag for tag in tags if any(re.search(each, tag) for each in chart.tags)] for chart in charts}
    assert all(len(matches) == 1 for matches in found.values()), found
    assert next(iter(board.charts())) == "Loss" and charts[0].tags == ["^loss$"]
    members = {family: [arm for arm in board.families if board.families[arm] == family] for family in ("orthogonal",)}
    assert len(members["orthogonal"]) == 11 and board.families["identity"] == "single_arms"


def test_a_family_is_no_regular_expression(init: Study) -> None:
    names = [f"{family},{i}" for family in ("a.b", "axb", "p(q", "[") for i in range(3)]
    board = plan_board(init._replace(arms=[init.arms[0]._replace(name=name) for name in names]))
    patterns = [chart.tags[0] for chart in board.charts()["Loss"] if "by_family" in chart.tags[0]]
    tags = [f"loss_by_family/{family}" for family in ("a.b", "axb", "p(q", "[")]
    assert [[tag for tag in tags if re.search(pattern, tag)] for pattern in patterns] == [[tag] for tag in tags]


@pytest.mark.parametrize("rows", [1, 998, 1500, 40_000])
@pytest.mark.parametrize("probes", [2, 30, 3000])
def test_a_curve_keeps_its_ends_and_stays_below_what_tensorboard_thins_out(rows: int, probes: int) -> None:
    row_steps = 25 * np.arange(1, rows + 1)
    probe_steps = [0, *(25 * np.unique(np.geomspace(1, rows, probes).round().astype(int))).tolist()]
    steps = logged_steps(row_steps, probe_steps)
    assert len(steps) == len(set(steps.tolist())) <= MOST_POINTS < 1000
    assert {0, 25, 25 * rows} <= set(steps.tolist()) <= {*row_steps.tolist(), 0}
    if rows + 1 <= MOST_POINTS:
        assert set(steps) == {*row_steps, 0}
    if probes < 100:
        assert set(probe_steps) <= set(steps), "a probe's value is where it was taken"


def test_results_are_those_of_the_claims(init: Study) -> None:
    criteria = [Criterion("bound", metric, ["*"], low=0.0) for metric in ("rare", "often@100", "often", "often@0-9")]
    claims = [Claim("a", "text", criteria), Claim("b", "text", [Criterion("bound", "second", ["*"], low=0.0)] * 2)]
    board = plan_board(init._replace(file=replace(init.file, claims=claims, questions=[QuestionSpec("q", "asked")])))
    metrics = ["asked", "final_loss", "never", "often", "rare", "second"]
    assert board.results_among(metrics) == ["final_loss", "often", "second", "rare", "asked"]


def test_one_arm_is_the_baseline(init: Study) -> None:
    marked = [arm.name for arm in init.arms if arm_settings(init, arm)["baseline"]]
    assert marked == ["orthogonal,gain=1"]
    unnamed = init._replace(file=replace(init.file, baseline=""))
    assert [arm_settings(unnamed, arm)["baseline"] for arm in init.arms[:2]] == [True, False]


def test_a_long_training_is_logged_with_its_first_point_and_every_probe(init: Study, tmp_path: Path) -> None:
    """Read back as TensorBoard does: 3,000 rows in chunks, a probe at 0, 70 and the end."""
    name, rows = init.arms[0].name, np.arange(1, 3001)
    steps = logged_steps(rows, [0, 70, 3000])
    loss_nS = np.random.default_rng(0).random((2, 3000))
    board = plan_board(init)
    logger = TensorBoardLogger(tmp_path, {name: np.arange(2)}, 1, None, "", board, ["validation_loss"], [], steps)
    for since, until in ((0, 0), (0, 70), (70, 1500), (1500, 3000)):
        new = (rows > since) & (rows <= until)
        record = StepMetrics(loss_nS[:, new], *[np.zeros((2, int(new.sum())))] * (len(StepMetrics._fields) - 1))
        measured = {"validation_loss": np.full(2, float(until))} if until != 1500 else {}
        logger.log(until, rows[new], record, measured)
    events = EventAccumulator(str(tmp_path / name), size_guidance={"scalars": 0}).Reload()
    loss = {event.step: event.value for event in events.Scalars("loss")}
    assert 900 < len(loss) < 1000 and min(loss) == 1 and max(loss) == 3000
    assert all(loss[step] == pytest.approx(loss_nS[:, step - 1].mean()) for step in loss)
    assert [(event.step, event.value) for event in events.Scalars("more/validation_loss")] == [
        (0, 0),
        (70, 70),
        (3000, 3000),
    ]
