"""Sets of sequences: their segments, what their data give away, and what padding and packed rows change."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.doctor.sequences import data
from benchmarks.doctor.sequences.data import Maker
from rnnjax.doctor.adapters import from_apply
from rnnjax.doctor.batch import Batch, validate_batch
from rnnjax.doctor.forms import empty_streams, with_counted_steps, with_valid_steps
from rnnjax.doctor.indicators.layout import counted_padding, divided_by_padding
from rnnjax.doctor.indicators.outputs import held_out_indicators
from rnnjax.doctor.padding import measure_packing, measure_padding
from rnnjax.doctor.segments import first_steps, read_segments, sequence_orders
from rnnjax.doctor.sequences.data import SequenceData, batch_sequences, from_parts, predicted_kind
from rnnjax.doctor.sequences.duplicates import find_overlap
from rnnjax.doctor.sequences.label_fit import NetworkPredictions, label_fit, network_test, smoother
from rnnjax.doctor.sequences.lengths import length_leak
from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.sequences.arrays import raw_from_lists
from rnnjax.tasks.sequences.task import sequences_task

RNG = np.random.default_rng
PACKED = np.array([[1, 1, 0], [1, 2, 0], [2, 2, 4], [2, 3, 4], [0, 3, 5]])  # [T, B]


def made(maker: Maker, seed: int = 0, **task: Any) -> SequenceData:
    sequences = maker(RNG(seed))
    settings = TaskSpec(name="sequences", path="made.jsonl", validation=0.25, **task)
    parts = sequences_task(settings, raw_from_lists(sequences.x, sequences.y or None)).sequences
    assert parts is not None
    return from_parts(parts)


# Segments


def test_segments_of_lengths_of_a_mask_and_of_numbers() -> None:
    expected = [[1, 1], [1, 0], [1, 0], [0, 0]]
    for given in ({"lengths": [3, 1]}, {"segments": np.array(expected, bool)}, {"segments": np.array(expected, float)}):
        segments = read_segments("batch", given.get("lengths"), given.get("segments"), (4, 2))
        assert segments is not None and segments.dtype == np.int32 and segments.tolist() == expected
    assert read_segments("batch", None, None, (4, 2)) is None


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"lengths": [5, 1]}, r"batch: got lengths 1 to 5; expected 0 to 4"),
        ({"lengths": [-1, 1]}, r"batch: got lengths -1 to 1"),
        ({"lengths": [1]}, r"batch: got lengths of shape \(1,\); expected \(2,\)"),
        ({"lengths": [1.5, 2]}, "batch: lengths: got values that are no whole numbers"),
        ({"lengths": ["a", "b"]}, "batch: lengths: got values that are no whole numbers"),
        ({"segments": np.zeros((4, 2))}, "batch: got segments 0 to 0"),
        ({"segments": np.ones((2, 4))}, r"batch: got segments of shape \(2, 4\); expected \(4, 2\)"),
        ({"segments": -np.ones((4, 2))}, "batch: got segments -1 to -1"),
        ({"lengths": [1, 2], "segments": np.ones((4, 2))}, "batch: got lengths and segments"),
        ({"length": [1, 2]}, "batch: got 'length'; expected 'inputs', 'targets' and any of"),
    ],
)
def test_bad_spans_are_refused(parts: dict[str, Any], message: str) -> None:
    table = {"inputs": np.zeros((4, 2, 1)), "targets": np.zeros((4, 2, 1)), **parts}
    with pytest.raises(BadInput, match=message):
        validate_batch("batch", table)


def test_the_first_steps_and_the_places_of_sequences() -> None:
    first, order = np.zeros(PACKED.shape, bool), np.zeros(PACKED.shape, int)
    for b in range(PACKED.shape[1]):
        before, place = 1, 0
        for t, number in enumerate(PACKED[:, b]):
            first[t, b] = number > 0 and number != before
            place += number > 0 and (t == 0 or number != PACKED[t - 1, b])
            order[t, b] = place if number else 0
            before = number
    assert np.array_equal(first_steps(jnp.asarray(PACKED)), first)
    assert np.array_equal(sequence_orders(PACKED), order)


def test_the_sequences_of_a_batch() -> None:
    inputs = np.arange(15).reshape(5, 3)
    found = batch_sequences(Batch(inputs, inputs, segments_TB=PACKED))
    expected = [[0, 3], [6, 9], [1], [4, 7], [10, 13], [8, 11], [14]]
    assert [part.tolist() for part in np.split(found.inputs_R, found.offsets_N[1:-1])] == expected


def test_what_a_batch_asks_for() -> None:
    ids = RNG(0).integers(0, 5, (6, 4))
    segments = np.ones((6, 4), int)
    label = np.broadcast_to(ids[0], ids.shape)
    assert predicted_kind(Batch(ids[:-1], ids[1:], segments_TB=segments[1:])) == "next"
    assert predicted_kind(Batch(ids, ids[::-1], segments_TB=segments)) == "tags"
    assert predicted_kind(Batch(ids, label, segments_TB=segments)) == "label"
    assert predicted_kind(Batch(ids, label[..., None] / 2, segments_TB=segments)) == "values"


# Data


def test_a_smoother_is_the_regression_of_each_fold_on_the_others() -> None:
    x, y, fold_N = RNG(0).normal(size=(12, 3)), RNG(1).normal(size=12), np.arange(12) % 3
    predicted = smoother(x @ x.T, fold_N, 0.1) @ y
    penalty = 0.1 * np.mean([np.diag((x @ x.T)[np.ix_(fold_N != f, fold_N != f)]).mean() for f in range(3)])
    for fold in range(3):
        own, other = fold_N == fold, fold_N != fold
        penalty = 0.1 * np.mean(np.sum(x[other] ** 2, axis=1)) + 1e-9
        weights = np.linalg.solve(
            x[other].T @ x[other] + penalty * np.eye(3), x[other].T @ (y[other] - y[other].mean())
        )
        np.testing.assert_allclose(predicted[own], x[own] @ weights + y[other].mean(), atol=1e-9)


@pytest.mark.parametrize(
    ("maker", "task"),
    [
        (data.waves, {}), (data.sentences, {}), (data.valued, {"predict": "values"}),
        (data.tagged, {"predict": "tags"}),
    ],
    ids=["labels", "texts", "values", "tags"],
)  # fmt: skip
def test_labels_fit_their_own_sequences_alone(maker: Maker, task: dict[str, Any]) -> None:
    fit, shuffled = label_fit(made(maker, **task), None), label_fit(made(data.shuffled(maker), 1, **task), None)
    assert fit is not None and fit.probability < 0.02 and fit.saved > 0.05
    assert shuffled is not None and shuffled.probability > 0.05 and shuffled.saved == 0


def test_a_network_that_knows_the_held_out_labels_shows_that_they_fit() -> None:
    held_out = made(data.waves).held_out
    assert held_out is not None
    right = np.eye(3)[held_out.targets_R][None]
    knowing, guessing = (network_test(NetworkPredictions(held_out, logits), "label") for logits in (right, 0 * right))
    assert knowing is not None and knowing[0] == 0.002 and guessing is not None and guessing[0] == 1


@pytest.mark.parametrize(
    ("maker", "task", "leaks"),
    [
        (data.by_length(data.waves), {}, True), (data.value_by_length, {"predict": "values"}, True),
        (data.filled_by_class, {}, True), (data.waves, {}, False), (data.somewhat_longer, {}, False),
        (data.rare_class, {}, False), (data.valued, {"predict": "values"}, False),
    ],
)  # fmt: skip
def test_lengths_that_give_the_label(maker: Maker, task: dict[str, Any], leaks: bool) -> None:
    found = length_leak(made(maker, **task))
    assert found is not None and (found.share > 0.4) == leaks


@pytest.mark.parametrize(
    ("maker", "task", "share"),
    [
        (data.copied(data.waves), {}, 0.3), (data.copied(data.waves, data.noisy), {}, 0.3),
        (data.copied(data.waves, data.rounded), {}, 0.3), (data.copied(data.waves, data.cut), {}, 0.3),
        (data.copied(data.sentences), {}, 0.3), (data.copied(data.sentences, data.mistyped), {}, 0.3),
        (data.copied(data.recordings), {"predict": "next"}, 0.3),
        (data.overlapping, {}, 0.9), (data.waves, {}, 0), (data.sentences, {}, 0), (data.few_words, {}, 0),
        (data.still_ones, {}, 0), (data.smooth_family, {}, 0), (data.recordings, {"predict": "next"}, 0),
    ],
)  # fmt: skip
def test_copies_in_both_parts(maker: Maker, task: dict[str, Any], share: float) -> None:
    found = find_overlap(made(maker, 3, **task))
    assert found is not None and found.share == pytest.approx(share, abs=0.15 if share else 0)


# Networks: y_t is a sum of inputs

SHAPE = (5, 3)
PADDED = np.array([[1, 1, 1], [1, 1, 1], [1, 0, 1], [1, 0, 1], [1, 0, 0]])


def sums(valid: Callable[[Any, Any], Any], restart: bool = False) -> Callable[..., Any]:
    """y_t = the sum of the inputs so far that are valid. Args: restart: since the first step of the sequence."""

    def apply(params: Any, carry: Any, inputs: Any, segments: Any) -> Any:
        starts = first_steps(segments) & restart

        def step(total: Any, at: Any) -> Any:
            x, valid_B, start_B = at
            total = jnp.where(start_B[:, None], 0, total) + params * x * valid_B[:, None]
            return total, total

        return jax.lax.scan(step, carry, (inputs, valid(inputs, segments), starts))

    return apply


def numbers(segments: np.ndarray) -> Batch:
    inputs = RNG(2).normal(size=(*segments.shape, 1)) * (segments > 0)[..., None]
    return Batch(inputs, inputs, (segments > 0).astype(float), segments_TB=segments)


def padding_of(network: Any, batch: Batch) -> dict[str, float]:
    values = measure_padding(from_apply(network, whole=True), batch, jnp.ones(1), jnp.zeros((1, SHAPE[1], 1)))
    return {name: float(value[0]) for name, value in values.items()}


def test_padding_that_is_read_changes_outputs() -> None:
    in_front, masked = numbers(PADDED[::-1]), sums(lambda x, segments: segments > 0)
    read = padding_of(sums(lambda x, segments: jnp.ones_like(segments)), in_front)
    assert read["padding_read"] > 0.1 and read["padding_added"] == 0, "zeros add nothing"
    assert padding_of(masked, in_front) == {"state_read": 0, "padding_added": 0, "padding_read": 0}
    after = padding_of(sums(lambda x, segments: jnp.ones_like(segments)), numbers(PADDED))
    assert after["padding_read"] == 0 < after["state_read"], "it is read after the sequence"
    assert measure_padding(from_apply(masked, True), numbers(np.ones(SHAPE, int)), jnp.ones(1), None) == {}


def test_a_network_that_knows_padding_by_its_value_is_given_more_of_it() -> None:
    def by_value(params: Any, carry: Any, inputs: Any) -> Any:
        mean = jnp.sum(inputs, axis=0) / jnp.sum(inputs != 0, axis=0)
        return carry, jnp.broadcast_to(mean, inputs.shape)

    def over_all(params: Any, carry: Any, inputs: Any) -> Any:
        return carry, jnp.broadcast_to(jnp.mean(inputs, axis=0), inputs.shape)

    assert padding_of(by_value, numbers(PADDED)) == {"state_read": 0, "padding_added": 0}
    assert padding_of(over_all, numbers(PADDED))["padding_added"] > 0.1


def test_a_packed_row_leaks_without_a_reset() -> None:
    found = []
    for restart in (True, False):
        network = from_apply(sums(lambda x, segments: segments > 0, restart), whole=True)
        values = measure_packing(network, numbers(PACKED), jnp.ones(1), jnp.zeros((1, 3, 1)))
        found.append(float(values["other_sequence"][0]))
    assert found[0] == 0 and found[1] > 0.1
    assert measure_packing(network, numbers(PADDED), jnp.ones(1), jnp.zeros((1, 3, 1))) == {}


# The loss


def test_a_kept_output_may_be_read_after_the_end() -> None:
    """The last row of a batch stands for the last step of each sequence where the network keeps its output."""
    batch, coverage = numbers(PADDED), np.zeros((1, *SHAPE))
    coverage[:, -1] = 1
    kept = np.cumsum(np.asarray(batch.inputs), axis=0)[None]
    assert counted_padding(coverage, batch, False, kept) == 0
    other = kept + np.arange(5)[:, None, None]
    assert counted_padding(coverage, batch, False, other) == pytest.approx(2 / 3)


def test_a_sum_over_the_number_of_all_steps() -> None:
    batch = numbers(PADDED)
    outputs = np.zeros((1, *SHAPE, 1))
    total = float(np.sum(np.asarray(batch.inputs) ** 2))
    for count, expected in ((15, 1 - 11 / 15), (11, 0)):
        values = {"outputs": outputs, "objective": np.array([total / count])}
        assert divided_by_padding(values, batch) == pytest.approx(expected)


def test_streams_without_a_step_are_empty_where_their_loss_counts() -> None:
    segments = PADDED * np.array([1, 0, 1])
    batch = numbers(segments)._replace(loss_mask_TB=None)
    assert empty_streams(batch, None, 1).tolist() == [False, True, False]
    assert not empty_streams(batch._replace(loss_mask_TB=segments), None, 1).any()

    def masked(outputs: Any, _: Any) -> Any:
        return jnp.sum(outputs[..., 0] ** 2 * segments)

    assert not empty_streams(batch, masked, 1).any()
    assert empty_streams(batch, lambda outputs, _: jnp.sum(outputs**2), 1).tolist() == [False, True, False]


def test_the_steps_that_count_are_those_of_sequences() -> None:
    labels = np.broadcast_to(np.array([0, 1, 1]), SHAPE)
    batch = numbers(PADDED)._replace(targets=labels, loss_mask_TB=None)
    assert np.array_equal(with_valid_steps(batch).loss_mask_TB, PADDED)
    read_last = with_counted_steps(batch, lambda outputs, _: jnp.sum(outputs[-1] ** 2), 2)
    assert with_valid_steps(read_last).loss_mask_TB.sum(axis=1).tolist() == [0, 0, 0, 0, 3]
    given = with_valid_steps(batch._replace(loss_mask_TB=np.ones(SHAPE)))
    assert np.array_equal(given.loss_mask_TB, PADDED)


def test_a_few_sure_mistakes_are_no_gap() -> None:
    """Each loss of a label counts as twice log 2 at most; that of a tag as it is."""
    labels, last = np.tile([0, 1], (5, 20)), np.arange(5)[:, None] == 4
    held_out = Batch(labels, labels, np.broadcast_to(last, labels.shape), segments_TB=np.ones_like(labels))
    values = {"loss": np.zeros((1, 40)), "held_out_loss": np.where(np.arange(40) < 3, 9.0, 0.0)[None]}
    gaps = {
        name: held_out_indicators(values, np.log(2), batch)["gap"].values_n.mean()
        for name, batch in (("label", held_out), ("tags", held_out._replace(loss_mask_TB=np.ones(labels.shape))))
    }
    assert gaps["label"] == pytest.approx(3 * 2 / 40) and gaps["tags"] == pytest.approx(3 * 9 / 40 / np.log(2))
