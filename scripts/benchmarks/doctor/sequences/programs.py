"""Plain JAX programs that read padded or packed sequences, written as people write them, with one fault or none."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from benchmarks.doctor.planted_faults import select_input, select_observations
from benchmarks.doctor.sequences.cases import SequenceCase
from benchmarks.doctor.sequences.networks import (
    HIDDEN,
    STREAMS,
    Drawn,
    Network,
    a_step_late,
    always,
    by_value,
    draw_labels,
    draw_packed,
    draw_tags,
    flip_all,
    flip_valid,
    initial_params,
    last_for_all,
    masked,
    mean_over,
    never,
    normalised,
    resets,
    two_directions,
    unmasked,
)
from rnnjax.doctor.adapters import make_adapter
from rnnjax.doctor.batch import validate_batch
from rnnjax.doctor.diagnosis import Diagnosis
from rnnjax.doctor.examine import complete_input, diagnose
from rnnjax.doctor.inputs import ExaminationInput, observe

UPDATES = 150

Objective = Callable[[Array, Any, Any], Array]  # outputs, targets, segments


# Objectives


def losses(outputs: Array, targets: Any) -> Array:
    return optax.softmax_cross_entropy_with_integer_labels(outputs, jnp.asarray(targets))


def over_valid(outputs: Array, targets: Any, segments: Any) -> Array:
    """The mean over the steps of sequences."""
    return jnp.sum(losses(outputs, targets) * (segments > 0)) / jnp.sum(segments > 0)


def over_all(outputs: Array, targets: Any, segments: Any) -> Array:
    """The mean over all steps."""
    return losses(outputs, targets).mean()


def divided_by_all(outputs: Array, targets: Any, segments: Any) -> Array:
    """The sum over the steps of sequences, divided by the number of all steps."""
    return jnp.mean(losses(outputs, targets) * (segments > 0))


def at_end(outputs: Array, targets: Any, segments: Any) -> Array:
    """The label at the last step of each sequence."""
    steps = jnp.arange(len(outputs))[:, None]
    last = steps == jnp.max(jnp.where(segments > 0, steps, -1), axis=0)[None]
    return jnp.sum(losses(outputs, targets) * last) / jnp.sum(last)


def at_last_row(outputs: Array, targets: Any, segments: Any) -> Array:
    """The label at the last step of the window."""
    return losses(outputs[-1], jnp.asarray(targets)[-1]).mean()


# Examinations


class Program(NamedTuple):
    """A network, how it is trained, and how it is given to the doctor."""

    network: Network
    draw: Callable[[np.random.Generator], Drawn]
    train: Objective
    judged: Objective | None = None  # None: as trained
    mask: str = ""  # of the batch: float, int, bool; "" = none is given
    spans: str = "segments"  # or lengths, a mask of numbers
    closed: bool = False  # the network is given to the doctor without the segments
    updates: int = UPDATES
    width: int = HIDDEN
    layers: int = 1
    change: Callable[[Drawn, np.random.Generator], Drawn] = lambda drawn, rng: drawn  # of the batches


def examine_programs(program: Program, seeds: Sequence[int]) -> list[Diagnosis]:
    """The diagnosis of a network of each seed alone, all trained on one batch and examined with a held-out one."""
    rng = np.random.default_rng(seeds[0])
    drawn, held_out = (program.change(program.draw(rng), rng) for _ in range(2))
    networks = [initial_params(seed, program.width, program.layers) for seed in seeds]
    params = trained(program, jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks), drawn)
    judged = program.judged or program.train

    def without_segments(params: Any, carry: Any, inputs: Array) -> Any:
        return program.network(params, carry, inputs, jnp.ones(inputs.shape[:2], jnp.int32))

    network = without_segments if program.closed else program.network
    given = ExaminationInput(
        make_adapter(network, whole=True), params, validate_batch("batch", table(program, drawn)),
        jnp.zeros((len(seeds), STREAMS, HIDDEN)), lambda y, batch: judged(y, batch.objective_targets, drawn.segments),
        validate_batch("held_out", table(program, held_out)),
    )  # fmt: skip
    setup = complete_input(given, network)
    observations = observe(setup)
    return [diagnose(select_input(setup, r), select_observations(observations, r), None) for r in range(len(seeds))]


def table(program: Program, drawn: Drawn) -> dict[str, Any]:
    """The batch as its user has it."""
    found = {"inputs": drawn.inputs, "targets": drawn.targets}
    if program.mask:
        found["loss_mask"] = drawn.mask.astype(program.mask)
    if program.spans == "lengths":
        return found | {"lengths": (drawn.segments > 0).sum(axis=0)}
    return found | {"segments": drawn.segments.astype(float) if program.spans == "floats" else drawn.segments}


def trained(program: Program, params: Any, drawn: Drawn) -> Any:
    """R networks after some updates by Adam on one batch. Args: params: [R, ...]."""
    optimizer, carry = optax.adam(0.02), jnp.zeros((STREAMS, HIDDEN))

    def loss(params: Any) -> Array:
        outputs = program.network(params, carry, jnp.asarray(drawn.inputs), jnp.asarray(drawn.segments))[1]
        return program.train(outputs, drawn.targets, drawn.segments)

    def update(state: Any, _: None) -> Any:
        params, moments = state
        change, moments = optimizer.update(jax.grad(loss)(params), moments)
        return (optax.apply_updates(params, change), moments), None

    def train(params: Any) -> Any:
        return jax.lax.scan(update, (params, optimizer.init(params)), None, program.updates)[0][0]

    return jax.jit(jax.vmap(train))(params)


# Changes of batches


def with_empty(drawn: Drawn, rng: np.random.Generator) -> Drawn:
    """Two sequences without a step."""
    segments, mask = drawn.segments.copy(), drawn.mask.copy()
    segments[:, 3:5], mask[:, 3:5] = 0, 0
    return drawn._replace(segments=segments, mask=mask)


def with_empty_counted(drawn: Drawn, rng: np.random.Generator) -> Drawn:
    """The same, with a label at the first step."""
    changed = with_empty(drawn, rng)
    changed.mask[0, 3:5] = 1
    return changed


def with_other_labels(drawn: Drawn, rng: np.random.Generator) -> Drawn:
    return drawn._replace(targets=drawn.targets[:, rng.permutation(STREAMS)])


def left_labels(rng: np.random.Generator) -> Drawn:
    return draw_labels(rng, left=True)


def left_tags(rng: np.random.Generator) -> Drawn:
    return draw_tags(rng, left=True)


def case(kind: str, name: str, expected: str, *parts: Any, **options: Any) -> SequenceCase:
    return SequenceCase(kind, name, expected, partial(examine_programs, Program(*parts, **options)))


BACKWARD_READS_ALL = two_directions(flip_all, reset=False, read_all=True)
WIDE: dict[str, Any] = {"width": 2 * HIDDEN, "layers": 2}
DEEP: dict[str, Any] = {"layers": 2}
COUNTED, READ, LEAKS = "loss on padding", "padding is read", "rows of several sequences"
CASES = (
    case(COUNTED, "mean_of_all", "padding_counted", masked, draw_tags, over_all),
    case(COUNTED, "mean_of_all_despite_mask", "padding_counted", masked, draw_tags, over_all, mask="int32"),
    case(COUNTED, "mean_of_all_by_lengths", "padding_counted", unmasked, draw_tags, over_all, spans="lengths"),
    case(COUNTED, "mean_of_all_in_front", "padding_counted", masked, left_tags, over_all),
    case(COUNTED, "divided_by_all", "padding_counted", masked, draw_tags, divided_by_all, mask="float32"),
    case(COUNTED, "last_row", "padding_counted", unmasked, draw_labels, at_last_row, spans="lengths"),
    case(COUNTED, "tags_masked_by_floats", "", masked, draw_tags, over_valid, mask="float32", spans="floats"),
    case(COUNTED, "tags_masked_by_booleans", "", masked, draw_tags, over_valid, mask="bool", spans="lengths"),
    case(COUNTED, "tags_without_mask", "", unmasked, draw_tags, over_valid, spans="lengths"),
    case(COUNTED, "label_at_end", "", unmasked, draw_labels, at_end, mask="int32"),
    case(COUNTED, "label_at_end_without_mask", "", unmasked, draw_labels, at_end),
    case(COUNTED, "kept_to_last_row", "", masked, draw_labels, at_last_row),
    case(READ, "whole_window_flipped", "padding_read", BACKWARD_READS_ALL, draw_tags, over_valid, **WIDE),
    case(READ, "mean_over_window", "padding_read", mean_over(jnp.ones_like), draw_labels, at_end),
    case(READ, "padded_in_front", "padding_read", unmasked, left_labels, at_end),
    case(READ, "padded_in_front_closed", "padding_read", unmasked, left_labels, at_end, closed=True),
    case(READ, "answer_after_window", "padding_read", last_for_all, draw_labels, at_end, mask="float32"),
    case(READ, "normalised_over_window", "padding_read", normalised, draw_labels, at_end),
    case(READ, "each_sequence_flipped", "", two_directions(flip_valid), draw_tags, over_valid, **WIDE),
    case(READ, "mean_over_steps", "", mean_over(lambda segments: segments > 0), draw_labels, at_end),
    case(READ, "masked_in_front", "", masked, left_labels, at_end),
    case(READ, "known_by_value", "", by_value, draw_labels, at_end, closed=True),
    case(READ, "read_after_the_end", "", unmasked, draw_labels, at_end, closed=True, spans="lengths"),
    case(LEAKS, "no_reset", "state_leak", resets(never, never), draw_packed, over_valid, **DEEP),
    case(LEAKS, "one_layer_of_two", "state_leak", resets(always, never), draw_packed, over_valid, **DEEP),
    case(LEAKS, "a_step_late", "state_leak", resets(a_step_late, a_step_late), draw_packed, over_valid, **DEEP),
    case(LEAKS, "forward_only", "state_leak", two_directions(flip_all, False), draw_packed, over_valid, **WIDE),
    case(LEAKS, "both_layers", "", resets(always, always), draw_packed, over_valid, **DEEP),
    case(LEAKS, "both_directions", "", two_directions(flip_all), draw_packed, over_valid, **WIDE),
    case(
        "empty streams", "counted", "empty_sequences", unmasked, draw_labels, at_end, mask="float32",
        change=with_empty_counted,
    ),
    case("empty streams", "not_counted", "", masked, draw_labels, at_end, mask="float32", change=with_empty),
    case("labels of a batch", "shuffled", "shuffled_labels", masked, draw_labels, at_end, change=with_other_labels),
    case("labels of a batch", "their_own", "", masked, draw_labels, at_end),
)  # fmt: skip
