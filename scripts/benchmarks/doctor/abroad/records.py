"""Cases whose fault is in the training curves alone: one trained network, examined with constructed curves."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from benchmarks.doctor.abroad.cases import AbroadCase
from benchmarks.doctor.abroad.networks import draw, elman_step, trained_forecaster, waves, windows, zero_carry
from rnnjax.doctor import examine
from rnnjax.doctor.diagnosis import Diagnosis

ROWS = 1500
ROW = np.arange(ROWS)
Curves = Mapping[str, np.ndarray]


class RecordCase(NamedTuple):
    """Curves with a fault, or without one. Fields as of `AbroadCase`."""

    kind: str
    name: str
    expected: str
    curves: Callable[[], Curves]


def noise(scale: float = 0.02, seed: int = 11) -> np.ndarray:
    """Normal noise [S]."""
    return scale * np.random.default_rng(seed).normal(size=ROWS)


def decay(height: float = 2.0, rows: float = 150.0, start: int = 0) -> np.ndarray:
    """height exp(-(s - start) / rows) from row `start`, before it 0."""
    return np.where(start <= ROW, height * np.exp(-np.maximum(ROW - start, 0) / rows), 0.0)


def learned(floor: float = 0.3, height: float = 2.0) -> np.ndarray:
    """A loss that falls to a floor with little noise."""
    return floor + decay(height) + noise()


def only_loss(loss: np.ndarray) -> Curves:
    return {"loss": loss}


def with_norms(loss: np.ndarray, update: np.ndarray, gradient: np.ndarray | None = None) -> Curves:
    """A loss with norms of updates and gradients, one step a row."""
    gradient = 1 + np.abs(noise(0.1, 12)) if gradient is None else gradient
    return {"loss": loss, "update_norm": update, "gradient_norm": gradient, "steps": ROW + 1}


def tiny_loss() -> Curves:
    return only_loss(1e-6 + decay(3e-4, 100) * (1 + noise(0.05)) + np.abs(noise(2e-7, 12)))


def irregular_spikes() -> Curves:
    high = np.random.default_rng(3).random(ROWS) < 0.08
    return only_loss(learned() * np.where(high, 2.5, 1.0))


def final_rise(missing: int) -> Curves:
    """A loss that doubles over the last third. Args: missing: rows that are infinite."""
    loss = learned() + np.maximum(ROW - 1000, 0) / 800
    loss[np.random.default_rng(4).integers(0, 1400, missing)] = np.inf
    return only_loss(loss)


def sparse_loss() -> Curves:
    """Every tenth row and the last."""
    return only_loss(np.where((ROW % 10 == 0) | (ROW == ROWS - 1), learned(), np.nan))


def restarts(*leaps: tuple[int, float, float]) -> Curves:
    """Leaps of a loss that is learned again. Args: leaps: row, height and rows of decay of each."""
    return only_loss(learned() + sum(decay(height, rows, start) for start, height, rows in leaps))


def stopped_early(shift: float) -> Curves:
    """From row 800 on nothing is trained; the best parameters are kept, whose loss differs by a shift."""
    loss = np.where(ROW < 800, learned(), 0.3 + shift + noise(0.02, 13))
    return with_norms(loss, np.where(ROW < 800, 0.05, 0.0))


def still_falling(shift: float) -> Curves:
    """A loss that falls until row 800, after which no update is made. Args: shift: of the loss after it."""
    loss = 0.3 + 2 * np.exp(-np.minimum(ROW, 800) / 600) + noise() + np.where(ROW < 800, 0.0, shift)
    return with_norms(loss, np.where(ROW < 800, 0.05, 0.0))


def scheduled(rate: np.ndarray, rows: float) -> Curves:
    """A loss that falls with the sum of a learning rate [S]. Args: rows: the sum after which 1 / e is left."""
    return with_norms(0.3 + 2 * np.exp(-np.cumsum(rate) / rows) + noise(), 0.05 * rate * (1 + noise(0.05, 14)))


def large_gradient(norm: float, update_after: float) -> Curves:
    """One large gradient at row 300, and shorter updates after it, with which nothing is learned."""
    gradient = 1 + np.abs(noise(0.1, 12))
    gradient[300] = norm
    progress = ROW if update_after == 0.05 else np.minimum(ROW, 300)
    loss = 0.3 + 2 * np.exp(-progress / 200) + noise()
    return with_norms(loss, np.where(ROW < 300, 0.05, update_after), gradient)


def norms_of_skipped_steps() -> Curves:
    """Norms that are not finite in some rows, as those of steps that a loss scaler skips."""
    skipped = np.isin(ROW, (50, 51, 400, 900))
    gradient = np.where(skipped, np.inf, 1 + np.abs(noise(0.1, 12)))
    return with_norms(learned(), np.where(skipped, np.nan, 0.05), gradient)


COSINE = 0.5 * (1 + np.cos(np.pi * ROW / ROWS))
RECORDS = (
    RecordCase("loss about zero", "negative_likelihood", "", lambda: only_loss(-1.2 + decay(2, 200) + noise(0.1))),
    RecordCase("loss about zero", "crosses_zero_late", "", lambda: only_loss(-0.02 + decay(0.8) + noise(0.03))),
    RecordCase("loss about zero", "tiny_loss", "", tiny_loss),
    RecordCase("spikes", "irregular_spikes", "jumps", irregular_spikes),
    RecordCase("spikes", "one_row_of_each_pass", "", lambda: only_loss(learned() + 0.25 * (ROW % 14 == 3))),
    RecordCase(
        "spikes", "sine_of_each_pass", "", lambda: only_loss(learned(0.35) + 0.04 * np.sin(2 * np.pi * ROW / 37))
    ),
    RecordCase("missing rows", "rise", "rate_too_high", partial(final_rise, 0)),
    RecordCase("missing rows", "rise_with_infinite_rows", "rate_too_high", partial(final_rise, 60)),
    RecordCase("missing rows", "logged_every_tenth_row", "", sparse_loss),
    RecordCase("missing rows", "last_row", "", lambda: only_loss(np.where(ROW == ROWS - 1, np.nan, learned()))),
    RecordCase("missing rows", "last_tenth", "diverged", lambda: only_loss(np.where(ROW >= 1350, np.nan, learned()))),
    RecordCase("missing rows", "norms_of_skipped_steps", "", norms_of_skipped_steps),
    RecordCase("leap", "restart", "leap", partial(restarts, (700, 1.2, 60))),
    RecordCase("leap", "short_leap", "leap", partial(restarts, (900, 0.8, 25))),
    RecordCase("leap", "two_leaps", "leap", partial(restarts, (600, 1.2, 60), (1100, 1.0, 60))),
    RecordCase("leap", "no_leap", "", lambda: only_loss(learned())),
    RecordCase("standstill", "stopped_early", "", partial(stopped_early, 0.15)),
    RecordCase("standstill", "stopped_early_far_off", "", partial(stopped_early, 0.6)),
    RecordCase("standstill", "stopped_early_while_falling", "", partial(still_falling, 0.3)),
    RecordCase("standstill", "rate_set_to_0", "standstill", partial(still_falling, 0.0)),
    RecordCase("standstill", "cosine_schedule", "", partial(scheduled, COSINE, 150)),
    RecordCase("standstill", "exponential_schedule", "", partial(scheduled, np.exp(-ROW / 400), 40)),
    RecordCase("standstill", "decayed_too_fast", "standstill", partial(scheduled, np.exp(-ROW / 40), 40)),
    RecordCase("standstill", "dropped_too_early", "standstill", partial(scheduled, np.where(ROW < 120, 1, 1e-5), 200)),
    RecordCase("large gradient", "overflow", "optimizer_frozen", partial(large_gradient, 3e19, 0.004)),
    RecordCase("large gradient", "remembered", "optimizer_frozen", partial(large_gradient, 1e8, 5e-6)),
    RecordCase("large gradient", "recovered", "", partial(large_gradient, 3e6, 0.05)),
)


def examine_record(curves: Callable[[], Curves]) -> Diagnosis:
    """The trained forecaster with other curves."""
    batch = draw(windows(waves()))
    return examine(elman_step, trained_forecaster().params, batch, carry=zero_carry(), record=dict(curves()))


CASES = tuple(AbroadCase(case.kind, case.name, case.expected, partial(examine_record, case.curves)) for case in RECORDS)
