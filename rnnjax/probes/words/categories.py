"""Word categories in the states of a network: accuracy of linear probes, and baselines without a network."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import BadInput, NotApplicable
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import build_network, require_unidirectional
from rnnjax.probes.numerics.word_vectors import (
    WARM_UP,
    cosines,
    leave_word_out_accuracy,
    resemblance,
    silhouette,
    streams,
    variance_ratio,
    word_labels,
)
from rnnjax.settings import HParams, Spec
from rnnjax.settings.metrics import CORRELATION, SHARE, Metric
from rnnjax.settings.vocabulary import ids_to_text
from rnnjax.tasks.grammar import DETERMINER, Grammar, build_grammar, word_categories, word_places
from rnnjax.training.state import TrainState
from rnnjax.types import Params, Probe, Task

CHARACTERS = 10_000  # of the training text that are read
CATEGORY_STREAMS = 20  # read side by side

PROBE_ACCURACY = "accuracy of a ridge regression of a word's category, left out in turn, on"
CATEGORY_METRICS = {
    "category_accuracy": Metric(f"{PROBE_ACCURACY} the states at its last letter", better="higher", range=SHARE),
    "category_accuracy_vectors": Metric(
        f"{PROBE_ACCURACY} its mean state at its last letter", better="higher", range=SHARE
    ),
    "category_start_accuracy": Metric(
        f"{PROBE_ACCURACY} the states at the space before it", better="higher", range=SHARE
    ),
    "majority_category": Metric("share of the words in the largest category", range=SHARE),
    "spelling_accuracy": Metric(
        f"{PROBE_ACCURACY} its letter n-grams up to n = 1, 2 or 3, whichever is most accurate", range=SHARE
    ),
    "suffix_accuracy": Metric(
        f"{PROBE_ACCURACY} its last letter, or its last one and two, whichever is more accurate", range=SHARE
    ),
    "position_accuracy": Metric(f"{PROBE_ACCURACY} the number of words before it in its sentence", range=SHARE),
    "silhouette": Metric(
        "silhouette of the categories of the centred word vectors, with the distance 1 - cosine",
        better="higher",
        source="Rousseeuw 1987, J. Comput. Appl. Math. 20:53",
        range=CORRELATION,
    ),
    "category_resemblance": Metric(
        "correlation over pairs of words of the cosine of their centred vectors with being of one category (1 or 0)",
        better="higher",
        source="Kriegeskorte et al. 2008, Front. Syst. Neurosci. 2:4",
        range=CORRELATION,
    ),
    "category_variance_ratio": Metric(
        "variance of the word vectors between the categories over that within", better="higher"
    ),
}


class Lexicon(NamedTuple):
    """The words of a grammar but for its determiner."""

    words: tuple[str, ...]  # [W]
    names: tuple[str, ...]  # [C] the categories
    categories_W: np.ndarray  # [W] the category of each word, 0..C-1


class Occurrences(NamedTuple):
    """Ends of words in a text read in streams [T, B]; positions are indices of the flattened states [T * B, H]."""

    ids_TB: np.ndarray
    words_N: np.ndarray  # index of the word
    ends_N: np.ndarray  # position of its last letter
    before_N: np.ndarray  # position of the space before its first letter
    positions_N: np.ndarray  # number of words before it in its sentence


def task_lexicon(spec: Spec) -> tuple[Grammar, Lexicon]:
    """The grammar of a task and its words. Raises: NotApplicable for any other task."""
    if spec.task.name != "grammar":
        raise NotApplicable(f"task.name: got '{spec.task.name}'; expected 'grammar' for a probe of word categories")
    grammar = build_grammar(spec.task)
    known = {word: category for word, category in word_categories(grammar).items() if word != DETERMINER}
    names = tuple(dict.fromkeys(known.values()))
    return grammar, Lexicon(tuple(known), names, np.array([names.index(name) for name in known.values()]))


def stream_count(spec: Spec, characters: int) -> int:
    """Number of streams in which a text is read; without a carried state, windows as in training."""
    return CATEGORY_STREAMS if spec.carry == "carried" else max(characters // spec.window, 1)


def mask_warm_up(labels_N: np.ndarray, count: int) -> np.ndarray:
    """Labels in streams [T, B], -1 over the warm-up of each, where the state depends on the initial state."""
    labels_TB = streams(labels_N, count).copy()
    labels_TB[: min(WARM_UP, len(labels_TB) // 2)] = -1
    return labels_TB


def find_occurrences(spec: Spec, task: Task, grammar: Grammar, lexicon: Lexicon) -> Occurrences:
    """The words of the first 10,000 characters of the training text. Raises: BadInput where there are none."""
    ids_N = task.train_N[:CHARACTERS]
    text, count = ids_to_text(ids_N, task.vocabulary), stream_count(spec, len(ids_N))
    labels = word_labels(text, {word: i for i, word in enumerate(lexicon.words)})
    labels_TB = mask_warm_up(labels["last"], count)
    steps, columns = np.nonzero(labels_TB >= 0)
    words_N = labels_TB[steps, columns]
    lengths_N = np.array([len(word) for word in lexicon.words])[words_N]
    within = steps >= lengths_N  # the space before it is in the same stream
    steps, columns, words_N, lengths_N = (each[within] for each in (steps, columns, words_N, lengths_N))
    if not len(words_N):
        raise BadInput(f"task.characters: got {len(task.train_N):,}; need more for a probe of word categories")
    positions_N = streams(word_places(grammar, text), count)[steps, columns]
    return Occurrences(
        streams(ids_N, count), words_N, steps * count + columns, (steps - lengths_N) * count + columns, positions_N
    )


def read_states(spec: Spec, hp: HParams, params: Params, ids_TB: np.ndarray | Array) -> Array:
    """h [T * B, H] of the last layer at every step of B streams, each read from the start state."""
    model = build_network(spec, hp)
    carry = model.carry(params, key_for(hp, "evaluation"), ids_TB.shape[1])
    h_TBH = model.apply(params, carry, jnp.asarray(ids_TB))[2]
    return h_TBH.reshape(-1, h_TBH.shape[-1])


def letter_ngrams(words: tuple[str, ...], longest: int, at_end: bool) -> np.ndarray:
    """Indicators (0 or 1) of letter n-grams, n = 1..longest: the endings of a word, or all with both edges; [W, D]."""
    lengths = range(1, longest + 1)
    if at_end:
        grams = [{word[-n:] for n in lengths} for word in words]
    else:
        marked = [f"^{word}$" for word in words]
        grams = [{word[i : i + n] for n in lengths for i in range(len(word) - n + 1)} for word in marked]
    known = sorted(set().union(*grams))
    return np.array([[gram in own for gram in known] for own in grams], float)


def baselines(lexicon: Lexicon, positions_N: np.ndarray, words_N: np.ndarray) -> dict[str, float]:
    """Accuracies of a word's category without a network, by the same probe except for the majority."""
    positions_ND = np.eye(positions_N.max() + 1)[positions_N]
    return letter_baselines(lexicon.words, tuple(lexicon.categories_W)) | {
        "majority_category": float(np.bincount(lexicon.categories_W).max() / len(lexicon.words)),
        "position_accuracy": accuracy(positions_ND, words_N, lexicon),
    }


@cache
def letter_baselines(words: tuple[str, ...], categories: tuple[int, ...]) -> dict[str, float]:
    """Accuracies of the same probe on the letters of each word; they are the same for every network."""

    def probe_accuracy(longest: int, at_end: bool) -> float:
        features_WD = letter_ngrams(words, longest, at_end)
        return float(np.mean(leave_word_out_accuracy(features_WD, np.arange(len(words)), np.array(categories))))

    return {
        "spelling_accuracy": max(probe_accuracy(n, False) for n in (1, 2, 3)),
        "suffix_accuracy": max(probe_accuracy(n, True) for n in (1, 2)),
    }


def accuracy(features_ND: np.ndarray, words_N: np.ndarray, lexicon: Lexicon) -> float:
    """`left_out_accuracy`, the mean over the words that occur."""
    shares_W = leave_word_out_accuracy(features_ND, words_N, lexicon.categories_W)
    return float(np.nanmean(shares_W))


def state_metrics(states: np.ndarray, before: np.ndarray, found: Occurrences, lexicon: Lexicon) -> dict[str, float]:
    """CATEGORY_METRICS of one run from its states [N, H] at the last letters and before the first letters."""
    present = np.unique(found.words_N)
    vectors_WH = np.stack([states[found.words_N == word].mean(axis=0) for word in present])
    centred_WH, categories_W = vectors_WH - vectors_WH.mean(axis=0), lexicon.categories_W[present]
    similar_WW = cosines(centred_WH, centred_WH)
    return {
        "category_accuracy_vectors": accuracy(vectors_WH, present, lexicon),
        "category_accuracy": accuracy(states, found.words_N, lexicon),
        "category_start_accuracy": accuracy(before, found.words_N, lexicon),
        "silhouette": silhouette(1 - similar_WW, categories_W),
        "category_resemblance": resemblance(similar_WW, categories_W),
        "category_variance_ratio": variance_ratio(vectors_WH, categories_W),
    }


def map_runs(run_metrics: Callable[..., Mapping[str, Any]], values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Apply a function to the values of each run, [R, ...]; NaN for a run with values that are not finite."""
    like = run_metrics(**{name: np.ones(value.shape[1:]) for name, value in values.items()})
    blank = {name: np.full(np.shape(value), np.nan) for name, value in like.items()}
    runs = []
    for run in range(len(next(iter(values.values())))):
        own = {name: value[run].astype(float) for name, value in values.items()}
        runs.append(run_metrics(**own) if all(np.isfinite(value).all() for value in own.values()) else blank)
    return {name: np.array([metrics[name] for metrics in runs], np.float32) for name in like}


def categories(spec: Spec, task: Task) -> Probe:
    """Accuracy of the categories of the grammar's words from the states, beside baselines without a network.

    Values: see CATEGORY_METRICS, with `left_out_accuracy`, `silhouette`, `resemblance` and `variance_ratio`.

    Raises:
        NotApplicable: the task is not the grammar.
        BadInput: the text is too short.
    """
    grammar, lexicon = task_lexicon(spec)
    require_unidirectional(spec)
    found = find_occurrences(spec, task, grammar, lexicon)
    known = baselines(lexicon, found.positions_N, found.words_N)

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        h_NH = read_states(spec, hp, state.params, found.ids_TB)
        return {"states": h_NH[found.ends_N], "before": h_NH[found.before_N]}

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        summary = map_runs(partial(state_metrics, found=found, lexicon=lexicon), values)
        return summary | {name: np.full(len(values["states"]), value, np.float32) for name, value in known.items()}

    return Probe(measure, summarise, CATEGORY_METRICS)
