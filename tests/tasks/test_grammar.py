"""The grammar against enumeration: every sentence with its exact probability, written out here a second time."""

import time
from collections import Counter, defaultdict
from fractions import Fraction
from itertools import pairwise, product
from math import log

import numpy as np
import pytest

from rnnjax.errors import BadInput
from rnnjax.settings import TaskSpec
from rnnjax.tasks import TASKS, grammar
from rnnjax.tasks.grammar_measures import grammar_measures, valid_sentence_share

BUILT_IN = grammar.Grammar()
SMALL = grammar.Grammar(
    lexicon=(("NOUN", ("ox", "oxen")), ("STOP", ("go",)), ("TAKE", ("see", "seek"))),
    templates=("DET+NOUN STOP", "DET+NOUN TAKE NOUN"),
    determiner=0.25,
)


def enumerate_sentences(language: grammar.Grammar) -> dict[str, Fraction]:
    """Oracle: a sentence's probability as an exact fraction, by writing out every choice that leads to it."""
    lexicon, said = dict(language.lexicon), Fraction(language.determiner)
    found: defaultdict[str, Fraction] = defaultdict(Fraction)

    def say(parts: list[str], text: str, probability: Fraction) -> None:
        if not parts:
            found[text] += probability
            return
        optional, _, category = parts[0].rpartition("+")
        determiners = [("the ", said), ("", 1 - said)] if optional else [("", Fraction(1))]
        for (determiner, share), word in product(determiners, lexicon[category]):
            say(parts[1:], f"{text}{determiner}{word} ", probability * share / len(lexicon[category]))

    for template in language.templates:
        say(template.split(), "", Fraction(1, len(language.templates)))
    return found


def test_the_lexicon_is_the_recovered_one() -> None:
    words = [word for _, words in grammar.LEXICON for word in words]
    assert " ".join(words) == (
        "boy girl man woman king queen cat dog lion bird fish mouse bread cake apple milk cookie book rock glass plate "
        "ball sleep walk think swim chase eat see break read move smell hear watch"
    )
    assert (len(grammar.LEXICON), len(words), len(set(words))) == (7, 35, 35)
    assert grammar.grammar_vocabulary(BUILT_IN) == " abcdefghiklmnopqrstuvwy"
    assert Counter(grammar.word_categories(BUILT_IN).values()) == {
        "DET": 1,
        **{category: len(members) for category, members in grammar.LEXICON},
    }


def test_the_templates_keep_what_is_known_of_them() -> None:
    assert len(set(grammar.SENTENCE_TEMPLATES)) == 16
    assert grammar.SENTENCE_TEMPLATES[0] == "DET+NOUN_HUMAN VERB_INTRAN"
    assert grammar.SENTENCE_TEMPLATES[1] == "DET+NOUN_HUMAN VERB_TRAN DET+NOUN_OBJECT"
    plain = [template.replace("DET+", "").split() for template in grammar.SENTENCE_TEMPLATES]
    objects = {verb: {rest[0] for _, of, *rest in plain if of == verb and rest} for _, verb, *_ in plain}
    assert objects["VERB_INTRAN"] == set()
    assert objects["VERB_PERCEPT"] == {"NOUN_HUMAN", "NOUN_ANIMAL"}
    assert objects["VERB_TRAN"] == {"NOUN_HUMAN", "NOUN_ANIMAL", "NOUN_FOOD", "NOUN_OBJECT"}


def test_human_and_animal_nouns_differ_in_their_company() -> None:
    plain = [template.replace("DET+", "").split() for template in grammar.SENTENCE_TEMPLATES]
    after = {noun: {tuple(rest) for first, *rest in plain if first == noun} for noun in ("NOUN_HUMAN", "NOUN_ANIMAL")}
    before = {noun: {tuple(rest) for *rest, last in plain if last == noun} for noun in ("NOUN_HUMAN", "NOUN_ANIMAL")}
    assert after["NOUN_HUMAN"] != after["NOUN_ANIMAL"]
    assert before["NOUN_HUMAN"] != before["NOUN_ANIMAL"]


@pytest.mark.parametrize("language", [BUILT_IN, SMALL, BUILT_IN._replace(determiner=0.0)])
def test_sentences_are_those_of_the_enumeration(language: grammar.Grammar) -> None:
    oracle = enumerate_sentences(language)
    assert sum(oracle.values()) == 1
    assert grammar.sentence_probabilities(language) == pytest.approx(
        {text: float(p) for text, p in oracle.items() if p}, rel=1e-12
    )


def test_no_sentence_begins_another() -> None:
    sentences = set(enumerate_sentences(BUILT_IN))
    beginnings = {sentence[:length] for sentence in sentences for length in range(len(sentence))}
    assert not sentences & beginnings


def test_no_category_sequence_begins_another() -> None:
    categories = {tuple(template.replace("DET+", "").split()) for template in grammar.SENTENCE_TEMPLATES}
    assert not any(one == other[: len(one)] for one, other in product(categories, repeat=2) if one != other)


def test_a_grammar_whose_sentences_do_not_show_their_end_is_refused() -> None:
    unmarked = SMALL._replace(templates=("NOUN TAKE", "NOUN TAKE NOUN"))
    with pytest.raises(ValueError, match="the sentence 'ox see ' begins 'ox see ox '"):
        grammar.entropy_rate(unmarked)


def next_character(language: grammar.Grammar, history: str) -> np.ndarray:
    """Oracle: p(next character | history) [V], from the probabilities of all prefixes; zeros where none begins so."""
    known = grammar.sentence_prefixes(language)
    *_, said = grammar._open_sentence(language, history)
    letters = grammar.grammar_vocabulary(language)
    return np.array([known.get(said + letter, 0.0) for letter in letters]) / known.get(said, 1.0)


@pytest.mark.slow
def test_next_character_is_that_of_all_texts_that_begin_alike() -> None:
    """Whole texts of three sentences are enumerated, so the oracle need not know where a sentence ends."""
    sentences = enumerate_sentences(SMALL).items()
    texts = {a + b + c: float(p * q * r) for (a, p), (b, q), (c, r) in product(sentences, repeat=3)}
    letters = grammar.grammar_vocabulary(SMALL)
    for history in sorted({text[:length] for text in texts for length in range(15)}):
        begun = {text: p for text, p in texts.items() if text.startswith(history)}
        following = dict.fromkeys(letters, 0.0)
        for text, p in begun.items():
            following[text[len(history)]] += p / sum(begun.values())
        said = dict(zip(letters, next_character(SMALL, history), strict=True))
        assert said == pytest.approx(following), history


def test_next_character_of_the_built_in_grammar() -> None:
    oracle = enumerate_sentences(BUILT_IN)
    letters = grammar.grammar_vocabulary(BUILT_IN)
    for partial in ("", "t", "the ", "the m", "ma", "man", "king walk", "lion se", "rock eat ", "fish see the b"):
        begun = {text: float(p) for text, p in oracle.items() if text.startswith(partial)}
        expected = [
            sum(p for text, p in begun.items() if text.startswith(partial + letter)) / sum(begun.values())
            for letter in letters
        ]
        history = "the girl sleep dog see cake " + partial
        np.testing.assert_allclose(next_character(BUILT_IN, history), expected, rtol=1e-9)


def test_nothing_follows_what_cannot_be_said() -> None:
    for history in ("man man ", "x", "man walk x", "man wall the boy walk "):
        assert not next_character(BUILT_IN, history).any()
    nats = grammar.total_surprisal(BUILT_IN, "man walk zog walk ")
    assert np.isfinite(nats[:9]).all()
    assert np.isinf(nats[9:]).all()


def test_surprisal_is_the_next_characters_own_probability() -> None:
    text, letters = "the girl watch dog rock eat", grammar.grammar_vocabulary(BUILT_IN)
    expected = [-log(next_character(BUILT_IN, text[:i])[letters.index(letter)]) for i, letter in enumerate(text)]
    np.testing.assert_allclose(grammar.total_surprisal(BUILT_IN, text), expected, atol=1e-12)


@pytest.mark.parametrize("determiner", [0.0, 0.3, 0.5, 1.0])
def test_entropy_rate_is_that_of_the_enumeration(determiner: float) -> None:
    language = BUILT_IN._replace(determiner=determiner)
    oracle = [(len(text), float(p)) for text, p in enumerate_sentences(language).items() if p]
    expected = -sum(p * log(p) for _, p in oracle) / sum(p * length for length, p in oracle)
    assert grammar.entropy_rate(language) == pytest.approx(expected, rel=1e-9)


def test_entropy_rate_in_closed_form() -> None:
    coin = grammar.Grammar(lexicon=(("SIDE", ("head", "tail")), ("FALL", ("up",))), templates=("SIDE FALL",))
    assert grammar.entropy_rate(coin) == pytest.approx(log(2) / len("head up "))


def test_entropy_rate_is_the_mean_loss_of_the_true_grammar_on_a_long_text() -> None:
    text = grammar.generate_text(BUILT_IN, 200_000, np.random.default_rng(7))
    blocks = grammar.total_surprisal(BUILT_IN, text).reshape(200, 1_000).mean(axis=1)
    error = blocks.std(ddof=1) / np.sqrt(len(blocks))
    assert error < 0.002
    assert abs(blocks.mean() - grammar.entropy_rate(BUILT_IN)) < 3 * error


def test_generated_sentences_are_as_frequent_as_they_should_be() -> None:
    """Pearson's chi-square against the enumeration, on some 10,000 sentences of a small grammar."""
    oracle = enumerate_sentences(SMALL)
    text = grammar.generate_text(SMALL, 150_000, np.random.default_rng(3))
    counts: Counter[str] = Counter()
    said = ""
    for letter in text:
        said += letter
        if said in oracle:
            counts[said] += 1
            said = ""
    expected = np.array([float(p) for p in oracle.values()]) * counts.total()
    observed = np.array([counts[sentence] for sentence in oracle])
    freedom = len(oracle) - 1
    assert abs(np.sum((observed - expected) ** 2 / expected) - freedom) < 4 * np.sqrt(2 * freedom)


def test_a_shorter_text_is_the_beginning_of_a_longer_one() -> None:
    long, short = (grammar.generate_text(BUILT_IN, size, np.random.default_rng(5)) for size in (1_000, 123))
    assert (len(long), len(short)) == (1_000, 123)
    assert long.startswith(short)


def test_the_determiner_is_said_never_or_always() -> None:
    never, always = (
        grammar.generate_text(BUILT_IN._replace(determiner=share), 5_000, np.random.default_rng(0)).split(" ")
        for share in (0.0, 1.0)
    )
    assert "the" not in never
    humans = dict(grammar.LEXICON)["NOUN_HUMAN"]
    assert {before for before, word in pairwise(always) if word in humans} == {"the"}


def test_measures_of_texts_counted_by_hand() -> None:
    cases = {
        "y boy walk zog the dog swim cat eat th": (7 / 8, 5 / 6),  # zog is no word; "cat eat" is cut, not judged
        " the boy walk ": (1.0, 1.0),
        " boy  walk ": (2 / 3, 0.0),  # the space too many is a word that is wrong
        " the the the the ": (1.0, 0.0),
        " man see see girl walk book ": (1.0, 2 / 5),
        " sleep sleep ": (1.0, 0.0),
        "boy walk": (0.0, 0.0),
        "": (0.0, 0.0),
    }
    for text, (words, sentences) in cases.items():
        measured = grammar_measures(BUILT_IN, text)
        assert measured == pytest.approx({"valid_words": words, "valid_sentences": sentences}), text


def test_the_grammar_finds_its_own_text_valid() -> None:
    text = " " + grammar.generate_text(BUILT_IN, 3_000, np.random.default_rng(1))
    assert grammar_measures(BUILT_IN, text) == {"valid_words": 1.0, "valid_sentences": 1.0}
    assert valid_sentence_share(BUILT_IN, text[8:]) > 0.98


def test_a_sample_of_500_characters_is_measured_in_well_under_a_millisecond() -> None:
    text = grammar.generate_text(BUILT_IN, 500, np.random.default_rng(1))
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        grammar_measures(BUILT_IN, text)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.001


def test_the_task() -> None:
    task = TASKS["grammar"](TaskSpec(), None)
    text, held_out = ("".join(task.vocabulary[i] for i in ids) for ids in (task.train_N, task.validation_N))
    assert (len(task.vocabulary), len(text), len(held_out)) == (24, 18_710, 1_871)
    assert task.train_N.dtype == task.validation_N.dtype == np.int32
    assert np.isfinite(grammar.total_surprisal(BUILT_IN, text)).all()
    assert np.isfinite(grammar.total_surprisal(BUILT_IN, held_out)).all()
    assert not text.startswith(held_out)
    names = ["floor", "trigram", "bigram", "unigram", "chance"]
    assert sorted(task.reference_losses, key=task.reference_losses.__getitem__) == names
    assert task.reference_losses["floor"] == grammar.entropy_rate(BUILT_IN)
    assert task.text_measures(" king swim ") == {"valid_words": 1.0, "valid_sentences": 1.0}


def test_the_task_depends_on_its_settings_only() -> None:
    same, again, other = (TASKS["grammar"](TaskSpec(corpus_seed=seed), None) for seed in (0, 0, 1))
    np.testing.assert_array_equal(same.train_N, again.train_N)
    np.testing.assert_array_equal(same.validation_N, again.validation_N)
    assert (same.train_N != other.train_N).any()
    more = TASKS["grammar"](TaskSpec(characters=100, validation=0.5), None)
    np.testing.assert_array_equal(more.train_N, same.train_N[:100])
    np.testing.assert_array_equal(more.validation_N, same.validation_N[:50])


def test_a_text_too_short_to_count_in_is_refused() -> None:
    with pytest.raises(BadInput, match="task: has 2 characters; need >= 3"):
        TASKS["grammar"](TaskSpec(characters=2), None)


def test_extra_letters_are_in_the_vocabulary_and_in_no_text() -> None:
    plain, wide = (TASKS["grammar"](TaskSpec(characters=900, extra_letters=extra), None) for extra in ("", "zxja"))
    assert wide.vocabulary == " abcdefghijklmnopqrstuvwxyz"
    assert (wide.inputs, wide.outputs, plain.inputs) == (27, 27, 24)
    said = ["".join(task.vocabulary[i] for i in task.train_N) for task in (plain, wide)]
    assert said[0] == said[1]
    assert wide.reference_losses["floor"] == plain.reference_losses["floor"]
    assert wide.reference_losses["chance"] == pytest.approx(log(27))


@pytest.mark.parametrize("extra", ["z x", "zz", " "])
def test_extra_letters_that_are_none_are_refused(extra: str) -> None:
    with pytest.raises(BadInput, match=f"task.extra_letters: got '{extra}'; expected letters, each once"):
        TASKS["grammar"](TaskSpec(extra_letters=extra), None)


def test_places_of_words_in_their_sentences() -> None:
    text = "the boy sleep cat see the dog boy wal"
    shown = "".join(map(str, grammar.word_places(BUILT_IN, text)))
    assert shown == "0000111122222200001111222233330000111"
