"""One number per seed from curves that can be worked out by hand."""

from typing import Any

import numpy as np
import pytest

from rnnjax.analysis.results import (
    ArmResult,
    at_probe_steps,
    curve_metrics,
    exponential_smoothing,
    is_text,
    norm_metrics,
    per_seed,
    rise_indicators,
    select_arms,
)


def arm(name: str = "a", **fields: Any) -> ArmResult:
    """Two seeds, two rows, three probes."""
    defaults = {
        "axes": {},
        "seeds": np.array([42, 43]),
        "row_steps": np.array([5, 10]),
        "rows": {},
        "probe_steps": np.array([0, 5, 10]),
        "probes": {},
        "diverged_at": np.array([-1, -1]),
        "metrics": {},
    }
    return ArmResult(name, **(defaults | fields))


def test_means_weigh_rows_by_their_steps() -> None:
    """Rows of 1,000, 1,000 and 500 steps; the last 1,000 steps are the last row and none of the one before."""
    losses = np.array([[3.0, 1.4, 1.1], [2.0, 2.0, 2.0]])
    fired = np.array([[1.0, 0.5, 0.0], [0.0, 0.0, 0.2]])
    metrics = curve_metrics(losses, fired, np.array([1_000, 2_000, 2_500]))
    assert metrics["loss_area"] == pytest.approx([(3.0 * 2 + 1.4 * 2 + 1.1) / 5, 2.0])
    assert metrics["clip_share"] == pytest.approx([(1 * 2 + 0.5 * 2) / 5, 0.2 / 5])
    assert metrics["final_loss"] == pytest.approx([(1.4 * 2 + 1.1) / 3, 2.0]), "rows that end in the last 1,000 steps"
    assert metrics["steps_to_1.5"].tolist() == [2_000, 2_500], "the length of training where it never is"
    assert metrics["steps_to_1.2"].tolist() == [2_500, 2_500]
    assert metrics["steps_to_1"].tolist() == [2_500, 2_500]


def test_final_loss_of_a_long_record_is_that_of_its_last_1000_steps() -> None:
    steps = np.arange(100, 3_001, 100)
    losses = np.where(steps <= 2_000, 9.0, steps / 1_000)[None]
    metrics = curve_metrics(losses, np.zeros_like(losses), steps)
    assert metrics["final_loss"] == pytest.approx([np.mean(np.arange(2.1, 3.01, 0.1))])


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


PROBED = arm(
    probes={"norm": np.array([[1.0, 2.0, 3.0], [4.0, 5.0, np.nan]]), "rare": np.array([[7.0, np.nan, np.nan]] * 2)},
    metrics={"loss": np.array([0.1, 0.2])},
)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("loss", [0.1, 0.2]),
        ("norm", [3.0, np.nan]),  # the last one, diverged or not
        ("norm@0", [1.0, 4.0]),
        ("norm@4", [2.0, 5.0]),
        ("norm@1e9", [3.0, np.nan]),
        ("rare", [7.0, 7.0]),  # only steps at which the probe was taken
        ("rare@10", [7.0, 7.0]),
    ],
)
def test_seed_values(metric: str, expected: list[float]) -> None:
    np.testing.assert_array_equal(per_seed(PROBED, metric), expected)


def test_a_metric_shadows_the_probe_of_its_name_but_at_a_step() -> None:
    both = PROBED._replace(metrics={"norm": np.array([8.0, 9.0])})
    assert per_seed(both, "norm").tolist() == [8, 9]
    assert per_seed(both, "norm@5").tolist() == [2, 5]


@pytest.mark.parametrize("metric", ["unknown", "unknown@3", "loss@3"])
def test_an_unknown_metric_is_a_key_error(metric: str) -> None:
    with pytest.raises(KeyError):
        per_seed(PROBED, metric)


def test_arms_are_named_by_patterns_in_the_order_of_the_study() -> None:
    arms = [arm("normal_1"), arm("orthogonal"), arm("normal_2")]
    assert [one.name for one in select_arms(arms, ["orth*", "normal_?", "normal_1"])] == [
        "normal_1",
        "orthogonal",
        "normal_2",
    ]
    with pytest.raises(KeyError, match="'xavier'"):
        select_arms(arms, ["*", "xavier"])
    with pytest.raises(KeyError):
        select_arms(arms, ["Normal_1"])


@pytest.mark.parametrize("lags", [(), (4,)])
def test_a_probe_is_shown_where_it_was_taken(lags: tuple[int, ...]) -> None:
    values = np.full((2, 3, *lags), np.nan)
    values[:, 0], values[1, 2] = 1.0, 2.0  # at step 10 one of the two had diverged
    shown = at_probe_steps(arm(probes={"decay": values, "other": np.zeros((2, 3))}), "decay")
    assert shown.probe_steps.tolist() == [0, 10]
    assert list(shown.probes) == ["decay"]
    np.testing.assert_array_equal(shown.probes["decay"], values[:, [0, 2]])


def test_texts_are_told_by_their_name() -> None:
    assert is_text("text_greedy")
    assert not is_text("distinct_4_greedy")


def test_rises_of_a_loss_counted_by_hand() -> None:
    """The first row has none before it; a rise of a twentieth is not yet a sharp one."""
    loss = np.array([[1.0, 1.04, 1.04, 0.5, 0.53, 0.2], [1.0, 2.0, np.nan, np.nan, np.nan, np.nan]])
    found = rise_indicators(loss)
    assert found["rise"][0].tolist() == [0, 1, 0, 0, 1, 0]
    assert found["sharp_rise"][0].tolist() == [0, 0, 0, 0, 1, 0]
    assert found["rise"][1, :2].tolist() == found["sharp_rise"][1, :2].tolist() == [0, 1]
    assert np.isnan(found["rise"][1, 2:]).all()
