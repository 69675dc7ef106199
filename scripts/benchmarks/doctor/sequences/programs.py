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
from rnnjax.doctor.adapters import make_adapter
from rnnjax.doctor.batch import validate_batch
from rnnjax.doctor.diagnosis import Diagnosis
from rnnjax.doctor.examine import complete_input, diagnose
from rnnjax.doctor.inputs import ExaminationInput, observe

STREAMS, STEPS, SHORTEST = 128, 20, 6
HIDDEN, COLUMNS, CLASSES = 12, 2, 2
UPDATES = 150

Network = Callable[[Any, Any, Array, Array], tuple[Any, Array]]  # params, carry, inputs, segments -> carry, outputs
Objective = Callable[[Array, Any, Any], Array]  # outputs, targets, segments


class Drawn(NamedTuple):
    """One batch."""

    inputs: np.ndarray  # [T, B, D]
    targets: np.ndarray  # int32 [T, B]
    segments: np.ndarray  # int32 [T, B]
    mask: np.ndarray  # float32 [T, B]


# Data


def draw_labels(rng: np.random.Generator, left: bool = False, fill: float = 0.0) -> Drawn:
    """Waves of two frequencies; the label stands at every step and counts at the last one. Args: left: pad in front."""
    labels_B, lengths_B = rng.integers(CLASSES, size=STREAMS), rng.integers(SHORTEST, STEPS + 1, STREAMS)
    lengths_B[0] = STEPS
    steps_T1 = np.arange(STEPS)[:, None]
    first_B = STEPS - lengths_B if left else np.zeros(STREAMS, int)
    valid_TB = (steps_T1 >= first_B) & (steps_T1 < first_B + lengths_B)
    angle = (0.5 + 0.8 * labels_B) * steps_T1 + rng.uniform(0, 6, STREAMS)
    waves = np.stack([np.sin(angle), np.cos(angle)], axis=-1) + 0.2 * rng.normal(size=(STEPS, STREAMS, COLUMNS))
    inputs = np.where(valid_TB[..., None], waves, fill).astype(np.float32)
    mask_TB = (steps_T1 == first_B + lengths_B - 1).astype(np.float32)
    return Drawn(inputs, np.broadcast_to(labels_B, valid_TB.shape).astype(np.int32), valid_TB.astype(np.int32), mask_TB)


def draw_tags(rng: np.random.Generator, left: bool = False) -> Drawn:
    """Whether this input and the one before are above 0 together; 0 at padding."""
    drawn = draw_labels(rng, left)
    noise = rng.normal(size=drawn.inputs.shape).astype(np.float32) * drawn.segments[..., None]
    tags_TB = (noise[..., 0] + np.roll(noise[..., 0], 1, axis=0) > 0.2) * drawn.segments
    return drawn._replace(inputs=noise, targets=tags_TB.astype(np.int32), mask=drawn.segments.astype(np.float32))


def draw_packed(rng: np.random.Generator) -> Drawn:
    """Rows of three tagged sequences of different lengths."""
    noise = rng.normal(size=(STEPS, STREAMS, COLUMNS)).astype(np.float32)
    cuts = np.sort(rng.permuted(np.tile(np.arange(3, STEPS - 3), (STREAMS, 1)), axis=1)[:, :2], axis=1)
    segments_TB = 1 + (np.arange(STEPS)[:, None, None] >= cuts[None]).sum(axis=-1)
    before = np.concatenate([np.zeros_like(noise[:1, :, 0]), noise[:-1, :, 0]])
    same = np.concatenate([np.zeros((1, STREAMS), bool), segments_TB[1:] == segments_TB[:-1]])
    tags_TB = (noise[..., 0] + before * same > 0.2).astype(np.int32)
    return Drawn(noise, tags_TB, segments_TB.astype(np.int32), np.ones((STEPS, STREAMS), np.float32))


# Networks


def initial_params(seed: int, width: int, layers: int) -> Any:
    """Of a cell and a readout. Args: layers: 2 = a second cell, of the other direction where the readout is wide."""
    keys = jax.random.split(jax.random.key(seed), 5)

    def cell(first: Array, second: Array, inputs: int) -> Any:
        kernel = jax.random.normal(first, (inputs, HIDDEN)) / np.sqrt(inputs)
        return {
            "kernel": kernel,
            "recurrent": 0.9 * jax.random.orthogonal(second, HIDDEN),
            "bias": jnp.zeros(HIDDEN) + 0.1,
        }

    readout = jax.random.normal(keys[4], (width, CLASSES)) / np.sqrt(width)
    second_inputs = COLUMNS if width == 2 * HIDDEN else HIDDEN
    second = {"second": cell(keys[2], keys[3], second_inputs)} if layers == 2 else {}
    return {"first": cell(keys[0], keys[1], COLUMNS), "readout": readout} | second


def scan_cell(cell: Any, carry: Array, inputs: Array, keep: Array, reset: Array | None = None) -> tuple[Array, Array]:
    """h' = tanh(W x + V h + b). Args: keep: 1 at the steps that are read. reset: 1 where h is put back to 0."""

    def step(h: Array, at: Any) -> tuple[Array, Array]:
        x, keep_B, reset_B = at
        h = h * (1 - reset_B[:, None])
        new = jnp.tanh(x @ cell["kernel"] + h @ cell["recurrent"] + cell["bias"][None])
        h = jnp.where(keep_B[:, None] > 0, new, h)
        return h, h

    return jax.lax.scan(step, carry, (inputs, keep, jnp.zeros_like(keep) if reset is None else reset))


def starts(segments: Array) -> Array:
    """1 at the first step of each sequence."""
    before = jnp.concatenate([jnp.zeros_like(segments[:1]), segments[:-1]])
    return ((segments > 0) & (segments != before)).astype(jnp.float32)


def masked(params: Any, carry: Any, inputs: Array, segments: Array) -> tuple[Any, Array]:
    """The state is kept at padding."""
    carry, h_TBH = scan_cell(params["first"], carry, inputs, segments > 0)
    return carry, h_TBH @ params["readout"]


def unmasked(params: Any, carry: Any, inputs: Array, segments: Array) -> tuple[Any, Array]:
    """Padding is read."""
    return masked(params, carry, inputs, jnp.ones_like(segments))


def by_value(params: Any, carry: Any, inputs: Array, segments: Array) -> tuple[Any, Array]:
    """Padding is known by its value, 0 in all columns."""
    return masked(params, carry, inputs, jnp.any(inputs != 0, axis=-1).astype(jnp.int32))


def last_for_all(params: Any, carry: Any, inputs: Array, segments: Array) -> tuple[Any, Array]:
    """One answer to a sequence, from the state after the window, at every step."""
    carry, _ = unmasked(params, carry, inputs, segments)
    return carry, jnp.broadcast_to(carry @ params["readout"], (*inputs.shape[:2], CLASSES))


def mean_over(valid: Callable[[Array], Array]) -> Network:
    """The mean of the outputs over steps as the answer."""

    def apply(params: Any, carry: Any, inputs: Array, segments: Array) -> tuple[Any, Array]:
        carry, outputs = masked(params, carry, inputs, segments)
        weight = valid(segments)[..., None]
        mean_BO = jnp.sum(outputs * weight, axis=0) / jnp.sum(weight, axis=0)
        return carry, jnp.broadcast_to(mean_BO, outputs.shape)

    return apply


def normalised(params: Any, carry: Any, inputs: Array, segments: Array) -> tuple[Any, Array]:
    """Inputs are brought to mean 0 over all steps of the window."""
    return masked(params, carry, inputs - inputs.mean(axis=0, keepdims=True), segments)


def two_directions(flip: Callable[[Array, Array], Array], reset: bool = True, read_all: bool = False) -> Network:
    """Outputs of both directions side by side.

    Args: reset: the backward state is put back too. read_all: the backward direction reads padding.
    """

    def apply(params: Any, carry: Any, inputs: Array, segments: Array) -> tuple[Any, Array]:
        keep = segments > 0
        _, forward = scan_cell(params["first"], carry, inputs, keep, starts(segments))
        turned = flip(segments, segments)
        own = jnp.ones_like(keep) if read_all else flip(keep, segments)
        back = scan_cell(params["second"], carry, flip(inputs, segments), own, starts(turned) * reset)
        return carry, jnp.concatenate([forward, flip(back[1], segments)], axis=-1) @ params["readout"]

    return apply


def flip_all(values: Array, segments: Array) -> Array:
    return values[::-1]


def flip_valid(values: Array, segments: Array) -> Array:
    """Each sequence backwards in its place."""
    steps, length = jnp.arange(len(values))[:, None], jnp.sum(segments > 0, axis=0)[None]
    return values[jnp.where(steps < length, length - 1 - steps, steps), jnp.arange(values.shape[1])[None]]


def resets(first: Callable[[Array], Array], second: Callable[[Array], Array]) -> Network:
    """Two layers. Args: where the state of each is put back, of the starts of sequences."""

    def apply(params: Any, carry: Any, inputs: Array, segments: Array) -> tuple[Any, Array]:
        keep, at = segments > 0, starts(segments)
        _, h_TBH = scan_cell(params["first"], carry, inputs, keep, first(at))
        _, h_TBH = scan_cell(params["second"], carry, h_TBH, keep, second(at))
        return carry, h_TBH @ params["readout"]

    return apply


def never(at: Array) -> Array:
    return jnp.zeros_like(at)


def always(at: Array) -> Array:
    return at


def a_step_late(at: Array) -> Array:
    return jnp.concatenate([at[:1], at[:-1]])


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
