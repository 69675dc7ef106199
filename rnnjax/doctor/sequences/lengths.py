"""Whether the length of a sequence alone gives its label or value."""

from typing import NamedTuple

import numpy as np

from rnnjax.doctor.batch import is_ids
from rnnjax.doctor.sequences.data import SequenceData, one_target, spread_out
from rnnjax.doctor.sequences.label_fit import code_targets, random_folds
from rnnjax.types import SequenceSet

MIN_SEQUENCES, MOST_SEQUENCES = 30, 2_000
MOST_NEIGHBOURS = 10
MOST_ELSEWHERE = 0.02  # of the other rows may equal the one that fills up sequences
MIN_DIFFERENT = 10  # other rows: with fewer, a constant end may be a content


class LengthLeak(NamedTuple):
    """The share of the label's loss that a length explains."""

    share: float  # of the cross-entropy of the class shares, or of the variance
    remark: str


def length_leak(data: SequenceData) -> LengthLeak | None:
    """The length that explains most of the label: of the sequence, or without the value that it is filled up with.

    None with too few sequences, or without one target of each.
    """
    if data.predict not in ("label", "values") or data.train.size < MIN_SEQUENCES:
        return None
    sequences = spread_out(data.train, MOST_SEQUENCES)
    targets_NC = code_targets(one_target(sequences))
    lengths = {"length": sequences.lengths} | filled_lengths(sequences)
    ids = is_ids(sequences.targets_R)
    found = {name: saved_share(values_N, targets_NC, ids) for name, values_N in lengths.items()}
    name = max(found, key=lambda each: found[each])
    return LengthLeak(max(0.0, found[name]), describe(name, lengths[name], targets_NC, ids))


def describe(name: str, lengths_N: np.ndarray, targets_NC: np.ndarray, ids: bool) -> str:
    """The mean length of some classes."""
    if not ids:
        return f"{name} {lengths_N.min()} to {lengths_N.max()}"
    means = [float(lengths_N[column == 1].mean()) for column in targets_NC.T if column.any()]
    return f"mean {name} of the classes {min(means):.3g} to {max(means):.3g}"


def saved_share(lengths_N: np.ndarray, targets_NC: np.ndarray, ids: bool) -> float:
    """1 - loss / that of the mean target, of predictions by the sequences of nearest length in other folds."""
    if not np.ptp(lengths_N):
        return 0.0
    fold_N, predicted_NC, mean_NC = random_folds(len(lengths_N)), np.zeros_like(targets_NC), np.zeros_like(targets_NC)
    smallest = int(targets_NC.sum(axis=0).min()) if ids else len(lengths_N)
    count = int(np.clip(smallest // 2, 2, MOST_NEIGHBOURS))
    for fold in np.unique(fold_N):
        own, other = fold_N == fold, fold_N != fold
        apart = np.abs(lengths_N[own][:, None] - lengths_N[other][None])
        near = apart <= np.sort(apart, axis=1)[:, [min(count, apart.shape[1]) - 1]]
        mean_NC[own] = targets_NC[other].mean(axis=0)
        weight = 0.5 * mean_NC[own] if ids else 0.0
        predicted_NC[own] = (near @ targets_NC[other] + weight) / (near.sum(axis=1, keepdims=True) + 0.5 * ids)
    if ids:
        losses = [-np.sum(targets_NC * np.log(np.maximum(each, 1e-6))) for each in (predicted_NC, mean_NC)]
    else:
        losses = [np.sum((each - targets_NC) ** 2) for each in (predicted_NC, mean_NC)]
    return float(1 - losses[0] / max(losses[1], 1e-12))


def filled_lengths(sequences: SequenceSet) -> dict[str, np.ndarray]:
    """Lengths without the rows of one value that most sequences end, or begin, with; empty without such a value."""
    parts = np.split(sequences.inputs_R, sequences.offsets_N[1:-1])
    found = {"length before the filled end": content_lengths(parts)}
    found["length after the filled start"] = content_lengths([part[::-1] for part in parts])
    return {name: values_N for name, values_N in found.items() if values_N is not None}


def content_lengths(parts: list[np.ndarray]) -> np.ndarray | None:
    """Steps before the common last row of most sequences; None without one that stands hardly anywhere else."""
    rows = [part.reshape(len(part), -1) for part in parts]
    last, counts = np.unique(np.stack([each[-1] for each in rows]), axis=0, return_counts=True)
    fill = last[np.argmax(counts)]
    equal = [np.all(each == fill, axis=1) for each in rows]
    tails = [int(np.logical_and.accumulate(each[::-1]).sum()) for each in equal]
    kept_N = np.array([len(each) - tail for each, tail in zip(rows, tails, strict=True)])
    contents = [each[:kept] for each, kept in zip(rows, kept_N, strict=True)]
    elsewhere = np.concatenate([each[:kept] for each, kept in zip(equal, kept_N, strict=True)])
    enough = np.mean(np.array(tails) > 1) >= 0.5 and len(elsewhere) > 0
    if not enough or elsewhere.mean() > MOST_ELSEWHERE:
        return None
    different = len(np.unique(np.concatenate(contents)[:10_000], axis=0))
    return kept_N if different > MIN_DIFFERENT else None
