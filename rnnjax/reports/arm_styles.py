"""Colour and marker of each arm, the same in every figure.

An arm's family is the first part of its name ("random" of "random/0.1"). Families differ in hue and in the shape of
their marks, the arms of a family in lightness.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from rnnjax.analysis.results import ArmResult

HUES = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#c58a00", "#3d9bd1", "#7a6a58")  # told apart by the colour-blind
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "pentagon", "star")


class ArmStyle(NamedTuple):
    """Colours, marker and legend label of one arm."""

    light: str
    dark: str
    symbol: str
    family: str
    label: str  # the name without the family


def styled(arms: Sequence[ArmResult]) -> list[tuple[ArmResult, ArmStyle]]:
    """Every arm with its colours: hues in the order of the families, lightness in the order of a family's arms."""
    parts = [re.split(r"[/,;:\s]+", arm.name, maxsplit=1) for arm in arms]
    families = list(dict.fromkeys(family for family, *_ in parts))
    return [
        (arm, arm_style(part, families.index(part[0]), [other for other in parts if other[0] == part[0]]))
        for arm, part in zip(arms, parts, strict=True)
    ]


def arm_style(part: list[str], hue: int, siblings: list[list[str]]) -> ArmStyle:
    color, symbol = HUES[hue % len(HUES)], SYMBOLS[hue % len(SYMBOLS)]
    share = siblings.index(part) / (len(siblings) - 1) if len(siblings) > 1 else 0.5
    label = part[-1] if len(siblings) > 1 else ", ".join(part)  # alone, an arm stands under no family's name
    # From strong to weak against either background, and never too weak to see.
    return ArmStyle(blend(color, 0.7 * share - 0.5), blend(color, 0.65 - 0.65 * share), symbol, part[0], label)


def blend(color: str, share: float) -> str:
    """The colour with that share of white, or of black when negative."""
    target = 255 if share > 0 else 0
    channels = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(channel + abs(share) * (target - channel)):02x}" for channel in channels)


def with_alpha(color: str, alpha: float) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
