"""Indicators of the predictions: what they can reach, which classes they name, what simple predictors reach."""

import numpy as np

from rnnjax.doctor.batch import Batch, boolean_mask
from rnnjax.doctor.indicators.layout import pair_information

PILED = 0.02  # share of the outputs within 0.1% of the range of a bound: they are cut off there
MIN_VALUES = 100
BEYOND = 0.05  # standard deviations of a target: nearer targets count as within the bound
MOST_NUMBERS = 256  # different whole numbers that may be classes
MIN_CLASSES = 3


def least_possible_loss(outputs_TBV: np.ndarray, mask_TB: np.ndarray) -> float:
    """The lowest cross-entropy of logits between the bounds that the outputs never leave, over log V; 0 without bounds.

    log(1 + (V - 1) exp(low - high)): the target's logit at the upper bound, all others at the lower one. Bounds are 0
    and 1 (a sigmoid or a softmax), -1 and 1 (tanh), values at which outputs pile up (clipping), or those of a constant
    norm (normalised logits). Outputs that are exactly 0 in many places come from a ReLU: all logits of a step at 0 are
    chance.
    """
    values = outputs_TBV[mask_TB]
    symbols = values.shape[-1]
    if values.size < MIN_VALUES or symbols < 2 or not np.isfinite(values).all():
        return np.nan
    if np.mean(np.ptp(values, axis=0) > 0) < 0.5:
        return 0.0  # the same at all steps: nothing is known of bounds
    gaps = [gap for gap in (bounded_gap(values), normalised_gap(values)) if gap is not None]
    least = [float(np.log1p((symbols - 1) * np.exp(-gap)) / np.log(symbols)) for gap in gaps]
    return max([*least, relu_share(values)])


def bounded_gap(values: np.ndarray) -> float | None:
    """Upper minus lower bound of the outputs; None without bounds."""
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        return 1.0
    if low >= -1 and high <= 1 and np.mean(np.abs(values) > 0.9) > PILED:
        return 2.0
    near = 1e-3 * (high - low)
    piled = [np.mean(values <= low + near), np.mean(values >= high - near)]
    return high - low if min(piled) > PILED else None


def normalised_gap(values: np.ndarray) -> float | None:
    """The largest difference of one logit from all others if every step's logits have one norm; None if not."""
    symbols = values.shape[-1]
    if symbols < 3:
        return None
    for centred in (values - values.mean(axis=-1, keepdims=True), values):
        norms = np.linalg.norm(centred, axis=-1)
        if norms.mean() > 0 and norms.std() < 1e-3 * norms.mean():
            return float(norms.mean() * np.sqrt(symbols / (symbols - 1)))
    return None


def relu_share(values: np.ndarray) -> float:
    """The share of logits that are exactly 0, if none is negative."""
    share = float(np.mean(values == 0))
    return share if values.min() >= 0 and share > 0.2 else 0.0


def unreachable_targets(outputs_TBO: np.ndarray, batch: Batch) -> tuple[float, str]:
    """The largest share, over columns, of targets beyond a bound that the outputs never leave; and that bound."""
    targets, mask_TB = np.asarray(batch.targets, float), boolean_mask(batch)
    worst, bound = 0.0, ""
    for o in range(targets.shape[-1]):
        y_N, t_N = outputs_TBO[mask_TB][:, o], targets[mask_TB][:, o]
        if len(y_N) < MIN_VALUES or not np.isfinite(y_N).all():
            return np.nan, ""
        for sign, name in ((1.0, "above"), (-1.0, "below")):
            limit = upper_bound(sign * y_N, sign * t_N)
            share = 0.0 if limit is None else float(np.mean(sign * t_N > limit + BEYOND * t_N.std()))
            if limit is not None and share > worst:
                worst, bound = share, f"outputs end at {sign * limit + 0.0:.3g}; these targets lie {name} it"
    return worst, bound


def upper_bound(y_N: np.ndarray, t_N: np.ndarray) -> float | None:
    """The upper bound of the outputs: a value at which they pile up, or one of -1, 0, 1 that they approach; else None.

    They approach a bound if they are near it wherever the targets lie beyond.
    """
    high = float(y_N.max())
    deviation = max(float(t_N.std()), 1e-30)
    if np.mean(y_N == high) > PILED and np.ptp(y_N) > 0:
        return high
    for bound in (0.0, 1.0):
        beyond = t_N > bound + BEYOND * deviation
        if high <= bound and beyond.mean() > PILED and bound - np.quantile(y_N[beyond], 0.75) < 0.03 * deviation:
            return bound
    return None


def one_class(outputs_TBV: np.ndarray, batch: Batch) -> tuple[np.ndarray, str]:
    """1 - the share of other classes [B] among the predictions, over streams, and what is never predicted."""
    mask_TB, targets = boolean_mask(batch), np.asarray(batch.targets)
    predicted_TB = outputs_TBV.argmax(axis=-1)
    classes, counts = np.unique(predicted_TB[mask_TB], return_counts=True)
    most = int(classes[np.argmax(counts)])
    share_B = np.array([
        np.mean(predicted_TB[mask_TB[:, b], b] == most) if mask_TB[:, b].any() else np.nan
        for b in range(mask_TB.shape[1])
    ])  # fmt: skip
    share = float(np.mean(targets[mask_TB] == most))
    return share_B, f"class {most}, which is {share:.3g} of the targets"


def other_classes(batch: Batch) -> float:
    """The share of targets that are not the most common class."""
    counts = np.unique(np.asarray(batch.targets)[boolean_mask(batch)], return_counts=True)[1]
    return float(1 - counts.max() / counts.sum())


def classes_as_numbers(batch: Batch) -> float:
    """How much more of a whole-numbered target a table of the last one saves than a line does, as a share of all.

    Numbers of things have an order: near ones follow each other, and their frequencies change smoothly. Ids have none.
    0 if the targets are not 3 to 256 different whole numbers, or their frequencies are smooth.
    """
    targets, mask_TB = np.asarray(batch.targets, float), boolean_mask(batch)
    if targets.shape[-1] != 1:
        return 0.0
    units = to_whole_numbers(targets[..., 0][mask_TB])
    if units is None:
        return 0.0
    numbers_TB = np.zeros(mask_TB.shape, int)
    numbers_TB[mask_TB] = units
    pairs = mask_TB[1:] & mask_TB[:-1]
    first, second = numbers_TB[:-1][pairs], numbers_TB[1:][pairs]
    if len(first) < MIN_VALUES or not roughness(units) > 4:
        return 0.0
    table = pair_information(first, second)
    correlation = np.corrcoef(first, second)[0, 1] if np.ptp(first) and np.ptp(second) else 0.0
    return max(0.0, table - float(correlation**2))


def to_whole_numbers(values_N: np.ndarray) -> np.ndarray | None:
    """Values on a grid as whole numbers from 0; None if they lie on none, or are too few or too many."""
    known = np.unique(values_N)
    if not MIN_CLASSES <= len(known) <= MOST_NUMBERS or len(known) * 4 > len(values_N):
        return None
    steps = (known - known[0]) / np.diff(known).min()
    if np.abs(steps - np.round(steps)).max() > 1e-3 or steps[-1] > MOST_NUMBERS:
        return None
    return np.asarray(np.round((values_N - known[0]) / np.diff(known).min()).astype(int))


def roughness(numbers_N: np.ndarray) -> float:
    """Mean square of the second differences of the frequencies, over that of counting noise: near 1 if smooth."""
    counts = np.bincount(numbers_N).astype(float)
    if len(counts) < 3:
        return 0.0
    second = counts[:-2] - 2 * counts[1:-1] + counts[2:]
    return float(np.sum(second**2) / np.sum(counts[:-2] + 4 * counts[1:-1] + counts[2:]))


def copied_symbols(outputs_TBV: np.ndarray, batch: Batch) -> tuple[float, float]:
    """The shares of the steps at which the prediction is the input, and at which the target is the input."""
    inputs, targets, mask_TB = np.asarray(batch.inputs), np.asarray(batch.targets), boolean_mask(batch)
    predicted_TB = outputs_TBV.argmax(axis=-1)
    return float(np.mean((predicted_TB == inputs)[mask_TB])), float(np.mean((targets == inputs)[mask_TB]))
