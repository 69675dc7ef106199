"""Rows of equal length out of sequences of different ones: padded, or several in one row; and the plan of batches."""

from collections.abc import Sequence

import numpy as np

from rnnjax.types import LabelledSequence, SequenceParts, SequencePool, SequenceRows, SequenceSet, WindowData

LONGEST_PLAN = 4_096  # steps after which the plan of several lengths begins again
HELD_OUT_NUMBERS = 2**21  # of the outputs of one held-out window, about


def lay_out(sequences: SequenceSet, rows: Sequence[Sequence[int]], length: int, flags: bool = False) -> SequenceRows:
    """Rows of `length` steps, each with some sequences after each other, filled up with 0.

    Args: rows: the numbers of the sequences of each. flags: mark the first step of each sequence.
    """
    offsets, lengths = sequences.offsets_N, sequences.lengths
    source = np.full((len(rows), length), -1, np.int64)
    starts = np.zeros((len(rows), length), bool)
    for m, numbers in enumerate(rows):
        at = 0
        for n in numbers:
            source[m, at : at + lengths[n]] = np.arange(offsets[n], offsets[n + 1])
            starts[m, at] = True
            at += lengths[n]
    valid = source >= 0

    def gather(leaf: np.ndarray) -> np.ndarray:
        found: np.ndarray = leaf[np.maximum(source, 0)]
        return np.where(valid.reshape(*valid.shape, *[1] * (leaf.ndim - 1)), found, np.zeros((), leaf.dtype))

    inputs, targets, mask = (gather(leaf) for leaf in (sequences.inputs_R, sequences.targets_R, sequences.loss_mask_R))
    return SequenceRows(inputs, targets, mask, valid, starts if flags else None)


def row_lengths(lengths_N: np.ndarray, count: int) -> tuple[int, ...]:
    """At most `count` lengths, rising to the longest sequence, for which the fewest steps are padded.

    An exact search over the different lengths: best[k][j], the fewest steps of rows with k lengths for all sequences of
    the j shortest different lengths.
    """
    different, counts = np.unique(lengths_N, return_counts=True)
    most, below = min(count, len(different)), np.concatenate([[0], np.cumsum(counts)])
    best = np.full((most + 1, len(different) + 1), np.inf)
    best[0, 0], before = 0, np.zeros((most + 1, len(different) + 1), np.int64)
    for k in range(1, most + 1):
        for j in range(1, len(different) + 1):
            costs = best[k - 1, :j] + (below[j] - below[:j]) * different[j - 1]
            before[k, j] = int(np.argmin(costs))
            best[k, j] = costs[before[k, j]]
    found, j = [], len(different)
    for k in range(most, 0, -1):
        found.append(int(different[j - 1]))
        j = int(before[k, j])
        if not j:
            break
    return tuple(sorted(found))


def packed_rows(lengths_N: np.ndarray, length: int) -> list[list[int]]:
    """Sequences shared out to rows of `length` steps: the longest first, each to the fullest row that has room."""
    rows: list[list[int]] = []
    by_room: list[list[int]] = [[] for _ in range(length + 1)]  # rows with so many steps left
    for n in np.argsort(-lengths_N, kind="stable").tolist():
        need = int(lengths_N[n])
        room = next((room for room in range(need, length + 1) if by_room[room]), None)
        row = len(rows) if room is None else by_room[room].pop()
        if room is None:
            rows.append([])
        rows[row].append(n)
        by_room[(length if room is None else room) - need].append(row)
    return rows


def training_pool(parts: SequenceParts, target_scale_O: Sequence[float]) -> SequencePool:
    """The rows that training draws its batches from, and which length comes at which step."""
    lengths_N, longest = parts.train.lengths, parts.lengths[-1]
    length_of = np.searchsorted(parts.lengths, lengths_N)
    members = [np.flatnonzero(length_of == k) for k in range(len(parts.lengths))]
    sets = tuple(
        lay_out(parts.train, [[n] for n in numbers.tolist()], length)
        for numbers, length in zip([] if parts.packed else members, parts.lengths, strict=not parts.packed)
    )
    sets = (lay_out(parts.train, packed_rows(lengths_N, longest), longest, flags=True),) if parts.packed else sets
    plan_S, rank_S = plan_lengths([len(one.inputs_MT) for one in sets])
    scale = np.asarray(target_scale_O, np.float32) if target_scale_O else None
    weights = np.asarray(parts.class_weights_O, np.float32) if parts.class_weights_O else None
    return SequencePool(sets, plan_S, rank_S, scale, weights)


def row_bytes(parts: SequenceParts) -> int:
    """The bytes of the rows that training and the held-out loss read, filled steps included; packed: of full rows."""
    lengths_N = parts.train.lengths
    filled_N = lengths_N if parts.packed else np.asarray(parts.lengths)[np.searchsorted(parts.lengths, lengths_N)]
    steps = int(filled_N.sum()) + parts.validation.size * parts.lengths[-1]
    leaves = parts.train.inputs_R, parts.train.targets_R, parts.train.loss_mask_R
    return steps * (1 + sum(leaf.itemsize * int(np.prod(leaf.shape[1:])) for leaf in leaves))


def plan_lengths(sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Which set of rows each step takes, and how often it was taken before: in proportion to the sizes, evenly spread.

    At every step it is the turn of the set that is furthest behind its share.
    """
    if len(sizes) == 1:
        return np.zeros(1, np.int32), np.zeros(1, np.int32)
    share_K = np.array(sizes) / sum(sizes)
    steps = min(LONGEST_PLAN, sum(sizes))
    taken_K = np.zeros(len(sizes), np.int64)
    plan, rank = [], []
    for step in range(steps):
        k = int(np.argmax(share_K * (step + 1) - taken_K))
        plan.append(k)
        rank.append(int(taken_K[k]))
        taken_K[k] += 1
    return np.array(plan, np.int32), np.array(rank, np.int32)


def padded_pairs(sequences: SequenceSet, length: int, numbers_N: np.ndarray) -> LabelledSequence:
    """Sequences of some numbers as examples of `length` steps, one after the other."""
    rows = lay_out(sequences, [[n] for n in numbers_N.tolist()], length)
    inputs, targets, mask, valid = (leaf.reshape(-1, *leaf.shape[2:]) for leaf in rows[:4] if leaf is not None)
    return LabelledSequence(inputs, targets, mask, valid, example_length=length)


def held_out_sequences_window(parts: SequenceParts, outputs: int, target_scale_O: Sequence[float]) -> WindowData:
    """The held-out sequences as windows [W, T, B] of the longest length, B so that a window stays small.

    The last window is filled up with rows without a step, whose loss does not count.
    """
    sequences, length = parts.validation, parts.lengths[-1]
    width = max(1, min(sequences.size, HELD_OUT_NUMBERS // (length * max(outputs, 64))))
    count = -(-sequences.size // width)
    rows = [[n] if n < sequences.size else [] for n in range(count * width)]
    padded = lay_out(sequences, rows, length)

    def windows(leaf: np.ndarray) -> np.ndarray:
        return leaf.reshape(count, width, *leaf.shape[1:]).swapaxes(1, 2)

    scale = np.asarray(target_scale_O, np.float32) if target_scale_O else None
    inputs, targets, mask, valid = (windows(leaf) for leaf in padded[:4] if leaf is not None)
    return WindowData(inputs, targets, mask, valid, scale)
