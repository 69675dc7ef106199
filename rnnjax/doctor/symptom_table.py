"""The troubleshooting table of the documentation: observed symptoms, possible conditions, measured remedies."""

from pathlib import Path
from typing import NamedTuple

from rnnjax.doctor.conditions import CONDITIONS, Condition
from rnnjax.doctor.remedies import Effect, load_effects
from rnnjax.reports.render import render
from rnnjax.storage.files import replace_between

SYMPTOMS_BEGIN, SYMPTOMS_END = "<!-- symptoms -->", "<!-- end of symptoms -->"
SYMPTOMS = {  # as a user observes them -> the conditions that may cause them
    "Generated text repeats the same words": ("loops_of_decoder", "loops_of_model", "last_step", "exposure"),
    "The loss does not decrease": (
        "floor", "unforeseeable", "unfinished", "silent_streams", "uncounted", "distribution", "out_of_range",
        "classes_as_numbers", "rate_too_low", "standstill", "lost_in_rounding", "optimizer_frozen", "clip_starves",
        "clip_always", "saturated", "detached_state", "vanishing", "vanishing_before_answer", "vanishing_slowly",
        "no_memory", "frozen",
    ),
    "Outputs are the same for all inputs": (
        "input_independent", "unscaled", "swapped_axes", "dead_units", "one_class", "identical",
    ),
    "The loss increases, jumps, or is NaN": (
        "unknown_ids", "broken", "diverged", "suspicious_values", "rate_too_high", "jumps", "leap", "exploding",
        "exploding_slowly", "missing_rows",
    ),
    "The network performs well in training and badly afterwards": (
        "gap", "shifted", "unseen_symbols", "stale_state", "target_leak", "future", "row_leak", "record_mismatch",
        "runaway",
    ),
    "The loss is low, but the predictions are of little use": (
        "padding_counted", "wrong_axis", "no_better_than_last", "copies_input", "worse_than_linear", "learned",
    ),
    "A network of another library gives other outputs here": (
        "permuted_blocks", "summed_biases", "transposed_kernels", "uncarried_state", "other_outputs",
    ),
}  # fmt: skip


class SymptomRow(NamedTuple):
    """A condition in the table of symptoms."""

    condition: Condition
    effect: Effect


def symptom_rows() -> dict[str, list[SymptomRow]]:
    """The possible conditions of each symptom, with the measured effects of their remedies."""
    conditions, effects = {condition.name: condition for condition in CONDITIONS}, load_effects()
    return {
        symptom: [SymptomRow(conditions[name], effects[name]) for name in names] for symptom, names in SYMPTOMS.items()
    }


def render_table() -> str:
    """The table in Markdown."""
    return render("symptoms.md.j2", False, symptoms=symptom_rows())


def write_symptoms(readme: Path) -> None:
    """Write the table between its two marks in a Markdown file. Raises: as `files.replace_between`."""
    replace_between(readme, SYMPTOMS_BEGIN, SYMPTOMS_END, render_table())
