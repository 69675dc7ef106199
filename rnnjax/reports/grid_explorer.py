"""The grid of a prediction exercise: values, rank and status of each cell, and ties with the best."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnjax.analysis import statistics as stats
from rnnjax.analysis.intervals import not_told_apart
from rnnjax.analysis.results import ArmResult, direction, per_seed, select_arms, shared_unit
from rnnjax.config.schema import ExplorerSpec
from rnnjax.reports import document as pages
from rnnjax.reports.formatting import format_value

FEWEST = 2  # seeds: for an interval
FAILED = "failed"  # the metric that becomes a cell's status: 1 where a run failed, else 0


def explorer(asked: ExplorerSpec, arms: Sequence[ArmResult]) -> pages.Explorer:
    """The grid of the selected arms; cells are in the order of the arms."""
    chosen = select_arms(arms, asked.arms)
    sides = [side(name, chosen) for name in (*asked.choose, asked.rows)]
    ranks, tied = ranking([per_seed(arm, asked.metrics[0]) for arm in chosen], asked.best)
    metrics = [name for name in asked.metrics if name != FAILED]
    cells = [
        pages.GridCell(place(arm, sides), [value(per_seed(arm, name)) for name in metrics], status(arm), rank, tie)
        for arm, rank, tie in zip(chosen, ranks, tied, strict=True)
    ]
    columns = [f"{name} ({words})" if (words := shared_unit(chosen, name)) else name for name in metrics]
    return pages.Explorer(sides[:-1], sides[-1], columns, asked.best, cells, note(len(chosen), tied))


def side(field: str, arms: Sequence[ArmResult]) -> pages.Choice:
    """The values that a field has, in the order of the arms."""
    return pages.Choice(field, list(dict.fromkeys(words(arm.axes[field]) for arm in arms)))


def words(setting: Any) -> str:
    return str(format_value(setting))


def place(arm: ArmResult, sides: Sequence[pages.Choice]) -> list[int]:
    return [list(side.values).index(words(arm.axes[side.name])) for side in sides]


def value(values_n: np.ndarray) -> pages.TableCell:
    """The mean with its interval; a value that all runs share, as the number of parameters, as a plain number."""
    if np.isfinite(values_n).all() and np.ptp(values_n) == 0:
        only = float(values_n[0])
        return int(only) if only.is_integer() else only
    return stats.estimate_mean(values_n)


def status(arm: ArmResult) -> str:
    """How many of the runs failed, or, where that was not measured, diverged."""
    measured = FAILED in arm.metrics
    bad = int(np.nansum(arm.metrics[FAILED])) if measured else int(np.sum(arm.diverged_at >= 0))
    n = len(arm.seeds)
    return f"{bad} of {n} {'failed' if measured else 'diverged'}" if bad else f"all {n} well"


def ranking(values: Sequence[np.ndarray], best: str) -> tuple[list[int | None], list[bool]]:
    """Each cell's place by its mean, 1 for the best, and whether it is not told apart from the best.

    A cell of which a run has no finite number has no place. Told apart: the interval of the paired difference, 95%
    for all cells together, leaves out 0; with one seed, or seeds that are not the same, nothing is.
    """
    sign = direction(best)
    placed = [i for i, values_n in enumerate(values) if np.isfinite(values_n).all()]
    order = sorted(placed, key=lambda i: sign * float(values[i].mean()))
    ranks = [order.index(i) + 1 if i in placed else None for i in range(len(values))]
    counts = {len(values[i]) for i in placed}
    if len(counts) != 1 or min(counts) < FEWEST:
        return ranks, [i in placed for i in range(len(values))]
    near = not_told_apart(np.stack([values[i] for i in placed]), placed.index(order[0]))
    close = {i for i, tie in zip(placed, near, strict=True) if tie}
    return ranks, [i in close for i in range(len(values))]


def note(cells: int, tied: Sequence[bool]) -> str:
    """The number of cells that are not told apart from the best, as a sentence."""
    others = max(sum(tied) - 1, 0)
    return (
        f"{others} of the {cells - 1} others are not told apart from the best: the interval of the paired "
        "difference, 95% for all cells together, has 0, or there are fewer than "
        f"{FEWEST} seeds."
    )
