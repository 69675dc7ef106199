"""Indicators of training curves, on constructed curves."""

from typing import Any

import numpy as np
import pytest

from rnnjax.doctor.diagnosis import judge_indicators
from rnnjax.doctor.indicators.curves import CURVE_INDICATORS, curve_indicators
from rnnjax.doctor.indicators.types import Indicators, per_network
from rnnjax.doctor.remedies import load_effects
from rnnjax.doctor.training_curves import TrainingCurves, validate_curves
from rnnjax.errors import BadInput

ROWS = 200
FALLING = 3 * np.exp(-np.arange(ROWS) / 30)[None]


def test_a_loss_that_falls_and_stays() -> None:
    found = curve_indicators(TrainingCurves(FALLING), np.ones(1))
    assert found["rise"] == pytest.approx(0, abs=1e-9) and found["jumps"] == 0
    assert 0 < found["fall_at_end"][0] < 0.01


def test_a_straight_fall_is_not_finished() -> None:
    assert curve_indicators(TrainingCurves(np.linspace(3, 1, ROWS)[None]), np.ones(1))["fall_at_end"] == pytest.approx(
        0.1, rel=0.06
    )


def test_a_loss_that_rises_again() -> None:
    loss = np.concatenate([np.linspace(3, 1, ROWS // 2), np.linspace(1, 2, ROWS // 2)])[None]
    assert curve_indicators(TrainingCurves(loss), np.ones(1))["rise"] == pytest.approx(0.45, abs=0.05)


def test_a_loss_that_was_never_lower_than_at_the_start_has_risen() -> None:
    loss = np.concatenate([[1.0, 1.0], np.full(ROWS - 2, 15.0)])[None]
    assert curve_indicators(TrainingCurves(loss), np.ones(1))["rise"] == pytest.approx((15 - 1) / 0.05)


@pytest.mark.parametrize("level", [1.0, -1.0])
def test_where_nothing_was_learned_a_rise_is_a_share_of_the_level(level: float) -> None:
    """Of a twentieth of it, whatever its indicator."""
    loss = np.concatenate([np.full(ROWS - 20, level), np.full(20, level + 0.03)])[None]
    assert curve_indicators(TrainingCurves(loss), np.ones(1))["rise"] == pytest.approx(0.03 / 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [100, 400, 1000])
@pytest.mark.parametrize("share", [0.02, 0.05])
def test_noise_is_no_rise_and_no_fall(rows: int, share: float) -> None:
    """Limits as in `conditions`: rise above 0.25, fall_at_end above 0.03."""
    flat = np.random.default_rng(0).normal(1, share, (200, rows))
    found = curve_indicators(TrainingCurves(flat), np.ones(200))
    assert np.mean(found["rise"] > 0.25) <= 0.02 and np.mean(found["fall_at_end"] > 0.03) <= 0.02
    fall = np.linspace(3, 1, rows)
    assert np.mean(curve_indicators(TrainingCurves(fall * flat), np.ones(200))["fall_at_end"] > 0.03) > 0.75
    rise = np.concatenate([fall[: rows // 2], fall[: rows // 2][::-1]])
    assert np.mean(curve_indicators(TrainingCurves(rise * flat), np.ones(200))["rise"] > 0.25) == 1


def test_jumps_are_rows_far_above_those_before() -> None:
    loss = np.full((1, ROWS), 1.0)
    loss[0, np.cumsum([50, *np.random.default_rng(1).permutation([7, 8, 9, 10, 11, 12, 13] * 2)])] = 2.0
    assert curve_indicators(TrainingCurves(loss), np.ones(1))["jumps"] == pytest.approx(15 / 160)
    assert curve_indicators(TrainingCurves(loss - 2), np.ones(1))["jumps"] == pytest.approx(15 / 160)  # from -1 to 0
    assert curve_indicators(TrainingCurves(loss - 9), np.ones(1))["jumps"] == 0
    assert curve_indicators(TrainingCurves(0.45 * loss + 0.55), np.ones(1))["jumps"] == 0, "from 1 to 1.45"
    assert "jumps" not in curve_indicators(TrainingCurves(loss[:, :80]), np.ones(1)), "too few rows have 40 before them"


def found_in(loss_S: np.ndarray) -> list[str]:
    """The conditions that a curve alone shows."""
    values = {
        name: per_network(values_R)
        for name, values_R in curve_indicators(TrainingCurves(loss_S[None]), np.ones(1)).items()
    }
    return [finding.name for finding in judge_indicators(Indicators(values, {}, {}), load_effects()).findings]


def test_a_loss_that_jumps_again_and_again_and_comes_back_is_said_to_jump() -> None:
    """Twice as high at about every 12th row, then at every 24th only; with one period, they are those of the data."""
    settled = 1 + 2 * np.exp(-np.arange(ROWS) / 10)
    irregular = np.cumsum([11, *np.random.default_rng(0).permutation([8, 10, 12, 14, 16] * 3)])
    for rows, found in ((irregular, ["jumps"]), (irregular[::2], []), (np.arange(11, ROWS, 12), [])):
        assert found_in(np.where(np.isin(np.arange(ROWS), rows), 2, 1) * settled) == found


def test_a_loss_that_still_falls_at_its_end_is_unfinished() -> None:
    """Of all that was learned the last tenth adds 4.6%, then 2%."""
    left = np.linspace(1, 0, ROWS)
    for power, found in ((1.5, ["unfinished"]), (2, [])):
        assert found_in(1 + 2 * left**power) == found


def test_a_loss_that_ends_above_its_lowest_has_risen() -> None:
    """By 40% of all that was learned, then by 15%."""
    fall = np.concatenate([np.linspace(11, 9, ROWS // 2), np.full(ROWS // 2, 9.0)])
    for share, found in ((0.4, ["rate_too_high"]), (0.15, [])):
        assert found_in(fall + 2 * share * (np.arange(ROWS) >= ROWS - ROWS // 10)) == found


def test_clip_and_path() -> None:
    shares = np.concatenate([np.zeros(ROWS // 2), np.ones(ROWS // 2)])[None]
    record = TrainingCurves(
        FALLING, 60 - 54 * shares, shares, np.full((1, ROWS), 0.01), 5 * np.arange(1, ROWS + 1), 0.5
    )
    found = curve_indicators(record, np.array([4.0]))
    assert found.keys() == set(CURVE_INDICATORS) - {"optimizer_frozen"}
    assert found["clip"] == 1 and found["clip_ratio"] == pytest.approx(12)
    assert found["path"] == pytest.approx(ROWS * 5 * 0.01 / 4)
    assert "clip_ratio" not in curve_indicators(record._replace(clip_norm=np.inf), np.array([4.0])), (
        "there is no threshold"
    )
    assert "path" not in curve_indicators(record._replace(steps_S=None), np.array([4.0])), (
        "how many steps a row has is not known"
    )


def test_too_short_a_record_says_nothing() -> None:
    assert curve_indicators(TrainingCurves(FALLING[:, :19]), np.ones(1)) == {}


def test_a_run_that_left_the_finite_numbers_has_no_numbers() -> None:
    loss = np.concatenate([FALLING, np.where(np.arange(ROWS) < 90, FALLING, np.nan)])
    found = curve_indicators(TrainingCurves(loss), np.ones(2))
    assert np.isfinite(found["rise"][0]) and np.isnan([found["rise"][1], found["jumps"][1]]).all()


def test_a_users_record() -> None:
    record = validate_curves({"loss": [3.0, 2.0], "gradient_norm": [1.0, 1.0], "clip_norm": 5.0}, 1)
    assert record.loss_RS.tolist() == [[3.0, 2.0]] and record.clip_norm == 5
    assert validate_curves([3.0, 2.0], 1).loss_RS.shape == (1, 2)
    ends = [validate_curves([3.0, np.nan, last], 1).diverged_R for last in (2.0, np.nan, np.inf)]
    assert [end is not None and end.tolist() for end in ends] == [[0], [1], [1]]


@pytest.mark.parametrize(
    "given",
    [{"gradient_norm": [1.0]}, {"loss": [1.0], "los": [1.0]}, {"loss": [1.0, 2.0], "steps": [5]}, [], ["low"], None],
)
def test_a_strange_record_is_refused(given: Any) -> None:
    with pytest.raises(BadInput, match="record: got"):
        validate_curves(given, 1)
