"""Novel strings in the place of known words, without further training: are vectors due to context or spelling?"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.networks.keys import key_for
from rnnjax.networks.model import build_network, require_unidirectional
from rnnjax.probes.numerics.word_vectors import (
    cosines,
    leave_word_out_accuracy,
    mean_states,
    neighbours,
    principal_plane,
    two_way_anova_shares,
)
from rnnjax.probes.words.categories import Lexicon, map_runs, read_states, task_lexicon
from rnnjax.probes.words.novel_words_metrics import NOVEL_WORDS_METRICS
from rnnjax.probes.words.substitution import (
    DEFINITIONS,
    NOVEL,
    REPLACED,
    build_corpora,
    contexts,
    has_known_letters,
    map_labels,
)
from rnnjax.settings import HParams, Spec
from rnnjax.settings.vocabulary import Vocabulary, ids_to_text, text_to_ids
from rnnjax.training.state import TrainState
from rnnjax.types import Params, Probe, Task

OCCURRENCES = 32  # contexts of each replaced word
NEAREST = 5

Values = dict[str, Any]  # of one run: numbers and vectors


def check_letters(vocabulary: Vocabulary) -> None:
    """Raises NotApplicable where a novel string has letters outside the vocabulary of the network."""
    missing = "".join(sorted(set("".join(NOVEL)) - set(vocabulary)))
    if missing:
        raise NotApplicable(f"task.extra_letters: got none of {missing!r}; expected them for a probe with novel words")


def in_place_vectors(
    spec: Spec, hp: HParams, params: Params, contexts_TP: np.ndarray, strings_SL: np.ndarray, words: int
) -> Array:
    """The mean state at the last letter of each of S strings, after the contexts of each of W words: [S, W, H].

    Args: contexts_TP: P = W times as many contexts as each word has, those of the first word first.
    """
    model = build_network(spec, hp)
    start = model.carry(params, key_for(hp, "evaluation"), contexts_TP.shape[1])
    carry = model.apply(params, start, jnp.asarray(contexts_TP))[0]

    def after(string_L: Array) -> Array:
        letters_LP = jnp.broadcast_to(string_L[:, None], (len(string_L), contexts_TP.shape[1]))
        h_PH = model.apply(params, carry, letters_LP)[2][-1]
        return jnp.mean(h_PH.reshape(words, -1, h_PH.shape[-1]), axis=1)

    return jax.vmap(after)(jnp.asarray(strings_SL))


def novel_words(spec: Spec, task: Task) -> Probe:
    """Vectors of novel strings in the place of known words. Values: NOVEL_WORDS_METRICS.

    `same_positions` is 1 by construction.

    Raises:
        NotApplicable: the task is not the grammar, or its vocabulary lacks letters of the novel strings.
        BadInput: the text is too short.
    """
    _, lexicon = task_lexicon(spec)
    require_unidirectional(spec)
    check_letters(task.vocabulary)
    text = ids_to_text(task.train_N, task.vocabulary)
    corpora = build_corpora(spec, text, task.vocabulary, lexicon)
    before = [context for word in REPLACED for context in contexts(text, word, OCCURRENCES)]
    contexts_TP = np.stack([text_to_ids(context, task.vocabulary) for context in before], axis=1)
    strings_SL = np.stack([text_to_ids(string, task.vocabulary) for string in NOVEL])
    known_letters_S = has_known_letters(text)

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step

        def corpus_vectors(corpus: tuple[Array, Array]) -> Array:
            h_NH = read_states(spec, hp, state.params, corpus[0])
            return jnp.stack([mean_states(h_NH, labels_N, len(lexicon.words)) for labels_N in corpus[1]])

        # Sequentially: the states of a single whole text at a time.
        whole = jax.lax.map(corpus_vectors, (jnp.asarray(corpora.ids_XTB), jnp.asarray(corpora.labels_XDN)))
        in_place = in_place_vectors(spec, hp, state.params, contexts_TP, strings_SL, len(REPLACED))
        return {"whole": whole, "in_place": in_place}

    def run_metrics(whole: np.ndarray, in_place: np.ndarray) -> Values:
        return in_context_metrics(whole, lexicon) | factorial_metrics(in_place, whole[0, 0], lexicon, known_letters_S)

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        same = np.full(len(values["whole"]), corpora.same_positions, np.float32)
        return map_runs(run_metrics, values) | {"same_positions": same}

    return Probe(measure, summarise, NOVEL_WORDS_METRICS, {"map": map_labels()})


def in_context_metrics(whole_XDWH: np.ndarray, lexicon: Lexicon) -> Values:
    """IN_CONTEXT_METRICS: whole texts with "zog" in the place of "man" and of "lion"."""
    pair = [lexicon.words.index(word) for word in REPLACED[:2]]
    known_WH, zogs_SH, halves_SH = whole_XDWH[0, 0], whole_XDWH[[1, 2], 0, pair], whole_XDWH[0, 3, :2]
    plane_W2 = principal_plane(known_WH, zogs_SH)
    values: Values = {"map": plane_W2}
    for index, definition in enumerate(DEFINITIONS[:3]):
        ending = "" if definition == "last" else f"_{definition}"
        values |= similarities(whole_XDWH[0, index], whole_XDWH[1, index, pair[0]], pair[0], ending)
    for centre_H, ending in ((np.zeros(known_WH.shape[1]), ""), (known_WH.mean(axis=0), "_centred")):
        values |= pair_metrics(known_WH - centre_H, lexicon.categories_W, ending)
        near_S = nearest_share(zogs_SH - centre_H, known_WH - centre_H, pair, lexicon)
        kind = "" if ending else "_raw"
        values |= {f"neighbours_human{kind}": near_S[0], f"neighbours_animal_lion{kind}": near_S[1]}
        values[f"zog_man_lion{ending}"] = cosine(zogs_SH[0] - centre_H, zogs_SH[1] - centre_H)
    deviation, halves = 1 - values["similarity_zog_man"], 1 - cosine(halves_SH[0], halves_SH[1])
    return values | {
        "zog_shift": ratio(np.linalg.norm(zogs_SH[0] - zogs_SH[1]), np.linalg.norm(np.subtract(*known_WH[pair]))),
        "halves_deviation": halves,
        "zog_deviation": deviation,
        "deviation_ratio": ratio(deviation, halves),
    }


def factorial_metrics(
    in_place_SWH: np.ndarray, known_WH: np.ndarray, lexicon: Lexicon, known_letters_S: np.ndarray
) -> Values:
    """FACTORIAL_METRICS: ten strings, each in the place of ten words, string against context.

    Args: known_letters_S: whether all letters of each string occur in the text, bool [S].
    """
    pair, centre_H = [lexicon.words.index(word) for word in REPLACED[:2]], known_WH.mean(axis=0)
    known_shares = {
        f"{name}_known": share for name, share in two_way_anova_shares(in_place_SWH[known_letters_S]).items()
    }
    values: Values = {**two_way_anova_shares(in_place_SWH), **known_shares}
    for index, (word, kind) in enumerate(zip(pair, ("human", "animal"), strict=True)):
        strings_SH = in_place_SWH[:, index]
        near_S = nearest_share(strings_SH - centre_H, known_WH - centre_H, [word] * len(strings_SH), lexicon)
        values |= {
            f"neighbours_{kind}_strings": np.mean(near_S),
            f"probe_{kind}": share_classified_as(strings_SH, known_WH, word, lexicon),
        }
    values["similarity_strings_man"] = np.mean(cosines(in_place_SWH[:, 0], known_WH[pair[:1]]))
    return values


def similarities(known_WH: np.ndarray, novel_H: np.ndarray, word: int, ending: str) -> Values:
    """Cosine of a novel vector with that of the word that it replaces, raw and centred."""
    centre_H = known_WH.mean(axis=0)
    return {
        f"similarity_zog_man{ending}": cosine(novel_H, known_WH[word]),
        f"similarity_zog_man{ending}_centred": cosine(novel_H - centre_H, known_WH[word] - centre_H),
    }


def pair_metrics(known_WH: np.ndarray, categories_W: np.ndarray, ending: str) -> Values:
    """Cosines of pairs of known words: means within and between categories, 95th percentile of the latter."""
    upper = np.triu_indices(len(known_WH), 1)
    similar, same = cosines(known_WH, known_WH)[upper], (categories_W[:, None] == categories_W)[upper]
    return {
        f"same_category_mean{ending}": np.mean(similar[same]),
        f"cross_category_mean{ending}": np.mean(similar[~same]),
        f"cross_category_p95{ending}": np.percentile(similar[~same], 95),
    }


def nearest_share(vectors_SH: np.ndarray, known_WH: np.ndarray, words: list[int], lexicon: Lexicon) -> np.ndarray:
    """Share of the 5 known words nearest to each vector that have the category of the replaced word: [S]."""
    near_SN = neighbours(vectors_SH, known_WH, NEAREST)
    return np.mean(lexicon.categories_W[near_SN] == lexicon.categories_W[words][:, None], axis=1)


def share_classified_as(strings_SH: np.ndarray, known_WH: np.ndarray, word: int, lexicon: Lexicon) -> float:
    """Share of the strings in the place of a word that a probe fitted on the other words classifies like it."""
    others = np.delete(np.arange(len(known_WH)), word)
    features = np.concatenate([known_WH[others], strings_SH])
    words_N = np.append(others, np.full(len(strings_SH), word))
    return leave_word_out_accuracy(features, words_N, lexicon.categories_W)[word]


def cosine(one_H: np.ndarray, other_H: np.ndarray) -> float:
    return cosines(one_H[None], other_H[None])[0, 0]


def ratio(numerator: Any, denominator: Any) -> float:
    """numerator / denominator; NaN where the denominator is not positive."""
    return numerator / denominator if denominator > 0 else np.nan
