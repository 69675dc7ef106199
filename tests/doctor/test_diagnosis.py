"""The table of conditions on built indicators: each is found just beyond its limit, a cause before what it causes."""

import numpy as np
import pytest

from rnnjax.doctor.conditions import CONDITIONS, NAMES, Condition, Limit
from rnnjax.doctor.diagnosis import Diagnosis, judge_indicators
from rnnjax.doctor.indicators.types import Indicator, Indicators
from rnnjax.doctor.remedies import load_effects

HEALTHY = {  # typical values of a well-trained network
    "unknown_ids": 0.0, "broken": 0.0, "suspicious_values": 0.0, "wrong_axis": 0.0, "classes_as_numbers": 0.0,
    "padding_counted": 0.0, "uncounted": 0.0, "out_of_range": 0.0, "record_mismatch": 0.0, "optimizer_frozen": 1.0,
    "lost_in_rounding": 0.05, "standstill": 0.1, "still_falling": 0.0, "leap": 0.0, "window_growth": 0.2,
    "decay_at_answer": -1.0, "window_decay": -2.0, "one_class": 0.4, "other_classes": 0.7, "unseen": 0.0, "shift": 0.1,
    "over_persistence": 0.3, "over_linear": 0.9, "linear_gain": -0.1, "foreseeable": 0.7, "held_out_ratio": 1.1,
    "held_out_over_chance": 0.35,
    "copied": 0.1, "repeated": 0.05, "missing_rows": 0.0, "diverged": 0.0,
    "target_leak": 0.05, "size": 0.1, "row_leak": 0.0, "memory": 0.9, "future": 0.0,
    "predicts_next_input": 1.0, "last_step": 0.06, "silent_streams": 0.0, "distribution": 0.0, "rise": 0.0,
    "jumps": 0.0, "dead": 0.0, "saturated": 0.1, "input_independent": 0.0, "frozen": 0.0, "clip_ratio": 0.5,
    "clip": 0.02, "path": 1.5, "gradient_growth": -0.5, "gradient_decay": -0.5, "stale": 0.0, "identical": 0.8,
    "gap": 0.05, "loss_over_chance": 0.3, "drift": 0.05, "range": 0.7, "loops_sampled": 0.0, "above_floor": 0.3,
    "above_windows": 0.3, "fall_at_end": 0.005, "loops_greedy": 0.3,
    "permuted_blocks": 0.0, "summed_biases": 0.0, "transposed_kernels": 0.0, "uncarried_state": 0.0,
    "detached_state": 0.0, "other_outputs": 0.0,
}  # fmt: skip


def examine_values(**changes: float) -> Diagnosis:
    indicators = {name: Indicator(np.full(3, value), "runs") for name, value in (HEALTHY | changes).items()}
    return judge_indicators(Indicators(indicators, {}, {}), load_effects())


def names(diagnosis: Diagnosis) -> list[str]:
    return [finding.name for finding in diagnosis.findings]


def beyond(limit: Limit, by: float) -> float:
    """A value that passes a limit by so much, or misses it where `by` is negative."""
    return limit.below - by if np.isfinite(limit.below) else limit.above + by


def test_a_healthy_network_has_no_findings() -> None:
    assert names(examine_values()) == []
    assert {check.outcome for check in examine_values().checks} == {"not found"}


@pytest.mark.parametrize("condition", CONDITIONS, ids=NAMES)
def test_a_condition_is_found_beyond_its_limit_and_not_before(condition: Condition) -> None:
    passing = {limit.indicator: beyond(limit, 1e-6) for limit in condition.limits}
    assert condition.name in names(examine_values(**passing))
    for limit in condition.limits:
        assert condition.name not in names(examine_values(**passing | {limit.indicator: beyond(limit, -1e-6)}))
        assert condition.name not in names(examine_values(**passing | {limit.indicator: np.nan}))


@pytest.mark.parametrize("name", ["row_leak", "future"])
def test_an_effect_of_a_thousandth_is_one(name: str) -> None:
    """Below stands the rounding of float32."""
    assert names(examine_values(**{name: 0.0015})) == [name] and names(examine_values(**{name: 0.0007})) == []


@pytest.mark.parametrize(
    ("cause", "consequence", "indicators"),
    [
        ("diverged", "rate_too_high", {"diverged": 1.0, "rise": 5.0}),
        ("unscaled", "saturated", {"size": 3.0, "saturated": 0.99}),
        ("swapped_axes", "no_memory", {"row_leak": 0.8, "memory": 0.0}),
        ("last_step", "identical", {"last_step": 1.0, "identical": 0.01}),
        ("rate_too_high", "saturated", {"rise": 2.0, "saturated": 0.99}),
        ("dead_units", "input_independent", {"dead": 1.0, "input_independent": 1.0}),
        ("saturated", "vanishing", {"saturated": 0.99, "gradient_decay": -8.0}),
        ("clip_starves", "rate_too_low", {"clip_ratio": 500.0, "clip": 1.0, "path": 0.01}),
        ("rate_too_low", "identical", {"path": 0.01, "identical": 0.01}),
        ("vanishing", "identical", {"gradient_decay": -8.0, "identical": 0.01}),
    ],
)
def test_a_cause_stands_before_what_it_causes(cause: str, consequence: str, indicators: dict[str, float]) -> None:
    found = names(examine_values(**indicators))
    assert found[0] == cause and consequence in found


def test_a_shortfall_of_learning_is_none_at_the_floor() -> None:
    found = examine_values(above_floor=0.01, identical=0.0, gradient_decay=-9.0, row_leak=0.5)
    assert names(found) == ["row_leak", "floor"]
    assert {check.name: check.outcome for check in found.checks}["identical"] == "at the floor"


def test_what_could_not_be_measured_is_said() -> None:
    indicators = {"diverged": Indicator(np.zeros(1), "network")}
    found = judge_indicators(Indicators(indicators, {}, {}), load_effects())
    assert {check.name for check in found.checks if check.outcome == "not checked"} == set(NAMES) - {"diverged"}
    assert [check.name for check in found.checks] == list(NAMES)


def test_a_run_without_a_number_does_not_hide_the_others() -> None:
    indicators = {"row_leak": Indicator(np.array([np.nan, 0.4]), "runs")}
    assert names(judge_indicators(Indicators(indicators, {}, {}), load_effects())) == ["row_leak"]


def test_the_evidence_has_its_interval() -> None:
    values = np.array([0.2, 0.4, 0.6])
    indicators = {"row_leak": Indicator(values, "runs")}
    [finding] = judge_indicators(Indicators(indicators, {}, {}), load_effects()).findings
    half = 4.302653 * 0.2 / np.sqrt(3)
    assert finding.evidence[:4] == pytest.approx((0.4, 0.4 - half, 0.4 + half, 3))
    assert (finding.over, finding.kind) == ("runs", "fault")
