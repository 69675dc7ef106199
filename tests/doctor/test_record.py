"""What curves of training say, on built curves."""

import numpy as np
import pytest

from rnnjax.doctor.record import Record, checked, signs
from rnnjax.errors import BadInput

ROWS = 200
FALLING = 3 * np.exp(-np.arange(ROWS) / 30)[None]


def test_a_loss_that_falls_and_stays() -> None:
    found = signs(Record(FALLING), np.ones(1))
    assert found["rise"] == pytest.approx(0, abs=1e-9) and found["jumps"] == 0
    assert 0 < found["falling"][0] < 0.01


def test_a_straight_fall_is_not_finished() -> None:
    assert signs(Record(np.linspace(3, 1, ROWS)[None]), np.ones(1))["falling"] == pytest.approx(0.1, rel=0.06)


def test_a_loss_that_rises_again() -> None:
    loss = np.concatenate([np.linspace(3, 1, ROWS // 2), np.linspace(1, 2, ROWS // 2)])[None]
    assert signs(Record(loss), np.ones(1))["rise"] == pytest.approx(0.45, abs=0.05)


def test_a_loss_that_was_never_lower_than_at_the_start_has_risen() -> None:
    loss = np.concatenate([[1.0, 1.0], np.full(ROWS - 2, 15.0)])[None]
    assert signs(Record(loss), np.ones(1))["rise"] > 10


def test_jumps_are_rows_far_above_those_before() -> None:
    loss = np.full((1, ROWS), 1.0)
    loss[0, 50::10] = 2.0
    assert signs(Record(loss), np.ones(1))["jumps"] == pytest.approx(15 / 160)


def test_clip_and_path() -> None:
    shares = np.concatenate([np.zeros(ROWS // 2), np.ones(ROWS // 2)])[None]
    record = Record(FALLING, np.full((1, ROWS), 6.0), shares, np.full((1, ROWS), 0.01), 5 * np.arange(1, ROWS + 1), 0.5)
    found = signs(record, np.array([4.0]))
    assert found["clip"] == 1 and found["shortening"] == pytest.approx(12)
    assert found["path"] == pytest.approx(ROWS * 5 * 0.01 / 4)


def test_too_short_a_record_says_nothing() -> None:
    assert signs(Record(FALLING[:, :19]), np.ones(1)) == {}


def test_a_run_that_left_the_finite_numbers_has_no_numbers() -> None:
    loss = np.concatenate([FALLING, np.where(np.arange(ROWS) < 90, FALLING, np.nan)])
    found = signs(Record(loss), np.ones(2))
    assert np.isfinite(found["rise"][0]) and np.isnan([found["rise"][1], found["jumps"][1]]).all()


def test_a_users_record() -> None:
    record = checked({"loss": [3.0, 2.0], "gradient_norm": [1.0, 1.0], "clip_norm": 5.0}, 1)
    assert record.loss_RS.tolist() == [[3.0, 2.0]] and record.clip_norm == 5
    assert checked([3.0, 2.0], 1).loss_RS.shape == (1, 2)


@pytest.mark.parametrize("given", [{"gradient_norm": [1.0]}, {"loss": [1.0], "los": [1.0]}])
def test_a_strange_record_is_refused(given: dict[str, list[float]]) -> None:
    with pytest.raises(BadInput, match="record: got"):
        checked(given, 1)
