"""Each sequence of numbers by its own mean and deviation, for sets whose members differ in level and size.

Where the next row is predicted, only what is known when forecasting begins counts: the first `known_steps` rows. Their
targets count in no loss.
"""

import numpy as np

from rnnjax.settings import TaskSpec
from rnnjax.tasks.sequences.raw import RawSequences, bad
from rnnjax.types import SequenceSet


def is_scaled_alone(settings: TaskSpec, raw: RawSequences) -> bool:
    """Whether each sequence has its own scale. Raises: BadInput for one without rows behind the known ones."""
    if settings.standardise != "each" or raw.is_text:
        return False
    needed = settings.known_steps + 1
    for place, steps in zip(raw.places, raw.steps, strict=True):
        if settings.predict == "next" and len(steps) < needed:
            raise bad(place, f"{len(steps)} steps", f"at least {needed}, as task.known_steps = {settings.known_steps}")
    return True


def scale_alone(settings: TaskSpec, train: SequenceSet, held_out: SequenceSet) -> tuple[SequenceSet, SequenceSet]:
    """Both parts with x' = (x - m) / s, m and s of each sequence and column; of next rows the targets too.

    A column that does not vary in the known part of a sequence has the deviation of the training part, or 1.
    """
    spread_D = train.inputs_R.std(axis=0)
    spread_D = np.where(spread_D > 0, spread_D, 1.0)
    first, second = (scaled(settings, part, spread_D) for part in (train, held_out))
    return first, second


def scaled(settings: TaskSpec, part: SequenceSet, spread_D: np.ndarray) -> SequenceSet:
    """One part. Args: spread_D: the deviation of a column that does not vary."""
    following = settings.predict == "next"
    cut = np.split(part.inputs_R, part.offsets_N[1:-1])
    known = [rows_TD[: settings.known_steps] if following else rows_TD for rows_TD in cut]
    mean_ND, own_ND = (np.array([measure(rows_TD, axis=0) for rows_TD in known]) for measure in (np.mean, np.std))
    scale_ND = np.where(own_ND > 0, own_ND, spread_D)
    part = part._replace(mean_ND=mean_ND, scale_ND=scale_ND)
    mean_RD, scale_RD = moments_of_rows(part)
    inputs_R = ((part.inputs_R - mean_RD) / scale_RD).astype(np.float32)
    if not following:
        return part._replace(inputs_R=inputs_R)
    place_R = np.arange(len(inputs_R)) - np.repeat(part.offsets_N[:-1], part.lengths)
    mask_R = part.loss_mask_R * (place_R >= settings.known_steps - 1)  # at step t row t + 1 is predicted
    targets_R = ((part.targets_R - mean_RD) / scale_RD).astype(np.float32)
    return part._replace(inputs_R=inputs_R, targets_R=targets_R, loss_mask_R=mask_R.astype(np.float32))


def moments_of_rows(part: SequenceSet) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the deviation of the sequence of each row, [R, D]."""
    assert part.mean_ND is not None and part.scale_ND is not None
    return np.repeat(part.mean_ND, part.lengths, axis=0), np.repeat(part.scale_ND, part.lengths, axis=0)
