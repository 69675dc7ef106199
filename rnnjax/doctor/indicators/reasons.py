"""Why an indicator has no value: it does not apply to this network, or something was not given."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rnnjax.analysis.loss_spikes import BEFORE
from rnnjax.doctor.batch import is_ids
from rnnjax.doctor.indicators.curves import CURVE_INDICATORS
from rnnjax.doctor.indicators.predictability import MIN_SAMPLES
from rnnjax.doctor.indicators.types import COMPARISONS, Reason
from rnnjax.doctor.inputs import ExaminationInput, Observations
from rnnjax.doctor.training_curves import MIN_ROWS, TrainingCurves, runs_that_trained


class Examined(NamedTuple):
    """The inputs that an examination was given."""

    setup: ExaminationInput
    observations: Observations
    curves: TrainingCurves | None


NOT_FINITE = "outputs or parameters are not finite"
Explain = Callable[[Examined], Reason]


def not_finite(examined: Examined) -> bool:
    return not np.asarray(examined.observations.values["finite"]).any()


def targets_are_ids(examined: Examined) -> bool:
    return is_ids(np.asarray(examined.setup.batch.targets))


def without_curves(examined: Examined) -> Reason:
    """For the loss itself."""
    if examined.curves is None:
        return Reason("no training curves were given (record)")
    if examined.curves.diverged_R is not None and np.all(examined.curves.diverged_R):
        return Reason("the training diverged", applies=False)
    rows = max(len(run.loss_S) for run in runs_that_trained(examined.curves))
    return Reason(f"the record has {rows} rows of training, fewer than {MIN_ROWS}")


def without_spikes(examined: Examined) -> Reason:
    """For spikes, which need a median of the rows before."""
    if examined.curves is None or "diverged" in without_curves(examined).text:
        return without_curves(examined)
    return Reason(f"spikes need a record of more than {2 * BEFORE} rows of training")


def without_row(name: str) -> Explain:
    """For a curve beside the loss."""

    def explain(examined: Examined) -> Reason:
        if examined.curves is None or getattr(examined.curves, f"{name}_RS") is not None:
            return without_curves(examined)
        return Reason(f"the record has no {name}")

    return explain


def without_clip(examined: Examined) -> Reason:
    """For the threshold of the clip."""
    if examined.curves is not None and examined.curves.clip_norm is not None:
        if not np.isfinite(examined.curves.clip_norm):
            return Reason("the gradient is not clipped", applies=False)
        return without_row("clip_share")(examined)
    return Reason("no training curves were given (record)" if examined.curves is None else "no clip_norm in the record")


def without_path(examined: Examined) -> Reason:
    """For the path length."""
    if examined.curves is not None and examined.curves.update_norm_RS is not None and examined.curves.steps_S is None:
        return Reason("the record has no steps")
    return without_row("update_norm")(examined)


def without_steps(examined: Examined) -> Reason:
    """For the state."""
    if not_finite(examined):
        return Reason(NOT_FINITE)
    return Reason("the network cannot be run step by step: it has no state, or a step differs from a window")


def without_generation(ids: bool) -> Explain:
    """For free-running generation of texts, or of series."""

    def explain(examined: Examined) -> Reason:
        batch = examined.setup.batch
        if not_finite(examined):
            return Reason(NOT_FINITE)
        if is_ids(np.asarray(batch.inputs)) != ids:
            return Reason("", applies=False)
        if not batch.predicts_next_input:
            return Reason("the targets are not the next inputs", applies=False)
        return without_steps(examined)

    return explain


def finite_or(text: str) -> Explain:
    """A reason that holds where the outputs are finite."""
    return lambda examined: Reason(NOT_FINITE if not_finite(examined) else text)


def for_targets(ids: bool, other: str) -> Explain:
    """For a condition of classes, or of numbers."""
    return lambda examined: (
        Reason("", applies=False) if targets_are_ids(examined) != ids else finite_or(other)(examined)
    )


def without(text: str, given: Callable[[Examined], bool], other: str = "the loss is not finite") -> Explain:
    """For something that may not have been given."""
    return lambda examined: finite_or(other)(examined) if given(examined) else Reason(text)


def has_objective(examined: Examined) -> bool:
    return examined.setup.objective is not None


def has_held_out(examined: Examined) -> bool:
    return examined.setup.held_out is not None


def without_level(examined: Examined) -> Reason:
    """For the level of a simple predictor."""
    if targets_are_ids(examined) or not examined.setup.batch.predicts_next_input:
        return Reason("the targets are not the next values of a series", applies=False)
    return Reason(f"fewer than {MIN_SAMPLES} steps count")


def without_sequences(other: str) -> Explain:
    """For sets of sequences."""
    return lambda examined: Reason("" if examined.setup.sequences is None else other, applies=False)


NO_OBJECTIVE = without("no objective was given", has_objective)
NO_HELD_OUT = without("no held-out batch was given (held_out)", has_held_out)
NO_FLOOR = without("no floor of the loss is known (floor)", lambda examined: False)
FEW_STEPS = without(f"fewer than {MIN_SAMPLES} steps count", lambda examined: False)
EXPLANATIONS: dict[str, Explain] = {
    **dict.fromkeys(CURVE_INDICATORS, without_curves),
    "jumps": without_spikes,
    **dict.fromkeys(("clip", "clip_ratio"), without_clip),
    **dict.fromkeys(("standstill", "still_falling"), without_row("update_norm")),
    "path": without_path,
    "optimizer_frozen": lambda examined: Reason("no gradient was that large", applies=False),
    "lost_in_rounding": lambda examined: Reason("the parameters have 32 bits", applies=False),
    "record_mismatch": without("no objective was given", has_objective, "there is no record of the same loss"),
    **dict.fromkeys(("silent_streams", "padding_counted"), NO_OBJECTIVE),
    "last_step": lambda examined: (
        Reason("one step of each stream counts", applies=False) if has_objective(examined) else NO_OBJECTIVE(examined)
    ),
    "uncounted": lambda examined: Reason("no loss mask was given", applies=False),
    **dict.fromkeys(("saturated", "dead"), without_steps),
    **dict.fromkeys(("gradient_decay", "gradient_growth", "window_growth", "window_decay"), without_steps),
    "decay_at_answer": lambda examined: Reason("the targets do not depend on early inputs alone", applies=False),
    **dict.fromkeys(("gap", "shift", "unseen"), NO_HELD_OUT),
    **dict.fromkeys(("over_persistence", "over_linear"), without_level),
    "foreseeable": FEW_STEPS,
    **dict.fromkeys(("distribution", "one_class"), for_targets(ids=True, other="too few steps count")),
    "copied": without_generation(ids=True),
    **dict.fromkeys(("out_of_range", "classes_as_numbers"), for_targets(ids=False, other="too few steps count")),
    **dict.fromkeys(("drift", "loops_sampled", "loops_greedy"), without_generation(ids=True)),
    "range": without_generation(ids=False),
    "above_floor": NO_FLOOR,
    **dict.fromkeys(
        ("permuted_blocks", "summed_biases", "transposed_kernels", "uncarried_state", "other_outputs"),
        lambda examined: Reason("no outputs of another library were given (reference)", applies=False),
    ),
    "detached_state": lambda examined: Reason("no module of torch and its loss were given", applies=False),
    "size": lambda examined: Reason("inputs and targets are symbols", applies=False),
    "unknown_ids": lambda examined: Reason("the inputs are numbers", applies=False),
    
    **dict.fromkeys(("empty", "padding_read"), without_sequences("the rows have no padding")),
    "other_sequence": without_sequences("no row holds several sequences"),
    "overlap": without_sequences("no held-out sequences were given"),
    **dict.fromkeys(("label_fit", "length_leak"), without_sequences("there are too few labels or values of sequences")),
    "target_leak": without("the targets change too rarely", lambda examined: False),
    "wrong_axis": without("the batch has too few steps", lambda examined: False),
}  # fmt: skip


def explain_missing(name: str, examined: Examined) -> Reason:
    """Why an indicator has no value."""
    if not examined.setup.is_distance and name in COMPARISONS:
        return Reason("the objective does not compare outputs and targets as numbers")
    if name in EXPLANATIONS:
        return EXPLANATIONS[name](examined)
    return Reason(NOT_FINITE if not_finite(examined) else "the inputs cannot be changed")
