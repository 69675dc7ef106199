"""Errors by distance from a true context, in texts of a grammar."""

from typing import Any, NamedTuple

import numpy as np

from rnnjax.settings.metrics import SHARE, Metric
from rnnjax.settings.vocabulary import text_to_ids
from rnnjax.tasks.automaton import Language, build_language, judge_texts, judge_words
from rnnjax.tasks.grammar import Grammar, generate_text, grammar_vocabulary, total_surprisal

BIN = 25  # characters
PROMPT = 2 * BIN  # characters read before the first measured one; no sentence is longer
BINS = 20  # of a grammar; of another text, which may be short, half as many
LAGS = 50  # measured steps after an injected error
INJECTION_BINS = (2, 6)  # bins with an injected error at their beginning

WORDS = "share of invalid words among the words that end there"
SENTENCES = "share of the words that end there that belong to no complete sentence"
SURPRISAL = (
    "surprisal of complete sentences under the exact grammar: an impossible character has none, and reading goes on at "
    "the next word at which a whole sentence begins"
)
BY_BIN = f"by bin of {BIN} characters after the prompt"


def binned_metrics(total: str, trend: str, definition: str, unit: str = "") -> dict[str, Metric]:
    """The metrics of values by bin: the curve, its mean and its slope."""
    per = f"{unit} per 100 characters" if unit else "per 100 characters"
    return {
        f"{total}_by_bin": Metric(f"{definition}, {BY_BIN}", unit, "lower", "lag"),
        total: Metric(f"{definition}, mean over the bins of {BIN} characters after the prompt", unit, "lower"),
        trend: Metric(f"least-squares slope over position of: {definition}", per, "lower"),
    }


def end_metrics(suffix: str, definition: str) -> dict[str, Metric]:
    """The metrics of the first and the last bin."""
    return {
        f"error_first{suffix}": Metric(
            f"{definition}, in the first bin of {BIN} characters", better="lower", range=SHARE
        ),
        f"error_last{suffix}": Metric(
            f"{definition}, in the last bin of {BIN} characters", better="lower", range=SHARE
        ),
        f"error_growth{suffix}": Metric(f"error_last{suffix} / error_first{suffix}; NaN where the latter is 0"),
    }


POSITION_METRICS = {
    **binned_metrics("invalid_words", "error_slope", WORDS),
    **binned_metrics("invalid_sentences", "error_slope_sentences", SENTENCES),
    **binned_metrics("true_surprisal", "surprisal_slope", SURPRISAL, "nats per character"),
    **end_metrics("", WORDS),
    **end_metrics("_sentences", SENTENCES),
}


def excess_metrics(suffix: str, error: str) -> dict[str, Metric]:
    """The metrics of the excess after an injected error."""
    excess = f"probability that the character k steps after an injected error lies in {error}, minus that without it"
    return {
        f"injected_excess{suffix}": Metric(f"{excess}, by k, both running freely", kind="lag"),
        f"excess_30{suffix}": Metric(f"{excess}, mean over k = 26 ... 35", better="lower"),
    }


BRANCHED_WORDS = f"share of invalid words within {BIN} characters after a true context of the same length"
ERROR_METRICS = {
    **POSITION_METRICS,
    "forced_invalid_words_by_bin": Metric(f"{BRANCHED_WORDS}, {BY_BIN}", better="lower", kind="lag"),
    "forced_invalid_words": Metric(f"{BRANCHED_WORDS}, mean over the bins", better="lower", range=SHARE),
    "exposure_gap": Metric(
        "invalid_words - forced_invalid_words", better="lower", source="He et al. 2021, arXiv:1905.10617"
    ),
    **excess_metrics("", "an invalid word"),
    **excess_metrics("_sentences", "no complete sentence"),
}


class TrueTexts(NamedTuple):
    """P texts of a grammar, cut at regular intervals from a long text, with their exact probabilities."""

    ids_PN: np.ndarray  # int32
    starts_PN: np.ndarray  # bool: a sentence begins here
    surprisal_PN: np.ndarray  # nats, under the exact grammar
    best_PN: np.ndarray  # bool: the character is a likeliest one


def true_texts(grammar: Grammar, texts: int, length: int, seed: tuple[int, ...]) -> TrueTexts:
    """Texts apart from the training text, whatever its length."""
    apart = length + 17  # so that texts begin at all positions of a sentence
    known, rng = build_language(grammar), np.random.default_rng(seed)
    whole = generate_text(grammar, texts * apart, rng)
    ids_N = text_to_ids(whole, grammar_vocabulary(grammar))
    starts_N = judge_texts(known, ids_N[None], np.zeros(1, int)).starts_SN[0]
    surprisal_N = total_surprisal(grammar, whole)
    position, best_N = 0, np.zeros(len(ids_N), bool)
    for n, symbol in enumerate(ids_N):
        position = 0 if starts_N[n] else position
        row = known.sentences.surprisal_AV[position]
        best_N[n] = row[symbol] <= row.min() + 1e-6
        position = known.sentences.transitions_AV[position, symbol]
    columns = (leaf.reshape(texts, apart)[:, :length] for leaf in (ids_N, starts_N, surprisal_N, best_N))
    return TrueTexts(*columns)


def first_starts(starts_PN: np.ndarray, position: int) -> np.ndarray:
    """The first sentence start at or after a position of each text [P], relative to that position."""
    return np.argmax(starts_PN[:, position:], axis=1)


def nan_mean(values: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """The mean of the values that are not NaN; NaN where all are."""
    counts = np.sum(~np.isnan(values), axis=axis)
    return np.where(counts > 0, np.nansum(values, axis=axis) / np.maximum(counts, 1), np.nan)


def bin_means(values_SN: np.ndarray, start: int, bins: int) -> np.ndarray:
    """Means over texts and bins of BIN characters, from a position on: [bins]."""
    cut = values_SN[:, start : start + bins * BIN].reshape(len(values_SN), bins, BIN)
    return nan_mean(cut, axis=(0, 2))


def slope(values: np.ndarray) -> float:
    """Least-squares slope of values by bin, per 100 characters."""
    x = BIN / 100 * (np.arange(len(values)) - (len(values) - 1) / 2)
    return float(x @ (values - np.mean(values)) / (x @ x))


def growth(values: np.ndarray) -> float:
    """The last bin over the first; NaN where the first has no errors."""
    return float(values[-1] / values[0]) if values[0] > 0 else np.nan


def errors_by_position(
    known: Language, ids_SN: np.ndarray, first_S: np.ndarray, start: int, bins: int
) -> dict[str, Any]:
    """Errors of texts by their distance from `start`: POSITION_METRICS."""
    verdicts = judge_texts(known, ids_SN, first_S)
    words = bin_means(verdicts.wrong_words_SN, start, bins)
    sentences = bin_means(verdicts.wrong_sentences_SN, start, bins)
    surprise = bin_means(verdicts.surprisal_SN, start, bins)
    return {
        "invalid_words_by_bin": words,
        "invalid_sentences_by_bin": sentences,
        "true_surprisal_by_bin": surprise,
        "invalid_words": np.mean(words),
        "invalid_sentences": np.mean(sentences),
        "true_surprisal": np.mean(surprise),
        "error_slope": slope(words),
        "error_slope_sentences": slope(sentences),
        "surprisal_slope": slope(surprise),
        "error_first": words[0],
        "error_last": words[-1],
        "error_growth": growth(words),
        "error_first_sentences": sentences[0],
        "error_last_sentences": sentences[-1],
        "error_growth_sentences": growth(sentences),
    }


def exposure_errors(
    known: Language, texts: TrueTexts, free: np.ndarray, branched: np.ndarray, injected: np.ndarray
) -> dict[str, Any]:
    """ERROR_METRICS: free-running, branched from the true text at each bin, and after an injected error."""
    whole_PN = np.concatenate([texts.ids_PN[:, :PROMPT], free], axis=1)
    errors = errors_by_position(known, whole_PN, first_starts(texts.starts_PN, 0), PROMPT, BINS)
    forced = branched_errors(known, texts, branched)
    return errors | {
        "forced_invalid_words_by_bin": forced,
        "forced_invalid_words": np.mean(forced),
        "exposure_gap": errors["invalid_words"] - np.mean(forced),
        **injected_excess(known, texts, injected),
    }


def branched_errors(known: Language, texts: TrueTexts, branched_SN: np.ndarray) -> np.ndarray:
    """Share of invalid words by bin [BINS]; the true text before each branch has the beginning of its first word."""
    contexts = [texts.ids_PN[:, position : position + PROMPT] for position in range(0, BINS * BIN, BIN)]
    first_S = np.concatenate([first_starts(texts.starts_PN, position) for position in range(0, BINS * BIN, BIN)])
    whole_SN = np.concatenate([np.concatenate(contexts), branched_SN], axis=1)
    wrong_SN = judge_words(known, whole_SN, first_S)[:, PROMPT:]
    return nan_mean(wrong_SN.reshape(BINS, -1), axis=1)


def injected_excess(known: Language, texts: TrueTexts, injected_CN: np.ndarray) -> dict[str, Any]:
    """Excess error probability k characters after an injected error, which the second half of the texts has."""
    positions = [bin_ * BIN for bin_ in INJECTION_BINS]
    contexts = np.concatenate([texts.ids_PN[:, position : position + PROMPT] for position in positions])
    first_C = np.concatenate([first_starts(texts.starts_PN, position) for position in positions])
    whole_CN = np.concatenate([np.concatenate([contexts, contexts]), injected_CN], axis=1)
    verdicts = judge_texts(known, whole_CN, np.concatenate([first_C, first_C]))
    found: dict[str, Any] = {}
    for suffix, wrong_CN in (("", verdicts.wrong_words_SN), ("_sentences", verdicts.wrong_sentences_SN)):
        wrong_CN = word_end_values(wrong_CN)[:, PROMPT : PROMPT + LAGS + 1]
        baseline, after = nan_mean(wrong_CN.reshape(2, -1, LAGS + 1), axis=1)
        found |= {
            f"injected_excess{suffix}": after - baseline,
            f"excess_30{suffix}": np.mean((after - baseline)[26:36]),
        }
    return found


def word_end_values(wrong_SN: np.ndarray) -> np.ndarray:
    """The value at the end of the word of every character; NaN where no judged end follows."""
    size = wrong_SN.shape[1]
    ends_SN = np.where(np.isnan(wrong_SN), size - 1, np.arange(size))
    next_SN = np.minimum.accumulate(ends_SN[:, ::-1], axis=1)[:, ::-1]
    return np.take_along_axis(wrong_SN, next_SN, axis=1)
