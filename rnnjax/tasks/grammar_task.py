"""Text of the grammar as a task."""

from functools import partial

import numpy as np

from rnnjax.settings import TaskSpec
from rnnjax.settings.vocabulary import text_to_ids
from rnnjax.tasks.entropy import reference_losses
from rnnjax.tasks.grammar import build_grammar, entropy_rate, generate_text, grammar_vocabulary
from rnnjax.tasks.grammar_measures import grammar_measures
from rnnjax.tasks.windows import next_step
from rnnjax.types import Task


def grammar_task(settings: TaskSpec, source: str | None) -> Task:
    """`characters` characters to train on, and round(characters * validation) more, drawn apart from them.

    The reference loss "floor" is the entropy rate of the grammar: the least mean loss that a predictor with the whole
    past in its state can expect on new text. The loss on one finite text may lie a little below, and far below it where
    that text is memorised.

    Args:
        settings: `characters`, `corpus_seed`, `determiner_probability`, `extra_letters` and `validation` are used.
        source: not used; a grammar needs no file.
    Raises:
        BadInput: fewer than 3 characters, or extra letters with a space or a repetition.
    """
    grammar = build_grammar(settings)
    train_rng, validation_rng = np.random.default_rng(settings.corpus_seed).spawn(2)
    letters = grammar_vocabulary(grammar)
    train_N = text_to_ids(generate_text(grammar, settings.characters, train_rng), letters)
    held_out = generate_text(grammar, round(settings.characters * settings.validation), validation_rng)
    return Task(
        train_N=train_N,
        validation_N=text_to_ids(held_out, letters),
        make_sequence=next_step,
        inputs=len(letters),
        outputs=len(letters),
        loss="cross_entropy",
        vocabulary=letters,
        reference_losses=reference_losses(train_N, len(letters)) | {"floor": entropy_rate(grammar)},
        text_measures=partial(grammar_measures, grammar),
        grammar=grammar,
    )
