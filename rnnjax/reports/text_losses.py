"""Held-out losses of networks of a user's text beside those of n-grams: a table, and one sentence."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnjax.analysis.results import ArmResult, DataSummary, Results, per_seed
from rnnjax.analysis.statistics import Interval, estimate_mean
from rnnjax.reports import document as pages
from rnnjax.reports.formatting import format_value

MEASURED = "validation_loss"


class TextLosses(NamedTuple):
    """The networks and the n-grams of one text."""

    data: DataSummary
    networks: dict[str, np.ndarray]  # arm -> held-out loss of each seed


def text_losses(results: Results) -> list[TextLosses]:
    """One entry for each text whose arms have a held-out loss and whose n-grams are known."""
    found: dict[int, TextLosses] = {}
    for arm in results.arms:
        data = results.data_by_arm[arm.name]
        if data.ngram_losses and is_measured(arm):
            known = found.setdefault(id(data), TextLosses(data, {}))
            known.networks[arm.name] = per_seed(arm, MEASURED)
    return list(found.values())


def is_measured(arm: ArmResult) -> bool:
    return MEASURED in arm.metrics and bool(np.isfinite(arm.metrics[MEASURED]).all())


def text_tables(results: Results) -> list[pages.ReportTable]:
    """For each text a table of its networks and n-grams, the lowest loss first."""
    texts = text_losses(results)
    return [text_table(text, f"text-{n}" if len(texts) > 1 else "text") for n, text in enumerate(texts, 1)]


def text_table(text: TextLosses, name: str) -> pages.ReportTable:
    """The losses in nats per token, in bits per character, and as a perplexity."""
    values = text.networks | {f"{n}-gram": np.array([loss]) for n, loss in enumerate(text.data.ngram_losses, 1)}
    per_character = text.data.tokens_per_character / math.log(2)
    rows: list[list[pages.TableCell]] = [
        [one, estimate(losses), estimate(losses * per_character), estimate(np.exp(losses))]
        for one, losses in sorted(values.items(), key=lambda item: float(item[1].mean()))
    ]
    return pages.ReportTable(
        name,
        "Loss on the held-out text, beside n-grams",
        ["predictor", text.data.loss_unit, "bits per character", f"perplexity per {text.data.token}"],
        rows,
        "n-grams: interpolated Witten-Bell estimates from the training part, on the same held-out part. Networks: mean "
        "over seeds, with a 95% interval.",
    )


def estimate(values: np.ndarray) -> Interval | float | None:
    """The mean of several seeds with its interval; a single number as it is."""
    return float(values[0]) if len(values) == 1 else estimate_mean(values)


def text_sentences(results: Results) -> list[str]:
    """For each text, between which n-grams its best network lies."""
    return [text_sentence(text) for text in text_losses(results)]


def text_sentence(text: TextLosses) -> str:
    """An n-gram is beaten where the whole interval over seeds lies below its loss."""
    arm = min(text.networks, key=lambda name: float(text.networks[name].mean()))
    losses, per_character = text.networks[arm], text.data.tokens_per_character / math.log(2)
    interval = estimate(losses)
    high = interval.high if isinstance(interval, Interval) and np.isfinite(interval.high) else float(losses.mean())
    low = interval.low if isinstance(interval, Interval) and np.isfinite(interval.low) else float(losses.mean())
    ngrams = dict(enumerate(text.data.ngram_losses, 1))
    beaten = [n for n, loss in ngrams.items() if high < loss]
    others = [n for n in ngrams if n not in beaten]
    bits = f"{float(losses.mean()) * per_character:.3g} bits per character"
    ends = [f"better than {list_ngrams(beaten)}"] if beaten else []
    ends += [describe_unbeaten(others, ngrams, low)] if others else []
    return f"Held-out loss of {arm}: {format_value(interval)} {text.data.loss_unit} ({bits}); {', '.join(ends)}."


def describe_unbeaten(others: Sequence[int], ngrams: dict[int, float], low: float) -> str:
    """Whether the best of these n-grams is better, or not told apart."""
    best = min(others, key=lambda n: ngrams[n])
    verb = "worse than" if ngrams[best] < low else "not told apart from"
    return f"{verb} the best of the others, the {best}-gram ({ngrams[best]:.4g})"


def list_ngrams(numbers: Sequence[int]) -> str:
    """ "n-grams with n = 1 to 4"."""
    first, last = min(numbers), max(numbers)
    whole = list(numbers) == list(range(first, last + 1)) and last > first
    return f"n-grams with n = {first} to {last}" if whole else f"the {', '.join(f'{n}-gram' for n in numbers)}"
