"""Views of generated texts, in which the loop is marked."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnjax.doctor.free_running import Generated
from rnnjax.probes.generation.free_running import LONGEST_PERIOD, LOOP_TAIL
from rnnjax.probes.numerics.repetition import trailing_period

PROMPT_SHOWN = 40  # symbols
DECODERS = ("greedy", "sampled at temperature 1")


class GeneratedText(NamedTuple):
    """A text after its prompt; if it ends in a loop, the turns of the loop."""

    decoder: str
    start: str  # before the loop, or all
    turns: tuple[str, ...]  # each is one period, the last one may be shorter; empty without a loop
    period: int = 0


class TextView(NamedTuple):
    """Texts of one stream, sampled and greedy."""

    prompt: str
    texts: tuple[GeneratedText, ...]


def build_text_view(generated: Generated | None, names: Sequence[str]) -> TextView | None:
    """Of the first stream whose sampled text ends in a loop, else whose greedy one does, else of the first."""
    if generated is None:
        return None
    texts_DNP = generated.values[0]
    periods_DP = np.stack([trailing_period(ids_NP.T, LONGEST_PERIOD, LOOP_TAIL) for ids_NP in texts_DNP])
    stream = int(np.argmax(2 * (periods_DP[1] > 0) + (periods_DP[0] > 0)))
    texts = tuple(
        mark_loop(decoder, texts_DNP[row, :, stream], int(periods_DP[row, stream]), names)
        for row, decoder in enumerate(DECODERS)
    )
    return TextView(to_text(generated.prompts[-PROMPT_SHOWN:, stream], names), texts[::-1])


def mark_loop(decoder: str, ids_N: np.ndarray, period: int, names: Sequence[str]) -> GeneratedText:
    """A text split where its final loop begins. Args: period: of the loop, 0 without one."""
    if not period:
        return GeneratedText(decoder, to_text(ids_N, names), ())
    differs = np.flatnonzero(ids_N[period:] != ids_N[:-period])
    first = int(differs[-1]) + 1 if len(differs) else 0
    turns = tuple(to_text(ids_N[at : at + period], names) for at in range(first, len(ids_N), period))
    return GeneratedText(decoder, to_text(ids_N[:first], names), turns, period)


def to_text(ids_N: np.ndarray, names: Sequence[str]) -> str:
    """Ids as text: characters next to each other, other names and numbers with a blank after each."""
    symbols = symbol_names(ids_N, names)
    if names and all(len(symbol) == 1 for symbol in symbols):
        return "".join(symbols)
    return "".join(f"{symbol} " for symbol in symbols)


def symbol_names(ids_N: np.ndarray, names: Sequence[str]) -> list[str]:
    """The name of each id, or its number."""
    return [names[i] if i < len(names) else str(i) for i in ids_N.tolist()]
