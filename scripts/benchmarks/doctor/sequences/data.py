"""Small sets of sequences of different lengths, and the faults that can be planted in them."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

SHORTEST, LONGEST = 8, 24
COUNT = 160
CLASSES = ("left", "right", "up")


class Sequences(NamedTuple):
    """N sequences [T, D], or texts, with what is asked of each."""

    x: list[Any]
    y: list[Any]
    keys: dict[str, list[str]] = {}  # noqa: RUF012


Maker = Callable[[np.random.Generator], Sequences]


def lengths(rng: np.random.Generator, count: int = COUNT) -> np.ndarray:
    """Of which one is the longest."""
    found = rng.integers(SHORTEST, LONGEST + 1, count)
    found[0] = LONGEST
    return found


def waves(
    rng: np.random.Generator, columns: int = 2, shares: tuple[float, ...] = (1, 1, 1), count: int = COUNT
) -> Sequences:
    """Waves whose frequency is that of their class, with noise."""
    chances = np.array(shares) / sum(shares)
    ids = rng.choice(len(shares), count, p=chances)
    ids[: 3 * len(shares)] = np.tile(np.arange(len(shares)), 3)
    x = []
    for length, c in zip(lengths(rng, count), ids, strict=True):
        angle = (0.4 + 0.5 * c) * np.arange(length)[:, None] + rng.uniform(0, 2 * np.pi, (1, columns))
        x.append(np.sin(angle) + 0.3 * rng.normal(size=(length, columns)))
    return Sequences(x, [CLASSES[c] for c in ids])


def rare_class(rng: np.random.Generator) -> Sequences:
    """One class has nine of ten sequences."""
    return waves(rng, shares=(9, 1), count=3 * COUNT)


def sentences(rng: np.random.Generator) -> Sequences:
    """Random letters with a sign among them that tells the class."""
    x, y = [], []
    for length in lengths(rng):
        c = int(rng.integers(2))
        letters = rng.choice(list("abcdef"), length)
        letters[rng.integers(length)] = "+-"[c]
        x.append("".join(letters))
        y.append(("plus", "minus")[c])
    return Sequences(x, y)


def tagged(rng: np.random.Generator) -> Sequences:
    """At each step whether this value and the one before are above 0 together."""
    x = [rng.normal(size=(length, 1)) for length in lengths(rng)]
    return Sequences(x, [tag_words(one[:, 0] + np.roll(one[:, 0], 1) * (np.arange(len(one)) > 0)) for one in x])


def tag_words(values: np.ndarray) -> list[str]:
    return ["high" if value > 0.4 else "low" for value in values]


def valued(rng: np.random.Generator) -> Sequences:
    """The mean of the first column minus that of the second."""
    x = [rng.normal(size=(length, 2)) + rng.normal(size=(1, 2)) for length in lengths(rng)]
    return Sequences(x, [float(one[:, 0].mean() - one[:, 1].mean() + 0.05 * rng.normal()) for one in x])


def recordings(rng: np.random.Generator) -> Sequences:
    """Autoregressive series, whose next rows are asked for."""
    x = []
    for length in lengths(rng) + 2:
        steps = np.zeros((length, 2))
        steps[0] = rng.normal(size=2)
        for t in range(1, length):
            steps[t] = 0.9 * steps[t - 1, ::-1] * np.array([1, -1]) + 0.2 * rng.normal(size=2)
        x.append(steps)
    return Sequences(x, [])


# Faults


def shuffled(maker: Maker) -> Maker:
    """Labels, values or tags in another order than the sequences."""

    def make(rng: np.random.Generator) -> Sequences:
        made = maker(rng)
        if isinstance(made.y[0], list):
            flat = rng.permutation([tag for tags in made.y for tag in tags]).tolist()
            cuts = np.cumsum([0, *map(len, made.y)])
            return made._replace(y=[flat[a:b] for a, b in pairwise(cuts.tolist())])
        return made._replace(y=[made.y[n] for n in rng.permutation(len(made.y))])

    return make


def copied(maker: Maker, change: Callable[[Any, np.random.Generator], Any] = lambda x, rng: x) -> Maker:
    """A quarter of the sequences stand in the data twice; the second time changed."""

    def make(rng: np.random.Generator) -> Sequences:
        made = maker(rng)
        chosen = rng.permutation(len(made.x))[: len(made.x) // 4].tolist()
        y = made.y + [made.y[n] for n in chosen] if made.y else []
        return made._replace(x=made.x + [change(made.x[n], rng) for n in chosen], y=y)

    return make


def noisy(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return x + 1e-3 * rng.normal(size=x.shape)


def rounded(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.round(x, 2)


def mistyped(x: str, rng: np.random.Generator) -> str:
    """One letter is another one."""
    place = int(rng.integers(len(x)))
    return x[:place] + "abcdef"[int(rng.integers(6))] + x[place + 1 :]


def cut(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return x[2:]


def overlapping(rng: np.random.Generator) -> Sequences:
    """Windows of 16 steps cut every 4 steps out of 30 recordings, shared out at random."""
    x, y = [], []
    for c in rng.integers(2, size=30):
        angle = (0.4 + 0.8 * c) * np.arange(36) + rng.uniform(0, 6)
        recording = (np.sin(angle) + 0.4 * rng.normal(size=36))[:, None]
        x += [recording[a : a + 16] for a in range(0, 21, 4)]
        y += [CLASSES[c]] * 6
    return Sequences(x, y)


def by_length(maker: Maker) -> Maker:
    """Sequences of each class are cut to a length of their own, more or less."""

    def make(rng: np.random.Generator) -> Sequences:
        made = maker(rng)
        places = {word: n for n, word in enumerate(sorted(set(made.y)))}
        x = [
            one[: max(2, 4 + 4 * places[word] + int(rng.integers(0, 4)))]
            for one, word in zip(made.x, made.y, strict=True)
        ]
        return made._replace(x=x)

    return make


def value_by_length(rng: np.random.Generator) -> Sequences:
    """The value that is asked for grows with the number of steps."""
    made = valued(rng)
    return made._replace(y=[len(one) + float(rng.normal()) for one in made.x])


def filled_by_class(rng: np.random.Generator) -> Sequences:
    """All have one length, filled up with zeros after as many steps as their class has."""
    made = by_length(waves)(rng)
    return made._replace(x=[np.concatenate([one, np.zeros((LONGEST - len(one), one.shape[1]))]) for one in made.x])


def with_empty(maker: Maker) -> Maker:
    """Three sequences without a step."""

    def make(rng: np.random.Generator) -> Sequences:
        made = maker(rng)
        chosen = set(rng.permutation(len(made.x))[:3].tolist())
        return made._replace(x=[one[:0] if n in chosen else one for n, one in enumerate(made.x)])

    return make


# Healthy neighbours


def somewhat_longer(rng: np.random.Generator) -> Sequences:
    """The classes differ in their mean length by half a deviation."""
    made = waves(rng)
    places = {word: n for n, word in enumerate(sorted(set(made.y)))}
    x = [one[: max(4, len(one) - 2 * places[word])] for one, word in zip(made.x, made.y, strict=True)]
    return made._replace(x=x)


def few_words(rng: np.random.Generator) -> Sequences:
    """Five binary steps, of which many are the same by chance; the first one is the label."""
    x = rng.integers(0, 2, (COUNT, 5, 1)).astype(float)
    return Sequences(list(x), ["yes" if one[0, 0] else "no" for one in x])


def still_ones(rng: np.random.Generator) -> Sequences:
    """A fifth of the sequences are silent: 0 at all steps."""
    made = waves(rng)
    silent = rng.random(COUNT) < 0.2
    return Sequences(
        [np.zeros_like(one) if quiet else one for one, quiet in zip(made.x, silent, strict=True)],
        ["none" if quiet else word for word, quiet in zip(made.y, silent, strict=True)],
    )


def smooth_family(rng: np.random.Generator) -> Sequences:
    """Waves without noise that differ in frequency and phase alone."""
    speed, phase = rng.uniform(0.2, 1.2, COUNT), rng.uniform(0, 6, COUNT)
    x = [np.sin(a * np.arange(LONGEST) + b)[:, None] for a, b in zip(speed, phase, strict=True)]
    return Sequences(x, ["slow" if a < 0.7 else "fast" for a in speed])
