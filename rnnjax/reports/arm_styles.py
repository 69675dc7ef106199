"""Colour, dash and marker of each arm, the same in every figure of a report.

An arm's family is the first part of its name ("random" of "random/0.1"). Families differ in hue and in the shape of
their marks, from the seventh on also in the dash of their lines; the arms of a family differ in lightness.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from rnnjax.analysis.results import ArmResult

# Told apart by the colour-blind, and in every lightness that an arm of another family may have
HUES = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#c58a00", "#7a6a58")
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "pentagon", "star")
DASHES = ("solid", "dash", "dot")


class ArmStyle(NamedTuple):
    """Colours, marker and legend label of one arm."""

    light: str
    dark: str
    symbol: str
    family: str
    label: str  # the name without the family
    dash: str = "solid"


def styled(arms: Sequence[ArmResult], among: Sequence[ArmResult] = ()) -> list[tuple[ArmResult, ArmStyle]]:
    """Every arm of a figure with its style.

    Args: among: all arms of the study, which fix the hue and the lightness; default these arms.
    """
    names = list(dict.fromkeys(arm.name for arm in (*among, *arms)))
    own = families([arm.name for arm in arms])
    return [(arm, arm_style(arm.name, families(names), alone=len(own[family(arm.name)]) == 1)) for arm in arms]


def arm_style(name: str, all_families: dict[str, list[str]], alone: bool) -> ArmStyle:
    """The style of an arm by the place of its family, and by its place in it; alone, it keeps its whole name."""
    own = family(name)
    hue, siblings = list(all_families).index(own), all_families[own]
    turn, place = divmod(hue, len(HUES))
    share = (siblings.index(name) + 0.5) / len(siblings)
    label = ", ".join(split_name(name)) if alone else split_name(name)[-1]
    color, symbol, dash = HUES[place], SYMBOLS[(place + turn) % len(SYMBOLS)], DASHES[turn % len(DASHES)]
    # From strong to weak against either background, and never too weak to see.
    return ArmStyle(blend(color, 0.7 * share - 0.5), blend(color, 0.65 - 0.65 * share), symbol, own, label, dash)


def families(names: Sequence[str]) -> dict[str, list[str]]:
    """family -> its arms, both in the order of the names."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(family(name), []).append(name)
    return found


def family(name: str) -> str:
    """The first part of an arm's name."""
    return split_name(name)[0]


def split_name(name: str) -> list[str]:
    """The family and the rest, or the whole name."""
    return re.split(r"[/,;:\s]+", name, maxsplit=1)


def blend(color: str, share: float) -> str:
    """The colour with that share of white, or of black when negative."""
    target = 255 if share > 0 else 0
    channels = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(channel + abs(share) * (target - channel)):02x}" for channel in channels)


def with_alpha(color: str, alpha: float) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
