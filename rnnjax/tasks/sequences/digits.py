"""Handwritten digits of 8 x 8 pixels as sequences: rows of a picture, its pixels, or its pixels in a random order."""

import numpy as np

from rnnjax.settings import TaskSpec
from rnnjax.tasks.sequences.raw import RawSequences

SIDE = 8
ORDER_SEED = 0  # of the one random order of the pixels


def read_digits(text: str, settings: TaskSpec) -> RawSequences:
    """1,797 pictures, 0 to 16 at each pixel, and the digit that each shows. Args: text: 64 pixels and a digit a line.

    Source: Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, the
    test part; as in scikit-learn 1.9, datasets.load_digits.
    """
    table_ND = np.array([line.split(",") for line in text.split()], np.float64)
    pixels_NP = table_ND[:, : SIDE * SIDE]
    if settings.sequences == "digits_permuted":
        pixels_NP = pixels_NP[:, np.random.default_rng(ORDER_SEED).permutation(SIDE * SIDE)]
    width = SIDE if settings.sequences == "digits_rows" else 1
    return RawSequences(
        places=[f"line {i + 1}" for i in range(len(table_ND))],
        steps=list(pixels_NP.reshape(len(table_ND), -1, width)),
        targets=[str(int(digit)) for digit in table_ND[:, -1]],
        target="the digit",
    )
