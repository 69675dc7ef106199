"""The doctor on networks and data that rnnjax did not build: each fault, and healthy neighbours of it."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.doctor.abroad import ABROAD, data, outputs
from benchmarks.doctor.abroad.batches import binary_cross_entropy, masked_cross_entropy
from benchmarks.doctor.abroad.cases import is_right
from benchmarks.doctor.abroad.measure import measure_case, to_markdown
from benchmarks.doctor.abroad.networks import cross_entropy, draw, squared_error, symbols, text_ids, waves, windows
from benchmarks.doctor.abroad.programs import log_of_zero
from benchmarks.doctor.abroad.records import RECORDS, RecordCase
from rnnjax.doctor.batch import Batch, batch_chance_loss
from rnnjax.doctor.diagnosis import Diagnosis, judge_indicators
from rnnjax.doctor.forms import is_one_hot, read_objective
from rnnjax.doctor.indicators.curves import curve_indicators
from rnnjax.doctor.indicators.layout import padded_steps, wrong_axis
from rnnjax.doctor.indicators.leaks import find_leak
from rnnjax.doctor.indicators.levels import shift_of_values
from rnnjax.doctor.indicators.outputs import window_entropy
from rnnjax.doctor.indicators.predictability import measure_predictability
from rnnjax.doctor.indicators.predictions import classes_as_numbers, least_possible_loss, one_class, unreachable_targets
from rnnjax.doctor.indicators.types import Indicators, per_network
from rnnjax.doctor.nonfinite import find_origin, loop_sizes, unknown_from
from rnnjax.doctor.remedies import load_effects
from rnnjax.doctor.training_curves import validate_curves

RNG = np.random.default_rng


def diagnose_curves(curves: Any) -> Diagnosis:
    """The diagnosis of training curves without a network."""
    curves = validate_curves(curves, 1)
    values = {"diverged": curves.diverged_R} | curve_indicators(curves, np.ones(1))
    return judge_indicators(Indicators({name: per_network(each) for name, each in values.items()}), load_effects())


@pytest.mark.parametrize("case", RECORDS, ids=lambda case: case.name)
def test_training_curves(case: RecordCase) -> None:
    diagnosis = diagnose_curves(case.curves())
    findings, faults = ([one.name for one in each] for each in (diagnosis.findings, diagnosis.faults))
    assert is_right(case.expected, findings, faults), findings


def test_every_member_has_its_own_name_and_every_fault_healthy_neighbours() -> None:
    assert max(Counter(case.name for case in ABROAD).values()) == 1
    assert {case.kind for case in ABROAD} == {case.kind for case in ABROAD if not case.expected}


# Data


def drawn(sampler: Any) -> Batch:
    """256 streams of a sampler."""
    parts = [draw(sampler, seed) for seed in range(16)]
    return Batch(*(np.concatenate([part[side] for part in parts], axis=1) for side in range(2)))


@pytest.mark.parametrize("name", data.LEAKS)
def test_a_column_that_gives_the_target_is_a_leak(name: str) -> None:
    assert find_leak(drawn(data.with_column(data.LEAKS[name]))).share > 0.99


@pytest.mark.parametrize("name", data.NO_LEAKS)
def test_a_column_that_gives_no_more_than_the_past_is_none(name: str) -> None:
    assert find_leak(drawn(data.with_column(data.NO_LEAKS[name]))).share < 0.99


def test_a_column_that_gives_no_more_than_a_slow_series_own_past_is_none() -> None:
    """It gives all but 2e-4 of the variance, a linear predictor of the past all but 1e-5."""
    series = np.sin(2 * np.pi * np.arange(3000) / 500)[:, None] + 1e-3 * RNG(0).normal(size=(3000, 1))
    other = 1.8 * series + 0.3 + 1e-3 * RNG(1).normal(size=(3000, 1))
    sampler = windows(np.concatenate([series, other], axis=1)[:-1], series[1:])
    assert find_leak(drawn(sampler)).share < 0.99


def test_a_target_rounded_to_halves_is_a_leak() -> None:
    """Rounding leaves 2% of the variance; as much noise is no rounding."""
    target = RNG(0).normal(size=(20, 64, 1))
    rounded, noisy = np.round(2 * target) / 2, target + 0.144 * RNG(1).normal(size=(20, 64, 1))
    assert find_leak(Batch(rounded, target)).share > 0.99 > find_leak(Batch(noisy, target)).share


def test_a_late_target_is_described() -> None:
    leak = find_leak(drawn(data.with_column(data.LEAKS["late_target"])))
    assert leak.relation == "input column 1 is target 0, 2 steps late"


@pytest.mark.parametrize(
    ("sampler", "leaks"),
    [(data.one_hot_beside_noise, True), (data.id_as_column, True), (data.one_hot_of_last, False)],
)
def test_codes_of_the_target_id_are_a_leak(sampler: Any, leaks: bool) -> None:
    assert (find_leak(drawn(sampler)).share > 0.99) == leaks


@pytest.mark.parametrize("values", [text_ids, waves], ids=["ids", "numbers"])
@pytest.mark.parametrize("shift", [1, 4], ids=["next_input", "other_target"])
def test_time_on_the_second_axis(values: Callable[[], np.ndarray], shift: int) -> None:
    batch = drawn(windows(values(), shift=shift))
    swapped = Batch(*data.swap_axes((batch.inputs, batch.targets)))
    assert wrong_axis(swapped) > (0.25 if values is text_ids and shift > 1 else 0.5) and wrong_axis(batch) == 0


def test_noise_has_no_axis_of_time() -> None:
    noise = RNG(0).normal(size=(20, 40, 2))
    assert wrong_axis(Batch(noise, RNG(1).normal(size=(20, 40, 1)))) < 0.2
    assert np.isnan(wrong_axis(Batch(noise[:3], noise[:3] + 1))), "too few steps"


def test_the_entropy_of_windows_is_that_of_targets_after_equal_inputs() -> None:
    """Two of four streams begin alike and go on differently: log 2 for each of them at the first step."""
    inputs, targets = np.array([[1, 1, 2, 3], [4, 5, 6, 7]]), np.array([[4, 5, 6, 7], [0, 0, 0, 1]])
    assert window_entropy(Batch(inputs, targets)) == pytest.approx(np.log(2) * 2 / 8)
    mask = np.array([[1, 1, 1, 1], [0, 0, 0, 0]])
    assert window_entropy(Batch(inputs, targets, mask)) == pytest.approx(np.log(2) / 2)
    assert window_entropy(Batch(np.zeros((2, 4, 1)), targets)) == 0.0


def test_padding_is_the_common_end_of_streams() -> None:
    batch = drawn(data.padded_windows)
    np.testing.assert_array_equal(padded_steps(batch), batch.targets == 0)
    assert not padded_steps(drawn(windows(text_ids()))).any()
    constant_end = np.where(np.arange(20)[:, None] < 15, RNG(0).integers(1, 5, (20, 30)), 0)
    assert not padded_steps(Batch(constant_end, constant_end)).any(), "all streams end at one step"
    often = np.where(batch.targets == 0, 0, batch.targets % 3)
    assert not padded_steps(Batch(often, often)).any(), "the value is frequent elsewhere too"


def test_classes_have_no_order_and_counts_have_one() -> None:
    assert classes_as_numbers(drawn(windows(data.ids_as_numbers()))) > 0.15
    assert classes_as_numbers(drawn(windows(data.counts()))) < 0.15
    assert classes_as_numbers(drawn(windows(waves()))) == 0, "they are not whole numbers"


def test_numbers_with_smooth_frequencies_are_no_classes() -> None:
    """A chaotic map, whose next value a table gives and a line does not."""
    values = [RNG(0).random(256)]
    for _ in range(19):
        values.append(1 - np.abs(2 * values[-1] - 1) * 0.9999)
    numbers = np.floor(16 * np.clip(values, 0, 0.999))[..., None]
    scrambled = RNG(3).permutation(32)[numbers.astype(int)].astype(float)
    assert classes_as_numbers(Batch(numbers, numbers)) == 0
    assert classes_as_numbers(Batch(scrambled, scrambled)) > 0.15


def test_ids_that_a_network_does_not_know() -> None:
    ids, _ = data.beyond_vocabulary(draw(windows(text_ids())))
    embedding = RNG(0).normal(size=(symbols(), 3)).astype(np.float32)
    readers: list[Callable[[Any], Any]] = [
        lambda ids: jnp.asarray(embedding)[ids],
        lambda ids: jnp.take(jnp.asarray(embedding), ids, axis=0),
        lambda ids: jax.nn.one_hot(ids, symbols()) @ embedding,
    ]
    for read in readers:
        assert unknown_from(read, ids, {"embedding": embedding}) == symbols()
        assert unknown_from(read, np.minimum(ids, symbols() - 1), {"embedding": embedding}) is None


@pytest.mark.parametrize("units", [symbols() - 1, symbols() - 5])
@pytest.mark.parametrize("present", [range(symbols()), [0, 1, symbols() - 1]])
def test_the_last_id_is_known_where_another_matrix_is_smaller(units: int, present: Sequence[int]) -> None:
    """JAX reads the last row for all ids above it: they are the same as the last one, which is known."""
    ids = RNG(0).choice(np.array(present), (6, 8))
    ids[0, 0] = symbols() - 1
    embedding = RNG(0).normal(size=(symbols(), 3)).astype(np.float32)
    params = {"embedding": embedding, "recurrent_kernel": np.zeros((units, units), np.float32)}
    assert unknown_from(lambda ids: jnp.asarray(embedding)[ids], ids, params) is None
    beyond = {"embedding": embedding[:units], "recurrent_kernel": np.zeros((symbols(), symbols()), np.float32)}
    assert unknown_from(lambda ids: jnp.asarray(embedding[:units])[ids], ids, beyond) == units


def test_what_can_be_foreseen() -> None:
    for values, foreseeable in ((data.white_noise(), False), (waves(), True), (text_ids(), True)):
        batch = drawn(windows(values))
        found = measure_predictability(batch, batch_chance_loss(batch))
        assert found is not None and (found.explained > 0.03) == foreseeable


def test_a_random_walk_is_foreseen_by_its_last_value_only() -> None:
    batch = drawn(windows(data.random_walk()))
    found = measure_predictability(batch, batch_chance_loss(batch))
    assert found is not None and found.levels["linear"] > 0.8 * found.levels["persistence"]


def test_the_lag_on_which_a_target_depends() -> None:
    inputs = RNG(0).normal(size=(40, 32, 1))
    batch = Batch(inputs, np.roll(inputs, 12, 0))
    batch = batch._replace(loss_mask_TB=np.broadcast_to(np.arange(40)[:, None] >= 12, (40, 32)).astype(float))
    found = measure_predictability(batch, batch_chance_loss(batch))
    assert found is not None and np.argmax(found.explained_L) == 12 and found.explained_L[12] > 0.99


def test_a_regression_on_few_samples_foresees_no_noise() -> None:
    batch = Batch(RNG(0).normal(size=(20, 8, 2)), RNG(1).normal(size=(20, 8, 1)))
    found = measure_predictability(batch, batch_chance_loss(batch))
    assert found is not None and found.explained_by_past == 0


def test_too_few_steps_have_no_levels() -> None:
    batch = Batch(*(each[:9, :10] for each in drawn(windows(waves()))[:2]))
    assert measure_predictability(batch, batch_chance_loss(batch)) is None


def test_held_out_values_of_another_distribution() -> None:
    (a, b), far = RNG(0).normal(size=(2, 1000, 2)), np.array([[0, 3]])
    assert shift_of_values(a, b).distance < 0.1
    assert shift_of_values(a, b + far).distance > 0.8
    assert "outside the range of training" in shift_of_values(a, b + far).remark
    ids = RNG(1).integers(0, 6, (2, 1000))
    same, new = shift_of_values(*ids), shift_of_values(ids[0], np.where(ids[1] == 5, 9, ids[1]))
    assert new.remark.startswith("1 ids")
    assert same.unseen == 0 and same.distance < 0.1 and new.unseen == pytest.approx(np.mean(ids[1] == 5))


# Outputs

LOGITS = 3 * RNG(0).normal(size=(20, 16, 12))
LOGITS_MASK = np.ones((20, 16), bool)


@pytest.mark.parametrize("name", outputs.BOUNDED_LOGITS)
def test_bounded_logits_cannot_reach_a_low_loss(name: str) -> None:
    bounded = np.asarray(outputs.BOUNDED_LOGITS[name](jnp.asarray(LOGITS)))
    assert least_possible_loss(bounded, LOGITS_MASK) > 0.1


def test_logits_without_a_bound_have_no_least_loss() -> None:
    log_probabilities = np.asarray(jax.nn.log_softmax(jnp.asarray(LOGITS)))
    for values in (LOGITS, 0.1 * LOGITS, log_probabilities, np.zeros_like(LOGITS)):
        assert least_possible_loss(values, LOGITS_MASK) == 0
    assert np.isnan(least_possible_loss(LOGITS[:2, :2], LOGITS_MASK[:2, :2]))


def test_the_least_loss_between_0_and_1() -> None:
    """log(1 + (V - 1) / e) / log V."""
    probabilities = np.asarray(jax.nn.sigmoid(jnp.asarray(LOGITS)))
    expected = np.log(1 + 11 / np.e) / np.log(12)
    assert least_possible_loss(probabilities, LOGITS_MASK) == pytest.approx(expected)


@pytest.mark.parametrize("name", outputs.BOUNDED_OUTPUTS)
def test_targets_beyond_a_bound(name: str) -> None:
    """Of a fit that is perfect within the bounds, which standardised targets leave and smaller ones do not."""
    bound = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "clip": (-0.8, 0.8), "softplus": (0.0, np.inf)}[name]
    batch = drawn(windows(waves()))
    below, above = np.mean(batch.targets < bound[0] - 0.05), np.mean(batch.targets > bound[1] + 0.05)
    share, remark = unreachable_targets(np.clip(batch.targets, *bound), batch)
    assert share == pytest.approx(max(below, above)) and share > 0.05
    assert f"outputs end at {bound[0] if below > above else bound[1]:.3g}" in remark
    within = batch._replace(targets=0.4 * batch.targets)
    assert unreachable_targets(within.targets, within) == (0.0, "")


def test_one_class_for_all() -> None:
    targets = (RNG(0).random((20, 8)) < 0.05).astype(int)
    logits = np.eye(2)[np.zeros_like(targets)]
    share_B, remark = one_class(logits, Batch(targets, targets))
    assert (share_B == 1).all() and remark.startswith("class 0")
    assert one_class(np.eye(2)[targets], Batch(targets, targets))[0].mean() == pytest.approx(np.mean(targets == 0))


def test_what_an_objective_reads() -> None:
    ids, events = draw(windows(text_ids())), draw(data.event_windows)
    numbers, code = draw(windows(waves())), np.eye(symbols(), dtype=np.float32)

    def read(objective: Any, pair: Any, width: int) -> Any:
        return read_objective(lambda y, batch: objective(y, batch.targets), Batch(*pair), width)

    assert read(cross_entropy, ids, symbols()) == read(masked_cross_entropy, ids, symbols()) == "logits"
    assert read(outputs.likelihood_of_probabilities, ids, symbols()) == "probabilities"
    assert read(outputs.likelihood_of_logarithms, ids, symbols()) == "log_probabilities"
    assert read(binary_cross_entropy, events, 1) == "binary_logits"
    assert read(squared_error, events, 1) == read(squared_error, numbers, 1) == "numbers"
    assert read(squared_error, (numbers[0], code[ids[1]]), symbols()) == "numbers"
    assert read_objective(None, Batch(*numbers), 1) is None


def test_one_hot_arrays_are_codes() -> None:
    code = np.eye(4)[RNG(0).integers(0, 4, (6, 3))]
    assert is_one_hot(code) and not is_one_hot(2 * code) and not is_one_hot(np.eye(4)[np.zeros((6, 3), int)])
    assert not is_one_hot(np.where(code == 1, 1, 0.1)) and not is_one_hot(np.ones((6, 3, 1)))


# Programs


def test_the_operation_that_is_not_finite() -> None:
    negative = -jnp.ones((4, 2, 3))
    origin = find_origin(log_of_zero, negative, jnp.zeros((4, 2), int))
    assert origin is not None and origin.primitive in ("div", "log") and "programs.py" in origin.text
    assert find_origin(log_of_zero, -negative, jnp.zeros((4, 2), int)) is None


def test_the_operation_inside_a_loop() -> None:
    def scanned(x: Any) -> Any:
        return jax.lax.scan(lambda carry, one: (carry, jnp.log(one)), 0.0, x)[1]

    origin = find_origin(scanned, jnp.array([1.0, 2.0, -1.0]))
    assert origin is not None and origin.primitive == "log" and "test_abroad.py" in origin.place
    assert find_origin(scanned, jnp.array([1.0, 2.0])) is None


def test_the_arguments_of_a_loop_are_told_by_their_ranks() -> None:
    """One constant, two carries and one input that has rows; in a loop of 3 steps with arrays of 3."""
    fixed, x_TN = jnp.ones(3), jnp.ones((3, 3))

    def body(carry: Any, one: Any) -> Any:
        return (carry[0] + fixed * one, carry[1] + 1), one.sum()

    (loop,) = jax.make_jaxpr(lambda x: jax.lax.scan(body, (jnp.zeros(3), 0.0), x))(x_TN).jaxpr.eqns[-1:]
    assert loop.primitive.name == "scan" and len(loop.invars) == 4
    assert loop_sizes(loop) == (2, 1)


# End to end


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "batch_first_ids",
        "clamped_embedding",
        "last_output_of_window",
        "short_updates",
        "growing_gradient",
        "untrained",
        "restart",
        "no_leap",
    ],
)
def test_trained_networks(name: str) -> None:
    case = next(case for case in ABROAD if case.name == name)
    row = measure_case(case)
    assert row["right"], row["findings"]


def test_a_table_of_the_results() -> None:
    rows = [
        {
            "kind": "leap",
            "member": "restart",
            "expected": "leap",
            "findings": ["leap"],
            "faults": ["leap"],
            "right": True,
        },
        {"kind": "leap", "member": "none", "expected": "", "findings": ["jumps"], "faults": ["jumps"], "right": False},
    ]
    text = to_markdown([{**row, "seconds": 1.0} for row in rows])
    assert "1 of 2 right. 1 of 1 healthy neighbours with a false finding." in text
    assert "| leap | none | no fault | jumps |  | 1.0 |" in text
