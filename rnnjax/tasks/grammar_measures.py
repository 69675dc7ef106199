"""Measures of a generated text against the grammar: shares of valid words and of valid sentences."""

from rnnjax.tasks.grammar import Grammar, sentence_tree, word_categories


def grammar_measures(grammar: Grammar, text: str) -> dict[str, float]:
    """The measures of a generated text: {"valid_words", "valid_sentences"}."""
    return {"valid_words": valid_word_share(grammar, text), "valid_sentences": valid_sentence_share(grammar, text)}


def valid_word_share(grammar: Grammar, text: str) -> float:
    """Share of the words of a text that are in the lexicon; the first and last may be cut and do not count.

    Words are what stands between single spaces, so a double space is a word that is wrong. 0 where there is no word.
    """
    words, known = text.split(" ")[1:-1], word_categories(grammar)
    return sum(map(known.__contains__, words)) / len(words) if words else 0.0


def valid_sentence_share(grammar: Grammar, text: str) -> float:
    """Share of the words of a text that belong to complete sentences; the first and last word do not count.

    The text is read from left to right: a sentence that starts at a word is taken whole, otherwise the word is skipped.
    Words of a good beginning that the end of the text cuts are not judged. So the grammar's own text has 1 if it is
    read from the space before a sentence, and a little less from the middle of one. 0 where no word is judged.
    """
    words, tree = text.split(" ")[1:-1], sentence_tree(grammar)
    node, position, end, covered = tree, 0, 0, 0  # the sentence that begins at `position` has been read up to `end`
    while end < len(words):
        known = words[end] in node
        node = node[words[end]] if known else tree
        end += 1
        if not known:
            position += 1
            end = position
        elif not node:
            covered += end - position
            position, node = end, tree
    return covered / position if position else 0.0
