"""Which sequence each step of a batch belongs to: padding, and several sequences in one row.

Segments [T, B] are numbers: 0 at padding, and another number for each sequence of a row, in any order. Sequence 1 goes
on from the carry before the batch where a row begins with it.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import BadInput


def read_segments(name: str, lengths: Any, segments: Any, shape: tuple[int, int]) -> np.ndarray | None:
    """The segments int32 [T, B] of lengths [B], or of a mask or numbers [T, B]; None of neither. Raises BadInput."""
    if lengths is not None and segments is not None:
        raise BadInput(f"{name}: got lengths and segments; expected one of them")
    if lengths is not None:
        return segments_of_lengths(name, whole_numbers(f"{name}: lengths", lengths), shape)
    if segments is None:
        return None
    numbers = whole_numbers(f"{name}: segments", segments)
    if numbers.shape != shape:
        raise BadInput(f"{name}: got segments of shape {numbers.shape}; expected {shape}, 0 at padding")
    if numbers.min() < 0 or not numbers.any():
        raise BadInput(f"{name}: got segments {numbers.min()} to {numbers.max()}; expected 0 at padding, else 1, 2 ...")
    return np.asarray(numbers, np.int32)


def whole_numbers(what: str, values: Any) -> np.ndarray:
    """An array of booleans or whole numbers as integers. Raises BadInput."""
    try:
        array = np.asarray(values)
        numbers = array.astype(np.int64)
        valid = bool(np.isfinite(array).all() and (numbers == array).all())
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise BadInput(f"{what}: got values that are no whole numbers; expected integers, or a mask of 0 and 1")
    return numbers


def segments_of_lengths(name: str, lengths_B: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """1 at the first steps of each stream, as many as its length, then 0."""
    steps, streams = shape
    if lengths_B.shape != (streams,):
        raise BadInput(f"{name}: got lengths of shape {lengths_B.shape}; expected ({streams},), one for each stream")
    if lengths_B.min() < 0 or lengths_B.max() > steps:
        raise BadInput(f"{name}: got lengths {lengths_B.min()} to {lengths_B.max()}; expected 0 to {steps}, the steps")
    return (np.arange(steps)[:, None] < lengths_B[None]).astype(np.int32)


def valid_steps(segments_TB: Any, shape: tuple[int, int]) -> np.ndarray:
    """True [T, B] at the steps of sequences; everywhere without segments."""
    return np.ones(shape, bool) if segments_TB is None else np.asarray(segments_TB) > 0


def continued_steps(segments_TB: Any, shape: tuple[int, int]) -> np.ndarray:
    """True [T - 1, B] where a step and the next one belong to one sequence."""
    if segments_TB is None:
        return np.ones((shape[0] - 1, shape[1]), bool)
    numbers = np.asarray(segments_TB)
    return np.asarray((numbers[1:] == numbers[:-1]) & (numbers[1:] > 0))


def first_steps(segments_TB: Array) -> Array:
    """True [T, B] at the first step of each sequence but of one numbered 1 that a row begins with."""
    before_TB = jnp.concatenate([jnp.ones_like(segments_TB[:1]), segments_TB[:-1]])
    return (segments_TB > 0) & (segments_TB != before_TB)


def sequence_orders(segments_TB: Any) -> np.ndarray:
    """The place [T, B] of the sequence of each step in its row: 1, 2, ...; 0 at padding."""
    numbers = np.asarray(segments_TB)
    before = np.concatenate([np.zeros_like(numbers[:1]), numbers[:-1]])
    return np.asarray(np.cumsum((numbers > 0) & (numbers != before), axis=0) * (numbers > 0))


def is_packed(segments_TB: Any) -> bool:
    """Whether a row holds several sequences."""
    return segments_TB is not None and int(sequence_orders(segments_TB).max()) > 1


def begins_with_padding(segments_TB: Any) -> bool:
    """Whether a row that holds a sequence begins with padding."""
    if segments_TB is None:
        return False
    valid_TB = np.asarray(segments_TB) > 0
    return bool((~valid_TB[0] & valid_TB.any(axis=0)).any())


def has_padding(segments_TB: Any) -> bool:
    """Whether a step belongs to no sequence."""
    return segments_TB is not None and not bool(np.all(np.asarray(segments_TB) > 0))
