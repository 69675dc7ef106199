"""Padded and packed batches, and small networks in plain JAX that read them, right or wrong."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

STREAMS, STEPS, SHORTEST = 128, 20, 6
HIDDEN, COLUMNS, CLASSES = 12, 2, 2

Network = Callable[[Any, Any, Array, Array], tuple[Any, Array]]  # params, carry, inputs, segments -> carry, outputs


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
