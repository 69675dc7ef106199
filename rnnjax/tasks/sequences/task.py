"""A set of sequences as a task: read, split, brought to one scale, with its reference losses."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.settings.vocabulary import Vocabulary
from rnnjax.tasks.sequences.arrays import read_arrays
from rnnjax.tasks.sequences.digits import read_digits
from rnnjax.tasks.sequences.json_lines import read_json_lines
from rnnjax.tasks.sequences.layout import padded_pairs, row_lengths
from rnnjax.tasks.sequences.levels import class_counts, next_row_losses, prior_log_loss, value_losses
from rnnjax.tasks.sequences.own_scale import is_scaled_alone, scale_alone
from rnnjax.tasks.sequences.raw import RawSequences, check_raw
from rnnjax.tasks.sequences.splits import held_out_sequences
from rnnjax.tasks.sequences.table_form import read_long_table
from rnnjax.tasks.sequences.targets import class_weights, join_sequences, make_pairs
from rnnjax.tasks.sequences.ts_form import read_ts
from rnnjax.tasks.text import build_vocabulary
from rnnjax.types import SequenceParts, SequenceSet, Task

Scale = tuple[tuple[float, ...], tuple[float, ...]]  # means and deviations
UNSCALED: Scale = ((), ())
READERS: dict[str, Callable[[str, TaskSpec], RawSequences]] = {  # by the end of the file's name; else a CSV table
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json_lines,
    ".ts": read_ts,
}


def sequences_task(settings: TaskSpec, source: Any) -> Task:
    """A task of the sequences of a file, or of the included digits.

    Args: source: the text of a file, the arrays of an .npz file, or `RawSequences`; of the digits, their table.
    Raises: BadInput with the place of the first mistake.
    """
    raw = check_raw(read_sequences(settings, source), settings)
    held_N = held_out_sequences(raw, settings)
    vocabulary = text_vocabulary(raw, held_N, settings)
    check_settings(settings, raw)
    pairs = make_pairs(raw, held_N, vocabulary, settings)
    names = raw.names if raw.names is not None else raw.places
    train, held_out = (join_sequences(pairs, np.flatnonzero(chosen_N), names) for chosen_N in (~held_N, held_N))
    if is_scaled_alone(settings, raw):
        train, held_out = scale_alone(settings, train, held_out)
    return build_task(settings, train, held_out, pairs.classes, vocabulary, raw)


def read_sequences(settings: TaskSpec, source: Any) -> RawSequences:
    """The sequences of a source, by what it is and by the end of its name."""
    if isinstance(source, RawSequences):
        return source
    if not settings.path:
        if settings.predict != "label":
            raise BadInput(f"task.predict: got {settings.predict!r}; expected 'label' for the included digits")
        return read_digits(source, settings)
    if isinstance(source, Mapping):
        return read_arrays(source, settings)
    return READERS.get(suffix(settings.path), read_long_table)(source.removeprefix("\ufeff"), settings)


def suffix(path: str) -> str:
    """The end of a file's name, as ".csv", in lower case."""
    name = path.rpartition("/")[2]
    return f".{name.rpartition('.')[2].lower()}" if "." in name else ""


def text_vocabulary(raw: RawSequences, held_N: np.ndarray, settings: TaskSpec) -> Vocabulary:
    """The vocabulary of texts; empty for numbers."""
    if not raw.is_text:
        return ""
    train = "\n".join(one for one, out in zip(raw.steps, held_N, strict=True) if not out)
    return build_vocabulary(settings, "".join(raw.steps), train)


def check_settings(settings: TaskSpec, raw: RawSequences) -> None:
    """Raises BadInput for settings that contradict each other or the file."""
    if settings.class_weights != "none" and settings.predict not in ("label", "tags"):
        got = f"{settings.class_weights!r} with predict = {settings.predict!r}"
        raise BadInput(f"task.class_weights: got {got}; expected 'none', as there are no classes")
    if settings.summary == "mean" and settings.predict not in ("label", "values"):
        raise BadInput(f"task.summary: got 'mean' with predict = {settings.predict!r}; expected 'last'")
    if settings.missing not in ("refuse", "interpolate"):
        raise BadInput(f"task.missing: got {settings.missing!r}; expected 'refuse' or 'interpolate' for sequences")


def build_task(
    settings: TaskSpec,
    train: SequenceSet,
    held_out: SequenceSet,
    classes: tuple[str, ...],
    vocabulary: Vocabulary,
    raw: RawSequences,
) -> Task:
    """The task of two parts before any scale that they share."""
    outputs = len(classes) or (len(vocabulary) if settings.predict == "next" and vocabulary else 0)
    losses = reference_losses(settings, train, held_out, outputs)
    columns = () if outputs else column_names(settings, raw, train.targets_R.shape[1])
    parts, read, scale = [train, held_out], UNSCALED, UNSCALED
    if not vocabulary:
        parts, read = scaled_inputs(parts, settings)
    if not outputs:
        parts, scale = scaled_targets(parts, settings)
    longest = max(int(one.lengths.max()) for one in parts)
    every, numbers = join_parts(parts[0], parts[1]), np.arange(train.size + held_out.size, dtype=np.int32)
    return Task(
        train_N=numbers[: train.size],
        validation_N=numbers[train.size :],
        make_sequence=partial(padded_pairs, every, longest),
        inputs=len(vocabulary) or train.inputs_R.shape[1],
        outputs=outputs or train.targets_R.shape[1],
        loss="cross_entropy" if outputs else "squared_error",
        reference_losses=losses,
        target_mean_O=scale[0],
        target_scale_O=scale[1],
        notices=raw.notices,
        token={"label": "sequence", "tags": "step"}.get(settings.predict, settings.tokens.removesuffix("s")),
        sequences=SequenceParts(
            parts[0],
            parts[1],
            training_lengths(settings, train.lengths, longest),
            packed=settings.batches == "packed",
            predict=settings.predict,
            classes=classes,
            class_weights_O=class_weights(class_counts(train, outputs), settings.class_weights) if classes else (),
            columns=columns,
            input_mean_D=read[0],
            input_scale_D=read[1],
        ),
    )


def training_lengths(settings: TaskSpec, lengths_N: np.ndarray, longest: int) -> tuple[int, ...]:
    """The lengths of the rows that training reads; the last one has room for every sequence."""
    return (*row_lengths(lengths_N, settings.buckets)[:-1], longest) if settings.batches == "bucketed" else (longest,)


def join_parts(first: SequenceSet, second: SequenceSet) -> SequenceSet:
    """The sequences of two sets as one set."""
    return SequenceSet(
        np.concatenate([first.inputs_R, second.inputs_R]),
        np.concatenate([first.targets_R, second.targets_R]),
        np.concatenate([first.loss_mask_R, second.loss_mask_R]),
        np.concatenate([first.offsets_N, first.offsets_N[-1] + second.offsets_N[1:]]),
        first.names + second.names,
    )


def column_names(settings: TaskSpec, raw: RawSequences, count: int) -> tuple[str, ...]:
    """The names of the targets: those of the file, else numbers."""
    names = raw.features if settings.predict == "next" else tuple(raw.target.split(", "))
    start = "x" if settings.predict == "next" else raw.target
    return names if len(names) == count else tuple(f"{start}{i + 1}" for i in range(count))


def scaled_inputs(parts: list[SequenceSet], settings: TaskSpec) -> tuple[list[SequenceSet], Scale]:
    """Inputs with mean 0 and deviation 1 over the steps of the training part, unless they stay as they are."""
    mean_D, scale_D = column_scales(parts[0].inputs_R, settings.standardise == "all")
    scaled = [one._replace(inputs_R=((one.inputs_R - mean_D) / scale_D).astype(np.float32)) for one in parts]
    return scaled, (tuple(mean_D.tolist()), tuple(scale_D.tolist()))


def scaled_targets(parts: list[SequenceSet], settings: TaskSpec) -> tuple[list[SequenceSet], Scale]:
    """Targets with mean 0 and deviation 1 over those of the training part that count; and both of these numbers."""
    counted = parts[0].targets_R[parts[0].loss_mask_R > 0]
    if (settings.standardise, settings.predict) == ("each", "next"):  # they have the scale of the inputs
        width = counted.shape[1]
        return parts, ((0.0,) * width, (1.0,) * width)
    mean_O, scale_O = column_scales(counted, settings.standardise != "none")
    scaled = [
        one._replace(targets_R=(((one.targets_R - mean_O) / scale_O) * one.loss_mask_R[:, None]).astype(np.float32))
        for one in parts
    ]
    return scaled, (tuple(mean_O.tolist()), tuple(scale_O.tolist()))


def column_scales(rows_RD: np.ndarray, wanted: bool) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each column; deviation 1 of one that does not vary; 0 and 1 where none are wanted."""
    width = rows_RD.shape[1]
    if not wanted:
        return np.zeros(width), np.ones(width)
    scale_D = rows_RD.std(axis=0)
    return rows_RD.mean(axis=0), np.where(scale_D > 0, scale_D, 1.0)


def reference_losses(settings: TaskSpec, train: SequenceSet, held_out: SequenceSet, outputs: int) -> dict[str, float]:
    """The losses of simple predictors on the held-out part."""
    if settings.predict == "next" and not outputs:
        return next_row_losses(train, held_out)
    if not outputs:
        return value_losses(train, held_out)
    prior = prior_log_loss(train, held_out, outputs)
    return {"chance": math.log(outputs), "unigram": prior} if settings.predict == "next" else {"chance": prior}
