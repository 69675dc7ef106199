"""A series whose columns have roles, lags, differences or a horizon: its layout, and rows made ready to be learned."""

from functools import partial

import numpy as np

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks.series_layout import difference_weights, pairs_of_rows, parse_steps, rows_read
from rnnjax.tasks.tables.notation import option
from rnnjax.types import DataNotice, LabelledSequence, SeriesLayout, SeriesRows

COUNTING = {"lags": "", "differences": "", "season": 0, "horizon": 1}  # settings that count rows, with their defaults


def series_layout(settings: TaskSpec, targets: int, inputs: int, known: int) -> SeriesLayout:
    """The layout of a series, without its means and scales. Raises: BadInput for lags or differences that are none."""
    lags = parse_steps(settings.lags, "lags", 2)
    steps = parse_steps(settings.differences, "differences", 1)
    ahead = settings.horizon if settings.forecast == "direct" else 1
    return SeriesLayout(targets, inputs, known, settings.horizon, ahead, lags, difference_weights(steps))


def with_scales(layout: SeriesLayout, once_NC: np.ndarray, standardise: str, names: tuple[str, ...]) -> SeriesLayout:
    """The layout with the means and deviations of the rows to train on, as `task.standardise` asks for them.

    Raises: BadInput for a difference that does not vary.
    """
    x_MD, targets_MQ = pairs_of_rows(layout, once_NC)
    d_mean, d_scale = moments(x_MD[:, : layout.targets]) if layout.difference else moments(once_NC[:, : layout.targets])
    for name, scale in zip(names, d_scale, strict=False):
        if scale == 0:
            raise BadInput(f"task.differences: the differences of {name!r} do not vary; expected others, or none")
    rest_mean, rest_scale = moments(once_NC[:, layout.targets :])
    x_mean, x_scale = (
        np.concatenate([d, rest[: layout.inputs], *[rest[layout.inputs :]] * layout.ahead, *[d] * len(layout.lags)])
        for d, rest in ((d_mean, rest_mean), (d_scale, rest_scale))
    )
    if layout.difference:
        y_mean, y_scale = moments(targets_MQ)
    else:
        y_mean, y_scale = np.tile(d_mean, layout.ahead), np.tile(d_scale, layout.ahead)
    if standardise != "all":
        x_mean, x_scale = np.zeros_like(x_mean), np.ones_like(x_scale)
    if standardise == "none":
        y_mean, y_scale = np.zeros_like(y_mean), np.ones_like(y_scale)
    x_mean_D, x_scale_D, y_mean_Q, y_scale_Q = (tuple(part.tolist()) for part in (x_mean, x_scale, y_mean, y_scale))
    return layout._replace(
        input_mean_D=x_mean_D, input_scale_D=x_scale_D, output_mean_Q=y_mean_Q, output_scale_Q=y_scale_Q
    )


def moments(values_ND: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each column, over the numbers that it has."""
    if np.isnan(values_ND).any():
        return np.nanmean(values_ND, axis=0), np.nanstd(values_ND, axis=0)
    return values_ND.mean(axis=0), values_ND.std(axis=0)


def prepared_rows(layout: SeriesLayout, values_NC: np.ndarray) -> np.ndarray:
    """Inputs and targets beside each other [M, D + Q], standardised, float32, of all rows t that have both."""
    x_MD, targets_MQ = pairs_of_rows(layout, values_NC)
    x_MD = (x_MD - layout.input_mean_D) / layout.input_scale_D
    targets_MQ = (targets_MQ - layout.output_mean_Q) / layout.output_scale_Q
    return np.concatenate([x_MD, targets_MQ], axis=1).astype(np.float32)


def held_out_rows(layout: SeriesLayout, rows: SeriesRows) -> np.ndarray:
    """The prepared rows from the first held-out row on, with a past that reaches into the training part."""
    start = rows.split - rows_read(layout) + 1 if rows.joined else rows.split
    return prepared_rows(layout, rows.values_NC[start : rows.stop])


def sequence_maker(layout: SeriesLayout, masked: bool) -> partial[LabelledSequence]:
    """Prepared rows -> inputs and targets. Args: masked: targets with a missing number (NaN) do not count."""
    return partial(split_pairs, len(layout.input_mean_D), masked)


def split_pairs(inputs: int, masked: bool, rows_MF: np.ndarray) -> LabelledSequence:
    """The first columns are inputs, the others targets."""
    targets_MQ = rows_MF[:, inputs:]
    if not masked:
        return LabelledSequence(rows_MF[:, :inputs], targets_MQ)
    measured_M = (~np.isnan(targets_MQ).any(axis=1)).astype(np.float32)
    return LabelledSequence(rows_MF[:, :inputs], np.nan_to_num(targets_MQ), measured_N=measured_M)


def output_names(layout: SeriesLayout, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the outputs: the targets, or each target so many rows ahead."""
    targets = columns[: layout.targets]
    if layout.ahead == 1:
        return targets
    return tuple(f"{name} +{ahead}" for ahead in range(1, layout.ahead + 1) for name in targets)


def check_regular(settings: TaskSpec, notices: tuple[DataNotice, ...]) -> None:
    """Raises BadInput for an index with gaps or repeated labels where a setting counts rows."""
    counting = next((name for name, usual in COUNTING.items() if getattr(settings, name) != usual), None)
    kinds = ("gap", "duplicate", *(("missing",) if settings.missing == "drop" else ()))
    irregular = next((notice for notice in notices if notice.kind in kinds), None)
    if counting and irregular and settings.gaps == "auto":
        fact = str(irregular).partition("; the network reads")[0]
        raise BadInput(
            f"task.{counting}: counts rows, but {fact}; expected a regular index; use {option('gaps=ignore')} to count "
            "the rows as they are"
        )


def check_horizon(settings: TaskSpec, train: int, held_out: int, layout: SeriesLayout) -> None:
    """Raises BadInput for a horizon or a past that does not fit into its part of the series."""
    if settings.horizon > held_out - 1:
        raise BadInput(
            f"task.horizon: got {settings.horizon}; expected <= {held_out - 1} (of {held_out} held-out rows)"
        )
    need = rows_read(layout) + layout.ahead
    if train < need:
        names = "lags" if settings.lags else "differences"
        raise BadInput(f"task.{names}: reads {rows_read(layout)} rows; expected less than the {train} rows to train on")
