"""Which sequences are held out: whole ones, never a part of one."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.sequences.raw import RawSequences, bad, label_text
from rnnjax.tasks.tables.times import parse_times

TRAIN_WORDS, TEST_WORDS = ("train", "training"), ("test", "validation", "val", "held-out", "heldout")


def held_out_sequences(raw: RawSequences, settings: TaskSpec) -> np.ndarray:
    """Whether each sequence is held out [N], as `split`, `validation`, `folds` and `fold` ask for it.

    Raises: BadInput for a split that the file has no words for, or that leaves one part empty.
    """
    if settings.folds == 1 or (settings.folds and settings.fold >= settings.folds):
        rule = "0 or >= 2" if settings.folds == 1 else f"more than task.fold = {settings.fold}"
        raise BadInput(f"task.folds: got {settings.folds}; expected {rule}")
    if settings.fold and not settings.folds:
        raise BadInput(f"task.fold: got {settings.fold} without task.folds; expected task.folds >= 2")
    if settings.folds and settings.split not in ("random", "group"):
        raise BadInput(
            f"task.folds: got {settings.folds} with split = {settings.split!r}; expected 'random' or 'group'"
        )
    held_N = SPLITS[settings.split](raw, settings)
    for part, count in (("train on", int((~held_N).sum())), ("hold out", int(held_N.sum()))):
        if not count:
            raise BadInput(f"task.split: got no sequence to {part}; expected at least one of {len(held_N)}")
    return held_N


def random_part(raw: RawSequences, settings: TaskSpec) -> np.ndarray:
    """A share at random, of each label alike; or one of `folds` parts."""
    strata = ["" for _ in raw.steps]
    if settings.predict == "label" and raw.targets is not None:
        strata = [label_text(target) for target in raw.targets]
    order_N = np.random.default_rng(settings.corpus_seed).permutation(len(strata))
    return chosen_ranks(order_N[np.argsort(np.array(strata)[order_N], kind="stable")], settings)


def group_part(raw: RawSequences, settings: TaskSpec) -> np.ndarray:
    """A share of the groups at random, with all their sequences; or one of `folds` parts."""
    words = words_of(raw, settings.group_column, "group")
    groups = sorted(set(words))
    if len(groups) < 2:
        raise BadInput(f"task.split: got one group in {settings.group_column!r}; expected at least 2")
    held = chosen_ranks(np.random.default_rng(settings.corpus_seed).permutation(len(groups)), settings)
    out = {group for group, one in zip(groups, held, strict=True) if one}
    return np.array([word in out for word in words])


def chosen_ranks(order_N: np.ndarray, settings: TaskSpec) -> np.ndarray:
    """True [N] for the held-out numbers, evenly spread over an order, so that any stretch of it has the same share."""
    count = len(order_N)
    if settings.folds:
        if settings.folds > count:
            raise BadInput(f"task.folds: got {settings.folds}; expected <= {count}, one sequence or group in each")
        chosen_N = np.arange(count) % settings.folds == settings.fold
    else:
        share = min(max(round(count * settings.validation), 1), count - 1) / count
        ends_N = np.floor(np.arange(1, count + 1) * share + 1e-9)
        chosen_N = np.diff(ends_N, prepend=0) > 0
    held_N = np.zeros(count, bool)
    held_N[order_N] = chosen_N
    return held_N


def time_part(raw: RawSequences, settings: TaskSpec) -> np.ndarray:
    """The last share in time; sequences of one time stay together, in the held-out part."""
    words = words_of(raw, settings.time_column, "time")
    times_N = times_as_numbers(raw.places, words)
    held = min(max(round(len(times_N) * settings.validation), 1), len(times_N) - 1)
    return times_N >= np.sort(times_N)[len(times_N) - held]


def given_part(raw: RawSequences, settings: TaskSpec) -> np.ndarray:
    """As the file says: train or test."""
    words = words_of(raw, settings.split_column, "given")
    for place, word in zip(raw.places, words, strict=True):
        if word.lower() not in TRAIN_WORDS + TEST_WORDS:
            raise bad(place, f"{word!r} in {settings.split_column!r}", "train or test")
    return np.array([word.lower() in TEST_WORDS for word in words])


def words_of(raw: RawSequences, name: str, split: str) -> Sequence[str]:
    """The words of each sequence under a name. Raises BadInput."""
    if name not in raw.keys:
        raise BadInput(
            f"task.split: got {split!r}, and no sequence has {name!r}; expected that column or key in the file"
        )
    return raw.keys[name]


def times_as_numbers(places: Sequence[str], words: Sequence[str]) -> np.ndarray:
    """Times as numbers [N]: numbers themselves, or dates in one notation. Raises BadInput."""
    dates = parse_times(words)
    if dates is not None and not dates.unread:
        return np.asarray(dates.microseconds_N, np.float64)
    found = []
    for place, word in zip(places, words, strict=True):
        try:
            found.append(float(word))
        except ValueError:
            found.append(np.nan)
        if not np.isfinite(found[-1]):
            expected = "numbers, or dates such as 2024-05-31 in one notation"
            raise bad(place, f"the time {word!r}", expected)
    return np.array(found)


SPLITS: dict[str, Any] = {"random": random_part, "group": group_part, "time": time_part, "given": given_part}
