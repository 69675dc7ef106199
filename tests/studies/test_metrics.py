"""One number per seed from curves that can be worked out by hand."""

import numpy as np
import pytest

from rnnjax.analysis.results import ArmResult
from rnnjax.settings.metrics import resolve_unit
from rnnjax.studies.metrics import (
    curve_metrics,
    derived_metrics,
    exponential_smoothing,
    norm_metrics,
    rise_indicators,
    training_metrics,
    with_metrics,
)
from rnnjax.training.state import StepMetrics


def test_means_weigh_rows_by_their_steps() -> None:
    """Rows of 1,000, 1,000 and 500 steps; the last tenth of training ends with the last row."""
    losses = np.array([[3.0, 1.4, 1.1], [2.0, 2.0, 2.0]])
    fired = np.array([[1.0, 0.5, 0.0], [0.0, 0.0, 0.2]])
    metrics = curve_metrics(losses, fired, np.array([1_000, 2_000, 2_500]))
    assert metrics["loss_area"] == pytest.approx([(3.0 * 2 + 1.4 * 2 + 1.1) / 5, 2.0])
    assert metrics["clip_share"] == pytest.approx([(1 * 2 + 0.5 * 2) / 5, 0.2 / 5])
    assert metrics["final_loss"] == pytest.approx([1.1, 2.0]) and metrics["final_loss_rows"].tolist() == [1, 1]
    assert metrics["steps_to_1.5"].tolist() == [2_000, 2_500], "the length of training where it never is"
    assert metrics["steps_to_1.2"].tolist() == [2_500, 2_500]
    assert metrics["steps_to_1"].tolist() == [2_500, 2_500]


@pytest.mark.parametrize(("length", "first"), [(20_000, 19_100), (10_000, 9_100), (9_900, 9_000), (3_000, 2_800)])
def test_final_loss_is_that_of_the_last_1000_steps_or_of_the_last_tenth(length: int, first: int) -> None:
    """Rows of 100 steps, whose loss is the step at which they end; the first of the last rows is counted by hand."""
    steps = np.arange(100, length + 1, 100)
    metrics = curve_metrics(steps[None].astype(float), np.zeros((1, len(steps))), steps)
    assert metrics["final_loss"] == pytest.approx([(first + length) / 2])
    assert metrics["final_loss_rows"].tolist() == [(length - first) / 100 + 1]


def test_final_loss_of_a_very_short_run_is_that_of_its_last_row() -> None:
    losses = np.array([[3.0, 2.0, 1.0]])
    metrics = curve_metrics(losses, losses, np.array([25, 50, 60]))
    assert metrics["final_loss"].tolist() == [1.0] and metrics["final_loss_rows"].tolist() == [1]


def test_a_threshold_counts_from_the_first_row_at_or_below_it() -> None:
    losses = np.array([[2.0, 1.5, 1.6, 1.0]])
    metrics = curve_metrics(losses, np.zeros_like(losses), np.array([10, 20, 30, 40]))
    assert [metrics[f"steps_to_{x}"].tolist() for x in ("1.5", "1.2", "1")] == [[20], [40], [40]]


def test_a_run_that_diverged_has_no_metric() -> None:
    """Not even the threshold that it passed before."""
    losses = np.array([[2.0, 1.0, np.nan, np.nan], [2.0, 1.0, 0.9, 0.9]])
    metrics = curve_metrics(losses, losses, np.array([10, 20, 30, 40]))
    for name, (diverged, alive) in metrics.items():
        assert np.isnan(diverged), name
        assert np.isfinite(alive) or name in ("first_jump", "jump_recovery"), name  # of a loss that never jumps


def test_the_largest_norm_is_that_of_a_row() -> None:
    np.testing.assert_array_equal(
        norm_metrics(np.array([[1.0, 7.0, 2.0], [1.0, 2.0, np.nan]]))["largest_norm"], [7, np.nan]
    )


def test_smoothing_is_that_of_single_steps() -> None:
    """A row of k steps at its mean smooths as k steps do; starting from the first value."""
    losses, steps = np.array([[4.0, 1.0, 2.0]]), np.array([3, 2, 4])
    value = 4.0
    for loss in [4.0] * 3 + [1.0] * 2 + [2.0] * 4:
        value = 0.999 * value + 0.001 * loss
    assert exponential_smoothing(losses, steps) == pytest.approx([value], rel=1e-12)
    assert curve_metrics(losses, losses, np.cumsum(steps))["smooth_loss"] == pytest.approx([value], rel=1e-12)


def test_rises_of_a_loss_counted_by_hand() -> None:
    """The first row has none before it; a rise of a twentieth is not yet a sharp one."""
    loss = np.array([[1.0, 1.04, 1.04, 0.5, 0.53, 0.2], [1.0, 2.0, np.nan, np.nan, np.nan, np.nan]])
    found = rise_indicators(loss)
    assert found["rise"][0].tolist() == [0, 1, 0, 0, 1, 0]
    assert found["sharp_rise"][0].tolist() == [0, 0, 0, 0, 1, 0]
    assert found["rise"][1, :2].tolist() == found["sharp_rise"][1, :2].tolist() == [0, 1]
    assert np.isnan(found["rise"][1, 2:]).all()


def probed(unit_dead_nQH: list, diverged_at: list[int]) -> ArmResult:
    """An arm with a probe at steps 0, 5 and 10, and a flat loss."""
    values = np.array(unit_dead_nQH, float)
    n, steps = len(values), np.array([5, 10])
    rows = {name: np.ones((n, 2)) for name in StepMetrics._fields}
    seeds, at = np.arange(n), np.array(diverged_at)
    return ArmResult("a", {}, seeds, steps, rows, np.array([0, 5, 10]), {"unit_dead": values}, at, {})


def test_a_derived_metric_does_not_depend_on_the_company() -> None:
    """Of a run that is not finite at the last point nothing is known, also where it is alone."""
    dead = [[[1.0, 0.0]], [[0.0, 0.0]], [[np.nan, np.nan]]]
    lost = [[step[0] for step in dead]]
    alive = [[[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]]
    together = derived_metrics(probed(lost + alive, [7, -1]))["unit_recovery"]
    np.testing.assert_array_equal(together, [np.nan, 1.0])
    np.testing.assert_array_equal(derived_metrics(probed(lost, [7]))["unit_recovery"], [np.nan])


def test_every_metric_that_no_probe_measures_is_described() -> None:
    arm = probed([[[1.0], [0.0], [0.0]]], [-1])._replace(probes={})
    found = with_metrics(arm, {"chance": 3.0, "unigram": 2.0}, {"parameters": 4})
    assert found.metrics.keys() | found.rows.keys() <= training_metrics().keys()
    assert all(found.info[name].definition for name in found.metrics)
    assert found.info["final_loss"].unit == "nats per character"
    series = with_metrics(arm._replace(loss="squared_error"), {}, {})
    assert series.info["final_loss"].unit == "squared units of the target" and "steps_to_1" not in series.metrics
    assert all(resolve_unit(metric, loss) for metric in training_metrics().values() for loss in ("cross_entropy",))
