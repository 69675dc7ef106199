"""Examine a file of sequences before any network reads it: with sequences without a step, none can be trained on it."""

import numpy as np

from rnnjax.doctor.conditions import CONDITIONS
from rnnjax.doctor.diagnosis import Diagnosis, judge_indicators
from rnnjax.doctor.indicators.sequences import data_indicators, empty_indicators
from rnnjax.doctor.indicators.types import Indicators, Reason
from rnnjax.doctor.remedies import load_effects
from rnnjax.doctor.sequences.data import from_parts
from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.studies.datasets import read_contents
from rnnjax.tasks.sequences.raw import RawSequences
from rnnjax.tasks.sequences.task import read_sequences, sequences_task

UNTRAINED = Reason("no network was trained: the file has sequences without a step")


def examine_file(settings: TaskSpec) -> Diagnosis | None:
    """The diagnosis of a file with sequences without a step, of which the others are examined; None of any other file.

    Raises: BadInput for a file that cannot be read.
    """
    raw = read_sequences(settings, read_contents([settings])[0][settings])
    empty_N = np.array([not len(steps) for steps in raw.steps], bool)
    if not empty_N.any():
        return None
    places = tuple(place for place, empty in zip(raw.places, empty_N, strict=True) if empty)
    try:
        task = sequences_task(settings, without(raw, empty_N))
    except BadInput:  # what else is wrong is told when these are mended
        found = Indicators(*empty_indicators(places))
    else:
        assert task.sequences is not None
        found = data_indicators(from_parts(task.sequences)._replace(empty=places))
    reasons = {condition.limits[0].indicator: UNTRAINED for condition in CONDITIONS}
    return judge_indicators(found._replace(reasons=reasons), load_effects())


def without(raw: RawSequences, left_out_N: np.ndarray) -> RawSequences:
    """Some sequences of a file left out."""
    kept = np.flatnonzero(~left_out_N).tolist()
    return raw._replace(
        places=[raw.places[n] for n in kept],
        steps=[raw.steps[n] for n in kept],
        targets=None if raw.targets is None else [raw.targets[n] for n in kept],
        names=None if raw.names is None else [raw.names[n] for n in kept],
        keys={name: [words[n] for n in kept] for name, words in raw.keys.items()},
    )
