"""Whether the states of a network know the category of a word, and what else would know it."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import BadInput, NotApplicable
from rnnjax.keys import key_for
from rnnjax.networks.model import build_network, require_unidirectional
from rnnjax.probes.numerics.word_vectors import (
    WARM_UP,
    cosines,
    left_out_accuracy,
    resemblance,
    silhouette,
    streams,
    variance_ratio,
    word_labels,
)
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.grammar import DETERMINER, Grammar, build_grammar, word_categories, word_places
from rnnjax.tasks.text import ids_to_text
from rnnjax.training.state import TrainState
from rnnjax.types import Params, Probe, Task

CHARACTERS = 10_000  # of the training text that are read
STREAMS = 20  # read side by side


class Lexicon(NamedTuple):
    """The words of a grammar but for its determiner."""

    words: tuple[str, ...]  # [W]
    names: tuple[str, ...]  # [C] the categories
    categories_W: np.ndarray  # [W] the category of each word, 0..C-1


class Occurrences(NamedTuple):
    """Where words end in a text that is read in streams [T, B]; places are those of the flattened states."""

    ids_TB: np.ndarray
    words_N: np.ndarray  # which word
    ends_N: np.ndarray  # the place of its last letter
    before_N: np.ndarray  # that of the space before its first letter
    positions_N: np.ndarray  # how many words of its sentence stand before it


def lexicon_of(spec: Spec) -> tuple[Grammar, Lexicon]:
    """The grammar of a task and its words. Raises: NotApplicable for any other task."""
    if spec.task.name != "grammar":
        raise NotApplicable(f"task.name: got '{spec.task.name}'; expected 'grammar' for a probe of word categories")
    grammar = build_grammar(spec.task)
    known = {word: category for word, category in word_categories(grammar).items() if word != DETERMINER}
    names = tuple(dict.fromkeys(known.values()))
    return grammar, Lexicon(tuple(known), names, np.array([names.index(name) for name in known.values()]))


def stream_count(spec: Spec, characters: int) -> int:
    """How many streams a text is read in: windows as in training where nothing is carried from one to the next."""
    return STREAMS if spec.carry == "carried" else max(characters // spec.window, 1)


def counted(labels_N: np.ndarray, count: int) -> np.ndarray:
    """Labels laid out in streams, with -1 over the beginning of each: its state is still that of a start. [T, B]."""
    labels_TB = streams(labels_N, count).copy()
    labels_TB[: min(WARM_UP, len(labels_TB) // 2)] = -1
    return labels_TB


def occurrences(spec: Spec, task: Task, grammar: Grammar, lexicon: Lexicon) -> Occurrences:
    """The words of the first 10,000 characters of the training text. Raises: BadInput where there are none."""
    ids_N = task.train_N[:CHARACTERS]
    text, count = ids_to_text(ids_N, task.vocabulary), stream_count(spec, len(ids_N))
    labels = word_labels(text, {word: i for i, word in enumerate(lexicon.words)})
    labels_TB = counted(labels["last"], count)
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


def states_read(spec: Spec, hp: HParams, params: Params, ids_TB: np.ndarray | Array) -> Array:
    """h [T * B, H] of the last layer at every step of B streams, each read from the start state."""
    model = build_network(spec, hp)
    carry = model.carry(params, key_for(hp, "evaluation"), ids_TB.shape[1])
    h_TBH = model.apply(params, carry, jnp.asarray(ids_TB))[2]
    return h_TBH.reshape(-1, h_TBH.shape[-1])


def spelling(words: tuple[str, ...], longest: int, at_end: bool) -> np.ndarray:
    """Which letter n-grams, n = 1..longest, a word has, 0 or 1: those it ends in, or all with both edges; [W, D]."""
    lengths = range(1, longest + 1)
    if at_end:
        grams = [{word[-n:] for n in lengths} for word in words]
    else:
        marked = [f"^{word}$" for word in words]
        grams = [{word[i : i + n] for n in lengths for i in range(len(word) - n + 1)} for word in marked]
    known = sorted(set().union(*grams))
    return np.array([[gram in own for gram in known] for own in grams], float)


def baselines(lexicon: Lexicon, positions_N: np.ndarray, words_N: np.ndarray) -> dict[str, float]:
    """What is known of a word's category without a network, each by the same probe but for the majority."""
    of_place_ND = np.eye(positions_N.max() + 1)[positions_N]
    return of_letters(lexicon.words, tuple(lexicon.categories_W)) | {
        "majority_category": float(np.bincount(lexicon.categories_W).max() / len(lexicon.words)),
        "position_accuracy": accuracy(of_place_ND, words_N, lexicon),
    }


@cache
def of_letters(words: tuple[str, ...], categories: tuple[int, ...]) -> dict[str, float]:
    """What the probe knows from the letters of each word, which is the same for every network."""

    def knows(longest: int, at_end: bool) -> float:
        features_WD = spelling(words, longest, at_end)
        return float(np.mean(left_out_accuracy(features_WD, np.arange(len(words)), np.array(categories))))

    return {
        "spelling_accuracy": max(knows(n, False) for n in (1, 2, 3)),
        "suffix_accuracy": max(knows(n, True) for n in (1, 2)),
    }


def accuracy(features_ND: np.ndarray, words_N: np.ndarray, lexicon: Lexicon) -> float:
    """`left_out_accuracy`, the mean over the words that occur."""
    shares_W = left_out_accuracy(features_ND, words_N, lexicon.categories_W)
    return float(np.nanmean(shares_W))


def of_states(states: np.ndarray, before: np.ndarray, found: Occurrences, lexicon: Lexicon) -> dict[str, float]:
    """What one run's states [N, H], at the last letters and before the first ones, know of the categories."""
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


def each_run(of_run: Callable[..., Mapping[str, Any]], values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a function says of each run's values, [R, ...]; NaN for a run whose values are not finite."""
    like = of_run(**{name: np.ones(value.shape[1:]) for name, value in values.items()})
    blank = {name: np.full(np.shape(value), np.nan) for name, value in like.items()}
    runs = []
    for run in range(len(next(iter(values.values())))):
        own = {name: value[run].astype(float) for name, value in values.items()}
        runs.append(of_run(**own) if all(np.isfinite(value).all() for value in own.values()) else blank)
    return {name: np.array([said[name] for said in runs], np.float32) for name in like}


def categories(spec: Spec, task: Task) -> Probe:
    """How well the categories of the grammar's words can be read from the states, next to what needs no network.

    category_accuracy          `left_out_accuracy` of the states at a word's last letter
    category_accuracy_vectors  of the word vectors: the mean state of each word at its last letter
    category_start_accuracy    of the states at the space before it: what its context foretells
    majority_category          share of the words in the largest category
    spelling_accuracy          the same probe on a word's letter n-grams, n up to 1, 2 or 3, whichever knows most
    suffix_accuracy            on its last letter, or its last one and two
    position_accuracy          on the number of words that stand before it in its sentence
    silhouette                 of the centred word vectors, with the distance 1 - cosine
    category_resemblance       `resemblance` of their cosines
    category_variance_ratio    `variance_ratio` of the word vectors

    Raises:
        NotApplicable: the task is not the grammar.
        BadInput: the text is too short.
    """
    grammar, lexicon = lexicon_of(spec)
    require_unidirectional(spec)
    found = occurrences(spec, task, grammar, lexicon)
    known = baselines(lexicon, found.positions_N, found.words_N)

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step
        h_NH = states_read(spec, hp, state.params, found.ids_TB)
        return {"states": h_NH[found.ends_N], "before": h_NH[found.before_N]}

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        summary = each_run(partial(of_states, found=found, lexicon=lexicon), values)
        return summary | {name: np.full(len(values["states"]), value, np.float32) for name, value in known.items()}

    return Probe(measure, summarise)
