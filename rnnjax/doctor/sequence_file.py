"""Examine a file of sequences before any network reads it."""

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

UNTRAINED = Reason("no network was trained")


def examine_file(settings: TaskSpec) -> Diagnosis:
    """The diagnosis of the sequences of a file; of those that have a step, where some have none.

    Raises: BadInput for a file that cannot be read.
    """
    raw = read_sequences(settings, read_contents([settings])[0][settings])
    empty_N = np.array([not len(steps) for steps in raw.steps], bool)
    places = tuple(place for place, empty in zip(raw.places, empty_N, strict=True) if empty)
    try:
        task = sequences_task(settings, without(raw, empty_N) if places else raw)
    except BadInput:
        if not places:
            raise
        found = Indicators(*empty_indicators(places))  # other errors are reported once these are corrected
    else:
        assert task.sequences is not None
        found = data_indicators(from_parts(task.sequences)._replace(empty=places))
    reasons = {condition.limits[0].indicator: UNTRAINED for condition in CONDITIONS}
    return judge_indicators(found._replace(reasons=reasons), load_effects())


def is_trainable(diagnosis: Diagnosis) -> bool:
    """Whether a network can be trained on a file: each sequence has a step."""
    return "empty_sequences" not in {finding.name for finding in diagnosis.findings}


def without(raw: RawSequences, left_out_N: np.ndarray) -> RawSequences:
    """The sequences of a file without some of them. Args: left_out_N: bool [N]."""
    kept = np.flatnonzero(~left_out_N).tolist()
    return raw._replace(
        places=[raw.places[n] for n in kept],
        steps=[raw.steps[n] for n in kept],
        targets=None if raw.targets is None else [raw.targets[n] for n in kept],
        names=None if raw.names is None else [raw.names[n] for n in kept],
        keys={name: [words[n] for n in kept] for name, words in raw.keys.items()},
    )
