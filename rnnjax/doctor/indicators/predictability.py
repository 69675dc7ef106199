"""Losses of simple predictors on the data of an examination: levels of the loss, and the lags that matter.

All are fitted on one half of the streams and measured on the other half, and the reverse.
"""

from typing import NamedTuple

import numpy as np

from rnnjax.doctor.batch import Batch, boolean_mask, is_ids
from rnnjax.tasks.ngrams import context_losses

MIN_SAMPLES = 100  # steps that count; with fewer there are no levels
MOST_SYMBOLS = 64  # different ids as features; rarer ones are taken together
LONGEST_CONTEXT = 3  # ids, of an n-gram
PAST_STEPS = 8  # of the linear predictor
SAMPLES_PER_FEATURE = 6
LONGEST_LAG = 128
DOUBTFUL = 0.2  # a smaller share may be that of chance
RANDOM_ORDERS = 16
RIDGE = 1e-6  # of the mean square of the features


class Predictability(NamedTuple):
    """Held-out shares of the targets' variance that simple predictors explain, and losses in the unit of the loss."""

    explained_L: np.ndarray  # by the input at lag k alone, k = 0 ... L - 1
    explained_by_past: float  # by the inputs of the last steps together
    levels: dict[str, float]  # the loss of "chance", "persistence", "linear", or of "unigram", "bigram" ...

    @property
    def explained(self) -> float:
        """By the best of them."""
        return max(self.explained_by_past, float(np.max(self.explained_L, initial=0.0)))


def measure_predictability(batch: Batch, chance: float) -> Predictability | None:
    """Of a batch; None if it has too few steps that count. Args: chance: the loss of the best constant."""
    mask_TB = boolean_mask(batch)
    if mask_TB.sum() < MIN_SAMPLES or not chance > 0:
        return None
    inputs_TBF = features(np.asarray(batch.inputs), squares=True)
    targets_TBO = features(np.asarray(batch.targets), squares=False)
    lags = min(LONGEST_LAG, len(mask_TB) // 2 + 1)
    explained_L = np.array([explained_share(inputs_TBF, targets_TBO, mask_TB, (lag,)) for lag in range(lags)])
    past, count = past_lags(inputs_TBF, mask_TB), np.asarray(batch.inputs).ndim
    by_past = explained_share(inputs_TBF, targets_TBO, mask_TB, past)
    if count == 3:  # squares of all columns at all lags are often too many
        plain_TBF = features(np.asarray(batch.inputs), squares=False)
        by_past = max(by_past, explained_share(plain_TBF, targets_TBO, mask_TB, past_lags(plain_TBF, mask_TB)))
    if 0 < max(by_past, float(explained_L.max())) < DOUBTFUL:
        chances = chance_shares(inputs_TBF, targets_TBO, mask_TB, [*((lag,) for lag in range(lags)), past])
        explained_L, by_past = above_chance(explained_L, chances), float(above_chance(np.array(by_past), chances))
    levels = {"chance": chance} | known_levels(batch, mask_TB, chance, max(by_past, float(explained_L.max())))
    return Predictability(explained_L, max(by_past, ngram_share(levels)), levels)


def chance_shares(
    inputs_TBF: np.ndarray, targets_TBO: np.ndarray, mask_TB: np.ndarray, sets: list[tuple[int, ...]]
) -> np.ndarray:
    """The largest share that any of these sets of lags explains of targets in some random orders.

    The largest of many shares is above 0 also where each is 0 in the mean.
    """
    largest = []
    for seed in range(RANDOM_ORDERS):
        mixed_TBO = targets_TBO.copy()
        mixed_TBO[mask_TB] = np.random.default_rng(seed).permutation(targets_TBO[mask_TB])
        largest.append(max(explained_share(inputs_TBF, mixed_TBO, mask_TB, lags) for lags in sets))
    return np.array(largest)


def above_chance(shares: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """Shares that are larger than all by chance; 0 in the place of the others."""
    return np.where(shares > chances.max(), shares, 0.0)


def known_levels(batch: Batch, mask_TB: np.ndarray, chance: float, explained: float) -> dict[str, float]:
    """Losses of n-grams of ids, or of the last value and the linear predictor."""
    inputs, targets = np.asarray(batch.inputs), np.asarray(batch.targets)
    if is_ids(targets):
        return ngram_levels(inputs, targets, mask_TB) if is_ids(inputs) else {}
    levels = {"linear": chance * (1 - explained)}
    if inputs.shape == targets.shape and batch.predicts_next_input:
        scale_O = 1.0 if batch.target_scale_O is None else np.asarray(batch.target_scale_O)
        levels["persistence"] = float(np.mean((((inputs - targets) * scale_O) ** 2)[mask_TB]))
    return levels


def features(values: np.ndarray, squares: bool) -> np.ndarray:
    """Columns [T, B, F] without a unit: of ids, one for each of the most frequent; of numbers, and their squares."""
    if is_ids(values):
        known, counts = np.unique(values, return_counts=True)
        kept = known[np.argsort(-counts)][:MOST_SYMBOLS]
        return (values[..., None] == kept).astype(float)
    columns = values.astype(float)
    columns = (columns - columns.mean(axis=(0, 1))) / np.maximum(columns.std(axis=(0, 1)), 1e-30)
    return np.concatenate([columns, columns**2], axis=-1) if squares else columns


def past_lags(inputs_TBF: np.ndarray, mask_TB: np.ndarray) -> tuple[int, ...]:
    """The last lags that the number of samples allows, at least lag 0."""
    most = mask_TB.sum() // (2 * SAMPLES_PER_FEATURE * inputs_TBF.shape[-1])
    return tuple(range(int(max(1, min(PAST_STEPS, len(mask_TB) // 3, most)))))


def explained_share(
    inputs_TBF: np.ndarray, targets_TBO: np.ndarray, mask_TB: np.ndarray, lags: tuple[int, ...]
) -> float:
    """The held-out share of the targets' variance that a ridge regression on the inputs at some lags explains.

    0 if the lags have too few steps. The first steps, which lack a past, are left out.
    """
    steps, start = len(mask_TB), max(lags)
    past_TBF = np.concatenate([inputs_TBF[start - lag : steps - lag] for lag in lags], axis=-1)
    targets_TBO, mask_TB = targets_TBO[start:], mask_TB[start:]
    error = total = 0.0
    even_B = np.arange(mask_TB.shape[1]) % 2 == 0
    for fitted_B in (even_B, ~even_B):
        fitted, other = mask_TB & fitted_B, mask_TB & ~fitted_B
        if fitted.sum() < 2 * past_TBF.shape[-1] + 2 or not other.any():
            return 0.0
        predicted_NO, mean_O = ridge(past_TBF[fitted], targets_TBO[fitted], past_TBF[other])
        error += np.sum((predicted_NO - targets_TBO[other]) ** 2)
        total += np.sum((mean_O - targets_TBO[other]) ** 2)
    return max(0.0, 1 - error / total) if total > 0 else 0.0


def ridge(past_NF: np.ndarray, targets_NO: np.ndarray, new_MF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predictions [M, O] for new rows, and the mean [O] of the targets."""
    mean_F, mean_O = past_NF.mean(axis=0), targets_NO.mean(axis=0)
    centred = past_NF - mean_F
    penalty = RIDGE * (np.mean(centred**2) + 1e-12) * len(centred)
    gram = centred.T @ centred + penalty * np.eye(centred.shape[1])
    weights = np.linalg.solve(gram, centred.T @ (targets_NO - mean_O))
    return (new_MF - mean_F) @ weights + mean_O, mean_O


def ngram_levels(inputs_TB: np.ndarray, targets_TB: np.ndarray, mask_TB: np.ndarray) -> dict[str, float]:
    """The losses of n-grams whose context is the last inputs, up to 3 of them."""
    context = min(LONGEST_CONTEXT, len(inputs_TB) // 2)
    steps = len(inputs_TB)
    past_TBC = np.stack([inputs_TB[context - 1 - lag : steps - lag] for lag in range(context)], axis=-1)
    targets_TB, mask_TB = targets_TB[context - 1 :], mask_TB[context - 1 :]
    even_B = np.arange(mask_TB.shape[1]) % 2 == 0
    total, count, symbols = np.zeros(context + 1), 0, int(targets_TB.max()) + 1
    for fitted_B in (even_B, ~even_B):
        fitted, other = mask_TB & fitted_B, mask_TB & ~fitted_B
        if not fitted.any() or not other.any():
            return {}
        losses = context_losses(past_TBC[fitted], targets_TB[fitted], past_TBC[other], targets_TB[other], symbols)
        total, count = total + losses * other.sum(), count + other.sum()
    names = ("unigram", "bigram", "trigram", "4-gram")
    return dict(zip(names, (total / count).tolist(), strict=False))


def ngram_share(levels: dict[str, float]) -> float:
    """The share of the unigram loss that the best n-gram saves."""
    grams = [value for name, value in levels.items() if name.endswith("gram")]
    return max(0.0, 1 - min(grams) / levels["unigram"]) if "unigram" in levels and levels["unigram"] > 0 else 0.0
