"""Trends of one training loss [S]: its rise, its fall at the end, and its spikes."""

import numpy as np

from rnnjax.analysis.loss_spikes import BEFORE, medians_before

SEGMENTS = 10  # of training: the first, the last and the lowest are compared
NOISE_ERRORS = 4.0  # standard errors of a segment's mean; a smaller rise or fall is noise
CURVATURE_MEDIAN = 6**0.5 * 0.6745  # median of |x - 2 y + z| of three normal values, in standard deviations
LEAST_LEARNED = 0.05  # of the first loss: a smaller fall counts as this much
# A row is a spike if it is above the median of the 40 rows before by the largest of
JUMP_SHARE = 0.5  # this share of the median,
JUMP_LEARNED = 0.05  # this share of all that was learned,
JUMP_NOISE = 5.0  # and this many standard deviations of the rows below the median
ONE_SIGMA = 0.1587  # quantile of a normal distribution one standard deviation below its mean
PERIODICITY = 0.5  # autocorrelation from which a period is taken for that of the data


def trend_indicators(loss_S: np.ndarray) -> dict[str, float]:
    """rise, fall_at_end and jumps of a finite loss.

    rise         (last loss - lowest loss) / (first loss - lowest loss), of tenths of training
    fall_at_end  (loss of the tenth before the last - last loss) / (first loss - lowest loss)
    jumps        share of spikes; a pattern that returns with one period is that of the data, and is no spike

    Of rise and fall_at_end, 4 standard errors of a segment's mean are subtracted as noise.
    """
    tenths_M = segment_means(loss_S)
    start_S = loss_S[: max(1, len(loss_S) // 100)]
    first, last, lowest = start_S.mean(), tenths_M[-1], tenths_M.min()
    first_noise, tenth_noise = NOISE_ERRORS * noise_deviation(loss_S) / len(start_S) ** 0.5, segment_noise(loss_S)
    learned = learned_loss(loss_S)
    values = {
        "rise": max(last - min(first + first_noise, lowest + tenth_noise), 0.0) / learned,
        "fall_at_end": max(tenths_M[-2] - last - tenth_noise, 0.0) / learned,
    }
    return values | ({"jumps": jump_share(loss_S)} if len(loss_S) > 2 * BEFORE else {})


def segment_means(loss_S: np.ndarray) -> np.ndarray:
    """The means of ten equal parts of training."""
    return np.array([part.mean() for part in np.array_split(loss_S, SEGMENTS)])


def learned_loss(loss_S: np.ndarray) -> float:
    """First loss - lowest loss, at least 5% of the first."""
    first = loss_S[: max(1, len(loss_S) // 100)].mean()
    return float(max(first - segment_means(loss_S).min(), LEAST_LEARNED * abs(first) + 1e-12))


def segment_noise(loss_S: np.ndarray) -> float:
    """4 standard errors of the mean of a tenth: of independent rows, or of quarters of the last tenth if larger.

    Rows of successive batches of the data are not independent; the quarters vary about their own line.
    """
    independent = noise_deviation(loss_S) / (len(loss_S) // SEGMENTS) ** 0.5
    last_S = loss_S[-(len(loss_S) // SEGMENTS) :]
    if len(last_S) < 2 * SEGMENTS:
        return NOISE_ERRORS * independent
    quarters = np.array([part.mean() for part in np.array_split(last_S, 4)])
    line = np.polyval(np.polyfit(np.arange(4), quarters, 1), np.arange(4))
    correlated = np.sqrt(np.sum((quarters - line) ** 2) / 2) / 2
    return float(NOISE_ERRORS * max(independent, correlated))


def noise_deviation(loss_S: np.ndarray) -> float:
    """The standard deviation of rows about their neighbours; 0 for a straight line."""
    return float(np.median(np.abs(np.diff(loss_S, n=2))) / CURVATURE_MEDIAN)


def jump_share(loss_S: np.ndarray) -> float:
    """The share of spikes among the rows that have 40 rows before them."""
    return float(np.mean(find_spikes(loss_S)[BEFORE:]))


def find_spikes(loss_S: np.ndarray) -> np.ndarray:
    """Which rows [S] lie far above the median of the 40 rows before them; none without so many rows before."""
    median_S = medians_before(loss_S[None])[0, BEFORE:]
    excess_S = loss_S[BEFORE:] - median_S
    excess_S = excess_S - periodic_part(excess_S)
    below = -np.quantile(excess_S[len(excess_S) // 2 :], ONE_SIGMA)
    sizes = JUMP_SHARE * np.abs(median_S), JUMP_LEARNED * learned_loss(loss_S), JUMP_NOISE * below
    return np.concatenate([np.zeros(BEFORE, bool), excess_S > np.max(np.broadcast_arrays(*sizes), axis=0)])


def periodic_part(excess_S: np.ndarray) -> np.ndarray:
    """The part [S] that returns with one period: the median over the periods, by phase; 0 without a period.

    The batches of every pass through the data come in the same order: some are harder than others.
    """
    late_S = excess_S[len(excess_S) // 2 :]
    period = find_period(late_S)
    if period is None:
        return np.zeros_like(excess_S)
    phases = (np.arange(len(excess_S)) - (len(excess_S) - len(late_S))) % period
    return np.array([np.median(late_S[phase::period]) for phase in range(period)])[phases]


def find_period(excess_S: np.ndarray) -> int | None:
    """The lag of the highest autocorrelation, from 2 to a third of the rows; None if it is below 0.5."""
    centred_S = excess_S - excess_S.mean()
    lags = np.arange(2, len(excess_S) // 3 + 1)
    if not len(lags) or not np.any(centred_S):
        return None
    power = np.abs(np.fft.rfft(centred_S, 2 * len(centred_S))) ** 2
    products = np.fft.irfft(power)[: len(centred_S)]
    energy = np.cumsum(centred_S**2)
    starts, ends = energy[len(centred_S) - lags - 1], energy[-1] - energy[lags - 1]
    correlation = products[lags] / np.maximum(np.sqrt(starts * ends), 1e-30)
    best = int(np.argmax(correlation))
    return int(lags[best]) if correlation[best] > PERIODICITY else None
