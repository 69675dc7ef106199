"""Facts of a text that no network determines: loops of its n-gram tables, lengths of its sentences."""

from collections import Counter, defaultdict

import numpy as np

from rnnjax.errors import NotApplicable
from rnnjax.probes.generation.free_running import LENGTH, LONGEST_PERIOD, LOOP_TAIL, PROMPT_LENGTH, PROMPTS
from rnnjax.probes.numerics.repetition import trailing_period
from rnnjax.settings import Spec
from rnnjax.settings.metrics import SHARE, Metric
from rnnjax.tasks.grammar import Grammar, sentence_probabilities
from rnnjax.tasks.windows import spread_windows
from rnnjax.types import Facts, Task

ORDERS = range(3, 9)  # of the n-gram tables

Followers = dict[tuple[int, ...], int]  # some characters -> the character that follows them most often

NGRAM_METRICS = {
    f"ngram_loop_rate_{n}": Metric(
        f"share of greedy texts of the {n}-gram table of the training text that end in a loop: the last {LOOP_TAIL} of "
        f"{LENGTH} characters have a period of at most {LONGEST_PERIOD}",
        range=SHARE,
    )
    for n in ORDERS
}
SENTENCE_METRICS = {
    "sentence_length": Metric("mean length of the grammar's sentences, with the space after them", unit="characters"),
    "sentence_length_90": Metric(
        "the length that 90% of the grammar's sentences do not exceed, with the space after them", unit="characters"
    ),
}


def corpus(spec: Spec, task: Task) -> Facts:
    """Facts of a text: NGRAM_METRICS, judged like the texts of a network in the probe `text` (500 characters after 32
    held-out prompts); of the grammar also SENTENCE_METRICS.

    Raises:
        NotApplicable: another task.
    """
    if spec.task.name not in ("grammar", "text"):
        raise NotApplicable(f"task.name: got '{spec.task.name}'; expected a text")
    prompts_TP = spread_windows(task.make_sequence(task.validation_N), PROMPT_LENGTH, PROMPTS).inputs_WTB[0]
    loops = {f"ngram_loop_rate_{n}": ngram_loop_rate(task.train_N, prompts_TP.T, n) for n in ORDERS}
    if spec.task.name == "text":
        return Facts(loops, NGRAM_METRICS)
    return Facts(loops | sentence_lengths(spec.task.determiner_probability), NGRAM_METRICS | SENTENCE_METRICS)


def sentence_lengths(determiner: float) -> dict[str, float]:
    """The mean length and the ninth decile of the grammar's sentences."""
    sentences = sentence_probabilities(Grammar(determiner=determiner))
    lengths, probabilities = np.array(list(map(len, sentences))), np.array(list(sentences.values()))
    order = np.argsort(lengths)
    longest_90 = lengths[order][np.searchsorted(np.cumsum(probabilities[order]), 0.9)]
    return {"sentence_length": float(lengths @ probabilities), "sentence_length_90": float(longest_90)}


def ngram_loop_rate(text_N: np.ndarray, prompts_PT: np.ndarray, n: int) -> float:
    """The share of continuations by the n-gram table of a text that end in a loop."""
    tables = [followers(text_N.tolist(), length) for length in range(n)]
    ids = np.array([greedy_continuation(tables, prompt, LENGTH) for prompt in prompts_PT.tolist()])
    return float(np.mean(trailing_period(ids, LONGEST_PERIOD, LOOP_TAIL) > 0))


def followers(text: list[int], length: int) -> Followers:
    """The most frequent character after each context of the given length; of equals, the first to occur."""
    counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for end in range(length, len(text)):
        counts[tuple(text[end - length : end])][text[end]] += 1
    return {context: counter.most_common(1)[0][0] for context, counter in counts.items()}


def greedy_continuation(tables: list[Followers], prompt: list[int], length: int) -> list[int]:
    """The given number of characters after a prompt, each the likeliest after the longest context that occurs."""
    ids = list(prompt)
    for _ in range(length):
        contexts = (tuple(ids[len(ids) - size :]) for size in reversed(range(len(tables))))
        ids.append(next(tables[len(end)][end] for end in contexts if end in tables[len(end)]))
    return ids[len(prompt) :]
