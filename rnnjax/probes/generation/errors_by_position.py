"""Errors by their distance from a true context, in texts that a grammar can judge."""

from typing import Any, NamedTuple

import numpy as np

from rnnjax.metrics import Metric
from rnnjax.tasks.automaton import Language, build_language, judge_texts, judge_words
from rnnjax.tasks.grammar import Grammar, generate_text, grammar_vocabulary, total_surprisal
from rnnjax.tasks.text import text_to_ids

BIN = 25  # characters
PROMPT = 2 * BIN  # characters read before anything is measured; no sentence is longer
BINS = 20  # of a grammar; of another text, which may be short, half as many
LAGS = 50  # steps looked at after an injected error
INJECTED_AT = (2, 6)  # bins at whose beginning an error is injected

WORDS = "share of invalid words among the words that end there"
SENTENCES = "share of the words that end there that belong to no complete sentence"
SURPRISAL = (
    "surprisal of complete sentences under the exact grammar: an impossible character has none, and reading goes on at "
    "the next word at which a whole sentence begins"
)
EVERY_BIN = f"by bin of {BIN} characters after the prompt"


def binned_metrics(total: str, trend: str, definition: str, unit: str = "") -> dict[str, Metric]:
    """The metrics of values by bin: the curve, its mean and its slope."""
    per = f"{unit} per 100 characters" if unit else "per 100 characters"
    return {
        f"{total}_by_bin": Metric(f"{definition}, {EVERY_BIN}", unit, "lower", "lag"),
        total: Metric(f"{definition}, mean over the bins of {BIN} characters after the prompt", unit, "lower"),
        trend: Metric(f"least-squares slope over position of: {definition}", per, "lower"),
    }


def end_metrics(suffix: str, definition: str) -> dict[str, Metric]:
    """The metrics of the first and the last bin."""
    return {
        f"error_first{suffix}": Metric(f"{definition}, in the first bin of {BIN} characters", better="lower"),
        f"error_last{suffix}": Metric(f"{definition}, in the last bin of {BIN} characters", better="lower"),
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


FORCED = f"share of invalid words within {BIN} characters after a true context of the same length"
ERROR_METRICS = {
    **POSITION_METRICS,
    "forced_invalid_words_by_bin": Metric(f"{FORCED}, {EVERY_BIN}", better="lower", kind="lag"),
    "forced_invalid_words": Metric(f"{FORCED}, mean over the bins", better="lower"),
    "exposure_gap": Metric("invalid_words - forced_invalid_words", better="lower", source="arXiv:1905.10617"),
    **excess_metrics("", "an invalid word"),
    **excess_metrics("_sentences", "no complete sentence"),
}


class TrueTexts(NamedTuple):
    """P texts of a grammar, cut at regular places out of a long one, with what the grammar knows of them."""

    ids_PN: np.ndarray  # int32
    starts_PN: np.ndarray  # bool: where a sentence begins
    surprisal_PN: np.ndarray  # nats, under the exact grammar
    best_PN: np.ndarray  # bool: whether the character is a likeliest one


def true_texts(grammar: Grammar, texts: int, length: int, seed: tuple[int, ...]) -> TrueTexts:
    """Texts that nobody has trained on, however short the corpus is."""
    apart = length + 17  # no multiple of anything, so that all places of a sentence come first as often
    known, rng = build_language(grammar), np.random.default_rng(seed)
    whole = generate_text(grammar, texts * apart, rng)
    ids_N = text_to_ids(whole, grammar_vocabulary(grammar))
    starts_N = judge_texts(known, ids_N[None], np.zeros(1, int)).starts_SN[0]
    surprisal_N = total_surprisal(grammar, whole)
    place, best_N = 0, np.zeros(len(ids_N), bool)
    for n, symbol in enumerate(ids_N):
        place = 0 if starts_N[n] else place
        row = known.sentences.surprisal_AV[place]
        best_N[n] = row[symbol] <= row.min() + 1e-6
        place = known.sentences.transitions_AV[place, symbol]
    columns = (leaf.reshape(texts, apart)[:, :length] for leaf in (ids_N, starts_N, surprisal_N, best_N))
    return TrueTexts(*columns)


def first_starts(starts_PN: np.ndarray, place: int) -> np.ndarray:
    """The first sentence start at or after a place of each text [P], counted from that place."""
    return np.argmax(starts_PN[:, place:], axis=1)


def mean_judged(values: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """The mean of what is not NaN; NaN where nothing was judged."""
    counts = np.sum(~np.isnan(values), axis=axis)
    return np.where(counts > 0, np.nansum(values, axis=axis) / np.maximum(counts, 1), np.nan)


def by_bin(values_SN: np.ndarray, start: int, bins: int) -> np.ndarray:
    """Means over texts and BIN characters each, from a place on."""
    cut = values_SN[:, start : start + bins * BIN].reshape(len(values_SN), bins, BIN)
    return mean_judged(cut, axis=(0, 2))


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
    words = by_bin(verdicts.wrong_words_SN, start, bins)
    phrases = by_bin(verdicts.wrong_sentences_SN, start, bins)
    surprise = by_bin(verdicts.surprisal_SN, start, bins)
    return {
        "invalid_words_by_bin": words,
        "invalid_sentences_by_bin": phrases,
        "true_surprisal_by_bin": surprise,
        "invalid_words": np.mean(words),
        "invalid_sentences": np.mean(phrases),
        "true_surprisal": np.mean(surprise),
        "error_slope": slope(words),
        "error_slope_sentences": slope(phrases),
        "surprisal_slope": slope(surprise),
        "error_first": words[0],
        "error_last": words[-1],
        "error_growth": growth(words),
        "error_first_sentences": phrases[0],
        "error_last_sentences": phrases[-1],
        "error_growth_sentences": growth(phrases),
    }


def errors_of(
    known: Language, texts: TrueTexts, free: np.ndarray, forked: np.ndarray, injected: np.ndarray
) -> dict[str, Any]:
    """Errors of the free run, of what is written beside the true text, and after an injected error."""
    whole_PN = np.concatenate([texts.ids_PN[:, :PROMPT], free], axis=1)
    errors = errors_by_position(known, whole_PN, first_starts(texts.starts_PN, 0), PROMPT, BINS)
    forced = forked_errors(known, texts, forked)
    return errors | {
        "forced_invalid_words_by_bin": forced,
        "forced_invalid_words": np.mean(forced),
        "exposure_gap": errors["invalid_words"] - np.mean(forced),
        **excess(known, texts, injected),
    }


def forked_errors(known: Language, texts: TrueTexts, forked_SN: np.ndarray) -> np.ndarray:
    """Share of invalid words by bin [BINS]; the true text before each fork says how its first word began."""
    contexts = [texts.ids_PN[:, place : place + PROMPT] for place in range(0, BINS * BIN, BIN)]
    first_S = np.concatenate([first_starts(texts.starts_PN, place) for place in range(0, BINS * BIN, BIN)])
    whole_SN = np.concatenate([np.concatenate(contexts), forked_SN], axis=1)
    wrong_SN = judge_words(known, whole_SN, first_S)[:, PROMPT:]
    return mean_judged(wrong_SN.reshape(BINS, -1), axis=1)


def excess(known: Language, texts: TrueTexts, injected_CN: np.ndarray) -> dict[str, Any]:
    """How much likelier an error is k characters after a wrong one: the second half of the texts has it."""
    places = [bin_ * BIN for bin_ in INJECTED_AT]
    contexts = np.concatenate([texts.ids_PN[:, place : place + PROMPT] for place in places])
    first_C = np.concatenate([first_starts(texts.starts_PN, place) for place in places])
    whole_CN = np.concatenate([np.concatenate([contexts, contexts]), injected_CN], axis=1)
    verdicts = judge_texts(known, whole_CN, np.concatenate([first_C, first_C]))
    found: dict[str, Any] = {}
    for suffix, wrong_CN in (("", verdicts.wrong_words_SN), ("_sentences", verdicts.wrong_sentences_SN)):
        wrong_CN = of_the_word_around(wrong_CN)[:, PROMPT : PROMPT + LAGS + 1]
        calm, after = mean_judged(wrong_CN.reshape(2, -1, LAGS + 1), axis=1)
        found |= {f"injected_excess{suffix}": after - calm, f"excess_30{suffix}": np.mean((after - calm)[26:36])}
    return found


def of_the_word_around(wrong_SN: np.ndarray) -> np.ndarray:
    """Every character has what the end of its word has; NaN where no judged end follows."""
    size = wrong_SN.shape[1]
    ends_SN = np.where(np.isnan(wrong_SN), size - 1, np.arange(size))
    next_SN = np.minimum.accumulate(ends_SN[:, ::-1], axis=1)[:, ::-1]
    return np.take_along_axis(wrong_SN, next_SN, axis=1)
