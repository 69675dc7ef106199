"""Words that a network has never read, put in the place of known ones without any training: context or spelling?"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from rnnjax.errors import NotApplicable
from rnnjax.keys import key_for
from rnnjax.networks.model import build_network, require_unidirectional
from rnnjax.probes.numerics.word_vectors import (
    cosines,
    left_out_accuracy,
    mean_states,
    neighbours,
    principal_plane,
    two_way,
)
from rnnjax.probes.words.categories import Lexicon, each_run, lexicon_of, states_read
from rnnjax.probes.words.substitution import DEFINITIONS, NOVEL, REPLACED, contexts, corpora_of, of_known_letters
from rnnjax.settings import HParams, Spec
from rnnjax.tasks.text import ids_to_text, text_to_ids
from rnnjax.training.state import TrainState
from rnnjax.types import Params, Probe, Task

OCCURRENCES = 32  # contexts of each replaced word
NEAREST = 5

Values = dict[str, Any]  # of one run: numbers and vectors


def refuse_strange_letters(vocabulary: str) -> None:
    """Raises NotApplicable where a novel string has letters that the network has no input for."""
    missing = "".join(sorted(set("".join(NOVEL)) - set(vocabulary)))
    if missing:
        raise NotApplicable(f"task.extra_letters: got none of {missing!r}; expected them for a probe with novel words")


def vectors_in_place(
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
    """Where novel strings land that stand in the place of known words: the values of `of_place` and `of_factorial`.

    same_positions is 1 if zog for man has the neighbours, with their counts, that man has: true by construction.

    Raises:
        NotApplicable: the task is not the grammar, or its vocabulary lacks letters of the novel strings.
        BadInput: the text is too short.
    """
    _, lexicon = lexicon_of(spec)
    require_unidirectional(spec)
    refuse_strange_letters(task.vocabulary)
    text = ids_to_text(task.train_N, task.vocabulary)
    corpora = corpora_of(spec, text, task.vocabulary, lexicon)
    before = [context for word in REPLACED for context in contexts(text, word, OCCURRENCES)]
    contexts_TP = np.stack([text_to_ids(context, task.vocabulary) for context in before], axis=1)
    strings_SL = np.stack([text_to_ids(string, task.vocabulary) for string in NOVEL])
    spelt = of_known_letters(text)

    def measure(state: TrainState, hp: HParams, step: Array) -> dict[str, Array]:
        del step

        def of_corpus(corpus: tuple[Array, Array]) -> Array:
            h_NH = states_read(spec, hp, state.params, corpus[0])
            return jnp.stack([mean_states(h_NH, labels_N, len(lexicon.words)) for labels_N in corpus[1]])

        # One after the other: the states of one whole text at a time.
        whole = jax.lax.map(of_corpus, (jnp.asarray(corpora.ids_XTB), jnp.asarray(corpora.labels_XDN)))
        in_place = vectors_in_place(spec, hp, state.params, contexts_TP, strings_SL, len(REPLACED))
        return {"whole": whole, "in_place": in_place}

    def of_run(whole: np.ndarray, in_place: np.ndarray) -> Values:
        return of_place(whole, lexicon) | of_factorial(in_place, whole[0, 0], lexicon, spelt)

    def summarise(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        same = np.full(len(values["whole"]), corpora.same_positions, np.float32)
        return each_run(of_run, values) | {"same_positions": same}

    return Probe(measure, summarise)


def of_place(whole_XDWH: np.ndarray, lexicon: Lexicon) -> Values:
    """What the whole texts tell of "zog" in the place of "man" and of "lion".

    similarity_zog_man       cosine of vec(zog for man) and vec(man), at a word's last letter; _letters: of the mean of
                             its letters; _space: at the space after it; _centred: the mean word taken away from both
    cross_category_p95       of two known words of different categories; `of_pairs`, also _centred
    neighbours_human         share of humans among the 5 known words nearest to zog for man, by centred cosine; _raw
    neighbours_animal_lion   share of animals among those nearest to zog for lion; _raw
    zog_man_lion             cosine of zog for man and zog for lion; _centred
    zog_shift                |zog for man - zog for lion| / |man - lion|
    halves_deviation         1 - cosine of vec(man) from every other of its occurrences and vec(man) from the rest
    zog_deviation            1 - similarity_zog_man; deviation_ratio = zog_deviation / halves_deviation
    map_x, map_y [W + 2]     the known words, zog for man and zog for lion, in the plane of the known ones
    """
    pair = [lexicon.words.index(word) for word in REPLACED[:2]]
    known_WH, zogs_SH, halves_SH = whole_XDWH[0, 0], whole_XDWH[[1, 2], 0, pair], whole_XDWH[0, 3, :2]
    plane_W2 = principal_plane(known_WH, zogs_SH)
    values: Values = {"map_x": plane_W2[:, 0], "map_y": plane_W2[:, 1]}
    for place, definition in enumerate(DEFINITIONS[:3]):
        ending = "" if definition == "last" else f"_{definition}"
        values |= similarities(whole_XDWH[0, place], whole_XDWH[1, place, pair[0]], pair[0], ending)
    for centre_H, ending in ((np.zeros(known_WH.shape[1]), ""), (known_WH.mean(axis=0), "_centred")):
        values |= of_pairs(known_WH - centre_H, lexicon.categories_W, ending)
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


def of_factorial(in_place_SWH: np.ndarray, known_WH: np.ndarray, lexicon: Lexicon, spelt: np.ndarray) -> Values:
    """What ten strings, each in the place of ten words, tell of string against context.

    string_share, word_share, interaction_share  `two_way`; _known: of the strings whose letters all have been read
    neighbours_human_strings   of each string for man, the share of humans among the 5 nearest words; the mean over them
    neighbours_animal_strings  of each string for lion, the share of animals
    probe_human, probe_animal  share of the strings for man (lion) that a linear probe holds for humans (animals), which
                               was fitted on the vectors of all other words
    similarity_strings_man     mean cosine of the strings for man and vec(man)

    Args: spelt: [S] whether all letters of a string occur in the text.
    """
    pair, centre_H = [lexicon.words.index(word) for word in REPLACED[:2]], known_WH.mean(axis=0)
    known_only = {f"{name}_known": share for name, share in two_way(in_place_SWH[spelt]).items()}
    values: Values = {**two_way(in_place_SWH), **known_only}
    for place, (word, kind) in enumerate(zip(pair, ("human", "animal"), strict=True)):
        strings_SH = in_place_SWH[:, place]
        near_S = nearest_share(strings_SH - centre_H, known_WH - centre_H, [word] * len(strings_SH), lexicon)
        values |= {
            f"neighbours_{kind}_strings": np.mean(near_S),
            f"probe_{kind}": held_for(strings_SH, known_WH, word, lexicon),
        }
    values["similarity_strings_man"] = np.mean(cosines(in_place_SWH[:, 0], known_WH[pair[:1]]))
    return values


def similarities(known_WH: np.ndarray, novel_H: np.ndarray, word: int, ending: str) -> Values:
    """The cosine of a novel vector with that of the word in whose place it stands, raw and centred."""
    centre_H = known_WH.mean(axis=0)
    return {
        f"similarity_zog_man{ending}": cosine(novel_H, known_WH[word]),
        f"similarity_zog_man{ending}_centred": cosine(novel_H - centre_H, known_WH[word] - centre_H),
    }


def of_pairs(known_WH: np.ndarray, categories_W: np.ndarray, ending: str) -> Values:
    """How alike known words are: the mean cosine within and between categories, and what 5% of the latter exceed."""
    upper = np.triu_indices(len(known_WH), 1)
    similar, same = cosines(known_WH, known_WH)[upper], (categories_W[:, None] == categories_W)[upper]
    return {
        f"same_category_mean{ending}": np.mean(similar[same]),
        f"cross_category_mean{ending}": np.mean(similar[~same]),
        f"cross_category_p95{ending}": np.percentile(similar[~same], 95),
    }


def nearest_share(vectors_SH: np.ndarray, known_WH: np.ndarray, words: list[int], lexicon: Lexicon) -> np.ndarray:
    """Of the 5 known words nearest to each vector, the share that are of the category of the word in its place: [S]."""
    near_SN = neighbours(vectors_SH, known_WH, NEAREST)
    return np.mean(lexicon.categories_W[near_SN] == lexicon.categories_W[words][:, None], axis=1)


def held_for(strings_SH: np.ndarray, known_WH: np.ndarray, word: int, lexicon: Lexicon) -> float:
    """Share of strings in the place of a word to which a probe fitted on the other words gives that word's category."""
    others = np.delete(np.arange(len(known_WH)), word)
    features = np.concatenate([known_WH[others], strings_SH])
    words_N = np.append(others, np.full(len(strings_SH), word))
    return left_out_accuracy(features, words_N, lexicon.categories_W)[word]


def cosine(one_H: np.ndarray, other_H: np.ndarray) -> float:
    return cosines(one_H[None], other_H[None])[0, 0]


def ratio(one: Any, other: Any) -> float:
    """NaN where there is nothing to divide by."""
    return one / other if other > 0 else np.nan
