"""Results of arms: one number per seed, units, selection and ranking."""

from typing import Any

import numpy as np
import pytest

from rnnjax.analysis.results import ArmResult, at_probe_steps, per_seed, rank_arms, select_arms, shared_unit
from rnnjax.settings.metrics import Metric


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


PROBED = arm(
    probes={"norm": np.array([[1.0, 2.0, 3.0], [4.0, 5.0, np.nan]]), "rare": np.array([[7.0, np.nan, np.nan]] * 2)},
    metrics={"loss": np.array([0.1, 0.2])},
    measured_at={"rare": np.array([True, False, False])},
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
    taken = {"decay": np.array([True, False, True])}
    shown = at_probe_steps(arm(probes={"decay": values, "other": np.zeros((2, 3))}, measured_at=taken), "decay")
    assert shown.probe_steps.tolist() == [0, 10]
    assert list(shown.probes) == ["decay"]
    np.testing.assert_array_equal(shown.probes["decay"], values[:, [0, 2]])


@pytest.mark.parametrize("metric", ["period", "period@10", "period@9"])
def test_a_seed_s_number_does_not_depend_on_its_company(metric: str) -> None:
    """Seed 42 has no value at the last point: alone it has none either, not that of an earlier point."""
    values = np.array([[7.0, 8.0, np.nan], [1.0, 2.0, 3.0]])
    taken = {"period": np.array([True, True, True])}
    both = arm(probes={"period": values}, measured_at=taken)
    alone = arm(probes={"period": values[:1]}, measured_at=taken, seeds=np.array([42]), diverged_at=np.array([-1]))
    np.testing.assert_array_equal(per_seed(alone, metric), per_seed(both, metric)[:1])
    assert np.isnan(per_seed(alone, metric)).all()


def test_units_are_those_that_were_described() -> None:
    """Nothing is read off a name: `window_loss` is summed over a window, `period` of a series is in steps."""
    nats, squared = Metric("", "nats per window"), Metric("", "squared units")
    one, other = arm(info={"window_loss": nats}), arm(info={"window_loss": squared})
    assert shared_unit([one, one], "window_loss") == shared_unit([one], "window_loss@100") == "nats per window"
    assert shared_unit([one, other], "window_loss") == shared_unit([one], "loss_steps_period") == ""


def test_arms_are_ranked_by_their_means_and_those_without_a_number_are_left_out() -> None:
    values = {"a": [1.0, 3.0], "b": [0.0, 1.0], "c": [np.nan, np.nan]}
    arms = [arm(name, metrics={"x": np.array(numbers)}) for name, numbers in values.items()]
    assert [one.name for one, _ in rank_arms(arms, "x", "lowest")] == ["b", "a"]
    assert [interval.estimate for _, interval in rank_arms(arms, "x", "highest")] == [2.0, 0.5]
