"""What users see, and what the doctor calls it: the table of symptoms in a README, with what the studies measured."""

from pathlib import Path
from typing import NamedTuple

from rnnjax.doctor.conditions import CONDITIONS, Condition
from rnnjax.doctor.remedies import Effect, known_effects
from rnnjax.reports.render import render
from rnnjax.storage.files import replace_between

BEGIN, END = "<!-- symptoms -->", "<!-- end of symptoms -->"
SEEN = {  # in a user's words -> the conditions that it may be
    "It writes the same words for ever": ("loops_of_decoder", "loops_of_model", "last_step", "exposure"),
    "The loss stays where it is": (
        "floor", "unfinished", "silent_streams", "distribution", "rate_too_low",
        "clip_starves", "saturated", "vanishing", "no_memory", "frozen",
    ),
    "It says the same whatever it reads": ("deaf", "unscaled", "swapped_axes", "dead_units", "identical"),
    "The loss rises, jumps, or is not a number": ("diverged", "rate_too_high", "jumps", "exploding"),
    "It is good in training and bad afterwards": ("gap", "stale_state", "target_leak", "runaway"),
}  # fmt: skip


class Row(NamedTuple):
    """A condition in the table of symptoms."""

    condition: Condition
    effect: Effect


def rows() -> dict[str, list[Row]]:
    """The conditions behind each symptom, with what is known of their remedies."""
    known, effects = {condition.name: condition for condition in CONDITIONS}, known_effects()
    return {seen: [Row(known[name], effects[name]) for name in names] for seen, names in SEEN.items()}


def block() -> str:
    """The table in Markdown."""
    return render("symptoms.md.j2", False, symptoms=rows())


def write_symptoms(readme: Path) -> None:
    """Put the table between its two marks in a Markdown file. Raises: as `files.write_between`."""
    replace_between(readme, BEGIN, END, block())
