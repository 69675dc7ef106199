"""Held-out sequences that stand in the training part too: copies, rounded or noisy copies, and overlapping windows."""

from collections import Counter
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rnnjax.doctor.batch import is_ids
from rnnjax.doctor.sequences.data import SequenceData, spread_out
from rnnjax.types import SequenceSet

MOST_HELD_OUT, MOST_TRAIN = 500, 10_000  # sequences that are compared; equal ones are sought in all
MOST_NUMBERS = 20_000_000  # of the sequences that are compared
BY_CHANCE = 0.01  # expected sequences of this content in the training part: of more, copies are none
NEAR, FAR = 0.03, 0.3  # of the deviation of a value about the mean at its step: noise or rounding; another sequence
DIRECTIONS = 64  # of long sequences, whose distances are measured along some random directions
ROWS = 5  # in a row that are the same in two overlapping windows
OVERLAPPING = 0.5  # of the rows of a held-out sequence
RECURRING = 0.2  # different rows among all: with fewer, rows in a row may be the same by chance
NEAR_IDS, FAR_IDS = 0.1, 0.5  # of the steps of two texts differ
SHORT = 10  # steps of a text
EQUAL = 1e-6  # as NEAR
FEW = 2  # copies; a single one among many sequences is none


class Overlap(NamedTuple):
    """The share of the held-out sequences that the training part has too."""

    share: float
    remark: str


def find_overlap(data: SequenceData) -> Overlap | None:
    """The overlap of the held-out sequences, of a sample where there are many; None with fewer than FEW of them."""
    if data.held_out is None or data.held_out.size < FEW:
        return None
    held_out, numbers = spread_out(data.held_out, MOST_HELD_OUT), data.train.inputs_R.size / data.train.size
    parts = split_rows(held_out)
    copied = equal_copies(parts, split_rows(data.train))
    known = split_rows(spread_out(data.train, max(FEW, int(min(MOST_TRAIN, MOST_NUMBERS / numbers)))))
    ids = is_ids(data.train.inputs_R)
    near = near_copies(parts, known, ids)
    if not ids:
        near |= overlapping_windows(parts, known)
    near &= ~copied
    near &= near.sum() > FEW  # of similar sequences one or two may be as near by chance
    count = int((copied | near).sum())
    if count < FEW:
        return Overlap(0.0, "")
    texts = [f"{int(copied.sum())} copies"] * bool(copied.any()) + [f"{int(near.sum())} near ones"] * bool(near.any())
    named = [held_out.names[n] for n in np.flatnonzero(copied | near)[:2]] if held_out.names else []
    examples = f", such as {', '.join(named)}" if named else ""
    return Overlap(count / len(parts), f"{' and '.join(texts)} among {len(parts)}{examples}")


def split_rows(sequences: SequenceSet) -> list[np.ndarray]:
    """The rows of each sequence [T, D]; ids as one column."""
    rows_RD = sequences.inputs_R.reshape(len(sequences.inputs_R), -1)
    return np.split(rows_RD, sequences.offsets_N[1:-1])


# Copies


def equal_copies(parts: list[np.ndarray], known: list[np.ndarray]) -> np.ndarray:
    """Which sequences [N] are equal to a known one and too rich to be so by chance."""
    counts = Counter(content(part) for part in known)
    equal = np.array([content(part) in counts for part in parts])
    if not equal.any():
        return equal
    rows = count_rows(known)
    for n in np.flatnonzero(equal):
        copies = counts[content(parts[n])]
        expected = len(known) * np.exp(log_probability(rows, parts[n], copies))
        equal[n] = np.count_nonzero(np.any(np.diff(parts[n], axis=0), axis=1)) > 1 and expected < BY_CHANCE
    return equal


def content(part_TD: np.ndarray) -> bytes:
    """The bytes of a sequence; -0 is 0."""
    return (part_TD + 0).tobytes()


class RowCounts(NamedTuple):
    """How often rows stand in some sequences, follow each other, and begin one."""

    rows: Counter[bytes]
    pairs: Counter[tuple[bytes, bytes]]
    before: Counter[bytes]  # rows that another one follows
    first: Counter[bytes]


def count_rows(parts: list[np.ndarray]) -> RowCounts:
    """The counts of the rows of some sequences."""
    names = [[content(row) for row in part] for part in parts]
    return RowCounts(
        Counter(name for each in names for name in each),
        Counter(pair for each in names for pair in pairwise(each)),
        Counter(name for each in names for name in each[:-1]),
        Counter(each[0] for each in names),
    )


def log_probability(counts: RowCounts, part_TD: np.ndarray, copies: int) -> float:
    """log P of a sequence: its first row, then each next row given the one before, counted without its copies."""
    own = count_rows([part_TD])
    total = max(counts.rows.total() - copies * len(part_TD), 1)
    others = max(counts.first.total() - copies, 1)

    def share(name: bytes) -> float:
        return (max(counts.rows[name] - copies * own.rows[name], 0) + 0.5) / (total + 1)

    [start] = own.first
    logs = [np.log((max(counts.first[start] - copies, 0) + share(start)) / (others + 1))]
    for pair, count in own.pairs.items():
        followed = max(counts.pairs[pair] - copies * count, 0)
        before = max(counts.before[pair[0]] - copies * own.before[pair[0]], 0)
        logs.append(count * np.log((followed + share(pair[1])) / (before + 1)))
    return float(np.sum(logs))


# Near copies


def near_copies(parts: list[np.ndarray], known: list[np.ndarray], ids: bool) -> np.ndarray:
    """Which sequences [N] have a much nearer neighbour among known ones of their length than any other one is.

    In a family of similar sequences there are ten times as many, or more, within ten times the distance. Equal ones may
    be so by chance, and are left to `equal_copies`.
    """
    near, bounds = np.zeros(len(parts), bool), (NEAR_IDS, FAR_IDS) if ids else (NEAR, FAR)
    scale_D = 1.0 if ids else np.maximum(np.concatenate(known).astype(float).std(axis=0), 1e-30)
    lengths_N, known_M = np.array([len(part) for part in parts]), np.array([len(part) for part in known])
    for length in np.unique(lengths_N):
        own, others = np.flatnonzero(lengths_N == length), np.flatnonzero(known_M == length)
        if not len(others):
            continue
        rows_NF, rows_MF = (
            np.stack([(each[n] / scale_D).ravel() for n in chosen]) for each, chosen in ((parts, own), (known, others))
        )
        both = np.concatenate([rows_NF, rows_MF])
        apart = different_share(rows_NF, rows_MF) if ids else distances(*np.split(in_deviations(both), [len(own)]))
        inside, around = (((apart <= bound) & (apart > EQUAL)).sum(axis=1) for bound in bounds)
        near[own] = (inside > 0) & (around <= 2 * inside) & (np.ptp(both[: len(own)], axis=1) > 0)
    return near


def different_share(rows_NT: np.ndarray, rows_MT: np.ndarray) -> np.ndarray:
    """The share of the steps at which two sequences of ids differ [N, M]; 1 for short ones, which differ by chance."""
    if rows_NT.shape[1] < SHORT:
        return np.ones((len(rows_NT), len(rows_MT)))
    return np.stack([np.mean(row_T[None] != rows_MT, axis=1) for row_T in rows_NT])


def in_deviations(rows_NF: np.ndarray) -> np.ndarray:
    """Rows about their mean, in units of the root mean square of what is left."""
    centred = rows_NF - rows_NF.mean(axis=0)
    return centred / max(float(np.sqrt(np.mean(centred**2))), 1e-30)


def distances(own_NF: np.ndarray, others_MF: np.ndarray) -> np.ndarray:
    """The root mean square of the difference of each pair [N, M]; of long rows, of some mixtures of their columns."""
    width = own_NF.shape[1]
    if width > 4 * DIRECTIONS:
        mixture = np.random.default_rng(0).normal(size=(width, DIRECTIONS)) / np.sqrt(width)
        own_NF, others_MF, width = own_NF @ mixture, others_MF @ mixture, DIRECTIONS
    squares = np.sum(own_NF**2, axis=1)[:, None] + np.sum(others_MF**2, axis=1)[None] - 2 * own_NF @ others_MF.T
    return np.sqrt(np.maximum(squares, 0) / width)


def overlapping_windows(parts: list[np.ndarray], known: list[np.ndarray]) -> np.ndarray:
    """Which sequences [N] share half of their rows, several in a row, with known ones; of rows that hardly recur."""
    names = [[content(row) for row in part] for part in known]
    all_rows = [name for each in names for name in each]
    if len(set(all_rows)) < RECURRING * len(all_rows):
        return np.zeros(len(parts), bool)
    runs = {tuple(each[t : t + ROWS]) for each in names for t in range(len(each) - ROWS + 1)}
    found = []
    for part in parts:
        own = [content(row) for row in part]
        runs_of_part = {t: tuple(own[t : t + ROWS]) for t in range(len(own) - ROWS + 1)}
        shared = {
            t + k for t, run in runs_of_part.items() if len(set(run)) == ROWS and run in runs for k in range(ROWS)
        }
        found.append(len(shared) > OVERLAPPING * len(own))
    return np.array(found, bool)
