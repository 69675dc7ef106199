"""Sequences of different lengths as vectors of one length, for simple predictors."""

import numpy as np

from rnnjax.doctor.batch import is_ids
from rnnjax.types import SequenceSet

MOST_SYMBOLS = 64  # different ids, or pairs of ids, that are counted
MOST_ENDS = 32  # different ids that are told apart at the first and last step
POINTS = 8  # at which a sequence of numbers is read
MOST_FEATURES = 256  # more are mixed at random
AROUND = 2  # steps before and after, of the features of one step


def sequence_features(sequences: SequenceSet) -> np.ndarray:
    """A vector of each sequence [N, F] with columns of mean 0 and deviation 1."""
    parts = np.split(sequences.inputs_R, sequences.offsets_N[1:-1])
    found = id_features(parts) if is_ids(sequences.inputs_R) else number_features(parts)
    return standardise(np.concatenate([found, np.log1p(sequences.lengths)[:, None]], axis=1))


def standardise(columns_NF: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and deviation 1, at most MOST_FEATURES of them; constant ones are left out."""
    spread_F = columns_NF.std(axis=0)
    kept = spread_F > 1e-9 * (np.abs(columns_NF).max(axis=0) + 1e-30)
    columns_NF = (columns_NF[:, kept] - columns_NF[:, kept].mean(axis=0)) / spread_F[kept]
    if columns_NF.shape[1] <= MOST_FEATURES:
        return columns_NF
    mixture = np.random.default_rng(0).normal(size=(columns_NF.shape[1], MOST_FEATURES))
    return standardise(columns_NF @ mixture)


def id_features(parts: list[np.ndarray]) -> np.ndarray:
    """Shares of the most frequent ids and pairs of ids, and codes of the first and last ones."""
    size = int(max(part.max() for part in parts)) + 1
    pairs = [part[:-1].astype(np.int64) * size + part[1:] for part in parts]
    triples = [part[:-2].astype(np.int64) * size + part[2:] for part in parts]
    columns = [shares(parts, MOST_SYMBOLS), shares(pairs, MOST_SYMBOLS), shares(triples, MOST_SYMBOLS)]
    for place in (0, 1, -1, -2):
        ends = [part[place : place + 1 or None] if len(part) >= 2 else part[:1] for part in parts]
        columns.append(shares(ends, MOST_ENDS))
    return np.concatenate(columns, axis=1)


def shares(parts: list[np.ndarray], most: int) -> np.ndarray:
    """The share of each of the most frequent numbers in each part [N, most]."""
    if not any(map(len, parts)):
        return np.zeros((len(parts), 0))
    known, counts = np.unique(np.concatenate(parts), return_counts=True)
    kept = np.sort(known[np.argsort(-counts, kind="stable")][:most])
    found = np.zeros((len(parts), len(kept)))
    for n, part in enumerate(parts):
        places = np.searchsorted(kept, part)
        there = kept[np.minimum(places, len(kept) - 1)] == part
        found[n] = np.bincount(places[there], minlength=len(kept)) / max(len(part), 1)
    return found


def number_features(parts: list[np.ndarray]) -> np.ndarray:
    """Mean, deviation, bounds, ends, slope, mean step and autocorrelation of each column, and some of its values."""
    return np.stack([part_features(part.astype(float).reshape(len(part), -1)) for part in parts])


def part_features(part_TD: np.ndarray) -> np.ndarray:
    """The features of one sequence [F]."""
    steps = len(part_TD)
    mean_D, time_T1 = part_TD.mean(axis=0), np.linspace(-1, 1, steps)[:, None] if steps > 1 else np.zeros((1, 1))
    centred_TD = part_TD - mean_D
    energy_D = np.maximum(np.mean(centred_TD**2, axis=0), 1e-12)
    changes_TD = np.diff(part_TD, axis=0) if steps > 1 else np.zeros_like(part_TD)
    next_D = np.sum(centred_TD[1:] * centred_TD[:-1], axis=0) / (steps * energy_D)
    places = np.round(np.linspace(0, steps - 1, POINTS)).astype(int)
    columns = [
        mean_D, np.sqrt(energy_D), part_TD.min(axis=0), part_TD.max(axis=0), np.mean(centred_TD * time_T1, axis=0),
        np.abs(changes_TD).mean(axis=0), next_D, part_TD[places].ravel(),
    ]  # fmt: skip
    return np.concatenate(columns)


def step_features(sequences: SequenceSet) -> np.ndarray:
    """A vector of each step [R, F]: its input and those around it, 0 outside of the sequence."""
    inputs = sequences.inputs_R
    rows_RD = code(inputs) if is_ids(inputs) else inputs.astype(float).reshape(len(inputs), -1)
    number_R, columns = np.repeat(np.arange(sequences.size), sequences.lengths), [rows_RD]
    for shift in [*range(-AROUND, 0), *range(1, AROUND + 1)]:
        moved, same = np.roll(rows_RD, -shift, axis=0), np.roll(number_R, -shift) == number_R
        columns.append(moved * same[:, None])
    return standardise(np.concatenate(columns, axis=1))


def code(ids_R: np.ndarray) -> np.ndarray:
    """One-hot columns of the most frequent ids [R, <= MOST_ENDS]."""
    known, counts = np.unique(ids_R, return_counts=True)
    kept = known[np.argsort(-counts, kind="stable")][:MOST_ENDS]
    return np.asarray(ids_R[:, None] == kept, float)
