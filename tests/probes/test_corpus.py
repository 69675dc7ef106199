"""What an n-gram table writes, against a search of the text itself."""

import numpy as np
import pytest

from rnnjax.probes.facts.corpus import followers, greedy_continuation, ngram_loop_rate

TEXT = "she sells sea shells by the sea shore; the shells she sells are sea shells. "
IDS = [ord(character) for character in TEXT]


def searched(prompt: str, n: int, length: int) -> str:
    """Each next character by counting what follows the longest context that the text has."""
    written = prompt
    for _ in range(length):
        for size in range(n - 1, -1, -1):
            context = written[len(written) - size :]
            places = [i + size for i in range(len(TEXT) - size) if TEXT[i : i + size] == context]
            if places:
                after = [TEXT[place] for place in places]
                written += max(dict.fromkeys(after), key=after.count)
                break
    return written[len(prompt) :]


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("prompt", ["she s", "zebra"])
def test_a_table_writes_what_follows_most_often(prompt: str, n: int) -> None:
    tables = [followers(IDS, length) for length in range(n)]
    found = greedy_continuation(tables, [ord(character) for character in prompt], 60)
    assert "".join(map(chr, found)) == searched(prompt, n, 60)


def test_a_short_table_loops_and_one_that_only_knows_a_text_that_never_repeats_does_not() -> None:
    rng = np.random.default_rng(0)
    text_N = rng.integers(8, size=2_000)
    prompts_PT = np.stack([text_N[start : start + 25] for start in range(0, 1_000, 100)])
    assert ngram_loop_rate(text_N, prompts_PT, 2) == 1
    assert ngram_loop_rate(text_N, prompts_PT, 8) == 0
    assert ngram_loop_rate(np.tile([1, 2, 3], 50), np.tile([1, 2, 3], (4, 9))[:, :25], 8) == 1
